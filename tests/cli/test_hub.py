"""The command line and the hub: search, pull, verify.  The hub is tests/web/hub.py, asked by the real huggingface_hub."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanlight.cli import execute
from tests.formats.signing import make_key, public_pem, sign, statement
from tests.web.hub import Hub, Repo, serve_hub

FILES = {"m-Q4_0.gguf": b"four", "m-Q8_0.gguf": b"eight"}
KEY = make_key()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    constants = pytest.importorskip("huggingface_hub.constants")
    repos = {
        "owner/tiny": Repo({**FILES, "model.sig": json.dumps(sign(KEY, statement(FILES))).encode()}, downloads=1234),
        "owner/gated-tiny": Repo(FILES, gated=True, tags=("gguf", "license:gemma")),
        "owner/other": Repo({"model.safetensors": b""}, tags=("safetensors",)),
    }
    monkeypatch.setenv("FANLIGHT_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key.pem").write_text(public_pem(KEY))
    (tmp_path / "other.pem").write_text(public_pem(make_key()))
    with serve_hub(Hub(repos)) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
        yield hub


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = execute(arguments)
    told = capsys.readouterr()
    return status, told.out if status == 0 else told.err


def test_search(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(capsys, "search", "tiny")
    header, first, second = text.splitlines()
    assert status == 0 and header.split() == ["MODEL", "DOWNLOADS", "LICENCE"]
    assert first.split() == ["owner/tiny", "1,234", "apache-2.0"]
    assert second.split(maxsplit=3) == ["owner/gated-tiny", "0", "gemma", "asks for consent first"]
    assert "owner/other" in run(capsys, "search", "other", "--format", "safetensors", "--limit", "1")[1]


def test_pull_and_verify(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "pull", "owner/tiny:Q8_0")[0] == 0
    assert run(capsys, "verify", "owner/tiny:Q8_0", "--public-key", "key.pem") == (0, "m-Q8_0.gguf: signed, 5 bytes\n")
    assert run(capsys, "pull", "owner/tiny", "--public-key", "key.pem")[0] == 0
    status, text = run(capsys, "verify", "owner/tiny", "--public-key", "other.pem")
    assert status == 1 and "it was made with another key" in text
    status, text = run(capsys, "verify", "owner/tiny", "--public-key", "none.pem")
    assert status == 1 and "none.pem" in text


def test_verify_files(tmp_path: Path, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "m-Q4_0.gguf").write_bytes(b"four")
    (folder / "model.sig").write_bytes(hub.repos["owner/tiny"].files["model.sig"])
    assert run(capsys, "verify", "model/m-Q4_0.gguf", "--public-key", "key.pem")[0] == 0
    (folder / "model.sig").rename(tmp_path / "moved.sig")
    assert run(capsys, "verify", "model", "--public-key", "key.pem", "--signature", "moved.sig")[0] == 0
    assert "model.sig" in run(capsys, "verify", "model", "--public-key", "key.pem")[1]
    (folder / "m-Q4_0.gguf").write_bytes(b"five")
    status, text = run(capsys, "verify", "model", "--public-key", "key.pem", "--signature", "moved.sig")
    assert status == 1 and "is not the one that was signed: its SHA-256 is" in text
