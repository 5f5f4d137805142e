"""One engine for all tabs of an origin, and for its service worker: who leads, what happens when it goes away, and that a
stream goes on. The engine is a stub, whose pieces follow from the seed; everything else is real."""

import gzip
import json
import re
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.web.stub_engine import stubbed_sources

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
NUM_WORDS = 1000
MODEL = struct.pack("<4sIH", b"tiny", NUM_WORDS, 0) + bytes(range(250)) * 16

HANDLE = '''
import asyncio, random, secrets, time
from hashlib import sha256
from fanlight.api.generation import AGAIN

counts = {"started": 0, "made": 0, "aborted": 0, "done": 0}

async def handle(models, path, body):
    if path == "/v1/models":
        data = [{"id": place.name, "object": "model", "created": 0, "owned_by": "x"} for place in models]
        return {"object": "list", "data": data}
    async with models.using(body.get("model")) as engine:
        if body.get("stream"):
            return pieces(AGAIN.get(), engine.model_name, **body)
        return {"counts": counts, "model": engine.model_name, "seed": AGAIN.get()}

async def pieces(seed, model_name, prompt, size=1, delay=0.0, n=1, width=0, **_):
    """`size` pieces for each of n choices, which come in any order."""
    head = {"id": secrets.token_hex(8), "created": time.time_ns(), "model": model_name}
    counts["started"] += 1
    left = [0] * n
    try:
        while min(left) < size:
            i = random.choice([i for i in range(n) if left[i] < size])
            content = sha256(f"{seed} {prompt} {i} {left[i]}".encode()).hexdigest()[:6]
            content += width * " "
            left[i] += 1
            counts["made"] += 1
            await asyncio.sleep(delay)
            yield {**head, "choices": [{"index": i, "delta": {"content": content}}], "timings": {"ms": random.random()}}
        counts["done"] += 1
    except (GeneratorExit, asyncio.CancelledError):
        counts["aborted"] += 1
        raise
'''

SERVICE_WORKER = b"""
import { route } from "/fanlight/service-worker.js";
addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => void route(event));
"""


ASKING_WORKER = b"""
fetch("/v1/completions", { method: "POST", body: '{"prompt": "x"}' }).then(({ status }) => postMessage(status));
"""


