"""The documentation's site builds without a warning, has what it says it has, and its TypeScript is true."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fanlight.api.openapi import document
from scripts.docs_site import TYPEDOC, javascript_reference
from tests.npm import installed, run

ROOT = Path(__file__).parents[1]
WEB = ROOT / "web"
BLOCK = re.compile(r"^```ts\n(.*?)^```\s*$", re.S | re.M)
ENGINE = 'declare const engine: import("fanlight").Engine;\n'  # which a page made further up
PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if BLOCK.search(page.read_text())]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_reached(site: Path) -> None:
    start = (site / "index.html").read_text()
    names = [page.stem for page in (ROOT / "docs").glob("*.md")]
    assert [name for name in names if f'href="{name}.html"' not in start and name != "index"] == []


def test_the_reference_names_each_operation_and_function(site: Path) -> None:
    http = (site / "reference-http.html").read_text()
    assert all(path in http for path in document()["paths"])
    assert "fanlight.aload" in (site / "reference-python.html").read_text()


@pytest.mark.minutes
def test_the_javascript_reference_has_all_that_is_exported() -> None:
    """By TypeDoc, as `make docs` runs it; what is exported says Node."""
    text = javascript_reference(installed(TYPEDOC))
    listing = f"console.log(Object.keys(await import({json.dumps((WEB / 'dist' / 'index.js').as_uri())})).join(' '))"
    names = run("node", "--input-type=module", "-e", listing, folder=WEB).split()
    assert len(names) > 30
    assert [name for name in names if not re.search(rf"^### {name}(\(\))?$", text, re.M)] == []
    assert "Why WebGPU cannot be used here, in words for the person at the screen" in text
    assert "#######" not in text


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {page.name: page.read_text() for page in site.glob("*.html") if page.name != "404.html"}
    places = {name: {"", *re.findall(r'id="([^"]*)"', text)} for name, text in pages.items()}
    links = [(name, link) for name, text in pages.items() for link in re.findall(r'<a [^>]*?href="([^":]+)"', text)]
    assert len(links) > 1000
    ends = [(name, link, *link.partition("#")[::2]) for name, link in links if link not in (".", "#")]
    lost = [(name, link) for name, link, path, place in ends if place not in places.get(path or name, ())]
    assert lost == []


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = re.findall(
        r'<(?:script|link rel="stylesheet"|img)[^>]*(?:src|href)="(https?:[^"]*)"', (site / "index.html").read_text()
    )
    assert fetched == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_typescript_of_a_page_is_true(page: Path, tmp_path: Path) -> None:
    if not (WEB / "dist" / "types" / "index.d.ts").is_file():
        pytest.fail("the package is not built. Try: make web")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "fanlight").symlink_to(WEB)
    names = []
    for number, code in enumerate(BLOCK.findall(page.read_text())):
        names.append(f"block{number}.ts")
        given = "" if "const engine" in code else ENGINE
        (tmp_path / names[-1]).write_text(f"{code}\n{given}export {{}};\n")
    options = {"strict": True, "noEmit": True, "target": "ES2022", "module": "ESNext", "moduleResolution": "bundler"}
    settings = {"compilerOptions": {**options, "lib": ["ES2022", "DOM", "DOM.Iterable"], "types": []}, "files": names}
    (tmp_path / "tsconfig.json").write_text(json.dumps(settings))
    tsc = WEB / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(["node", str(tsc), "-p", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
