"""The harness of embeddings end to end, on software adapters: each engine's calls are rows, failures too."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import embeddings
from bench.random_encoder import num_words, tokenizer_json, word
from bench.server import free_port
from bench.shapes import ENCODERS
from fanlight.driver import run
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.source import FileSource
from fanlight.text.tokenizer import open_tokenizer
from tests.web.fixtures import CHROMIUM

COMMON = "--model tiny-encoder:F16 --lengths 8,16 --batches 1,3 --repeats 2 --timeout 200 --gpu swiftshader"


def rows_of(arguments: str, tmp_path: Path) -> list[dict[str, Any]]:
    out = tmp_path / "rows.jsonl"
    embeddings.main([*COMMON.split(), *arguments.split(), "--work", str(tmp_path), "--out", str(out)])
    return [json.loads(line) for line in out.read_text().splitlines()]


def check(rows: list[dict[str, Any]], engine: str) -> None:
    assert [(r["engine"], r["length"], r["batch"]) for r in rows] == [(engine, n, b) for n in (8, 16) for b in (1, 3)], rows
    for row in rows:
        assert len(row["runs"]) == 2 and min(row["runs"]) <= row["ms"] <= max(row["runs"])
        assert row["tokens_per_s"] == pytest.approx(row["length"] * row["texts_per_s"])
        assert row["texts_per_s"] == pytest.approx(1e3 * row["batch"] / row["ms"])
        assert "--model tiny-encoder:F16" in row["command"]


def test_native_rows_and_those_of_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(embeddings, "installed_peers", lambda: ())
    rows = rows_of(f"--only native,transformers --url nobody=http://127.0.0.1:{free_port()}", tmp_path)
    check(rows[:4], "native")
    assert [row["engine"] for row in rows[4:]] == ["transformers", "nobody"]
    assert "fetch" in rows[4]["error"] and "URLError" in rows[5]["error"]
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(rows)


def test_words_are_tokens(tmp_path: Path) -> None:
    """Of the GGUF file and of the peers' folder alike."""
    shape = ENCODERS["tiny-encoder"]
    path = embeddings.model_file("native", "tiny-encoder", "F16", tmp_path)
    checkpoint = run(open_checkpoint([FileSource(path)]))
    folder = open_tokenizer("safetensors", {"tokenizer": json.dumps(tokenizer_json(shape))})
    text = " ".join(word(i) for i in (0, 1, 25, 26, 700, num_words(shape) - 1))
    expected = [2, 4, 5, 29, 30, 704, shape.vocab - 1, 3]
    assert run(open_tokenizer("gguf", checkpoint.metadata).encode(text)) == expected == run(folder.encode(text))


@pytest.mark.parametrize(("arguments", "words"), [("--only wllama", "no such engine"), ("--lengths 600", "600 tokens")])
def test_what_cannot_be_measured_is_said(arguments: str, words: str, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        rows_of(arguments, tmp_path)
    assert words in capsys.readouterr().err


@pytest.mark.minutes
@pytest.mark.browser
@pytest.mark.timeout(600)
def test_rows_of_a_page_and_of_a_server(assets: Path, tmp_path: Path) -> None:
    """The server is our own, with the same file."""
    check(rows_of(f"--only chromium --chrome {CHROMIUM}", tmp_path), "chromium")
    path, port = embeddings.model_file("native", "tiny-encoder", "F16", tmp_path), free_port()
    serve = [sys.executable, "-m", "fanlight", "serve", str(path), "--port", str(port)]
    (tmp_path / "rows.jsonl").unlink()
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr and next((line for line in server.stderr if str(port) in line), None)
            check(rows_of(f"--only= --url own=http://127.0.0.1:{port}", tmp_path), "own")
        finally:
            server.terminate()
