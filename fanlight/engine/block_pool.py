"""A pool of blocks: who has which, and which of those that nobody has still hold tokens that are known by name.

What is given back is handed out again least recently used first, but what has no name at once."""

from collections import Counter, OrderedDict
from collections.abc import Iterable


class BlockPool:
    def __init__(self, num_blocks: int, block_size: int) -> None:
        if num_blocks < 1 or block_size < 1:
            raise ValueError(f"a KV cache needs blocks: got {num_blocks} blocks of {block_size} tokens")
        self.num_blocks = num_blocks
        self.block_size = block_size
        self._ref_counts = [0] * num_blocks
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(num_blocks))  # next to be handed out first
        self._block_of: dict[bytes, int] = {}  # hash -> the block with these tokens
        self._hash_of: dict[int, bytes] = {}

    @property
    def num_free_blocks(self) -> int:
        return len(self._free)

    def _allocate(self) -> int:
        block, _ = self._free.popitem(last=False)
        self._ref_counts[block] = 1
        evicted = self._hash_of.pop(block, None)
        if evicted is not None:
            del self._block_of[evicted]
        return block

    def _share(self, block: int) -> None:
        self._ref_counts[block] += 1
        self._free.pop(block, None)

    def _give_back(self, block: int) -> None:
        self._ref_counts[block] -= 1
        if self._ref_counts[block] == 0:
            self._free[block] = None
            if block not in self._hash_of:
                self._free.move_to_end(block, last=False)

    def _name(self, block: int, block_hash: bytes) -> None:
        """Two sequences may compute the same tokens side by side: the first one's block stays the cached one. One that nobody
        has any more gives way: it would be handed out soon."""
        before = self._block_of.get(block_hash)
        if before is not None and not self._ref_counts[before]:
            del self._hash_of[before]
            self._free.move_to_end(before, last=False)
        if before is None or not self._ref_counts[before]:
            self._block_of[block_hash] = block
            self._hash_of[block] = block_hash

    def _adopt(self, hashes: Iterable[bytes]) -> list[int]:
        """Blocks, all to be written, that are offered as if a sequence had computed them and ended. There must be so many."""
        named = [(block_hash, self._allocate()) for block_hash in hashes]
        for block_hash, block in named:
            if (before := self._block_of.get(block_hash)) is not None:  # its tokens are the same, but it is left to who has it
                del self._hash_of[before]
            self._block_of[block_hash], self._hash_of[block] = block, block_hash
        for _, block in reversed(named):
            self._give_back(block)
        return [block for _, block in named]

    def forget(self) -> None:
        """Nothing that was written is there any more. No sequence may hold a block."""
        self._block_of.clear()
        self._hash_of.clear()

    def check_books(self, held: Iterable[int]) -> None:
        """Raise AssertionError unless the books balance, `held` being all blocks that tables hold, as often as they do."""
        counted = Counter(held)
        for block, count in enumerate(self._ref_counts):
            assert counted[block] == count, f"block {block}: {counted[block]} tables hold it, reference count {count}"
            assert (block in self._free) == (count == 0), f"block {block}: reference count {count}, free {block in self._free}"
        assert {h: b for b, h in self._hash_of.items()} == self._block_of, "hash tables disagree"
