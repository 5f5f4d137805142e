"""A model that hears, in Chromium: a folder's files onto SwiftShader, a WAV at 16 kHz whose tokens transformers recorded, and
what the page decodes and resamples itself."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.golden import tiny_whisper
from tests.api.test_audio import GREEDY, NAME, check_tokens, sound_file, wav
from tests.web.browser import Served, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HEAR = """async ([paths, sounds, temperature]) => {
  const { load } = await import("/fanlight/index.js");
  const fetched = async (path) => new File([await (await fetch(path)).blob()], path.split("/").at(-1));
  const engine = await load(await Promise.all(paths.map(fetched)));
  const [ready, other] = sounds.map((text) => new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]));
  const create = (file, more) => engine.audio.transcriptions.create({ file, language: "de", temperature, ...more });
  const verbose = await create(ready, { response_format: "verbose_json" });
  const srt = await create(await ready.arrayBuffer(), { response_format: "srt" });
  const resampled = await create(other, { response_format: "verbose_json" });
  const refused = await create(new Blob(["no sound"])).catch((error) => error.message);
  const form = new FormData();
  const fields = { file: ready, language: "de", temperature: String(temperature), response_format: "text" };
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  const url = "http://in-this-page/v1/audio/transcriptions";
  const answer = await engine.fetch(url, { method: "POST", body: form });
  const said = [answer.headers.get("content-type"), await answer.text()];
  const { kernels, audio } = engine.info;
  await engine.close();
  return { verbose, srt, duration: resampled.duration, refused, said, wrong: kernels.wrong, audio };
}"""


@pytest.fixture(scope="module")
def models(assets: Path) -> Iterator[tuple[str, Served]]:
    served = Served({"/pages/": Path(__file__).parent / "pages", "/": assets})
    with serve(served) as url:
        yield url, served


def test_a_sound_becomes_what_transformers_heard(chromium: Any, models: tuple[str, Served], tmp_path: Path) -> None:
    url, served = models
    folder = tiny_whisper.make_checkpoint(NAME, tmp_path / NAME)
    served.files = {f"/model/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    other = wav(np.repeat(tiny_whisper.sound("other", 24000), 2), 48000, 2)  # half a second, two channels alike
    sounds = [base64.b64encode(data).decode() for data in (sound_file(), other)]
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{url}/pages/blank.html")
    found = page.evaluate(HEAR, [list(served.files), sounds, GREEDY])
    context.close()
    assert found["wrong"] == []
    check_tokens([token for segment in found["verbose"]["segments"] for token in segment["tokens"]])
    text = found["verbose"]["text"]
    assert found["said"] == ["text/plain; charset=utf-8", f"{text}\n"]
    assert found["srt"].startswith("1\n00:00:0")
    assert found["duration"] == pytest.approx(0.5, abs=0.01)
    assert "of no kind that this browser plays" in found["refused"]
    assert found["audio"] == {"languages": ["de", "en"], "translates": True, "window_seconds": 1}
