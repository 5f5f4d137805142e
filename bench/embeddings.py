"""Measures embeddings: `python -m bench embeddings --only native,chromium,transformers --lengths 16,128,512 --batches 1,32`.

A random model of MiniLM's shape, natively, in a page, in Transformers.js beside it, and by any server with OpenAI's API that
has the model already (`--url llama.cpp=http://127.0.0.1:8080`). A case is one engine: it is loaded once, and each call embeds
`batch` texts of `length` tokens. Its rows go to the JSON lines file at once; one that fails is a row with its error."""

import argparse
import json
import random
import shlex
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.browser import add_browser_arguments, browser_of, installed_peers, run_in_browser
from bench.machine import ROOT, machine, now, versions
from bench.make import gguf_of, onnx_of
from bench.native import run_natively
from bench.report import table
from bench.server import free_port
from bench.shapes import ENCODERS
from bench.watch import Nvml

ENGINES = ("native", "chromium", "transformers")
MODULES = {"chromium": "fanlight", "transformers": "embed_transformers"}  # of bench/page
COLUMNS = (
    ("engine", "engine", ""),
    ("model", "model", ""),
    ("tokens", "length", "d"),
    ("batch", "batch", "d"),
    ("ms a call", "ms", ",.2f"),
    ("texts/s", "texts_per_s", ",.1f"),
    ("tokens/s", "tokens_per_s", ",.0f"),
    ("load s", "load_ms", "s"),
)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    nvml = Nvml()
    about = {
        "date": now(),
        "command": f"python -m bench embeddings {shlex.join(arguments)}",
        "machine": machine(nvml),
        "versions": versions(options.chrome),
    }
    rows = []
    for engine in (*options.only, *options.url):
        print(f"{engine} {options.model}", file=sys.stderr)
        for row in rows_of(engine, options, nvml):
            rows.append({"engine": engine, "model": options.model, **row, **about})
            with options.out.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    print(table(rows, COLUMNS))
    return int(all("error" in row for row in rows))


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench embeddings", description=__doc__.splitlines()[0])
    numbers = lambda text: tuple(int(x) for x in text.split(","))  # noqa: E731
    words = lambda text: tuple(filter(None, text.split(",")))  # noqa: E731
    servers = lambda text: tuple(text.partition("=")[::2])  # noqa: E731
    parser.add_argument("--only", type=words, default=ENGINES, help=f"engines (default: {','.join(ENGINES)})")
    parser.add_argument("--url", type=servers, action="append", default=[], metavar="NAME=URL", help="a server to measure too")
    parser.add_argument("--model", default="minilm:F16", help=f"{' or '.join(ENCODERS)}, and its format (default: %(default)s)")
    parser.add_argument("--lengths", type=numbers, default=(16, 128, 512), help="tokens of a text (default: 16,128,512)")
    parser.add_argument("--batches", type=numbers, default=(1, 32), help="texts of a call (default: 1,32)")
    parser.add_argument("--repeats", type=int, default=7, help="calls of each kind, after two to warm up")
    add_browser_arguments(parser, "chromium", default="all")
    parser.add_argument("--work", type=Path, default=ROOT / "bench" / "work", help="folder of models and profiles")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / f"embeddings-{now()[:10]}.jsonl")
    parser.add_argument("--timeout", type=float, default=180, help="seconds for one engine")
    options = parser.parse_args(arguments)
    options.url = dict(options.url)
    shape, _, format = options.model.partition(":")
    if wrong := {*options.only} - {*ENGINES}:
        parser.error(f"no such engine: {', '.join(sorted(wrong))}; there are {', '.join(ENGINES)}, and --url")
    if shape not in ENCODERS or format not in ("F16", "Q8_0"):
        parser.error(f"no such model: {options.model}; there are {', '.join(ENCODERS)}, each :F16 or :Q8_0")
    if (longest := max(options.lengths)) > ENCODERS[shape].positions or min(options.lengths) < 3:
        parser.error(f"a text of {longest} tokens; from 3 to {ENCODERS[shape].positions} can be read")
    return options


