"""A logit processor gets the model's logits, what it makes of them is what is drawn of, and all else is as without it."""

from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.engine.processing import ProcessingEngine
from fanlight.engine.sequence import Sequence
from fanlight.errors import RequestError
from scripts.golden import tiny_mlc
from tests.models.conftest import load

PROMPT = [1, 17, 5, 93, 40, 41, 8, 60]
VOCABULARY = tiny_mlc.SIZES["vocab_size"]


class Recorder:
    """Adds what `change` says, and keeps what it was told."""

    def __init__(self, change=lambda logits: np.zeros_like(logits)) -> None:
        self.change, self.logits, self.tokens = change, [], []

    async def biases(self, logits: bytes) -> bytes:
        self.logits.append(np.frombuffer(logits, np.float32))
        return self.change(self.logits[-1]).astype(np.float32).tobytes()

    def sampled(self, token_id: int) -> None:
        self.tokens.append(token_id)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Engine:
    folder: Path = tiny_mlc.make_mlc("llama", "q4f16_1", tmp_path_factory.mktemp("m"), {"num_hidden_layers": 1})
    model = load(folder, 64)
    yield model.engine
    model.engine.close()


@pytest.fixture
def processing(plain):
    """An engine on the same device, with the same weights."""
    return lambda processor: ProcessingEngine(plain.program, plain._device, processor=processor)


def answer_of(engine: Engine, params: SamplingParams, prompt: list[int]) -> Sequence:
    sequence = engine.submit(prompt, params)
    while not sequence.is_finished:
        run(engine.wait([sequence]))
        sequence.take()
    return sequence


def tokens_of(engine: Engine, params: SamplingParams, prompt: list[int] = PROMPT) -> list[int]:
    return answer_of(engine, params, prompt).generated_token_ids


GREEDY = SamplingParams(temperature=0, max_tokens=9, ignore_eos=True)
DRAWN = [
    GREEDY,
    replace(GREEDY, temperature=1.3, seed=7),
    replace(GREEDY, temperature=0.9, seed=3, top_p=0.8, repetition_penalty=1.4, frequency_penalty=0.5, presence_penalty=0.3),
    replace(GREEDY, temperature=1.0, seed=5, logit_bias={3: 4.0, 9: -100.0}),
]


@pytest.mark.parametrize("params", DRAWN, ids=["greedy", "drawn", "penalties", "biases"])
def test_one_that_changes_nothing_changes_nothing(params, plain, processing) -> None:
    recorder = Recorder()
    expected = tokens_of(plain, params)
    assert tokens_of(processing(recorder), params) == expected
    assert recorder.tokens == expected and len(recorder.logits) == len(expected)


def test_it_gets_the_models_own_logits(plain, processing) -> None:
    """Whatever the request draws with; those after the prompt and each token."""
    recorder = Recorder()
    tokens = tokens_of(processing(recorder), DRAWN[2])
    for i, logits in enumerate(recorder.logits):
        run_one = tokens_of(plain, replace(GREEDY, max_tokens=1), PROMPT + tokens[:i])
        own = np.frombuffer(run(plain._device.read("logits", 0, 4 * VOCABULARY)), np.float32)
        np.testing.assert_allclose(logits, own, rtol=1e-4, atol=1e-4)
        assert int(logits.argmax()) == run_one[0]


def test_what_it_says_is_drawn(processing) -> None:
    wanted = iter([4, 8, 15, 16, 23, 42])

    def only_next(logits: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(logits)) == next(wanted), 0, -1e30)

    params = SamplingParams(temperature=1.5, max_tokens=6, ignore_eos=True)
    assert tokens_of(processing(Recorder(only_next)), params) == [4, 8, 15, 16, 23, 42]


def test_a_bias_is_a_bias(plain, processing) -> None:
    bias = {3: 5.0, 11: -2.5}
    added = array("f", [bias.get(i, 0.0) for i in range(VOCABULARY)])
    params = replace(GREEDY, temperature=1.1, seed=11)
    expected = tokens_of(plain, replace(params, logit_bias=bias))
    assert tokens_of(processing(Recorder(lambda logits: np.array(added))), params) == expected


def test_log_probabilities_are_the_models(plain, processing) -> None:
    params = replace(GREEDY, logprobs=2)
    found = []
    for engine in (plain, processing(Recorder())):
        logprobs = answer_of(engine, params, PROMPT).logprobs
        found.append([(entry.token_id, round(entry.logprob, 4), len(entry.top)) for entry in logprobs])
    assert found[0] == found[1] and len(found[0]) == 9


@pytest.mark.parametrize("change", [lambda logits: logits[:5], lambda logits: 1 / 0], ids=["too few", "raises"])
def test_one_that_fails_ends_its_answer_alone(change, plain, processing) -> None:
    engine = processing(Recorder(change))
    with pytest.raises(RequestError, match="the logit processor failed"):
        tokens_of(engine, GREEDY)
    assert tokens_of(plain, GREEDY)
