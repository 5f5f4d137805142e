"""Answers that outlive their context: after each shift the model answers as to a fresh prompt of what is kept, in NumPy."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fanlight
from fanlight.api.generation import Generation
from fanlight.api.python import LocalEngine
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.errors import ContextOverflow, RequestError
from tests.cli.tiny import write_model

CONTEXT, SINKS = 64, 16
HALF = (CONTEXT - SINKS) // 2
ASK: dict[str, Any] = {"temperature": 0, "ignore_eos": True, "return_token_ids": True, "logprobs": 2}
SLIDING = {**ASK, "context_overflow": "attention_sinks"}
PROMPT = [*range(5, 45)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="module")
def engine(model: Path) -> Iterator[LocalEngine]:
    with fanlight.load(model, device="reference", context_length=CONTEXT, max_num_seqs=3) as engine:
        yield engine


def kept(token_ids: list[int]) -> list[int]:
    """Of a context that is full."""
    while len(token_ids) >= CONTEXT:
        token_ids = token_ids[:SINKS] + token_ids[SINKS + HALF :]
    return token_ids


def by_fresh_requests(engine: LocalEngine, prompt: list[int], count: int) -> tuple[list[int], list[float]]:
    """An answer's tokens and their log-probabilities, each context's by a request of its own."""
    context, tokens, logprobs = kept(prompt), list[int](), list[float]()
    while len(tokens) < count:
        most = min(CONTEXT - len(context), count - len(tokens))
        choice = engine.completions.create(prompt=context, max_tokens=most, **ASK).choices[0]
        tokens += choice.token_ids
        logprobs += choice.logprobs.token_logprobs
        context = kept(context + choice.token_ids)
    return tokens, logprobs


@pytest.mark.parametrize("length", [3, 40, CONTEXT - 1, CONTEXT, 200])
def test_after_a_shift_the_model_answers_as_to_a_fresh_prompt_of_what_is_kept(engine: LocalEngine, length: int) -> None:
    prompt = [5 + i * 7 % 90 for i in range(length)]
    answer = engine.completions.create(prompt=prompt, max_tokens=100, **SLIDING)
    choice = answer.choices[0]
    tokens, logprobs = by_fresh_requests(engine, prompt, 100)
    assert choice.token_ids == tokens and choice.finish_reason == "length"
    assert choice.logprobs.token_logprobs == pytest.approx(logprobs, abs=1e-3)
    assert answer.usage.prompt_tokens == len(answer.prompt_token_ids) == len(kept(prompt)) < CONTEXT
    assert answer.prompt_token_ids == kept(prompt) and answer.usage.completion_tokens == 100


def test_several_answers_in_few_blocks_are_as_alone(engine: LocalEngine) -> None:
    """They preempt each other while they shift."""
    prompts = [PROMPT[:10], PROMPT[10:20], PROMPT[:10]]
    alone = [by_fresh_requests(engine, prompt, 90)[0] for prompt in prompts]
    under = engine.loaded.engine
    assert isinstance(under, Engine)
    before = under.stats().num_preemptions
    answer = engine.completions.create(prompt=prompts, max_tokens=90, **SLIDING)
    assert [choice.token_ids for choice in answer.choices] == alone
    assert under.stats().num_preemptions > before  # there are blocks for one context
    under.kv_cache.check([])


def test_a_grammar_a_stream_and_choices_go_on_through_shifts(engine: LocalEngine) -> None:
    asked = {
        "prompt": PROMPT,
        "max_tokens": 200,
        "n": 2,
        "seed": 3,
        "frequency_penalty": 0.4,
        "context_overflow": "attention_sinks",
    }
    answer = engine.completions.create(**asked, guided_regex="([ab] ){60}")
    assert [choice.finish_reason for choice in answer.choices] == ["stop"] * 2
    assert all(re.fullmatch("([ab] ){60}", choice.text) for choice in answer.choices)
    whole = engine.completions.create(**asked)
    texts = ["", ""]
    for chunk in engine.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == [choice.text for choice in whole.choices]


TALK = [{"role": "system", "content": "Be brief."}, *({"role": "user", "content": f"Question {i}, long"} for i in range(9))]


def test_a_talk_keeps_what_comes_before_its_first_message(engine: LocalEngine) -> None:
    with pytest.raises(ContextOverflow):
        engine.chat.completions.create(messages=TALK, max_tokens=4)
    asked = {"messages": TALK, "return_token_ids": True, "ignore_eos": True, "context_overflow": "attention_sinks"}
    answer = engine.chat.completions.create(**asked, max_tokens=40)
    prompt = engine.loaded.tokenizer.decode(answer.prompt_token_ids, skip_special_tokens=False)
    assert prompt.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n") and "Question 0" not in prompt
    assert prompt.endswith("Question 8, long<|im_end|>\n<|im_start|>assistant\n")
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 40)
    assert answer.usage.prompt_tokens == len(answer.prompt_token_ids) < CONTEXT
    endless = engine.chat.completions.create(**asked)
    assert (endless.choices[0].finish_reason, endless.usage.completion_tokens) == ("length", CONTEXT)
    short = engine.chat.completions.create(**asked | {"messages": TALK[1:2]}, max_tokens=4)
    assert "Question 0" in engine.loaded.tokenizer.decode(short.prompt_token_ids)


def test_a_prompt_that_grows_finds_what_it_kept(engine: LocalEngine) -> None:
    """As long as no more leaves the context, and the sinks always."""
    cached = []
    for length in range(100, 100 + HALF, 8):
        answer = engine.completions.create(prompt=[90 - i % 80 for i in range(length)], max_tokens=1, **SLIDING)
        cached.append(answer.usage.prompt_tokens_details.cached_tokens)
    assert cached[0] == 0 and min(cached[1:]) >= SINKS and max(cached) >= SINKS + HALF - 16


def test_as_the_model_was_loaded_and_what_is_inserted(model: Path) -> None:
    with fanlight.load(model, device="null", context_length=CONTEXT, context_overflow="attention_sinks") as engine:
        answer = engine.completions.create(prompt=[7] * 100, max_tokens=70, ignore_eos=True)
        assert answer.usage.completion_tokens == 70
        with pytest.raises(ContextOverflow):
            engine.completions.create(prompt=[7] * 100, context_overflow="error")
        params = SamplingParams(max_tokens=150, ignore_eos=True, num_sinks=4)
        with Generation(engine.loaded, [PROMPT], params) as generation:
            choice = generation.choices[0]
            choice.pause_at = 90
            while choice.num_tokens < 90:
                run(generation.advance())
            generation.insert(0, [5, 6, 7])
            while run(generation.advance()):
                pass
            assert (choice.num_tokens, choice.finish_reason) == (150, "length")
            assert choice.sequence.num_prompt_tokens < CONTEXT


def test_what_cannot_stay_is_refused(engine: LocalEngine) -> None:
    long = [{"role": "system", "content": "word " * 40}, {"role": "user", "content": "Hi"}]
    with pytest.raises(ContextOverflow, match="before the first message") as refused:
        engine.chat.completions.create(messages=long, context_overflow="attention_sinks")
    assert refused.value.param == "messages"
    with pytest.raises(RequestError, match="no turns") as turns:
        engine.completions.create(prompt="Hi", context_overflow="drop_oldest")
    assert turns.value.param == "context_overflow"
    with pytest.raises(RequestError, match="at most half"):
        engine.loaded.engine.submit([5], SamplingParams(num_sinks=CONTEXT // 2 + 1))
