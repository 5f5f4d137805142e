"""Copies of what slots carry, each of it as it was after the last token of a block: where a sequence that begins with the same
tokens may go on from.  Named as blocks of the KV cache are (kv_cache.py); least recently used first, they give way to others.

A snapshot is made and read by copies on the GPU, in the order of the steps. So its place may be taken for another one as soon
as the copy that reads it is queued. It is named once the step before it is queued and its tokens are known; until they are, the
sequence owns it (`Sequence.snapshot`), and what was drawn past a stop is never named."""

from collections import OrderedDict
from collections.abc import Sequence as Seq

from fanlight.compiler.program import Program, Slice
from fanlight.runtime.device import Copy

BLOCKS_APART = 4  # in an answer; a prompt's last full block has one, and where it parts from what was computed before


class Snapshots:
    def __init__(self, count: int) -> None:
        self.count = count
        self._place_of: OrderedDict[bytes, int] = OrderedDict()  # hash of the last block -> which snapshot
        self._free = list(reversed(range(count)))

    def longest(self, hashes: Seq[bytes]) -> tuple[int, int | None]:
        """How many of these blocks, each after the one before, need not be computed, and the snapshot behind them."""
        for n in range(len(hashes), 0, -1):
            if (place := self._place_of.get(hashes[n - 1])) is not None:
                self._place_of.move_to_end(hashes[n - 1])
                return n, place
        return 0, None

    def has(self, block_hash: bytes) -> bool:
        return block_hash in self._place_of

    def take(self) -> int | None:
        """A place for a new one; None where sequences own all of them."""
        if self._free:
            return self._free.pop()
        return self._place_of.popitem(last=False)[1] if self._place_of else None

    def name(self, place: int, block_hash: bytes) -> None:
        """What is there is of these tokens. Two sequences may compute the same ones: the first one's stays."""
        if block_hash in self._place_of:
            self._place_of.move_to_end(block_hash)
            return self.give_back(place)
        self._place_of[block_hash] = place

    def give_back(self, place: int) -> None:
        self._free.append(place)

    def drop(self, block_hash: bytes) -> None:
        """Another one is of more use."""
        if (place := self._place_of.pop(block_hash, None)) is not None:
            self.give_back(place)

    def forget(self) -> None:
        """Nothing that was copied is there any more. No sequence may own one."""
        self._place_of.clear()
        self._free = list(reversed(range(self.count)))

    def check(self, owned: Seq[int]) -> None:
        """Raise AssertionError unless each place is one's alone."""
        assert sorted([*self._place_of.values(), *self._free, *owned]) == list(range(self.count)), "snapshots do not balance"


def keep(program: Program, slot: int, place: int) -> list[Copy]:
    """From the slot to the snapshot."""
    sizes = ((state, state.bytes_per_slot) for state in program.slot_states)
    return [(Slice(s.snapshots, place * size, size), Slice(s.buffer, slot * size, size)) for s, size in sizes]


def bring_back(program: Program, place: int, slot: int) -> list[Copy]:
    return [(there, kept) for kept, there in keep(program, slot, place)]
