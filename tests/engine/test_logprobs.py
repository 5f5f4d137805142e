"""Log-probabilities through the engine: on the null device, whose numbers say which row they are of, against a request's own
arithmetic; and on devices that compute, against NumPy's log_softmax of the logits that the same step gives."""

import random

import pytest

from fanlight.engine import SamplingParams, Sequence
from fanlight.errors import RequestError
from tests.engine.workload import expected, finish_all, make_engine, make_program

ASKED = {"logprobs": 3, "prompt_logprobs": 2}


def check_rows(sequence: Sequence, prompt: list[int]) -> None:
    """The null device gives a row's position, and the token that the row was asked about."""
    if sequence.params.prompt_logprobs is not None:
        assert [p.token_id for p in sequence.prompt_logprobs] == prompt[1:]
        assert [(p.rank, -p.logprob) for p in sequence.prompt_logprobs] == [(t, i) for i, t in enumerate(prompt[1:])]
    if sequence.params.logprobs is not None:
        assert [p.token_id for p in sequence.logprobs] == sequence.generated_token_ids
        assert [-p.logprob for p in sequence.logprobs] == list(range(len(prompt) - 1, len(sequence.token_ids) - 1))


@pytest.mark.parametrize("seed", range(30))
def test_every_run_of_every_step_gives_its_own(seed: int) -> None:
    """Any mixture of requests, with few blocks: preempted, batched, several steps in a submit."""
    rng = random.Random(seed)
    program = make_program(num_blocks=rng.choice([17, 24, 64]), max_num_seqs=rng.choice([1, 2, 4]))
    engine = make_engine(program)
    prompts = [[rng.randrange(50) for _ in range(rng.randint(1, 30))] for _ in range(6)]
    sequences, params = [], []
    for prompt in prompts:
        asked = {name: value for name, value in ASKED.items() if rng.random() < 0.6}
        how = SamplingParams(max_tokens=rng.randint(1, 25), seed=1, **asked)
        sequences.append(engine.submit(prompt, how))
        params.append(how)
    outputs = finish_all(engine, sequences)
    for sequence, prompt, how, output in zip(sequences, prompts, params, outputs, strict=True):
        assert output == expected(prompt, how, 1, program.context_length)[0]
        check_rows(sequence, prompt)
        assert bool(sequence.logprobs) == (how.logprobs is not None)


def test_a_prompt_that_was_computed_before_is_scored_all_the_same() -> None:
    engine, prompt = make_engine(), list(range(20))
    finish_all(engine, [engine.submit(prompt, SamplingParams(max_tokens=2, seed=1))])
    sequence = engine.submit(prompt, SamplingParams(max_tokens=2, seed=1, **ASKED))
    finish_all(engine, [sequence])
    assert sequence.cached_tokens == 0
    check_rows(sequence, prompt)


def test_numbers_are_checked() -> None:
    for name in ASKED:
        with pytest.raises(RequestError, match=f"{name} must be between 0 and 20"):
            SamplingParams(**{name: 21})


def test_a_program_without_them_is_no_silence() -> None:
    program = make_program(with_logprobs=False)
    with pytest.raises(RequestError, match="compiled without log-probabilities") as caught:
        make_engine(program).submit([1], SamplingParams(logprobs=0))
    assert caught.value.param == "logprobs"
