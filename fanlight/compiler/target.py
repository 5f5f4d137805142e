"""What a program is compiled for: the adapter, and what its steps share."""

from dataclasses import dataclass
from types import ModuleType

from fanlight.compiler.graph import Node
from fanlight.compiler.program import Limits, rows_word
from fanlight.compiler.tuning import UNTUNED, Tuning
from fanlight.compiler.verify import fits
from fanlight.kernels.kv import KVLayout
from fanlight.kernels.spec import Kernel, ceil_div


@dataclass(frozen=True, slots=True)
class Target:
    """num_blocks, block_size, kv_dtype: of every layer's KV cache, but that layers of `windowed` have num_window_blocks, and
    need no more than each sequence's last `window` tokens. activations: 'int8' or 'f32'. without: kernels that this adapter
    computes wrongly. tuning: how it wants the others cut."""

    limits: Limits
    context_length: int = 4096
    vocab_size: int = 0
    max_num_seqs: int = 8
    block_size: int = 16
    num_blocks: int = 256
    kv_dtype: str = "f16"
    activations: str = "int8"
    without: frozenset[str] = frozenset()
    tuning: Tuning = UNTUNED
    window: int = 0
    windowed: frozenset[int] = frozenset()
    num_window_blocks: int = 0

    @property
    def rows_at(self) -> int:
        return rows_word(self.max_num_seqs)

    def kv_layout(self, node: Node) -> KVLayout:
        """Of the layer that the node keeps or reads."""
        a = node.attrs
        num_blocks = self.num_window_blocks if a["layer"] in self.windowed else self.num_blocks
        blocks = num_blocks, ceil_div(self.context_length, self.block_size)
        return KVLayout(a["kv_heads"], a["head_dim"], self.block_size, *blocks, self.kv_dtype, a["v_head_dim"])

    def may_use(self, module: ModuleType) -> bool:
        return module.__name__.rpartition(".")[2] not in self.without

    def has_int8(self, module: ModuleType) -> bool:
        """Whether products may be computed in integers, by this kernel."""
        return self.activations == "int8" and self.may_use(module)

    def runs(self, kernel: Kernel) -> bool:
        return fits(kernel, self.limits)
