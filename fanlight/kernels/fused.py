"""How an elementwise tree (expressions.py) enters a kernel: bindings of its operands, the WGSL functions that templates call,
and what it does in NumPy.

A template knows three names of a site: what the tree reads besides the kernel's own values (`Extras`), where that is loaded
(`extras_of`), early if the template likes, and the tree itself (`epilogue`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from fanlight.arrays import Array
from fanlight.kernels.expressions import IDENTITY, Fused, Operand, evaluate, inputs_of, wgsl_function, wgsl_helpers

NAMES = {
    "prologue": ("Factors", "factors_of"),
    "epilogue": ("Extras", "extras_of"),
    "norm": ("NormExtras", "norm_extras_of"),
    "decay": ("DecayExtras", "decay_extras_of"),
    "beta": ("BetaExtras", "beta_extras_of"),
}
VALUES = ((), ("v",), ("a", "b"))  # parameters, by Fused.values
FOUR = ("0u", "1u", "2u", "3u")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a kernel applies a tree. name: of the function, and of bindings `epilogue0`, ... columns: how many there are, to
    where operands are read. lanes: 'one' element at a time, or four: neighbouring 'columns', or 'rows'."""

    name: str
    fused: Fused
    columns: int
    lanes: str = "one"

    def __post_init__(self) -> None:
        assert self.lanes in ("one", "columns", "rows"), self.lanes
        assert inputs_of(self.fused.expr) <= set(range(self.fused.values + len(self.fused.operands))), self.fused
        for i, operand in enumerate(self.fused.operands):
            assert operand.kind in ("column", "element"), operand
            assert operand.like is None or (operand.like < i and self.fused.operands[operand.like].like is None), operand

    @property
    def type(self) -> str:
        return "f32" if self.lanes == "one" else "vec4<f32>"

    def binding(self, i: int) -> str:
        """The name of operand i's."""
        like = self.fused.operands[i].like
        return f"{self.name}{i if like is None else like}"

    def is_vec4(self, i: int) -> bool:
        """Whether four elements of operand i, and of those that share its binding, are one load."""
        mates = [o for j, o in enumerate(self.fused.operands) if self.binding(j) == self.binding(i)]
        return self.lanes == "columns" and self.columns % 4 == 0 and all(map(self._is_aligned, mates))

    def _is_aligned(self, operand: Operand) -> bool:
        step = operand.stride if operand.kind == "element" else operand.size if self.wraps(operand) else 0
        return operand.start % 4 == step % 4 == 0

    def wraps(self, operand: Operand) -> bool:
        return operand.kind == "column" and 0 < operand.size < operand.start + self.columns


def site(name: str, fused: Fused | None, columns: int, lanes: str = "one") -> Site:
    """None is what changes nothing."""
    return Site(name, fused or IDENTITY, columns, lanes)


def bindings(*sites: Site) -> dict[str, str]:
    return {
        site.binding(i): "array<vec4<f32>>" if site.is_vec4(i) else "array<f32>"
        for site in sites
        for i in range(len(site.fused.operands))
    }


# --- WGSL ------------------------------------------------------------------------------------------------------------
def wgsl(*sites: Site) -> str:
    """Of each site a struct and two functions: `extras_of(row, column)`, and `epilogue(v, e)`, whose values come first."""
    helpers = [wgsl_helpers([s.fused.expr for s in sites if s.type == type], (type,)) for type in ("f32", "vec4<f32>")]
    return "".join([*helpers, *map(_functions, sites)])


def _functions(site: Site) -> str:
    struct, load = NAMES[site.name]
    operands, values = site.fused.operands, VALUES[site.fused.values]
    fields = [f"e{i}: {site.type}" for i in range(len(operands))] or ["none: u32"]
    loads = [_load(site, i, operand) for i, operand in enumerate(operands)] or ["0u"]
    parameters = ", ".join([*(f"{value}: {site.type}" for value in values), f"e: {struct}"])
    inputs = [*values, *(f"e.e{i}" for i in range(len(operands)))]
    return (
        f"struct {struct} {{ {', '.join(fields)} }}\n"
        f"fn {load}(row: u32, column: u32) -> {struct} {{ return {struct}({', '.join(loads)}); }}\n"
        + wgsl_function(site.name, site.fused.expr, inputs, parameters, site.type)
    )


def _load(site: Site, i: int, operand: Operand) -> str:
    array = site.binding(i)
    if site.is_vec4(i):
        return f"{array}[({_index(site, operand, 'row', 'column')}) / 4u]"
    if site.lanes == "one" or (site.lanes == "rows" and operand.kind == "column"):
        one = f"{array}[{_index(site, operand, 'row', 'column')}]"
        return one if site.lanes == "one" else f"{site.type}({one})"
    return f"{site.type}({', '.join(f'{array}[{_index(site, operand, *place)}]' for place in _places(site))})"


def _places(site: Site) -> list[tuple[str, str]]:
    """Row and column of each of four lanes."""
    if site.lanes == "rows":
        return [(f"(row + {i})", "column") for i in FOUR]
    if site.columns % 4:
        return [("row", f"min(column + {i}, {site.columns - 1}u)") for i in FOUR]
    return [("row", f"column + {i}") for i in FOUR]


def _index(site: Site, operand: Operand, row: str, column: str) -> str:
    at = f"{column} + {operand.start}u" if operand.start else column
    if operand.kind == "element":
        return f"{row} * {operand.stride}u + {at}"
    return f"({at}) % {operand.size}u" if site.wraps(operand) else at


# --- NumPy -----------------------------------------------------------------------------------------------------------
def apply(site: Site, arrays: dict[str, Array], values: Sequence[Array], rows: Sequence[int] | Array, columns: Array) -> Array:
    """The tree of values [rows, columns], in f64; `rows` and `columns` say which they are. (NumPy)"""
    import numpy as np

    rows, columns = np.asarray(rows), np.asarray(columns)
    inputs = [*values, *(_operand(arrays[site.binding(i)], o, rows, columns) for i, o in enumerate(site.fused.operands))]
    return np.broadcast_to(evaluate(site.fused.expr, inputs, np), (len(rows), len(columns)))


def _operand(array: Array, operand: Operand, rows: Array, columns: Array) -> Array:
    import numpy as np

    at = columns + operand.start
    if operand.kind == "element":
        at = rows[:, None] * operand.stride + at
    elif operand.size:
        at = at % operand.size
    return array.view(np.float32)[at].astype(np.float64)
