"""Which kernels compute the operations of models that hear: select.py's table goes on here."""

from collections.abc import Callable

from fanlight.compiler.graph import Node
from fanlight.compiler.products import source, stride
from fanlight.compiler.selection import Selection
from fanlight.compiler.states import state_buffer
from fanlight.kernels import attention_kept, keep, level, mel, timestamps, unfold

SOUND = "sound"  # the buffer of what an encoder hears: f32, kernels/mel.py
LOUDEST = "loudest"  # f32 [1], kernels/level.py


def _mel(s: Selection, node: Node) -> None:
    p = mel.Mel(node.attrs["mels"], stride(node))
    operands = {"sound": SOUND, "cosines": s.table(mel.cosines()), "filters": s.table(mel.filters(p.mels))} | s.result(node)
    s.draft(node, mel.make(p), operands, mel.grid(node.shape[0]))


def _level(s: Selection, node: Node) -> None:
    x, x_offset = source(node["x"])
    kernel = level.make(node.shape[1], stride(x), x_offset, stride(node))
    s.draft(node, kernel, {"x": s.value(x), "loudest": LOUDEST} | s.result(node), level.grid())


def _unfold(s: Selection, node: Node) -> None:
    (even, even_offset), (odd, odd_offset) = source(node["even"]), source(node["odd"])
    places = stride(even), even_offset, stride(odd), odd_offset, stride(node)
    p = unfold.Unfold(node["even"].shape[1], node.attrs["taps"], node.attrs["start"], *places)
    operands = {"even": s.value(even), "odd": s.value(odd)} | s.result(node)
    s.draft(node, unfold.make(p), operands, unfold.grid(p, node.shape[0]))


def _keep(s: Selection, node: Node) -> None:
    (k, k_offset), (v, v_offset) = source(node["k"]), source(node["v"])
    places = stride(k), k_offset, stride(v), v_offset, s.target.rows_at
    p = keep.Keep(node["k"].shape[1], node.attrs["places"], *places)
    operands = {"k": s.value(k), "v": s.value(v), "state": state_buffer(node)}
    s.draft(node, keep.make(p), operands, keep.grid(p, node["k"].shape[0]))


def _attend_kept(s: Selection, node: Node) -> None:
    a, (q, q_offset) = node.attrs, source(node["q"])
    sizes = a["heads"], node.shape[1] // a["heads"], a["places"], a["scale"]
    p = attention_kept.AttentionKept(*sizes, stride(q), q_offset, stride(node), s.target.rows_at)
    operands = {"q": s.value(q), "state": state_buffer(node)} | s.result(node)
    s.draft(node, attention_kept.make(p), operands, attention_kept.grid(p, node.shape[0]))


def _timestamps(s: Selection, node: Node) -> None:
    p, (x, x_offset) = node.attrs["transcript"], source(node["x"])
    operands = {"x": s.value(x), "refused": s.constant(b"".join(timestamps.refused(p))), "next_token": "next_token"}
    operands |= {"state": state_buffer(node)} | s.result(node)
    kernel = timestamps.make(p, stride(x), x_offset, stride(node), s.target.rows_at)
    s.draft(node, kernel, operands, timestamps.grid(node.shape[0]))


SOUND_KERNELS: dict[str, Callable[[Selection, Node], None]] = {
    "mel": _mel,
    "level": _level,
    "unfold": _unfold,
    "keep": _keep,
    "attend_kept": _attend_kept,
    "timestamps": _timestamps,
}
