"""fanlight/prompt-api in Chromium: it refuses what Chromium's own LanguageModel refuses; on the built-in model, all of it real,
prompts have the tokens, and greedy answers are those, that transformers recorded (tests/builtin)."""

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

RECORD = json.loads((Path(__file__).resolve().parents[1] / "builtin" / "greedy.json").read_text())
END_OF_TURN = 2  # <|im_end|>

START = """async () => {
  globalThis.api = await import("/fanlight/prompt-api.js");
  api.configure({ model: "built-in", contextLength: 256 });
  const hears = { expectedInputs: [{ type: "audio" }] };
  return [await api.LanguageModel.availability(), await api.LanguageModel.availability(hears)];
}"""
ASK = """async ([question, form]) => {
  const { LanguageModel } = api;
  const loaded = [];
  const monitor = (m) => m.addEventListener("downloadprogress", (event) => loaded.push(event.loaded));
  const creating = LanguageModel.create({ samplingMode: "most-predictable", monitor });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const during = await LanguageModel.availability();
  const session = await creating;
  const other = await session.clone();
  const measured = await session.measureContextUsage(question);
  const answer = await session.prompt(question);
  const usage = session.contextUsage;
  const pieces = [];
  for await (const piece of other.promptStreaming(question)) pieces.push(piece);
  const aborter = new AbortController();
  const aborted = session.prompt("Tell me a story.", { signal: aborter.signal }).catch((error) => error.name);
  setTimeout(() => aborter.abort(), 300);
  const found = { loaded, during, measured, answer, usage, pieces, aborted: await aborted };
  found.unchanged = session.contextUsage === usage;
  found.regex = await other.prompt("Yes or no?", { responseConstraint: /(yes|no)!/, omitResponseConstraintInput: true });
  found.json = await session.prompt("Rate it.", { responseConstraint: form, omitResponseConstraintInput: true });
  const tooLong = session.prompt("word ".repeat(400));
  found.quota = await tooLong.catch((error) => [error.name, error.constructor.name, error.requested > error.quota]);
  found.after = await LanguageModel.availability();
  session.destroy();
  found.destroyed = await session.prompt("").catch((error) => error.name);
  return found;
}"""
FORM = {"type": "object", "properties": {"rating": {"enum": [1, 2]}}, "required": ["rating"], "additionalProperties": False}


def test_options_are_refused_as_the_browsers_own_refuses_them(page) -> None:
    found = page.evaluate("async () => (await import('/pages/prompt_api_compared.js')).compared()")
    if found is None:
        pytest.skip("this Chromium has no LanguageModel of its own")
    assert found["kept"] == [False, True] and found["count"] > 50
    assert found["different"] == [] and found["missing"] == []


@pytest.mark.minutes
@pytest.mark.timeout(600)
def test_the_built_in_model_through_the_webs_interface(page) -> None:
    assert page.evaluate(START) == ["downloadable", "unavailable"]
    recorded = (prompt for prompt in RECORD["prompts"] if len(prompt["messages"]) == 1 and prompt["ids"][-1] == END_OF_TURN)
    prompt = min(recorded, key=lambda prompt: len(prompt["ids"]))  # a software adapter takes seconds for each token
    found = page.evaluate(ASK, [prompt["messages"][0]["content"], FORM])
    loaded = found["loaded"]
    assert loaded[0] == 0 and loaded[-1] == 1 and loaded == sorted(set(loaded)) and found["during"] == "downloading"
    assert found["measured"] == len(prompt["prompt_ids"])
    assert found["answer"] == "".join(found["pieces"]) == prompt["answer"] and len(found["pieces"]) > 1
    assert found["usage"] > found["measured"] + len(prompt["ids"]) - 1
    assert found["aborted"] == found["destroyed"] == "AbortError" and found["unchanged"]
    assert re.fullmatch("(yes|no)!", found["regex"]) and json.loads(found["json"])["rating"] in (1, 2)
    assert found["quota"] == ["QuotaExceededError", "QuotaExceededError", True] and found["after"] == "available"
    page.reload()
    assert page.evaluate(START)[0] == "available"  # it was kept
