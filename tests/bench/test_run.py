"""The harness end to end, on software adapters: every engine a row, failures too."""

import json
from pathlib import Path

import pytest

from bench import run
from bench.report import table
from fanlight.api.load import LoadOptions
from fanlight.driver import run as drive
from fanlight.engine.load import compile_model
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.source import FileSource
from fanlight.models import open_model
from fanlight.runtime import open_device
from tests.web.fixtures import CHROMIUM

TIMES = ("decode_tps", "prefill_tps", "ttft_ms", "load_cold_ms", "first_token_cold_ms", "load_warm_ms", "first_token_warm_ms")
COMMON = "--models tiny:Q4_0 --contexts 128,256 --decode 8 --repeats 2 --timeout 200 --gpu swiftshader"


def rows_of(arguments: str, tmp_path: Path) -> list[dict]:
    out = tmp_path / "rows.jsonl"
    run.main([*COMMON.split(), *arguments.split(), "--work", str(tmp_path), "--out", str(out)])
    return [json.loads(line) for line in out.read_text().splitlines()]


def dispatches(path: Path) -> int:
    """Of one token's step, by a compilation of our own."""
    model = drive(open_model(drive(open_checkpoint([FileSource(path)]))))
    device = open_device("native")
    program = compile_model(model, device.limits, LoadOptions(256))
    device.close()
    return len(program.step_for(1, 1).launches_for())


def check(row: dict) -> None:
    assert "error" not in row, row["error"]
    assert all(row[name] > 0 for name in TIMES), row
    assert row["first_token_cold_ms"] > row["load_cold_ms"]
    assert row["host_mib"] > 50 and row["planned_mib"] > 1
    assert len(row["runs"]) == 2
    assert row["date"] and row["machine"]["cpu"] and "--models tiny:Q4_0" in row["command"]


def test_native_rows_and_the_row_of_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "installed_peers", lambda: ())
    rows = rows_of("--only native,wllama --prompts 16,200 --contexts 128,256", tmp_path)
    assert [(r["engine"], r["context"], r["prompt"]) for r in rows] == [
        *(("native", 128, 16), ("native", 256, 16), ("native", 256, 200)),
        *(("wllama", 128, 16), ("wllama", 256, 200)),
    ]
    for row in rows[:3]:
        check(row)
        assert row["dispatches_per_token"] == dispatches(tmp_path / "models/tiny-q4_0.gguf")
    assert "fetch" in rows[3]["error"]
    lines = table(rows).splitlines()
    assert len(lines) == 2 + len(rows)
    assert lines[0].count("|") == lines[2].count("|")


def test_a_process_that_fails_is_a_row(tmp_path, monkeypatch):
    monkeypatch.setenv("FANLIGHT_DEVICE", "nonsense")
    (row,) = rows_of("--only native --prompts 16 --contexts 128", tmp_path)
    assert "nonsense" in row["error"] + row.get("log", "")


@pytest.mark.browser
@pytest.mark.minutes
@pytest.mark.timeout(600)  # two loads on an emulated GPU
def test_a_browser_row(assets, tmp_path):
    (row,) = rows_of(f"--only chromium --prompts 16 --contexts 128 --chrome {CHROMIUM}", tmp_path)
    check(row)
    assert row["dispatches_per_token"] >= 12  # of two layers
    file_mib = (tmp_path / "models/tiny-q4_0.gguf").stat().st_size / 2**20
    assert row["downloaded_cold_mib"] >= file_mib and row["downloaded_warm_mib"] == 0
    assert row["stream_gbps"] > 0 and row["submits_per_token"] == 1
    assert row["adapter"]["isFallbackAdapter"]
