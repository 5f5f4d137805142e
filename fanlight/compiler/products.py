"""A product's node as the kernels see it: which values lie where, and which kernel computes it.  Asked by the passes that
decide how values lie in memory, and by the selection of kernels."""

from dataclasses import replace
from types import ModuleType
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.compiler.ops import ROUTE
from fanlight.compiler.target import Target
from fanlight.compiler.tuning import module_of
from fanlight.kernels import gemm, gemm_f16, gemm_int8, gemm_matrix, gemv, gemv_int8, linear
from fanlight.kernels.gemm_int8 import Tile
from fanlight.kernels.gemv_int8 import Shape
from fanlight.kernels.linear import IN_FLOATS, Experts, Linear
from fanlight.kernels.rotary import Rope
from fanlight.kernels.route import Route
from fanlight.kernels.spec import round_up

NARROW, LONG = 256, 512
OF_EXPERTS = ("experts", "experts_sum")


def stride(node: Node) -> int:
    """Elements from row to row of a value: whole vec4, but for logits."""
    return node.shape[1] if node.attrs.get("form") == "logits" else round_up(node.shape[1], 4)


def source(node: Node) -> tuple[Node, int]:
    """What a slice is of, and its first column there; of anything else, itself."""
    start = 0
    while node.op == "slice":
        start += node.attrs["start"]
        node = node["x"]
    return node, start


def weights_of(node: Node) -> list[Node]:
    return [s for slot, s in zip(node.slots, node.inputs, strict=True) if slot.startswith("weight")]


def is_few(node: Node) -> bool:
    """Whether its rows are few enough for a product of vectors."""
    return node.shape[0] <= gemv.MAX_COLUMNS


def is_int8(target: Target, node: Node) -> bool:
    """Whether it is a product that is computed in integers."""
    if node.op not in ("linear", "linear_rotate", *OF_EXPERTS) or not target.has_int8(gemv_int8 if is_few(node) else gemm_int8):
        return False
    _, start = source(node["x"])
    return start % 16 == 0 and not any(w.attrs["weight"].format in IN_FLOATS for w in weights_of(node))


def problems(target: Target, node: Node) -> list[Linear]:
    """One for each of the product's weights, which give neighbouring columns of the result."""
    if node.op in OF_EXPERTS:
        return _problems_of_experts(node)
    made, row_offset = [], 0
    for weight in weights_of(node):
        made.append(problem(target, node, weight, row_offset))
        row_offset += made[-1].n
    return made


