"""Embeddings, rerank and score by the official client over HTTP, and what is refused, on tiny models (scripts/golden)."""

import base64
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import ollama
import openai
import pytest

import fanlight
from fanlight.api import LoadedModel, error_body, handle
from fanlight.driver import run
from scripts.golden import tiny_encoders
from tests.api.fakes import make_face
from tests.api.test_server import served

TEXTS = ["hello", "some other words, more of them", "x"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    folder = tiny_encoders.make_checkpoint("bert-mean", tmp_path_factory.mktemp("models") / "bert-mean")
    with fanlight.load(folder, device="reference") as engine:
        yield engine.loaded


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    folder = tiny_encoders.make_checkpoint("bert-score", tmp_path_factory.mktemp("models") / "bert-score")
    with fanlight.load(folder, device="reference") as engine:
        yield engine.loaded


def ask(loaded: LoadedModel, path: str, **body: object) -> dict:
    return run(handle(loaded, path, body))


def refused(loaded: LoadedModel, path: str, **body: object) -> tuple[int, dict]:
    with pytest.raises(fanlight.FanlightError) as raised:
        ask(loaded, path, **body)
    status, data = error_body(raised.value)
    return status, data["error"]


def vectors_of(answer: dict) -> np.ndarray:
    return np.array([item["embedding"] for item in answer["data"]])


def test_the_forms_of_an_input_are_one(loaded) -> None:
    truth = ask(loaded, "/v1/embeddings", input=TEXTS)
    assert truth["usage"]["prompt_tokens"] == sum(len(run(loaded.tokenizer.encode(t))) for t in TEXTS)
    ids = [run(loaded.tokenizer.encode(text)) for text in TEXTS]
    assert np.allclose(vectors_of(ask(loaded, "/v1/embeddings", input=ids)), vectors_of(truth), atol=1e-6)
    for i, text in enumerate(TEXTS):
        for one in (text, ids[i]):
            assert np.allclose(vectors_of(ask(loaded, "/v1/embeddings", input=one)), vectors_of(truth)[i : i + 1], atol=1e-6)


def test_base64_is_the_same_numbers(loaded) -> None:
    plain = ask(loaded, "/v1/embeddings", input="hello")["data"][0]["embedding"]
    coded = ask(loaded, "/v1/embeddings", input="hello", encoding_format="base64")["data"][0]["embedding"]
    assert list(struct.unpack(f"<{len(plain)}f", base64.b64decode(coded))) == plain


def test_fewer_dimensions_are_the_first_ones_of_length_one(loaded) -> None:
    whole = vectors_of(ask(loaded, "/v1/embeddings", input=TEXTS))
    part = vectors_of(ask(loaded, "/v1/embeddings", input=TEXTS, dimensions=10))
    assert np.allclose(part, whole[:, :10] / np.linalg.norm(whole[:, :10], axis=1, keepdims=True), atol=1e-6)


def test_too_long_is_an_error_or_cut(loaded) -> None:
    status, error = refused(loaded, "/v1/embeddings", input="word " * 200)
    assert (status, error["code"], error["param"]) == (400, "context_length_exceeded", "input")
    for given, count in ((-1, 64), (10, 10), (1000, 64)):
        answer = ask(loaded, "/v1/embeddings", input="word " * 200, truncate_prompt_tokens=given)
        assert answer["usage"]["total_tokens"] == count


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": [5000]}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": "a", "dimensions": 97}, "dimensions"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "of_mine": 1}, "of_mine"),
        ({"input": "a", "truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
    ],
)
def test_what_cannot_be_is_refused(loaded, body, param) -> None:
    status, error = refused(loaded, "/v1/embeddings", **body)
    assert (status, error["param"]) == (400, param)


