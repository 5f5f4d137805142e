"""Measures engines on the same random models: `python -m bench run --only native,chromium --models llama1b:Q4_0 --prompts 512`.

A case is one engine, one model and one context; it is loaded twice with one browser profile (cold, then from what was stored),
and answers every prompt length that fits. Its rows go to the JSON lines file at once; one that fails is a row with its
error."""

import argparse
import json
import shlex
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.browser import add_browser_arguments, browser_of, installed_peers, run_in_browser
from bench.machine import ROOT, machine, now, versions
from bench.make import make_gguf, make_onnx, read_per_token_of
from bench.native import run_natively
from bench.report import table
from bench.server import free_port
from bench.watch import Nvml

ENGINES = ("native", "chromium", "wllama", "transformers")
FIRST_PROMPT = 512  # of the first answer after a load, if a case has it
SPARE = 16  # tokens of context that a case needs beyond prompt and answer
SIZE_LIMITS = {"wllama": 2 << 30, "transformers": 4 << 30}  # bytes that one file may have in a page


@dataclass(frozen=True, slots=True)
class Case:
    engine: str
    shape: str
    format: str
    context: int
    prompts: tuple[int, ...]
    features: str  # a key of browser.FEATURES; natively always 'all'

    @property
    def first(self) -> int:
        return FIRST_PROMPT if FIRST_PROMPT in self.prompts else max(self.prompts)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    nvml = Nvml()
    about = {
        "date": now(),
        "command": f"python -m bench run {shlex.join(arguments)}",
        "machine": machine(nvml),
        "versions": versions(options.chrome),
    }
    rows = []
    for case in cases(options):
        print(f"{case.engine} {case.shape}:{case.format} context {case.context} prompts {case.prompts}", file=sys.stderr)
        for row in rows_of(case, options, nvml):
            rows.append({**row, **about})
            with options.out.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    print(table(rows))
    return int(all("error" in row for row in rows))


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench run", description=__doc__.splitlines()[0])
    numbers = lambda text: tuple(sorted(int(x) for x in text.split(",")))  # noqa: E731
    words = lambda text: tuple(text.split(","))  # noqa: E731
    parser.add_argument("--only", type=words, default=ENGINES, help=f"engines (default: {','.join(ENGINES)})")
    parser.add_argument("--models", type=words, default=("llama1b:Q4_0",), help="shape:format,... (default: %(default)s)")
    parser.add_argument("--prompts", type=numbers, default=(64, 512, 2048), help="tokens (default: 64,512,2048)")
    parser.add_argument("--contexts", type=numbers, default=(768, 4096), help="tokens (default: 768,4096)")
    parser.add_argument("--decode", type=int, default=128, help="new tokens of an answer (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="answers of each length, after one to warm up")
    add_browser_arguments(parser, "chromium", type=words, default=("all",))
    parser.add_argument("--work", type=Path, default=ROOT / "bench" / "work", help="folder of models and profiles")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / f"{now()[:10]}.jsonl", help="JSON lines")
    parser.add_argument("--timeout", type=float, default=180, help="seconds for one load of one case")
    parser.add_argument("--no-loads", action="store_true", help="leave out the second load of each case")
    options = parser.parse_args(arguments)
    wrong = {*options.only} - {*ENGINES}
    if wrong:
        parser.error(f"no such engine: {', '.join(sorted(wrong))}; there are {', '.join(ENGINES)}")
    return options


def cases(options: argparse.Namespace) -> Iterator[Case]:
    for model in options.models:
        shape, _, format = model.partition(":")
        for engine in options.only:
            for features in options.features if engine != "native" else ("all",):
                for context in options.contexts:
                    fitting = tuple(n for n in options.prompts if n + options.decode + SPARE <= context)
                    if fitting:
                        yield Case(engine, shape, format or "Q4_0", context, fitting, features)


# --- one case --------------------------------------------------------------------------------------------------------
def rows_of(case: Case, options: argparse.Namespace, nvml: Nvml) -> list[dict[str, Any]]:
    head = {
        "engine": case.engine,
        "model": f"{case.shape}:{case.format}",
        "context": case.context,
        "decode": options.decode,
        "features": case.features,
    }
    try:
        cold, warm = measured(case, options, nvml)
    except Exception as error:  # the other cases go on
        cold, warm = {"error": f"{type(error).__name__}: {error}"}, {}
    if "error" in cold:
        return [{**head, "prompt": case.first, **{k: cold[k] for k in ("error", "hint", "log", "stack") if cold.get(k)}}]
    return [{**head, "prompt": length, **numbers(case, length, cold, warm)} for length in case.prompts]


