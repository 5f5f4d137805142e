"""Which block of the KV cache holds which tokens: a pool of blocks, block tables, reference counts, and the prefix cache.

A full block is named by the hash of its tokens chained to the hash of the block before it, so equal names mean equal tokens
at equal positions, and reading such a block gives exactly what computing it again would. Blocks of finished sequences stay
readable until they are needed for something else, least recently used first. Nothing here touches the GPU: it runs steps in
submit order, so a block may be handed on as soon as the last step that uses it was submitted. After vLLM's automatic prefix
caching.

Where layers carry a state from token to token, a prefix ends at a block behind which there is a snapshot of it (snapshots.py).
"""

import hashlib
from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterable
from collections.abc import Sequence as Seq

from fanlight.engine.images import Placed
from fanlight.engine.sequence import Sequence
from fanlight.engine.snapshots import BLOCKS_APART, Snapshots


class KVCache:
    def __init__(
        self, num_blocks: int, block_size: int, use_prefix_cache: bool = True, snapshots: Snapshots | None = None
    ) -> None:
        if num_blocks < 1 or block_size < 1:
            raise ValueError(f"a KV cache needs blocks: got {num_blocks} blocks of {block_size} tokens")
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.use_prefix_cache = use_prefix_cache
        self.snapshots = snapshots
        self._ref_counts = [0] * num_blocks
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(num_blocks))  # next to be handed out first
        self._block_of: dict[bytes, int] = {}  # hash -> the block with these tokens
        self._hash_of: dict[int, bytes] = {}

    @property
    def num_free_blocks(self) -> int:
        return len(self._free)

    def admit(self, sequence: Sequence, num_spare: int) -> bool:
        """Give the sequence blocks for all its tokens, reusing a cached prefix, and leave `num_spare` free; or change
        nothing."""
        reused = self._find_prefix(sequence)
        num_known, restored = len(reused), None
        if self.snapshots is not None:
            num_there, restored = self.snapshots.longest(sequence.block_hashes[:num_known])
            reused = reused[:num_there]
        num_blocks = -(-sequence.num_context_tokens // self.block_size)
        taken_from_free = num_blocks - sum(self._ref_counts[block] > 0 for block in reused)
        if taken_from_free + num_spare > len(self._free):
            return False
        for block in reused:
            self._ref_counts[block] += 1
            self._free.pop(block, None)
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
        return True

    def register(self, sequence: Sequence) -> None:
        """Offer the sequence's full blocks to others. Only tokens that are known and computed count: a token that is still
        on the GPU has no hash yet, and one that was drawn past a stop or in place of a known one never gets one."""
        computed, sure = sequence.num_computed_tokens, sequence.num_sure_tokens
        num_full = (computed if computed < sure else sure) // self.block_size
        if num_full <= sequence.num_blocks_registered or not self.use_prefix_cache:
            return
        hashes = self._hash_blocks(sequence, num_full)
        for i in range(sequence.num_blocks_registered, num_full):
            # Two sequences may compute the same tokens side by side: the first one's block stays the cached one. One that
            # nobody has any more gives way: it would be handed out soon.
            before = self._block_of.get(hashes[i])
            if before is not None and not self._ref_counts[before]:
                del self._hash_of[before]
                self._free.move_to_end(before, last=False)
            if before is None or not self._ref_counts[before]:
                self._block_of[hashes[i]] = sequence.block_table[i]
                self._hash_of[sequence.block_table[i]] = hashes[i]
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
            self._ref_counts[block] -= 1
            if self._ref_counts[block] == 0:
                self._free[block] = None
                if block not in self._hash_of:
                    self._free.move_to_end(block, last=False)
        sequence.block_table = []
        sequence.num_blocks_registered = 0
        sequence.num_blocks_written = 0
        sequence.num_computed_tokens = 0

    def forget(self) -> None:
        """Nothing that was written is there any more. No sequence may hold a block."""
        self._block_of.clear()
        self._hash_of.clear()
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

    def _allocate(self) -> int:
        block, _ = self._free.popitem(last=False)
        self._ref_counts[block] = 1
        evicted = self._hash_of.pop(block, None)
        if evicted is not None:
            del self._block_of[evicted]
        return block

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
        blocks = [self._allocate() for _ in hashes]
        for block_hash, block in zip(hashes, blocks, strict=True):
            if (before := self._block_of.get(block_hash)) is not None:  # its tokens are the same, but it is left to who has it
                del self._hash_of[before]
            self._block_of[block_hash], self._hash_of[block] = block, block_hash
        for block in reversed(blocks):
            self._ref_counts[block] = 0
            self._free[block] = None
        return blocks

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
        held = Counter(block for s in sequences for block in s.block_table)
        for s in sequences:
            assert len(set(s.block_table)) == len(s.block_table), f"block table has a block twice: {s.block_table}"
            assert s.num_computed_tokens <= len(s.block_table) * self.block_size, "computed tokens without a block"
        for block, count in enumerate(self._ref_counts):
            assert held[block] == count, f"block {block}: {held[block]} tables hold it, reference count {count}"
            assert (block in self._free) == (count == 0), f"block {block}: reference count {count}, free {block in self._free}"
        assert {h: b for b, h in self._hash_of.items()} == self._block_of, "hash tables disagree"
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
