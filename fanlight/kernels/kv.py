"""The paged KV cache of one layer, as kernels see it.  https://arxiv.org/abs/2309.06180

Keys [block, head, offset, D], then values [block, head, offset, DV]: a sequence's position p lies in block
block_table[slot][p / block_size] at offset p % block_size. KV_TYPES has what an element may be: f32, f16 (packed in pairs: no
adapter needs shader-f16 for it), or an integer, of which 32 neighbours of a head share an f16 scale, rounded as ggml's Q8_0
and Q4_0 are. Scales lie behind all integers, in the same order: a u32 holds those of `span` elements, so that one thread writes
it."""

from dataclasses import dataclass

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel

BLOCK = 32  # elements that share a scale


@dataclass(frozen=True, slots=True)
class KVType:
    """How elements lie, and as what `kv` is bound, in WGSL. Files beside the kernels read and write it: kv4 and kv8 have four
    and eight elements, kv_cell four as they lie in workgroup memory, of which cell4 makes numbers; kv_write takes a pair, where
    no scale is shared, and kv_block a block of 32."""

    block_bytes: int  # of 32 elements, without their scale
    four: str  # where four elements are read at a time
    eight: str  # where eight are
    cell: str  # four elements in workgroup memory
    written: str
    extreme: int | None = None  # the integer that the largest element of a block becomes; None: there are no scales

    @property
    def has_scales(self) -> bool:
        return self.extreme is not None

    @property
    def cell_bytes(self) -> int:
        return 16 if self.cell == "vec4<f32>" else 8

    def place_bytes(self, head_dim: int, v_head_dim: int) -> tuple[int, ...]:
        """Of one head at one position, region by region: keys and values, then scales of keys and of values."""
        dims = head_dim, v_head_dim
        scales = tuple(4 * d // span_of(*dims) for d in dims) if self.has_scales else ()
        return (*(d * self.block_bytes // BLOCK for d in dims), *scales)


KV_TYPES = {
    "f32": KVType(128, "vec4<f32>", "vec4<f32>", "vec4<f32>", "vec2<f32>"),
    "f16": KVType(64, "vec2<u32>", "vec4<u32>", "vec2<u32>", "u32"),
    "q8_0": KVType(32, "vec4<u32>", "vec4<u32>", "vec2<u32>", "u32", 127),
    "q4_0": KVType(16, "vec4<u32>", "vec4<u32>", "vec2<u32>", "u32", -8),
}


def span_of(head_dim: int, v_head_dim: int) -> int:
    """Elements whose scales are in one u32: of two blocks, or of one where heads are an odd number of blocks."""
    return BLOCK if head_dim % (2 * BLOCK) or v_head_dim % (2 * BLOCK) else 2 * BLOCK


@dataclass(frozen=True, slots=True)
class KVLayout:
    kv_heads: int
    head_dim: int  # of keys; a multiple of 4, where scales are shared of 32
    block_size: int
    num_blocks: int
    max_blocks_per_seq: int
    dtype: str = "f16"
    v_head_dim: int | None = None  # of values; None: as of keys

    def __post_init__(self) -> None:
        multiple = BLOCK if self.type.has_scales else 4
        if self.head_dim % multiple or self.v_dim % multiple:
            raise ValueError(f"heads of {self.head_dim} (values: {self.v_dim}) elements: expected multiples of {multiple}")

    @property
    def type(self) -> KVType:
        return KV_TYPES[self.dtype]

    @property
    def v_dim(self) -> int:
        return self.v_head_dim or self.head_dim

    @property
    def size(self) -> int:
        """Bytes of one layer."""
        return self._places * sum(self.type.place_bytes(self.head_dim, self.v_dim))

    @property
    def values_at(self) -> int:
        """Element that the values begin at."""
        return self._places * self.head_dim

    @property
    def scales_at(self) -> int:
        """Word that the scales begin at."""
        return self._places * (self.head_dim + self.v_dim) * self.type.block_bytes // BLOCK // 4

    @property
    def span(self) -> int:
        return span_of(self.head_dim, self.v_dim)

    @property
    def _places(self) -> int:
        return self.num_blocks * self.kv_heads * self.block_size

    def constants(self) -> dict[str, int]:
        return {
            "KV_HEADS": self.kv_heads,
            "D": self.head_dim,
            "DV": self.v_dim,
            "BLOCK_SIZE": self.block_size,
            "NUM_BLOCKS": self.num_blocks,
            "MAX_BLOCKS": self.max_blocks_per_seq,
        } | ({"SCALES_AT": self.scales_at, "SPAN": self.span} if self.type.has_scales else {})

    def reads(self, how: str) -> str:
        """The file that reads it: 'kv_read' has kv4, 'kv8' itself, 'kv_cell' kv_cell and cell4. One of integers has all."""
        return f"lib/{'kv' if self.type.has_scales else how}_{self.dtype}.wgsl"

    @property
    def writes(self) -> tuple[str, ...]:
        """Files that write it."""
        return (f"lib/kv_write_{self.dtype}.wgsl", *(("lib/kv_span.wgsl",) if self.type.has_scales else ()))

    # --- NumPy -------------------------------------------------------------------------------------------------------
    def keys(self, raw: Array) -> Array:
        """[blocks, heads, offset, D] of a layer's bytes; where no scales are shared a view that may be written to."""
        return self._elements(raw, 0)

    def values(self, raw: Array) -> Array:
        """[blocks, heads, offset, DV], likewise."""
        return self._elements(raw, 1)

    def write(self, raw: Array, which: int, where: tuple[Array | int | slice, ...], values: Array) -> None:
        """Heads [..., D] of keys (which 0) or values to places (block, head, offset), as the cache keeps them: f16 has no room
        for more than 65504."""
        import numpy as np

        if self.type.has_scales:
            codes, scales = self._coded(raw, which)
            codes[where], scales[where] = self._quantized(values)
        else:
            self._elements(raw, which)[where] = np.clip(values, -65504.0, 65504.0) if self.dtype == "f16" else values

    def scales(self, raw: Array, which: int) -> Array:
        """f32 [blocks, heads, offset, D / 32], where they are shared."""
        import numpy as np

        return self._coded(raw, which)[1].astype(np.float32)

    def _elements(self, raw: Array, which: int) -> Array:
        import numpy as np

        if self.type.has_scales:
            codes = self._coded(raw, which)[0]
            if self.dtype == "q4_0":
                codes = np.stack([codes & 15, codes >> 4], axis=-1).reshape(*codes.shape[:-1], -1).astype(np.int8) - 8
            return codes * self.scales(raw, which).repeat(BLOCK, axis=-1)
        d = (self.head_dim, self.v_dim)[which]
        flat = raw.view(np.float16 if self.dtype == "f16" else np.float32)
        return flat[which * self.values_at :][: self._places * d].reshape(*self._shape, d)

    def _coded(self, raw: Array, which: int) -> tuple[Array, Array]:
        """Views of the integers (of 4 bits: two in a byte, each plus 8), and of the scales [blocks, heads, offset, D / 32]."""
        import numpy as np

        d, flat = (self.head_dim, self.v_dim)[which], raw.view(np.uint8)
        start, count = which * self.values_at, self._places * d
        codes = flat[start * self.type.block_bytes // BLOCK :][: count * self.type.block_bytes // BLOCK]
        words = flat[4 * (self.scales_at + start // self.span) :][: 4 * count // self.span].view(np.float16)
        scales = words[:: 2 * BLOCK // self.span]
        codes = codes.view(np.int8) if self.dtype == "q8_0" else codes
        return codes.reshape(*self._shape, -1), scales.reshape(*self._shape, -1)

    def _quantized(self, values: Array) -> tuple[Array, Array]:
        """[..., D] -> what `_coded` views, as quantize_row_q8_0_ref and quantize_row_q4_0_ref of ggml round."""
        import numpy as np

        assert self.type.extreme is not None
        x = np.asarray(values, np.float32).reshape(*values.shape[:-1], -1, BLOCK)
        top = np.take_along_axis(x, np.abs(x).argmax(axis=-1, keepdims=True), axis=-1)
        scale = (np.abs(top) if self.type.extreme > 0 else top) / np.float32(self.type.extreme)
        by = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)
        scales = np.clip(scale, -65504, 65504).astype(np.float16)[..., 0]
        if self.dtype == "q8_0":
            codes = np.trunc(x * by + np.copysign(np.float32(0.5), x)).astype(np.int8)
            return codes.reshape(values.shape), scales
        codes = np.minimum(15, np.trunc(x * by + np.float32(8.5))).astype(np.uint8).reshape(values.shape)
        return codes[..., ::2] | codes[..., 1::2] << 4, scales

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (self.num_blocks, self.kv_heads, self.block_size)


def layout_of(kernel: Kernel) -> KVLayout:
    sizes = (kernel.constant(n) for n in ("KV_HEADS", "D", "BLOCK_SIZE", "NUM_BLOCKS", "MAX_BLOCKS"))
    kv_heads, head_dim, block_size, num_blocks, max_blocks = sizes
    files = [file for file in kernel.files if file.startswith("lib/kv")]
    named = [dtype for dtype in KV_TYPES if any(file.endswith(f"_{dtype}.wgsl") for file in files)]
    dtype = named[0] if named else "f16"  # of which attention_matrix.py takes the bits as they are
    return KVLayout(kv_heads, head_dim, block_size, num_blocks, max_blocks, dtype, kernel.constant("DV"))
