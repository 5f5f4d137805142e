"""BERT, and what is built as it: MiniLM, BGE, E5, GTE, Arctic-embed.  https://arxiv.org/abs/1810.04805

An encoder: learned positions, tokens of two kinds (of the first text and of the second), attention both ways, an MLP without a
gate, and a LayerNorm after each is added to the residual stream."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS, tanh
from fanlight.models.config import Keys
from fanlight.models.layers import attend_all, embed, layer_norm, linear
from fanlight.models.rope import IGNORED
from fanlight.models.weights import Weights

PAIRED_IN = ()
PREFIXES = ("bert", "")  # beside a head, and alone
GGUF_KEYS = {"is_causal": "attention.causal"}
SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
HEADS_KEYS = (  # of heads that are not here, or that pooling.py reads
    "tie_word_embeddings directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head"
    " pooler_type sentence_transformers sbert_ce_default_activation_function classifier_pooling output_past"
).split()

GGUF_NAMES = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
    "encoder.layer.{i}.attention.self.query": "blk.{i}.attn_q",
    "encoder.layer.{i}.attention.self.key": "blk.{i}.attn_k",
    "encoder.layer.{i}.attention.self.value": "blk.{i}.attn_v",
    "encoder.layer.{i}.attention.output.dense": "blk.{i}.attn_output",
    "encoder.layer.{i}.attention.output.LayerNorm": "blk.{i}.attn_output_norm",
    "encoder.layer.{i}.intermediate.dense": "blk.{i}.ffn_up",
    "encoder.layer.{i}.output.dense": "blk.{i}.ffn_down",
    "encoder.layer.{i}.output.LayerNorm": "blk.{i}.layer_output_norm",
    "pooler.dense": "cls",  # of RoBERTa, whose file it is under this architecture's name, its classifier's
    "classifier": "cls.output",
}


@dataclass(frozen=True, slots=True)
class Config:
    """Under Hugging Face's names."""

    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int  # positions that a text may have
    first_position: int  # of the table: RoBERTa's begin after the padding's
    type_vocab_size: int  # 0: tokens are of one kind, and there is no table
    hidden_act: str
    layer_norm_eps: float
    tie_word_embeddings: bool = False


def read_config(keys: Keys) -> Config:
    return read_encoder(keys, eps=1e-12)


def read_encoder(keys: Keys, eps: float, first_position: int = 0) -> Config:
    """eps: where no key says it. first_position: the table's lines before it stand for no position."""
    keys.only("position_embedding_type", "absolute")
    keys.only("is_causal", False)
    keys.ignore(*HEADS_KEYS)
    if keys.is_gguf:
        keys.ignore("rope_theta")  # llama.cpp's default, of which nothing turns here
        no_rope_scaling(keys)
    sizes: dict[str, Any] = {name: keys.number(name) for name in SIZES}
    if sizes["hidden_size"] % (4 * sizes["num_attention_heads"]):
        message = f"hidden_size {sizes['hidden_size']} for {sizes['num_attention_heads']} heads; expected a multiple of 4 each"
        raise UnsupportedModel(message, where=keys.file)
    keys.only("num_key_value_heads", sizes["num_attention_heads"])
    return Config(
        model_type=str(keys.model_type),
        **sizes,
        max_position_embeddings=keys.number("max_position_embeddings", 512) - first_position,
        first_position=first_position,
        type_vocab_size=keys.count("type_vocab_size", 2),
        hidden_act=keys.choice("hidden_act", ACTIVATIONS, "gelu"),
        layer_norm_eps=keys.positive("layer_norm_eps", eps),
    )


def no_rope_scaling(keys: Keys) -> None:
    """Of a GGUF file, where it is always there."""
    scaling = keys.inner("rope_scaling") or Keys({}, keys.file)
    scaling.only("rope_type", "default")
    scaling.only("attn_factor", 1.0)
    scaling.ignore(*IGNORED)


def root_of(weights: Weights, prefixes: tuple[str, ...] = PREFIXES) -> Weights:
    return next((weights[name] for name in prefixes if weights[name]["embeddings"]["word_embeddings"].has()), weights[""])


def encode(config: Config, weights: Weights, rows: int, context_length: int) -> Node:
    """The states of a step's rows. [T, C]"""
    return states(config, root_of(weights), rows)


def states(config: Config, w: Weights, rows: int) -> Node:
    """w: of the model, beside which a head may be."""
    size = config.hidden_size
    tables = w["embeddings"]
    x = embed(tables["word_embeddings"], rows, config.vocab_size, size, "given")
    count, first = config.max_position_embeddings, config.first_position
    positions = tables["position_embeddings"].rows([(first, count)], first + count)
    x = x + embed(positions, rows, count, size, "position")
    if config.type_vocab_size:
        x = x + embed(tables["token_type_embeddings"], rows, config.type_vocab_size, size, "second")
    x = norm(config, tables["LayerNorm"], x)
    for i in range(config.num_hidden_layers):
        layer = w["encoder"]["layer"][str(i)]
        x = norm(config, layer["attention"]["output"]["LayerNorm"], x + attention(config, layer["attention"], x))
        inner = ACTIVATIONS[config.hidden_act](linear(x, layer["intermediate"]["dense"], config.intermediate_size))
        x = norm(config, layer["output"]["LayerNorm"], x + linear(inner, layer["output"]["dense"], size))
    return x


def norm(config: Any, w: Weights, x: Node) -> Node:
    return layer_norm(x, w.vector(config.hidden_size), w.vector(config.hidden_size, "bias"), config.layer_norm_eps)


def attention(config: Config, w: Weights, x: Node) -> Node:
    heads, size = config.num_attention_heads, config.hidden_size
    q, k, v = (linear(x, w["self"][name], size) for name in ("query", "key", "value"))
    return linear(attend_all(q, k, v, heads, heads), w["output"]["dense"], size)


def score(config: Config, weights: Weights, x: Node) -> Node:
    """Of a pair of texts, by the first row of its states. [B, C] -> [B, 1]"""
    if not config.type_vocab_size:
        raise UnsupportedModel("a cross-encoder whose tokens are of one kind: DistilBERT's head has another function")
    x = tanh(linear(x, root_of(weights)["pooler"]["dense"], config.hidden_size))
    return linear(x, weights["classifier"], 1)
