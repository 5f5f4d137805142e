"""The hub in a page, in Chromium: what a text names, a repository's files, search, refusals.  The hub is tests/web/hub.py."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.hub import TOKEN, Hub, Repo, git_oid, serve_hub, sha256

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CASES: dict[str, Any] = json.loads((Path(__file__).parents[1] / "formats" / "hub_cases.json").read_text())
FILES = {"README.md": b"# A model\n", "m-Q4_0.gguf": b"four", "m-Q8_0.gguf": b"eight", "q/m-F16.gguf": b"sixteen"}

IN_PAGE = """async (values) => {
  const fanlight = await import("/fanlight/index.js");
  const { chooseFiles, deleteModel, listFiles, listModels, load, parseHubId, searchModels } = fanlight;
  try {
    return await (async () => { CODE })();
  } catch (error) {
    if (!(error instanceof fanlight.FanlightError)) throw error;
    return { ...error.toData(), class: error.constructor.label };
  }
}"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    repos = {
        "owner/tiny-model": Repo(FILES, downloads=5, revisions={"v1/old": {"old.gguf": b"old"}}),
        "owner/tiny-gated": Repo(FILES, gated=True, downloads=9, tags=("gguf", "license:gemma")),
        "owner/tiny-private": Repo(FILES, private=True),
        "owner/tiny-torch": Repo({"model.safetensors": b""}, tags=("safetensors",)),
    }
    with serve_hub(Hub(repos, page_size=2)) as hub:
        yield hub


def in_page(page: Any, code: str, *values: Any) -> Any:
    """The value of JavaScript code in which the package's names and `values` are known; a FanlightError as its data."""
    return page.evaluate(IN_PAGE.replace("CODE", code), list(values))


def test_the_table(page: Any) -> None:
    """The one that tests/formats/test_hub_choice.py has Python held to."""
    found = in_page(page, "return values[0].map((text) => parseHubId(text));", [text for text, _ in CASES["ids"]])
    assert found == [expected for _, expected in CASES["ids"]]
    code = """return values[0].map(({ files, quant, shards }) => {
      const listed = files.map((path, i) => ({ path, size: (i + 1) * 1e9, sha256: null, oid: "" }));
      try { return { chosen: chooseFiles({ repo: "owner/repo", files: listed }, quant, shards).map(({ path }) => path) }; }
      catch (error) { return { error: error.message }; }
    });"""
    for case, found in zip(CASES["choices"], in_page(page, code, CASES["choices"]), strict=True):
        if "error" in found:
            found["error"] = found["error"][: len(case.get("error", ""))]
        assert found == {key: case[key] for key in ("chosen", "error") if key in case}, case


def test_a_hub_of_ones_own(page: Any, hub: Hub) -> None:
    code = "return values[0].map((text) => parseHubId(text, values[1]));"
    texts = [
        f"{hub.url}/owner/tiny-model",
        "https://hub.example/a/owner/tiny-model/blob/v2/x.gguf",
        "https://hub.example/b/owner/x",
        "a/b",
    ]
    own, *others = in_page(page, code, texts, "https://hub.example/a/")
    assert own is None
    assert others == [{"repo": "owner/tiny-model", "quant": "x.gguf", "revision": "v2"}, None, {"repo": "a/b"}]
    assert in_page(page, code, texts[:1], hub.url) == [{"repo": "owner/tiny-model"}]


def test_the_files_of_a_repository(page: Any, hub: Hub) -> None:
    listing = in_page(page, "return listFiles('owner/tiny-model', { hub: values[0] });", hub.url)
    assert listing["revision"] == Repo.commit(FILES) and listing["repo"] == "owner/tiny-model"
    expected = [
        (path, len(data), None if path == "README.md" else sha256(data), git_oid(data)) for path, data in sorted(FILES.items())
    ]
    assert [(f["path"], f["size"], f["sha256"], f["oid"]) for f in listing["files"]] == expected
    assert len([path for path in hub.asked("hub") if "/tree/" in path]) == 3, "its list comes in pages of two"
    assert all(listing["revision"] in path for path in hub.asked("hub") if "/tree/" in path), "all of one commit"
    old = in_page(page, "return listFiles('owner/tiny-model', { hub: values[0], revision: 'v1/old' });", hub.url)
    assert [file["path"] for file in old["files"]] == ["old.gguf"]


def test_search(page: Any, hub: Hub) -> None:
    found = in_page(page, "return searchModels('TINY', { hub: values[0] });", hub.url)
    assert [model["id"] for model in found] == ["owner/tiny-gated", "owner/tiny-model"]
    gated, plain = found
    assert (gated["gated"], gated["licence"], gated["downloads"]) == (True, "gemma", 9) and plain["gated"] is False
    one = in_page(page, "return searchModels('tiny', { hub: values[0], limit: 1, format: 'safetensors' });", hub.url)
    assert [model["id"] for model in one] == ["owner/tiny-torch"]
    assert in_page(page, "return searchModels('none', { hub: values[0] });", hub.url) == []
    assert in_page(page, "return searchModels('x', { limit: 0 });")["param"] == "limit"


@pytest.mark.parametrize(
    ("repo", "more", "message", "hint"),
    [
        (
            "owner/nobody",
            "",
            "there is no such repository, or it is not public (401, without a token)",
            "/owner/nobody. A private model",
        ),
        ("owner/tiny-private", "", "there is no such repository, or it is not public (401, without a token)", "token"),
        (
            "owner/nobody",
            f", token: '{TOKEN}'",
            "there is no such repository, or it is not public (404, with the token",
            "Check the name",
        ),
        ("owner/tiny-model", ", revision: 'v9'", "the repository has no such revision (404)", "/owner/tiny-model"),
    ],
)
def test_refusals(page: Any, hub: Hub, repo: str, more: str, message: str, hint: str) -> None:
    error = in_page(page, f"return listFiles(values[1], {{ hub: values[0]{more} }});", hub.url, repo)
    assert error["class"] == "SourceError" and error["message"].startswith(message)
    assert hint in error["hint"] and error["where"] == repo


def test_a_private_repository_with_its_token(page: Any, hub: Hub) -> None:
    listing = in_page(page, "return listFiles('owner/tiny-private', { hub: values[0], token: values[1] });", hub.url, TOKEN)
    assert len(listing["files"]) == 4


def test_what_is_no_hub(page: Any, site: Any, hub: Hub) -> None:
    site.served.files |= {"/api/models": b"<html>", "/api/models/a/b/revision/main": b"{}"}
    error = in_page(page, "return searchModels('x', { hub: location.origin });")
    assert "not understood: no JSON" in error["message"] and "address of a hub" in error["hint"]
    assert "no commit" in in_page(page, "return listFiles('a/b', { hub: location.origin });")["message"]
    assert in_page(page, "return listFiles('a/b', { hub: 'example.org' });")["param"] == "hub"
    elsewhere = b'{"sha": "%s"}' % (b"a" * 40)
    site.served.files |= {
        "/api/models/a/b/revision/main": elsewhere,
        f"/api/models/a/b/tree/{'a' * 40}": b'[{"type": "file", "path": 5}]',
    }
    assert "no file" in in_page(page, "return listFiles('a/b', { hub: location.origin });")["message"]
