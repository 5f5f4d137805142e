"""Measures a model in headless Chromium, through the built package: prefill, decode, time to first token, load, memory. One
JSON line.

usage: python bench/chromium.py MODEL.gguf --chrome PATH [--prompt 512] [--decode 128] [--repeats 5] [-- chromium flags ...]
Needs the web assets (make web). Host memory is the peak proportional set size of the browser's processes; GPU memory the rise
that nvidia-smi shows."""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fanlight.api.server import ASSETS, SecurityHeaders

PAGE = Path(__file__).parent / "page"
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu-watchdog",
    "--disable-renderer-backgrounding",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--chrome", default="chromium")
    parser.add_argument("--timeout", type=float, default=240, help="seconds")
    for name, value in (("prompt", 512), ("decode", 128), ("repeats", 5), ("context", 1024), ("vocab", 1000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments, _, flags = " ".join(sys.argv[1:]).partition(" -- ")
    options = parser.parse_args(arguments.split())
    print(json.dumps(asyncio.run(measure(options, flags.split()))))


async def in_page(page: str, jobs: bytes, chrome: str, flags: list[str], timeout: float) -> dict[str, Any]:
    """Opens one of bench/page's pages, which takes its work from /jobs, and waits for what it posts to /result."""
    result: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def give(request: Request) -> Response:
        return Response(jobs, media_type="application/json")

    async def take(request: Request) -> Response:
        result.set_result(await request.json())
        return Response()

    routes = [Route("/jobs", give), Route("/result", take, methods=["POST"]), Mount("/bench", StaticFiles(directory=PAGE))]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as profile:
        command = [
            chrome,
            *QUIET,
            f"--user-data-dir={profile}",
            *flags,
            f"http://127.0.0.1:{port}/bench/{page}?seconds={timeout - 5:.0f}",
        ]
        browser = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            return await asyncio.wait_for(result, timeout)
        except TimeoutError:
            return {"error": f"no result in {timeout} s"}
        finally:
            browser.kill()
            browser.wait()
            server.should_exit = True
            await serving


async def measure(options: argparse.Namespace, flags: list[str]) -> dict[str, Any]:
    result: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def take(request: Request) -> Response:
        result.set_result(await request.json())
        return Response()

    routes = [
        Route("/result", take, methods=["POST"]),
        Mount("/bench", StaticFiles(directory=PAGE)),
        Mount("/models", StaticFiles(directory=options.model.resolve().parent)),
        Mount("/", StaticFiles(directory=ASSETS)),
    ]
    server = uvicorn.Server(uvicorn.Config(SecurityHeaders(Starlette(routes=routes)), port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    numbers = {name: getattr(options, name) for name in ("prompt", "decode", "repeats", "context", "vocab")}
    query = urlencode({"model": f"/models/{options.model.name}", **numbers})
    before = gpu_mib()
    with tempfile.TemporaryDirectory() as profile, tempfile.TemporaryFile("w+") as log:
        command = [options.chrome, *QUIET, f"--user-data-dir={profile}", *flags]
        browser = subprocess.Popen([*command, f"http://127.0.0.1:{port}/bench/bench.html?{query}"], stderr=log)
        try:
            peak = {"host_mib": 0.0, "gpu_mib": 0.0}
            watching = asyncio.create_task(watch(browser.pid, before, peak))
            found = await asyncio.wait_for(result, options.timeout)
            watching.cancel()
        except TimeoutError:
            log.seek(0)
            found, peak = {"error": f"no result in {options.timeout} s", "log": log.read()[-3000:]}, {}
        finally:
            browser.kill()
            browser.wait()
            server.should_exit = True
            await serving
    return summary(options, found, peak)


def summary(options: argparse.Namespace, found: dict[str, Any], peak: dict[str, float]) -> dict[str, Any]:
    """Medians of the runs after the first, which warms up."""
    runs = found.pop("runs", [])[1:]
    names = ("ttft_ms", "prefill_tps", "decode_tps", "wall_ms")
    medians = {name: round(statistics.median(run[name] for run in runs), 2) for name in names} if runs else {}
    return {"model": options.model.name, "prompt": options.prompt, "decode": options.decode, **medians, **peak, **found}


async def watch(pid: int, gpu_before: float, peak: dict[str, float]) -> None:
    while True:
        peak["host_mib"] = max(peak["host_mib"], host_mib(pid))
        peak["gpu_mib"] = max(peak["gpu_mib"], await asyncio.to_thread(gpu_mib) - gpu_before)
        await asyncio.sleep(0.3)


def gpu_mib() -> float:
    """Memory in use on the first NVIDIA GPU, or 0."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])
    except (OSError, subprocess.CalledProcessError, IndexError):
        return 0.0


def host_mib(pid: int) -> float:
    """Proportional set size of a process and all below it."""
    total, waiting = 0, [pid]
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        try:
            total += next(
                int(x.split()[1]) for x in (process / "smaps_rollup").read_text().splitlines() if x.startswith("Pss:")
            )
            waiting += [
                int(child) for task in (process / "task").iterdir() for child in (task / "children").read_text().split()
            ]
        except (OSError, StopIteration):
            continue
    return round(total / 1024, 1)


if __name__ == "__main__":
    main()
