"""The sampler's noise where small vocabularies never see it: at the ends of a word, and in 10^7 draws from 152,064 tokens."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fanlight.driver import run
from fanlight.kernels import grammar, logits, sample
from fanlight.kernels.case import Case, buffer_of
from fanlight.kernels.inputs import Row, Sample, pack_inputs
from fanlight.kernels.spec import kernel
from fanlight.runtime import open_device
from tests.web.browser import Served, run_program, serve

V = 152_064  # Qwen 2.5's
NUM_DRAWS, CHUNK = 10_000_000, 1_000_000
WORDS = 1 << 32


def unmix(x: np.ndarray) -> np.ndarray:
    """The inverse of `sample.mix`: which token ^ hash has a given word."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(pow(0xC2B2AE35, -1, WORDS))
    x = (x ^ (x >> np.uint32(13)) ^ (x >> np.uint32(26))) * np.uint32(pow(0x85EBCA6B, -1, WORDS))
    return x ^ (x >> np.uint32(16))


def smallest_words(h: np.ndarray, num_words: int) -> tuple[np.ndarray, np.ndarray]:
    """(index of the draw, token) wherever a token's word is below num_words, without looking at every token."""
    keys = np.sort(unmix(~np.arange(num_words, dtype=np.uint32)))
    start = np.searchsorted(keys >> np.uint32(18), np.arange((1 << 14) + 1))  # V < 2^18: a token leaves the rest of h as it is
    first, last = start[h >> np.uint32(18)], start[(h >> np.uint32(18)) + 1]
    draw = np.repeat(np.arange(len(h)), last - first)
    which = np.arange(len(draw)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
    token = keys[first[draw] + which] ^ h[draw]
    return draw[token < V], token[token < V]


def hashes() -> Iterator[np.ndarray]:
    """Of NUM_DRAWS draws: 10 seeds of 2^40 and more, a million counters each."""
    for seed in range(NUM_DRAWS // CHUNK):
        yield sample.hash_of(np.uint32(seed), np.uint32(256), np.arange(CHUNK, dtype=np.uint32))


# --- the definition, in NumPy ----------------------------------------------------------------------------------------
def test_words_are_found_again():
    words = np.random.default_rng(0).integers(0, WORDS, 1000, dtype=np.uint32)
    assert (sample.mix(unmix(words)) == words).all()
    h = next(hashes())[:50]
    draw, token = smallest_words(h, 1 << 20)
    every = np.argwhere(~sample.mix(np.arange(V, dtype=np.uint32) ^ h[:, None]) < 1 << 20)
    assert sorted(zip(draw, token, strict=True)) == sorted(map(tuple, every)) and len(every) > 1000


def test_every_word_has_its_quantile():
    """The ends of a word, all of them, and a sample between: P(noise > x) = 1 - exp(-exp(-x)) gives the word back."""
    ends = np.arange(1 << 20, dtype=np.uint32)
    between = np.random.default_rng(1).integers(0, WORDS, 1 << 20, dtype=np.uint32)
    word = np.sort(np.concatenate([ends, ~ends, between]))
    x = sample.noise(word, np.uint32(1 << 31))
    assert np.isfinite(x).all() and (np.diff(x) <= 0).all()
    above, below = -np.expm1(-np.exp(-x.astype(np.float64))), np.exp(-np.exp(-x.astype(np.float64)))
    small = word < 1 << 31
    np.testing.assert_allclose(above[small] * WORDS, word[small] + 0.5, rtol=2e-6)
    np.testing.assert_allclose(below[~small] * WORDS, ~word[~small] + 0.5, rtol=1e-5)


def test_no_two_words_are_fifty_apart():
    """So nothing 50 below the best is drawn, whatever is hashed: exp(-50) is 2e-22."""
    finer = np.array([0, 1 << 31, WORDS - 1], np.uint32)
    highest, lowest = sample.noise(np.uint32(0), finer), sample.noise(np.uint32(WORDS - 1), finer)
    assert 44 < highest.max() and highest.max() - lowest.min() < 49


def test_ten_million_draws():
    """One token takes nearly all, some have 1e-5 or 1e-6, 50,000 have 1e-8 each, the others are 50 below. Only what can win is
    looked at: a token of probability p wins with a word of 50 p 2^32 with probability exp(-50)."""
    wanted = {1e-5: slice(1, 9), 1e-6: slice(9, 17), 1e-8: slice(17, 50_017)}
    values = np.full(V, -50.0, np.float32)
    values[0] = 0
    for p, tokens in wanted.items():
        values[tokens] = np.log(p)
    counts = np.zeros(V, np.int64)
    for h in hashes():
        best, drawn = sample.gumbel(np.uint32(0), h), np.zeros(len(h), np.uint32)
        few = [(np.flatnonzero(~sample.mix(np.uint32(i) ^ h) < 1 << 21), i) for i in range(1, 17)]
        draw, token = smallest_words(h, 1 << 12)
        draw = np.concatenate([draw, *(found for found, _ in few)])
        token = np.concatenate([token, *(np.full(len(found), i, np.uint32) for found, i in few)])
        noisy = values[token] + sample.gumbel(token, h[draw])
        np.maximum.at(best, draw, noisy)
        wins = noisy == best[draw]
        drawn[draw[wins]] = token[wins]
        counts += np.bincount(drawn, minlength=V)
    p = np.exp(values.astype(np.float64)) / np.exp(values.astype(np.float64)).sum()
    assert counts.sum() == NUM_DRAWS and not counts[50_017:].any(), "drew what is 50 below the best"
    for tokens in wanted.values():
        expected = p[tokens].sum() * NUM_DRAWS
        assert abs(counts[tokens].sum() - expected) < 5 * np.sqrt(expected), (tokens, counts[tokens].sum(), expected)
    expected = p[:17] * NUM_DRAWS
    assert (abs(counts[1:17] - expected[1:]) < 5 * np.sqrt(expected[1:])).all(), counts[1:17]


@pytest.mark.parametrize("p", [1e-9, 1e-10, 1e-11, 1e-12])
def test_tokens_that_are_rarer_than_a_word(p):
    """Against one token of nearly all probability, noise -log(E) wins with exp(-E / p). The mean of that over hashes is p, and
    words from 100 p 2^32 on add nothing to it. Hashes that give a token such a word are made from the two."""
    num_words = int(100 * p * WORDS) + 1
    tokens = np.random.default_rng(2).integers(0, V, (1 << 24) // num_words, dtype=np.uint32)
    h = tokens[:, None] ^ unmix(~np.arange(num_words, dtype=np.uint32))
    wins = np.exp(-np.exp(-sample.gumbel(tokens[:, None], h).astype(np.float64)) / p)
    assert wins.mean(axis=0).sum() / WORDS == pytest.approx(p, rel=0.03, abs=0)


# --- on devices ------------------------------------------------------------------------------------------------------
Run = Callable[[Case], dict[str, bytes]]


@pytest.fixture(scope="module")
def native() -> Iterator[Run]:
    device = open_device("native")

    def run_case(case: Case) -> dict[str, bytes]:
        run(device.prepare(case.program()))
        arrays = case.arrays()
        for binding, array in arrays.items():
            device.write(buffer_of(binding), 0, array.tobytes())
        run(device.result(device.submit("case", bytes(16))))
        return {name: bytes(run(device.read(buffer_of(name), 0, arrays[name].nbytes))) for name in case.kernel.outputs}

    yield run_case
    device.close()


@pytest.fixture(scope="module")
def in_chromium(chromium, assets) -> Iterator[Run]:
    served = Served({"/pages/": Path(__file__).parents[1] / "web" / "pages", "/": assets})

    def run_case(case: Case) -> dict[str, bytes]:
        arrays = case.arrays()
        writes = [(buffer_of(binding), 0, array.tobytes()) for binding, array in arrays.items()]
        reads = [(buffer_of(name), 0, arrays[name].nbytes) for name in case.kernel.outputs]
        return dict(
            zip(case.kernel.outputs, run_program(page, case.program().to_json(), writes, "case", None, reads), strict=True)
        )

    with serve(served) as url:
        page = chromium.new_page()
        page.goto(f"{url}/pages/blank.html")
        yield run_case
        page.close()


@pytest.fixture(params=["native", pytest.param("in_chromium", marks=pytest.mark.browser)])
def run_case(request: pytest.FixtureRequest) -> Run:
    return request.getfixturevalue(request.param)


def test_a_shaders_noise_is_numpys(run_case):
    """Both ends of a word, where the formula changes, and words of every size."""
    some, near = np.random.default_rng(3), np.arange(1 << 12, dtype=np.uint32)
    sizes = some.integers(0, WORDS, (32, 1 << 10), dtype=np.uint32) >> np.arange(32, dtype=np.uint32)[:, None]
    word = np.concatenate([near, ~near, near + np.uint32((1 << 30) - (1 << 11)), sizes.ravel(), ~sizes.ravel()])
    finer = some.integers(0, WORDS, len(word), dtype=np.uint32) >> some.integers(0, 32, len(word), dtype=np.uint32)
    finer[:4] = 0, 1, 1 << 31, WORDS - 1
    word[:4] = 0
    files = ("lib/gumbel.wgsl", str(Path(__file__).with_name("noise.wgsl")))
    made = kernel("noise", {"words": "array<vec2<u32>>", "noises": "+array<f32>"}, {}, files)
    contents = {"words": np.stack([word, finer], axis=1), "noises": np.zeros(len(word), np.float32)}
    found = run_case(Case("noise", made, (len(word) // 64, 1, 1), contents))
    got, expected = np.frombuffer(found["noises"], np.float32), sample.noise(word, finer)
    assert np.isfinite(got).all()
    print(f"off by {np.abs(got - expected).max():.1e}")
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def drawn_by(run_case: Run, values: np.ndarray, samples: list[Sample]) -> np.ndarray:
    """One token for each of `samples`, all from the same logits."""
    parts = np.zeros((logits.num_parts(V), 2), np.float32)
    for i in range(len(parts)):
        part = values[i * logits.PART : (i + 1) * logits.PART]
        parts[i, 0] = part.max()
        parts[i, 1:].view(np.uint32)[0] = i * logits.PART + part.argmax()
    contents = {
        "inputs": np.frombuffer(pack_inputs([Row(0, 0, 0)], samples, len(samples)), np.uint8),
        "logits": np.tile(values, len(samples)),
        "parts": np.tile(parts, (len(samples), 1)),
        "token_bytes": np.zeros(4, np.uint32),  # no sample has a grammar
        "grammar": np.zeros(4, np.uint32),
        "grammar_state": np.zeros(grammar.grammar_state_size(len(samples)) // 4, np.uint32),
        "next_token": np.zeros(len(samples), np.uint32),
        "sampled": np.zeros(len(samples), np.uint32),
    }
    found = run_case(Case(f"V {V}", sample.make(V), sample.grid(len(samples)), contents))
    return np.frombuffer(found["sampled"], np.uint32)[: len(samples)]


def test_the_impossible_is_not_drawn(run_case):
    """In eight draws in which a token has one of the 256 smallest words."""
    draws, tokens = smallest_words(sample.hash_of(np.uint32(9), np.uint32(0), np.arange(1 << 14, dtype=np.uint32)), 256)
    assert len(draws) > 8 and 77 not in tokens
    values = np.full(V, -50, np.float32)
    values[77] = 0
    assert (drawn_by(run_case, values, [Sample(0, i, 1.0, seed=9, counter=int(draws[i])) for i in range(8)]) == 77).all()


def test_the_second_word_decides(run_case):
    """In eight draws in which a token has the word 0: all tokens but one are 24 below, which some second words make up for."""
    h = sample.hash_of(np.uint32(11), np.uint32(0), np.arange(1 << 20, dtype=np.uint32))
    draws, tokens = (found[:8] for found in smallest_words(h, 1))
    wins = sample.gumbel(tokens, h[draws]) - 24 > sample.gumbel(np.uint32(77), h[draws])
    assert 1 < wins.sum() < 7
    values = np.full(V, -24, np.float32)
    values[77] = 0
    drawn = drawn_by(run_case, values, [Sample(0, i, 1.0, seed=11, counter=int(n)) for i, n in enumerate(draws)])
    assert drawn.tolist() == np.where(wins, tokens, 77).tolist()


def close_races() -> list[tuple[Sample, int]]:
    """Eight draws whose two smallest words differ by 0.1 to 0.4 %, the smaller one that of the later token; and that token."""
    h = sample.hash_of(np.uint32(10), np.uint32(0), np.arange(1 << 14, dtype=np.uint32))
    draw, token = smallest_words(h, 1 << 17)
    word = ~sample.mix(token ^ h[draw])
    order = np.lexsort((word, draw))
    draw, token, word = draw[order], token[order], word[order].astype(np.int64)
    first = np.flatnonzero(np.diff(draw, prepend=-1))[:-1]
    first = first[draw[first + 1] == draw[first]]
    gap = (word[first + 1] - word[first]) / word[first]
    close = first[(gap > 1e-3) & (gap < 4e-3) & (token[first] > token[first + 1])][:8]
    return [(Sample(0, i, 1.0, seed=10, counter=int(draw[at])), int(token[at])) for i, at in enumerate(close)]


def test_the_smaller_word_wins_a_close_race(run_case):
    """All logits alike, the smallest of 152,064 words decides, as noise is as fine as it is large."""
    draws, tokens = zip(*close_races(), strict=True)
    assert len(draws) == 8 and drawn_by(run_case, np.zeros(V, np.float32), list(draws)).tolist() == list(tokens)


def test_draws_from_a_large_vocabulary_are_numpys(run_case):
    """What differs is as good as level in NumPy: logits and noise have a few 1e-6 of rounding."""
    values = (np.random.default_rng(5).normal(size=V) * 3).astype(np.float32)
    samples = [Sample(0, i, 1.0, seed=2**50 + i, counter=i) for i in range(8)]
    for draw, token in zip(samples, drawn_by(run_case, values, samples), strict=True):
        h = sample.hash_of(draw.seed & 0xFFFF_FFFF, draw.seed >> 32, draw.counter)
        noisy = values + sample.gumbel(np.arange(V, dtype=np.uint32), h)
        assert noisy[token] >= noisy.max() - 2e-5
