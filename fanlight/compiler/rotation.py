"""Rotation goes with the KV append: q, k and v of one product become q, rotated and scaled, and the cache, in one launch, or as
the product finishes."""

from dataclasses import dataclass, replace
from typing import Any

from fanlight.compiler.graph import Graph, Node, make, part, rewrite
from fanlight.compiler.ops import CACHE
from fanlight.compiler.products import has_room, is_few, is_int8
from fanlight.compiler.target import Target
from fanlight.kernels.kv import KV_TYPES
from fanlight.kernels.rotary import OF_PATCHES, HeadNorm


def rotate_with_append(graph: Graph, target: Target) -> Graph:
    """attend(rope(norm?(q)), append(rope(norm?(k)), v)), all slices of one product -> attend(rotate_append(qkv))"""
    users = graph.users()
    made: dict[Node, Node] = {}  # by the append that it replaces

    def rule(node: Node, old: Node) -> Node:
        if node.op != "attend":
            return node
        if old["cache"] in made:  # another layer's cache
            return node.with_({"cache": made[old["cache"]]})
        cache = node["cache"]
        q, k = _heads(node["q"]), _heads(cache["k"]) if cache.op == "append" else None
        if q is None or k is None or users[old["q"]] != [old] or not _belong_together(q, k, cache, node):
            return node
        rotated = _rotate_append(q, k, cache, node)
        made[old["cache"]] = part(rotated, "cache", (node.shape[0], 0))
        return node.with_({"q": part(rotated, "q", q.x.shape), "cache": made[old["cache"]]}, attrs={"scale": 1.0})

    return rewrite(graph, rule, "attend")


@dataclass(frozen=True, slots=True)
class _Heads:
    """Heads of q or of k on their way from a slice to attention."""

    x: Node  # the slice
    norm: Node | None
    count: int | None  # as far as a norm or a rotation says
    inv_freq: tuple[float, ...]
    scale: float
    by: dict[str, Any]  # what positions are, where they are not the rows'


def _heads(node: Node) -> _Heads | None:
    count, inv_freq, scale, norm, by = None, (), 1.0, None, {}
    if node.op == "rope" and "growth" not in node.attrs and node.attrs.get("by") != OF_PATCHES:
        count, inv_freq, scale = (node.attrs[name] for name in ("heads", "inv_freq", "scale"))
        by = {name: node.attrs[name] for name in ("by", "axes") if name in node.attrs}
        node = node["x"]
    if node.op == "norm":
        norm = node
        if count not in (None, norm.attrs["heads"]) or _head_norm(norm) is None:
            return None
        count, node = norm.attrs["heads"], norm["x"]
    return _Heads(node, norm, count, inv_freq, scale, by) if node.op == "slice" else None


def _head_norm(norm: Node) -> HeadNorm | None:
    """What a norm does to every head alike, with one weight for all."""
    fused, weights = norm.attrs.get("epilogue"), norm.list("epilogue")
    if norm.attrs["kind"] != "rms" or fused is None or len(weights) != 1 or fused.operands[0].kind != "column":
        return None
    head_dim = norm.shape[1] // norm.attrs["heads"]
    return HeadNorm(norm.attrs["eps"], fused.expr) if weights[0].shape[0] == head_dim else None


def _belong_together(q: _Heads, k: _Heads, cache: Node, attend: Node) -> bool:
    a, v = attend.attrs, cache["v"]
    if v.op != "slice" or not q.x["x"] is k.x["x"] is v["x"] or a["head_dim"] != a["v_head_dim"]:
        return False
    size, k_size = a["heads"] * a["head_dim"], a["kv_heads"] * a["head_dim"]
    starts = [n.attrs["start"] for n in (q.x, k.x, v)]
    if starts != [0, size, size + k_size] or v["x"].shape[1] != size + 2 * k_size or (q.norm is None) != (k.norm is None):
        return False
    if (
        q.count not in (None, a["heads"])
        or k.count not in (None, a["kv_heads"])
        or (q.inv_freq, q.scale, q.by) != (k.inv_freq, k.scale, k.by)
    ):
        return False
    return q.norm is None or k.norm is None or _head_norm(q.norm) == _head_norm(k.norm)


def _rotate_append(q: _Heads, k: _Heads, cache: Node, attend: Node) -> Node:
    a = attend.attrs
    attrs: dict[str, Any] = {name: a[name] for name in (*CACHE, "heads", "scale")}
    attrs |= {"inv_freq": q.inv_freq, "rope_scale": q.scale, **q.by}
    inputs = {"x": q.x["x"]}
    if q.norm and k.norm:
        inputs |= {"q_norm": q.norm["epilogue0"], "k_norm": k.norm["epilogue0"]}
        attrs["head_norm"] = _head_norm(q.norm)
    return replace(make("rotate_append", inputs, q.x.shape, attend.name, **attrs), where=attend.where)


def rotate_in_products(graph: Graph, target: Target) -> Graph:
    """rotate_append(linear(x)) -> linear_rotate(x), where nothing stands between, rows are few and buffers suffice"""
    users = graph.users()

    def rule(node: Node, old: Node) -> Node:
        product = node["x"] if node.op == "rotate_append" else node
        if product is node or users[old["x"]] != [old] or product.op != "linear" or "head_norm" in node.attrs:
            return node
        made = replace(product.with_(attrs=dict(node.attrs)), op="linear_rotate", shape=node.shape)
        operands = product.attrs["epilogue"].operands if "epilogue" in product.attrs else ()
        fits = is_few(made) and is_int8(target, made) and all(operand.kind == "column" for operand in operands)
        fits = fits and not KV_TYPES[target.kv_dtype].has_scales  # a thread has a pair, and 32 elements share one
        return made if fits and "form" not in product.attrs and has_room(target, made) else node

    return rewrite(graph, rule, "rotate_append")


def scale_queries(graph: Graph, target: Target) -> Graph:
    """attend(q) -> attend(scale * q), where rotation has not done it: what kernels of attention take"""

    def rule(node: Node, old: Node) -> Node:
        if node.op not in ("attend", "attend_all") or node.attrs["scale"] == 1:
            return node
        scaled = replace(node["q"] * node.attrs["scale"], where=node.where, name=f"{node.name}.q")
        return node.with_({"q": scaled}, attrs={"scale": 1.0})

    return rewrite(graph, rule, "attend", "attend_all")
