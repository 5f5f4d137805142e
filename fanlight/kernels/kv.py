"""The paged KV cache of one layer, as kernels see it.  https://arxiv.org/abs/2309.06180

Keys [block, head, offset, D], then values [block, head, offset, DV]: a sequence's position p lies in block
block_table[slot][p / block_size] at offset p % block_size. Elements are f16 (packed in pairs: no adapter needs shader-f16 for
it) or f32."""

from dataclasses import dataclass

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel


@dataclass(frozen=True, slots=True)
class KVLayout:
    kv_heads: int
    head_dim: int  # of keys; a multiple of 4
    block_size: int
    num_blocks: int
    max_blocks_per_seq: int
    dtype: str = "f16"
    v_head_dim: int | None = None  # of values; None: as of keys

    def __post_init__(self) -> None:
        if self.head_dim % 4 or self.v_dim % 4:
            raise ValueError(f"heads of {self.head_dim} (values: {self.v_dim}) elements: expected multiples of 4")

    @property
    def v_dim(self) -> int:
        return self.v_head_dim or self.head_dim

    @property
    def size(self) -> int:
        """Bytes of one layer."""
        return self._places * (self.head_dim + self.v_dim) * (2 if self.dtype == "f16" else 4)

    @property
    def values_at(self) -> int:
        """Element that the values begin at."""
        return self._places * self.head_dim

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
        }

    def keys(self, raw: Array) -> Array:
        """A writable view [blocks, heads, offset, D] of a layer's bytes. (NumPy)"""
        return self._elements(raw)[: self.values_at].reshape(*self._shape, self.head_dim)

    def values(self, raw: Array) -> Array:
        """A writable view [blocks, heads, offset, DV] of a layer's bytes. (NumPy)"""
        return self._elements(raw)[self.values_at :][: self._places * self.v_dim].reshape(*self._shape, self.v_dim)

    def stored(self, values: Array) -> Array:
        """What the cache keeps of values: f16 has no room for more than 65504. (NumPy)"""
        import numpy as np

        return np.clip(values, -65504.0, 65504.0) if self.dtype == "f16" else values

    def _elements(self, raw: Array) -> Array:
        import numpy as np

        return raw.view(np.float16 if self.dtype == "f16" else np.float32)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (self.num_blocks, self.kv_heads, self.block_size)


def layout_of(kernel: Kernel) -> KVLayout:
    sizes = (kernel.constant(n) for n in ("KV_HEADS", "D", "BLOCK_SIZE", "NUM_BLOCKS", "MAX_BLOCKS"))
    kv_heads, head_dim, block_size, num_blocks, max_blocks = sizes
    dtype = next("f32" if "f32" in b.type else "f16" for b in kernel.bindings if b.name == "kv")
    return KVLayout(kv_heads, head_dim, block_size, num_blocks, max_blocks, dtype, kernel.constant("DV"))
