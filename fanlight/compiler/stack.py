"""Products of the same activations become one: q, k and v; gate and up.

Their weights are stacked by rows where formats agree (one launch), and stay side by side where not (one launch each, into one
buffer). Users read their part through a `slice`."""

from dataclasses import replace

from fanlight.compiler.graph import Graph, Node, Weight, make, rewrite
from fanlight.compiler.program import Limits
from fanlight.kernels.linear import packing_of


def stack_siblings(graph: Graph, limits: Limits) -> Graph:
    groups = [group for users in graph.users().items() if (group := _siblings(*users))]
    group_of = {node.name: group for group in groups for node in group}
    stacked: dict[str, Node] = {}

    def rule(node: Node) -> Node:
        group = group_of.get(node.name) if node.op == "linear" else None
        if group is None:
            return node
        key = group[0].name
        if key not in stacked:
            stacked[key] = _stack([n.with_({"x": node["x"]}) for n in group], limits)
        start = sum(n.shape[1] for n in group[: [n.name for n in group].index(node.name)])
        return make("slice", {"x": stacked[key]}, node.shape, node.name, start=start)

    return rewrite(graph, rule)


def _siblings(x: Node, users: list[Node]) -> list[Node]:
    linears = [user for user in users if user.op == "linear" and user["x"] is x]
    agree = len({"bias" in user.slots for user in linears}) == 1
    return linears if len(linears) > 1 and agree else []


def _stack(linears: list[Node], limits: Limits) -> Node:
    inputs = {"x": linears[0]["x"]}
    runs: list[list[Weight]] = []
    for linear in linears:
        weight = linear["weight"].attrs["weight"]
        if (
            runs
            and runs[-1][0].format == weight.format
            and _size([*runs[-1], weight]) <= limits.max_storage_buffer_binding_size
        ):
            runs[-1].append(weight)
        else:
            runs.append([weight])
    inputs |= {f"weight{i}" if i else "weight": weight_node(_stacked(run)) for i, run in enumerate(runs)}
    if "bias" in linears[0].slots:
        inputs["bias"] = weight_node(_stacked([n["bias"].attrs["weight"] for n in linears]))
    shape = (linears[0].shape[0], sum(n.shape[1] for n in linears))
    node = make("linear", inputs, shape, _joined([n.name for n in linears]))
    return replace(node, where=linears[0].where)


def weight_node(weight: Weight) -> Node:
    return make("weight", {}, (weight.rows, weight.cols), weight.name, weight=weight)


def _stacked(weights: list[Weight]) -> Weight:
    pieces = tuple(piece for weight in weights for piece in weight.pieces)
    rows = sum(weight.rows for weight in weights)
    return replace(weights[0], name=_joined([w.name for w in weights]), rows=rows, pieces=pieces)


def _size(weights: list[Weight]) -> int:
    return packing_of(weights[0].format, sum(w.rows for w in weights), weights[0].cols).size


def _joined(names: list[str]) -> str:
    """'a.b.q_proj', 'a.b.k_proj' -> 'a.b.{q_proj,k_proj}'"""
    if len(names) == 1:
        return names[0]
    parts = [name.split(".") for name in names]
    same = 0
    while all(len(p) > same + 1 and p[same] == parts[0][same] for p in parts):
        same += 1
    return ".".join([*parts[0][:same], "{" + ",".join(".".join(p[same:]) for p in parts) + "}"])
