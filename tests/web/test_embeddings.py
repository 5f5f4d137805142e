"""Vectors in Chromium, from a folder at a URL, onto SwiftShader: those that transformers recorded (tests/golden/encoders;
tests/real). The page finds the files of sentence-transformers' modules by itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanlight
from scripts.golden import tiny_encoders
from tests.models.test_encoders import record_of
from tests.models.test_encoders_gguf import with_text
from tests.real.minilm import model_folder, sentences
from tests.real.model import CannotDownload
from tests.web.browser import Served, serve

pytestmark = [pytest.mark.browser, pytest.mark.minutes]

NAMES = (
    "bert-dense",
    "modernbert-cls",
    *(
        pytest.param(name, marks=pytest.mark.minutes)
        for name in ("roberta-cls", "nomic_bert-mean", "qwen3-last", "gemma3-mean")
    ),
)

EMBED = """async ([url, input, query]) => {
  const { load } = await import("/fanlight/index.js");
  const engine = await load(new URL(url, location.href), { store: false });
  const answer = await engine.embeddings.create({ input });
  const ranked = query ? await engine.rerank.create({ query, documents: input, top_n: 1 }) : null;
  const messages = [{ role: "user", content: "Hi" }];
  const chat = await engine.chat.completions.create({ messages }).catch((error) => error.message);
  const { embedding, kernels } = engine.info;
  await engine.close();
  const vectors = answer.data.map((item) => item.embedding);
  return { vectors, usage: answer.usage, embedding, wrong: kernels.wrong, chat, ranked };
}"""


OPENAI = """async ([url, input]) => {
  const { default: OpenAI } = await import("/openai/index.mjs");
  const { load } = await import("/fanlight/index.js");
  const engine = await load(new URL(url, location.href), { store: false });
  const options = { apiKey: "-", baseURL: "http://in-this-page/v1", fetch: engine.fetch, dangerouslyAllowBrowser: true };
  const client = new OpenAI(options);
  const { model } = engine.info;
  const answer = await client.embeddings.create({ model, input });
  const short = await client.embeddings.create({ model, input: input[0], dimensions: 8, encoding_format: "base64" });
  const refused = await client.embeddings.create({ model, input: [] }).catch((error) => error);
  await engine.close();
  const bytes = Uint8Array.from(atob(short.data[0].embedding), (c) => c.charCodeAt(0));
  return {
    vectors: answer.data.map((item) => item.embedding),
    tokens: answer.usage.total_tokens,
    short: [...new Float32Array(bytes.buffer)],
    refused: [refused.status, refused.constructor.name],
  };
}"""


@pytest.fixture(scope="module")
def models(assets: Path) -> Served:
    openai = Path(__file__).parents[2] / "web" / "node_modules" / "openai"
    return Served({"/pages/": Path(__file__).parent / "pages", "/openai/": openai, "/": assets})


@pytest.fixture(scope="module")
def one_page(chromium: Any, models: Served) -> Iterator[Any]:
    with serve(models) as url:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{url}/pages/blank.html")
        yield page
        context.close()


def publish(models: Served, folder: Path) -> str:
    """The folder's files as a server has them; its path."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    models.files = {f"/model/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in files}
    return "/model/"


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_transformers(name: str, one_page: Any, models: Served, tmp_path: Path) -> None:
    url = publish(models, tiny_encoders.make_checkpoint(name, tmp_path / name))
    texts, truth = tiny_encoders.texts_of(name), record_of(name)
    found = one_page.evaluate(EMBED, [url, texts, None])
    vectors = np.array(found["vectors"])
    assert np.abs(vectors - truth).max() / np.abs(truth).max() < 1e-3
    assert found["embedding"]["dimensions"] == truth.shape[1] and found["wrong"] == []
    assert "gives vectors, no text" in found["chat"]


TEXTS = ["Hello wörld", "Grüße aus Köln, çà et là", "北京 日本語 ½ ﬁ", "the quick brown fox"]


@pytest.mark.parametrize(("case", "vocabulary"), [("bert-mean", "bert"), ("roberta-cls", "t5")])
def test_the_openai_client_has_the_vectors_of_a_gguf_file(
    case: str, vocabulary: str, one_page: Any, models: Served, tmp_path: Path
) -> None:
    """WordPiece and Unigram, of which the page reads the vocabulary: what the engine gives natively, in NumPy."""
    file = with_text(tmp_path, case, vocabulary, "mean_tokens")
    models.files = {"/model.gguf": file.read_bytes()}
    found = one_page.evaluate(OPENAI, ["/model.gguf", TEXTS])
    with fanlight.load(file, device="reference") as engine:
        answer = engine.embeddings.create(input=TEXTS)
    truth = np.array([item.embedding for item in answer.data])
    assert np.allclose(found["vectors"], truth, atol=1e-4) and found["tokens"] == answer.usage.total_tokens
    assert np.allclose(found["short"], truth[0, :8] / np.linalg.norm(truth[0, :8]), atol=1e-4)
    assert found["refused"] == [400, "BadRequestError"]


RERANK = """async ([url, query, documents]) => {
  const { load } = await import("/fanlight/index.js");
  const engine = await load(new URL(url, location.href), { store: false });
  const ranked = await engine.rerank.create({ query, documents, top_n: 3 });
  const { scores } = engine.info.embedding;
  await engine.close();
  return { ranked: ranked.results.map((r) => [r.index, r.relevance_score, r.document.text]), scores };
}"""


def test_a_cross_encoder_ranks_in_the_page(one_page: Any, models: Served, tmp_path: Path) -> None:
    """Pairs as XLM-RoBERTa reads them; scores and order as natively, in NumPy."""
    file = with_text(tmp_path, "roberta-score", "t5", "")
    models.files = {"/model.gguf": file.read_bytes()}
    found = one_page.evaluate(RERANK, ["/model.gguf", "Hello there", TEXTS])
    with fanlight.load(file, device="reference") as engine:
        truth = engine.rerank.create(query="Hello there", documents=TEXTS, top_n=3).results
    assert found["scores"] is True
    assert [(i, text) for i, _, text in found["ranked"]] == [(r.index, r.document.text) for r in truth]
    assert np.allclose([score for _, score, _ in found["ranked"]], [r.relevance_score for r in truth], atol=1e-4)


@pytest.mark.timeout(600)
def test_minilm_in_a_page_is_transformers(one_page: Any, models: Served) -> None:
    """Texts in: the page's own tokenizer, several lengths and scripts in one step."""
    try:
        folder = model_folder()
    except CannotDownload as error:
        pytest.skip(str(error))
    with np.load(Path(__file__).parents[1] / "real" / "golden" / "minilm.npz") as golden:
        truth, lengths = golden["vectors"][:10], golden["lengths"][:10]
    found = one_page.evaluate(EMBED, [publish(models, folder), sentences()[:10], "the capital of France"])
    vectors = np.array(found["vectors"])
    assert found["usage"]["prompt_tokens"] == lengths.sum()
    cosines = (vectors * truth).sum(axis=1)
    print("worst cosine", cosines.min())
    assert cosines.min() >= 0.9999
    assert found["ranked"]["results"][0]["document"]["text"].startswith(("Paris", "What is the capital"))
    assert json.dumps(found["wrong"]) == "[]"
