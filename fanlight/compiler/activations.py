"""Activations are quantised for products in integers: where they are made, if all that read them are such products, or by a
node of its own."""

from fanlight.compiler.attention import all_have_room, all_quantize, problem
from fanlight.compiler.graph import Graph, Node, make, rewrite
from fanlight.compiler.products import gives_int8, has_room, is_few, is_int8
from fanlight.compiler.target import Target
from fanlight.kernels import attention_matrix, quantize
from fanlight.kernels.expressions import argument
from fanlight.kernels.packing import GROUP


def quantize_activations(graph: Graph, target: Target) -> Graph:
    """f(x) that only products in integers read -> f(x) that leaves quantised; linear(x) -> linear(quantize(x))"""
    users = graph.users()
    made: dict[Node, Node] = {}  # quantize, by what it is of

    def quantized(x: Node) -> Node:
        if x not in made:
            made[x] = make("quantize", {"in0": x}, x.shape, x.name, expr=argument(0), kinds=("element",), form="int8x32")
        return made[x]

    def rule(node: Node, old: Node) -> Node:
        if "form" in node.attrs:
            return node
        if is_few(node):
            return _of_few(target, node, old, users[old])
        if node.op in ("linear", "experts") and is_int8(target, node) and node["x"].attrs.get("form") != "int8x32":
            node = node.with_({"x": quantized(node["x"])})
        return _of_many(target, node, old, users[old])

    return rewrite(graph, rule, "linear", "experts", "map", "norm", "attend")


def _of_few(target: Target, node: Node, old: Node, users: list[Node]) -> Node:
    is_gated = node.op in ("linear", "experts") and "epilogue" in node.attrs and node.attrs["epilogue"].values == 2
    if not is_gated or not is_int8(target, node) or not all_quantize(target, old, users) or not gives_int8(target, node):
        return node
    quantized = node.with_(attrs={"form": "int8x16"})
    return quantized if has_room(target, quantized) and all_have_room(target, quantized, users) else node


def _of_many(target: Target, node: Node, old: Node, users: list[Node]) -> Node:
    if node.op in ("linear", "experts") and "epilogue" in node.attrs and node.attrs["epilogue"].values == 2:
        return node.with_(attrs={"form": "int8x32"})  # which is why its two halves were joined
    if node.shape[-1] % GROUP or not read_by_int8(target, old, users):
        return node
    if node.op == "map":
        if len(node.inputs) > quantize.MOST_OPERANDS:
            return node  # a map may read one more: what reads it gets a node of its own
        return make(
            "quantize", dict(zip(node.slots, node.inputs, strict=True)), node.shape, node.name, **node.attrs, form="int8x32"
        )
    if node.op == "norm" and node.attrs["heads"] == 1:
        return node.with_(attrs={"form": "int8x32"})
    if node.op == "attend":
        p = problem(target, node)
        if attention_matrix.takes(p) and target.may_use(attention_matrix) and target.runs(attention_matrix.make(p)):
            return node.with_(attrs={"form": "int8x32"})
    return node


def read_by_int8(target: Target, node: Node, users: list[Node]) -> bool:
    """Whether nothing reads the value but products of many rows in integers."""
    return bool(users) and all(
        u.op in ("linear", "experts") and not is_few(u) and is_int8(target, u) and u["x"] is node and u.inputs.count(node) == 1
        for u in users
    )