@pytest.fixture(scope="module")
def python_files(assets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stub")
    packed = json.loads(gzip.decompress(stubbed_sources((assets / "fanlight" / "python-sources.json.gz").read_bytes())))
    packed["fanlight/api/routes.py"] += HANDLE
    sources, snapshot = folder / "sources.gz", folder / "snapshot.gz"
    sources.write_bytes(gzip.compress(json.dumps(packed).encode(), 1, mtime=0))
    subprocess.run(["node", "snapshot.mjs", str(sources), str(snapshot)], cwd=ROOT / "web", check=True, stdout=subprocess.PIPE)
    return {
        "/fanlight/python-sources.json.gz": sources.read_bytes(),
        "/fanlight/snapshot.bin.gz": snapshot.read_bytes(),
    }


@pytest.fixture
def origin(chromium, site, python_files):
    """Opens tabs of one browser profile."""
    site.served.files.update(python_files)
    site.served.files["/m/model.gguf"] = site.served.files["/m/other.gguf"] = MODEL
    site.served.files["/sw.js"] = SERVICE_WORKER
    site.served.files["/asking.js"] = ASKING_WORKER
    context = chromium.new_context()
    yield Origin(context, site.url)
    context.close()


class Origin:
    def __init__(self, context: Any, url: str) -> None:
        self.context, self.url = context, url

    def tab(self, model: str | None = "model", **options: Any) -> Any:
        page = self.context.new_page()
        page.goto(f"{self.url}/pages/blank.html")
        page.evaluate(LIBRARY)
        if model is not None:
            page.evaluate("async (given) => { globalThis.engine = await share(...given); }", [f"/m/{model}.gguf", options])
        return page

    def serve(self, page: Any) -> None:
        """With the service worker, which controls all tabs from then on."""
        page.evaluate(
            """async () => {
              await navigator.serviceWorker.register("/sw.js", { type: "module" });
              while (!navigator.serviceWorker.controller) await new Promise((resolve) => setTimeout(resolve, 20));
            }"""
        )

    def stop_service_worker(self, page: Any) -> None:
        session = self.context.new_cdp_session(page)
        session.send("ServiceWorker.enable")
        session.send("ServiceWorker.stopAllWorkers")


LIBRARY = """async () => {
  const { shareEngine } = await import("/fanlight/index.js");
  globalThis.share = (model, options) => shareEngine(model, options);
  globalThis.texts = [];
  globalThis.heads = new Set();
  const keep = ({ id, created, choices: [{ index, delta }] }) => {
    (texts[index] ??= []).push(delta.content);
    heads.add(`${id} ${created}`);
  };
  globalThis.stream = async (body, signal) => {
    for await (const piece of await engine.completions.create({ stream: true, ...body }, { signal })) keep(piece);
    return texts;
  };
  globalThis.streamed = async (body, signal) => {
    const init = { method: "POST", body: JSON.stringify({ stream: true, ...body }), signal };
    const response = await fetch("/v1/completions", init);
    globalThis.reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    return response.status;
  };
  globalThis.readAll = async () => {
    let text = "";
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) text += value;
    const found = text.split("\\n\\n").filter(Boolean).map((line) => line.replace(/^data: /, ""));
    for (const line of found.slice(0, -1)) keep(JSON.parse(line));
    return [found.at(-1), texts];
  };
  globalThis.ask = async (body) => (await fetch("/v1/completions", { method: "POST", body: JSON.stringify(body) })).json();
}"""


def start(page: Any, **body: Any) -> None:
    page.evaluate("(body) => { globalThis.running = stream(body).catch((error) => `${error.name}: ${error.message}`); }", body)


def wait_for(page: Any, count: int) -> None:
    page.wait_for_function("(count) => texts.flat().length >= count", arg=count)


def result(page: Any) -> Any:
    return page.evaluate("() => running")


def counts(page: Any) -> dict[str, int]:
    return page.evaluate("async () => (await engine.completions.create({ prompt: 'x' })).counts")


def has_engine(page: Any) -> bool:
    return any(re.search(r"/worker[^/]*\.js", worker.url) for worker in page.workers)


def check_whole(page: Any, size: int, n: int = 1) -> None:
    """One answer, as if nothing had happened: each piece once, and all under the first one's name."""
    texts, heads = page.evaluate("() => [texts, heads.size]")
    assert [len(text) for text in texts] == [size] * n
    assert [len(set(text)) for text in texts] == [size] * n
    assert heads == 1


def test_one_tab_has_the_engine_and_others_share_it(origin) -> None:
    first = origin.tab()
    assert has_engine(first)
    second, third = origin.tab(), origin.tab()
    assert not has_engine(second) and not has_engine(third)
    for page in (first, second, third):
        start(page, prompt="same", size=5, n=2)
        result(page)
        check_whole(page, 5, 2)
    assert second.evaluate("() => engine.info") == first.evaluate("() => engine.info")
    assert counts(third)["started"] == 3
    # An error keeps its class, and its status.
    found = second.evaluate(
        """async () => {
          const { RequestError } = await import("/fanlight/index.js");
          const response = await engine.fetch("/v1/completions", { method: "POST", body: '{"model": "none", "prompt": "x"}' });
          try { await engine.unload("none"); } catch (error) { return [error instanceof RequestError, response.status]; }
        }"""
    )
    assert found == [True, 200]  # the one model answers for all names


@pytest.mark.parametrize("how", ["close", "crash", "engine.close()"])
def test_a_stream_goes_on_when_who_leads_goes_away(origin, how: str) -> None:
    leader, follower = origin.tab(), origin.tab()
    start(follower, prompt="long", size=60, delay=0.02, n=2)
    wait_for(follower, 20)
    if how == "close":
        leader.close()
    elif how == "crash":
        with pytest.raises(Exception, match="crash"):
            leader.goto("chrome://crash")
    else:
        leader.evaluate("() => engine.close()")
    assert not isinstance(result(follower), str), result(follower)
    check_whole(follower, 60, 2)
    assert has_engine(follower)
    assert counts(follower)["started"] == 1  # there, of the new engine


def test_leadership_moves_on_and_on(origin) -> None:
    tabs = [origin.tab() for _ in range(3)]
    last = tabs[-1]
    start(last, prompt="long", size=90, delay=0.02)
    for page, seen in zip(tabs[:2], (15, 40), strict=True):
        wait_for(last, seen)
        page.close()
    assert not isinstance(result(last), str), result(last)
    check_whole(last, 90)


def test_another_answer_than_the_one_that_was_begun_is_refused(origin) -> None:
    leader, follower = origin.tab(), origin.tab()
    start(follower, prompt="long", size=60, delay=0.02)
    wait_for(follower, 10)
    follower.evaluate("() => { texts.length = 0; }")
    # As if the second tab's engine drew otherwise.
    follower.evaluate(
        """() => {
          const { postMessage } = Worker.prototype;
          Worker.prototype.postMessage = function (message) {
            if (message.kind === "handle") message.args[2] += 1;
            postMessage.call(this, message);
          };
        }"""
    )
    leader.close()
    assert "answers otherwise" in result(follower)


def test_each_tab_asks_its_own_model_and_takes_it_along(origin) -> None:
    first, second = origin.tab(), origin.tab("other")
    names = "async () => (await engine.completions.create({ prompt: 'x' })).model"
    listed = "async () => (await engine.models.list()).data.map(({ id }) => id)"
    assert (first.evaluate(names), second.evaluate(names)) == ("model.gguf", "other.gguf")
    assert first.evaluate(listed) == ["model.gguf", "other.gguf"]
    second.close()
    first.wait_for_function(f"async () => (await ({listed})()).length === 1")
    third = origin.tab("other")
    first.close()
    assert third.evaluate(names) == "other.gguf"
    assert third.evaluate(listed) == ["other.gguf"]
    third.evaluate("() => engine.load('/m/model.gguf')")
    assert third.evaluate(listed) == ["other.gguf", "model.gguf"]
    third.evaluate("() => engine.unload('model.gguf')")
    assert third.evaluate(listed) == ["other.gguf"]


def test_who_goes_away_or_aborts_frees_the_engine(origin) -> None:
    leader, follower, other = (origin.tab() for _ in range(3))
    start(follower, prompt="long", size=1000, delay=0.01)
    wait_for(follower, 3)
    follower.close()
    leader.wait_for_function("async () => (await engine.completions.create({ prompt: 'x' })).counts.aborted === 1")
    other.evaluate(
        """async () => {
          const aborter = new AbortController();
          const failed = stream({ prompt: "long", size: 1000, delay: 0.01 }, aborter.signal).catch((error) => error.name);
          while (texts.flat().length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
          aborter.abort();
          if ((await failed) !== "AbortError") throw new Error(await failed);
          for await (const piece of await engine.completions.create({ stream: true, prompt: "long", size: 1000 })) break;
        }"""
    )
    leader.wait_for_function("async () => (await engine.completions.create({ prompt: 'x' })).counts.aborted === 3")


def test_a_slow_reader_holds_up_the_answer(origin) -> None:
    """(What is fetched through a service worker, Chromium itself takes as fast as it comes.)"""
    leader, follower = origin.tab(), origin.tab()
    for page, windows in ((leader, 1), (follower, 2)):
        before = counts(leader)["made"]
        page.evaluate(
            """async () => {
              const stream = await engine.completions.create({ stream: true, prompt: "long", size: 1000 });
              globalThis.held = stream[Symbol.asyncIterator]();
              await held.next();
            }"""
        )
        made = -1
        while (now := counts(leader)["made"] - before) != made:
            made = now
            leader.wait_for_timeout(300)
        assert 0 < made <= windows * 65
        num_read = page.evaluate("async () => { let n = 1; while (!(await held.next()).done) n++; return n; }")
        assert num_read == 1000
    assert counts(leader)["done"] == 2


# --- the service worker ----------------------------------------------------------------------------------------------
def test_any_client_of_the_origin_is_answered(origin) -> None:
    leader = origin.tab()
    origin.serve(leader)
    bare = origin.tab(None)
    assert bare.evaluate("() => ask({ prompt: 'x' })")["model"] == "model.gguf"
    assert bare.evaluate("async () => (await (await fetch('/v1/models')).json()).data.length") == 1
    assert bare.evaluate("() => streamed({ prompt: 'long', size: 30, delay: 0.01, n: 2 })") == 200
    last, _ = bare.evaluate("() => readAll()")
    assert last == "[DONE]"
    check_whole(bare, 30, 2)
    # From a worker, and what is none of these paths is the site's.
    found = bare.evaluate(
        """async () => {
          const worker = new Worker("/asking.js");
          const status = await new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); });
          return [status, (await fetch("/other/v1")).status, (await fetch("/pages/v1/models")).status];
        }"""
    )
    assert found == [200, 404, 404]


def test_a_fetched_stream_goes_on_when_who_leads_is_closed(origin) -> None:
    leader, heir = origin.tab(), origin.tab()
    origin.serve(leader)
    bare = origin.tab(None)
    bare.evaluate("() => streamed({ prompt: 'long', size: 80, delay: 0.02 })")
    bare.evaluate("() => { globalThis.running = readAll(); }")
    heir.wait_for_function("async () => (await engine.completions.create({ prompt: 'x' })).counts.made >= 15")
    leader.close()
    last, _ = result(bare)
    assert last == "[DONE]"
    check_whole(bare, 80)


def test_without_a_tab_that_leads_it_is_said_so(origin) -> None:
    page = origin.tab()
    origin.serve(page)
    bare = origin.tab(None)
    bare.evaluate("() => streamed({ prompt: 'long', size: 80, delay: 0.02 })")
    page.close()  # in the middle of an answer
    last, _ = bare.evaluate("() => readAll()")
    assert json.loads(last)["error"]["code"] == "engine_closed"
    assert re.search(r"after \d+ pieces", json.loads(last)["error"]["message"])
    found = bare.evaluate(
        """async () => {
          const response = await fetch("/v1/models");
          return [response.status, response.headers.get("Retry-After"), (await response.json()).error.code];
        }"""
    )
    assert found == [503, "1", "engine_closed"]


def test_a_cancelled_fetch_frees_the_engine(origin) -> None:
    leader = origin.tab()
    origin.serve(leader)
    bare = origin.tab(None)
    aborted = "async (count) => (await engine.completions.create({ prompt: 'x' })).counts.aborted === count"
    bare.evaluate("() => streamed({ prompt: 'long', size: 1000, delay: 0.01 })")
    bare.evaluate("() => reader.cancel()")
    leader.wait_for_function(aborted, arg=1)
    bare.evaluate("() => streamed({ prompt: 'long', size: 1000, delay: 0.01 })")
    bare.close()
    leader.wait_for_function(aborted, arg=2)


def test_a_stopped_service_worker_loses_nothing(origin) -> None:
    leader, follower = origin.tab(), origin.tab()
    origin.serve(leader)
    bare = origin.tab(None)
    start(follower, prompt="long", size=100, delay=0.02)
    bare.evaluate("() => streamed({ prompt: 'fetched', size: 1000, delay: 0.02 })")
    bare.evaluate("() => { globalThis.running = readAll().then(() => 'ended', (error) => `failed: ${error.name}`); }")
    wait_for(follower, 10)
    origin.stop_service_worker(leader)
    # Who uses the library never notices; a fetch ends with an error, not as if the answer were whole.
    assert not isinstance(result(follower), str), result(follower)
    check_whole(follower, 100)
    assert result(bare).startswith("failed")
    leader.wait_for_function("async () => (await engine.completions.create({ prompt: 'x' })).counts.aborted === 1")
    assert bare.evaluate("() => ask({ prompt: 'x' })")["model"] == "model.gguf"


@pytest.mark.minutes
@pytest.mark.timeout(900)
def test_a_stream_of_minutes_keeps_the_service_worker(origin) -> None:
    """A browser stops one after 30 s in which nothing happens to it."""
    leader = origin.tab()
    origin.serve(leader)
    bare = origin.tab(None)
    bare.evaluate("() => streamed({ prompt: 'long', size: 10, delay: 40 })")
    last, _ = bare.evaluate("() => readAll()")
    assert last == "[DONE]"
    check_whole(bare, 10)
