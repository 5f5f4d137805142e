"""Grammars in the engine, on the null device against an oracle that walks with Matcher: an answer's tokens depend on its prompt
and its grammar alone, whatever else runs, is preempted or has to wait for room."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.compiler.program import BufferSpec, Program, Sample
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams, Sequence
from fanlight.engine.grammars import Grammars, Vocabulary
from fanlight.errors import RequestError
from fanlight.grammar import Automaton, Matcher
from fanlight.kernels.cases_grammar import random_automaton, random_vocabulary
from fanlight.kernels.grammar import grammar_state_size, token_bytes_size
from fanlight.runtime.device import MAX_IN_FLIGHT
from fanlight.runtime.null import SlotCounts, next_token_id
from tests.engine.workload import check, expected, make_engine, make_program

V = 50
TEXTS, ENDS = random_vocabulary(np.random.default_rng(0), V)
AUTOMATA = [random_automaton(np.random.default_rng(seed)) for seed in range(6)]
SIZE = 4 * len(AUTOMATA[0].words)  # all have the same


def program(capacity: int = 8 * SIZE, **options) -> Program:
    made = make_program(vocab_size=V, **options)
    sizes = {
        "token_bytes": token_bytes_size(V),
        "grammar": capacity,
        "grammar_state": grammar_state_size(made.max_num_seqs),
    }
    return replace(made, buffers=made.buffers + tuple(BufferSpec(name, size, "io") for name, size in sizes.items()))


def engine_of(made: Program, **options) -> Engine:
    engine = make_engine(made, **options)
    engine.grammars.open_vocabulary = lambda: Vocabulary(TEXTS, ENDS)
    return engine


def allowed(matcher: Matcher, may_end: bool) -> list[int]:
    return [
        i for i, t in enumerate(TEXTS) if (matcher.copy().accept(t) if t else may_end and i in ENDS and matcher.is_complete)
    ]


def oracle(prompt: list[int], params: SamplingParams, limit: int) -> tuple[list[int], str]:
    """Token by token: the null device's choice is the first allowed one from what it would draw freely."""
    matcher, output = Matcher(params.grammar), []
    while True:
        fits = allowed(matcher, not params.ignore_eos)
        if not fits:
            return output, "abort"
        free = replace(params, grammar=None, max_tokens=len(output) + 1, stop_token_ids=frozenset())
        drawn = expected_after(prompt, output, free)
        token = min(fits, key=lambda t: (t - drawn) % V)
        output.append(token)
        if token in ENDS or token in params.stop_token_ids:
            return output, "stop"
        matcher.accept(TEXTS[token])
        if matcher.is_complete and not matcher.next_classes():
            return output, "stop"
        if len(output) == params.max_tokens or len(prompt) + len(output) == limit:
            return output, "length"


def expected_after(prompt: list[int], output: list[int], params: SamplingParams, context: list[int] | None = None) -> int:
    """context: what of them the model reads, if not all."""
    fields = ("temperature", "top_k", "top_p", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty")
    sample = Sample(0, 0, **{f: getattr(params, f) for f in fields}, seed=params.seed or 0, counter=len(output))
    return next_token_id(context or prompt + output, SlotCounts(Counter(prompt), Counter(output)), sample, b"", V)


def finish(engine: Engine, sequences: list[Sequence]) -> None:
    while open_ := [s for s in sequences if not s.is_finished]:
        for sequence in open_:
            sequence.take()
        try:
            run(engine.wait(open_))
        except RequestError as error:
            assert "no token of the vocabulary" in str(error)
        check(engine)


def test_vocabulary_has_ends_and_the_automata_let_answers_be_whole() -> None:
    answers = [oracle([t], SamplingParams(temperature=0, grammar=a, max_tokens=30), 64) for t in range(9) for a in AUTOMATA]
    assert {reason for _, reason in answers} >= {"stop", "length"}
    assert max(len(ids) for ids, reason in answers if reason == "stop") > 3


requests = st.lists(
    st.tuples(
        st.lists(st.integers(0, V - 1), min_size=1, max_size=20),
        st.builds(
            SamplingParams,
            temperature=st.sampled_from([0.0, 1.0]),
            frequency_penalty=st.sampled_from([0.0, 0.5]),
            seed=st.integers(0, 99),
            max_tokens=st.integers(1, 25),
            ignore_eos=st.booleans(),
            grammar=st.sampled_from([None, *AUTOMATA]),
        ),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(requests, st.integers(1, 5), st.integers(24, 60), st.integers(1, MAX_IN_FLIGHT), st.integers(1, 3))
def test_any_workload_gives_each_answer_its_own_tokens(workload, max_num_seqs, num_blocks, num_in_flight, room) -> None:
    made = program(room * SIZE, max_num_seqs=max_num_seqs, block_size=1, num_blocks=num_blocks, context_length=48)
    engine = engine_of(made, num_in_flight=num_in_flight)
    sequences = [engine.submit(prompt[: num_blocks - 2], params) for prompt, params in workload]
    finish(engine, sequences)
    limit = min(48, num_blocks)
    for sequence, (prompt, params) in zip(sequences, workload, strict=True):
        prompt = prompt[: num_blocks - 2]
        wanted = oracle(prompt, params, limit) if params.grammar else expected(prompt, params, params.seed, limit)
        assert (sequence.generated_token_ids, sequence.finish_reason) == wanted
        assert (sequence.finish_reason == "abort") == (sequence.error is not None)
    assert all(place.num_users == 0 for place in engine.grammars._places.values())


def test_preempted_answers_go_on_where_they_stood() -> None:
    params = [SamplingParams(temperature=0, grammar=a, max_tokens=25, ignore_eos=True) for a in AUTOMATA]
    engine = engine_of(program(num_blocks=30, block_size=1))
    sequences = [engine.submit([i], p) for i, p in enumerate(params)]
    finish(engine, sequences)
    assert engine.stats().num_preemptions > 0
    assert [(s.generated_token_ids, s.finish_reason) for s in sequences] == [oracle([i], p, 30) for i, p in enumerate(params)]


def test_equal_grammars_share_a_place_and_unused_ones_make_room() -> None:
    grammars = Grammars(program(2 * SIZE))
    grammars.open_vocabulary = lambda: Vocabulary(TEXTS, ENDS)

    def answer(automaton: Automaton) -> Sequence:
        return Sequence([0], 1, SamplingParams(grammar=automaton), 0, 1, frozenset())

    equal = random_automaton(np.random.default_rng(0))
    first, again, second, third = (answer(a) for a in (AUTOMATA[0], equal, AUTOMATA[1], AUTOMATA[2]))
    assert grammars.admit(first) and grammars.admit(again) and first.grammar_at == again.grammar_at
    assert grammars.admit(second) and not grammars.admit(third)
    grammars.release(first)
    assert not grammars.admit(third)  # `again` still uses it
    grammars.release(second)
    assert grammars.admit(third) and third.grammar_at == second.grammar_at


def test_what_can_never_be_placed_is_refused() -> None:
    engine = engine_of(program(SIZE - 4))
    with pytest.raises(RequestError, match="too large") as error:
        engine.submit([1], SamplingParams(grammar=AUTOMATA[0]))
    assert error.value.hint
    engine = make_engine(program())
    with pytest.raises(RequestError, match="does not know what its tokens spell"):
        engine.submit([1], SamplingParams(grammar=AUTOMATA[0]))
