"""What the readers of quantised folders (folder_quant.py) are given of a matrix, and what they make it of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.layout import Part, TensorInfo
from fanlight.formats.quant import QUANT_TYPES

NUMBERS = {"F32": "f32", "F16": "f16", "BF16": "bf16"}  # dtype of scales -> coding
HINT = "a GGUF file of the same model"
Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """The tensors of one matrix by what follows its name, and what the configuration says of all."""

    stem: str
    tensors: Mapping[str, TensorInfo]
    settings: Settings
    where: str

    def has(self, kind: str) -> bool:
        return kind in self.tensors

    def format(self, kind: str) -> str:
        """Nothing where it is not there."""
        return self.tensors[kind].format if kind in self.tensors else ""

    def tensor(self, kind: str, formats: tuple[str, ...], *shapes: tuple[int, ...]) -> TensorInfo:
        """Raises FormatError where it is of another dtype, or of none of the shapes."""
        info = self.tensors.get(kind)
        if info is None:
            raise FormatError(f"{self.stem}.{kind} is missing, without which its weights have no values", where=self.where)
        if info.format not in formats or (shapes and info.shape not in shapes):
            wanted = " or ".join(str(list(shape)) for shape in shapes) or "a matrix"
            found = f"{self.stem}.{kind} is {info.format} {list(info.shape)}, expected {' or '.join(formats)} {wanted}"
            raise FormatError(found, where=self.where)
        return info

    def matrix(self, kind: str, *formats: str) -> TensorInfo:
        info = self.tensor(kind, formats)
        if len(info.shape) != 2:
            raise UnsupportedModel(
                f"{info.name} has the shape {list(info.shape)}; matrices are read", where=self.where, hint=HINT
            )
        return info

    def refuse(self, what: str) -> UnsupportedModel:
        return UnsupportedModel(f"{self.stem}: {what}", where=self.where, hint=HINT)

    def made(self, kind: str, rows: int, cols: int, group: int, parts: Callable[[int], tuple[Part, ...]]) -> TensorInfo:
        """The matrix in the largest of kind's blocks that fit into groups. parts: of so many blocks to a group."""
        sizes = [n for n in (128, 64, 32) if f"{kind}_{n}" in QUANT_TYPES and group % n == 0 and cols % n == 0]
        if not sizes:
            raise self.refuse(f"groups of {group} in rows of {cols} are not read, only multiples of 32")
        return self.named(f"{kind}_{sizes[0]}", rows, cols, parts(group // sizes[0]))

    def named(self, format: str, rows: int, cols: int, parts: tuple[Part, ...]) -> TensorInfo:
        first = parts[0]
        shape = (rows, cols)
        return TensorInfo(
            f"{self.stem}.weight", format, shape, first.source, first.offset, first.num_bytes, parts, file_rows=rows
        )


def part(field: str, coding: str, info: TensorInfo, steps: tuple[int, int, int, int] = (1, 0, 1, 0), add: int = 0) -> Part:
    return Part(field, coding, info.source, info.offset, info.num_bytes, steps, add)


def constant(field: str, value: int) -> Part:
    return Part(field, "constant", add=value)
