"""From graph to launches: KERNELS says which kernel computes each operation, on which operands.  All else has been decided by
the passes, and stands in the graph."""

import struct
from collections.abc import Callable
from dataclasses import replace

from fanlight.compiler import attention as attend
from fanlight.compiler import products
from fanlight.compiler.graph import Graph, Node
from fanlight.compiler.products import rotation, source, stride
from fanlight.compiler.program import LORA_SCALES
from fanlight.compiler.select_images import IMAGE_KERNELS
from fanlight.compiler.select_sound import SOUND_KERNELS
from fanlight.compiler.select_streams import STREAM_KERNELS
from fanlight.compiler.selection import Operands, Selection
from fanlight.compiler.signature import LOGPROBS, output_buffer
from fanlight.compiler.states import state_buffer
from fanlight.compiler.target import Target
from fanlight.errors import UnsupportedModel
from fanlight.kernels import (
    add_parts,
    add_parts_norm,
    add_parts_rope,
    append,
    attention,
    attention_append,
    attention_decode,
    attention_matrix,
    attention_prefill,
    attention_reduce,
    attention_rows,
    convolve,
    delta,
    embed,
    gather,
    gemm_f16,
    gemm_int8,
    gemm_matrix,
    logits,
    logprobs,
    lora_scale,
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
    round_rows,
    route,
    sample,
    scan,
    shift,
    wkv,
)
from fanlight.kernels import map as map_kernel
from fanlight.kernels.expressions import Fused, Operand, argument
from fanlight.kernels.linear import Linear
from fanlight.kernels.norm import Norm


def select_kernels(graph: Graph, target: Target) -> Selection:
    s = Selection(target)
    s.names = {node: f"value:{i}" for i, node in enumerate(graph.nodes())}
    ends = {node for node, users in graph.users().items() if users and all(user.op == "finish" for user in users)}
    for node in graph.nodes():
        if node.op in NO_LAUNCH or node.attrs.get("is_late") or (node in ends and node.op == "attend"):
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
        operands |= _choice_operands(s, node["route"]) if node.attrs.get("chooses") else {}
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
    s.draft(node, route.make(products.choice_of(node)), _choice_operands(s, node), route.grid(node.shape[0]))


def _choice_operands(s: Selection, node: Node) -> Operands:
    made = {"logits": s.value(node["x"]), "route": s.value(node, "", 4 * node.shape[0] * node.shape[1])}
    return made | {slot: s.weight(node[slot]) for slot in ("bias", "gain") if slot in node.slots}


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
    table = node.attrs.get("table", (0, 0))
    is_table = index in ("position", "second", "place", "again")
    lines = sum(part.attrs["weight"].rows for part in parts) if is_table else s.target.vocab_size
    for part in parts:
        w = part.attrs["weight"]
        places = (stride(node), lines, first, s.target.rows_at)
        kernel = embed.make(w.format, w.rows, w.cols, *places, node.attrs.get("epilogue"), index, table)
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


def _round_rows(s: Selection, node: Node) -> None:
    x, x_offset = source(node["x"])
    kernel = round_rows.make(node.shape[1], stride(x), x_offset, stride(node))
    s.draft(node, kernel, {"x": s.value(x)} | s.result(node), round_rows.grid(node.shape[0]))


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
    return s.cache(node) | {"inv_freq": s.table((*node.attrs["inv_freq"], *node.attrs.get("axes", ()))), "q": q}


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
    growth, period = a.get("growth") or (0.0, 1)
    p = rope.RopeRows(a["heads"], head_dim, pairs, a["scale"], *sizes, growth, period, a.get("by", ""))
    operands = {"x": s.value(x), "inv_freq": s.table((*a["inv_freq"], *a.get("axes", ())))} | s.result(node)
    s.draft(node, rope.make(p), operands, rope.grid(p, node.shape[0]))


def _append(s: Selection, node: Node) -> None:
    (k, k_offset), (v, v_offset) = source(node["k"]), source(node["v"])
    p = append.Append(s.target.kv_layout(node), stride(k), k_offset, stride(v), v_offset, s.target.rows_at)
    operands = {"k": s.value(k), "v": s.value(v)} | s.cache(node)
    s.draft(node, append.make(p), operands, append.grid(p, node.shape[0]))


def _attend(s: Selection, node: Node) -> None:
    p, module, form = attend.problem(s.target, node), attend.module(s.target, node), node.attrs.get("form")
    if node.attrs.get("rotates"):
        return _rotate_attend(s, node)
    operands = {"q": s.value(node["q"])} | s.cache(node) | ({"sinks": s.weight(node["sinks"])} if p.has_sinks else {})
    operands |= {"slopes": s.table(node.attrs["slopes"])} if p.has_slopes else {}
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


