"""Fusions: what stands around a product goes into it, what stands around attention goes into that. One function each.

Where rows are few, a product's kernel sees whole rows of activations, so it can normalise and gate (kernels/gemv.py); where
they are many, it works in tiles, and norm and GLU stay kernels of their own."""

from dataclasses import replace

from fanlight.compiler.graph import Graph, Node, make, rewrite
from fanlight.compiler.program import Limits
from fanlight.kernels.gemv import MAX_COLUMNS


def fuse_attention(graph: Graph, limits: Limits) -> Graph:
    """attend(rope(norm?(q)), rope(norm?(k)), v), all slices of one product -> attend(qkv)"""

    def rule(node: Node) -> Node:
        if node.op != "attend" or "qkv" in node.slots:
            return node
        (q, q_norm), (k, k_norm) = _unrotated(node["q"]), _unrotated(node["k"])
        v = node["v"]
        if not (q and k and q.op == k.op == v.op == "slice" and q["x"] is k["x"] is v["x"]):
            return node
        rope = node["q"].attrs
        attrs = {**node.attrs, "inv_freq": rope["inv_freq"], "rope_scale": rope["scale"]}
        inputs = {"qkv": q["x"]}
        if q_norm and k_norm:
            inputs |= {"q_norm": q_norm["weight"], "k_norm": k_norm["weight"]}
            attrs["eps"] = q_norm.attrs["eps"]
        return replace(make("attend", inputs, node.shape, node.name, **attrs), where=node.where)

    return rewrite(graph, rule)


def _unrotated(node: Node) -> tuple[Node | None, Node | None]:
    """What rope rotates, and the head norm before it."""
    if node.op != "rope":
        return None, None
    x = node["x"]
    return (x["x"], x) if x.op == "rms_norm" else (x, None)


def fuse_norm(graph: Graph, limits: Limits) -> Graph:
    """linear(rms_norm(x)) -> linear(x, norm)"""

    def rule(node: Node) -> Node:
        if node.op != "linear" or node.shape[0] > MAX_COLUMNS or "norm" in node.slots:
            return node
        norm = node["x"]
        if norm.op != "rms_norm" or norm.attrs["heads"] != 1:
            return node
        return node.with_({"x": norm["x"], "norm": norm["weight"]}, attrs={"eps": norm.attrs["eps"]})

    return rewrite(graph, rule)


def fuse_gather(graph: Graph, limits: Limits) -> Graph:
    """linear(gather(x)) -> linear(x) that picks the sampled rows itself"""

    def rule(node: Node) -> Node:
        if node.op != "linear" or node.shape[0] > MAX_COLUMNS or node["x"].op != "gather":
            return node
        return node.with_({"x": node["x"]["x"]}, attrs={"is_sampled": True})

    return rewrite(graph, rule)


def fuse_glu(graph: Graph, limits: Limits) -> Graph:
    """glu(gate, up) of one product -> a product that gates, or glu(gate and up side by side)"""
    users = {node.name: users for node, users in graph.users().items() if node.op == "linear"}

    def rule(node: Node) -> Node:
        if node.op != "glu" or "x" in node.slots:
            return node
        gate, up = node["gate"], node["up"]
        if not (gate.op == up.op == "slice" and gate["x"] is up["x"] and gate.attrs["start"] == 0):
            return node
        product = gate["x"]
        one_weight = "weight1" not in product.slots
        alone = all(user.op == "slice" for user in users[product.name])
        if node.shape[0] <= MAX_COLUMNS and one_weight and alone and "residual" not in product.slots:
            return replace(product.with_(attrs={"is_glu": True}), shape=node.shape)
        return replace(make("glu", {"x": product}, node.shape, node.name), where=node.where)

    return rewrite(graph, rule)


def fuse_residual(graph: Graph, limits: Limits) -> Graph:
    """x + linear(y) -> linear(y, residual=x)"""
    uses = {node.name: len(users) for node, users in graph.users().items() if node.op == "linear"}

    def rule(node: Node) -> Node:
        if node.op != "add":
            return node
        for x, y in ((node["x"], node["y"]), (node["y"], node["x"])):
            if y.op == "linear" and uses.get(y.name) == 1 and "residual" not in y.slots and not y.attrs.get("is_glu"):
                return y.with_({"residual": x})
        return node

    return rewrite(graph, rule)
