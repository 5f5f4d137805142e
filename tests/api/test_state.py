"""A conversation's state on the disk: restored, the first answer is the cold one's and computes nothing twice; what does not
fit is refused by name and changes nothing."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fanlight
from fanlight.engine.kv_cache import KVCache
from fanlight.errors import DoesNotFit, EngineClosed, FormatError, RequestError, SourceError
from tests.cli.tiny import write_model

MESSAGES = [
    {"role": "user", "content": "one two three four five"},
    {"role": "assistant", "content": "six seven"},
    {"role": "user", "content": "eight"},
]
ASK = {"max_tokens": 12, "temperature": 0, "return_token_ids": True}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


def answer(engine: Any, **more: Any) -> tuple[list[int], int]:
    """Its ids, and how many tokens of the prompt were not computed."""
    got = engine.chat.completions.create(messages=MESSAGES, **ASK, **more)
    return got.choices[0].token_ids, got.usage.prompt_tokens_details.cached_tokens


def most_reused(engine: Any) -> int:
    """Whole blocks of the prompt before its last token, which is always computed."""
    size = engine.loaded.engine.program.block_size
    return (engine.chat.completions.create(messages=MESSAGES, **ASK).usage.prompt_tokens - 1) // size * size


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kv_dtype": "f32", "activations": "f32"},
        {"kv_dtype": "q8_0"},
        {"kv_dtype": "q4_0"},
        pytest.param({"device": "native"}, marks=pytest.mark.minutes),
        pytest.param({"device": "native", "kv_dtype": "q8_0"}, marks=pytest.mark.minutes),
    ],
)
def test_a_restored_conversation_goes_on_as_the_cold_one(model: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    options = {"device": "reference", **options}
    path = tmp_path / "talk.state"
    with fanlight.load(model, **options) as engine:
        cold, cached = answer(engine)
        assert cached == 0
        assert answer(engine) == (cold, most_reused(engine))
        saved = engine.save_state(path, messages=MESSAGES)
    assert saved > 0 and [p.name for p in tmp_path.iterdir()] == ["talk.state"]
    with fanlight.load(model, **options) as engine:
        # Other answers have come and gone, so blocks lie elsewhere.
        engine.completions.create(prompt=list(range(5, 90)), max_tokens=3)
        held = engine.completions.create(prompt=[9] * 40, max_tokens=60, stream=True, ignore_eos=True)
        next(held)
        assert engine.restore_state(path) == saved
        assert answer(engine) == (cold, most_reused(engine))
        held.close()
        engine.loaded.engine.kv_cache.check([])
        assert engine.restore_state(path) == saved  # it was there already
        assert answer(engine)[0] == cold
        engine.loaded.engine.kv_cache.check([])


def test_a_prompt_may_be_ids_and_what_was_never_asked_is_computed(model: Path, tmp_path: Path) -> None:
    prompt = list(range(7, 90))
    with fanlight.load(model, device="reference") as engine:
        saved = engine.save_state(tmp_path / "a", prompt=prompt)
        assert 0 < saved <= 83
        want = engine.completions.create(prompt=prompt, **ASK).choices[0].token_ids
    with fanlight.load(model, device="reference") as engine:
        engine.restore_state(tmp_path / "a")
        got = engine.completions.create(prompt=prompt, **ASK)
        assert got.choices[0].token_ids == want and got.usage.prompt_tokens_details.cached_tokens == saved


def test_what_does_not_fit_is_refused_and_changes_nothing(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "talk.state"
    with fanlight.load(model, device="reference") as engine:
        engine.save_state(path, messages=MESSAGES)
        data = path.read_bytes()
        for damaged, words in (
            (data[:-1], "damaged"),
            (data[:40], "damaged"),
            (data[:100] + bytes([data[100] ^ 1]) + data[101:], "damaged"),
            (b"GGUF" + data[4:], "no saved state"),
            (b"", "no saved state"),
        ):
            path.write_bytes(damaged)
            with pytest.raises(FormatError, match=words) as refused:
                engine.restore_state(path)
            assert refused.value.where == str(path)
        with pytest.raises(SourceError, match="cannot be read"):
            engine.restore_state(tmp_path / "none")
        with pytest.raises(SourceError, match="cannot be written"):
            engine.save_state(tmp_path / "no" / "folder", messages=MESSAGES)
        with pytest.raises(RequestError, match="messages is missing"):
            engine.save_state(path)
        engine.loaded.engine.kv_cache.check([])
    path.write_bytes(data)
    other = tmp_path / "other.gguf"
    whole = model.read_bytes()
    other.write_bytes(whole[:-100_000] + memoryview(whole[-100_000:]).cast("f")[::-1].tobytes())  # other weights
    for changed, options in ((model, {"kv_dtype": "f32"}), (other, {})):
        with fanlight.load(changed, device="reference", **options) as engine:
            with pytest.raises(FormatError, match="made with"):
                engine.restore_state(path)
            assert answer(engine)[1] == 0
    with pytest.raises(EngineClosed):
        engine.restore_state(path)


def test_a_state_that_is_larger_than_what_is_free(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.state"
    with fanlight.load(model, device="reference", max_num_seqs=1) as engine:
        saved = engine.save_state(path, prompt=[3] * 200)
        held = engine.completions.create(prompt=[9] * 100, max_tokens=100, stream=True, ignore_eos=True)
        next(held)
        with pytest.raises(DoesNotFit, match="blocks of the KV cache"):
            engine.restore_state(path)
        held.close()
        assert engine.restore_state(path) == saved


tokens = st.lists(st.integers(0, 3), max_size=14)


@settings(max_examples=200, deadline=None)
@given(st.lists(tokens, max_size=8))
def test_adopted_blocks_are_found_again_and_the_books_balance(prompts: list[list[int]]) -> None:
    cache = KVCache(6, 2)
    for prompt in prompts:
        blocks = cache.adopt(prompt)
        cache.check([])
        assert cache.num_free_blocks == 6
        if len(prompt) // 2 > 6:
            assert blocks is None
        else:
            assert cache.blocks_of(prompt) == blocks and len(set(blocks)) == len(prompt) // 2
