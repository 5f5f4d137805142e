"""The built-in model on the native device: for 50 prompts the very tokens that PyTorch and llama.cpp give (training/record_*.py)."""

import json
from pathlib import Path

import pytest

import fanlight

RECORD = json.loads((Path(__file__).parent / "greedy.json").read_text())


@pytest.fixture(scope="module")
def engine():
    with fanlight.load("built-in", context_length=1024) as engine:
        yield engine


def test_the_record_agrees_with_itself():
    agree = [prompt["ids"] == prompt["llama_cpp_ids"] for prompt in RECORD["prompts"]]
    assert len(agree) == 50 and all(agree)


@pytest.mark.parametrize("i", range(50))
def test_fanlight_gives_the_recorded_tokens(engine, i):
    prompt = RECORD["prompts"][i]
    tools = {"tools": prompt["tools"]} if "tools" in prompt else {}
    answer = engine.chat.completions.create(
        messages=prompt["messages"], temperature=0, max_tokens=RECORD["max_tokens"], return_token_ids=True, **tools
    )
    assert answer.prompt_token_ids == prompt["prompt_ids"]
    assert answer.choices[0].token_ids == prompt["ids"]
