"""One load of one model, natively, in a process of its own, so that its memory can be seen from outside.

The process, `python -m bench.native CONFIG`, takes JSON as the pages of bench/page do. It says `mark NAME` on stdout where
peaks of memory are to be noted, and the result as JSON on the last line. Needs neither a tokenizer nor a command line: the
token engine is what is measured."""

import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from bench.machine import ROOT
from bench.watch import Nvml, Watch
from fanlight import driver
from fanlight.api.load import DEFAULT_NUM_SEQS
from fanlight.cli.measure import measure, stream_gbps
from fanlight.compiler.memory import memory_plan
from fanlight.engine.embedder import Embedder, Text
from fanlight.engine.engine import Engine
from fanlight.engine.load import load_engine
from fanlight.errors import FanlightError
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.source import FileSource
from fanlight.runtime import open_device
from fanlight.settings import settings


@dataclass(frozen=True, slots=True)
class Options:
    context_length: int
    max_num_seqs: int = DEFAULT_NUM_SEQS


# --- from outside ----------------------------------------------------------------------------------------------------
def run_natively(config: dict[str, Any], nvml: Nvml, timeout: float) -> dict[str, Any]:
    """The process's result with `marks`, peaks of memory by mark; where none came, `error`."""
    before = nvml.used_mib()
    command = [sys.executable, "-m", "bench.native", json.dumps({**config, "started": time.monotonic()})]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
        )
        deadline = threading.Timer(timeout, process.kill)
        deadline.start()
        with process, Watch(process.pid, nvml, before) as watch:
            last = follow(process, watch)
        deadline.cancel()
        try:
            return {**json.loads(last), "marks": watch.marks}
        except ValueError:
            log.seek(0)
            return {"error": f"the process ended with status {process.returncode}", "log": log.read()[-3000:]}


def follow(process: subprocess.Popen, watch: Watch) -> str:
    """Note each mark while the process waits; its last line."""
    assert process.stdin and process.stdout
    last = ""
    for line in process.stdout:
        last = line.strip()
        if last.startswith("mark "):
            watch.mark(last.removeprefix("mark "))
            process.stdin.write("\n")
    process.wait()
    return last


# --- the process -----------------------------------------------------------------------------------------------------
def main() -> None:
    config = json.loads(sys.argv[1])
    try:
        found = run(config)
    except FanlightError as error:
        found = {"error": str(error)}
    print(json.dumps(found), flush=True)


def run(config: dict[str, Any]) -> dict[str, Any]:
    device = open_device(settings().device)
    phases: dict[str, int] = {}

    def since_start() -> float:
        """Milliseconds since the process was asked for: its start and imports are part of a load."""
        return (time.monotonic() - config["started"]) * 1e3

    def on_progress(phase: str, done: int, total: int) -> None:
        phases.setdefault(phase, round(since_start()))

    on_progress("header", 0, 1)
    checkpoint = driver.run(open_checkpoint([FileSource(config["model"])]))
    engine = driver.run(load_engine(checkpoint, device, Options(config["context"]), on_progress))
    if isinstance(engine, Embedder):
        loaded = {"adapter": asdict(device.info), "load_ms": since_start(), "phases": phases}
        mark("load")
        calls = [{**call, "ms": embedding_ms(engine, **call, repeats=config["repeats"])} for call in config["calls"]]
        engine.close()
        return {**loaded, "calls": calls, "dimensions": engine.dimensions}
    result: dict[str, Any] = {"adapter": asdict(device.info), "load_ms": since_start(), "phases": phases, "runs": {}}
    mark("load")
    result["first_ttft_ms"] = measure(engine, config["first"], 2)["ttft_ms"]
    result["first_token_ms"] = result["load_ms"] + result["first_ttft_ms"]
    mark("first")
    if not config["loadOnly"]:
        result |= measured(engine, config)
    engine.close()
    return result | ({"stream_gbps": stream_gbps()} if config["stream"] else {})


def measured(engine: Engine, config: dict[str, Any]) -> dict[str, Any]:
    runs: dict[int, list[dict[str, float]]] = {}
    for length in config["prompts"]:
        found = [measure(engine, length, config["decode"]) for _ in range(config["repeats"] + 1)]
        runs[length] = [
            {"ttftMs": r["ttft_ms"], "prefillTps": r["prefill_tps"], "decodeTps": r["decode_tps"]} for r in found[1:]
        ]
        mark(f"prompt {length}")
    program = engine.program
    return {
        "runs": runs,
        "planned_mib": memory_plan(program.buffers)["total"] / (1 << 20),
        "dispatches_per_token": len(program.step_for(1, 1).launches_for()),
        "submits_per_token": 1,
    }


def embedding_ms(engine: Embedder, length: int, batch: int, repeats: int) -> list[float]:
    """Of each call with texts of random tokens, after two to warm up."""
    found = []
    for _ in range(repeats + 2):
        texts = [Text([random.randrange(4, engine.program.vocab_size) for _ in range(length)]) for _ in range(batch)]
        start = time.perf_counter()
        driver.run(engine.embed(texts))
        found.append((time.perf_counter() - start) * 1e3)
    return found[2:]


def mark(name: str) -> None:
    print(f"mark {name}", flush=True)
    sys.stdin.readline()  # whoever watches has noted it


if __name__ == "__main__":
    main()
