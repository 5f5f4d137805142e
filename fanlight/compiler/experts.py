"""Products of experts: gate and up become one, weights that are too large are split by experts, and where rows are many each
part is a product of its own, in tiles of parts that have the same expert."""

from dataclasses import replace

from fanlight.compiler.fuse import absorbed, own_of, with_bias
from fanlight.compiler.graph import Graph, Node, Piece, Weight, make, rewrite
from fanlight.compiler.products import OF_EXPERTS, cut, has_room, is_few, is_int8, module, problems, tile_height, weights_of
from fanlight.compiler.stack import joined, weight_node
from fanlight.compiler.target import Target
from fanlight.errors import DoesNotFit
from fanlight.kernels.linear import packing_of

MOST_CHOSEN_ANEW = 256  # experts out of which every workgroup of a product chooses
FEWEST_THREADS = 64  # of a workgroup, each of which writes one of what is chosen


def pair_experts(graph: Graph, target: Target) -> Graph:
    """map(experts(x), experts(x)) -> experts(x) of both weights, whose halves meet; of many rows where that leaves quantised"""
    users = graph.users()

    def rule(node: Node, old: Node) -> Node:
        if node.op == "experts":
            return with_bias(node) if "bias" in node.slots else node
        gate, up = _pair(node) or (None, None)
        if not gate or not up or any(users[o] != [old] for o in old.inputs if o.op == "experts"):
            return node
        first, second = gate["weight"].attrs["weight"], up["weight"].attrs["weight"]
        if first.format != second.format or gate["x"] is not up["x"] or gate["route"] is not up["route"]:
            return node
        both = replace(first, name=joined([first.name, second.name]), rows=2 * first.rows, pieces=first.pieces + second.pieces)
        host = gate.with_({"weight": weight_node(both)}, name=joined([gate.name, up.name]))
        made = absorbed(node, host, {gate: own_of(gate), up: own_of(up, 1)}, values=2)
        if made is None or not has_room(target, made):
            return node
        leaves_int8 = is_int8(target, made) and all(user.op == "experts_sum" and is_int8(target, user) for user in users[old])
        return made if is_few(made) or leaves_int8 else node

    return rewrite(graph, rule, "experts", "map")


def _pair(node: Node) -> tuple[Node, Node] | None:
    """The two products that a map reads, and nothing else that has rows."""
    read = [n for n in node.inputs if not n.is_vector]
    if len(read) != 2 or any(n.op != "experts" or n.shape != node.shape for n in read):
        return None
    return read[0], read[1]


def split_experts(graph: Graph, target: Target) -> Graph:
    """Weights that exceed the adapter's largest binding, by experts: one launch a part"""
    largest = target.limits.largest_buffer

    def rule(node: Node, old: Node) -> Node:
        weight: Weight = node["weight"].attrs["weight"]
        size = packing_of(weight.format, weight.rows, weight.cols).size
        if size <= largest:
            return node
        count, halves = node.attrs["experts"], node.attrs["epilogue"].values if "epilogue" in node.attrs else 1
        step = 1 if weight.rows // count % 2 == 0 else 2  # no u32 of a plane is shared
        some = int(count * largest / size * 0.999) // step * step
        if not some:
            raise DoesNotFit(
                f"experts of {weight.name} take {size // count >> 10} KiB each, and this adapter binds at most"
                f" {largest >> 10} KiB",
                where=weight.name,
                hint="a smaller quantisation of the model",
            )
        parts = [_experts_of(weight, count, halves, first, min(some, count - first)) for first in range(0, count, some)]
        others = {slot: n for slot, n in zip(node.slots, node.inputs, strict=True) if slot != "weight"}
        inputs = others | {f"weight{i}" if i else "weight": weight_node(part) for i, part in enumerate(parts)}
        return replace(node, slots=tuple(inputs), inputs=tuple(inputs.values()))

    return rewrite(graph, rule, *OF_EXPERTS)


