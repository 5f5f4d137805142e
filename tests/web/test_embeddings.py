"""Vectors in Chromium, from a folder at a URL, onto SwiftShader: those that transformers recorded (tests/golden/encoders;
tests/real). The page finds the files of sentence-transformers' modules by itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.golden import tiny_encoders
from tests.models.test_encoders import record_of
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


@pytest.fixture(scope="module")
def models(assets: Path) -> Served:
    return Served({"/pages/": Path(__file__).parent / "pages", "/": assets})


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
    assert (vectors * truth).sum(axis=1).min() >= 0.9999
    assert found["ranked"]["results"][0]["document"]["text"].startswith(("Paris", "What is the capital"))
    assert json.dumps(found["wrong"]) == "[]"
