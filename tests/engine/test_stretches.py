"""What a grammar forces in mid-answer: an answer's tokens are those of an oracle that knows no steps, however many are in
flight, and whoever is preempted, ends or goes away in the middle of a stretch."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fanlight
from fanlight.api.python import LocalEngine
from fanlight.compiler.program import BufferSpec, Program
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams, Sequence
from fanlight.engine.grammars import FEWEST_KNOWN, Vocabulary
from fanlight.errors import EngineClosed, UnsupportedModel
from fanlight.grammar import Matcher, compile_format
from fanlight.kernels.grammar import grammar_state_size, token_bytes_size
from fanlight.runtime.device import MAX_IN_FLIGHT
from tests.cli.tiny import write_model
from tests.engine.test_grammars import V, expected_after
from tests.engine.workload import check, expected, make_engine, make_program

LONGER = "ab abc bc cd cde def efg gh h0 h1 ij jkl lmn nop op pq qx qxa hi zx z0 ghi zy yb fgh".split()
TEXTS = [b"", *(c.encode() for c in "abcdefghijklmnopqxyz0123"), *(text.encode() for text in LONGER)]
ENDS = frozenset([0])
assert len(TEXTS) == V
PATTERNS = [
    "([xyz]abcdefgh[0-3]ijklmnopq)*",
    "([xy](abcdefghijklmnopq|bc[0-3]))*[01]",
    "(x|yabcdefgh){9}z",
    "([xyz]abcdefgh[0-3]ijklmnopq){2}",
]
GRAMMARS = [compile_format({"type": "regex", "pattern": pattern}) for pattern in PATTERNS]


async def cut(text: bytes) -> list[int]:
    """The longest token first."""
    found = []
    while text:
        found.append(max((i for i, t in enumerate(TEXTS) if t and text.startswith(t)), key=lambda i: len(TEXTS[i])))
        text = text[len(TEXTS[found[-1]]) :]
    return found


def program(**options: int) -> Program:
    made = make_program(vocab_size=V, context_length=64, **options)
    capacity = 8 * max(len(grammar.words) for grammar in GRAMMARS)
    sizes = {"token_bytes": token_bytes_size(V), "grammar": capacity, "grammar_state": grammar_state_size(made.max_num_seqs)}
    return replace(made, buffers=made.buffers + tuple(BufferSpec(name, size, "io") for name, size in sizes.items()))


def engine_of(made: Program, **options: int) -> Engine:
    engine = make_engine(made, **options)
    engine.grammars.open_vocabulary = lambda: Vocabulary(TEXTS, ENDS, cut)
    return engine


def oracle(prompt: list[int], params: SamplingParams, limit: int) -> tuple[list[int], str]:
    """One token after the other, but for what is forced."""
    assert params.grammar is not None
    matcher, output, context = Matcher(params.grammar), list[int](), list(prompt)
    most = params.max_tokens or limit
    if params.num_sinks is None:
        most = min(most, limit - len(prompt))
    while True:
        fits = [i for i, t in enumerate(TEXTS) if (matcher.copy().accept(t) if t else matcher.is_complete)]
        drawn = expected_after(prompt, output, replace(params, grammar=None, stop_token_ids=frozenset()), context)
        token = min(fits, key=lambda t: (t - drawn) % V)
        output.append(token)
        context.append(token)
        if token in ENDS or token in params.stop_token_ids:
            return output, "stop"
        assert matcher.accept(TEXTS[token])
        if matcher.is_over:
            return output, "stop"
        if len(output) == most:
            return output, "length"
        if len(context) == limit:
            del context[params.num_sinks : params.num_sinks + (limit - params.num_sinks) // 2]
            continue
        room = min(most - len(output), limit - len(context)) - 1
        known = [] if params.logprobs is not None else run(cut(matcher.forced()))[:-1][:room]
        known = known[: next((i for i, t in enumerate(known) if t in params.stop_token_ids), len(known))]
        if len(known) >= FEWEST_KNOWN:
            output += known
            context += known
            assert matcher.accept(b"".join(TEXTS[i] for i in known))


requests = st.lists(
    st.tuples(
        st.lists(st.integers(1, V - 1), min_size=1, max_size=12),
        st.builds(
            SamplingParams,
            temperature=st.sampled_from([0.0, 1.0]),
            frequency_penalty=st.sampled_from([0.0, 0.5]),
            repetition_penalty=st.sampled_from([1.0, 1.2]),
            seed=st.integers(0, 99),
            max_tokens=st.one_of(st.none(), st.integers(1, 60), st.integers(60, 150)),
            stop_token_ids=st.sampled_from([frozenset(), frozenset([TEXTS.index(b"nop")])]),
            logprobs=st.sampled_from([None, None, None, 1]),
            grammar=st.sampled_from([None, *GRAMMARS, *GRAMMARS]),
            num_sinks=st.sampled_from([None, None, 0, 3, 14]),
        ),
        st.one_of(st.none(), st.none(), st.integers(1, 30)),  # after so many turns it goes away
    ),
    min_size=1,
    max_size=7,
)


Requests = list[tuple[list[int], SamplingParams, int | None]]  # prompt; after how many turns it goes away


def check_answers(engine: Engine, workload: Requests, limit: int) -> list[Sequence]:
    """Every answer is the oracle's, and that of one who goes away its beginning. limit: tokens of a sequence."""
    sequences = [engine.submit(prompt, params) for prompt, params, _ in workload]
    turn = 0
    while open_ := [s for s in sequences if not s.is_finished]:
        for sequence, (_, _, leaves) in zip(sequences, workload, strict=True):
            sequence.take()
            if leaves == turn:
                engine.abort(sequence)
        run(engine.wait(open_))
        check(engine)
        turn += 1
    for sequence, (prompt, params, leaves) in zip(sequences, workload, strict=True):
        if params.grammar is None:
            ids, reason = expected(prompt, params, params.seed or 0, limit, V)
        else:
            ids, reason = oracle(prompt, params, limit)
        got = sequence.generated_token_ids
        if sequence.finish_reason == "abort":
            assert leaves is not None and got == ids[: len(got)]
        else:
            assert (got, sequence.finish_reason) == (ids, reason)
        assert params.logprobs is None or len(sequence.logprobs) == len(got)
    return sequences


