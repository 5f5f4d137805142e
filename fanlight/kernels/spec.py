"""What a kernel is: constants, bindings and the WGSL files that are joined to one shader.  Knows no graph and no device.

A kernel is one stem: `norm.py` (how it is launched, its NumPy reference) and `norm.wgsl` beside it. WGSL is composed
in one way only: constants, binding declarations and functions generated from expressions are written first, then whole files
are appended. No text is substituted. A file may call a function that another file defines (`unpack` of a weight format), or
that is generated (`epilogue`), which is how variants are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Binding:
    name: str
    type: str  # WGSL: 'array<f32>'
    access: str = "read"  # or 'read_write'


@dataclass(frozen=True, slots=True)
class Kernel:
    """One shader. `constants` become WGSL consts: int -> u32, float -> f32, str -> verbatim type alias."""

    stem: str
    bindings: tuple[Binding, ...]
    constants: tuple[tuple[str, int | float | str], ...]
    files: tuple[str, ...]  # under kernels/, in order
    features: tuple[str, ...] = ()
    format: str = ""  # of the weights it reads
    problem: Any = None  # the kernel's own parameters, where constants do not say all
    generated: str = ""  # functions from expressions (expressions.py)

    def constant(self, name: str) -> Any:
        return dict(self.constants)[name]

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(b.name for b in self.bindings if b.access == "read_write")

    def wgsl(self) -> str:
        lines = [f"enable {feature.removeprefix('shader-')};" for feature in self.features if feature == "shader-f16"]
        lines += [_constant(name, value) for name, value in self.constants]
        lines += [f"@group(0) @binding({i}) var<storage, {b.access}> {b.name}: {b.type};" for i, b in enumerate(self.bindings)]
        text = "\n".join(lines) + "\n" + self.generated + "\n".join(read_wgsl(file) for file in self.files)
        MADE[text] = self
        return text

    @property
    def rows(self) -> int:
        """That it is for, at most, where its text does not say: only its grids do."""
        return int(getattr(self.problem, "rows", 0))


# By WGSL: what run_reference looks kernels up in. Of a program's that differ in nothing but `rows`, the one for most.
MADE: dict[str, Kernel] = {}


def kernel(
    stem: str,
    bindings: Mapping[str, str],
    constants: Mapping[str, int | float | str],
    files: tuple[str, ...],
    features: tuple[str, ...] = (),
    format: str = "",
    problem: Any = None,
    generated: str = "",
) -> Kernel:
    """bindings: name -> WGSL type, with '+' in front where the kernel writes."""
    made = tuple(Binding(n, t.lstrip("+"), "read_write" if t.startswith("+") else "read") for n, t in bindings.items())
    return Kernel(stem, made, tuple(constants.items()), files, features, format, problem, generated)


@cache
def read_wgsl(file: str) -> str:
    return (FOLDER / file).read_text()


def _constant(name: str, value: int | float | str) -> str:
    if isinstance(value, str):
        return f"alias {name} = {value};"
    if isinstance(value, float):
        return f"const {name}: f32 = {value!r};"
    return f"const {name}: u32 = {value}u;"


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def round_up(a: int, multiple: int) -> int:
    return ceil_div(a, multiple) * multiple
