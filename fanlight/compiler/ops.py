"""What every operation means, in NumPy: the oracle for the passes.  `evaluate(graph, ...)` gives the same before and after
each of them.

Not for speed and not for running models: the KV cache is a plain array, and all rows belong to one sequence that starts at
position 0."""

from collections.abc import Callable, Mapping

from fanlight.compiler.graph import Graph, Node, Weight

Values = dict[Node, "object"]
ReadWeight = Callable[[Weight], "object"]  # f32 [rows, cols]


def evaluate(graph: Graph, tokens: list[int], read_weight: ReadWeight) -> "object":
    """Logits [B, V] (the last rows are sampled); of a step that samples nothing, what its last attention sees [T, H*D]."""
    values: Values = {}
    last = None
    for node in graph.nodes():
        if node.op == "sample":
            return values[node["x"]]
        if node.op == "finish":
            return values[last]
        last = node if node.op == "attend" else last
        inputs = {slot: values[source] for slot, source in zip(node.slots, node.inputs, strict=True)}
        values[node] = OPS[node.op](node, inputs, tokens, read_weight)
    raise ValueError("the graph's root is neither sample nor finish")


def _weight(node, inputs, tokens, read_weight):
    return read_weight(node.attrs["weight"])


def _embed(node, inputs, tokens, read_weight):
    import numpy as np

    return np.concatenate([inputs[s] for s in node.slots])[tokens]


def _rms_norm(node, inputs, tokens, read_weight):
    return normalized(inputs["x"], inputs["weight"], node.attrs["eps"], node.attrs["heads"])


def normalized(x, weight, eps, heads=1):
    import numpy as np

    y = x.reshape(len(x), heads, -1)
    y = y / np.sqrt(np.mean(y * y, axis=2, keepdims=True) + eps) * weight.reshape(-1)
    return y.reshape(x.shape)


def _linear(node, inputs, tokens, read_weight):
    """All that may be fused into a product: see kernels/linear.py."""
    import numpy as np

    x = inputs["x"][-node.shape[0] :]  # where rows are picked, these are the sampled ones
    if "norm" in inputs:
        x = normalized(x, inputs["norm"], node.attrs["eps"])
    weights = [inputs[s] for s in node.slots if s.startswith("weight")]
    y = x @ np.concatenate(weights).T
    if "bias" in inputs:
        y = y + inputs["bias"].reshape(-1)
    if node.attrs.get("is_glu"):
        y = gated(*np.split(y, 2, axis=1))
    return y + inputs["residual"] if "residual" in inputs else y


def gated(gate, up):
    import numpy as np

    return gate / (1 + np.exp(-gate)) * up


def _glu(node, inputs, tokens, read_weight):
    import numpy as np

    parts = (inputs["gate"], inputs["up"]) if "gate" in inputs else np.split(inputs["x"], 2, axis=1)
    return gated(*parts)


def _rope(node, inputs, tokens, read_weight):
    return rotated(inputs["x"], node.attrs["heads"], node.attrs["inv_freq"], node.attrs["scale"])


def rotated(x, heads, inv_freq, scale):
    import numpy as np

    angle = np.outer(np.arange(len(x)), inv_freq)[:, None, :]  # [T, 1, D/2]
    z = x.reshape(len(x), heads, -1, 2)
    z = (z[..., 0] + 1j * z[..., 1]) * np.exp(1j * angle) * scale
    return np.stack([z.real, z.imag], axis=3).reshape(x.shape)


def _attend(node, inputs, tokens, read_weight):
    import numpy as np

    a = node.attrs
    heads, kv_heads, d = a["heads"], a["kv_heads"], a["head_dim"]
    if "qkv" in inputs:
        q, k, v = np.split(inputs["qkv"], [heads * d, (heads + kv_heads) * d], axis=1)
        if "q_norm" in inputs:
            q = normalized(q, inputs["q_norm"], a["eps"], heads)
            k = normalized(k, inputs["k_norm"], a["eps"], kv_heads)
        q, k = (rotated(x, n, a["inv_freq"], a["rope_scale"]) for x, n in ((q, heads), (k, kv_heads)))
    else:
        q, k, v = inputs["q"], inputs["k"], inputs["v"]
    count = len(q)
    q = q.reshape(count, heads, d) * a["scale"]
    k, v = (x.reshape(count, kv_heads, d).repeat(heads // kv_heads, axis=1) for x in (k, v))
    scores = np.einsum("thd,shd->hts", q, k)
    distance = np.subtract.outer(np.arange(count), np.arange(count))
    hidden = (distance < 0) | (distance >= (a["window"] or count))
    scores = np.where(hidden, -np.inf, scores)
    p = np.exp(scores - scores.max(axis=2, keepdims=True))
    return np.einsum("hts,shd->thd", p / p.sum(axis=2, keepdims=True), v).reshape(count, heads * d)


OPS: Mapping[str, Callable] = {
    "weight": _weight,
    "embed": _embed,
    "rms_norm": _rms_norm,
    "linear": _linear,
    "glu": _glu,
    "rope": _rope,
    "attend": _attend,
    "add": lambda node, inputs, tokens, read_weight: inputs["x"] + inputs["y"],
    "gather": lambda node, inputs, tokens, read_weight: inputs["x"][-node.shape[0] :],
    "slice": lambda node, inputs, tokens, read_weight: inputs["x"][
        :, node.attrs["start"] : node.attrs["start"] + node.shape[1]
    ],
}