def _rotate_attend(s: Selection, node: Node) -> None:
    rotate, problem = node["q"]["x"], attend.appending(s.target, node)
    cut = attention_decode.default_shape(problem.attention)
    operands = {"qkv": s.value(rotate["x"])} | _rotation_operands(s, rotate) | _attention_result(s, node)
    operands |= {slot: s.weight(rotate[slot]) for slot in ("q_norm", "k_norm") if slot in rotate.slots}
    kernel = attention_append.make(problem, cut, node.attrs.get("form") == "int8x16")
    s.draft(node, kernel, operands, attention_append.grid(problem, cut))


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
    sizes = node.shape[1], node.attrs["taps"], stride(x), x_offset, stride(node), s.target.rows_at
    p = convolve.Convolve(*sizes, node.attrs.get("epilogue"))
    operands = {"x": s.value(x), "w": s.weight(node["weight"]), "state": state_buffer(node)} | s.result(node)
    operands |= s.fused(node, "epilogue")
    s.draft(node, convolve.make(p), operands, convolve.grid(p, node.shape[0]))


def _delta(s: Selection, node: Node) -> None:
    a, ((x, x_at), (decay, decay_at), (beta, beta_at)) = node.attrs, (source(node[slot]) for slot in ("x", "decays", "betas"))
    sizes = a["heads"], a["key_heads"], a["key_dim"], node.shape[1] // a["heads"], a["is_dealt"], a["eps"]
    places = stride(x), x_at, stride(decay), decay_at, stride(beta), beta_at, stride(node), s.target.rows_at
    p = delta.Delta(*sizes, a.get("decay"), a.get("beta"), *places, is_decode=node.shape[0] <= s.target.max_num_seqs)
    operands = {"x": s.value(x), "decays": s.value(decay), "betas": s.value(beta), "state": state_buffer(node)}
    operands |= s.fused(node, "decay") | s.fused(node, "beta") | s.result(node)
    s.draft(node, delta.make(p), operands, delta.grid(p, min(node.shape[0], s.target.max_num_seqs)))


def _scan(s: Selection, node: Node) -> None:
    a, (x, x_offset), (dt, dt_offset), (bc, bc_offset) = node.attrs, *(source(node[slot]) for slot in ("x", "dt", "bc"))
    shape = a["heads"], node.shape[1] // a["heads"], a["groups"], a["states"], node["a"].shape[0] > a["heads"], a["is_log"]
    places = stride(x), x_offset, stride(dt), dt_offset, stride(bc), bc_offset, stride(node), s.target.rows_at
    operands = {"x": s.value(x), "dt": s.value(dt), "bc": s.value(bc), "state": state_buffer(node)} | s.result(node)
    operands |= {slot: s.weight(node[slot]) for slot in "ad"}
    p = scan.Scan(*shape, *places)
    s.draft(node, scan.make(p), operands, scan.grid(p, node.shape[0], s.target.max_num_seqs))


def _lora_scale(s: Selection, node: Node) -> None:
    a = node.attrs
    kernel = lora_scale.make(a["which"], len(a["names"]), stride(node), s.target.rows_at)
    s.draft(node, kernel, {"scales": LORA_SCALES} | s.result(node), lora_scale.grid(node.shape[0], stride(node)))


def _shift(s: Selection, node: Node) -> None:
    x, x_offset = source(node["x"])
    p = shift.Shift(node.shape[1], stride(x), x_offset, stride(node), s.target.rows_at)
    operands = {"x": s.value(x), "state": state_buffer(node)} | s.result(node)
    s.draft(node, shift.make(p), operands, shift.grid(p, node.shape[0]))


def _wkv(s: Selection, node: Node) -> None:
    found = {slot: source(node[slot]) for slot in ("rb", "w", "k", "v", "ka")}
    (rb, w, k, v, ka), heads = ((stride(whole), offset) for whole, offset in found.values()), node.attrs["heads"]
    places = *rb, *w, *k, *v, *ka, stride(node), s.target.rows_at
    p = wkv.Wkv(heads, node["w"].shape[1] // heads, *places)
    operands = {slot: s.value(whole) for slot, (whole, _) in found.items()} | {"state": state_buffer(node)} | s.result(node)
    s.draft(node, wkv.make(p), operands, wkv.grid(p, min(node.shape[0], s.target.max_num_seqs)))


def _attend_all(s: Selection, node: Node) -> None:
    a = node.attrs
    (q, q_offset), (k, k_offset), (v, v_offset) = (source(node[slot]) for slot in ("q", "k", "v"))
    heads = (a["heads"], a["kv_heads"], node["q"].shape[1] // a["heads"], node["v"].shape[1] // a["kv_heads"])
    strides = (stride(q), q_offset, stride(k), k_offset, stride(v), v_offset, stride(node))
    options = a["causal"], a["window"], a["score"], "side" in a
    p = attention_rows.AttentionRows(*heads, *strides, s.target.rows_at, *options)
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
NO_LAUNCH = {"weight", "slice", "part", "merge", "finish"}  # names of what lies elsewhere

KERNELS: dict[str, Callable[[Selection, Node], None]] = {
    "embed": _embed,
    "map": _map,
    "quantize": _quantize,
    "norm": _norm,
    "gather": _gather,
    "pool": _pool,
    "lora_scale": _lora_scale,
    "reorder": _reorder,
    "round_rows": _round_rows,
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
    "delta": _delta,
    "scan": _scan,
    **IMAGE_KERNELS,
    **SOUND_KERNELS,
    **STREAM_KERNELS,
    "shift": _shift,
    "wkv": _wkv,
    "join": _join,
    "output": _output,
    "penalize": _penalize,
    "rank": _rank,
    "sample": _sample,
}
