"""The paged KV cache of one layer, as kernels see it.  https://arxiv.org/abs/2309.06180

kv[which, block, head, offset, D]: which is 0 for keys and 1 for values; a sequence's position p lies in block
block_table[slot][p / block_size] at offset p % block_size. Elements are f16 (packed in pairs: no adapter needs shader-f16 for
it) or f32."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KVLayout:
    kv_heads: int
    head_dim: int
    block_size: int
    num_blocks: int
    max_blocks_per_seq: int
    dtype: str = "f16"

    @property
    def size(self) -> int:
        """Bytes of one layer."""
        return 2 * self.num_blocks * self.kv_heads * self.block_size * self.head_dim * (2 if self.dtype == "f16" else 4)

    def constants(self) -> dict[str, int]:
        return {
            "KV_HEADS": self.kv_heads,
            "D": self.head_dim,
            "BLOCK_SIZE": self.block_size,
            "NUM_BLOCKS": self.num_blocks,
            "MAX_BLOCKS": self.max_blocks_per_seq,
        }

    def array(self, raw: "object") -> "object":
        """A writable view [2, blocks, heads, offset, D] of a layer's bytes. (NumPy)"""
        import numpy as np

        kind = np.float16 if self.dtype == "f16" else np.float32
        return raw.view(kind).reshape(2, self.num_blocks, self.kv_heads, self.block_size, self.head_dim)


def layout_of(kernel: "object") -> KVLayout:
    names = ("KV_HEADS", "D", "BLOCK_SIZE", "NUM_BLOCKS", "MAX_BLOCKS")
    dtype = next("f32" if "f32" in b.type else "f16" for b in kernel.bindings if b.name == "kv")
    return KVLayout(*(kernel.constant(n) for n in names), dtype)
