"""Products of the same activations whose results meet again become one: q, k and v; gate and up.

Their weights are stacked by rows where formats agree (one launch), and stay side by side where not (one launch each, into one
buffer). Users read their part through a `slice`."""

from dataclasses import replace

from fanlight.compiler.graph import Graph, Node, Weight, make, rewrite
from fanlight.compiler.products import weights_of
from fanlight.compiler.target import Target
from fanlight.kernels.linear import IN_FLOATS, packing_of

ON_THE_WAY = ("norm", "rope", "map", "append", "convolve", "delta")  # from a product to where its result meets others


def stack_siblings(graph: Graph, target: Target) -> Graph:
    users = graph.users()
    groups = [group for x in users for group in _siblings(x, users)]
    group_of = {node: group for group in groups for node in group}
    stacked: dict[Node, Node] = {}  # by the group's first

    def rule(node: Node, old: Node) -> Node:
        group = group_of.get(old)
        if group is None:
            return node
        first = group[0]
        if first not in stacked:
            stacked[first] = _stack(node["x"], group, target)
        start = sum(n.shape[1] for n in group[: group.index(old)])
        return make("slice", {"x": stacked[first]}, node.shape, node.name, start=start)

    return rewrite(graph, rule, "linear")


def _siblings(x: Node, users: dict[Node, list[Node]]) -> list[list[Node]]:
    linears = [user for user in dict.fromkeys(users[x]) if user.op == "linear" and user["x"] is x]
    groups: dict[tuple[Node, bool, bool], list[Node]] = {}
    for node in linears if len(linears) > 1 else []:
        is_float = weights_of(node)[0].attrs["weight"].format in IN_FLOATS
        groups.setdefault((_meeting(node, users), "bias" in node.slots, is_float), []).append(node)
    return [group for group in groups.values() if len(group) > 1]


def _meeting(node: Node, users: dict[Node, list[Node]]) -> Node:
    """The first operation on the way from a product that others' results come to."""
    while len(used_by := users[node]) == 1 and used_by[0].op in ON_THE_WAY and _is_alone(used_by[0]):
        node = used_by[0]
    return used_by[0] if len(used_by) == 1 or node.op == "append" else node


def _is_alone(node: Node) -> bool:
    """Whether but one of the operation's inputs is a value of the step. (What is appended will meet in attention; what a gated
    delta net reads, in its gates.)"""
    return node.op in ("append", "delta") or sum(not source.is_vector for source in node.inputs) == 1


def _stack(x: Node, linears: list[Node], target: Target) -> Node:
    inputs = {"x": x}
    most = target.limits.max_storage_buffer_binding_size
    runs: list[list[Weight]] = []
    for linear in linears:
        weight = linear["weight"].attrs["weight"]
        if runs and runs[-1][0].format == weight.format and _size([*runs[-1], weight]) <= most:
            runs[-1].append(weight)
        else:
            runs.append([weight])
    inputs |= {f"weight{i}" if i else "weight": weight_node(_stacked(run)) for i, run in enumerate(runs)}
    if "bias" in linears[0].slots:
        inputs["bias"] = weight_node(_stacked([n["bias"].attrs["weight"] for n in linears]))
    shape = (linears[0].shape[0], sum(n.shape[1] for n in linears))
    return replace(make("linear", inputs, shape, joined([n.name for n in linears])), where=linears[0].where)


def weight_node(weight: Weight) -> Node:
    return make("weight", {}, (weight.rows, weight.cols), weight.name, weight=weight)


def _stacked(weights: list[Weight]) -> Weight:
    pieces = tuple(piece for weight in weights for piece in weight.pieces)
    rows = sum(weight.rows for weight in weights)
    return replace(weights[0], name=joined([w.name for w in weights]), rows=rows, pieces=pieces)


def _size(weights: list[Weight]) -> int:
    return packing_of(weights[0].format, sum(w.rows for w in weights), weights[0].cols).size


def joined(names: list[str]) -> str:
    """'a.b.q_proj', 'a.b.k_proj' -> 'a.b.{q_proj,k_proj}'"""
    if len(names) == 1:
        return names[0]
    parts = [name.split(".") for name in names]
    same = 0
    while all(len(p) > same + 1 and p[same] == parts[0][same] for p in parts):
        same += 1
    return ".".join([*parts[0][:same], "{" + ",".join(".".join(p[same:]) for p in parts) + "}"])