def _experts_of(weight: Weight, count: int, halves: int, first: int, some: int) -> Weight:
    """Of a weight whose halves have all experts' rows, `some` experts' from `first` on."""
    half = weight.rows // halves
    rows = half // count
    pieces = [piece for i in range(halves) for piece in _rows_of(weight, i * half + first * rows, some * rows)]
    name = f"{weight.name}[{first}:{first + some}]"
    return replace(weight, name=name, rows=halves * some * rows, pieces=tuple(pieces))


def _rows_of(weight: Weight, first: int, count: int) -> list[Piece]:
    row = packing_of(weight.format, 1, weight.cols)
    row_bytes, at, found = row.row_blocks * row.file_block_bytes, 0, []
    for piece in weight.pieces:
        start, end = max(first, at), min(first + count, at + piece.rows)
        if start < end:
            found.append(piece.some(start - at, end - start, row_bytes))
        at += piece.rows
    return found


def mix_experts(graph: Graph, target: Target) -> Graph:
    """experts_sum(x) -> mix(experts(x)), where rows are many, or several weights have the experts"""

    def rule(node: Node, old: Node) -> Node:
        if is_few(node) and len(weights_of(node)) == 1:
            return node
        top_k, slots = node.attrs["top_k"], {slot: node[slot] for slot in node.slots if slot.startswith("epilogue")}
        kept = {slot: node[slot] for slot in node.slots if slot not in slots}
        sizes = {"experts": node.attrs["experts"], "top_k": top_k}
        shape = node.shape[0], top_k * node.shape[1]
        parts = replace(make("experts", kept, shape, node.name, **sizes, own=True), where=node.where)
        attrs = sizes | ({"epilogue": node.attrs["epilogue"]} if "epilogue" in node.attrs else {})
        made = make("mix", {"x": parts, "route": node["route"], **slots}, node.shape, node.name, **attrs)
        return replace(made, where=node.where)

    return rewrite(graph, rule, "experts_sum")


def choose_in_products(graph: Graph, target: Target) -> Graph:
    """experts(x, route(y)) of few rows -> one that makes the choice as it begins, and leaves it to the others that read it"""
    users = graph.users()
    first = {node: used_by[0] for node, used_by in users.items() if node.op == "route" and used_by}

    def rule(node: Node, old: Node) -> Node:
        if node.op == "route":
            return node.with_(attrs={"is_late": True}) if old in first and _may_choose(target, first[old]) else node
        is_first = first.get(old["route"]) is old and _may_choose(target, old)
        return node.with_(attrs={"chooses": True}) if is_first else node

    return rewrite(graph, rule, "route", "experts")


def _may_choose(target: Target, node: Node) -> bool:
    """Whether a product's workgroups can each make the choice at less than a launch's cost."""
    if node.op != "experts" or not is_few(node) or node.attrs.get("own") or len(weights_of(node)) > 1:
        return False
    if node.attrs["experts"] > MOST_CHOSEN_ANEW or node.attrs["top_k"] > FEWEST_THREADS:
        return False
    made = node.with_(attrs={"chooses": True})
    (p,) = problems(target, made)
    kernel = module(target, made, p)
    return target.runs(kernel.make(p, *cut(target, kernel, p)))


def order_experts(graph: Graph, target: Target) -> Graph:
    """experts(x, route) of many rows -> experts(x, route, order(route))"""
    orders: dict[tuple[Node, int], Node] = {}

    def rule(node: Node, old: Node) -> Node:
        if is_few(node) or "order" in node.slots:
            return node
        route, height = node["route"], tile_height(target, node)
        if (route, height) not in orders:
            sizes = {name: route.attrs[name] for name in ("experts", "top_k")}
            made = make("order", {"route": route}, (node.shape[0], sizes["top_k"]), node.name, **sizes, height=height)
            orders[route, height] = replace(made, where=route.where)
        return node.with_({"order": orders[route, height]})

    return rewrite(graph, rule, "experts")
