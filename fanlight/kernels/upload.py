"""Moves uploaded blocks into planes (packing.py), reordering rotary rows on the way.  One kernel for every format: only bytes
move.

Each invocation makes one u32 of the packed weight from two u16 of `staging`, since fields start and end at even bytes (MXFP4's
do not, and are moved byte by byte).
`upload_vector.wgsl` does the same for norms and biases, and widens them to f32; `upload_nibbles.wgsl` for codes of 4 bits
whose neighbours share a byte, as MLC, MLX and compressed-tensors have them."""

from fanlight.arrays import Array
from fanlight.kernels.packing import Packing, upload_words
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 256
LEAST_PARAMS = 64  # words that any upload may have
MAX_PARAMS = 1 << 14  # of uploads with a table
BYTES = "lib/fetch_bytes.wgsl"


def make(packing: Packing | None = None) -> Kernel:
    """packing: of what is moved; fields are at even bytes where it is not given."""
    bindings = {"staging": "array<u32>", "params": "array<u32>", "packed": "+array<u32>"}
    fetch = BYTES if packing and is_odd(packing) else "lib/fetch.wgsl"
    return kernel("upload", bindings, {"WORKGROUP": WORKGROUP}, ("lib/source_row.wgsl", fetch, "upload.wgsl"))


def is_odd(packing: Packing) -> bool:
    """Whether a field starts or ends at an odd byte."""
    return any((plane.unit | plane.file_offset | packing.file_block_bytes) % 2 for plane in packing.planes)


def make_nibbles(columns: int = 32) -> Kernel:
    """Of one plane. columns: to a block, whose first half is below the other."""
    bindings = {"staging": "array<u32>", "params": "array<u32>", "packed": "+array<u32>"}
    files = ("lib/source_row.wgsl", "lib/fetch.wgsl", "upload_nibbles.wgsl")
    return kernel("upload_nibbles", bindings, {"WORKGROUP": WORKGROUP, "HALF": columns // 8}, files)


def make_vector(format: str) -> Kernel:
    bindings = {"staging": "array<u32>", "params": "array<u32>", "packed": "+array<f32>"}
    files = (f"lib/widen_{format.lower()}.wgsl", "lib/source_row.wgsl", "upload_vector.wgsl")
    return kernel("upload_vector", bindings, {"WORKGROUP": WORKGROUP}, files)


def params(packing: Packing, first_row: int, rows: int, head_dim: int, rotary: int, add: int = 0) -> tuple[int, ...]:
    """u32 parameters: rows [first_row, first_row + rows) of the packed weight are in staging. head_dim: of heads whose first
    `rotary` rows are to be interleaved (`source_rows`); 0 where none are, and rotary is the step. add:
    to nibbles; what bytes are xored with."""
    values = [rows, first_row, packing.row_blocks, packing.file_block_bytes, len(packing.planes), head_dim, rotary, add]
    for plane in packing.planes:
        values += [plane.offset, plane.unit, plane.file_offset, plane.file_unit]
    return tuple(values)


def grid(packing: Packing, rows: int) -> tuple[int, int, int]:
    groups = ceil_div(upload_words(packing, rows), WORKGROUP)
    return (min(groups, 32768), ceil_div(groups, 32768), 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p = arrays["params"].view(np.uint32)
    rows, first, row_blocks, block_bytes, num_planes, head, rotary, add = (int(v) for v in p[:8])
    src = arrays["staging"].view(np.uint8)
    row_bytes = row_blocks * block_bytes
    source = source_rows(rows, head, rotary)
    staged = int(source.max()) + 1
    blocks = src[: staged * row_bytes].reshape(staged, row_blocks, block_bytes)[source]
    out = arrays["packed"].view(np.uint8)
    for i in range(num_planes):
        offset, unit, file_offset, file_unit = (int(v) for v in p[8 + 4 * i : 12 + 4 * i])
        padded = np.zeros((rows, row_blocks, unit), np.uint8)
        padded[:, :, :file_unit] = blocks[:, :, file_offset : file_offset + file_unit]
        start = offset + first * row_blocks * unit
        out[start : start + padded.size] = padded.reshape(-1) ^ np.uint8(add)


def reference_nibbles(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p = arrays["params"].view(np.uint32)
    rows, first, row_blocks, _, _, head, rotary, add = (int(v) for v in p[:8])
    source = source_rows(rows, head, rotary)
    staged = int(source.max()) + 1
    half = 4 * kernel.constant("HALF")
    codes = arrays["staging"].view(np.uint8)[: staged * row_blocks * half].reshape(staged, -1)[source]
    q = np.stack([codes & 15, codes >> 4], axis=2).reshape(-1, 2, half) + np.uint8(add)
    start = int(p[8]) + first * row_blocks * half
    arrays["packed"].view(np.uint8)[start : start + codes.size] = (q[:, 0] | (q[:, 1] << 4)).reshape(-1)


def reference_vector(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p = arrays["params"].view(np.uint32)
    rows, first, size, head, rotary = (int(p[i]) for i in (0, 1, 3, 5, 6))
    source = source_rows(rows, head, rotary)
    raw = arrays["staging"].view(np.uint8)[: (int(source.max()) + 1) * size]
    if "bf16" in kernel.files[0]:
        values = (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        values = raw.view(np.float32 if size == 4 else np.float16).astype(np.float32)
    arrays["packed"].view(np.float32)[first : first + rows] = values[source]


def source_rows(rows: int, head_dim: int, rotary: int) -> Array:
    """Which row of the file becomes row r: within each head, row 2i+c < rotary comes from row c*rotary/2+i, the others stay.
    Where there are no heads, every rotary-th."""
    import numpy as np

    r = np.arange(rows)
    if not head_dim:
        return r * max(rotary, 1)
    d = r % head_dim
    return np.where(d < rotary, r - d + (d % 2) * (rotary // 2) + d // 2, r)