def _problems_of_experts(node: Node) -> list[Linear]:
    """One for each of the weights, which have some experts' rows each."""
    made: list[Linear] = []
    a, (x, x_offset) = node.attrs, source(node["x"])
    rows = sum(weight.attrs["weight"].rows for weight in weights_of(node)) // a["experts"]
    for weight in weights_of(node):
        w, form = weight.attrs["weight"], "sum" if node.op == "experts_sum" else "own" if a.get("own") else "each"
        first = sum(p.experts.count for p in made if p.experts)
        p = Linear(w.format, rows, w.cols, node.shape[0], stride(x), stride(node), x_offset)
        p = replace(p, norm_eps=a.get("norm_eps"), prologue=a.get("prologue"), epilogue=a.get("epilogue"))
        p = replace(p, is_int8=x.attrs.get("form") == "int8x16", gives_int8=a.get("form") == "int8x16")
        choice = choice_of(node["route"]) if a.get("chooses") else None
        made.append(replace(p, experts=Experts(w.rows // rows, a["experts"], a["top_k"], first, form, choice)))
    return made


def choice_of(node: Node) -> Route:
    """Of a node that chooses experts."""
    sizes: dict[str, Any] = {name: node.attrs[name] for name in ROUTE}
    return Route(has_bias="bias" in node.slots, has_gain="gain" in node.slots, stride=stride(node["x"]), **sizes)


def tile_height(target: Target, node: Node) -> int:
    """Rows of a tile of experts' products of many rows."""
    (p, *_) = problems(target, node)
    kernel = module(target, node, p)
    return gemm.TILE if kernel is gemm else target.tuning.tile_of(p, target.limits).rows


def problem(target: Target, node: Node, weight: Node, row_offset: int) -> Linear:
    w, a = weight.attrs["weight"], node.attrs
    x, x_offset = source(node["x"])
    form = x.attrs.get("form")
    return Linear(
        format=w.format,
        n=w.rows,
        k=w.cols,
        rows=node.shape[0],
        x_stride=stride(x),
        y_stride=stride(node),
        x_offset=x_offset,
        row_offset=row_offset,
        norm_eps=a.get("norm_eps"),
        prologue=a.get("prologue"),
        epilogue=a.get("epilogue"),
        is_sampled=bool(a.get("is_sampled")),
        is_int8=form == "int8x16",
        gives_int8=a.get("form") == "int8x16",
        splits=x.attrs["splits"] if form == "splits" else 1,
        head_dim=x.attrs["v_head_dim"] if form == "splits" else 0,
        rope=rotation(target, node) if node.op == "linear_rotate" else None,
    )


def rotation(target: Target, node: Node) -> Rope:
    """Of a node that rotates and appends."""
    a = node.attrs
    pairs = len(a["inv_freq"])
    return Rope(a["heads"], target.kv_layout(node), a["scale"], a["rope_scale"], target.rows_at, pairs, a.get("by", ""))


def module(target: Target, node: Node, p: Linear) -> ModuleType:
    """The kernel that computes it."""
    if not is_int8(target, node):
        return gemv if is_few(node) or is_narrow(p) else gemm
    if is_few(node):
        return gemv_int8
    return gemm_matrix if share(target, p) else module_of(target.tuning.tile_of(p, target.limits))


def is_narrow(p: Linear) -> bool:
    """Whether the product's columns, a router's, are too few for tiles to occupy a large GPU."""
    return p.n <= NARROW and p.k >= LONG and p.experts is None and not p.is_paired


def share(target: Target, p: Linear) -> int:
    """Turns of K that a workgroup with matrices takes; 0 where the product is not for them."""
    turns = gemm_matrix.share_of(p) if target.may_use(gemm_matrix) and p.experts is None else 0
    return turns if turns and target.runs(gemm_matrix.make(p)) else 0


def cut(target: Target, kernel: ModuleType, p: Linear) -> tuple[Shape | Tile, ...]:
    """How the product is cut, where its kernel can be cut in several ways."""
    if kernel is gemv_int8:
        return (target.tuning.shape_of(p, target.limits),)
    return (target.tuning.tile_of(p, target.limits),) if kernel in (gemm_int8, gemm_f16) else ()


def gives_int8(target: Target, node: Node) -> bool:
    """Whether the kernel of a product of few rows can leave its result quantised."""
    return all(gemv_int8.may_give_int8(p, target.tuning.shape_of(p, target.limits)) for p in problems(target, node))


MOST_BUFFERS = 7  # of a product without operands: a weight twice, x and its scales or state, inputs, y and its scales
MOST_ROTATING = 9  # and of one that leaves q and the cache, and reads where it lies and frequencies


def has_room(target: Target, node: Node) -> bool:
    """Whether its kernel can bind all that the product reads."""
    grids = max(len(linear.constant_contents(w.attrs["weight"].format)) for w in weights_of(node))
    most = target.limits.max_storage_buffers_per_shader_stage - grids
    operands = len(node.list("prologue")) + len(node.list("epilogue"))
    if operands + (MOST_ROTATING if node.op == "linear_rotate" else MOST_BUFFERS) <= most:
        return True
    scales = not is_few(node) and is_int8(target, node)  # of x beside it, and of y where that is quantised
    return all(len(linear.bindings(p)) + (1 + p.is_paired if scales else 0) <= most + grids for p in problems(target, node))


def summed(target: Target, node: Node) -> Linear:
    """The product whose parts the node adds up, with all that is fused into the sum."""
    (p,) = problems(target, node["x"])
    return replace(p, epilogue=node.attrs.get("epilogue"), y_stride=stride(node["x"]))