def test_each_model_says_what_it_does_not_do(loaded, scorer) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    for path, body in (("/v1/chat/completions", {"messages": messages}), ("/v1/completions", {"prompt": "Hi"})):
        status, error = refused(loaded, path, **body)
        assert status == 400 and "gives vectors, no text" in error["message"]
    status, error = refused(make_face("hi"), "/v1/embeddings", input="a")
    assert status == 400 and "gives text" in error["message"]
    status, error = refused(scorer, "/v1/embeddings", input="a")
    assert status == 400 and "scores pairs" in error["message"]


def test_scores_are_cosines_of_vectors(loaded) -> None:
    whole = vectors_of(ask(loaded, "/v1/embeddings", input=TEXTS))
    scores = [item["score"] for item in ask(loaded, "/v1/score", text_1=TEXTS[0], text_2=TEXTS)["data"]]
    assert np.allclose(scores, whole @ whole[0], atol=1e-5)
    answer = ask(loaded, "/v1/rerank", query=TEXTS[0], documents=[{"text": text} for text in TEXTS])
    assert [r["index"] for r in answer["results"]] == np.argsort(-np.array(scores)).tolist()
    assert answer["results"][0]["document"] == {"text": TEXTS[0]}


def test_a_cross_encoder_reads_pairs_together(scorer) -> None:
    answer = ask(scorer, "/v1/rerank", query="hello", documents=TEXTS, top_n=2, return_documents=False)
    assert len(answer["results"]) == 2 and "document" not in answer["results"][0]
    scores = [item["score"] for item in ask(scorer, "/v1/score", text_1="hello", text_2=TEXTS)["data"]]
    assert answer["results"][0]["relevance_score"] == pytest.approx(max(scores), abs=1e-6)
    assert all(0 < score < 1 for score in scores)


def test_the_official_client_reads_it(loaded) -> None:
    with served(loaded) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="-")
        answer = client.embeddings.create(model=loaded.model_name, input=TEXTS)  # which asks for base64 itself
        plain = client.embeddings.create(model=loaded.model_name, input=TEXTS, encoding_format="float")
        assert np.allclose([d.embedding for d in answer.data], [d.embedding for d in plain.data])
        with pytest.raises(openai.BadRequestError):
            client.embeddings.create(model=loaded.model_name, input="")
        reranked = httpx.post(f"{url}/v1/rerank", json={"query": "hello", "documents": TEXTS})
        assert reranked.status_code == 200 and len(reranked.json()["results"]) == 3


def test_ollamas(tmp_path: Path) -> None:
    """By its own client; the numbers are those of /v1/embeddings."""
    loaded = fanlight.load(tiny_encoders.make_checkpoint("bert-mean", tmp_path), device="reference").loaded
    truth = vectors_of(ask(loaded, "/v1/embeddings", input=TEXTS))
    assert refused(loaded, "/api/embed", input="x", options={"temperature": 1})[1]["param"] == "options"
    assert refused(loaded, "/api/embed", input="x", colour="red")[1]["param"] == "colour"
    with served(loaded) as url:
        client = ollama.Client(host=url)
        found = client.embed(loaded.model_name, TEXTS, keep_alive=-1)
        assert np.allclose(np.array(found.embeddings), truth, atol=1e-6)
        assert found.prompt_eval_count == sum(len(run(loaded.tokenizer.encode(t))) for t in TEXTS)
        one = client.embeddings(loaded.model_name, TEXTS[1]).embedding
        assert np.allclose(np.array(one), truth[1], atol=1e-6)
        short = np.array(client.embed(loaded.model_name, TEXTS[0], dimensions=4).embeddings)
        assert np.allclose(short[0], truth[0][:4] / np.linalg.norm(truth[0][:4]), atol=1e-6)
        assert client.embed(loaded.model_name, "long " * 900).embeddings  # cut, as there
        with pytest.raises(ollama.ResponseError, match="tokens"):
            client.embed(loaded.model_name, "long " * 900, truncate=False)
        assert client.show(loaded.model_name).capabilities == ["embedding"]
        client._client.close()
    status, error = refused(make_face("x"), "/api/embed", input="x")
    assert status == 400 and "gives text" in error["message"]
