"""Models without files: checkpoints that have names, formats and shapes, and weights drawn from their place in the file."""

from dataclasses import dataclass
from itertools import count

import numpy as np

from fanlight.compiler.graph import Weight
from fanlight.driver import run
from fanlight.formats.checkpoint import Checkpoint, TensorInfo
from fanlight.formats.quant import QUANT_TYPES
from fanlight.formats.source import BytesSource
from fanlight.models import Model, open_model


@dataclass(frozen=True)
class Shape:
    """What a random model may vary. bias and window: in architectures that have them."""

    model_type: str = "llama"
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    hidden: int = 64
    intermediate: int = 96
    vocab: int = 40
    tied: bool = False
    bias: bool = False
    window: int | None = None
    formats: tuple[str, ...] = ("F32",)  # in turn


def make_model(shape: Shape) -> Model:
    config = {
        "model_type": shape.model_type,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "vocab_size": shape.vocab,
        "tie_word_embeddings": shape.tied,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 4096,
    }
    if shape.model_type in ("llama", "qwen3"):
        config["attention_bias"] = shape.bias
    if shape.model_type == "mistral":
        config["sliding_window"] = shape.window
    if shape.model_type.startswith("qwen"):
        config |= {"use_sliding_window": True, "sliding_window": shape.window, "max_window_layers": 0}
    source = BytesSource("random.safetensors", b"")
    checkpoint = Checkpoint("safetensors", {"config": config}, dict(_tensors(shape)), (source,))
    return run(open_model(checkpoint))


def _tensors(shape: Shape):
    offset, turn = count(0, 1 << 20), count()

    def matrix(name, rows, cols):
        format = shape.formats[next(turn) % len(shape.formats)]
        size = QUANT_TYPES[format].num_bytes(rows * cols)
        return f"{name}.weight", TensorInfo(f"{name}.weight", format, (rows, cols), 0, next(offset), size)

    def vector(name, size):
        return name, TensorInfo(name, "F32", (size,), 0, next(offset), 4 * size)

    q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    yield matrix("model.embed_tokens", shape.vocab, shape.hidden)
    if not shape.tied:
        yield matrix("lm_head", shape.vocab, shape.hidden)
    yield vector("model.norm.weight", shape.hidden)
    for i in range(shape.layers):
        layer = f"model.layers.{i}"
        for name, rows in (("q_proj", q), ("k_proj", kv), ("v_proj", kv)):
            yield matrix(f"{layer}.self_attn.{name}", rows, shape.hidden)
            if shape.model_type == "qwen2" or (shape.bias and shape.model_type != "mistral"):
                yield vector(f"{layer}.self_attn.{name}.bias", rows)
        yield matrix(f"{layer}.self_attn.o_proj", shape.hidden, q)
        if shape.bias and shape.model_type in ("llama", "qwen3"):
            yield vector(f"{layer}.self_attn.o_proj.bias", shape.hidden)
        yield matrix(f"{layer}.mlp.gate_proj", shape.intermediate, shape.hidden)
        yield matrix(f"{layer}.mlp.up_proj", shape.intermediate, shape.hidden)
        yield matrix(f"{layer}.mlp.down_proj", shape.hidden, shape.intermediate)
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield vector(f"{layer}.{name}.weight", shape.hidden)
        if shape.model_type == "qwen3":
            for name in ("q_norm", "k_norm"):
                yield vector(f"{layer}.self_attn.{name}.weight", shape.head_dim)


def read_weight(weight: Weight) -> np.ndarray:
    """Random values that depend on where the rows lie, so that stacking and splitting must keep them apart."""
    parts = []
    for piece in weight.pieces:
        tensor, first = divmod(piece.offset, 1 << 20)
        row = QUANT_TYPES[piece.format].num_bytes(weight.cols)
        whole = np.random.default_rng(tensor).normal(size=(4096, weight.cols)) / np.sqrt(weight.cols)
        start = first // row
        parts.append(whole[start : start + piece.rows])
    return np.concatenate(parts)
