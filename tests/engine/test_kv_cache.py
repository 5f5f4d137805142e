"""Blocks: what is reused, what is evicted first, and that the checker sees books that do not balance."""

from collections.abc import Callable

import pytest

from fanlight.engine.kv_cache import KVCache
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.sequence import Sequence


def make_sequence(tokens: list[int], **params) -> Sequence:
    return Sequence(list(tokens), len(tokens), SamplingParams(**params), 0, 10, frozenset())


def compute(cache: KVCache, tokens: list[int]) -> tuple[Sequence, int]:
    """A sequence with all its tokens computed, and how many of them were not: they came from the cache."""
    sequence = make_sequence(tokens)
    assert cache.admit(sequence, 0)
    reused, sequence.num_computed_tokens = sequence.num_computed_tokens, len(tokens)
    cache.register(sequence)
    return sequence, reused


A, B, C, D = [1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3], [4, 4, 4, 4]  # blocks


@pytest.mark.parametrize(
    "then, reused",
    [
        (A + B + C, 8),  # the last token is always computed
        (A + B + C + D, 12),
        (A + B + D + D, 8),
        (A + B, 4),
        (A + B[:3], 4),
        (B + C + D, 0),  # equal tokens elsewhere
        (A + C + D, 4),
        ([1, 1, 1, 2, *B, *C], 0),
        (A[:3], 0),
    ],
)
@pytest.mark.parametrize("is_released", [False, True])
def test_full_blocks_of_the_same_beginning_are_reused(then: list[int], reused: int, is_released: bool) -> None:
    cache = KVCache(16, 4)
    first, _ = compute(cache, A + B + C)
    table = list(first.block_table)
    if is_released:
        cache.release(first)
    second, got = compute(cache, then)
    assert got == reused
    assert second.block_table[: reused // 4] == table[: reused // 4]
    assert not set(second.block_table[reused // 4 :]) & set(table if not is_released else [])
    cache.check([second] if is_released else [first, second])


def test_the_least_recently_used_goes_first_and_ends_before_beginnings() -> None:
    cache = KVCache(8, 4)
    for tokens in (A + B + C + D, B + C + D + A):
        cache.release(compute(cache, tokens)[0])
    cache.release(compute(cache, A + B + C + D)[0])  # now the other is the older one
    cache.release(compute(cache, D + D)[0])  # takes two blocks: the end of the older one
    newer, reused = compute(cache, A + B + C + D)
    assert reused == 12
    cache.release(newer)
    assert compute(cache, B + C + D + A)[1] == 4  # one more went: the last block of a prompt is computed again


def test_blocks_that_nobody_can_reuse_are_taken_first() -> None:
    cache = KVCache(4, 4)
    cache.release(compute(cache, A)[0])
    for _ in range(10):
        cache.release(compute(cache, [7, 7, 7])[0])
    assert compute(cache, A + B)[1] == 4


def test_tokens_past_a_stop_never_name_a_block() -> None:
    cache = KVCache(8, 4)
    sequence, _ = compute(cache, [*A, 2, 2])
    sequence.num_pending, sequence.num_computed_tokens = 2, 8  # two drawn tokens computed, neither known here
    cache.register(sequence)
    assert sequence.num_blocks_registered == 1
    cache.release(sequence)
    assert compute(cache, A + B + C)[1] == 4


def test_a_refused_sequence_leaves_no_trace() -> None:
    cache = KVCache(4, 4)
    held, _ = compute(cache, A + B)
    refused = make_sequence(A + B + C + D + [1])
    assert not cache.admit(refused, 0)
    assert not cache.admit(make_sequence(A + C), 2)
    assert refused.block_table == [] and cache.num_free_blocks == 2
    cache.check([held])
    assert cache.admit(make_sequence(A + C), 1)  # shares A, takes one, spares one


def test_grow_takes_a_block_when_the_last_is_full() -> None:
    cache = KVCache(2, 4)
    sequence, _ = compute(cache, [5] * 3)
    assert cache.grow(sequence) and len(sequence.block_table) == 1
    sequence.num_computed_tokens = 4
    assert cache.grow(sequence) and len(sequence.block_table) == 2
    sequence.num_computed_tokens = 8
    assert not cache.grow(sequence)


@pytest.mark.parametrize(
    "damage",
    [
        lambda cache, s: s.block_table.append(s.block_table[0]),
        lambda cache, s: s.block_table.pop(),
        lambda cache, s: cache._free.update({s.block_table[0]: None}),
        lambda cache, s: cache._free.popitem(),
        lambda cache, s: cache._hash_of.clear(),
        lambda cache, s: setattr(s, "num_computed_tokens", 100),
    ],
)
def test_the_checker_sees_damage(damage: Callable[[KVCache, Sequence], object]) -> None:
    cache = KVCache(8, 4)
    sequence, _ = compute(cache, A + B)
    cache.check([sequence])
    damage(cache, sequence)
    with pytest.raises(AssertionError):
        cache.check([sequence])


def test_a_cache_needs_blocks() -> None:
    with pytest.raises(ValueError, match="0 blocks"):
        KVCache(0, 4)
