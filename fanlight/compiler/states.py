"""What a model's layers keep of a sequence from step to step, as its graph says it."""

from collections.abc import Callable
from dataclasses import replace

from fanlight.compiler.graph import Graph, Node
from fanlight.compiler.ops import CACHE, CARRIES, KEEPS
from fanlight.compiler.program import KVState, SlotState
from fanlight.compiler.target import Target
from fanlight.errors import RequestError
from fanlight.kernels import convolve, delta, keep, scan, shift, timestamps, wkv
from fanlight.kernels.kv import BLOCK, KV_TYPES
from fanlight.kernels.spec import ceil_div

LATE_TOKENS = 64  # of a sequence: computed, and not yet known to stay


def states_of(graph: Graph, target: Target) -> tuple[KVState, ...]:
    """By layer; one that reads another's cache has none of its own. Raises ValueError where a layer keeps two things, or is
    read as what it is not."""
    kept: dict[int, Node] = {}
    for node in graph.nodes():
        if node.op in KEEPS:
            if node.attrs["layer"] in kept:
                raise ValueError(f"layer {node.attrs['layer']} keeps twice: {node.name} {node.where}")
            kept[node.attrs["layer"]] = node
        elif node.op == "attend":
            if _shape(node) != _shape(kept[node.attrs["layer"]]):
                raise ValueError(f"{node.name} {node.where} reads a cache of {_shape(node)} that is not kept so")
    windows = _windows(graph)
    return tuple(_state(kept[layer], tuple(windows.get(layer, ())), target) for layer in sorted(kept))


def with_windows(graph: Graph, target: Target, max_rows: int) -> Target:
    """The target whose layers that see a window keep no more than it, where that is at most half of a cache of all tokens, as
    fewer prefixes can be reused then: each sequence has the blocks that its next row sees and those of its last tokens, and one
    of them a step's rows besides."""
    widest = {layer: max(window or 0 for window in found) for layer, found in _windows(graph).items() if None not in found}
    for window in sorted(set(widest.values()), reverse=True):
        own = ceil_div(window + LATE_TOKENS, target.block_size) + 2
        count = target.max_num_seqs * own + ceil_div(max_rows, target.block_size)
        if 2 * count <= target.num_blocks:
            layers = frozenset(layer for layer, wide in widest.items() if wide <= window)
            return replace(target, window=window, windowed=layers, num_window_blocks=count)
    return target


def _windows(graph: Graph) -> dict[int, tuple[int | None, ...]]:
    """Of each layer's cache those of its readers."""
    found: dict[int, dict[int | None, None]] = {}
    for node in graph.nodes():
        if node.op == "attend":
            found.setdefault(node.attrs["layer"], {})[node.attrs["window"]] = None
    return {layer: tuple(windows) for layer, windows in found.items()}


def check_heads(graph: Graph, target: Target) -> None:
    """Raises RequestError where a layer's heads cannot be kept as the target has it."""
    for node in graph.nodes():
        if node.op in KEEPS and KV_TYPES[target.kv_dtype].has_scales:
            sizes = node.attrs["head_dim"], node.attrs["v_head_dim"]
            if any(size % BLOCK for size in sizes):
                raise RequestError(
                    f"a KV cache in {target.kv_dtype} has a scale to {BLOCK} elements of a head; {node.name} has heads of"
                    f" {' and '.join(str(size) for size in dict.fromkeys(sizes))}",
                    param="kv_dtype",
                    hint="f16",
                )


def slot_states_of(graph: Graph) -> tuple[SlotState, ...]:
    """By layer and operation. Raises ValueError where a layer's operation carries two things."""
    carried: dict[tuple[int, str], Node] = {}
    for node in graph.nodes():
        if node.op in CARRIES:
            place = node.attrs["layer"], node.op
            if place in carried:
                raise ValueError(f"layer {place[0]} carries two states of {node.op}: {node.name} {node.where}")
            carried[place] = node
    nodes = [carried[place] for place in sorted(carried)]
    return tuple(SlotState(node.name, state_buffer(node), SLOT_BYTES[node.op](node)) for node in nodes)


SLOT_BYTES: dict[str, Callable[[Node], int]] = {
    "convolve": lambda node: convolve.state_bytes(node.shape[1], node.attrs["taps"]),
    "delta": lambda node: delta.state_bytes(node.attrs["heads"], node.attrs["key_dim"], node.shape[1] // node.attrs["heads"]),
    "scan": lambda node: scan.state_bytes(node.shape[1], node.attrs["states"]),
    "attend_kept": lambda node: keep.state_bytes(node.shape[1], node.attrs["places"]),
    "timestamps": lambda node: 4 * timestamps.STATE_WORDS,
    "shift": lambda node: shift.state_bytes(node.shape[1]),
    "wkv": lambda node: wkv.state_bytes(node.attrs["heads"], node["w"].shape[1] // node.attrs["heads"]),
}


def _state(node: Node, windows: tuple[int | None, ...], target: Target) -> KVState:
    a = node.attrs
    return KVState(
        name=node.name,
        buffer=kv_buffer(a["layer"]),
        kv_heads=a["kv_heads"],
        head_dim=a["head_dim"],
        v_head_dim=a["v_head_dim"],
        dtype=target.kv_dtype,
        windows=windows,
        block_size=target.block_size,
        is_windowed=a["layer"] in target.windowed,
    )


def _shape(node: Node) -> dict[str, int]:
    return {name: node.attrs[name] for name in CACHE}


def state_buffer(node: Node) -> str:
    """What another step keeps lies where its reader looks."""
    return f"state.{node.attrs['layer']}.{'attend_kept' if node.op == 'keep' else node.op}"


def kv_buffer(layer: int) -> str:
    return f"kv.{layer}"
