"""A sound in a page's chat, from a WAV file to the answer, on SwiftShader; of another rate it is the browser that resamples.

Outside truth: transformers' processor and model (tests/golden/hearing_chats)."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.golden import tiny_hearing
from tests.api.test_heard import file_of
from tests.models.records import GOLDEN
from tests.web.browser import Served, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAME = "qwen2_audio"
ANSWER = """async ([paths, body, slow]) => {
  const { load } = await import("/fanlight/index.js");
  const fetched = async (path) => new File([await (await fetch(path)).blob()], path.split("/").at(-1));
  const engine = await load(await Promise.all(paths.map(fetched)), { contextLength: 128, maxNumSeqs: 1 });
  const [sound, text] = body.messages[0].content;
  const having = (part) => ({ ...body, messages: [{ role: "user", content: [part, text] }] });
  const part = (data) => ({ type: "input_audio", input_audio: { data, format: "wav" } });
  const answer = await engine.chat.completions.create(body);
  const again = await engine.chat.completions.create(body);
  const url = `data:audio/wav;base64,${slow}`;
  const resampled = await engine.chat.completions.create(having({ type: "audio_url", audio_url: { url } }));
  const asked = { method: "POST", body: JSON.stringify(having(part(slow))) };
  const fetchedAnswer = await (await engine.fetch("http://in-this-page/v1/chat/completions", asked)).json();
  const refused = [];
  for (const data of ["AAAA", "", btoa("ID3 and nothing")]) {
    refused.push(await engine.chat.completions.create(having(part(data))).catch(({ name, message }) => `${name}: ${message}`));
  }
  const { kernels, hears } = engine.info;
  await engine.close();
  const tokens = [answer, again].map(({ choices }) => choices[0].token_ids);
  const counts = [resampled, fetchedAnswer].map(({ usage }) => usage.prompt_tokens);
  const cached = again.usage.prompt_tokens_details.cached_tokens;
  return { tokens, prompt: answer.prompt_token_ids, counts, cached, refused, wrong: kernels.wrong, hears };
}"""


def test_a_page_hears_what_transformers_hears(chromium: Any, assets: Path, tmp_path: Path) -> None:
    folder = tiny_hearing.make_checkpoint(NAME, tmp_path / "model")
    files = {f"/model/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    served = Served({"/pages/": Path(__file__).parent / "pages", "/": assets})
    served.files |= files
    with np.load(GOLDEN / "hearing_chats" / f"{NAME}.npz") as record:
        attempt, prompt, greedy = int(record["attempt"]), record["prompt"].tolist(), record["greedy"].tolist()
    (message,) = tiny_hearing.chat_of(attempt)
    sound = tiny_hearing.sound_of(NAME, 0)
    part = {"type": "input_audio", "input_audio": {"data": file_of(sound), "format": "wav"}}
    body = {"messages": [{**message, "content": [part, message["content"][1]]}], "max_tokens": len(greedy)}
    body |= {"temperature": 0, "ignore_eos": True, "return_token_ids": True}
    with serve(served) as url:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{url}/pages/blank.html")
        found = page.evaluate(ANSWER, [list(files), body, file_of(np.repeat(sound, 3), 48000)])
        context.close()
    assert found["prompt"] == prompt
    assert found["tokens"] == [greedy, greedy]
    assert found["counts"] == [len(prompt), len(prompt)]
    assert found["cached"] > 32
    assert (found["wrong"], found["hears"]) == ([], True)
    assert [text.split(":")[0] for text in found["refused"]] == ["RequestError"] * 3
    assert "of no kind that this browser plays" in found["refused"][0] and "empty" in found["refused"][1]
