"""From graph to launches: which kernel computes a node, on which operands.  After this there are no operations, only launches.

Operands are names: `value:<n>` is a node's result, `weight:<name>` a packed weight, anything else a buffer of the Program."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType

from fanlight.compiler.graph import Graph, Node, Weight
from fanlight.compiler.program import Limits, rows_word
from fanlight.compiler.tuning import UNTUNED, Tuning, module_of
from fanlight.compiler.verify import fits
from fanlight.errors import KernelFailed, UnsupportedModel
from fanlight.kernels import (
    add_parts,
    add_parts_norm,
    add_parts_rope,
    attention,
    attention_decode,
    attention_matrix,
    attention_prefill,
    attention_reduce,
    embed,
    gather,
    gemm,
    gemm_f16,
    gemm_int8,
    gemm_matrix,
    gemv,
    gemv_int8,
    glu,
    linear,
    logits,
    quantize,
    rms_norm,
    rms_norm_int8,
    rope_kv,
    sample,
)
from fanlight.kernels.attention import Attention
from fanlight.kernels.kv import KVLayout
from fanlight.kernels.linear import FLOATS, Linear
from fanlight.kernels.rotary import Rope
from fanlight.kernels.spec import Kernel, round_up


@dataclass(frozen=True, slots=True)
class Draft:
    """A launch whose operands have no place yet. `operands`: binding -> operand."""

    kernel: Kernel
    operands: dict[str, str]
    grid: tuple[int, int, int]
    where: str


@dataclass(slots=True)
class Selection:
    """The launches of one step in order, the bytes of its values, and the weights that they read."""

    drafts: list[Draft]
    value_bytes: dict[str, int]
    weights: dict[str, Weight]
    kv_layers: set[int]


@dataclass(frozen=True, slots=True)
class StepShape:
    """What all steps of a program share."""

    kv: KVLayout
    context_length: int
    vocab_size: int
    max_num_seqs: int
    activations: str  # 'int8': products in integers; 'f32'
    without: frozenset[str] = frozenset()  # kernels that this adapter computes wrongly
    tuning: Tuning = UNTUNED  # how the others are cut for it


def stride(node: Node) -> int:
    """Elements from row to row: whole vec4."""
    return round_up(node.shape[1], 4)


class _Selector:
    def __init__(self, graph: Graph, limits: Limits, shape: StepShape):
        self.graph, self.limits, self.shape = graph, limits, shape
        self.users = graph.users()
        self.rows_at = rows_word(shape.max_num_seqs)
        self.names: dict[Node, str] = {}
        self.scales: dict[Node, str] = {}  # of values that are quantised
        self.states: dict[Node, str] = {}  # of attention that its reader joins
        self.splits: dict[Node, int] = {}
        self.parts: dict[Node, tuple[Linear, int, dict[str, str]]] = {}  # products whose reader sums: see add_parts_rope.py
        self.int8: dict[Node, dict[str, str]] = {}  # xq and xd: integers and scales of values that products of many rows take
        self.out = Selection([], {}, {}, set())

    def run(self) -> Selection:
        for node in self.graph.nodes():
            if node.op not in SELECT:
                raise UnsupportedModel(f"no kernel computes {node.op!r} as it stands here", where=f"{node.name} {node.where}")
            SELECT[node.op](self, node)
        return self.out

    def value(self, node: Node, num_bytes: int | None = None, suffix: str = "") -> str:
        """A new operand for (a part of) the node's result."""
        name = f"value:{len(self.out.value_bytes)}{suffix}"
        if not suffix:
            self.names[node] = name
        self.out.value_bytes[name] = num_bytes or node.shape[0] * stride(node) * 4
        return name

    def weight(self, node: Node) -> str:
        weight = node.attrs["weight"]
        self.out.weights[weight.name] = weight
        return f"weight:{weight.name}"

    def weight_operands(self, node: Node, kernel: Kernel) -> dict[str, str]:
        name = self.weight(node)
        return {binding.name: name for binding in kernel.bindings if binding.name in ("w", "s")}

    def is_int8(self, node: Node) -> bool:
        """Whether a product is computed in integers."""
        few = node.op == "linear" and node.shape[0] <= gemv.MAX_COLUMNS
        formats = {part.attrs["weight"].format for part in _weight_slots(node)} if few else FLOATS
        return self.has_int8(gemv_int8) and not formats & FLOATS

    def product_module(self, p: Linear) -> ModuleType:
        float_module, int8_module = (gemm, gemm_int8) if p.rows > gemv.MAX_COLUMNS else (gemv, gemv_int8)
        if not self.has_int8(int8_module) or p.format in FLOATS:
            return float_module
        if int8_module is gemv_int8:
            return gemv_int8
        return gemm_matrix if self.has_matrices(p) else module_of(self.shape.tuning.tile_of(p, self.limits))

    def has_matrices(self, p: Linear) -> bool:
        return gemm_matrix.share_of(p) > 0 and self.may_use(gemm_matrix) and fits(gemm_matrix.make(p), self.limits)

    def cut(self, module: ModuleType, p: Linear) -> tuple:
        """How the product is cut, where its kernel can be cut in several ways."""
        tuning = self.shape.tuning
        cuts = {gemv_int8: tuning.shape_of, gemm_int8: tuning.tile_of, gemm_f16: tuning.tile_of}
        return (cuts[module](p, self.limits),) if module in cuts else ()

    def in_parts(self, node: Node, p: Linear, share: int, operands: dict[str, str]) -> None:
        """A product whose K is shared out, and its sum."""
        sums = self.value(node, 4 * gemm_matrix.num_parts(p, share) * p.rows * p.n, ".parts")
        made = gemm_matrix.make(gemm_matrix.whole(p), share)
        self.draft(node, made, operands | {"y": sums}, gemm_matrix.grid(p, share))
        operands |= {"x": sums}
        if self.sums_and_turns(node, p, share):
            self.parts[node] = p, share, operands
            return
        norm = next((user for user in self.users[node] if user.op == "rms_norm" and self.only_int8(user)), None)
        if norm is None or norm.shape[1] != p.n or not add_parts_norm.takes(p):
            self.draft(node, add_parts.make(p, share), operands, add_parts.grid(p))
            return
        operands |= {"weight": self.weight(norm["weight"])} | self.int8_values(norm)
        self.draft(norm, add_parts_norm.make(p, share, norm.attrs["eps"]), operands, add_parts_norm.grid(p))

    def sums_and_turns(self, qkv: Node, p: Linear, share: int) -> bool:
        """Whether what rotates q and k sums the product's parts, too."""
        users = self.users[qkv]
        if len(users) != 1 or users[0].op != "attend" or p.n != qkv.shape[1]:
            return False
        made = add_parts_rope.make(replace(p, rope=_rope(self, users[0])), share, _head_eps(users[0]))
        return fits(made, self.limits)

    def has_int8(self, module: ModuleType) -> bool:
        return self.shape.activations == "int8" and self.may_use(module)

    def may_use(self, module: ModuleType) -> bool:
        return module.__name__.rpartition(".")[2] not in self.shape.without

    def may_be_int8(self, node: Node) -> bool:
        """Whether all that read the value would quantise it."""
        users = self.users[node]
        return bool(users) and all(self.is_int8(u) and u["x"] is node and "norm" not in u.slots for u in users)

    def only_int8(self, node: Node) -> bool:
        """Whether nothing wants the node's result but products of many rows that take it quantised."""
        users = self.users[node]
        if not self.has_int8(gemm_int8) or any(u.op != "linear" or u.shape[0] <= gemv.MAX_COLUMNS for u in users):
            return False
        parts = [part for u in users for part in _weight_slots(u)]
        return all(u.get("residual") is not node for u in users) and all(p.attrs["weight"].format not in FLOATS for p in parts)

    def gates(self, product: Node) -> bool:
        """Whether a product of many rows also gates its result, and leaves it quantised."""
        users, parts = self.users[product], _weight_slots(product)
        if not (len(users) == len(parts) == 1 and users[0].op == "glu" and self.only_int8(users[0])):
            return False
        return product.shape[0] > gemv.MAX_COLUMNS and parts[0].attrs["weight"].format not in FLOATS

    def int8_values(self, node: Node) -> dict[str, str]:
        """New operands for the node's result, quantised."""
        rows, k = node.shape
        self.int8[node] = {"xq": self.value(node, rows * k, ".int8"), "xd": self.value(node, rows * k // 8, ".scales")}
        return self.int8[node]

    def quantized(self, node: Node) -> dict[str, str]:
        """The node's result quantised, here where its producer left f32."""
        if node not in self.int8:
            rows, k = node.shape
            operands = {"x": self.names[node], "inputs": "inputs"} | self.int8_values(node)
            self.draft(node, quantize.make(k, stride(node)), operands, quantize.grid(rows, k))
        return self.int8[node]

    def results(self, node: Node, y: str | None = None, gives_int8: bool = False) -> dict[str, str]:
        """Operands of the node's result, made at their first use."""
        y = y or self.names.get(node) or self.value(node, node.shape[0] * stride(node) if gives_int8 else None)
        if not gives_int8:
            return {"y": y}
        self.scales[node] = self.scales.get(node) or self.value(node, node.shape[0] * stride(node) // 2, ".scales")
        return {"y": y, "y_scales": self.scales[node]}

    def turns(self, qkv: Node) -> bool:
        """Whether the product of q, k and v also rotates and appends: where nothing stands between, and buffers suffice."""
        users = self.users[qkv]
        if not (self.is_int8(qkv) and len(users) == 1 and users[0].op == "attend" and "q_norm" not in users[0].slots):
            return False
        rope = _rope(self, users[0])
        made = (_product(self, qkv, part.attrs["weight"], 0, False, rope) for part in _weight_slots(qkv))
        return all(len(linear.bindings(p)) <= self.limits.max_storage_buffers_per_shader_stage for p in made)

    def draft(self, node: Node, kernel: Kernel, operands: dict[str, str], grid: tuple[int, int, int]) -> None:
        """operands: at least those of the kernel's bindings."""
        operands = {binding.name: operands[binding.name] for binding in kernel.bindings}
        self.out.drafts.append(Draft(kernel, operands, grid, f"{node.name} {node.where}".strip()))


def _weight_slots(node: Node) -> list[Node]:
    return [source for slot, source in zip(node.slots, node.inputs, strict=True) if slot.startswith("weight")]


def _embed(s: _Selector, node: Node) -> None:
    y, first, rows = s.value(node), 0, node.shape[0]
    for part in _weight_slots(node):
        w = part.attrs["weight"]
        kernel = embed.make(w.format, w.rows, w.cols, stride(node), s.shape.vocab_size, first, s.rows_at)
        operands = {"inputs": "inputs", "next_token": "next_token", "token_counts": "token_counts", "y": y}
        s.draft(node, kernel, s.weight_operands(part, kernel) | operands, embed.grid(rows))
        first += w.rows


def _linear(
    s: _Selector, node: Node, y: str | None = None, rope: Rope | None = None, gated: dict[str, str] | None = None
) -> None:
    """gated: the operands of its GLU, quantised, where that is what a product of many rows leaves."""
    x = node["x"]
    if "residual" in node.slots and stride(node["residual"]) != stride(node):
        raise KernelFailed("residual and result differ in shape", where=node.name)
    row_offset = 0
    for part in _weight_slots(node):
        p = _product(s, node, part.attrs["weight"], row_offset, y == "logits", rope)
        p = replace(p, is_glu=True, y_stride=p.n // 2) if gated else p
        module = s.product_module(p)
        cut = s.cut(module, p)
        kernel = module.make(p, *cut)
        operands = s.weight_operands(part, kernel) | {"inputs": "inputs"}
        operands |= s.quantized(x) if module in (gemm_f16, gemm_int8, gemm_matrix) else {"x": s.names[x]}
        operands |= {"x_scales": s.scales[x]} if p.is_int8 else {}
        operands |= {"x_state": s.states[x]} if p.splits > 1 else {}
        operands |= {slot: s.weight(node[slot]) for slot in ("norm", "bias") if slot in node.slots}
        operands |= {"residual": s.names[node["residual"]]} if "residual" in node.slots else {}
        operands |= gated or (_rope_operands(s, node) if rope else s.results(node, y, p.gives_int8))
        share = gemm_matrix.share_of(p)
        if module is gemm_matrix and share < gemm_matrix.turns_of(p):
            s.in_parts(node, p, share, operands)
        else:
            s.draft(node, kernel, operands, module.grid(p, *cut))
        row_offset += p.n


def _product(s: _Selector, node: Node, w: Weight, row_offset: int, is_head: bool, rope: Rope | None) -> Linear:
    p = Linear(
        format=w.format,
        n=w.rows,
        k=w.cols,
        rows=node.shape[0],
        x_stride=stride(node["x"]),
        y_stride=node.shape[1] if is_head else stride(node),
        row_offset=row_offset,
        norm_eps=node.attrs["eps"] if "norm" in node.slots else None,
        has_bias="bias" in node.slots,
        has_residual="residual" in node.slots,
        is_glu=bool(node.attrs.get("is_glu")),
        is_sampled=bool(node.attrs.get("is_sampled")),
        is_int8=node["x"] in s.scales,
        splits=s.splits.get(node["x"], 1),
        head_dim=s.shape.kv.head_dim,
        rope=rope,
    )
    gives_int8 = p.is_glu and s.may_be_int8(node) and gemv_int8.may_give_int8(p, s.shape.tuning.shape_of(p, s.limits))
    return replace(p, gives_int8=gives_int8)


def _rope_operands(s: _Selector, qkv: Node) -> dict[str, str]:
    (attend,) = s.users[qkv]
    q = s.names.get(attend) or s.value(attend, qkv.shape[0] * attend.shape[1] * 4)
    cache = f"kv.{attend.attrs['layer']}"
    return {"block_table": "block_table", "inv_freq": "inv_freq", "kv": cache, "q": q}


def _gather(s: _Selector, node: Node) -> None:
    samples, size = node.shape[0], stride(node)
    operands = {"x": s.names[node["x"]], "inputs": "inputs", "y": s.value(node)}
    s.draft(node, gather.make(size), operands, gather.grid(samples, size))


def _rms_norm(s: _Selector, node: Node) -> None:
    if node in s.int8:
        return  # with the sum before it
    rows, c = node.shape
    operands = {"x": s.names[node["x"]], "weight": s.weight(node["weight"]), "inputs": "inputs"}
    module = rms_norm_int8 if s.only_int8(node) else rms_norm
    operands |= s.int8_values(node) if module is rms_norm_int8 else {"y": s.value(node)}
    s.draft(node, module.make(c, stride(node), node.attrs["eps"]), operands, module.grid(rows))


def _glu(s: _Selector, node: Node) -> None:
    rows, f = node.shape
    x = node["x"]
    if s.gates(x):
        made = s.int8_values(node)
        return _linear(s, x, gated={"yq": made["xq"], "yd": made["xd"]})
    operands = {"x": s.names[x], "inputs": "inputs"}
    if s.only_int8(node):
        kernel = quantize.make(f, stride(x), from_glu=True)
        s.draft(node, kernel, operands | s.int8_values(node), quantize.grid(rows, f))
    else:
        kernel = glu.make(f, stride(x), stride(node))
        s.draft(node, kernel, operands | {"y": s.value(node)}, glu.grid(rows, f))


def _rope(s: _Selector, node: Node) -> Rope:
    a = node.attrs
    return Rope(a["heads"], s.shape.kv, a["scale"], a["rope_scale"], s.rows_at)


def _attend(s: _Selector, node: Node) -> None:
    qkv = node["qkv"]
    s.out.kv_layers.add(node.attrs["layer"])
    if s.turns(qkv):
        _linear(s, qkv, rope=_rope(s, node))
        q = s.names.pop(node)
    else:
        q = _turn(s, node)
    if all(user.op == "finish" for user in s.users[node]):
        return  # the KV cache is all that is wanted
    a, rows = node.attrs, node.shape[0]
    p = Attention(rows, a["heads"], s.shape.kv, s.rows_at, num_splits(s.shape, rows), a["window"])
    operands = {"q": q, "kv": f"kv.{a['layer']}", "inputs": "inputs", "block_table": "block_table"}
    if rows <= gemv.MAX_COLUMNS and attention_decode.takes(p) and s.may_use(attention_decode):
        return _attend_few(s, node, p, operands)
    if attention_matrix.takes(p) and s.only_int8(node) and fits(attention_matrix.make(p), s.limits):
        return s.draft(node, attention_matrix.make(p), operands | s.int8_values(node), attention_matrix.grid(p))
    if rows > gemv.MAX_COLUMNS and s.may_use(attention_prefill):
        tile = attention_prefill.default_tile(p, s.limits.max_compute_workgroup_storage_size)
        return s.draft(node, attention_prefill.make(p, tile), operands | s.results(node), attention_prefill.grid(p, tile))
    p = replace(p, splits=1)
    operands |= s.results(node) | {"state": s.value(node, rows * a["heads"] * 8, ".state")}
    s.draft(node, attention.make(p), operands, attention.grid(p))


def _turn(s: _Selector, node: Node) -> str:
    """q, rotated, in a launch of its own."""
    qkv, rope, eps = node["qkv"], _rope(s, node), _head_eps(node)
    q = s.value(node, node.shape[0] * node.shape[1] * 4, ".q")
    operands = {"inputs": "inputs", "block_table": "block_table", "kv": f"kv.{node.attrs['layer']}"}
    operands |= {"inv_freq": "inv_freq", "q": q}
    operands |= {slot: s.weight(node[slot]) for slot in ("q_norm", "k_norm") if slot in node.slots}
    if qkv in s.parts:
        p, share, parts = s.parts[qkv]
        kernel = add_parts_rope.make(replace(p, rope=rope), share, eps)
        operands |= parts
    else:
        kernel = rope_kv.make(rope, stride(qkv), eps)
        operands |= {"qkv": s.names[qkv]}
    s.draft(node, kernel, operands, rope_kv.grid(rope, node.shape[0]))
    return q


def _head_eps(attend: Node) -> float | None:
    """Of the norms of q's and k's heads, where there are such."""
    return attend.attrs["eps"] if "q_norm" in attend.slots else None


def _attend_few(s: _Selector, node: Node, p: Attention, operands: dict[str, str]) -> None:
    cut, d = attention_decode.default_shape(p), s.shape.kv.head_dim
    if p.splits == 1:
        gives_int8 = s.may_be_int8(node)
        kernel = attention_decode.make(p, cut, gives_int8)
        return s.draft(node, kernel, operands | s.results(node, None, gives_int8), attention_decode.grid(p, cut))
    joined_by_reader = p.splits <= MOST_JOINED_SPLITS and s.may_be_int8(node)
    parts = s.value(node, p.rows * p.heads * d * p.splits * 4, "" if joined_by_reader else ".parts")
    state = s.value(node, p.rows * p.heads * p.splits * 8, ".state")
    operands |= {"y": parts, "state": state}
    s.draft(node, attention_decode.make(p, cut), operands, attention_decode.grid(p, cut))
    if joined_by_reader:
        s.states[node], s.splits[node] = state, p.splits
        return
    operands = {"x": parts, "state": state, "inputs": "inputs"} | s.results(node)
    s.draft(node, attention_reduce.make(p.heads, d, p.splits), operands, attention_reduce.grid(p.rows, p.heads))


MOST_JOINED_SPLITS = 4  # every workgroup of the reader reads all of them
LONG_CONTEXT = 4096


def num_splits(shape: StepShape, rows: int) -> int:
    """Workgroups that share one row's positions: enough to fill a large GPU, none shorter than a tile."""
    if rows > gemv.MAX_COLUMNS:
        return 1
    wanted = MOST_JOINED_SPLITS if shape.context_length <= LONG_CONTEXT else 16
    return max(1, min(wanted, shape.context_length // attention.TILE))


def _sample(s: _Selector, node: Node) -> None:
    x, count = node["x"], node.shape[0]
    _linear(s, x, "logits")
    v = x.shape[1]
    parts = s.value(node, count * logits.num_parts(v) * 8, ".parts")
    operands = {"inputs": "inputs", "token_counts": "token_counts", "logit_bias": "logit_bias", "logits": "logits"}
    s.draft(node, logits.make(v), operands | {"parts": parts}, logits.grid(count, v))
    operands = {"inputs": "inputs", "logits": "logits", "parts": parts, "next_token": "next_token", "sampled": "sampled"}
    s.draft(node, sample.make(v), operands, sample.grid(count))


def _maybe_linear(s: _Selector, node: Node) -> None:
    # The head writes straight to the buffer `logits`, when `sample` asks; a product that also rotates waits for `attend`.
    if not (s.graph.root.op == "sample" and s.graph.root["x"] is node) and not s.turns(node) and not s.gates(node):
        _linear(s, node)


SELECT: dict[str, Callable[[_Selector, Node], None]] = {
    "weight": lambda s, node: None,
    "finish": lambda s, node: None,
    "embed": _embed,
    "gather": _gather,
    "linear": _maybe_linear,
    "rms_norm": _rms_norm,
    "glu": _glu,
    "attend": _attend,
    "sample": _sample,
}


def select_kernels(graph: Graph, limits: Limits, shape: StepShape) -> Selection:
    return _Selector(graph, limits, shape).run()
