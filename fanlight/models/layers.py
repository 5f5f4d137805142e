"""The words that model files are written in: each function adds a node to the graph.

Shape letters: T rows (tokens), B samples, C hidden, F MLP width, H query heads, K KV heads, D head dim, V vocabulary. Heads
lie side by side: [T, H*D]. Nothing here computes; ops.py says in NumPy what each operation means."""

from fanlight.compiler.graph import Node, make
from fanlight.models.weights import Weights


def embed(w: Weights, rows: int) -> Node:
    """Row t of the result is the embedding of the step's token t. [T, C]"""
    table = w.weight()
    return make("embed", {"weight": table}, (rows, table.shape[1]), w.name)


def linear(x: Node, w: Weights) -> Node:
    """x W^T (+ bias, where the checkpoint has one). [T, in] -> [T, out]"""
    weight = w.weight()
    inputs = {"x": x, "weight": weight}
    if w.has("bias"):
        inputs["bias"] = w.vector("bias")
    return make("linear", inputs, (x.shape[0], weight.shape[0]), w.name)


def rms_norm(x: Node, w: Weights, eps: float) -> Node:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis.  https://arxiv.org/abs/1910.07467"""
    return make("rms_norm", {"x": x, "weight": w.vector("weight")}, x.shape, w.name, eps=eps, heads=1)


def head_norm(x: Node, w: Weights, heads: int, eps: float) -> Node:
    """rms_norm of each head on its own, one weight [D] for all."""
    return make("rms_norm", {"x": x, "weight": w.vector("weight")}, x.shape, w.name, eps=eps, heads=heads)


def rope(x: Node, heads: int, inv_freq: tuple[float, ...], scale: float = 1.0) -> Node:
    """Rotates elements 2i and 2i+1 of each head by position * inv_freq[i].  https://arxiv.org/abs/2104.09864
    (Hugging Face pairs i with i + D/2; weights.py delivers those rows side by side.) `scale` multiplies the result (YaRN)."""
    return make("rope", {"x": x}, x.shape, heads=heads, inv_freq=inv_freq, scale=scale)


def attend(q: Node, k: Node, v: Node, layer: int, heads: int, kv_heads: int, window: int | None = None) -> Node:
    """Appends k and v to the KV cache of `layer`, then causal attention over all of the row's sequence. [T, H*D]"""
    head_dim = q.shape[1] // heads
    attrs = {"layer": layer, "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim, "scale": head_dim**-0.5}
    return make("attend", {"q": q, "k": k, "v": v}, q.shape, f"model.layers.{layer}.self_attn", window=window, **attrs)


def swiglu(gate: Node, up: Node) -> Node:
    """silu(gate) * up.  https://arxiv.org/abs/2002.05202"""
    return make("glu", {"gate": gate, "up": up}, gate.shape, activation="silu")


def add(x: Node, y: Node) -> Node:
    return make("add", {"x": x, "y": y}, x.shape)


def sampled_rows(x: Node, samples: int) -> Node:
    """The rows after which a token is drawn. [T, C] -> [B, C]"""
    return make("gather", {"x": x}, (samples, x.shape[1]))


def sample(logits: Node) -> Node:
    """Draws one token id per row. [B, V] -> [B]"""
    return make("sample", {"x": logits}, (logits.shape[0],), "sample")


def finish_rows(x: Node) -> Node:
    """The end of a step that draws nothing: its result is the KV cache."""
    return make("finish", {"x": x}, (0,), "finish")
