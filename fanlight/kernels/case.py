"""A case of a kernel: a launch with given contents, and what NumPy makes of them.  Random contents to build cases from.
NumPy only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fanlight.arrays import Array
from fanlight.compiler.program import BufferSpec, KernelSpec, Launch, Program, Slice, Step
from fanlight.formats.quant import QUANT_TYPES, quantize_bf16
from fanlight.kernels.inputs import AXES, TURNS_AT, Row, Sample, pack_inputs
from fanlight.kernels.kv import KV_TYPES, KVLayout, layout_of
from fanlight.kernels.linear import FLOATS, IN_FLOATS, constant_contents, packing_of
from fanlight.kernels.packing import pack_blocks
from fanlight.kernels.spec import Kernel, round_up

SEQS = 4  # slots in every case
FIRST = tuple(QUANT_TYPES)[: [*QUANT_TYPES].index("Q6_K") + 1]
ALIKE = ("INT4_32", "INT8_128", "AFFINE4_64", "AFFINE8_32", "E4M3_32")  # but for a size, as others are
# They come last: all cases of a kernel draw from one generator.
NEWER = tuple(format for format in QUANT_TYPES if format not in (*FIRST, *ALIKE))

if TYPE_CHECKING:
    import numpy as np

    Random = np.random.Generator
else:
    Random = Any


@dataclass(frozen=True, slots=True)
class Case:
    """contents: binding -> array before the launch. tolerance: of each output, relative to its largest value."""

    name: str
    kernel: Kernel
    grid: tuple[int, int, int]
    contents: dict[str, Array]
    tolerance: float = 2e-5
    dtypes: tuple[tuple[str, str], ...] = ()  # of outputs that are not f32

    def arrays(self) -> dict[str, Array]:
        """u8 copies, padded to whole 16 bytes, as devices hold them."""
        import numpy as np

        made = {}
        for name, array in self.contents.items():
            raw = np.zeros(max(16, round_up(array.nbytes, 16)), np.uint8)
            raw[: array.nbytes] = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
            made[name] = raw
        return made

    def expected(self) -> dict[str, Array]:
        from fanlight.kernels import run_reference

        arrays = self.arrays()
        run_reference(self.kernel.wgsl(), [arrays[b.name] for b in self.kernel.bindings], self.grid)
        return {name: arrays[name] for name in self.kernel.outputs}

    def program(self) -> Program:
        """The launch as the only step of a Program; every binding is a buffer of its own, named `in_...` where a Program's
        own buffers have that name."""
        arrays = self.arrays()
        slices = tuple(Slice(buffer_of(b.name), 0, arrays[b.name].nbytes) for b in self.kernel.bindings)
        buffers = [BufferSpec(s.buffer, s.size, "io") for s in slices]
        buffers += [BufferSpec("inputs", 16, "io"), BufferSpec("sampled", 16, "io")]
        access = tuple(b.access for b in self.kernel.bindings)
        spec = KernelSpec(self.kernel.stem, self.kernel.wgsl(), access, self.kernel.features)
        step = Step("case", 1, 1, (Launch(spec.name, slices, self.grid, self.name),))
        return Program("case", 1, 1, 1, 1, 1, 1, tuple(buffers), (spec,), (step,))


_WIDEN = {"TQ1_0": 20, "TQ2_0": 20, "Q2_0": 20, "Q1_0": 20}  # whose integers are small
_TOP_NIBBLES = [[0, 0], [0, 0], [0, 0xA0], [0, 0x10]]  # in bytes, of four 16-bit words


def buffer_of(binding: str) -> str:
    return f"in_{binding}"


def random_weight(rng: Random, format: str, rows: int, cols: int) -> bytes:
    """A packed weight of values around +-0.1 with random bits."""
    return pack_blocks(packing_of(format, rows, cols), random_blocks(rng, format, rows, cols))


def random_blocks(rng: Random, format: str, rows: int, cols: int) -> Array:
    import numpy as np

    q = QUANT_TYPES[format]
    if format in FLOATS:
        values = rng.normal(size=rows * cols).astype(np.float32) * 0.1
        bits = {"F32": values, "F16": values.astype(np.float16), "BF16": (values.view(np.uint32) >> 16).astype(np.uint16)}
        return bits[format].view(np.uint8)
    blocks = rng.integers(0, 256, (rows * cols // q.block_elems, q.block_bytes), np.uint8)
    if format in IN_FLOATS:
        blocks[blocks % 128 == 127] = 0  # no number
    for field in q.fields:
        part = slice(field.offset, field.offset + field.size)
        if q.ggml_id is None and field.size == 4:
            blocks[:, part] = _f32_field(rng, format, field.name, len(blocks)).view(np.uint8).reshape(-1, 4)
            continue
        if field.name in ("d", "m", "dmin"):
            scale = rng.uniform(0.001, 0.004, len(blocks)) * (_WIDEN.get(format) or (0.1 if q.block_elems == 256 else 1))
            halves = quantize_bf16(scale.astype(np.float32)) if format == "Q4_0_BF16" else scale.astype(np.float16)
            blocks[:, part] = halves.view(np.uint8).reshape(-1, 2)
        elif format == "MXFP4" and field.name == "e":
            blocks[:, part] = 118 + blocks[:, part] % 6
        elif format == "NVFP4" and field.name == "scales":
            blocks[:, part] %= 40
        elif format == "IQ1_M" and field.name == "scales":  # 0x1a00 to 0x1aff is d
            blocks[:, part] = (blocks[:, part].reshape(-1, 4, 2) & [255, 15] | _TOP_NIBBLES).reshape(-1, 8)
    return blocks


def _f32_field(rng: Random, format: str, name: str, count: int) -> Array:
    """A scale, a zero point, or an offset that suits weights of either sign."""
    import numpy as np

    if name == "z":
        return rng.integers(*((0, 16) if "4_" in format else (-20, 20)), count).astype(np.float32)
    scale = rng.uniform(0.001, 0.004, count) * {"INT2": 5, "INT4": 1, "AFFINE4": 1, "NF4": 30}.get(format.split("_")[0], 0.1)
    return (scale * (-200 if "8_" in format else -25) if name == "m" else scale).astype(np.float32)


def constant_arrays(format: str) -> dict[str, Array]:
    """What kernels read beside a weight."""
    import numpy as np

    return {binding: np.frombuffer(data, np.uint8) for binding, data in constant_contents(format).items()}


def turning(rng: Random, inputs: Array) -> Array:
    """The record, whose rows turn by positions of their own on each axis."""
    import numpy as np

    words = inputs.view(np.uint32).copy()
    words[TURNS_AT] = len(words)
    return np.concatenate([words, rng.integers(0, 900, AXES * int(words[0]), np.uint32)]).view(np.uint8)


def random_inputs(rng: Random, positions: list[tuple[int, int]], samples: list[Sample] | None = None) -> Array:
    """positions: (slot, position) of each row."""
    import numpy as np

    rows = [Row(int(rng.integers(0, 30)), position, slot, bool(rng.integers(0, 2))) for slot, position in positions]
    return np.frombuffer(pack_inputs(rows, samples or [], SEQS), np.uint8)


def random_kv(
    rng: Random, kv_heads: int, head_dim: int, dtype: str, v_head_dim: int | None = None, max_blocks: int = 9
) -> tuple[KVLayout, Array, Array]:
    """A layout, a random cache and a block table in which each slot owns blocks in random order."""
    import numpy as np

    layout = KVLayout(kv_heads, head_dim, 16, SEQS * max_blocks, max_blocks, dtype, v_head_dim)
    if layout.type.has_scales:
        cache = np.zeros(layout.size, np.uint8)
        for which, view in enumerate((layout.keys(cache), layout.values(cache))):
            layout.write(cache, which, (slice(None),) * 3, rng.normal(size=view.shape))
    else:
        element = np.dtype(np.float16 if dtype == "f16" else np.float32)
        cache = rng.normal(size=layout.size // element.itemsize).astype(element)
    return layout, cache, rng.permutation(SEQS * max_blocks).astype(np.uint32)


def differences(case: Case, got: Mapping[str, bytes | Array]) -> list[str]:
    """What differs by more than the tolerance: output, the worst element, expected and got."""
    import numpy as np

    found = []
    for name, expected in case.expected().items():
        want, have = (_elements(case, name, np.frombuffer(x, np.uint8)) for x in (expected, got[name]))
        have = have[: len(want)]
        if want.dtype.kind == "u":
            wrong = np.flatnonzero(want != have)
        else:
            scale = max(float(np.abs(want.astype(np.float64)[np.isfinite(want)]).max(initial=0)), 1e-30)
            error = np.abs(want.astype(np.float64) - have.astype(np.float64)) / scale
            wrong = np.flatnonzero(~(error <= case.tolerance))
        if len(wrong):
            worst = wrong[0]
            found.append(f"{name}[{worst}] expected {want[worst]} got {have[worst]}; {len(wrong)} of {len(want)} differ")
    return found


def _elements(case: Case, name: str, raw: Array) -> Array:
    """An output's, of its bytes."""
    import numpy as np

    kind = dict(case.dtypes).get(name, "float32")
    if kind not in KV_TYPES:
        return raw.view(kind)
    layout = layout_of(case.kernel)
    return np.concatenate([view.reshape(-1) for view in (layout.keys(raw), layout.values(raw))])
