"""Fusions: maps go into the norms and products around them, norms into products of few rows. One function each.

Where rows are few, a product's kernel sees whole rows of activations, so it can normalise (kernels/gemv.py); where they are
many, it works in tiles, and norms stay kernels of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fanlight.compiler.activations import read_by_int8
from fanlight.compiler.graph import Graph, Node, rewrite
from fanlight.compiler.products import has_room, is_few, is_int8, source, stride, weights_of
from fanlight.compiler.target import Target
from fanlight.kernels.expressions import IDENTITY, Expr, Fused, Operand, argument, is_linear, substituted

DELTA_BUFFERS = 3  # besides what it reads: the step's inputs, its state, and what it makes
OWN_KERNELS = ("mix", "blend", "rescale")  # which have room for as many
MOST_OPERANDS = 3  # of a product or a norm: every adapter binds that many more


def finish_rows(graph: Graph, target: Target) -> Graph:
    """map(norm(x), ...) -> norm(x, ...) that does it on the way out, and so of convolutions; of embeddings what needs nothing
    else"""
    users = graph.users()

    def rule(node: Node, old: Node) -> Node:
        if node.op != "map":
            return node
        for n, o in zip(node.inputs, old.inputs, strict=True):
            if (
                n.op in ("norm", "convolve", "embed")
                and users[o] == [old]
                and n.shape == node.shape
                and "epilogue" not in n.attrs
            ):
                made = absorbed(node, n, {n: Own()})
                return made if made and (n.op != "embed" or not made.attrs["epilogue"].operands) else node
        return node

    return rewrite(graph, rule, "map")


def start_deltas(graph: Graph, target: Target) -> Graph:
    """delta(x, map(a), map(b)) -> delta(x, a, b) that makes its rates of what it reads"""

    def rule(node: Node, old: Node) -> Node:
        for rate in ("decay", "beta"):
            made = node if rate in node.attrs else _with_rate(node, rate, node[f"{rate}s"])
            if len(made.inputs) + DELTA_BUFFERS <= target.limits.max_storage_buffers_per_shader_stage:
                node = made
        return node

    return rewrite(graph, rule, "delta")


def _with_rate(node: Node, rate: str, values: Node) -> Node:
    """Where they are a map of one value by row and head, and of vectors."""
    kinds = values.attrs["kinds"] if values.op == "map" else ()
    vectors = [n for n, kind in zip(values.inputs, kinds, strict=False) if kind == "column"]
    if kinds.count("element") != 1 or len(vectors) != len(kinds) - 1 or any(n.op != "weight" for n in vectors):
        return node
    own = values.inputs[kinds.index("element")]
    places = [argument(0) if n is own else argument(1 + vectors.index(n)) for n in values.inputs]
    fused = Fused(substituted(values.attrs["expr"], places), tuple(Operand("column", 0, n.shape[0]) for n in vectors))
    return node.with_({f"{rate}s": own, **{f"{rate}{i}": n for i, n in enumerate(vectors)}}, attrs={rate: fused})


def start_products(graph: Graph, target: Target) -> Graph:
    """linear(norm(x)) -> linear(x) that normalises as it reads: results are multiplied by 1/rms afterwards"""

    def rule(node: Node, old: Node) -> Node:
        if node.op not in ("linear", "experts") or not is_few(node) or "prologue" in node.attrs:
            return node
        norm = node["x"]
        if norm.op != "norm" or norm.attrs["kind"] != "rms" or norm.attrs["heads"] != 1:
            return node
        fused = norm.attrs.get("epilogue") or IDENTITY
        if not is_linear(fused.expr) or any(operand.kind != "column" for operand in fused.operands):
            return node
        operands = {f"prologue{i}": n for i, n in enumerate(norm.list("epilogue"))}
        made = node.with_({"x": norm["x"], **operands}, attrs={"norm_eps": norm.attrs["eps"], "prologue": fused})
        return made if has_room(target, made) else node

    return rewrite(graph, rule, "linear", "experts")


def gather_in_products(graph: Graph, target: Target) -> Graph:
    """linear(gather(x)) -> linear(x) that picks the sampled rows itself"""

    def rule(node: Node, old: Node) -> Node:
        if node.op != "linear" or not is_few(node) or node["x"].op != "gather":
            return node
        return node.with_({"x": node["x"]["x"]}, attrs={"is_sampled": True})

    return rewrite(graph, rule, "linear")


def finish_products(graph: Graph, target: Target) -> Graph:
    """map(linear(x), ...) -> linear(x, ...), for one product or for the two halves of one: gate and up"""
    users = graph.users()

    def rule(node: Node, old: Node) -> Node:
        if node.op == "linear" and "bias" in node.slots:
            return with_bias(node)
        if node.op != "map":
            return node
        for n, o in reversed(list(zip(node.inputs, old.inputs, strict=True))):
            if n.op in ("linear", "experts_sum", *OWN_KERNELS) and users[o] == [old] and n.shape == node.shape:
                made = absorbed(node, n, {n: own_of(n)})
                if made and (n.op in OWN_KERNELS or has_room(target, made)):
                    return made
        return _halves(node, old, users, target) or node

    return rewrite(graph, rule, "linear", "map")


def with_bias(node: Node) -> Node:
    inputs = {slot: node[slot] for slot in node.slots if slot != "bias"} | {"epilogue0": node["bias"]}
    operand = Operand("column", 0, node["bias"].shape[0])
    made = node.with_(attrs={"epilogue": Fused(argument(0) + argument(1), (operand,))})
    return replace(made, slots=tuple(inputs), inputs=tuple(inputs.values()))


def _halves(node: Node, old: Node, users: Mapping[Node, list[Node]], target: Target) -> Node | None:
    """The product whose halves the map reads, and nobody else, as one that leaves the map's result."""
    product = next((source(n)[0] for n in node.inputs if n.op == "slice" and n["x"].op == "linear"), None)
    if product is None or len(weights_of(product)) != 1 or product.shape[1] != 2 * node.shape[1]:
        return None
    halves = {n: n.attrs["start"] // node.shape[1] for n in node.inputs if n.op == "slice" and n["x"] is product}
    whole = next(o["x"] for n, o in zip(node.inputs, old.inputs, strict=True) if n in halves)
    slices = [o for n, o in zip(node.inputs, old.inputs, strict=True) if n in halves]
    if set(users[whole]) != set(slices) or any(users[o] != [old] for o in slices) or len(set(halves.values())) != 2:
        return None
    own = {n: own_of(product, half, half * node.shape[1]) for n, half in halves.items()}
    made = absorbed(node, product, own, values=2)
    if made is None or not has_room(target, made):
        return None
    if is_few(node):
        return made
    # Of many rows what is gated leaves quantised.
    is_free = all(operand.kind == "column" for operand in made.attrs["epilogue"].operands)
    return made if is_free and is_int8(target, made) and read_by_int8(target, old, users[old]) else None


@dataclass(frozen=True, slots=True)
class Own:
    """A value of the host's that a map reads: which of its values, and how the host finishes it so far."""

    value: int = 0
    fused: Fused = IDENTITY
    nodes: tuple[Node, ...] = ()  # that the operands of `fused` are of


def own_of(host: Node, value: int = 0, start: int = 0) -> Own:
    """From the host's column `start` on."""
    fused = host.attrs.get("epilogue") or IDENTITY
    operands = tuple(replace(operand, start=operand.start + start) for operand in fused.operands)
    return Own(value, replace(fused, operands=operands), host.list("epilogue"))


def absorbed(node: Node, host: Node, own: Mapping[Node, Own], values: int = 1) -> Node | None:
    """The host, finishing as the map says. own: which of the map's inputs are the host's. None where it cannot."""
    read: list[tuple[Operand, Node]] = []

    def place(operand: Operand, n: Node) -> Expr:
        operand = replace(operand, like=None)
        if (operand, n) not in read:
            read.append((operand, n))
        return argument(values + read.index((operand, n)))

    exprs: list[Expr] = []
    for n, kind in zip(node.inputs, node.attrs["kinds"], strict=True):
        if n in own:
            fused = own[n].fused
            places = [place(operand, of) for operand, of in zip(fused.operands, own[n].nodes, strict=True)]
            exprs.append(substituted(fused.expr, [argument(own[n].value), *places]))
        elif kind == "column" and n.op == "weight":
            exprs.append(place(Operand("column", 0, n.shape[0]), n))
        elif kind == "element":
            whole, start = source(n)
            exprs.append(place(Operand("element", start, 0, stride(whole)), whole))
        else:
            return None
    if len(read) > MOST_OPERANDS:
        return None
    nodes = [n for _, n in read]
    operands = [replace(o, like=None if nodes.index(n) == i else nodes.index(n)) for i, (o, n) in enumerate(read)]
    fused = Fused(substituted(node.attrs["expr"], exprs), tuple(operands), values)
    kept = {s: n for s, n in zip(host.slots, host.inputs, strict=True) if not s.startswith("epilogue")}
    kept |= {f"epilogue{i}": n for i, (_, n) in enumerate(read)}
    made = host.with_(attrs={"epilogue": fused})
    return replace(made, slots=tuple(kept), inputs=tuple(kept.values()), shape=node.shape)