# --- one engine ------------------------------------------------------------------------------------------------------
def rows_of(engine: str, options: argparse.Namespace, nvml: Nvml) -> Iterator[dict[str, Any]]:
    try:
        found = measured(engine, options, nvml)
    except Exception as error:  # the other engines go on
        found = {"error": f"{type(error).__name__}: {error}"}
    if "error" in found:
        yield {k: found[k] for k in ("error", "hint", "log", "stack") if found.get(k)}
        return
    for call in found["calls"]:
        ms = statistics.median(call["ms"])
        rates = {"texts_per_s": call["batch"] / ms * 1e3, "tokens_per_s": call["batch"] * call["length"] / ms * 1e3}
        facts = {name: found.get(name) for name in ("load_ms", "adapter", "about", "dimensions")}
        yield {"length": call["length"], "batch": call["batch"], "ms": ms, **rates, **facts, "runs": call["ms"]}


def measured(engine: str, options: argparse.Namespace, nvml: Nvml) -> dict[str, Any]:
    """calls: length, batch and the milliseconds of each repetition."""
    shape, _, format = options.model.partition(":")
    calls = [{"length": length, "batch": batch} for length in options.lengths for batch in options.batches]
    config: dict[str, Any] = {"calls": calls, "repeats": options.repeats, "words": ENCODERS[shape].vocab - 4}
    config |= {"context": ENCODERS[shape].positions, "loadOnly": False, "stream": False}
    if engine in options.url:
        return ask(options.url[engine].rstrip("/"), config)
    if engine == "transformers" and engine not in installed_peers():
        return {"error": "transformers is not installed: bench/peers/fetch.sh"}
    model = model_file(engine, shape, format, options.work)
    if engine == "native":
        return run_natively({**config, "model": str(model)}, nvml, options.timeout)
    config |= {"engine": MODULES[engine], "model": f"/models/{model.name}"}
    with tempfile.TemporaryDirectory(dir=options.work, ignore_cleanup_errors=True) as profile:
        browser = browser_of(options, options.features)
        found = run_in_browser(browser, model.parent, config, profile, free_port(), nvml, options.timeout)
    if found.get("adapter", {}).get("isFallbackAdapter") and options.gpu != "swiftshader":
        return {"error": f"the browser emulates a GPU: {found['adapter']}"}
    return found


def ask(url: str, config: dict[str, Any]) -> dict[str, Any]:
    """Of a server that runs the same file: texts over HTTP, vectors back as base64."""
    from bench.random_encoder import word

    def call(length: int, batch: int) -> float:
        texts = [" ".join(word(random.randrange(config["words"])) for _ in range(length - 2)) for _ in range(batch)]
        body = json.dumps({"input": texts, "model": "any", "encoding_format": "base64"}).encode()
        request = urllib.request.Request(f"{url}/v1/embeddings", body, {"Content-Type": "application/json"})
        start = time.perf_counter()
        with urllib.request.urlopen(request, timeout=120) as response:
            answer = json.loads(response.read())
        took = (time.perf_counter() - start) * 1e3
        used = answer["usage"]["prompt_tokens"]
        if len(answer["data"]) != batch or used != batch * length:
            raise ValueError(f"{len(answer['data'])} vectors of {used} tokens, expected {batch} of {batch * length}")
        return took

    for each in config["calls"]:
        each["ms"] = [call(each["length"], each["batch"]) for _ in range(config["repeats"] + 2)][2:]
    return {"calls": config["calls"]}


def model_file(engine: str, shape: str, format: str, work: Path) -> Path:
    if engine == "transformers":
        from bench.random_encoder_onnx import write_random_encoder_onnx

        return onnx_of(shape, work, write_random_encoder_onnx)
    from bench.random_encoder import write_random_encoder

    return gguf_of(shape, format, work, write_random_encoder)