def measured(case: Case, options: argparse.Namespace, nvml: Nvml) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the two loads of a case gave."""
    if reason := unable(case):
        return {"error": reason}, {}
    model = (
        make_onnx(case.shape, options.work)
        if case.engine == "transformers"
        else make_gguf(case.shape, case.format, options.work)
    )
    config = {
        "engine": {"chromium": "fanlight"}.get(case.engine, case.engine),
        "model": str(model) if case.engine == "native" else f"/models/{model.name}",
        "prompts": case.prompts,
        "first": case.first,
        "context": case.context,
        "decode": options.decode,
        "repeats": options.repeats,
        "loadOnly": False,
        "stream": True,
    }
    again = None if options.no_loads else {**config, "loadOnly": True, "stream": False}
    if case.engine == "native":
        return run_natively(config, nvml, options.timeout), run_natively(again, nvml, options.timeout) if again else {}
    browser = browser_of(options, case.features)
    with tempfile.TemporaryDirectory(dir=options.work, ignore_cleanup_errors=True) as profile:
        load = partial(
            run_in_browser, browser, model.parent, profile=profile, port=free_port(), nvml=nvml, timeout=options.timeout
        )
        cold = load(config)
        if cold.get("adapter", {}).get("isFallbackAdapter") and options.gpu != "swiftshader":
            return {"error": f"the browser emulates a GPU: {cold['adapter']}"}, {}
        return cold, load(again) if again and "error" not in cold else {}


def unable(case: Case) -> str:
    """Why an engine cannot run a case; empty when it can."""
    if case.engine in SIZE_LIMITS:
        if case.engine not in installed_peers():
            return f"{case.engine} is not installed: bench/peers/fetch.sh"
        if read_per_token_of(case.shape, case.format) > SIZE_LIMITS[case.engine]:
            return f"{case.engine} cannot open so large a file in a page"
    if case.engine == "transformers" and not case.format.startswith("Q4"):
        return "the ONNX model is 4-bit only"
    return ""


# --- numbers of one row ----------------------------------------------------------------------------------------------
def numbers(case: Case, length: int, cold: dict[str, Any], warm: dict[str, Any]) -> dict[str, Any]:
    runs = cold["runs"].get(str(length)) or cold["runs"][length]
    whole = cold.get("whole", {}).get(str(length), [])
    peak = cold["marks"].get(f"prompt {length}", {})
    decode_tps = middle(runs, "decodeTps")
    bytes_per_token = read_per_token_of(case.shape, case.format)
    read_gbps = decode_tps and decode_tps * bytes_per_token / 1e9
    stream = cold.get("stream_gbps")
    row = {
        "decode_tps": decode_tps,
        "prefill_tps": middle(runs, "prefillTps"),
        "ttft_ms": middle(runs, "ttftMs"),
        "decode_tps_not_streamed": middle(whole, "decodeTps"),
        "ttft_ms_not_streamed": middle(whole, "ttftMs"),
        "load_cold_ms": cold["load_ms"],
        "first_token_cold_ms": cold["first_token_ms"],
        "first_prompt": case.first,
        "load_warm_ms": warm.get("load_ms"),
        "first_token_warm_ms": warm.get("first_token_ms"),
        "warm_error": warm.get("error"),
        "downloaded_cold_mib": cold.get("downloaded_mib"),
        "downloaded_warm_mib": warm.get("downloaded_mib"),
        **peak,
        "planned_mib": cold.get("planned_mib"),
        "dispatches_per_token": cold.get("dispatches_per_token"),
        "submits_per_token": cold.get("submits_per_token"),
        "weight_bytes": bytes_per_token,
        "read_gbps": read_gbps,
        "stream_gbps": stream,
        "stream_share": read_gbps / stream if read_gbps and stream else None,
        "phases": cold.get("phases"),
        "warm_phases": warm.get("phases"),
        "adapter": cold.get("adapter"),
        "facts": cold.get("about"),
        "runs": runs,
        "error": None if cold.get("dispatches_per_token") else "no call of the GPU was seen",
    }
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in row.items() if v is not None}


def middle(runs: list[dict[str, Any]], name: str) -> float | None:
    values = [run[name] for run in runs if run.get(name) is not None]
    return statistics.median(values) if values else None
