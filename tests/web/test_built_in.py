"""The built-in model in Chromium, all of it real: its greedy tokens are those that transformers recorded (tests/builtin), with
which the native engine is compared too.  Several requests at once, so rows of several sequences share steps; one
before them is aborted while it is computed, one after them is open when the engine is closed."""

import hashlib
import json
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
RECORD = json.loads((ROOT / "tests" / "builtin" / "greedy.json").read_text())
END_OF_TURN = 2  # <|im_end|>
NUM_PROMPTS = 3  # the shortest answers: a software adapter takes seconds for each token

ASK = """async (prompts) => {
  const { load } = await import("/fanlight/index.js");
  const start = performance.now();
  const engine = await load("built-in", { contextLength: 256 });
  const loadMs = performance.now() - start;
  const options = { temperature: 0, max_tokens: 32, return_token_ids: true };
  const ask = (messages) => engine.chat.completions.create({ messages, ...options });
  const aborter = new AbortController();
  const aborted = engine.chat.completions
    .create({ messages: prompts[0], ...options }, { signal: aborter.signal })
    .catch((error) => error.name);
  setTimeout(() => aborter.abort(), 100);
  const answers = [await aborted, ...(await Promise.all(prompts.map(ask)))];
  const open = ask(prompts[0]).catch((error) => error.name);
  const { info } = engine;
  await engine.close();
  return { loadMs, info, answers, open: await open };
}"""


def without_end(ids: list[int]) -> list[int]:
    return ids[:-1] if ids[-1] == END_OF_TURN else ids


@pytest.mark.timeout(600)
def test_the_browser_gives_the_recorded_tokens(page, assets):
    model = assets / "fanlight" / "built-in.gguf"
    if not model.is_file():
        pytest.fail("the assets have no built-in model. Try: python scripts/build_web.py")
    assert hashlib.sha256(model.read_bytes()).hexdigest() == RECORD["model_sha256"], "build the web assets again"
    prompts = sorted(RECORD["prompts"], key=lambda prompt: len(prompt["prompt_ids"]) + len(prompt["ids"]))[:NUM_PROMPTS]
    done = page.evaluate(ASK, [prompt["messages"] for prompt in prompts])
    assert (done["answers"].pop(0), done["open"]) == ("AbortError", "EngineClosed")
    for prompt, answer in zip(prompts, done["answers"], strict=True):
        (choice,) = answer["choices"]
        assert answer["prompt_token_ids"] == prompt["prompt_ids"]
        assert choice["message"]["content"] == prompt["answer"]
        assert without_end(choice["token_ids"]) == without_end(prompt["ids"])
    assert done["info"]["memory"]["total"] > 0
    print(f"load {done['loadMs'] / 1000:.1f} s")
