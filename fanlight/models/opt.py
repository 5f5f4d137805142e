"""OPT.  https://arxiv.org/abs/2205.01068

Learned positions, from the third line of their table on; LayerNorm, biases everywhere, an MLP without a gate. Of the 350M norms
come after the branches, there is none at the end, and its embeddings are narrower than the rest: a matrix widens them, and
another narrows what the head reads."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import gpt2, stablelm
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import attend, embed, linear
from fanlight.models.rope import without_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES: dict[str, str] = {}  # llama.cpp has none of it
KEYS = {"intermediate_size": "ffn_dim", "hidden_act": "activation_function"}
FIRST = 2  # lines of the table before the first position's


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    layer_norm_eps: float
    word_embed_proj_dim: int
    do_layer_norm_before: bool
    has_final_norm: bool


def read_config(keys: Keys) -> Config:
    keys.rename(KEYS)
    fields = read_decoder(keys, longest=2048, is_tied=True, act="relu", rope=without_rope)
    has_bias = keys.flag("enable_bias", True)
    is_before = keys.flag("do_layer_norm_before", True)
    keys.only("layer_norm_elementwise_affine", True)
    keys.ignore("dropout", "layerdrop", "activation_dropout")
    return Config(
        **fields | {"attention_bias": has_bias, "output_bias": has_bias, "mlp_bias": has_bias},
        layer_norm_eps=1e-5,
        word_embed_proj_dim=keys.optional_number("word_embed_proj_dim") or fields["hidden_size"],
        do_layer_norm_before=is_before,
        has_final_norm=is_before and not keys.flag("_remove_final_layer_norm", False),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, size, longest = weights["model.decoder"], config.hidden_size, config.max_position_embeddings
    narrow = config.word_embed_proj_dim
    x = embed(w["embed_tokens"], rows, config.vocab_size, narrow)  # [T, P]
    x = x if narrow == size else linear(x, w["project_in"].biased(False), size)  # [T, C]
    positions = w["embed_positions"].rows([(FIRST, longest)], FIRST + longest)
    x = x + embed(positions, rows, longest, size, index="position")
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        x = block(config, layer, x, i)
    table = w["embed_tokens"] if config.tie_word_embeddings else weights["lm_head"]
    return gpt2.head(config, w, table, x, samples, last)


def block(config: Config, w: Weights, x: Node, i: int) -> Node:
    norms, mlp = (w["self_attn_layer_norm"], w["final_layer_norm"]), (w["fc1"], w["fc2"])
    up, down = (part.biased(config.mlp_bias) for part in mlp)
    if config.do_layer_norm_before:
        x = x + attention(config, w["self_attn"], stablelm.norm(config, norms[0], x), i)
        return x + gpt2.plain_mlp(config, up, down, stablelm.norm(config, norms[1], x))
    x = stablelm.norm(config, norms[0], x + attention(config, w["self_attn"], x, i))
    return stablelm.norm(config, norms[1], x + gpt2.plain_mlp(config, up, down, x))


def attention(config: Config, w: Weights, x: Node, i: int) -> Node:
    heads, size, has_bias = config.num_attention_heads, config.hidden_size, config.attention_bias
    q, k, v = (linear(x, w[f"{name}_proj"].biased(has_bias), size) for name in "qkv")  # [T, C]
    return linear(attend(q, k, v, i, heads, heads), w["out_proj"].biased(has_bias), size)  # [T, C]


def last(config: Config, w: Weights, x: Node) -> Node:
    """What the head reads. [B, C] -> [B, P]"""
    x = stablelm.norm(config, w["final_layer_norm"], x) if config.has_final_norm else x
    narrow = config.word_embed_proj_dim
    return x if narrow == config.hidden_size else linear(x, w["project_out"].biased(False), narrow)
