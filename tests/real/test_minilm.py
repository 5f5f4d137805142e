"""all-MiniLM-L6-v2: a hundred sentences in one request are what transformers makes of each alone, from its folder on an adapter
(two minutes on a software one) and from GGUF files, as llama.cpp's converter writes them, on the reference device."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

import fanlight
from scripts.golden import encoders_gguf
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


def vectors_of(file: Path, **options: str) -> np.ndarray:
    with fanlight.load(file, device="reference", **options) as engine:
        return np.array([item.embedding for item in engine.embeddings.create(input=sentences()).data])


@pytest.fixture(scope="module")
def folder(minilm: fanlight.LocalEngine) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, Any]]:
    return encoders_gguf.read_folder(model_folder())


@pytest.mark.timeout(600)
def test_half_precision_in_gguf_is_transformers(folder: Any, tmp_path: Path) -> None:
    config, tensors, vocabulary = folder
    file = encoders_gguf.write(tmp_path / "minilm.gguf", config, tensors, "mean_tokens", vocabulary, "F16")
    with np.load(GOLDEN) as golden:
        assert (vectors_of(file) * golden["vectors"]).sum(axis=1).min() >= 0.9999


@pytest.mark.timeout(600)
def test_eight_bits_in_gguf_are_their_own_weights(folder: Any, tmp_path: Path) -> None:
    """What the weights lose is lost; what is computed with them is exact by default, and with int8 activations it is not."""
    config, tensors, vocabulary = folder
    kind = gguf.GGMLQuantizationType.Q8_0
    same = {
        name: gguf.quants.dequantize(gguf.quants.quantize(t, kind), kind) if is_matrix(name, t) else t
        for name, t in tensors.items()
    }
    files = [tmp_path / "eight.gguf", tmp_path / "same.gguf"]
    for file, weights, weight_format in zip(files, (tensors, same), ("Q8_0", "F32"), strict=True):
        encoders_gguf.write(file, config, weights, "mean_tokens", vocabulary, weight_format)
    exact, default, integers = vectors_of(files[1]), vectors_of(files[0]), vectors_of(files[0], activations="int8")
    with np.load(GOLDEN) as golden:
        truth = golden["vectors"]
    assert (default * exact).sum(axis=1).min() >= 0.9999
    assert (default * truth).sum(axis=1).min() >= 0.9995
    assert 0.998 < (integers * exact).sum(axis=1).min() < 0.9995


def is_matrix(name: str, tensor: np.ndarray) -> bool:
    """Which the converter quantises."""
    return tensor.ndim == 2 and "position" not in name and "token_type" not in name


def test_tokens_of_gguf_are_transformers(folder: Any) -> None:
    from fanlight import driver
    from fanlight.text.tokenizer import open_tokenizer

    tokenizer = open_tokenizer("gguf", folder[2])
    with np.load(GOLDEN) as golden:
        truth = np.split(golden["ids"], np.cumsum(golden["lengths"])[:-1])
    for sentence, ids in zip(sentences(), truth, strict=True):
        assert driver.run(tokenizer.encode(sentence)) == ids.tolist(), sentence


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