@settings(max_examples=100, deadline=None)
@given(requests, st.integers(1, 5), st.integers(30, 90), st.integers(1, 4), st.integers(1, MAX_IN_FLIGHT))
def test_any_workload_gives_each_answer_its_own_tokens(workload, max_num_seqs, num_tokens, block_size, num_in_flight) -> None:
    num_blocks = -(-num_tokens // block_size)
    made = program(max_num_seqs=max_num_seqs, block_size=block_size, num_blocks=num_blocks)
    engine = engine_of(made, num_in_flight=num_in_flight)
    limit = min(64, num_blocks * block_size)
    check_answers(engine, workload, limit)
    assert engine.kv_cache.num_free_blocks == num_blocks
    again = engine_of(made, num_in_flight=1)  # the prefix cache holds what it says it holds
    for prompt, params, _ in workload:
        if params.grammar is not None and len(both := prompt + oracle(prompt, params, limit)[0]) < limit:
            greedy = SamplingParams(temperature=0, max_tokens=1)
            pair = [e.submit(both, greedy) for e in (engine, again)]
            for e, s in zip((engine, again), pair, strict=True):
                finish(e, [s])
            assert pair[0].generated_token_ids == pair[1].generated_token_ids


def finish(engine: Engine, sequences: list[Sequence]) -> None:
    while open_ := [s for s in sequences if not s.is_finished]:
        for s in open_:
            s.take()
        run(engine.wait(open_))
        check(engine)


GREEDY = SamplingParams(temperature=0, max_tokens=40, grammar=GRAMMARS[3])


def test_a_waiter_that_is_cancelled_while_a_text_is_cut_loses_nothing() -> None:
    engine, is_cutting, may_cut = engine_of(program()), asyncio.Event(), asyncio.Event()

    async def slow(text: bytes) -> list[int]:
        is_cutting.set()
        await may_cut.wait()
        return await cut(text)

    async def scenario() -> None:
        engine.grammars.open_vocabulary = lambda: Vocabulary(TEXTS, ENDS, slow)
        sequence = engine.submit([3], GREEDY)

        async def wait() -> None:
            while not sequence.is_finished:
                sequence.take()
                await engine.wait([sequence])

        waiter = asyncio.ensure_future(wait())
        await is_cutting.wait()
        waiter.cancel()
        other = engine.submit([4], GREEDY)
        engine.start()  # queues steps meanwhile
        may_cut.set()
        await wait()
        assert (sequence.generated_token_ids, sequence.finish_reason) == oracle([3], GREEDY, 64)
        while not other.is_finished:
            other.take()
            await engine.wait([other])
        assert (other.generated_token_ids, other.finish_reason) == oracle([4], GREEDY, 64)
        check(engine)

    asyncio.run(scenario())


def test_a_text_that_cannot_be_cut_ends_its_answer_alone() -> None:
    async def fails(text: bytes) -> list[int]:
        raise UnsupportedModel("no such text")

    engine = engine_of(program())
    engine.grammars.open_vocabulary = lambda: Vocabulary(TEXTS, ENDS, fails)
    other, sequence = engine.submit([5], replace(GREEDY, grammar=None)), engine.submit([3], GREEDY)
    with pytest.raises(UnsupportedModel):
        finish(engine, [sequence])
    assert sequence.finish_reason == "abort" and not engine.scheduler.waiting
    finish(engine, [other])
    assert other.generated_token_ids == expected([5], replace(GREEDY, grammar=None), 0, 64, V)[0]
    closing = engine_of(program())

    async def closes(text: bytes) -> list[int]:
        closing.close()
        return await cut(text)

    closing.grammars.open_vocabulary = lambda: Vocabulary(TEXTS, ENDS, closes)
    with pytest.raises(EngineClosed):
        finish(closing, [closing.submit([3], GREEDY)])


# --- with kernels, in NumPy ------------------------------------------------------------------------------------------
NAMES = ["number_of_passengers_on_board", "is_the_cargo_insured_against_loss", "estimated_time_of_arrival_in_hours"]
SCHEMA = {"type": "object", "properties": {name: {"enum": [1, 22, 333, True]} for name in NAMES}, "required": NAMES}
ASK = {
    "prompt": "A ship:",
    "guided_json": SCHEMA | {"additionalProperties": False},
    "max_tokens": 200,
    "return_token_ids": True,
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    with fanlight.load(write_model(tmp_path_factory.mktemp("model") / "m.gguf"), device="reference", context_length=256) as it:
        yield it


def steps(engine: LocalEngine, **ask: object) -> tuple[int, Any]:
    before = engine.loaded.engine.stats().num_steps
    answer = engine.completions.create(**ASK, **ask)
    return engine.loaded.engine.stats().num_steps - before, answer


@pytest.mark.parametrize("how", [{"temperature": 0}, {"temperature": 1, "seed": 3, "frequency_penalty": 0.5}], ids=str)
def test_long_names_take_fewer_steps_and_no_answer_depends_on_what_is_in_flight(real: LocalEngine, how: dict) -> None:
    under = real.loaded.engine
    assert isinstance(under, Engine)
    few, answer = steps(real, **how)
    assert list(json.loads(answer.choices[0].text)) == NAMES and answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == len(answer.choices[0].token_ids)
    for num_in_flight in (1, 2, 16):
        under._num_in_flight = num_in_flight
        assert steps(real, **how)[1].choices[0].token_ids == answer.choices[0].token_ids
    vocabulary = under.grammars.vocabulary
    try:
        under.grammars._vocabulary = replace(vocabulary, cut=None)
        many, slow = steps(real, **how)
    finally:
        under.grammars._vocabulary = vocabulary
    assert list(json.loads(slow.choices[0].text)) == NAMES and 4 * few < 3 * many


@pytest.mark.parametrize("seed", range(3))
def test_a_text_whose_choices_stand_before_what_is_forced_is_the_same_with_and_without(real: LocalEngine, seed: int) -> None:
    under, ask = real.loaded.engine, {"prompt": "?", "temperature": 1, "seed": seed, "max_tokens": 99}
    ask["guided_regex"] = "(yes|no|maybe|never|always)?, said the old captain, and went on to count his 17 apples [.]"
    assert isinstance(under, Engine)
    text, vocabulary = real.completions.create(**ask).choices[0].text, under.grammars.vocabulary
    try:
        under.grammars._vocabulary = replace(vocabulary, cut=None)
        assert real.completions.create(**ask).choices[0].text == text
    finally:
        under.grammars._vocabulary = vocabulary
    for most in (1, 5, 12, 40):
        cut_off = real.completions.create(**{**ask, "max_tokens": most})
        assert cut_off.usage.completion_tokens == most and cut_off.choices[0].finish_reason == "length"
        assert text.startswith(cut_off.choices[0].text)
    stopped = real.completions.create(**ask, stop=["captain"]).choices[0]
    assert (stopped.text, stopped.finish_reason) == (text[: text.index("captain")], "stop")
    streamed = "".join(chunk.choices[0].text for chunk in real.completions.create(**ask, stream=True) if chunk.choices)
    assert streamed == text
