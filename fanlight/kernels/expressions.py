"""Elementwise arithmetic as small trees, written with Python's operators: `silu(gate) * up`, `cap * tanh(x / cap)`.

A tree has two meanings that come from nowhere else: `evaluate` (Python numbers, or NumPy arrays) and `wgsl_function`. It stands
in `map` nodes of a graph, and in what products, norms, attention and quantisation apply to their values on the way
(`Fused`)."""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import Any

Number = int | float


class Arithmetic:
    """Python's operators for trees, and for the nodes of a graph (compiler/graph.py). `combined` makes the result."""

    __slots__ = ()

    @staticmethod
    def combined(op: str, *args: Any) -> Any:
        raise NotImplementedError

    def __add__(self, other: Any) -> Any:
        return self.combined("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self.combined("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self.combined("sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.combined("sub", other, self)

    def __mul__(self, other: Any) -> Any:
        return self.combined("mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.combined("mul", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.combined("div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.combined("div", other, self)

    def __neg__(self) -> Any:
        return self.combined("neg", self)


@dataclass(frozen=True, slots=True)
class Expr(Arithmetic):
    """op: 'input' (value: which), 'number' (value: it), or one of OPERATIONS over args."""

    op: str
    args: tuple["Expr", ...] = ()
    value: Number = 0
    hash: int = field(init=False, repr=False, compare=False)  # kept: trees are in the keys of caches

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", hash((self.op, self.args, self.value)))

    def __hash__(self) -> int:
        return self.hash

    @staticmethod
    def combined(op: str, *args: "Expr | Number") -> "Expr":
        return Expr(op, tuple(arg if isinstance(arg, Expr) else number(arg) for arg in args))

    def __str__(self) -> str:
        if self.op == "input":
            return "abcdefgh"[int(self.value)] if self.value < 8 else f"in{self.value}"
        if self.op == "number":
            return f"{self.value:g}"
        return OPERATIONS[self.op].text.format(*self.args)


def number(value: Number) -> Expr:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return Expr("number", (), float(value))


@lru_cache(maxsize=64)
def argument(index: int) -> Expr:
    return Expr("input", (), index)


@dataclass(frozen=True, slots=True)
class Operation:
    """text: as people write it. wgsl: over f32 and vectors of f32; {T} is the type. meaning: with `math` or `numpy`."""

    text: str
    wgsl: str
    meaning: Callable[..., Any]


def _exp(m: ModuleType, x: Any) -> Any:
    return math.exp(min(x, 700.0)) if m is math else m.exp(m.minimum(x, 700.0))


def _erf(m: ModuleType, x: Any) -> Any:
    return math.erf(x) if m is math else m.vectorize(math.erf, otypes=[float])(x)


def _bf16(m: ModuleType, x: Any) -> Any:
    if m is math:
        (bits,) = struct.unpack("<I", struct.pack("<f", x))
        return struct.unpack("<f", struct.pack("<I", (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000))[0]
    bits = m.ascontiguousarray(x, m.float32).view(m.uint32)
    return ((bits + m.uint32(0x7FFF) + (bits >> 16 & 1)) & m.uint32(0xFFFF0000)).view(m.float32)


def _largest(m: ModuleType, x: Any, y: Any) -> Any:
    return max(x, y) if m is math else m.maximum(x, y)


def _smallest(m: ModuleType, x: Any, y: Any) -> Any:
    return min(x, y) if m is math else m.minimum(x, y)


OPERATIONS = {
    "add": Operation("({0} + {1})", "{0} + {1}", lambda m, x, y: x + y),
    "sub": Operation("({0} - {1})", "{0} - {1}", lambda m, x, y: x - y),
    "mul": Operation("({0} * {1})", "{0} * {1}", lambda m, x, y: x * y),
    "div": Operation("({0} / {1})", "{0} / {1}", lambda m, x, y: x / y),
    "neg": Operation("-{0}", "-({0})", lambda m, x: -x),
    "exp": Operation("exp({0})", "exp({0})", _exp),
    "log": Operation("log({0})", "log({0})", lambda m, x: m.log(x)),
    "tanh": Operation("tanh({0})", "tanh(clamp({0}, {T}(-15.0), {T}(15.0)))", lambda m, x: m.tanh(x)),
    "erf": Operation("erf({0})", "erf_{S}({0})", _erf),
    "bf16": Operation("bf16({0})", "bf16_{S}({0})", _bf16),
    "max": Operation("max({0}, {1})", "max({0}, {1})", _largest),
    "min": Operation("min({0}, {1})", "min({0}, {1})", _smallest),
}


# --- words for model files: of trees, and of nodes -------------------------------------------------------------------
def exp(x: Any) -> Any:
    return x.combined("exp", x)


def log(x: Any) -> Any:
    return x.combined("log", x)


def tanh(x: Any) -> Any:
    return x.combined("tanh", x)


def erf(x: Any) -> Any:
    return x.combined("erf", x)


def bf16(x: Any) -> Any:
    """Rounded to the nearest number that BF16 has."""
    return x.combined("bf16", x)


def relu(x: Any) -> Any:
    return x.combined("max", x, 0.0)


def smallest(x: Any, y: Any) -> Any:
    return x.combined("min", x, y)


def largest(x: Any, y: Any) -> Any:
    return x.combined("max", x, y)


def clipped(x: Any, most: float) -> Any:
    """Within -most and most."""
    return smallest(largest(x, -most), most)


def sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + exp(-x))


def silu(x: Any) -> Any:
    """https://arxiv.org/abs/1702.03118"""
    return x / (1.0 + exp(-x))


def gelu(x: Any) -> Any:
    """https://arxiv.org/abs/1606.08415, exact."""
    return 0.5 * x * (1.0 + erf(x * 0.5**0.5))


def gelu_tanh(x: Any) -> Any:
    """https://arxiv.org/abs/1606.08415, its approximation by tanh."""
    return 0.5 * x * (1.0 + tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x * x * x)))


def quick_gelu(x: Any) -> Any:
    """https://arxiv.org/abs/1606.08415, its approximation by a sigmoid."""
    return x * sigmoid(x * 1.702)


def relu_squared(x: Any) -> Any:
    """https://arxiv.org/abs/2109.08668"""
    return relu(x) * relu(x)


def softplus(x: Any) -> Any:
    """ln(1 + e^x): the larger of x and 0, and ln(1 + u) = 2 artanh(u / (2 + u)) for u = e^-|x|, as a series, so that what is
    small is exact too."""
    u = exp(-largest(x, -x))
    s = u / (2.0 + u)
    square = s * s
    series = 1 / 13 * square + 1 / 11
    for divisor in (9, 7, 5, 3, 1):
        series = series * square + 1 / divisor
    return relu(x) + 2.0 * s * series


def softcap(x: Any, cap: float) -> Any:
    """Smoothly within -cap to cap.  https://arxiv.org/abs/2408.00118, section 2"""
    return cap * tanh(x / cap)


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {  # under Hugging Face's names (`hidden_act`)
    "silu": silu,
    "swish": silu,
    "gelu": gelu,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "quick_gelu": quick_gelu,
    "relu": relu,
    "relu2": relu_squared,
}


# --- meaning ---------------------------------------------------------------------------------------------------------
def evaluate(expr: Expr, inputs: Sequence[Any], m: ModuleType = math) -> Any:
    """m: `math` for Python numbers, `numpy` for arrays."""
    values: list[Any] = []
    for meaning, args, value in _steps(expr):
        if meaning:
            values.append(meaning(m, *[values[arg] for arg in args]))
        else:
            values.append(value if args else inputs[int(value)])
    return values[-1]


Step = tuple[Callable[..., Any] | None, tuple[int, ...], Number]


@lru_cache(maxsize=512)
def _steps(expr: Expr) -> tuple[Step, ...]:
    """What `evaluate` does, one value after the other: an operation on earlier ones, an input (no args), or a number."""
    order = parts(expr)
    places = {part: i for i, part in enumerate(order)}
    made: list[Step] = []
    for part in order:
        meaning = OPERATIONS[part.op].meaning if part.op in OPERATIONS else None
        args = tuple(places[arg] for arg in part.args)
        made.append((meaning, args if meaning else (0,) if part.op == "number" else (), part.value))
    return tuple(made)


@lru_cache(maxsize=512)
def parts(expr: Expr) -> tuple[Expr, ...]:
    """Every subtree once, arguments before what they are of."""
    seen: dict[Expr, None] = {}

    def visit(part: Expr) -> None:
        if part not in seen:
            for arg in part.args:
                visit(arg)
            seen[part] = None

    visit(expr)
    return tuple(seen)


def inputs_of(expr: Expr) -> set[int]:
    return {int(part.value) for part in parts(expr) if part.op == "input"}


def substituted(expr: Expr, inputs: Sequence[Expr]) -> Expr:
    """The tree with its inputs replaced."""
    if expr.op == "input":
        return inputs[int(expr.value)]
    return Expr(expr.op, tuple([substituted(arg, inputs) for arg in expr.args]), expr.value) if expr.args else expr


def is_linear(expr: Expr, index: int = 0) -> bool:
    """Whether the tree is input `index` times something that does not depend on it: f(s x) = s f(x)."""
    if expr.op == "input":
        return expr.value == index
    if expr.op == "mul":
        a, b = expr.args
        return (is_linear(a, index) and index not in inputs_of(b)) or (is_linear(b, index) and index not in inputs_of(a))
    if expr.op == "div":
        return is_linear(expr.args[0], index) and index not in inputs_of(expr.args[1])
    return expr.op == "neg" and is_linear(expr.args[0], index)


# --- WGSL ------------------------------------------------------------------------------------------------------------
ERF = """// To 1.5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
fn erf_{S}(x: {T}) -> {T} {{
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - p * exp(-x * x));
}}
"""
BF16 = """fn bf16_{S}(x: {T}) -> {T} {{
    let bits = bitcast<{U}>(x);
    return bitcast<{T}>((bits + {U}(0x7fffu) + ((bits >> {U}(16u)) & {U}(1u))) & {U}(0xffff0000u));
}}
"""
HELPERS = {"erf": ERF, "bf16": BF16}
SHORT = {"f32": "f32", "vec2<f32>": "v2", "vec4<f32>": "v4"}


def wgsl_function(name: str, expr: Expr, inputs: Sequence[str], parameters: str, type: str = "f32") -> str:
    """`fn name(parameters) -> type`, which computes the tree. inputs: a WGSL expression for each of the tree's inputs, of
    `type`."""
    lines: list[str] = []
    names: dict[Expr, str] = {}
    for part in parts(expr):
        if part.op == "input":
            names[part] = inputs[int(part.value)]
        elif part.op == "number":
            names[part] = _literal(part.value, type)
        else:
            names[part] = f"t{len(lines)}"
            text = OPERATIONS[part.op].wgsl.format(*(names[arg] for arg in part.args), T=type, S=SHORT[type])
            lines.append(f"    let {names[part]} = {text};")
    return "\n".join([f"fn {name}({parameters}) -> {type} {{", *lines, f"    return {names[expr]};", "}"]) + "\n"


def _literal(value: Number, type: str) -> str:
    text = repr(float(value))
    return text if type == "f32" else f"{type}({text})"


def wgsl_helpers(exprs: Sequence[Expr], types: Sequence[str] = ("f32",)) -> str:
    """Functions that WGSL lacks and these trees call."""
    ops = {part.op for expr in exprs for part in parts(expr)}
    texts = [text for op, text in HELPERS.items() if op in ops]
    return "".join(text.format(T=type, S=SHORT[type], U=type.replace("f32", "u32")) for text in texts for type in types)


# --- fused into kernels ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Operand:
    """What a fused tree reads besides the kernel's own values. kind 'column': element (start + column) % size of a vector;
    'element': of the result's row, `stride` apart, at start + column. like: an earlier operand, whose buffer it is too."""

    kind: str
    start: int = 0
    size: int = 0
    stride: int = 0
    like: int | None = None

    def __str__(self) -> str:
        return self.kind + (f"[{self.start}:]" if self.start else "")


@dataclass(frozen=True, slots=True)
class Fused:
    """A tree over `values` values of the kernel that applies it (two where a product has a gate and an up row for each
    element), then over operands."""

    expr: Expr
    operands: tuple[Operand, ...] = ()
    values: int = 1

    def __str__(self) -> str:
        places = [f"{argument(self.values + i)}: {operand}" for i, operand in enumerate(self.operands)]
        return " ".join([str(self.expr), *places]).replace(" ", "")


IDENTITY = Fused(argument(0))
