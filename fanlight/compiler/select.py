"""From graph to launches: KERNELS says which kernel computes each operation, on which operands.  All else has been decided by
the passes, and stands in the graph.

Operands are names: `value:<n>` is a node's result, `weight:<n>` a packed weight, `constant:<n>` a table that was computed,
anything else a buffer of the Program."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from fanlight.compiler import attention as attend
from fanlight.compiler import products
from fanlight.compiler.graph import Graph, Node, Weight
from fanlight.compiler.ops import ROUTE
from fanlight.compiler.products import rotation, source, stride
from fanlight.compiler.signature import LOGPROBS, output_buffer
from fanlight.compiler.states import kv_buffer, state_buffer
from fanlight.compiler.target import Target
from fanlight.errors import UnsupportedModel
from fanlight.kernels import (
    add_parts,
    add_parts_norm,
    add_parts_rope,
    append,
    attention,
    attention_decode,
    attention_matrix,
    attention_prefill,
    attention_reduce,
    attention_rows,
    convolve,
    embed,
    gather,
    gemm_f16,
    gemm_int8,
    gemm_matrix,
    linear,
    logits,
    logprobs,
    mix,
    norm,
    norm_int8,
    order,
    pool,
    quantize,
    rank,
    reorder,
    rope,
    rope_kv,
    route,
    sample,
)
from fanlight.kernels import map as map_kernel
from fanlight.kernels.expressions import Fused, Operand, argument
from fanlight.kernels.linear import Linear
from fanlight.kernels.norm import Norm
from fanlight.kernels.route import Route
from fanlight.kernels.spec import Kernel

Grid = tuple[int, int, int]
Operands = dict[str, str]  # binding -> operand


@dataclass(frozen=True, slots=True)
class Draft:
    """A launch whose operands have no place yet."""

    kernel: Kernel
    operands: Operands
    grid: Grid
    where: str
    only_for: str = ""  # program.Launch


@dataclass(slots=True)
class Selection:
    """The launches of one step in order, the bytes of its values, and what they read."""

    target: Target
    drafts: list[Draft] = field(default_factory=list)
    value_bytes: dict[str, int] = field(default_factory=dict)
    weights: dict[Weight, str] = field(default_factory=dict)
    constants: dict[bytes, str] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)

    def value(self, node: Node, part: str = "", num_bytes: int | None = None) -> str:
        """The operand of (a part of) the node's result. num_bytes: where it is made."""
        node, _ = source(node)
        if node.attrs.get("form") == "logits":
            return "logits"
        if node.op == "part":
            return self.value(node["x"], part or node.attrs["which"])
        name = f"{self.names[node]}.{part}" if part else self.names[node]
        if num_bytes is not None:
            self.value_bytes[name] = num_bytes
        return name

    def result(self, node: Node) -> Operands:
        """A new f32 value, or the logits."""
        return {"y": self.value(node, "", None if node.attrs.get("form") == "logits" else 4 * node.shape[0] * stride(node))}

    def int8x32(self, node: Node, part: str = "") -> Operands:
        """A new value of integers, 32 to a scale."""
        rows, k = node.shape
        xq = self.value(node, f"{part}int8", rows * k)
        return {"xq": xq, "xd": self.value(node, f"{part}scales", rows * k // 8)}

    def read_int8x32(self, node: Node) -> Operands:
        part = "normed." if node.op == "part" else ""
        node = node["x"] if node.op == "part" else node
        return {"xq": self.value(node, f"{part}int8"), "xd": self.value(node, f"{part}scales")}

    def weight(self, node: Node) -> str:
        return self.weights.setdefault(node.attrs["weight"], f"weight:{len(self.weights)}")

    def packed(self, node: Node) -> Operands:
        """All that kernels read of a matrix."""
        name = self.weight(node)
        constants = linear.constant_contents(node.attrs["weight"].format)
        return {"w": name, "s": name} | {binding: self.constant(data) for binding, data in constants.items()}

    def constant(self, data: bytes) -> str:
        """The operand of a table, one for all that have the same content."""
        return self.constants.setdefault(data, f"constant:{len(self.constants)}")

    def table(self, values: tuple[float, ...]) -> str:
        """The operand of f32."""
        return self.constant(struct.pack(f"<{max(len(values), 1)}f", *(values or (0.0,))))

    def fused(self, node: Node, slot: str) -> Operands:
        """What a node's fused expression reads."""
        return {f"{slot}{i}": self.weight(n) if n.op == "weight" else self.value(n) for i, n in enumerate(node.list(slot))}

    def cache(self, node: Node) -> Operands:
        """Of the layer that the node keeps or reads."""
        return {"kv": kv_buffer(node.attrs["layer"]), "block_table": "block_table"}

    def draft(self, node: Node, kernel: Kernel, operands: Operands, grid: Grid, only_for: str = "") -> None:
        """operands: at least those of the kernel's bindings."""
        operands = operands | {"inputs": "inputs"}
        operands = {binding.name: operands[binding.name] for binding in kernel.bindings}
        self.drafts.append(Draft(kernel, operands, grid, f"{node.name} {node.where}".strip(), only_for))


def select_kernels(graph: Graph, target: Target) -> Selection:
    s = Selection(target)
    s.names = {node: f"value:{i}" for i, node in enumerate(graph.nodes())}
    ends = {node for node, users in graph.users().items() if users and all(user.op == "finish" for user in users)}
    for node in graph.nodes():
        if node.op in NO_LAUNCH or (node in ends and node.op == "attend"):
            continue  # of attention that nobody reads the cache is all that is wanted
        if node.op not in KERNELS:
            raise UnsupportedModel(f"no kernel computes {node.op!r}", where=f"{node.name} {node.where}")
        KERNELS[node.op](s, node)
    return s


# --- products --------------------------------------------------------------------------------------------------------
def _linear(s: Selection, node: Node) -> None:
    shares = node.attrs.get("share") or (0,) * len(products.weights_of(node))
    result = _product_result(s, node)
    for p, weight, share in zip(products.problems(s.target, node), products.weights_of(node), shares, strict=True):
        module = products.module(s.target, node, p)
        operands = s.packed(weight) | _x_of(s, node, module)
        operands |= s.fused(node, "prologue") | s.fused(node, "epilogue") | result
        operands |= {slot: s.value(node[slot]) for slot in ("route", "order") if slot in node.slots}
        if share:
            _shared_product(s, node, p, share, operands)
            continue
        cut = products.cut(s.target, module, p)
        s.draft(node, module.make(p, *cut), operands, module.grid(p, *cut))


def _product_result(s: Selection, node: Node) -> Operands:
    rows, form = node.shape[0], node.attrs.get("form")
    if node.op == "linear_rotate":
        return _rotation_operands(s, node)
    if form == "int8x16":
        return {"y": s.value(node, "", rows * stride(node)), "y_scales": s.value(node, "scales", rows * stride(node) // 2)}
    if form == "int8x32":
        made = s.int8x32(node)
        return {"yq": made["xq"], "yd": made["xd"]}
    if form == "parts":
        (p,), (share,) = products.problems(s.target, node), node.attrs["share"]
        return {"y": s.value(node, "", 4 * gemm_matrix.num_parts(p, share) * p.rows * p.n)}
    return s.result(node)


def _x_of(s: Selection, node: Node, module: object) -> Operands:
    x = node["x"]
    if module in (gemm_f16, gemm_int8, gemm_matrix):
        return s.read_int8x32(x)
    form = x.attrs.get("form")
    more = {"x_scales": s.value(x, "scales")} if form == "int8x16" else {}
    more |= {"x_state": s.value(x, "state")} if form == "splits" else {}
    return {"x": s.value(x)} | more


def _shared_product(s: Selection, node: Node, p: Linear, share: int, operands: Operands) -> None:
    """A product whose K workgroups share out; its sum too, where it is but some columns of the node's value."""
    made, grid = gemm_matrix.make(gemm_matrix.whole(p), share), gemm_matrix.grid(p, share)
    if node.attrs.get("form") == "parts":
        return s.draft(node, made, operands, grid)
    parts = s.value(node, f"parts{p.row_offset}", 4 * gemm_matrix.num_parts(p, share) * p.rows * p.n)
    s.draft(node, made, operands | {"y": parts}, grid)
    s.draft(node, add_parts.make(p, share), operands | {"x": parts}, add_parts.grid(p))


def _route(s: Selection, node: Node) -> None:
    x, a = node["x"], node.attrs
    p = Route(has_bias="bias" in node.slots, stride=stride(x), **{name: a[name] for name in ROUTE})
    operands = {"x": s.value(x)} | ({"bias": s.weight(node["bias"])} if p.has_bias else {})
    y = s.value(node, "", 4 * node.shape[0] * node.shape[1])
    s.draft(node, route.make(p), operands | {"y": y}, route.grid(node.shape[0]))


def _order(s: Selection, node: Node) -> None:
    rows, a = node.shape[0], node.attrs
    made = s.value(node, "", order.size(rows * a["top_k"], a["experts"], a["height"]))
    kernel = order.make(rows, a["experts"], a["top_k"], a["height"])
    s.draft(node, kernel, {"route": s.value(node["route"]), "order": made}, order.grid())


def _mix(s: Selection, node: Node) -> None:
    rows, columns = node.shape
    kernel = mix.make(columns, node.attrs["top_k"], stride(node), node.attrs.get("epilogue"), stride(node["x"]))
    operands = {slot: s.value(node[slot]) for slot in ("x", "route")} | s.fused(node, "epilogue") | s.result(node)
    s.draft(node, kernel, operands, mix.grid(columns, rows))


def _sum_parts(s: Selection, node: Node) -> None:
    p, (share,) = products.summed(s.target, node), node["x"].attrs["share"]
    operands = {"x": s.value(node["x"])} | s.fused(node, "epilogue") | s.result(node)
    s.draft(node, add_parts.make(p, share), operands, add_parts.grid(p))


def _sum_parts_norm(s: Selection, node: Node) -> None:
    p, (share,) = products.summed(s.target, node), node["x"].attrs["share"]
    after = Norm(node.attrs["kind"], p.n, 1, p.y_stride, node.attrs["eps"], node.attrs.get("norm"))
    operands = {"x": s.value(node["x"])} | s.fused(node, "epilogue") | s.fused(node, "norm")
    operands |= {"y": s.value(node, "sum", 4 * node.shape[0] * stride(node))} | s.int8x32(node, "normed.")
    s.draft(node, add_parts_norm.make(p, share, after), operands, add_parts_norm.grid(p))


# --- rows ------------------------------------------------------------------------------------------------------------
def _embed(s: Selection, node: Node) -> None:
    y, first, index = s.result(node), 0, node.attrs.get("index", "token")
    operands = {"next_token": "next_token", "token_counts": "token_counts"} | y
    parts = products.weights_of(node)
    lines = sum(part.attrs["weight"].rows for part in parts) if index in ("position", "second") else s.target.vocab_size
    for part in parts:
        w = part.attrs["weight"]
        places = (stride(node), lines, first, s.target.rows_at)
        kernel = embed.make(w.format, w.rows, w.cols, *places, node.attrs.get("epilogue"), index)
        s.draft(node, kernel, s.packed(part) | operands, embed.grid(node.shape[0]))
        first += w.rows


def _map(s: Selection, node: Node) -> None:
    p = map_kernel.Map(_operands_of(node), node.shape[1], stride(node))
    s.draft(node, map_kernel.make(p), _read(s, node) | s.result(node), map_kernel.grid(p, node.shape[0]))


def _quantize(s: Selection, node: Node) -> None:
    rows, k = node.shape
    s.draft(node, quantize.make(k, _operands_of(node)), _read(s, node) | s.int8x32(node), quantize.grid(rows, k))


def _operands_of(node: Node) -> Fused:
    """A map's expression over its inputs where they lie."""
    places = []
    for n, kind in zip(node.inputs, node.attrs["kinds"], strict=True):
        whole, start = source(n)
        is_vector = kind == "column"
        places.append(Operand("column", 0, n.shape[0]) if is_vector else Operand("element", start, 0, stride(whole)))
    return Fused(node.attrs["expr"], tuple(places), 0)


def _read(s: Selection, node: Node) -> Operands:
    return {f"epilogue{i}": s.weight(n) if n.op == "weight" else s.value(n) for i, n in enumerate(node.inputs)}


def _norm(s: Selection, node: Node) -> None:
    a, (x, x_offset) = node.attrs, source(node["x"])
    p = Norm(a["kind"], node.shape[1] // a["heads"], a["heads"], stride(x), a["eps"], a.get("epilogue"), x_offset)
    p = replace(p, y_stride=stride(node))
    module = norm_int8 if a.get("form") == "int8x32" else norm
    operands = {"x": s.value(x)} | s.fused(node, "epilogue")
    operands |= s.int8x32(node) if module is norm_int8 else s.result(node)
    s.draft(node, module.make(p), operands, module.grid(p, node.shape[0]))


def _gather(s: Selection, node: Node) -> None:
    samples, size = node.shape[0], stride(node)
    s.draft(node, gather.make(size), {"x": s.value(node["x"])} | s.result(node), gather.grid(samples, size))


def _reorder(s: Selection, node: Node) -> None:
    (rows, columns), (x, x_offset) = node.shape, source(node["x"])
    order = struct.pack(f"<{columns}I", *node.attrs["order"])
    operands = {"x": s.value(x), "order": s.constant(order)} | s.result(node)
    places: tuple[int, tuple[int, int]] | tuple[()] = ()
    if (second := node.get("also")) is not None:
        also, offset = source(second)
        places = node["x"].shape[1], (stride(also), offset)
        operands |= {"also": s.value(also)}
    kernel = reorder.make(columns, stride(x), x_offset, stride(node), *places)
    s.draft(node, kernel, operands, reorder.grid(rows, columns))


def _pool(s: Selection, node: Node) -> None:
    samples, size = node.shape[0], stride(node)
    kernel = pool.make(node.attrs["kind"], size, s.target.rows_at)
    s.draft(node, kernel, {"x": s.value(node["x"])} | s.result(node), pool.grid(samples, size))


# --- rotation and attention ------------------------------------------------------------------------------------------
def _rotation_operands(s: Selection, node: Node) -> Operands:
    q = s.value(node, "q", 4 * node.shape[0] * node.attrs["heads"] * node.attrs["head_dim"])
    return s.cache(node) | {"inv_freq": s.table(node.attrs["inv_freq"]), "q": q}


def _rotate_append(s: Selection, node: Node) -> None:
    p, x, head_norm = rotation(s.target, node), node["x"], node.attrs.get("head_norm")
    operands = _rotation_operands(s, node) | s.fused(node, "epilogue")
    operands |= {slot: s.weight(node[slot]) for slot in ("q_norm", "k_norm") if slot in node.slots}
    if x.attrs.get("form") == "parts":
        kernel = add_parts_rope.make(replace(products.summed(s.target, node), rope=p), *x.attrs["share"], head_norm)
        operands |= {"x": s.value(x)}
    else:
        kernel = rope_kv.make(p, stride(x), head_norm)
        operands |= {"qkv": s.value(x)}
    s.draft(node, kernel, operands, rope_kv.grid(p, node.shape[0]))


def _rope(s: Selection, node: Node) -> None:
    a, (x, x_offset) = node.attrs, source(node["x"])
    head_dim, pairs = node.shape[1] // a["heads"], len(a["inv_freq"])
    sizes = stride(x), x_offset, stride(node), s.target.rows_at
    p = rope.RopeRows(a["heads"], head_dim, pairs, a["scale"], *sizes, *(a.get("growth") or ()))
    operands = {"x": s.value(x), "inv_freq": s.table(a["inv_freq"])} | s.result(node)
    s.draft(node, rope.make(p), operands, rope.grid(p, node.shape[0]))


def _append(s: Selection, node: Node) -> None:
    (k, k_offset), (v, v_offset) = source(node["k"]), source(node["v"])
    p = append.Append(s.target.kv_layout(node), stride(k), k_offset, stride(v), v_offset, s.target.rows_at)
    operands = {"k": s.value(k), "v": s.value(v)} | s.cache(node)
    s.draft(node, append.make(p), operands, append.grid(p, node.shape[0]))


def _attend(s: Selection, node: Node) -> None:
    p, module, form = attend.problem(s.target, node), attend.module(s.target, node), node.attrs.get("form")
    operands = {"q": s.value(node["q"])} | s.cache(node) | ({"sinks": s.weight(node["sinks"])} if p.has_sinks else {})
    if module is attention_matrix:
        return s.draft(node, attention_matrix.make(p), operands | s.int8x32(node), attention_matrix.grid(p))
    if module is attention_prefill:
        tile = attention_prefill.default_tile(p, s.target.limits.max_compute_workgroup_storage_size)
        return s.draft(node, module.make(p, tile), operands | s.result(node), module.grid(p, tile))
    operands |= _attention_result(s, node)
    if module is attention_decode:
        cut = attention_decode.default_shape(p)
        return s.draft(node, module.make(p, cut, form == "int8x16"), operands, module.grid(p, cut))
    return s.draft(node, attention.make(p), operands, attention.grid(p))


def _attention_result(s: Selection, node: Node) -> Operands:
    rows, form, splits = node.shape[0], node.attrs.get("form"), node.attrs.get("splits", 1)
    if form == "int8x16":
        return {"y": s.value(node, "", rows * stride(node)), "y_scales": s.value(node, "scales", rows * stride(node) // 2)}
    state = {"state": s.value(node, "state", 8 * rows * node.attrs["heads"] * splits)}
    if form == "splits":
        return {"y": s.value(node, "", 4 * rows * node.shape[1] * splits)} | state
    return s.result(node) | state


def _join(s: Selection, node: Node) -> None:
    x = node["x"]
    heads, splits = x.attrs["heads"], x.attrs["splits"]
    kernel = attention_reduce.make(heads, x.attrs["v_head_dim"], splits)
    operands = {"x": s.value(x), "state": s.value(x, "state")} | s.result(node)
    s.draft(node, kernel, operands, attention_reduce.grid(node.shape[0], heads))


def _convolve(s: Selection, node: Node) -> None:
    x, x_offset = source(node["x"])
    p = convolve.Convolve(node.shape[1], node.attrs["taps"], stride(x), x_offset, stride(node), s.target.rows_at)
    operands = {"x": s.value(x), "w": s.weight(node["weight"]), "state": state_buffer(node)} | s.result(node)
    s.draft(node, convolve.make(p), operands, convolve.grid(p, node.shape[0]))


def _attend_all(s: Selection, node: Node) -> None:
    a = node.attrs
    (q, q_offset), (k, k_offset), (v, v_offset) = (source(node[slot]) for slot in ("q", "k", "v"))
    heads = (a["heads"], a["kv_heads"], node["q"].shape[1] // a["heads"], node["v"].shape[1] // a["kv_heads"])
    strides = (stride(q), q_offset, stride(k), k_offset, stride(v), v_offset, stride(node))
    p = attention_rows.AttentionRows(*heads, *strides, s.target.rows_at, a["causal"], a["window"], a["score"])
    operands = {"q": s.value(q), "k": s.value(k), "v": s.value(v)} | s.result(node)
    s.draft(node, attention_rows.make(p), operands, attention_rows.grid(p, node.shape[0]))


def _output(s: Selection, node: Node) -> None:
    """A copy, unpadded, in a buffer that nothing else uses."""
    whole, start = source(node["x"])
    if whole.attrs.get("form", "logits") != "logits":
        raise ValueError(f"{node.name} {node.where} is no f32: {whole.attrs['form']}")
    p = map_kernel.Map(Fused(argument(0), (Operand("element", start, 0, stride(whole)),), 0), *node.shape[1:] * 2)
    operands = {"epilogue0": s.value(whole), "y": output_buffer(node)}
    s.draft(node, map_kernel.make(p), operands, map_kernel.grid(p, node.shape[0]))


# --- the sampler -----------------------------------------------------------------------------------------------------
def _penalize(s: Selection, node: Node) -> None:
    count, v = node.shape
    parts = s.value(node, "parts", 8 * count * logits.num_parts(v))
    operands = {name: name for name in ("token_counts", "logit_bias", "logits", *GRAMMAR)} | {"parts": parts}
    s.draft(node, logits.make(v), operands, logits.grid(count, v))


def _rank(s: Selection, node: Node) -> None:
    count, v = node.shape
    made = {name: s.value(node, name, size) for name, size in rank.sizes(count, v).items()}
    s.draft(node, rank.make(v, is_after=False), {"logits": "logits"} | made, rank.grid(count, v), LOGPROBS)


def _sample(s: Selection, node: Node) -> None:
    x, count, ranked = node["x"], node.shape[0], node.get("rank")
    v = x.shape[1]
    ranks = {} if ranked is None else {name: s.value(ranked, name) for name in rank.sizes(0, 1)}
    if ranks:
        s.draft(node, rank.make(v, is_after=True), {"logits": "logits"} | ranks, rank.grid(count, v), LOGPROBS)
    operands = {name: name for name in ("logits", "next_token", "sampled", *GRAMMAR)} | {"parts": s.value(x, "parts")}
    s.draft(node, sample.make(v), operands, sample.grid(count))
    if ranks:
        operands = {"sampled": "sampled", LOGPROBS: LOGPROBS} | ranks
        s.draft(node, logprobs.make(v), operands, logprobs.grid(count), LOGPROBS)


GRAMMAR = ("token_bytes", "grammar", "grammar_state")  # kernels/grammar.py
NO_LAUNCH = {"weight", "slice", "part", "finish"}  # names of what lies elsewhere

KERNELS: dict[str, Callable[[Selection, Node], None]] = {
    "embed": _embed,
    "map": _map,
    "quantize": _quantize,
    "norm": _norm,
    "gather": _gather,
    "pool": _pool,
    "reorder": _reorder,
    "linear": _linear,
    "linear_rotate": _linear,
    "experts": _linear,
    "experts_sum": _linear,
    "route": _route,
    "order": _order,
    "mix": _mix,
    "sum_parts": _sum_parts,
    "sum_parts_norm": _sum_parts_norm,
    "rotate_append": _rotate_append,
    "rope": _rope,
    "append": _append,
    "attend": _attend,
    "attend_all": _attend_all,
    "convolve": _convolve,
    "join": _join,
    "output": _output,
    "penalize": _penalize,
    "rank": _rank,
    "sample": _sample,
}
