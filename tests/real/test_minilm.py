"""all-MiniLM-L6-v2: a hundred sentences in one request are what transformers makes of each alone."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fanlight
from tests.real.minilm import model_folder, sentences
from tests.real.model import CannotDownload

pytestmark = pytest.mark.minutes

GOLDEN = Path(__file__).parent / "golden" / "minilm.npz"


@pytest.fixture(scope="module")
def minilm() -> Iterator[fanlight.LocalEngine]:
    try:
        folder = model_folder()
    except CannotDownload as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with fanlight.load(folder) as engine:
        yield engine


@pytest.mark.timeout(600)
def test_a_hundred_sentences_are_transformers(minilm: fanlight.LocalEngine) -> None:
    with np.load(GOLDEN) as golden:
        truth, count = golden["vectors"], int(golden["lengths"].sum())
    answer = minilm.embeddings.create(input=sentences())
    assert [item.index for item in answer.data] == list(range(100))
    assert answer.usage == {"prompt_tokens": count, "total_tokens": count}
    found = np.array([item.embedding for item in answer.data])
    cosines = (found * truth).sum(axis=1)
    assert cosines.min() >= 0.9999
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_tokens_are_transformers(minilm: fanlight.LocalEngine) -> None:
    from fanlight import driver

    with np.load(GOLDEN) as golden:
        truth = np.split(golden["ids"], np.cumsum(golden["lengths"])[:-1])
    for sentence, ids in zip(sentences(), truth, strict=True):
        assert driver.run(minilm.loaded.tokenizer.encode(sentence)) == ids.tolist(), sentence


def test_what_is_asked_for_is_found(minilm: fanlight.LocalEngine) -> None:
    texts = ["Paris is the capital of France.", "Bananas are rich in potassium.", "The museum opens at nine."]
    answer = minilm.rerank.create(query="Which fruit has much potassium?", documents=texts, top_n=2)
    assert answer.results[0].index == 1 and len(answer.results) == 2
    assert answer.results[0].document.text == texts[1]
