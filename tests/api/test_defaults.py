"""How answers are drawn where a request does not say: from the model's files, named where they ask for what is not done."""

from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationConfig

import fanlight
from fanlight.api.defaults import FALLBACK, read_defaults
from fanlight.api.requests import parse_chat_request
from fanlight.driver import run
from fanlight.formats.checkpoint import Checkpoint, open_checkpoint
from fanlight.formats.resolve import resolve_model
from scripts.golden import tiny_gguf, tiny_models
from tests.api.fakes import make_face

USER = [{"role": "user", "content": "Hi"}]
S = "general.sampling."


def of_folder(config: dict[str, Any]) -> Any:
    return read_defaults(Checkpoint("safetensors", {"generation_config": config}, {}, ()))


def of_gguf(metadata: dict[str, Any]) -> Any:
    return read_defaults(Checkpoint("gguf", metadata, {}, ()))


def test_generation_config_json() -> None:
    """Qwen3's, and others' habits."""
    qwen3 = {"do_sample": True, "eos_token_id": [151645, 151643], "temperature": 0.6, "top_k": 20, "top_p": 0.95}
    found = of_folder(qwen3 | {"transformers_version": "4.51.0", "bos_token_id": 151643, "pad_token_id": 1})
    assert dict(found.values) == {"temperature": 0.6, "top_k": 20, "top_p": 0.95}
    assert (found.source, found.ignored) == ("generation_config.json", ())
    assert of_folder(qwen3 | {"do_sample": False}).values["temperature"] == 0
    assert of_folder({"top_k": -1, "temperature": 0.5}).values == {"top_k": 0, "temperature": 0.5}


def test_files_that_say_nothing() -> None:
    for found in (of_folder({}), of_gguf({"general.name": "x"}), of_folder({"eos_token_id": 5, "do_sample": True})):
        assert (found.values, found.source, found.ignored) == (FALLBACK, "Fanlight", ())
    assert of_folder({"repetition_penalty": 1.1}).values == {**FALLBACK, "repetition_penalty": 1.1}


def test_gguf() -> None:
    found = of_gguf({f"{S}temp": 0.3, f"{S}top_k": 64, f"{S}min_p": 0.0, f"{S}penalty_repeat": 1.1, f"{S}mirostat": 0})
    assert found.values == {"temperature": 0.3, "top_k": 64, "min_p": 0.0, "repetition_penalty": 1.1} and not found.ignored
    assert of_gguf({f"{S}temp": -1.0}).values == {"temperature": 0.0}
    found = of_gguf({f"{S}temp": 1.0, f"{S}xtc_probability": 0.5, f"{S}sequence": "k;p", f"{S}mirostat_tau": 5.0})
    assert [words.split()[0] for words in found.ignored] == [f"{S}xtc_probability", f"{S}sequence"]
    found = of_gguf({f"{S}penalty_repeat": 1.2, f"{S}penalty_last_n": 64})
    assert "64: the penalty is of the whole context" in found.ignored[0]


def test_what_is_not_done_is_named() -> None:
    asked = {
        "temperature": 0.6,
        "no_repeat_ngram_size": 3,
        "suppress_tokens": [1],
        "num_beams": 4,
        "typical_p": 0.9,
        "new_key": 1,
    }
    found = of_folder(asked)
    assert [words.split()[0] for words in found.ignored] == list(asked)[1:]
    wrong = of_folder({"temperature": "hot", "top_p": 1.5, "top_k": 2.5, "min_p": float("nan")})
    assert [words.split()[0] for words in wrong.ignored] == ["temperature", "top_p", "top_k", "min_p"]
    assert wrong.values == FALLBACK


def test_transformers_own_defaults_are_no_news() -> None:
    """What it writes into every file is not taken for something that is ignored."""
    assert of_folder(GenerationConfig().to_dict()).ignored == ()
    assert of_folder(GenerationConfig(do_sample=True, temperature=0.7).to_dict()).values["temperature"] == 0.7


def test_a_request_has_its_own_way() -> None:
    defaults = {"temperature": 0.6, "top_k": 20}
    params = parse_chat_request({"messages": USER, "temperature": 1, "top_k": None}, defaults).params
    assert (params.temperature, params.top_k, params.min_p) == (1, 20, 0)
    assert parse_chat_request({"messages": USER, "top_k": -1}, defaults).params.top_k == 0


def test_requests_are_drawn_by_them() -> None:
    seen: list[float] = []
    loaded = make_face(lambda prompt, params: seen.append(params.temperature) or "x<|im_end|>")  # type: ignore[func-returns-value]
    loaded.defaults = {"temperature": 0.25}
    engine = fanlight.LocalEngine(loaded)
    engine.chat.completions.create(messages=USER)
    engine.completions.create(prompt="x")
    assert seen == [0.25, 0.25]


def test_they_are_shown(tmp_path: Path) -> None:
    """Of files on disk, in `engine.info`."""
    folder = tiny_models.make_checkpoint("qwen2-tied", tmp_path / "folder")
    (folder / "generation_config.json").write_text('{"do_sample": true, "top_p": 0.8, "num_beams": 2}')
    checkpoint = run(open_checkpoint(run(resolve_model(folder))))
    ignored = ["num_beams is not supported: answers are drawn without it"]
    assert read_defaults(checkpoint).info() == {"top_p": 0.8, "source": "generation_config.json", "ignored": ignored}
    with fanlight.load("built-in", device="null") as engine:
        assert engine.info["sampling"] == {**FALLBACK, "source": "Fanlight"}


@pytest.mark.parametrize("name", list(tiny_gguf.CASES)[:1])
def test_a_gguf_on_disk(name: str, tmp_path: Path) -> None:
    checkpoint = run(open_checkpoint(run(resolve_model(tiny_gguf.make_gguf(name, tmp_path / "m.gguf")))))
    assert read_defaults(checkpoint).values == FALLBACK
