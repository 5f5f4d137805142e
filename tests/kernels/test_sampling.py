"""What the two sampling kernels draw, against probabilities that NumPy computes by sorting, as Hugging Face's logits warpers
do."""

import numpy as np
import pytest

from fanlight.compiler.program import BufferSpec, KernelSpec, Launch, Program, Sample, Slice, Step, pack_inputs
from fanlight.driver import run
from fanlight.grammar import Matcher
from fanlight.kernels import cases_grammar, grammar, logits, sample
from fanlight.runtime import open_device

V, SEQS, LAUNCHES = 300, 64, 40
BINDINGS = {
    "inputs": 4096 * 4,
    "token_counts": 4 * SEQS * V,
    "logit_bias": 4 * SEQS * V,
    "logits": 4 * SEQS * V,
    "parts": 8 * SEQS,
    "token_bytes": grammar.token_bytes_size(V),
    "grammar": 1 << 16,
    "grammar_state": grammar.grammar_state_size(SEQS),
    "next_token": 4 * SEQS,
    "sampled": 4 * SEQS,
}


def program() -> Program:
    launches, specs = [], []
    for kernel, grid in ((logits.make(V), logits.grid(SEQS, V)), (sample.make(V), sample.grid(SEQS))):
        specs.append(KernelSpec(kernel.stem, kernel.wgsl(), tuple(b.access for b in kernel.bindings)))
        slices = tuple(Slice(b.name, 0, BINDINGS[b.name]) for b in kernel.bindings)
        launches.append(Launch(kernel.stem, slices, grid))
    buffers = tuple(BufferSpec(name, size, "io") for name, size in BINDINGS.items())
    return Program("sampling", 16, V, SEQS, 16, 1, 1, buffers, tuple(specs), (Step("draw", 1, SEQS, tuple(launches)),))


@pytest.fixture(scope="module")
def device():
    device = open_device("native")
    run(device.prepare(program()))
    yield device
    device.close()


def draw(device, values: np.ndarray, seed: int = 1, **settings) -> np.ndarray:
    """SEQS * LAUNCHES tokens, drawn from the same logits."""
    drawn = []
    for launch in range(LAUNCHES):
        device.write("logits", 0, np.tile(values, SEQS).astype(np.float32).tobytes())
        samples = [Sample(0, slot, seed=seed + slot, counter=launch, **settings) for slot in range(SEQS)]
        drawn += run(device.result(device.submit("draw", pack_inputs([], samples, SEQS))))
    return np.array(drawn)


def probabilities(values: np.ndarray, temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0) -> np.ndarray:
    """By sorting: the k largest; of those the fewest that reach top_p; of those what has min_p of the largest's probability."""
    order = np.argsort(-values, kind="stable")
    p = np.exp((values[order] - values.max()) / temperature)
    if top_k:
        p[top_k:] = 0
    p /= p.sum()
    if top_p < 1:
        p[np.cumsum(p) - p >= top_p] = 0
    p[p < min_p * p.max()] = 0
    out = np.zeros(len(values))
    out[order] = p / p.sum()
    return out


def statistic(drawn: np.ndarray, p: np.ndarray) -> tuple[float, int]:
    """Chi-squared over tokens that are expected at least five times, the others together; and its degrees of freedom."""
    counts, expected = np.bincount(drawn, minlength=V), p * len(drawn)
    often = expected >= 5
    observed = np.append(counts[often], counts[~often].sum())
    wanted = np.append(expected[often], expected[~often].sum())
    keep = wanted > 0
    return float(((observed[keep] - wanted[keep]) ** 2 / wanted[keep]).sum()), int(keep.sum()) - 1


