"""Where tensors lie in a model file.  Knows no file format: the readers of GGUF, safetensors and others fill it in and check it
here."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fanlight.errors import FormatError


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a quantised format's blocks, where a file has it apart from the others, in an order of its own.

    coding says in which (kernels/parts.py moves it, formats/parts.py reads it with NumPy):
    bytes                the field's bytes, row after row
    nibbles, nibbles16   neighbouring codes of 4 bits in a byte, the first below, row after row; halves of 32 or 16 columns are
                         to share bytes
    gptq4, gptq8, awq4   words of codes, transposed
    quarters32           codes of 2 bits: a byte has those of a row of each quarter of the rows, for one column; they become
                         codes of 4 bits, or of 2 ...
    quarters128          ... of which four share a byte that are 32 columns apart
    turned32, turned16   numbers of so many bits, transposed
    f32, f16, bf16       numbers, where `steps` says
    bits4, bits8, awq    zero points of as many bits, in words; the last in AWQ's order
    constant             nothing is read: all numbers are `add`
    nested               codes of 8 bits: a number is table[code] * n + table[256], n one of those behind in table to 256 codes
    """

    field: str
    coding: str
    source: int = 0  # index of the file
    offset: int = 0  # of the tensor in it
    num_bytes: int = 4
    # The element of row r and block b is r // steps[0] * steps[1] + b // steps[2] * steps[3].
    steps: tuple[int, int, int, int] = (1, 0, 1, 0)
    add: int = 0  # to a code or zero point; what bytes are xored with
    mask: int = 0xFFFFFFFF  # what is left of a zero point after that
    less: int = 0  # taken off a zero point at last
    times: float = 1.0  # what numbers of f32, f16 and bf16 are multiplied with ...
    divides: bool = False  # ... or divided by them
    table: bytes = b""  # f32 of `nested`; u32 of words of codes: which column of the file each is, where not the same


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor in a file: not yet loaded."""

    name: str
    format: str  # 'F16', 'Q4_0', ...: a key of quant.QUANT_TYPES, or a type that nothing here can run
    shape: tuple[int, ...]  # outermost first, as in PyTorch
    source: int  # index of the file in the checkpoint's sources
    offset: int  # of its first byte in that file
    num_bytes: int
    parts: tuple[Part, ...] = ()  # where the fields of its blocks are tensors of their own; source and offset are the first's
    first: int = 0  # of whose rows it has those from here on ...
    file_rows: int = 0  # ... of so many
    rounds: bool = False  # what it is multiplied with is rounded, row by row (kernels/round_rows.py)
    order: tuple[int, ...] = ()  # its column c is the model's column order[c]; none: they are as they are

    def rows(self, first: int, count: int, name: str) -> "TensorInfo":
        """Some rows, as a tensor."""
        size, shape = self.num_bytes // self.shape[0], (count, *self.shape[1:])
        made = replace(self, name=name, shape=shape, num_bytes=count * size)
        return replace(made, first=self.first + first) if self.parts else replace(made, offset=self.offset + first * size)


def check_inside(tensors: Iterable[TensorInfo], start: int, end: int, where: str) -> None:
    """Every tensor lies in bytes start..end of its file, and no two share a byte."""
    previous: TensorInfo | None = None
    for tensor in sorted(tensors, key=lambda t: (t.offset, t.num_bytes)):
        first, last = tensor.offset, tensor.offset + tensor.num_bytes
        if first < start or last > end:
            message = f"tensor {tensor.name!r} should be at bytes {first}..{last}, but the data is at {start}..{end}"
            raise FormatError(message, where=where, hint="the file may be truncated: download it again")
        if previous and first < previous.offset + previous.num_bytes:
            raise FormatError(f"tensors {previous.name!r} and {tensor.name!r} overlap at byte {first}", where=where)
        previous = tensor
