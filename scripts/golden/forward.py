"""The decoder of Llama, Mistral, Qwen2 and Qwen3 in plain NumPy, float64, whole prompt at once: slow, short, no cache.

It is the judge for weights that no other program computes exactly (block formats, where llama.cpp rounds the activations to
8 bit), and it finds prompts whose greedy continuation is clear-cut.  Its own judges are the records of transformers and of
llama.cpp on F32 weights.  Weight names are Hugging Face's."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Weights = Mapping[str, np.ndarray]
Product = Callable[[str, np.ndarray, np.ndarray], np.ndarray]  # of a matrix's name, x [T, C] and weight [F, C]: [T, F]


def exact_product(matrix: str, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return x @ weight.T


@dataclass(frozen=True, slots=True)
class Decoder:
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    inv_freq: np.ndarray  # [D / 2]
    rope_is_interleaved: bool = False  # GGUF files of Llama pair the elements (2i, 2i + 1), all others (i, i + D / 2)
    cache_dtype: type = np.float64  # keys (after RoPE) and values are rounded to it
    product: Product = exact_product  # a program that rounds inside its matrix products is imitated by another


def rope_frequencies(theta: float, head_dim: int, scaling: Mapping[str, Any] | None = None) -> np.ndarray:
    inv_freq = theta ** (-np.arange(0, head_dim, 2) / head_dim)
    scaling = scaling or {}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "default":
        return inv_freq
    if kind == "linear":
        return inv_freq / scaling["factor"]
    if kind != "llama3":
        raise ValueError(f"no RoPE scaling {kind!r} here")
    turns = scaling["original_max_position_embeddings"] * inv_freq / (2 * math.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    keep = np.clip((turns - low) / (high - low), 0, 1)
    return keep * inv_freq + (1 - keep) * inv_freq / scaling["factor"]


def decoder_of(config: Mapping[str, Any]) -> Decoder:
    """From a config.json, of either way of writing RoPE."""
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    rope = config.get("rope_parameters")
    theta, scaling = (rope["rope_theta"], rope) if rope else (config["rope_theta"], config.get("rope_scaling"))
    return Decoder(
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config["num_key_value_heads"],
        head_dim,
        config["rms_norm_eps"],
        rope_frequencies(theta, head_dim, scaling),
    )


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def linear(decoder: Decoder, weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    y = decoder.product(name, x, weights[f"{name}.weight"])
    return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y


def rope(decoder: Decoder, x: np.ndarray) -> np.ndarray:
    """x: [T, H, D], row t at position t."""
    angle = np.arange(len(x))[:, None, None] * decoder.inv_freq
    cos, sin = np.cos(angle), np.sin(angle)
    half = x.shape[-1] // 2
    first = slice(0, None, 2) if decoder.rope_is_interleaved else slice(0, half)
    second = slice(1, None, 2) if decoder.rope_is_interleaved else slice(half, None)
    y = np.empty_like(x)
    y[..., first] = x[..., first] * cos - x[..., second] * sin
    y[..., second] = x[..., second] * cos + x[..., first] * sin
    return y


def attention(decoder: Decoder, weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    T, D = len(x), decoder.head_dim
    q = linear(decoder, weights, f"{name}.q_proj", x).reshape(T, -1, D)
    k = linear(decoder, weights, f"{name}.k_proj", x).reshape(T, -1, D)
    v = linear(decoder, weights, f"{name}.v_proj", x).reshape(T, -1, D)
    if f"{name}.q_norm.weight" in weights:
        q = rms_norm(q, weights[f"{name}.q_norm.weight"], decoder.rms_norm_eps)
        k = rms_norm(k, weights[f"{name}.k_norm.weight"], decoder.rms_norm_eps)
    group = decoder.num_attention_heads // decoder.num_key_value_heads
    k, v = (values.astype(decoder.cache_dtype).astype(x.dtype) for values in (rope(decoder, k), v))
    q = rope(decoder, q).swapaxes(0, 1)  # [H, T, D]
    k = np.repeat(k.swapaxes(0, 1), group, axis=0)
    v = np.repeat(v.swapaxes(0, 1), group, axis=0)
    scores = q @ k.swapaxes(1, 2) / math.sqrt(D)
    scores = np.where(np.tri(T, dtype=bool), scores, -np.inf)
    probs = np.exp(scores - scores.max(axis=-1, keepdims=True))
    probs /= probs.sum(axis=-1, keepdims=True)
    return linear(decoder, weights, f"{name}.o_proj", (probs @ v).swapaxes(0, 1).reshape(T, -1))


def mlp(decoder: Decoder, weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    gate = linear(decoder, weights, f"{name}.gate_proj", x)
    return linear(
        decoder, weights, f"{name}.down_proj", gate / (1 + np.exp(-gate)) * linear(decoder, weights, f"{name}.up_proj", x)
    )


def forward(decoder: Decoder, weights: Weights, token_ids: list[int]) -> np.ndarray:
    """Logits, f64 [T, V]."""
    x = weights["model.embed_tokens.weight"][token_ids]
    for layer in range(decoder.num_hidden_layers):
        name, eps = f"model.layers.{layer}", decoder.rms_norm_eps
        x = x + attention(decoder, weights, f"{name}.self_attn", rms_norm(x, weights[f"{name}.input_layernorm.weight"], eps))
        x = x + mlp(decoder, weights, f"{name}.mlp", rms_norm(x, weights[f"{name}.post_attention_layernorm.weight"], eps))
    head = "lm_head" if "lm_head.weight" in weights else "model.embed_tokens"
    return linear(decoder, weights, head, rms_norm(x, weights["model.norm.weight"], decoder.rms_norm_eps))


def as_f64(weights: Weights) -> dict[str, np.ndarray]:
    return {name: values.astype(np.float64) for name, values in weights.items()}


def margin_of(logits: np.ndarray) -> float:
    """How far the best token leads, as a share of the largest logit."""
    second, first = np.partition(logits, -2)[-2:]
    return float((first - second) / np.abs(logits).max())


def clear_greedy(decoder: Decoder, weights: Weights, prompt: list[int], count: int, margin: float) -> list[int] | None:
    """`count` greedy ids, or None as soon as one of them leads by less than `margin`."""
    token_ids = list(prompt)
    for _ in range(count):
        logits = forward(decoder, weights, token_ids)[-1]
        if margin_of(logits) < margin:
            return None
        token_ids.append(int(logits.argmax()))
    return token_ids[len(prompt) :]
