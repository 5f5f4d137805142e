"""The built-in model on the native device: for 50 prompts the very tokens that PyTorch and llama.cpp give. (Recorded by
training/record_*.py.)"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fanlight
from fanlight import driver
from fanlight.api import handle

RECORD = json.loads((Path(__file__).parent / "greedy.json").read_text())
PROMPTS = RECORD["prompts"]


@pytest.fixture(scope="module")
def engine():
    with fanlight.load("built-in", context_length=1024, max_num_seqs=8) as engine:
        yield engine


def test_the_records_agree():
    agree = [prompt["ids"] == prompt["llama_cpp_ids"] for prompt in PROMPTS]
    assert len(agree) == 50 and all(agree)


def test_fanlight_gives_the_recorded_tokens(engine):
    """All in one request: they share steps, which must not change what each gets."""
    prompts = [prompt["prompt_ids"] for prompt in PROMPTS]
    answer = engine.completions.create(prompt=prompts, temperature=0, max_tokens=RECORD["max_tokens"], return_token_ids=True)
    assert [choice.token_ids for choice in answer.choices] == [prompt["ids"] for prompt in PROMPTS]


@pytest.mark.parametrize("prompt", PROMPTS[::5], ids=lambda prompt: prompt["skill"])
def test_the_chat_template_gives_the_recorded_prompt(engine, prompt):
    tools = {"tools": prompt["tools"]} if "tools" in prompt else {}
    answer = engine.chat.completions.create(messages=prompt["messages"], max_tokens=1, return_token_ids=True, **tools)
    assert answer.prompt_token_ids == prompt["prompt_ids"]


@pytest.mark.parametrize("prompt", sorted(PROMPTS, key=lambda prompt: len(prompt["ids"]))[8:10], ids=["one", "another"])
def test_an_answer_that_was_cut_goes_on_with_the_tokens_that_it_would_have_had(engine, prompt):
    """After any of its tokens; what went before reaches the model as text, as the page sends it."""

    def rest(count: int) -> tuple[list[int], list[int]]:
        text = driver.run(handle(engine.loaded, "/detokenize", {"tokens": prompt["ids"][:count]}))["content"]
        messages = [*prompt["messages"], {"role": "assistant", "content": text}]
        ask = {"continue_final_message": True, "add_generation_prompt": False, "temperature": 0, "return_token_ids": True}
        answer = engine.chat.completions.create(messages=messages, max_tokens=RECORD["max_tokens"], **ask)
        return answer.prompt_token_ids, answer.choices[0].token_ids

    cuts = range(1, len(prompt["ids"]) - 1)
    assert len(cuts) >= 4
    with ThreadPoolExecutor(8) as pool:
        for count, (read, made) in zip(cuts, pool.map(rest, cuts), strict=True):
            assert read == prompt["prompt_ids"] + prompt["ids"][:count]
            assert made == prompt["ids"][count:], count