SETTINGS = [
    {"temperature": 1.0},
    {"temperature": 0.6},
    {"temperature": 1.4, "top_k": 12},
    {"temperature": 1.0, "top_p": 0.7},
    {"temperature": 1.0, "min_p": 0.1},
    {"temperature": 1.2, "top_k": 40, "top_p": 0.8, "min_p": 0.02},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_draws_follow_the_distribution(device, settings):
    values = np.random.default_rng(4).normal(size=V) * 2
    p = probabilities(values, **settings)
    drawn = draw(device, values, **settings)
    assert p[drawn].min() > 0, "drew a token that was cut off"
    chi2, df = statistic(drawn, p)
    assert chi2 < df + 5 * np.sqrt(2 * df), (chi2, df)


def test_another_distribution_is_told_apart(device):
    """The test above can fail: drawn at temperature 1, judged at 1.2."""
    values = np.random.default_rng(4).normal(size=V) * 2
    chi2, df = statistic(draw(device, values, temperature=1.0), probabilities(values, 1.2))
    assert chi2 > df + 5 * np.sqrt(2 * df)


def test_a_seed_decides(device):
    values = np.random.default_rng(5).normal(size=V)
    first, again, other = (draw(device, values, seed, temperature=1.0) for seed in (7, 7, 70_000))
    assert (first == again).all() and (first != other).mean() > 0.5


def test_numpy_draws_the_same_tokens(device):
    """The kernel's reference is the definition of a seed's text."""
    values = (np.random.default_rng(6).normal(size=V) * 2).astype(np.float32)
    drawn = draw(device, values, seed=2**40, temperature=1.0, top_k=50)
    words = [(slot, launch) for launch in range(LAUNCHES) for slot in range(SEQS)]
    p = {"temperature": 1.0, "top_k": 50, "top_p": 1.0, "min_p": 0.0}
    seeds = [{"seed_low": (2**40 + slot) & 0xFFFFFFFF, "seed_high": (2**40 + slot) >> 32, "counter": n} for slot, n in words]
    expected = [sample.draw(values, p | seed) for seed in seeds]
    assert (drawn == expected).mean() > 0.999  # near ties may round otherwise


def test_penalties_and_bias_move_probabilities(device):
    values = np.zeros(V)
    counts = np.zeros((SEQS, V), np.uint32)
    counts[:, 3], counts[:, 4] = 5, 0x8000_0000
    bias = np.zeros((SEQS, V), np.float32)
    bias[:, 5] = 100
    device.write("token_counts", 0, counts.tobytes())
    device.write("logit_bias", 0, bias.tobytes())
    assert (draw(device, values, has_bias=True) == 5).all()
    assert 3 not in draw(device, values, temperature=1.0, frequency_penalty=2.0, presence_penalty=2.0)
    seen = draw(device, values + 1, temperature=0.2, repetition_penalty=10.0)
    assert 3 not in seen and 4 not in seen


def test_a_bias_comes_before_the_penalties(device):
    """As in vLLM and transformers: (-2 + 5) / 2 = 1.5 beats 1.2, where -2 * 2 + 5 would not."""
    values, counts, bias = np.full(V, -9.0), np.zeros((SEQS, V), np.uint32), np.zeros((SEQS, V), np.float32)
    values[3], values[4] = -2.0, 1.2
    counts[:, 3], bias[:, 3] = 1, 5.0
    device.write("token_counts", 0, counts.tobytes())
    device.write("logit_bias", 0, bias.tobytes())
    assert (draw(device, values, has_bias=True, repetition_penalty=2.0) == 3).all()


@pytest.mark.parametrize("num_best", [261, 268, 297])
def test_top_k_holds_beside_a_top_p_of_almost_one(device, num_best):
    """In fixed point so many equal shares fall short of top_p; then top_k is what is left."""
    values = np.full(V, -0.5)
    values[:num_best] = 0.0
    assert (draw(device, values, temperature=1.0, top_k=num_best, top_p=1 - 2**-24) < num_best).all()


@pytest.mark.parametrize("settings", [{}, *SETTINGS], ids=str)
def test_a_grammar_leaves_the_distribution_over_what_it_allows(device, settings):
    """Nothing else is drawn, whatever its bias; what is left has the probabilities of a vocabulary of its own. The text that
    the GPU takes, step by step, is the grammar's."""
    rng = np.random.default_rng(8)
    texts, ends = cases_grammar.random_vocabulary(rng, V)
    automaton = cases_grammar.random_automaton(rng)
    device.write("token_bytes", 0, grammar.pack_vocabulary(texts, ends, V))
    device.write("grammar", 4 * 5, automaton.words.tobytes())
    matcher = cases_grammar.random_walk(rng, automaton)
    values = rng.normal(size=V) * 2
    allowed = np.array([matcher.copy().accept(t) if t else i in ends and matcher.is_complete for i, t in enumerate(texts)])
    assert 20 < allowed.sum() < V - 20
    values[~allowed] += 30  # as a bias would
    p = np.zeros(V)
    p[allowed] = probabilities(values[allowed], **settings) if settings else np.eye(allowed.sum())[values[allowed].argmax()]
    state = grammar.pack_state(matcher.state, matcher.stack) * SEQS
    drawn = []
    for launch in range(LAUNCHES):
        device.write("grammar_state", 0, state)
        device.write("logits", 0, np.tile(values, SEQS).astype(np.float32).tobytes())
        samples = [Sample(0, slot, seed=slot, counter=launch, grammar=6, **settings) for slot in range(SEQS)]
        drawn += run(device.result(device.submit("draw", pack_inputs([], samples, SEQS))))
    assert p[drawn].min() > 0, "drew a token that was cut off or refused"
    chi2, df = statistic(np.array(drawn), p)
    assert chi2 < df + 5 * np.sqrt(2 * df) + 1e-6, (chi2, df)
    after = np.frombuffer(run(device.read("grammar_state", 0, len(state))), np.uint32).reshape(SEQS, -1)
    for slot, token in enumerate(drawn[-SEQS:]):
        walked = Matcher(automaton, matcher.state, matcher.stack)
        assert not texts[token] or walked.accept(texts[token])
        assert after[slot, : 2 + len(walked.stack)].tolist() == [walked.state, len(walked.stack), *walked.stack]


def test_no_token_left_is_told(device):
    device.write("token_bytes", 0, grammar.pack_vocabulary([b"z"] * V, frozenset(), V))  # in class 0, which nothing takes
    automaton = cases_grammar.random_automaton(np.random.default_rng(3))
    automaton.actions[:: automaton.num_classes] = type(automaton.actions)("I", [0]) * automaton.num_states
    device.write("grammar", 0, automaton.words.tobytes())
    device.write("grammar_state", 0, grammar.pack_state(0, ()) * SEQS)
    values = np.full(V, 3.0)
    for settings in ({}, {"temperature": 1.0, "top_p": 0.5, "top_k": 4, "min_p": 0.1}):
        assert (draw(device, values, grammar=1, **settings) == grammar.NO_TOKEN).all()
