"""Blocks of layers that see a window (Program.window): of each sequence those that its next row sees, and no others.

They are a pool of their own, with a table of their own (WINDOW_TABLE); blocks go as the window moves on, and come as rows do.
They have the names of the KV cache's (kv_cache.py), and are evicted by themselves. So a prefix may be reused where the blocks
are there that the row after it sees: that row then reads what it would if all of the prefix had been computed. Nothing here
touches the GPU, which runs steps in submit order: a block may be handed on once the last step that reads it is planned."""

from collections.abc import Iterable
from collections.abc import Sequence as Seq

from fanlight.engine.block_pool import BlockPool
from fanlight.engine.sequence import Sequence


class WindowBlocks(BlockPool):
    def __init__(self, num_blocks: int, block_size: int, window: int) -> None:
        super().__init__(num_blocks, block_size)
        self.window = window

    def first_seen(self, num_tokens: int) -> int:
        """The first block that the row after so many tokens sees."""
        return max(0, num_tokens + 1 - self.window) // self.block_size

    def longest(self, hashes: Seq[bytes]) -> int:
        """How many of these blocks, each after the one before, a sequence may begin with."""
        longest = num_there = 0
        for count, block_hash in enumerate(hashes, 1):
            num_there = num_there + 1 if block_hash in self._block_of else 0
            if num_there >= count - self.first_seen(count * self.block_size):
                longest = count
        return longest

    def seen_after(self, hashes: Seq[bytes]) -> list[int]:
        """The blocks that the row after these sees; `longest` must have found all."""
        return [self._block_of[block_hash] for block_hash in hashes[self.first_seen(len(hashes) * self.block_size) :]]

    def begin(self, sequence: Sequence, num_blocks: int) -> None:
        """Share what the sequence sees that begins with so many cached blocks."""
        sequence.window_table = self.seen_after(sequence.block_hashes[:num_blocks])
        sequence.window_first = sequence.num_window_written = num_blocks - len(sequence.window_table)
        for block in sequence.window_table:
            self._share(block)

    def move(self, sequence: Sequence, size: int) -> bool:
        """Blocks for the sequence's next tokens, and back what none of its rows will see; False, and nothing has changed, if
        there are not enough. What is not sure is computed again, and with a logit processor the last token is."""
        start, table = sequence.num_computed_tokens, sequence.window_table
        first = self.first_seen(max(0, min(start, sequence.num_sure_tokens) - 1))
        gone = table[: max(0, first - sequence.window_first)]
        num_new = -(-(start + size) // self.block_size) - sequence.window_first - len(table)
        if num_new > len(self._free) + sum(self._ref_counts[block] == 1 for block in gone):
            return False
        for block in gone:
            self._give_back(block)
        sequence.window_first += len(gone)
        sequence.window_table = table[len(gone) :] + [self._allocate() for _ in range(num_new)]
        return True

    def name(self, sequence: Sequence, index: int) -> None:
        """The sequence's block of this index is full, and its hash known."""
        if index >= sequence.window_first:
            self._name(sequence.window_table[index - sequence.window_first], sequence.block_hashes[index])

    def release(self, sequence: Sequence) -> None:
        """The first go first: it is with the last ones that another sequence goes on."""
        for block in sequence.window_table:
            self._give_back(block)
        sequence.window_table = []
        sequence.window_first = sequence.num_window_written = 0

    def adopt(self, hashes: Seq[bytes]) -> list[int] | None:
        """Blocks for what the row after these sees, to be written; None, and nothing has changed, if not so many are free."""
        seen = hashes[self.first_seen(len(hashes) * self.block_size) :]
        return self._adopt(seen) if len(seen) <= len(self._free) else None

    def check(self, sequences: Iterable[Sequence]) -> None:
        """Raise AssertionError unless the books balance and each sequence has what its next row sees."""
        running = list(sequences)
        self.check_books(block for s in running for block in s.window_table)
        for s in running:
            assert len(set(s.window_table)) == len(s.window_table), f"window table has a block twice: {s.window_table}"
            assert s.window_first <= self.first_seen(s.num_computed_tokens), "the window begins before its blocks"
            assert s.num_computed_tokens <= (s.window_first + len(s.window_table)) * self.block_size, "tokens without a block"
