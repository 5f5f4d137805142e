"""What the tables of tiny architectures are written with: keys of configurations, and shapes of tensors by their parts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from scripts.golden.tiny_models import EOS_TOKEN_ID

Shapes = Iterator[tuple[str, tuple[int, ...]]]

SHARED = {
    "vocab_size": 211,
    "hidden_size": 96,
    "intermediate_size": 150,
    "num_hidden_layers": 3,
    "initializer_range": 0.02,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": EOS_TOKEN_ID,
    "pad_token_id": 0,
    "use_cache": True,
}
FIRST_PICTURE_TOKEN, VOCAB = 259, 288  # of vocabularies that have tokens for pictures, behind those of bytes
SILU = {"hidden_act": "silu"}
GELU = {"hidden_activation": "gelu_pytorch_tanh"}
SLIDING, FULL = "sliding_attention", "full_attention"


def family(class_name: str, model_type: str, **keys: Any) -> dict[str, Any]:
    return {"architectures": [f"{class_name}ForCausalLM"], "model_type": model_type, **keys}


def default_rope(theta: float, **keys: Any) -> dict[str, Any]:
    """As transformers 5 writes it."""
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **keys}}


@dataclass(frozen=True, slots=True)
class TinyArchitecture:
    config: dict[str, Any]
    dtype: str = "F32"
    prompt_length: int = 40
    first_position: int = 0  # logits are recorded from here on
    in_blocks: bool = False  # the matrices are what Q8_0 can hold, for a GGUF file of the same numbers
    about: str = field(default="", kw_only=True)


def rising(count: int, first: float, step: float) -> list[float]:
    return [round(first + i * step, 6) for i in range(count)]


@dataclass(frozen=True, slots=True)
class Tree:
    """Where an architecture has what stands outside its layers, and its layers."""

    layers: str = "model.layers"
    embedding: str = "model.embed_tokens"
    norm: str = "model.norm"
    head: str = "lm_head"
    embedding_norm: str = ""
    positions: str = ""  # a table of as many rows as the context has
    norm_has_bias: bool = False
    head_has_bias: bool = False


# ---- shapes


def linear(part: str, rows: int, columns: int, has_bias: bool = False) -> Shapes:
    yield f"{part}.weight", (rows, columns)
    if has_bias:
        yield f"{part}.bias", (rows,)


def norms(size: int, *parts: str, has_bias: bool = False) -> Shapes:
    for part in parts:
        yield f"{part}.weight", (size,)
        if has_bias:
            yield f"{part}.bias", (size,)


def widths(config: dict[str, Any]) -> tuple[int, int, int]:
    """Of a head, of all query heads, of all key heads."""
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return (
        head_dim,
        config["num_attention_heads"] * head_dim,
        config.get("num_key_value_heads", config["num_attention_heads"]) * head_dim,
    )


def attention(config: dict[str, Any], has_bias: bool = False, output_has_bias: bool = False) -> Shapes:
    hidden, (_, query, key_value) = config["hidden_size"], widths(config)
    yield from linear("self_attn.q_proj", query, hidden, has_bias)
    yield from linear("self_attn.k_proj", key_value, hidden, has_bias)
    yield from linear("self_attn.v_proj", key_value, hidden, has_bias)
    yield from linear("self_attn.o_proj", hidden, query, output_has_bias)


def gated_mlp(config: dict[str, Any], has_bias: bool = False) -> Shapes:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    yield from linear("mlp.gate_proj", mlp, hidden, has_bias)
    yield from linear("mlp.up_proj", mlp, hidden, has_bias)
    yield from linear("mlp.down_proj", hidden, mlp, has_bias)


def text_shapes(
    config: dict[str, Any], stem: str, head: str = "lm_head", has_bias: bool = False, of_heads: bool = False
) -> Shapes:
    """Of a language model beside a tower."""
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    yield f"{stem}.embed_tokens.weight", (vocab, hidden)
    for layer in range(config["num_hidden_layers"]):
        for part, shape in [
            *norms(hidden, "input_layernorm", "post_attention_layernorm"),
            *attention(config, has_bias),
            *(norms(config["head_dim"], "self_attn.q_norm", "self_attn.k_norm") if of_heads else ()),
            *gated_mlp(config),
        ]:
            yield f"{stem}.layers.{layer}.{part}", shape
    yield from norms(hidden, f"{stem}.norm")
    yield f"{head}.weight", (vocab, hidden)


def fused_mlp(config: dict[str, Any]) -> Shapes:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    yield from linear("mlp.gate_up_proj", 2 * mlp, hidden)
    yield from linear("mlp.down_proj", hidden, mlp)


def olmo2_layer(config: dict[str, Any]) -> Shapes:
    _, query, key_value = widths(config)
    yield from norms(config["hidden_size"], "post_attention_layernorm", "post_feedforward_layernorm")
    yield from norms(query, "self_attn.q_norm")
    yield from norms(key_value, "self_attn.k_norm")
    yield from attention(config)
    yield from gated_mlp(config)
