"""What the network, the browser and the device can do to the store of models: downloads that break, servers that misbehave,
tabs that are killed while they write, storage that is full.  After each the next load works, and the file is the same by
SHA-256."""

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.files_page import LOAD, load, of_hub, of_url, stored
from tests.web.hub import Hub, Repo, serve_hub, sha256
from tests.web.torture import FAULTS, Torture, kill, serve_torture

pytestmark = pytest.mark.browser

BLOCK = 4 << 20
DATA = random.Random(3).randbytes(2 * BLOCK + 54_321)
MANY = pytest.mark.minutes

# The delays between attempts are for people's networks.
IMPATIENT = """
const late = globalThis.setTimeout;
globalThis.setTimeout = (call, delay, ...values) => late(call, delay > 200 && delay < 20000 ? delay / 50 : delay, ...values);
"""


def prefixed(site: Any, code: str) -> None:
    """The files' worker runs this first."""
    site.served.files["/fanlight/files.js"] = code.encode() + site.served.body("/fanlight/files.js")


@pytest.fixture
def impatient(page: Any, site: Any) -> Any:
    """`page`, whose files' worker waits a fiftieth of the time between attempts."""
    prefixed(site, IMPATIENT)
    return page


def sums(found: Any) -> list[str]:
    assert "error" not in found, found
    return [file["sha256"] for file in found]


def clear(page: Any) -> None:
    page.evaluate(
        "async () => (await navigator.storage.getDirectory()).removeEntry('fanlight', { recursive: true }).catch(() => 0)"
    )


@pytest.mark.parametrize("num_faults", [40, pytest.param(1000, marks=MANY)])
@pytest.mark.timeout(3000)
def test_a_server_that_misbehaves(impatient: Any, num_faults: int) -> None:
    """Downloads anew from a server that does something wrong in a third of its answers, until so many things went wrong. Each
    load may fail, with an error of ours; what it does not do is to give other bytes."""
    torture = Torture(DATA, seed=num_faults, rate=0.35)
    with serve_torture(torture) as url:
        round, failed, whole = 0, 0, 0
        while sum(torture.faults.values()) < num_faults:
            round += 1
            model = of_url(f"{url}/{round}/model.gguf")
            for _ in range(60):
                found = load(impatient, model, store=True)
                if "error" not in found:
                    break
                failed += 1
                assert found["error"]["name"] == "SourceError", found
            assert sums(found) == [sha256(DATA)]
            (record,) = [one for one in stored(impatient) if one["url"] == model["url"]]
            assert record["complete"]
            whole += 1
            clear(impatient)
    assert all(torture.faults[fault] for fault in FAULTS) or num_faults < 100, torture.faults
    print(f"{whole} downloads, {torture.num_requests} requests, {failed} loads failed; {torture.faults}")


@MANY
@pytest.mark.parametrize("num_kills", [8, 200])
@pytest.mark.parametrize("kind", ["hub", "url"])
@pytest.mark.timeout(3000)
def test_a_tab_that_is_killed(chromium: Any, site: Any, kind: str, num_kills: int) -> None:
    """At a random moment of a download; the next tab goes on, is killed too, ..., and the last one has the file, whole."""
    draw = random.Random(num_kills)
    torture = Torture(DATA, seed=1, rate=0)
    torture.slow_s = 0.002
    context = chromium.new_context()
    with serve_hub(Hub({"owner/model": Repo({"m.gguf": DATA})})) as hub, serve_torture(torture) as url:
        kills, whole = 0, 0
        num_kills //= 2  # of each kind
        while kills < num_kills:
            model = of_hub("owner/model", hub=hub.url) if kind == "hub" else of_url(f"{url}/{whole}/model.gguf")
            for _ in range(draw.choice([1, 1, 2, 4])):
                page = context.new_page()
                page.goto(f"{site.url}/pages/blank.html")
                page.evaluate(f"(values) => void ({LOAD})(values)", [model, True, {}])
                time.sleep(draw.random() ** 2 * 1.5)
                kill(chromium)
                page.close()
                kills += 1
            page = context.new_page()
            page.goto(f"{site.url}/pages/blank.html")
            assert sums(load(page, model)) == [sha256(DATA)]
            assert [one["complete"] for one in stored(page)] == [True]
            assert sums(load(page, model)) == [sha256(DATA)], "from the store"
            clear(page)
            page.close()
            whole += 1
    context.close()
    print(f"{kills} tabs were killed, {whole} downloads whole")


@pytest.fixture
def storage(page: Any, site: Any) -> Iterator[Any]:
    """Sets how many bytes the browser grants the site."""
    session = page.context.new_cdp_session(page)

    def grant(size: int | None) -> None:
        session.send("Storage.overrideQuotaForOrigin", {"origin": site.url, **({} if size is None else {"quotaSize": size})})

    yield grant
    grant(None)


@pytest.mark.parametrize("size", [300, 1000, BLOCK // 2, BLOCK + 10, 2 * BLOCK + 1000])
@pytest.mark.parametrize("honest", [True, False])
def test_storage_that_is_full(page: Any, site: Any, storage: Any, size: int, honest: bool) -> None:
    """Said before the download where the browser tells how much there is, and in the middle of it where it does not. When there
    is room again the load goes on."""
    site.served.files["/m/model.gguf"] = DATA
    model = of_url(f"{site.url}/m/model.gguf")
    if not honest:
        prefixed(site, "navigator.storage.estimate = async () => ({});")
    storage(size)
    found = load(page, model)
    assert found["error"]["name"] == "SourceError" and "storage" in found["error"]["message"], found
    assert "Delete stored models" in found["error"]["hint"]
    storage(None)
    assert sums(load(page, model)) == [sha256(DATA)]
    assert [one["complete"] for one in stored(page)] == [True]
