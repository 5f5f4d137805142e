"""Which block of the KV cache holds which tokens: a pool of blocks, block tables, reference counts, and the prefix cache.

A full block is named by the hash of its tokens chained to the hash of the block before it, so equal names mean equal tokens
at equal positions, and reading such a block gives exactly what computing it again would. Blocks of finished sequences stay
readable until they are needed for something else, least recently used first. Nothing here touches the GPU: it runs steps in
submit order, so a block may be handed on as soon as the last step that uses it was submitted. After vLLM's automatic prefix
caching.

Where layers carry a state from token to token, a prefix ends at a block behind which there is a snapshot of it (snapshots.py);
where some keep no more than a window, at one whose window is still there (window_blocks.py).
"""

import hashlib
from array import array
from collections.abc import Iterable
from collections.abc import Sequence as Seq

from fanlight.engine.block_pool import BlockPool
from fanlight.engine.placed import Placed
from fanlight.engine.sequence import Sequence
from fanlight.engine.snapshots import BLOCKS_APART, Snapshots
from fanlight.engine.window_blocks import WindowBlocks


class KVCache(BlockPool):
    """snapshots, window: where layers carry something, or keep no more than a window: what else must be there to reuse a
    prefix."""

    def __init__(
        self,
        num_blocks: int,
        block_size: int,
        use_prefix_cache: bool = True,
        snapshots: Snapshots | None = None,
        window: WindowBlocks | None = None,
    ) -> None:
        super().__init__(num_blocks, block_size)
        self.use_prefix_cache = use_prefix_cache
        self.snapshots = snapshots
        self.window = window

    def admit(self, sequence: Sequence, num_spare: int) -> bool:
        """Give the sequence blocks for all its tokens, reusing a cached prefix, and leave `num_spare` free; or change
        nothing."""
        reused = self._find_prefix(sequence)
        num_known = len(reused)
        num_there, restored = self.continued(sequence.block_hashes[:num_known])
        reused = reused[:num_there]
        num_blocks = -(-sequence.num_context_tokens // self.block_size)
        taken_from_free = num_blocks - sum(self._ref_counts[block] > 0 for block in reused)
        if taken_from_free + num_spare > len(self._free):
            return False
        for block in reused:
            self._share(block)
        if self.window is not None:
            self.window.begin(sequence, len(reused))
        sequence.block_table = reused + [self._allocate() for _ in range(num_blocks - len(reused))]
        sequence.num_blocks_registered = len(reused)
        sequence.num_computed_tokens = sequence.num_reused_tokens = len(reused) * self.block_size
        sequence.num_known_before, sequence.restored_from = num_known * self.block_size, restored
        return True

    def grow(self, sequence: Sequence, size: int = 1) -> bool:
        """Make room for so many more tokens than are computed; False if there are not blocks enough."""
        while sequence.num_computed_tokens + size > len(sequence.block_table) * self.block_size:
            if not self._free:
                return False
            sequence.block_table.append(self._allocate())
        return self.move(sequence, size)

    def move(self, sequence: Sequence, size: int) -> bool:
        """Where layers keep no more than a window: make it end behind so many more tokens than are computed. False if there are
        not blocks enough."""
        if self.window is None:
            return True
        self.register(sequence)  # before it loses blocks
        return self.window.move(sequence, size)

    def continued(self, hashes: Seq[bytes]) -> tuple[int, int | None]:
        """How many of these cached blocks a sequence may begin with, and the snapshot behind them."""
        count, restored = len(hashes), None
        while True:
            if self.snapshots is not None:
                count, restored = self.snapshots.longest(hashes[:count])
            there = count if self.window is None else self.window.longest(hashes[:count])
            if there == count:
                return count, restored
            count = there

    def register(self, sequence: Sequence) -> None:
        """Offer the sequence's full blocks to others. Only tokens that are known and computed count: a token that is still
        on the GPU has no hash yet, and one that was drawn past a stop or in place of a known one never gets one."""
        computed, sure = sequence.num_computed_tokens, sequence.num_sure_tokens
        num_full = (computed if computed < sure else sure) // self.block_size
        if num_full <= sequence.num_blocks_registered or not self.use_prefix_cache:
            return
        hashes = self._hash_blocks(sequence, num_full)
        for i in range(sequence.num_blocks_registered, num_full):
            self._name(sequence.block_table[i], hashes[i])
            if self.window is not None:
                self.window.name(sequence, i)
        sequence.num_blocks_registered = num_full
        self._name_snapshot(sequence)

    def release(self, sequence: Sequence) -> None:
        """Take the sequence's blocks back. What is registered stays readable until it is evicted."""
        self.register(sequence)
        if self.snapshots is not None and sequence.snapshot is not None:
            self.snapshots.give_back(sequence.snapshot[1])
        sequence.snapshot = None
        # Last block first: a prefix is of use without its continuation, not the other way round.
        for block in reversed(sequence.block_table):
            self._give_back(block)
        if self.window is not None:
            self.window.release(sequence)
        sequence.block_table = []
        sequence.num_blocks_registered = 0
        sequence.num_blocks_written = 0
        sequence.num_computed_tokens = 0

    def forget(self) -> None:
        super().forget()
        if self.window is not None:
            self.window.forget()
        if self.snapshots is not None:
            self.snapshots.forget()

    # --- snapshots ---------------------------------------------------------------------------------------------------
    def next_snapshot(self, sequence: Sequence) -> int | None:
        """After how many of its tokens a snapshot is wanted next: where a prompt parts from one that was computed before, at
        the last full block that another one may reuse, and now and then in an answer. None where an earlier one is still to be
        named, or nothing may be reused."""
        if self.snapshots is None or sequence.num_to_score or sequence.snapshot is not None:
            return None
        size, start = self.block_size, sequence.num_computed_tokens
        if start >= sequence.num_prefill_tokens:
            return (start // (BLOCKS_APART * size) + 1) * BLOCKS_APART * size
        last = (sequence.num_prefill_tokens - 1) // size * size
        return next((at for at in (sequence.num_known_before, last) if start < at <= last), None)

    def take_snapshot(self, sequence: Sequence) -> int | None:
        """The place for one of the sequence as it is after the tokens that are computed; None if there is none to be had."""
        assert self.snapshots is not None
        place = self.snapshots.take()
        if place is not None:
            sequence.snapshot = sequence.num_computed_tokens, place
            self._name_snapshot(sequence)
        return place

    def _name_snapshot(self, sequence: Sequence) -> None:
        """Once its tokens are known. An answer's takes the place of the one before it."""
        if self.snapshots is None or sequence.snapshot is None:
            return
        num_tokens, place = sequence.snapshot
        if num_tokens > sequence.num_blocks_registered * self.block_size:
            return
        name = sequence.block_hashes[num_tokens // self.block_size - 1]
        is_new, sequence.snapshot = not self.snapshots.has(name), None
        self.snapshots.name(place, name)
        if num_tokens <= sequence.num_prefill_tokens:
            return
        if sequence.answer_snapshot is not None:
            self.snapshots.drop(sequence.answer_snapshot)
        sequence.answer_snapshot = name if is_new else None

    def blocks_of(self, token_ids: Seq[int]) -> list[int]:
        """The blocks that hold the longest beginning of these tokens."""
        blocks: list[int] = []
        for block_hash in self.hashes_of(token_ids):
            if block_hash not in self._block_of:
                break
            blocks.append(self._block_of[block_hash])
        return blocks

    def hashes_of(self, token_ids: Seq[int]) -> list[bytes]:
        """Of all full blocks."""
        return hash_blocks([], token_ids, len(token_ids) // self.block_size, self.block_size)

    def adopt(self, token_ids: Seq[int]) -> list[int] | None:
        """Blocks for tokens whose keys and values come from elsewhere, all to be written; None, and nothing has changed, if not
        so many are free. They are offered to others as if a sequence had computed them and ended."""
        hashes = self.hashes_of(token_ids)
        if len(hashes) > len(self._free) or not self.use_prefix_cache:
            return None
        if self.window is not None and self.window.adopt(hashes) is None:
            return None
        return self._adopt(hashes)

    def _find_prefix(self, sequence: Sequence) -> list[int]:
        if not self.use_prefix_cache:
            return []
        blocks: list[int] = []
        num_full = num_reusable_tokens(sequence) // self.block_size
        for block_hash in self._hash_blocks(sequence, num_full)[:num_full]:
            block = self._block_of.get(block_hash)
            if block is None:
                break
            blocks.append(block)
        return blocks

    def _hash_blocks(self, sequence: Sequence, num_full: int) -> list[bytes]:
        """Hashes of at least the first `num_full` blocks."""
        token_ids = sequence.context_token_ids(0, num_full * self.block_size)
        return hash_blocks(sequence.block_hashes, token_ids, num_full, self.block_size, sequence.images, sequence.salt)

    def check(self, sequences: Iterable[Sequence]) -> None:
        """Raise AssertionError unless the books balance, `sequences` being all that hold blocks."""
        sequences = list(sequences)
        self.check_books(block for s in sequences for block in s.block_table)
        for s in sequences:
            assert len(set(s.block_table)) == len(s.block_table), f"block table has a block twice: {s.block_table}"
            assert s.num_computed_tokens <= len(s.block_table) * self.block_size, "computed tokens without a block"
        if self.window is not None:
            self.window.check(sequences)
        if self.snapshots is not None:
            self.snapshots.check([s.snapshot[1] for s in sequences if s.snapshot is not None])


def num_reusable_tokens(sequence: Sequence) -> int:
    """How many of its first tokens may come from the prefix cache. The last token is always computed: its logits are needed.
    Log-probabilities of a prompt are made of all its rows."""
    return 0 if sequence.num_to_score else sequence.num_context_tokens - 1


def hash_blocks(
    hashes: list[bytes], token_ids: Seq[int], num_full: int, size: int, images: tuple[Placed, ...] = (), salt: bytes = b""
) -> list[bytes]:
    """The hashes so far, and those that are missing up to `num_full` blocks, appended. images: what some of the tokens stand
    for. salt: what the first is chained to."""
    known = len(hashes) * size
    tokens = array("I", token_ids[known : num_full * size])
    for start in range(0, len(tokens), size):
        block = tokens[start : start + size].tobytes()
        for placed in images:
            if placed.start < known + start + size and known + start < placed.end:
                block += placed.image.digest + (placed.start - known - start).to_bytes(8, "little", signed=True)
        # SHA-256, not hash(): prompts come from strangers, and a collision would show one the other's text.
        hashes.append(hashlib.sha256((hashes[-1] if hashes else salt) + block).digest())
    return hashes
