"""Nomic BERT, nomic-embed-text.  https://arxiv.org/abs/2402.01613
BERT, except: rotary positions, no biases but the norms', a gated MLP. The configuration has GPT-2's names, as its makers
publish it, or transformers' own."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import bert
from fanlight.models.config import Keys
from fanlight.models.layers import attend_all, embed, linear, rope
from fanlight.models.rope import LongRope, Rope, read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()
GGUF_KEYS = {"is_causal": "attention.causal"}

GGUF_NAMES = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.token_type_embeddings": "token_types",
    "emb_ln": "token_embd_norm",
    "encoder.layers.{i}.attn.Wqkv": "blk.{i}.attn_qkv",
    "encoder.layers.{i}.attn.out_proj": "blk.{i}.attn_output",
    "encoder.layers.{i}.norm1": "blk.{i}.attn_output_norm",
    "encoder.layers.{i}.mlp.fc11": "blk.{i}.ffn_up",
    "encoder.layers.{i}.mlp.fc12": "blk.{i}.ffn_gate",
    "encoder.layers.{i}.mlp.fc2": "blk.{i}.ffn_down",
    "encoder.layers.{i}.norm2": "blk.{i}.layer_output_norm",
}
PUBLISHED = {  # GPT-2's names -> transformers'
    "n_embd": "hidden_size",
    "n_inner": "intermediate_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "layer_norm_epsilon": "layer_norm_eps",
}
ONLY: dict[str, object] = {
    "activation_function": "swiglu",
    "causal": False,
    "is_causal": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "qkv_proj_bias": False,
    "parallel_block": False,
    "parallel_block_tied_norm": False,
    "prenorm": False,
    "rotary_emb_fraction": 1,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
    "use_rms_norm": False,
}
TRAINING = ("dense_seq_output", "fused_bias_fc", "fused_dropout_add_ln", "use_xentropy", "max_trained_positions", "head_dim")


@dataclass(frozen=True, slots=True)
class Config:
    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    type_vocab_size: int
    hidden_act: str
    layer_norm_eps: float
    rope: Rope | LongRope
    tie_word_embeddings: bool = False


def read_config(keys: Keys) -> Config:
    is_published = keys.has("n_embd")
    named = {ours: theirs if is_published else ours for theirs, ours in PUBLISHED.items()}
    for key, value in ONLY.items():
        keys.only(key, value)
    keys.ignore(*TRAINING, *bert.HEADS_KEYS)
    sizes = {name: keys.number(named.get(name, name)) for name in bert.SIZES}
    longest = keys.number("n_positions" if is_published else "max_position_embeddings", 2048)
    if sizes["hidden_size"] % (8 * sizes["num_attention_heads"]):
        raise UnsupportedModel(f"heads of {sizes['hidden_size']} / {sizes['num_attention_heads']} elements", where=keys.file)
    head_dim = sizes["hidden_size"] // sizes["num_attention_heads"]
    keys.only("num_key_value_heads", sizes["num_attention_heads"])
    theta = 10000.0 if is_published or keys.is_gguf else 1000.0
    return Config(
        model_type=str(keys.model_type),
        vocab_size=sizes["vocab_size"],
        hidden_size=sizes["hidden_size"],
        intermediate_size=sizes["intermediate_size"],
        num_hidden_layers=sizes["num_hidden_layers"],
        num_attention_heads=sizes["num_attention_heads"],
        max_position_embeddings=longest,
        type_vocab_size=keys.number("type_vocab_size", 2),
        hidden_act="silu" if is_published else keys.choice("hidden_act", ACTIVATIONS, "silu"),
        layer_norm_eps=keys.positive(named["layer_norm_eps"], 1e-12),
        rope=read_rope(keys, head_dim, longest, theta, theta_key="rotary_emb_base" if is_published else "rope_theta"),
    )


def encode(config: Config, weights: Weights, rows: int, context_length: int) -> Node:
    w, size, table = weights, config.hidden_size, config.rope.at(context_length)
    x = embed(w["embeddings"]["word_embeddings"], rows, config.vocab_size, size, "given")
    x = x + embed(w["embeddings"]["token_type_embeddings"], rows, config.type_vocab_size, size, "second")
    x = bert.norm(config, w["emb_ln"], x)
    for layer in w["encoder"].layers(config.num_hidden_layers):
        x = bert.norm(config, layer["norm1"], x + attention(config, layer["attn"], x, table))
        x = bert.norm(config, layer["norm2"], x + mlp(config, layer["mlp"], x))
    return x


def attention(config: Config, w: Weights, x: Node, table: Rope) -> Node:
    heads, size = config.num_attention_heads, config.hidden_size
    wq, wk, wv = w["Wqkv"].split(size, size, size)
    q, k = (rope(linear(x, part.paired(size // heads, table.rotary), size), heads, table) for part in (wq, wk))
    return linear(attend_all(q, k, linear(x, wv, size), heads, heads), w["out_proj"], size)


def mlp(config: Config, w: Weights, x: Node) -> Node:
    gate = ACTIVATIONS[config.hidden_act](linear(x, w["fc12"], config.intermediate_size))
    return linear(gate * linear(x, w["fc11"], config.intermediate_size), w["fc2"], config.hidden_size)
