"""Which kernels compute the operations of models whose rows have several streams: select.py's table goes on here."""

from collections.abc import Callable

from fanlight.compiler.graph import Node
from fanlight.compiler.products import source, stride
from fanlight.compiler.selection import Selection
from fanlight.kernels import blend, rescale


def _blend(s: Selection, node: Node) -> None:
    found = {slot: source(node[slot]) for slot in ("x", "shares", "also") if slot in node.slots}
    places = {slot: (stride(whole), offset) for slot, (whole, offset) in found.items()}
    count = node.attrs["count"]
    columns = node.shape[1] // count
    sizes = columns, count, node["x"].shape[1] // columns
    p = blend.Blend(
        *sizes, places["x"], places["shares"], stride(node), places.get("also"), epilogue=node.attrs.get("epilogue")
    )
    operands = {slot: s.value(whole) for slot, (whole, _) in found.items()} | s.fused(node, "epilogue") | s.result(node)
    s.draft(node, blend.make(p), operands, blend.grid(p, node.shape[0]))


def _rescale(s: Selection, node: Node) -> None:
    a, (x, x_offset), (like, like_offset) = node.attrs, source(node["x"]), source(node["like"])
    sizes = node.shape[1] // a["heads"], a["heads"], node["like"].shape[1], a["least"]
    places = (stride(x), x_offset), (stride(like), like_offset), stride(node)
    p = rescale.Rescale(a["kind"], *sizes, *places, a.get("epilogue"))
    operands = {"x": s.value(x), "like": s.value(like)} | s.fused(node, "epilogue") | s.result(node)
    s.draft(node, rescale.make(p), operands, rescale.grid(p, node.shape[0]))


STREAM_KERNELS: dict[str, Callable[[Selection, Node], None]] = {"blend": _blend, "rescale": _rescale}
