"""The GPU device goes away in a page in the middle of answers, by `destroy()` or with the GPU process: another one is opened,
the weights come from where they came from, and every answer is the one of an undisturbed page."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.cli.tiny import write_model

pytestmark = [pytest.mark.browser, pytest.mark.minutes, pytest.mark.timeout(900)]

# In the worker, before its script: keeps the GPU devices, and destroys the newest when it is told so.
PRELUDE = b"""
const devices = [];
const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (...options) {
  const device = await requestDevice.apply(this, options);
  devices.push(device);
  return device;
};
addEventListener("message", (event) => {
  if (event.data.kind !== "lose") return;
  event.stopImmediatePropagation();
  devices.at(-1).destroy();
});
"""

SET_UP = """async ({ models, options }) => {
  const Plain = globalThis.Worker;
  globalThis.Worker = class extends Plain {
    constructor(...given) {
      super(...given);
      globalThis.worker ??= this;
    }
  };
  const { load } = await import("/fanlight/index.js");
  globalThis.engine = await load(models.a, { ...options, name: "a" });
  for (const name of Object.keys(models).filter((name) => name !== "a")) await engine.load(models[name], { ...options, name });
}"""

# All of `asks` at once; the device goes away after so many chunks of them in all as `losses` say.
ASK = """async ({ asks, losses }) => {
  let count = 0;
  const left = [...losses];
  const read = async ({ body, path }) => {
    const found = [];
    for await (const chunk of await engine[path].create({ ...body, stream: true, return_token_ids: true })) {
      found.push(...chunk.choices.flatMap((choice) => choice.token_ids ?? []));
      if (left.length && ++count >= left[0]) {
        left.shift();
        globalThis.worker.postMessage({ kind: "lose" });
      }
    }
    return found;
  };
  return { answers: await Promise.all(asks.map(read)), left: left.length };
}"""

GREEDY = {"temperature": 0, "ignore_eos": True}
SEEDED = {"temperature": 0.9, "seed": 11, "ignore_eos": True, "repetition_penalty": 1.1}


def asks(max_tokens: int, *models: str) -> list[dict[str, Any]]:
    kinds = [GREEDY, SEEDED, {**GREEDY, "guided_regex": "[a-z ]{90,}"}]
    return [
        {"path": "completions", "body": {**kind, "prompt": [5 + i, 6, 7, 8], "max_tokens": max_tokens, "model": model}}
        for model in models
        for i, kind in enumerate(kinds)
    ]


@pytest.fixture
def tiny(page, site, tmp_path: Path) -> str:
    script = site.served.body("/fanlight/worker.js")
    site.served.files["/fanlight/worker.js"] = PRELUDE + script
    site.served.files["/tiny.gguf"] = write_model(tmp_path / "tiny.gguf").read_bytes()
    return f"{site.url}/tiny.gguf"


def set_up(page, **given: Any) -> None:
    page.evaluate(SET_UP, given)


def crash(chromium) -> None:
    chromium.new_browser_cdp_session().send("Browser.crashGpuProcess")


def test_answers_go_on(page, chromium, tiny: str) -> None:
    set_up(page, models={"a": tiny}, options={"contextLength": 64})
    wanted = asks(24, "a")
    quiet = page.evaluate(ASK, {"asks": wanted, "losses": []})
    assert [len(ids) for ids in quiet["answers"]] == [24] * 3
    assert page.evaluate(ASK, {"asks": wanted, "losses": [20]}) == quiet
    crash(chromium)  # and while nobody asks, with the process that has it
    assert page.evaluate(ASK, {"asks": wanted, "losses": []}) == quiet


@pytest.mark.minutes
def test_answers_of_two_models_go_on(page, chromium, tiny: str) -> None:
    set_up(page, models={"a": tiny, "b": tiny + "?b"}, options={"contextLength": 128})
    wanted = asks(24, "a", "b")
    quiet = page.evaluate(ASK, {"asks": wanted, "losses": []})
    assert page.evaluate(ASK, {"asks": wanted, "losses": [1, 40, 90]}) == quiet
    page.evaluate(f"(given) => {{ globalThis.running = ({ASK})(given); }}", {"asks": wanted, "losses": []})
    page.wait_for_timeout(200)
    crash(chromium)
    assert page.evaluate("() => globalThis.running") == quiet


@pytest.mark.minutes
@pytest.mark.parametrize("store", [True, False])
def test_weights_come_from_the_store_or_from_their_address_again(page, site, tiny: str, store: bool) -> None:
    set_up(page, models={"a": tiny}, options={"contextLength": 64, "store": store})
    num_asked = len(site.served.requests)
    wanted = asks(12, "a")[:1]
    quiet = page.evaluate(ASK, {"asks": wanted, "losses": []})
    assert page.evaluate(ASK, {"asks": wanted, "losses": [3]}) == quiet
    asked = [path for path, _ in site.served.requests[num_asked:] if path == "/tiny.gguf"]
    assert bool(asked) is not store


@pytest.mark.minutes
def test_without_the_file_the_answer_ends_with_what_was_lost(page, site, tiny: str) -> None:
    set_up(page, models={"a": tiny}, options={"contextLength": 64, "store": False})
    model = site.served.files.pop("/tiny.gguf")
    failing = f"(given) => ({ASK})(given).catch((error) => [error.name, error.message])"
    wanted = asks(12, "a")[:1]
    name, message = page.evaluate(failing, {"asks": wanted, "losses": [3]})
    assert name == "DeviceLost" and "went away" in message, (name, message)
    site.served.files["/tiny.gguf"] = model  # there again: the next answer finds it
    assert len(page.evaluate(ASK, {"asks": wanted, "losses": []})["answers"][0]) == 12


@pytest.mark.minutes
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_losses_at_random_tokens(page, tiny: str, seed: int) -> None:
    """Ten in each of ten cases, five in each run of the three requests: a loss takes as long as a load."""
    draw = random.Random(seed)
    set_up(page, models={"a": tiny}, options={"contextLength": 128})
    wanted = asks(60, "a")
    quiet = page.evaluate(ASK, {"asks": wanted, "losses": []})
    for _ in range(2):
        losses = sorted(draw.sample(range(1, 150), 5))
        assert page.evaluate(ASK, {"asks": wanted, "losses": losses}) == quiet
