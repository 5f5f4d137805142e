"""GPT-NeoX, Pythia, RedPajama-INCITE.  https://arxiv.org/abs/2204.06745

LayerNorm, biases everywhere, a quarter of each head turns, an MLP without a gate; the branches of a block run side by side,
each with its own norm, or one after the other (RedPajama)."""

from dataclasses import dataclass
from functools import partial

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import REQUIRED, Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import attend, embed, finish_rows, layer_norm, linear, rope, sample, sampled_rows
from fanlight.models.rope import Rope, read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    "gpt_neox.embed_in": "token_embd",
    "gpt_neox.final_layer_norm": "output_norm",
    "embed_out": "output",
    "gpt_neox.layers.{i}.input_layernorm": "blk.{i}.attn_norm",
    "gpt_neox.layers.{i}.attention.query_key_value": "blk.{i}.attn_qkv",
    "gpt_neox.layers.{i}.attention.dense": "blk.{i}.attn_output",
    "gpt_neox.layers.{i}.post_attention_layernorm": "blk.{i}.ffn_norm",
    "gpt_neox.layers.{i}.mlp.dense_h_to_4h": "blk.{i}.ffn_up",
    "gpt_neox.layers.{i}.mlp.dense_4h_to_h": "blk.{i}.ffn_down",
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    layer_norm_eps: float
    use_parallel_residual: bool


def read_config(keys: Keys) -> Config:
    table = partial(read_rope, partial=0.25, theta_key="rotary_emb_base", partial_key="rotary_pct")
    fields = read_decoder(keys, longest=2048, act="gelu", rope=table)
    bias = dict.fromkeys(("attention_bias", "output_bias"), keys.optional_flag("attention_bias", True))
    return Config(
        **fields | bias,
        layer_norm_eps=keys.positive("layer_norm_eps", 1e-5),
        use_parallel_residual=keys.flag("use_parallel_residual", REQUIRED if keys.is_gguf else True),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["gpt_neox"], config.rope.at(context_length)
    x = embed(w["embed_in"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        attended = x + attention(config, layer["attention"], norm(config, layer["input_layernorm"], x), i, table)
        y = norm(config, layer["post_attention_layernorm"], x if config.use_parallel_residual else attended)
        x = attended + mlp(config, layer["mlp"], y)
    if not samples:
        return finish_rows(x)
    x = norm(config, w["final_layer_norm"], sampled_rows(x, samples))  # [B, C]
    return sample(linear(x, w["embed_in"] if config.tie_word_embeddings else weights["embed_out"], config.vocab_size))


def norm(config: Config, w: Weights, x: Node) -> Node:
    return layer_norm(x, w.vector(config.hidden_size), w.vector(config.hidden_size, "bias"), config.layer_norm_eps)


def attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    heads, head_dim = config.num_attention_heads, config.head_dim
    size = heads * head_dim
    wq, wk, wv = parts_of(w["query_key_value"].biased(config.attention_bias), heads, head_dim)
    q = rope(linear(x, wq.paired(head_dim, table.rotary), size), heads, table)  # [T, H*D]
    k = rope(linear(x, wk.paired(head_dim, table.rotary), size), heads, table)  # [T, H*D]
    x = attend(q, k, linear(x, wv, size), i, heads, heads)  # [T, H*D]
    return linear(x, w["dense"].biased(config.output_bias), config.hidden_size)  # [T, C]


def parts_of(w: Weights, heads: int, head_dim: int) -> list[Weights]:
    """q, k and v: in Hugging Face's files those of each head follow one another, in others those of all heads."""
    if not w.is_folder:
        return w.split(*[heads * head_dim] * 3)
    starts = range(0, 3 * heads * head_dim, 3 * head_dim)
    return [w.rows([(start + part * head_dim, head_dim) for start in starts], 3 * heads * head_dim) for part in range(3)]


def mlp(config: Config, w: Weights, x: Node) -> Node:
    x = ACTIVATIONS[config.hidden_act](linear(x, w["dense_h_to_4h"].biased(True), config.intermediate_size))  # [T, F]
    return linear(x, w["dense_4h_to_h"].biased(True), config.hidden_size)  # [T, C]
