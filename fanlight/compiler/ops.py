"""Every operation: which inputs and attributes it has, and what it means in NumPy.  `check_graph` refuses what is not declared
here; `evaluate(graph, ...)` gives the same before and after each pass.

A node's `form` says how its result lies in memory, and means nothing here. Not for speed and not for running models: caches
are plain arrays, and all rows belong to one sequence that starts at position 0."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fanlight.arrays import Array
from fanlight.compiler.graph import Graph, Node, Weight
from fanlight.compiler.ops_images import IMAGE_OPS, places_of
from fanlight.compiler.ops_sound import SOUND_OPS
from fanlight.compiler.ops_state import STATE_OPS
from fanlight.kernels import expressions
from fanlight.kernels.blend import blended
from fanlight.kernels.delta import stepped, unit
from fanlight.kernels.embed import line_of
from fanlight.kernels.expressions import Fused
from fanlight.kernels.inputs import NO_PATCH
from fanlight.kernels.rescale import rescaled
from fanlight.kernels.rotary import OF_PATCHES, HeadNorm
from fanlight.kernels.round_rows import rounded
from fanlight.kernels.route import Route, routed

ReadWeight = Callable[[Weight], Array]  # f32 [rows, cols]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an operation computes from: its inputs' values by slot, the step's tokens, the model's weights."""

    node: Node
    by_slot: dict[str, Array]
    tokens: list[int]
    read_weight: ReadWeight
    places: list[int]  # of a step that takes a picture in, whose tokens are its bytes: which patch each row is

    def __getitem__(self, slot: str) -> Array:
        return self.by_slot[slot]

    def list(self, slot: str) -> list[Array]:
        return [self.by_slot[s] for s in self.node.slots if s.rstrip("0123456789") == slot]


@dataclass(frozen=True, slots=True)
class Op:
    """inputs: slots it must have, and may have ('weight*': any number of them). attrs likewise."""

    meaning: Callable[[Inputs], Any]  # an array; several by name, of which `part` takes one; None of `finish`
    inputs: tuple[str, ...] = ()
    may_read: tuple[str, ...] = ()
    attrs: tuple[str, ...] = ()
    may_have: tuple[str, ...] = ()


def check_graph(graph: Graph, after: str) -> None:
    """Raises ValueError naming a node that has what its operation does not declare."""
    for node in graph.nodes():
        if wrong := _wrong(node.op, node.slots, tuple(node.attrs)):
            raise ValueError(f"after {after}: {node.op} {node.name} {node.where} has {wrong}")


@lru_cache(maxsize=1024)
def _wrong(name: str, slots: tuple[str, ...], attrs: tuple[str, ...]) -> str:
    """'' where inputs and attributes are as declared."""
    if name not in OPS:
        return "an operation that is not known"
    op = OPS[name]
    declared = {*op.inputs, *op.may_read}
    generic = {slot if slot in declared else slot.rstrip("0123456789") + "*" for slot in slots}
    found = [f"input {slot!r}, which it does not know" for slot in sorted(generic - declared)]
    found += [f"no input {slot!r}" for slot in op.inputs if slot not in generic]
    found += [f"attribute {attr!r}, which it does not know" for attr in attrs if attr not in (*op.attrs, *op.may_have)]
    found += [f"no attribute {attr!r}" for attr in op.attrs if attr not in attrs]
    return "; ".join(found)


def evaluate(graph: Graph, tokens: list[int], read_weight: ReadWeight) -> Array:
    """Logits [B, V] (the last rows are sampled); of a step that samples nothing, what each layer keeps, layer by layer."""
    import numpy as np

    values: dict[Node, Array] = {}
    places = next((places_of(node) for node in graph.nodes() if node.op == "patches"), [])
    kept: dict[tuple[int, str], Array] = {}
    for node in graph.nodes():
        slots = {slot: values[source] for slot, source in zip(node.slots, node.inputs, strict=True)}
        values[node] = OPS[node.op].meaning(Inputs(node, slots, tokens, read_weight, places))
        if node.op in KEEPS | CARRIES:
            value = slots["x"] if node.op in ("convolve", "shift") else values[node]  # it carries what it reads
            kept[node.attrs["layer"], node.op if node.op in CARRIES else ""] = (
                value["cache"] if isinstance(value, dict) else value
            )
    ends = [np.zeros((graph.rows, 0)), *(kept[place] for place in sorted(kept))]
    return np.concatenate(ends, axis=1) if graph.root.op == "finish" else values[graph.root]


