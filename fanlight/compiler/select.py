"""From graph to launches: which kernel computes a node, on which operands.  After this there are no operations, only launches.

Operands are names: `value:<n>` is a node's result, `weight:<name>` a packed weight, anything else a buffer of the Program."""

from collections.abc import Callable
from dataclasses import dataclass

from fanlight.compiler.graph import Graph, Node, Weight
from fanlight.compiler.program import Limits, rows_word
from fanlight.errors import KernelFailed, UnsupportedModel
from fanlight.kernels import attention, attention_reduce, embed, gemm, gemv, glu, logits, rms_norm, rope_kv, sample
from fanlight.kernels.attention import Attention
from fanlight.kernels.kv import KVLayout
from fanlight.kernels.linear import Linear
from fanlight.kernels.spec import Kernel, ceil_div, round_up


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


def stride(node: Node) -> int:
    """Elements from row to row: whole vec4."""
    return round_up(node.shape[1], 4)


class _Selector:
    def __init__(self, graph: Graph, shape: StepShape):
        self.graph, self.shape = graph, shape
        self.rows_at = rows_word(shape.max_num_seqs)
        self.names: dict[Node, str] = {}
        self.out = Selection([], {}, {}, set())

    def run(self) -> Selection:
        for node in self.graph.nodes():
            if node.op not in SELECT:
                raise UnsupportedModel(f"no kernel computes {node.op!r} as it stands here", where=f"{node.name} {node.where}")
            SELECT[node.op](self, node)
        return self.out

    def value(self, node: Node, num_bytes: int | None = None, suffix: str = "") -> str:
        """A new operand for (a part of) the node's result."""
        name = f"value:{len(self.names)}{suffix}"
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

    def draft(self, node: Node, kernel: Kernel, operands: dict[str, str], grid: tuple[int, int, int]) -> None:
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


def _linear(s: _Selector, node: Node, y: str | None = None) -> None:
    x = node["x"]
    y = y or s.value(node)
    if "residual" in node.slots and stride(node["residual"]) != stride(node):
        raise KernelFailed("residual and result differ in shape", where=node.name)
    row_offset = 0
    for part in _weight_slots(node):
        w = part.attrs["weight"]
        p = Linear(
            format=w.format,
            n=w.rows,
            k=w.cols,
            rows=node.shape[0],
            x_stride=stride(x),
            y_stride=node.shape[1] if y == "logits" else stride(node),
            row_offset=row_offset,
            norm_eps=node.attrs["eps"] if "norm" in node.slots else None,
            has_bias="bias" in node.slots,
            has_residual="residual" in node.slots,
            is_glu=bool(node.attrs.get("is_glu")),
            is_sampled=bool(node.attrs.get("is_sampled")),
        )
        module = gemv if node.shape[0] <= gemv.MAX_COLUMNS else gemm
        kernel = module.make(p)
        operands = s.weight_operands(part, kernel) | {"x": s.names[x], "inputs": "inputs", "y": y}
        operands |= {slot: s.weight(node[slot]) for slot in ("norm", "bias") if slot in node.slots}
        operands |= {"residual": s.names[node["residual"]]} if "residual" in node.slots else {}
        s.draft(node, kernel, operands, module.grid(p))
        row_offset += w.rows


def _rms_norm(s: _Selector, node: Node) -> None:
    rows, c = node.shape
    kernel = rms_norm.make(c, stride(node), node.attrs["eps"])
    x, y = s.names[node["x"]], s.value(node)
    operands = {"x": x, "weight": s.weight(node["weight"]), "inputs": "inputs", "y": y}
    s.draft(node, kernel, operands, rms_norm.grid(rows))


def _glu(s: _Selector, node: Node) -> None:
    rows, f = node.shape
    x = node["x"]
    kernel = glu.make(f, stride(x), stride(node))
    s.draft(node, kernel, {"x": s.names[x], "inputs": "inputs", "y": s.value(node)}, glu.grid(rows, f))


def _attend(s: _Selector, node: Node) -> None:
    a, kv, rows, qkv = node.attrs, s.shape.kv, node.shape[0], node["qkv"]
    cache = f"kv.{a['layer']}"
    s.out.kv_layers.add(a["layer"])
    normed = "q_norm" in node.slots
    kernel = rope_kv.make(a["heads"], kv, stride(qkv), a["scale"], a["rope_scale"], s.rows_at, a["eps"] if normed else None)
    q = s.value(node, suffix=".q")
    common = {"inputs": "inputs", "block_table": "block_table", "kv": cache}
    operands = common | {"qkv": s.names[qkv], "inv_freq": "inv_freq", "q": q}
    operands |= {slot: s.weight(node[slot]) for slot in ("q_norm", "k_norm") if normed}
    s.draft(node, kernel, operands, rope_kv.grid(rows, a["heads"], a["kv_heads"]))

    p = Attention(rows, a["heads"], kv, s.rows_at, num_splits(s.shape, rows), a["window"])
    state = s.value(node, rows * a["heads"] * p.splits * 8, ".state")
    partial = s.value(node, rows * a["heads"] * a["head_dim"] * p.splits * 4, ".parts") if p.splits > 1 else None
    y = s.value(node)
    operands = common | {"q": q, "y": partial or y, "state": state}
    s.draft(node, attention.make(p), operands, attention.grid(p))
    if partial:
        kernel = attention_reduce.make(a["heads"], a["head_dim"], p.splits)
        operands = {"x": partial, "state": state, "inputs": "inputs", "y": y}
        s.draft(node, kernel, operands, attention_reduce.grid(rows, a["heads"]))


def num_splits(shape: StepShape, rows: int) -> int:
    """Workgroups that share one row's positions: enough to fill a large GPU, none shorter than a tile."""
    if rows > gemv.MAX_COLUMNS:
        return 1
    wanted = ceil_div(128, shape.kv.kv_heads * rows)
    return max(1, min(16, wanted, shape.context_length // attention.TILE))


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
    # The head writes straight to the buffer `logits`, when `sample` asks for it.
    if not (s.graph.root.op == "sample" and s.graph.root["x"] is node):
        _linear(s, node)


SELECT: dict[str, Callable[[_Selector, Node], None]] = {
    "weight": lambda s, node: None,
    "finish": lambda s, node: None,
    "embed": _embed,
    "linear": _maybe_linear,
    "rms_norm": _rms_norm,
    "glu": _glu,
    "attend": _attend,
    "sample": _sample,
}


def select_kernels(graph: Graph, limits: Limits, shape: StepShape) -> Selection:
    return _Selector(graph, shape).run()
