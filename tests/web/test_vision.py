"""A picture in a page, from a PNG file in a data: URL to the answer, on SwiftShader: read and resized by the browser.

Outside truth: transformers' processor and model (tests/golden/vision_chats)."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.golden import tiny_vision, vision_gguf
from tests.models.records import GOLDEN
from tests.web.browser import Served, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ANSWER = """async ([paths, body]) => {
  const { load } = await import("/fanlight/index.js");
  const fetched = async (path) => new File([await (await fetch(path)).blob()], path.split("/").at(-1));
  const engine = await load(await Promise.all(paths.map(fetched)), { contextLength: 128, maxNumSeqs: 1 });
  const answer = await engine.chat.completions.create(body);
  const again = await engine.chat.completions.create(body);
  const refused = await engine.chat.completions.create({
    messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }] }],
  }).catch(({ name, message }) => `${name}: ${message}`);
  const { kernels, has_vision } = engine.info;
  await engine.close();
  const tokens = [answer, again].map(({ choices }) => choices[0].token_ids);
  const cached = again.usage.prompt_tokens_details.cached_tokens;
  return { tokens, prompt: answer.prompt_token_ids, cached, refused, wrong: kernels.wrong, has_vision };
}"""


OTHERS = ("mistral3", "llava", "lfm2_vl", "gemma3-published")  # the last as a GGUF file and its encoder's


@pytest.fixture(params=["idefics3", *(pytest.param(name, marks=pytest.mark.minutes) for name in OTHERS)])
def page(request: pytest.FixtureRequest, chromium: Any, assets: Path, tmp_path: Path) -> Iterator[Any]:
    make = vision_gguf.make_files if request.param.endswith("-published") else tiny_vision.make_checkpoint
    make(request.param, folder := tmp_path / "model")
    files = {f"/model/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    served = Served({"/pages/": Path(__file__).parent / "pages", "/": assets})
    served.files |= files
    with serve(served) as url:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{url}/pages/blank.html")
        yield page, list(files), request.param
        context.close()


def data_url(pixels: np.ndarray) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def test_a_page_sees_what_transformers_sees(page: tuple[Any, list[str], str]) -> None:
    with np.load(GOLDEN / "vision_chats" / f"{page[2]}.npz") as record:
        attempt, prompt, greedy = int(record["attempt"]), record["prompt"].tolist(), record["greedy"].tolist()
    (message,) = tiny_vision.chat_of(attempt)
    picture = {"type": "image_url", "image_url": {"url": data_url(tiny_vision.wide_picture())}}
    body = {"messages": [{**message, "content": [picture, message["content"][1]]}], "max_tokens": len(greedy)}
    body |= {"temperature": 0, "ignore_eos": True, "return_token_ids": True}
    found = page[0].evaluate(ANSWER, [page[1], body])
    assert found["refused"].startswith("RequestError: a picture cannot be read")
    assert found["prompt"] == prompt
    assert found["tokens"] == [greedy, greedy]
    assert found["cached"] > 32
    assert (found["wrong"], found["has_vision"]) == ([], True)