# --- words -----------------------------------------------------------------------------------------------------------
def _embed(i: Inputs) -> Array:
    import numpy as np

    lines: dict[str, Any] = {"position": np.arange(len(i.tokens)), "second": np.zeros(len(i.tokens), int)}
    size = sum(len(weight) for weight in i.list("weight"))
    lines["again"] = [token if token < size else 0 for token in i.tokens]
    if "table" in i.node.attrs:
        lines["place"] = [line_of(place, *i.node.attrs["table"]) for place in i.places]
    table = np.concatenate(i.list("weight"))
    at = np.asarray(lines.get(i.node.attrs.get("index", ""), i.tokens))
    found = np.where((at < len(table))[:, None], table[np.minimum(at, len(table) - 1)], 0)
    return _fused(i, "epilogue", [found])


def _map(i: Inputs) -> Array:
    import numpy as np

    node = i.node
    values = [_spread(v, kind, node.shape[1]) for v, kind in zip(i.list("in"), node.attrs["kinds"], strict=True)]
    return expressions.evaluate(node.attrs["expr"], values, np)


def _spread(value: Array, kind: str, columns: int) -> Array:
    import numpy as np

    return np.tile(value.reshape(-1), columns // value.size) if kind == "column" else value


def _fused(i: Inputs, slot: str, values: list[Array]) -> Array:
    """What the node's `slot` (a Fused) makes of the operation's own values."""
    import numpy as np

    fused: Fused | None = i.node.attrs.get(slot)
    if fused is None:
        (value,) = values
        return value
    columns, operands = values[0].shape[1], []
    for operand, value in zip(fused.operands, i.list(slot), strict=True):
        if operand.kind == "column":
            operands.append(value.reshape(-1)[(operand.start + np.arange(columns)) % operand.size])
        else:
            operands.append(value[:, operand.start : operand.start + columns])
    return expressions.evaluate(fused.expr, [*values, *operands], np)


def _norm(i: Inputs) -> Array:
    a = i.node.attrs
    return _fused(i, "epilogue", [normalized(i["x"], a["kind"], a["eps"], a["heads"])])


def normalized(x: Array, kind: str, eps: float, heads: int = 1) -> Array:
    import numpy as np

    y = x.reshape(len(x), heads, -1)
    if kind == "layer":
        y = y - np.mean(y, axis=2, keepdims=True)
    return (y / np.sqrt(np.mean(y * y, axis=2, keepdims=True) + eps)).reshape(x.shape)


def _linear(i: Inputs) -> Array:
    return _finished(i, _product(i))


def _product(i: Inputs) -> Array:
    import numpy as np

    x, a = i["x"], i.node.attrs
    if a.get("is_sampled"):
        x = x[-i.node.shape[0] :]
    rms = np.sqrt(np.mean(x * x, axis=1, keepdims=True) + a["norm_eps"]) if a.get("norm_eps") is not None else 1.0
    return _fused(i, "prologue", [x]) @ np.concatenate(i.list("weight")).T / rms


def _finished(i: Inputs, y: Array) -> Array:
    """A product with its bias and epilogue."""
    import numpy as np

    y = y + i["bias"].reshape(-1) if "bias" in i.by_slot else y
    fused = i.node.attrs.get("epilogue")
    return _fused(i, "epilogue", np.split(y, fused.values, axis=1) if fused else [y])


def _rope(i: Inputs) -> Array:
    import numpy as np

    a = i.node.attrs
    growth, period = a.get("growth") or (0.0, 1)
    grown = 1 + growth * np.log1p(np.arange(len(i["x"])) // period)
    turns = None
    if a.get("by") == OF_PATCHES:
        turns = np.array([[place >> 16, place & 0xFFFF] if place != NO_PATCH else [0, 0] for place in i.places])[:, a["axes"]]
    return rotated(i["x"], a["heads"], a["inv_freq"], a["scale"], turns) * grown[:, None]


def rotated(x: Array, heads: int, inv_freq: tuple[float, ...], scale: float, turns: "Array | None" = None) -> Array:
    """turns [T, R/2]: what each pair turns by; None: its row."""
    import numpy as np

    turns = np.arange(len(x))[:, None] if turns is None else turns
    angle = (turns * np.array(inv_freq))[:, None, :]  # [T, 1, R/2]
    y = x.reshape(len(x), heads, -1).copy()
    z = y[..., : 2 * len(inv_freq)].reshape(len(x), heads, -1, 2)
    z = (z[..., 0] + 1j * z[..., 1]) * np.exp(1j * angle) * scale
    y[..., : 2 * len(inv_freq)] = np.stack([z.real, z.imag], axis=3).reshape(len(x), heads, -1)
    return y.reshape(x.shape)


def _append(i: Inputs) -> Array:
    """What is appended, k then v: the cache of a sequence that begins with this step."""
    import numpy as np

    return np.concatenate([i["k"], i["v"]], axis=1)


def _attend(i: Inputs) -> Array:
    import numpy as np

    a = i.node.attrs
    k, v = np.split(i["cache"], [a["kv_heads"] * a["head_dim"]], axis=1)
    distance = np.subtract.outer(np.arange(len(k)), np.arange(len(k)))
    hidden = (distance < 0) | (distance >= (a["window"] or len(k)))
    return _softmax_mix(i["q"], k, v, a, hidden, i.by_slot.get("sinks"))


def _attend_all(i: Inputs) -> Array:
    import numpy as np

    a, rows = i.node.attrs, np.arange(len(i["q"]))
    window = a["window"]
    distance = np.subtract.outer(rows, rows)
    if a["causal"]:
        hidden = (distance < 0) | (distance >= (window or len(rows)))
    else:
        hidden = abs(distance) > (window // 2 if window else len(rows))
    if side := a.get("side"):
        windows = np.array([[(place >> 16) // side, (place & 0xFFFF) // side] for place in i.places])
        hidden |= (windows[:, None] != windows[None]).any(axis=2)
    return _softmax_mix(i["q"], i["k"], i["v"], a, hidden, None)


def _softmax_mix(q: Array, k: Array, v: Array, a: Mapping[str, Any], hidden: Array, sinks: Array | None) -> Array:
    import numpy as np

    count, group = len(q), a["heads"] // a["kv_heads"]
    q = q.reshape(count, a["heads"], -1) * a["scale"]
    k, v = (x.reshape(count, a["kv_heads"], -1).repeat(group, axis=1) for x in (k, v))
    scores = np.einsum("thd,shd->hts", q, k)
    if a["score"] is not None:
        slopes, at = np.reshape(a.get("slopes", [0.0] * a["heads"]), (-1, 1, 1)), np.arange(count)
        scores = expressions.evaluate(a["score"], [scores, slopes, at[None, None], at[None, :, None]], np)
    scores = np.where(hidden, -np.inf, scores)
    top = scores.max(axis=2, keepdims=True)
    rest = 0.0
    if sinks is not None:
        sink = sinks.reshape(-1, 1, 1)
        top = np.maximum(top, sink)
        rest = np.exp(sink - top)
    p = np.exp(scores - top)
    return np.einsum("hts,shd->thd", p / (p.sum(axis=2, keepdims=True) + rest), v).reshape(count, -1)


def _convolve(i: Inputs) -> Array:
    import numpy as np

    x, w = i["x"], i["weight"].reshape(i["x"].shape[1], -1)
    before = np.concatenate([np.zeros((w.shape[1] - 1, x.shape[1])), x])
    return _fused(i, "epilogue", [np.sum([before[j : j + len(x)] * w[:, j] for j in range(w.shape[1])], axis=0)])


def _delta(i: Inputs) -> Array:
    import numpy as np

    a, x = i.node.attrs, i["x"]
    decay, beta = (_fused(i, slot, [i[f"{slot}s"]]) for slot in ("decay", "beta"))
    heads, key_heads, key_dim = (a[name] for name in ("heads", "key_heads", "key_dim"))
    of = np.arange(heads) % key_heads if a["is_dealt"] else np.arange(heads) // (heads // key_heads)
    q, k, v = np.split(x, [key_heads * key_dim, 2 * key_heads * key_dim], axis=1)
    q, k = (unit(y.reshape(len(x), key_heads, -1), a["eps"])[:, of] for y in (q, k))
    v = v.reshape(len(x), heads, -1)
    held, made = np.zeros((heads, key_dim, v.shape[2])), []
    for t in range(len(x)):
        held, y = stepped(held, q[t], k[t], v[t], decay[t], beta[t])
        made.append(y.reshape(-1))
    return np.stack(made)


def _slice(i: Inputs) -> Array:
    start = i.node.attrs["start"]
    return i["x"][:, start : start + i.node.shape[1]]


def _reorder(i: Inputs) -> Array:
    import numpy as np

    both = np.concatenate([i["x"], i["also"]], axis=1) if "also" in i.by_slot else i["x"]
    return both[:, list(i.node.attrs["order"])]


def _gather(i: Inputs) -> Array:
    return i["x"][-i.node.shape[0] :]


def _pool(i: Inputs) -> Array:
    """Of the rows up to each sampled one."""
    import numpy as np

    x, samples = i["x"], i.node.shape[0]
    if i.node.attrs["kind"] == "cls":
        return np.repeat(x[:1], samples, axis=0)
    return np.stack([x[: end + 1].mean(axis=0) for end in range(len(x) - samples, len(x))])


def _lora_scale(i: Inputs) -> Array:
    """Of a sequence that asks for each LoRA as it is."""
    import numpy as np

    return np.ones(i.node.shape)


# --- experts ---------------------------------------------------------------------------------------------------------
def _route(i: Inputs) -> Array:
    a = i.node.attrs
    p = Route(has_bias="bias" in i.by_slot, **{field: a[field] for field in ROUTE})
    return routed(p, i["x"], i.by_slot.get("bias"), i.by_slot.get("gain"))


def _experts(i: Inputs) -> Array:
    """Part by part: [T, top_k, columns]."""
    import numpy as np

    a, chosen, w = i.node.attrs, _chosen(i), _by_expert(i)
    x = i["x"]
    rms = np.sqrt(np.mean(x * x, axis=1, keepdims=True) + a["norm_eps"]) if a.get("norm_eps") is not None else 1.0
    x = _fused(i, "prologue", [x]) / rms
    parts = x.reshape(len(x), a["top_k"] if a.get("own") else 1, -1)
    y = np.einsum("tjnk,tjk->tjn", w[chosen], np.broadcast_to(parts, (len(x), a["top_k"], parts.shape[2])))
    y = y + i["bias"].reshape(a["experts"], -1)[chosen] if "bias" in i.by_slot else y
    fused: Fused | None = a.get("epilogue")
    if fused:
        values = np.split(y, fused.values, axis=2)
        at = chosen[:, :, None] * values[0].shape[2] + np.arange(values[0].shape[2])
        operands = [v.reshape(-1)[operand.start + at] for v, operand in zip(i.list("epilogue"), fused.operands, strict=True)]
        y = expressions.evaluate(fused.expr, [*values, *operands], np)
    return y.reshape(len(x), -1)


def _experts_sum(i: Inputs) -> Array:
    import numpy as np

    x, top_k = i["x"], i.node.attrs["top_k"]
    parts = np.einsum("tjnk,tjk->tjn", _by_expert(i)[_chosen(i)], x.reshape(len(x), top_k, -1))
    return _fused(i, "epilogue", [np.einsum("tj,tjn->tn", i["route"][:, top_k:], parts)])


def _mix(i: Inputs) -> Array:
    import numpy as np

    x, top_k = i["x"], i.node.attrs["top_k"]
    return _fused(i, "epilogue", [np.einsum("tj,tjn->tn", i["route"][:, top_k:], x.reshape(len(x), top_k, -1))])


def _blend(i: Inputs) -> Array:
    return _fused(i, "epilogue", [blended(i["x"], i["shares"], i.node.attrs["count"], i.by_slot.get("also"))])


def _rescale(i: Inputs) -> Array:
    a = i.node.attrs
    return _fused(i, "epilogue", [rescaled(i["x"], i["like"], a["kind"], a["heads"], a["least"])])


def _chosen(i: Inputs) -> Array:
    return i["route"][:, : i.node.attrs["top_k"]].astype(int)


def _by_expert(i: Inputs) -> Array:
    """[E, N, K], of weights that each have some experts' rows: of pairs first all upper halves."""
    import numpy as np

    a = i.node.attrs
    halves = a["epilogue"].values if a.get("epilogue") and i.node.op == "experts" else 1
    rows = sum(len(w) for w in i.list("weight")) // a["experts"]
    parts = [w.reshape(halves, -1, rows // halves, w.shape[1]).swapaxes(0, 1) for w in i.list("weight")]
    return np.concatenate([part.reshape(len(part), rows, -1) for part in parts])


# --- what passes make ------------------------------------------------------------------------------------------------
def _rotate_append(i: Inputs) -> dict[str, Array]:
    return _rotated_heads(i, _fused(i, "epilogue", [i["x"]]))


def _linear_rotate(i: Inputs) -> dict[str, Array]:
    return _rotated_heads(i, _finished(i, _product(i)))


def _rotated_heads(i: Inputs, x: Array) -> dict[str, Array]:
    """x: heads of q, of k and of v, side by side."""
    import numpy as np

    a = i.node.attrs
    heads, kv_heads, d = a["heads"], a["kv_heads"], a["head_dim"]
    q, k, v = np.split(x, [heads * d, (heads + kv_heads) * d], axis=1)
    if norm := a.get("head_norm"):
        q, k = (_head_normed(x, norm, i[slot], n) for x, slot, n in ((q, "q_norm", heads), (k, "k_norm", kv_heads)))
    q, k = (rotated(x, n, a["inv_freq"], a["rope_scale"]) for x, n in ((q, heads), (k, kv_heads)))
    return {"q": q * a["scale"], "cache": np.concatenate([k, v], axis=1)}


def _head_normed(x: Array, norm: HeadNorm, weight: Array, heads: int) -> Array:
    import numpy as np

    return expressions.evaluate(norm.weigh, [normalized(x, "rms", norm.eps, heads), np.tile(weight.reshape(-1), heads)], np)


def _sum_parts_norm(i: Inputs) -> dict[str, Array]:
    total, a = _fused(i, "epilogue", [i["x"]]), i.node.attrs
    return {"sum": total, "normed": _fused(i, "norm", [normalized(total, a["kind"], a["eps"])])}


ROUTE = ("experts", "top_k", "score", "normalize", "scale", "eps", "groups", "top_groups")
EXPERTS = ("experts", "top_k")
KEEPS = {"append", "rotate_append", "linear_rotate"}  # operations that keep something of each token for later steps
CARRIES = {"convolve", "delta", "scan", "shift", "wkv", "attend_kept", "keep", "timestamps"}  # whose slots carry something on
CACHE = ("layer", "kv_heads", "head_dim", "v_head_dim")
ROTATION = (*CACHE, "heads", "inv_freq", "rope_scale", "scale")
BY = ("by", "axes")
TURNING = ("head_norm", "epilogue", "is_late", *BY)
DELTA = ("layer", "heads", "key_heads", "key_dim", "is_dealt", "eps")
PRODUCT = ("norm_eps", "prologue", "epilogue", "is_sampled", "form")
OPERANDS = ("weight*", "bias", "prologue*", "epilogue*")

OPS: dict[str, Op] = {
    "weight": Op(lambda i: i.read_weight(i.node.attrs["weight"]), attrs=("weight",)),
    "embed": Op(_embed, ("weight",), ("weight*",), may_have=("epilogue", "index", "table")),
    "map": Op(_map, may_read=("in*",), attrs=("expr", "kinds"), may_have=("form",)),
    "norm": Op(_norm, ("x",), ("epilogue*",), ("kind", "eps", "heads"), ("epilogue", "form")),
    "linear": Op(_linear, ("x", "weight"), OPERANDS, may_have=(*PRODUCT, "share")),
    "rope": Op(_rope, ("x",), attrs=("heads", "inv_freq", "scale"), may_have=("growth", "by", "axes")),
    "route": Op(_route, ("x",), ("bias", "gain"), ROUTE, ("is_late",)),
    "experts": Op(_experts, ("x", "route", "weight"), (*OPERANDS, "order"), EXPERTS, (*PRODUCT, "own", "chooses")),
    "experts_sum": Op(_experts_sum, ("x", "route", "weight"), ("weight*", "epilogue*"), EXPERTS, ("epilogue", "form")),
    "mix": Op(_mix, ("x", "route"), ("epilogue*",), EXPERTS, ("epilogue",)),
    "blend": Op(_blend, ("x", "shares"), ("also", "epilogue*"), ("count",), ("epilogue",)),
    "rescale": Op(_rescale, ("x", "like"), ("epilogue*",), ("kind", "heads", "least"), ("epilogue",)),
    "order": Op(lambda i: i["route"], ("route",), attrs=(*EXPERTS, "height")),
    "lora_scale": Op(_lora_scale, attrs=("which", "names")),
    "append": Op(_append, ("k", "v"), attrs=CACHE),
    "attend": Op(
        _attend,
        ("q", "cache"),
        ("sinks",),
        (*CACHE, "heads", "window", "scale", "score"),
        ("form", "splits", "slopes", "rotates"),
    ),
    "attend_all": Op(
        _attend_all, ("q", "k", "v"), attrs=("heads", "kv_heads", "window", "scale", "score", "causal"), may_have=("side",)
    ),
    "convolve": Op(_convolve, ("x", "weight"), ("epilogue*",), ("layer", "taps"), ("epilogue",)),
    "delta": Op(_delta, ("x", "decays", "betas"), ("decay*", "beta*"), DELTA, ("decay", "beta")),
    **{name: Op(*said) for name, said in {**STATE_OPS, **SOUND_OPS, **IMAGE_OPS}.items()},
    "slice": Op(_slice, ("x",), attrs=("start",)),
    "reorder": Op(_reorder, ("x",), ("also",), ("order",)),
    "round_rows": Op(lambda i: rounded(i["x"]), ("x",)),
    "gather": Op(_gather, ("x",)),
    "put_images": Op(lambda i: i["x"], ("x",), may_have=("part", "parts")),  # of a text
    "keep_images": Op(lambda i: i["x"], ("x",), may_have=("merge",)),
    "pool": Op(_pool, ("x",), attrs=("kind",)),
    "sample": Op(lambda i: i["x"], ("x",), ("rank", "output*")),
    "output": Op(lambda i: i["x"], ("x",), attrs=("which",)),
    "part": Op(lambda i: i["x"][i.node.attrs["which"]], ("x",), attrs=("which",), may_have=("form",)),
    "quantize": Op(_map, may_read=("in*",), attrs=("expr", "kinds", "form")),
    "rotate_append": Op(_rotate_append, ("x",), ("q_norm", "k_norm", "epilogue*"), ROTATION, TURNING),
    "linear_rotate": Op(_linear_rotate, ("x", "weight"), OPERANDS, ROTATION, (*PRODUCT, *BY)),
    "sum_parts": Op(lambda i: _fused(i, "epilogue", [i["x"]]), ("x",), ("epilogue*",), may_have=("epilogue",)),
    "sum_parts_norm": Op(_sum_parts_norm, ("x",), ("epilogue*", "norm*"), ("kind", "eps"), ("epilogue", "norm")),
    "join": Op(lambda i: i["x"], ("x",)),
    "rank": Op(lambda i: i["x"], ("x",)),
    "penalize": Op(lambda i: i["x"], ("x",), ("rank", "output*")),
    "finish": Op(lambda i: None, may_read=("x", "kept*")),
}
