"""Weights that exceed the adapter's largest binding are split by rows: one launch a part, into one result."""

from dataclasses import replace

from fanlight.compiler.graph import Graph, Node, Weight, rewrite
from fanlight.compiler.products import weights_of
from fanlight.compiler.program import Limits
from fanlight.compiler.stack import weight_node
from fanlight.compiler.target import Target
from fanlight.errors import DoesNotFit
from fanlight.kernels.linear import packing_of


def split_weights(graph: Graph, target: Target) -> Graph:
    parts_of: dict[Weight, list[Node]] = {}

    def parts(node: Node) -> list[Node]:
        weight = node.attrs["weight"]
        if weight not in parts_of:
            made = _split(weight, target.limits)
            parts_of[weight] = [node] if len(made) == 1 else [weight_node(part) for part in made]
        return parts_of[weight]

    def rule(node: Node, old: Node) -> Node:
        if node.op not in ("linear", "embed"):
            return node
        whole = weights_of(node)
        made = [part for weight in whole for part in parts(weight)]
        if len(made) == len(whole):
            return node
        others = {s: node[s] for s in node.slots if not s.startswith("weight")}
        inputs = others | {f"weight{i}" if i else "weight": part for i, part in enumerate(made)}
        return replace(node, slots=tuple(inputs), inputs=tuple(inputs.values()))

    return rewrite(graph, rule, "linear", "embed")


def _split(weight: Weight, limits: Limits) -> list[Weight]:
    size = packing_of(weight.format, weight.rows, weight.cols).size
    largest = limits.largest_buffer
    if size <= largest:
        return [weight]
    step = weight.pieces[0].head_dim or 32  # whole heads; an even number: no u32 of a plane is shared
    rows = int(weight.rows * largest / size * 0.999) // step * step
    if len(weight.pieces) > 1 or not rows:
        raise DoesNotFit(
            f"{weight.name} takes {size >> 10} KiB, and this adapter binds at most {largest >> 10} KiB",
            where=weight.name,
            hint="a smaller quantisation of the model",
        )
    piece = weight.pieces[0]
    row = packing_of(weight.format, 1, weight.cols)
    row_bytes = row.row_blocks * row.file_block_bytes
    return [
        replace(
            weight,
            name=f"{weight.name}[{first}:]",
            rows=min(rows, weight.rows - first),
            pieces=(piece.some(first, min(rows, weight.rows - first), row_bytes),),
        )
        for first in range(0, weight.rows, rows)
    ]
