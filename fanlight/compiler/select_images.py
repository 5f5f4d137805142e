"""Which kernels compute the operations of models that see: select.py's table goes on here."""

from collections.abc import Callable

from fanlight.compiler.graph import Node
from fanlight.compiler.products import source, stride
from fanlight.compiler.selection import Selection, is_put
from fanlight.kernels import keep_images, patches, put_images, stretch


def _patches(s: Selection, node: Node) -> None:
    a = node.attrs
    p = patches.Patches(a["patch"], stride(node), s.target.rows_at)
    s.draft(node, patches.make(p), {"pixels": "pixels"} | s.result(node), patches.grid(p, node.shape[0]))


def _stretch(s: Selection, node: Node) -> None:
    a = node.attrs
    p = stretch.Stretch(a["side"], node.shape[1], stride(node), s.target.rows_at, a.get("is_smooth", False))
    s.draft(node, stretch.make(p), {"table": s.weight(node["weight"])} | s.result(node), stretch.grid(p, node.shape[0]))


def _put_images(s: Selection, node: Node) -> None:
    if is_put(node):
        (rows, columns), (x, x_offset) = node.shape, source(node["x"])
        sizes = columns, stride(x), x_offset, stride(node), s.target.rows_at
        kernel = put_images.make(*sizes, node.attrs.get("part", 0), node.attrs.get("parts", 1))
        s.draft(node, kernel, {"x": s.value(x), "images": "images"} | s.result(node), put_images.grid(columns, rows))


def _keep_images(s: Selection, node: Node) -> None:
    (rows, columns), (x, x_offset) = node.shape, source(node["x"])
    kernel = keep_images.make(columns, stride(x), x_offset, s.target.rows_at, node.attrs.get("merge", 0))
    s.draft(node, kernel, {"x": s.value(x), "images": "images"}, keep_images.grid(columns, rows))


IMAGE_KERNELS: dict[str, Callable[[Selection, Node], None]] = {
    "patches": _patches,
    "put_images": _put_images,
    "stretch": _stretch,
    "keep_images": _keep_images,
}
