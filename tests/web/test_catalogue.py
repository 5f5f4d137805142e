"""The catalogue in a page, in Chromium: the same list and sums as Python, other people's lists, ids as names of models."""

from dataclasses import asdict
from typing import Any

import pytest

from fanlight.errors import FormatError
from fanlight.formats.catalogue import ARCHITECTURES, catalogue, parse_catalogue
from fanlight.formats.footprint import QUANTIZATIONS
from tests.formats.test_catalogue import ENTRY, WRONG, text_of, without
from tests.web.test_hub import in_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LIST = "const { catalogue, fetchCatalogue, footprint, modelOf } = fanlight; "


def test_the_list_and_its_sums_are_pythons(page: Any) -> None:
    code = (
        LIST
        + """return (await catalogue()).map((model) => {
      const found = [undefined, 1000, 16384].map((context) => footprint(model, context));
      return { id: model.id, model: modelOf(model), found };
    });"""
    )
    found = in_page(page, code)
    assert [entry["id"] for entry in found] == [model.id for model in catalogue()]
    for entry, model in zip(found, catalogue(), strict=True):
        assert entry["model"] == model.model
        for got, context in zip(entry["found"], (None, 1000, 16384), strict=True):
            expected = model.footprint(context)
            assert expected is not None and got == {**asdict(expected), "total": expected.total}, entry["id"]


@pytest.mark.parametrize("architecture", ["phi3", "arcee", "llama"])
def test_every_quantisation_has_the_same_sum(page: Any, architecture: str) -> None:
    numbers = {"num_hidden_layers": 21, "hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2, "head_dim": 64}
    numbers |= {"intermediate_size": 2048, "vocab_size": 32064, "tie_word_embeddings": False}
    entries = [
        {**ENTRY, "id": name.lower(), "quantization": name, "architecture": architecture, "config": numbers}
        for name in QUANTIZATIONS
    ]
    expected = [model.footprint().total for model in parse_catalogue(text_of(*entries), "here")]  # type: ignore[union-attr]
    code = LIST + "return (await fetchCatalogue('/mine.json')).map((model) => footprint(model).total);"
    assert served_as(page, text_of(*entries), code) == expected


def served_as(page: Any, text: str, code: str) -> Any:
    page.route("**/mine.json", lambda route: route.fulfill(body=text))
    return in_page(page, code)


def test_a_models_address_is_relative_to_its_list(page: Any) -> None:
    text = text_of({**without("repository"), "url": "models/m.gguf"})
    found = served_as(page, text, LIST + "return (await fetchCatalogue('/mine.json')).map(modelOf);")
    assert found == [page.evaluate("new URL('/models/m.gguf', location.href).href")]


def test_what_is_wrong_is_said_as_python_says_it(page: Any) -> None:
    for what, (text, message) in WRONG.items():
        error = served_as(page, text, LIST + "return fetchCatalogue('/mine.json');")
        page.unroute("**/mine.json")
        assert error["class"] == "FormatError" and "/mine.json" in error["where"], what
        same = message.replace("None", "missing").replace(
            "head_dim", "config.head_dim" if "head_dim" in message else "head_dim"
        )
        first, _, rest = same.partition(" is ")  # Python quotes texts with ', JSON with "
        assert first in error["message"] and rest.replace("'", '"') in error["message"].replace("'", '"'), (
            what,
            error["message"],
        )
        with pytest.raises(FormatError):
            parse_catalogue(text, "mine.json")


def test_a_list_that_is_not_there(page: Any) -> None:
    error = in_page(page, LIST + "return fetchCatalogue('/nothing.json');")
    assert error["class"] == "SourceError" and "404" in error["message"]


def test_the_same_architectures(page: Any) -> None:
    error = served_as(page, text_of({**ENTRY, "architecture": "zamba"}), LIST + "return fetchCatalogue('/mine.json');")
    assert error["message"].split("known: ")[1].split(", ") == ARCHITECTURES


def test_an_id_is_loaded_as_the_hubs_model(page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route("https://huggingface.co/**", lambda route: route.fulfill(status=404))
    page.route("**/bartowski/**", lambda route: route.fulfill(status=404))
    error = in_page(page, "return load('llama-3.2-1b').then(() => 'loaded');")
    assert error["class"] in ("SourceError", "NoAdapter")
    assert any("bartowski/Llama-3.2-1B-Instruct-GGUF" in url for url in asked)
