"""Where tensors lie in a model file.  Knows no file format: the readers of GGUF and safetensors fill it in and check it
here."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fanlight.errors import FormatError


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor in a file: not yet loaded."""

    name: str
    format: str  # 'F16', 'Q4_0', ...: a key of quant.QUANT_TYPES, or a type that nothing here can run
    shape: tuple[int, ...]  # outermost first, as in PyTorch
    source: int  # index of the file in the checkpoint's sources
    offset: int  # of its first byte in that file
    num_bytes: int
    scales: "TensorInfo | None" = None  # where a quantised format's scales are a tensor of their own: formats/mlc.py

    def rows(self, first: int, count: int, name: str) -> "TensorInfo":
        """Some rows, as a tensor."""
        size = self.num_bytes // self.shape[0]
        scales = self.scales.rows(first, count, name) if self.scales else None
        at, shape = self.offset + first * size, (count, *self.shape[1:])
        return replace(self, name=name, shape=shape, offset=at, num_bytes=count * size, scales=scales)


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
