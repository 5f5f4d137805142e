"""Attention and rotation against what they are by definition, and against each other; what kernels refuse."""

from dataclasses import replace

import numpy as np
import pytest

from fanlight.kernels import (
    append,
    attention,
    attention_decode,
    attention_matrix,
    attention_prefill,
    attention_rows,
    rope,
    rope_kv,
    run_reference,
)
from fanlight.kernels.append import Append
from fanlight.kernels.attention import Attention
from fanlight.kernels.attention_rows import AttentionRows
from fanlight.kernels.case import SEQS
from fanlight.kernels.expressions import argument, softcap
from fanlight.kernels.inputs import Row, pack_inputs, rows_word
from fanlight.kernels.kv import KVLayout
from fanlight.kernels.rope import RopeRows
from fanlight.kernels.rotary import HeadNorm, Rope
from fanlight.kernels.spec import Kernel
from fanlight.kernels.wgsl import needs_of
from fanlight.models.layers import BY_DISTANCE, alibi_slopes

ROWS_AT = rows_word(SEQS)
PROMISED = 16 << 10  # bytes of workgroup memory that every adapter has
ROWS, HEADS, KV_HEADS, D, DV = 21, 6, 2, 12, 20


def compute(kernel: Kernel, grid: tuple[int, int, int], **contents: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {b.name: np.array(contents[b.name]).reshape(-1).view(np.uint8) for b in kernel.bindings}
    run_reference(kernel.wgsl(), [arrays[b.name] for b in kernel.bindings], grid)
    return {name: arrays[name].view(np.float32) for name in kernel.outputs}


@pytest.fixture
def step() -> dict[str, np.ndarray]:
    """q, k and v of a sequence that begins here."""
    rng = np.random.default_rng(3)
    return {
        "q": rng.normal(size=(ROWS, HEADS, D)).astype(np.float32),
        "k": rng.normal(size=(ROWS, KV_HEADS, D)).astype(np.float32),
        "v": rng.normal(size=(ROWS, KV_HEADS, DV)).astype(np.float32),
        "sinks": rng.normal(size=HEADS).astype(np.float32) * 2,
        "slopes": np.array(alibi_slopes(HEADS), np.float32),
        "inputs": np.frombuffer(pack_inputs([Row(0, i, 1) for i in range(ROWS)], [], SEQS), np.uint8),
        "block_table": np.arange(SEQS * 4, dtype=np.uint32)[::-1].copy(),
        "y": np.zeros((ROWS, HEADS, DV), np.float32),
    }


LAYOUT = KVLayout(KV_HEADS, D, 16, SEQS * 4, 4, "f32", DV)


def cached(step: dict[str, np.ndarray], p: Attention) -> np.ndarray:
    """k and v appended, then attention over the cache."""
    to = Append(LAYOUT, KV_HEADS * D, 0, KV_HEADS * DV, 0, ROWS_AT)
    kv = compute(append.make(to), append.grid(to, ROWS), **step, kv=np.zeros(LAYOUT.size // 4, np.float32))["kv"]
    state = np.zeros(2 * ROWS * HEADS * p.splits, np.float32)
    return compute(attention.make(p), attention.grid(p), **step, kv=kv, state=state)["y"]


def by_definition(
    step: dict[str, np.ndarray],
    behind: int,
    ahead: int = 0,
    cap: float | None = None,
    has_sinks: bool = False,
    has_slopes: bool = False,
) -> np.ndarray:
    """Row by row and head by head; a sink is one more column of scores, whose weight is thrown away. A slope lowers scores by
    how far behind the row their keys are."""
    y = np.zeros((ROWS, HEADS, DV))
    for row in range(ROWS):
        seen = slice(max(0, row - behind), row + ahead + 1)
        for head in range(HEADS):
            kv_head = head // (HEADS // KV_HEADS)
            scores = step["k"][seen, kv_head].astype(float) @ step["q"][row, head]
            scores = cap * np.tanh(scores / cap) if cap else scores
            scores -= step["slopes"][head] * np.arange(len(scores))[::-1] if has_slopes else 0
            weights = np.exp(np.append(scores, step["sinks"][head]) if has_sinks else scores)
            y[row, head] = (weights / weights.sum())[: len(scores)] @ step["v"][seen, kv_head]
    return y.reshape(-1)


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("cap", [None, 2.0])
@pytest.mark.parametrize("has_sinks", [False, True])
def test_attention_is_what_it_is_by_definition(step, window, cap, has_sinks):
    score = softcap(argument(0), cap) if cap else None
    p = Attention(ROWS, HEADS, LAYOUT, ROWS_AT, 1, window, score, has_sinks)
    assert np.allclose(cached(step, p), by_definition(step, (window or ROWS) - 1, 0, cap, has_sinks), atol=1e-5)


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("cap", [None, 2.0])
def test_slopes_lower_scores_by_distance(step, window, cap):
    score = (softcap(argument(0), cap) if cap else argument(0)) + BY_DISTANCE
    p = Attention(ROWS, HEADS, LAYOUT, ROWS_AT, 1, window, score, has_slopes=True)
    assert np.allclose(cached(step, p), by_definition(step, (window or ROWS) - 1, 0, cap, has_slopes=True), atol=1e-5)


def test_slopes_halve_from_head_to_head_and_others_lie_between():
    assert alibi_slopes(8) == tuple(2.0**-i for i in range(1, 9))
    assert alibi_slopes(6) == (0.25, 0.0625, 2.0**-6, 2.0**-8, 0.5, 0.125)
    assert alibi_slopes(4, 2.0) == tuple(2.0 ** (-i / 2) for i in range(1, 5))


@pytest.mark.parametrize("window", [None, 5])
def test_without_a_cache_it_is_the_same(step, window):
    sizes = (HEADS, KV_HEADS, D, DV, HEADS * D, 0, KV_HEADS * D, 0, KV_HEADS * DV, 0, HEADS * DV, ROWS_AT)
    p = AttentionRows(*sizes, causal=True, window=window)
    rows = compute(attention_rows.make(p), attention_rows.grid(p, ROWS), **step)["y"]
    assert np.allclose(rows, cached(step, Attention(ROWS, HEADS, LAYOUT, ROWS_AT, 1, window)), atol=1e-5)


@pytest.mark.parametrize(("window", "each_way"), [(None, ROWS), (6, 3), (7, 3)])
def test_both_ways_a_row_sees_half_its_window_to_either_side(step, window, each_way):
    sizes = (HEADS, KV_HEADS, D, DV, HEADS * D, 0, KV_HEADS * D, 0, KV_HEADS * DV, 0, HEADS * DV, ROWS_AT)
    p = AttentionRows(*sizes, window=window)
    y = compute(attention_rows.make(p), attention_rows.grid(p, ROWS), **step)["y"]
    assert np.allclose(y, by_definition(step, each_way, each_way), atol=1e-5)


@pytest.mark.parametrize("pairs", [1, 4, D // 2])
def test_rotation_by_itself_is_that_on_the_way_to_the_cache(step, pairs):
    layout = replace(LAYOUT, v_head_dim=None)
    qkv = np.random.default_rng(4).normal(size=(ROWS, (HEADS + 2 * KV_HEADS) * D)).astype(np.float32)
    contents = step | {"qkv": qkv, "x": qkv, "inv_freq": 0.3 ** np.arange(pairs, dtype=np.float32)}
    contents |= {"kv": np.zeros(layout.size // 4, np.float32), "y": np.zeros((ROWS, (HEADS + KV_HEADS) * D), np.float32)}
    p = Rope(HEADS, layout, 0.5, 1.3, ROWS_AT, pairs)
    both = compute(rope_kv.make(p, qkv.shape[1]), rope_kv.grid(p, ROWS), **contents)
    alone = RopeRows(HEADS + KV_HEADS, D, pairs, 1.3, qkv.shape[1], 0, (HEADS + KV_HEADS) * D, ROWS_AT)
    y = compute(rope.make(alone), rope.grid(alone, ROWS), **contents)["y"].reshape(ROWS, HEADS + KV_HEADS, D)
    assert np.allclose(both["q"].reshape(ROWS, HEADS, D), 0.5 * y[:, :HEADS], atol=1e-6)
    blocks = contents["block_table"][4 + np.arange(ROWS) // 16]
    keys = layout.keys(both["kv"])[blocks, :, np.arange(ROWS) % 16]
    assert np.allclose(keys, y[:, HEADS:], atol=1e-6)
    x = qkv.reshape(ROWS, -1, D)[:, : HEADS + KV_HEADS]
    assert np.allclose(y[..., 2 * pairs :], x[..., 2 * pairs :])
    turns = np.exp(1j * np.outer(np.arange(ROWS), contents["inv_freq"]))[:, None]
    z = 1.3 * turns * (x[..., : 2 * pairs : 2] + 1j * x[..., 1 : 2 * pairs : 2])
    assert np.allclose(y[..., : 2 * pairs : 2], z.real, atol=1e-5) and np.allclose(y[..., 1 : 2 * pairs : 2], z.imag, atol=1e-5)


def test_the_general_kernel_fits_wherever_it_is_offered():
    for d in (4, 12, 64, 80, 128, 252, 256, 320, 512):
        for v_dim, group, rows in ((None, 1, 1), (None, 5, 8), (None, 16, 300), (4, 8, 300), (512, 3, 300)):
            p = Attention(rows, 2 * group, KVLayout(2, d, 16, 64, 8, "f16", v_dim), ROWS_AT)
            assert attention.takes(p) and needs_of(attention.make(p).wgsl()).workgroup_bytes <= PROMISED, p


def test_prefill_fits_where_it_says_so():
    taken = set()
    for d in range(16, 513, 16):
        for dtype in ("f16", "f32"):
            p = Attention(300, 8, KVLayout(2, d, 16, 64, 8, dtype), ROWS_AT)
            fits = needs_of(attention_prefill.make(p).wgsl()).workgroup_bytes <= PROMISED
            assert attention_prefill.takes(p) == fits, p
            taken.add(fits)
    assert taken == {True, False}


def test_fast_kernels_refuse_what_they_would_get_wrong():
    plain = Attention(300, 8, KVLayout(2, 64, 16, 64, 8), ROWS_AT)
    cuts = {
        attention_decode: (attention_decode.default_shape(plain),),
        attention_matrix: (),
        attention_prefill: (),
    }
    for module, cut in cuts.items():
        assert module.takes(plain)
        for odd in (replace(plain, has_sinks=True), replace(plain, kv=replace(plain.kv, v_head_dim=32))):
            assert not module.takes(odd) and attention.takes(odd)
            with pytest.raises(ValueError, match="as wide as keys and no sinks"):
                module.make(odd, *cut)
    sloped = replace(plain, score=argument(0) + BY_DISTANCE, has_slopes=True)
    assert attention_prefill.takes(sloped) and attention_decode.takes(sloped) and not attention_matrix.takes(sloped)
    with pytest.raises(ValueError, match="no slopes"):
        attention_matrix.make(sloped)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: KVLayout(2, 66, 16, 64, 8), "multiples of 4"),
        (lambda: attention.make(Attention(1, 2, KVLayout(1, 516, 16, 64, 8), ROWS_AT)), "at most 512"),
        (lambda: attention.make(Attention(1, 2, LAYOUT, ROWS_AT, splits=2, has_sinks=True)), "no splits where sinks are"),
        (lambda: Rope(2, LAYOUT, 1.0, 1.0, ROWS_AT), "append.py"),
        (lambda: Rope(2, replace(LAYOUT, v_head_dim=None), 1.0, 1.0, ROWS_AT, D), "cannot turn"),
        (lambda: RopeRows(2, D, D, 1.0, 64, 0, 64, ROWS_AT), "cannot turn"),
        (lambda: AttentionRows(2, 2, 64, 64, 128, 0, 128, 2, 128, 0, 128, ROWS_AT), "multiples of 4"),
    ],
)
def test_what_no_kernel_can_do_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_head_norms_weight_enters_by_its_expression():
    layout = replace(LAYOUT, v_head_dim=None)
    p = Rope(1, replace(layout, kv_heads=1), 1.0, 1.0, ROWS_AT, 0)
    x, weight = np.arange(1, 3 * D + 1, dtype=np.float32), np.linspace(-1, 1, D, dtype=np.float32)
    contents = {
        "qkv": x,
        "inputs": np.frombuffer(pack_inputs([Row(0, 0, 0)], [], SEQS), np.uint8),
        "block_table": np.zeros(16, np.uint32),
        "inv_freq": np.zeros(1, np.float32),
        "q_norm": weight,
        "k_norm": weight,
        "kv": np.zeros(p.kv.size // 4, np.float32),
        "q": np.zeros(D, np.float32),
    }
    root = np.sqrt((x[:D] ** 2).mean() + 1e-6)
    for norm, factor in ((HeadNorm(1e-6), weight), (HeadNorm(1e-6, argument(0) * (1.0 + argument(1))), 1 + weight)):
        made = compute(rope_kv.make(p, 3 * D, norm), rope_kv.grid(p, 1), **contents)
        assert np.allclose(made["q"], x[:D] / root * factor, atol=1e-5)
        assert np.allclose(p.kv.values(made["kv"])[0, 0, 0], x[2 * D :])
