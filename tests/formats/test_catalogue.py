"""The catalogue: what stands in it, and what is refused of other people's."""

import json

import pytest

from fanlight.errors import FormatError
from fanlight.formats.catalogue import ARCHITECTURES, PATH, catalogue, find, parse_catalogue
from fanlight.models import config

ENTRY = {
    "id": "mine",
    "title": "Mine",
    "maker": "Me",
    "license": "MIT",
    "architecture": "llama",
    "repository": "me/mine-GGUF",
    "quantization": "Q4_K_M",
    "context_length": 2048,
    "capabilities": ["chat"],
    "languages": ["en"],
    "good_at": "Tests",
}


def text_of(*entries: dict, **fields: object) -> str:
    return json.dumps({"version": 1, "models": list(entries), **fields})


def test_the_catalogue_is_large_and_its_ids_are_its_own():
    ids = [model.id for model in catalogue()]
    assert len(ids) > 40 and len(set(ids)) == len(ids)
    assert not any("/" in id or ":" in id for id in ids)  # else a hub id
    kinds = {capability for model in catalogue() for capability in model.capabilities}
    assert kinds == {"chat", "vision", "tools", "thinking", "code", "embeddings"}


def test_its_architectures_are_those_that_the_engine_has():
    assert set(ARCHITECTURES) == set(config.FILES)


def test_whatever_may_be_offered_first_is_small_enough_open_and_known():
    offered = [model for model in catalogue() if model.recommended]
    sizes = [model.footprint().total for model in offered]  # type: ignore[union-attr]
    assert all("chat" in model.capabilities and not model.gated for model in offered)
    assert min(sizes) < 0.3e9 and max(sizes) < 6e9


def test_every_model_says_what_it_takes():
    for model in catalogue():
        found = model.footprint()
        assert found is not None and 0 < found.weights < found.total, model.id


def test_a_model_is_found_by_its_id_alone():
    assert find("llama-3.2-1b").model == "bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M"
    assert find("mxbai-embed-large").model.endswith(":mxbai-embed-large-v1_fp16.gguf")
    assert find("Llama-3.2-1B") is None


def test_one_of_ones_own():
    (model,) = parse_catalogue(text_of(ENTRY), "mine.json")
    assert model.footprint() is None and model.model == "me/mine-GGUF:Q4_K_M"
    (model,) = parse_catalogue(text_of({**without("repository"), "url": "https://x/m.gguf"}), "mine.json")
    assert model.model == "https://x/m.gguf"


def without(name: str) -> dict:
    return {key: value for key, value in ENTRY.items() if key != name}


NUMBERS = json.loads(PATH.read_text())["models"][0]["config"]
VISION = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 96, "patches": 16, "rows": 4}
WRONG = {
    "no JSON": ("{", "is no JSON"),
    "no list": ('{"models": {}}', "is no catalogue"),
    "a version": (text_of(ENTRY, version=2), "version is 2, expected 1"),
    "a field of it": (text_of(ENTRY, modles=[]), "unknown field 'modles'"),
    "a field": (text_of({**ENTRY, "licence": "MIT"}), "unknown field 'licence'"),
    "a missing field": (text_of(without("maker")), "maker is None, expected a text"),
    "an id": (text_of({**ENTRY, "id": "me/mine"}), "id is 'me/mine'"),
    "two of them": (text_of(ENTRY, ENTRY), "two models have the id 'mine'"),
    "nowhere": (text_of(without("repository")), "expected a repository or a url"),
    "twice": (text_of({**ENTRY, "url": "https://x/m.gguf"}), "expected a repository or a url"),
    "a repository": (text_of({**ENTRY, "repository": "mine"}), "expected owner/name"),
    "an architecture": (text_of({**ENTRY, "architecture": "zamba"}), "architecture is 'zamba'; known: afmoe"),
    "a capability": (text_of({**ENTRY, "capabilities": ["smell"]}), "capabilities are smell; known: chat"),
    "a context": (text_of({**ENTRY, "context_length": "8k"}), "context_length is '8k', expected a whole number"),
    "a flag": (text_of({**ENTRY, "gated": "no"}), "gated is 'no', expected true or false"),
    "a number": (text_of({**ENTRY, "config": {**NUMBERS, "head_dim": 0}}), "head_dim is 0"),
    "a picture's": (
        text_of({**ENTRY, "config": {**NUMBERS, "vision": {"quantization": "Q8_0"}}}),
        "num_hidden_layers is None",
    ),
    "a picture's format": (
        text_of({**ENTRY, "config": {**NUMBERS, "vision": {**VISION, "quantization": "Q4_K_M"}}}),
        "quantization is 'Q4_K_M'",
    ),
    "numbers": (text_of({**ENTRY, "config": {**NUMBERS, "n_layer": 3}}), "unknown field 'n_layer'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_by_name(what):
    text, message = WRONG[what]
    with pytest.raises(FormatError) as caught:
        parse_catalogue(text, "mine.json")
    assert message in str(caught.value) and "mine.json" in str(caught.value) and "docs/catalogue.md" in str(caught.value)
