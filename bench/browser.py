"""One load of one model by one engine in headless Chromium: starts it with a profile, serves the page, waits for the result."""

import argparse
import json
import os
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.server import Server
from bench.watch import Nvml, Watch

HERE = Path(__file__).resolve().parent
ASSETS = HERE.parent / "fanlight" / "assets"
PEERS = HERE / "peers" / "vendor"
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-gpu-watchdog",
)
SHARED_MEMORY = 2 << 30  # bytes; with less of it, the browser uses files instead, which are slower
# What makes headless Chromium on Linux use a GPU at all, and an emulation where there is none.
GPU_FLAGS = {
    "vulkan": "--enable-unsafe-webgpu --ignore-gpu-blocklist --use-angle=vulkan --enable-features=Vulkan"
    " --disable-vulkan-surface",
    "plain": "--enable-unsafe-webgpu",  # macOS and Windows need no more
    "swiftshader": "--enable-unsafe-webgpu --use-webgpu-adapter=swiftshader",
}
MATRIX = "chromium-experimental-subgroup-matrix"
# What of the adapter the engines get to see. Dawn hides f16 on NVIDIA under Vulkan unless told; elsewhere users have it.
FEATURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "all": ("--enable-dawn-features=vulkan_enable_f16_on_nvidia", ()),
    "stock": ("--enable-dawn-features=vulkan_enable_f16_on_nvidia", (MATRIX,)),
    "no-f16": ("", (MATRIX, "shader-f16")),
}
GRACE_S = 10
BEGIN_S = 40  # within which the page must have begun


@dataclass(frozen=True, slots=True)
class Browser:
    path: str
    gpu: str = "vulkan"
    features: str = "all"
    flags: tuple[str, ...] = ()

    def command(self, profile: str) -> list[str]:
        flags = [*shlex.split(GPU_FLAGS[self.gpu]), *shlex.split(FEATURES[self.features][0]), *self.flags]
        return [self.path, *QUIET, *shared_memory_flags(), *flags, f"--user-data-dir={profile}"]


def shared_memory_flags() -> list[str]:
    try:
        found = os.statvfs("/dev/shm")
    except OSError:
        return ["--disable-dev-shm-usage"]
    return [] if found.f_bavail * found.f_frsize >= SHARED_MEMORY else ["--disable-dev-shm-usage"]


def add_browser_arguments(parser: argparse.ArgumentParser, chrome: str | None, **features: Any) -> None:
    parser.add_argument("--chrome", default=chrome, help="path of the browser (default: %(default)s)")
    parser.add_argument("--gpu", choices=GPU_FLAGS, default="vulkan", help="how it reaches an adapter (default: %(default)s)")
    parser.add_argument("--features", **features, help=f"of its adapter: {', '.join(FEATURES)} (default: all)")
    parser.add_argument("--flags", default="", help="more of its flags, in one string: --flags='--a --b'")


def browser_of(options: argparse.Namespace, features: str) -> Browser:
    return Browser(options.chrome, options.gpu, features, tuple(shlex.split(options.flags)))


@dataclass(slots=True)
class Outcome:
    """What the page posted."""

    has_begun: bool = False
    result: dict[str, Any] | None = None
    done: threading.Event = field(default_factory=threading.Event)


def run_in_browser(
    browser: Browser, models: Path, config: dict[str, Any], profile: str, port: int, nvml: Nvml, timeout: float
) -> dict[str, Any]:
    """The page's result with `marks`, peaks of memory by mark; where none came, `error`."""
    outcome = Outcome()
    hook = f"globalThis.BENCH_HIDDEN = {json.dumps(FEATURES[browser.features][1])};\n" + (HERE / "page/hook.js").read_text()
    folders = {"/bench/": HERE / "page", "/models/": models, "/peers/": PEERS, "/": ASSETS}
    before = {"/fanlight/worker.js": hook}
    watches: list[Watch] = []

    def on_post(path: str, body: bytes) -> str | None:
        if path == "/mark" and watches:
            outcome.has_begun = True
            watches[0].mark(body.decode())
        elif path == "/result":
            outcome.result = json.loads(body)
            outcome.done.set()
        return None

    with Server(folders, {"/bench/hook.js": hook}, before, on_post, port) as server, tempfile.TemporaryFile("w+") as log:
        gpu_before = nvml.used_mib()
        address = f"{server.url}/bench/index.html?config={quote(json.dumps(config))}"
        process = subprocess.Popen([*browser.command(profile), address], stderr=log, stdout=log, start_new_session=True)
        try:
            with Watch(process.pid, nvml, gpu_before) as watch:
                watches.append(watch)
                wait(process, outcome, timeout)
                watch.mark("end")
        finally:
            stop(process)
        found = outcome.result or {"error": why(outcome, timeout), "log": tail(log)}
        downloaded = sum(size for path, size in server.sent.items() if path.startswith("/models/"))
        return {**found, "marks": watches[0].marks, "downloaded_mib": downloaded / (1 << 20)}


def in_page(page: str, jobs: str, chrome: str, flags: Sequence[str], timeout: float) -> dict[str, Any]:
    """What one of bench/page's pages posts to /result, of work that it takes from /jobs."""
    outcome = Outcome(has_begun=True)

    def on_post(path: str, body: bytes) -> str | None:
        outcome.result = json.loads(body)
        outcome.done.set()
        return None

    with Server({"/bench/": HERE / "page"}, {"/jobs": jobs}, {}, on_post) as server, tempfile.TemporaryDirectory() as profile:
        address = f"{server.url}/bench/{page}?seconds={timeout - 5:.0f}"
        command = [chrome, *QUIET, f"--user-data-dir={profile}", *flags, address]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            wait(process, outcome, timeout)
        finally:
            stop(process)
    return outcome.result or {"error": why(outcome, timeout)}


def wait(process: subprocess.Popen, outcome: Outcome, timeout: float) -> None:
    start = time.monotonic()
    while not outcome.done.wait(0.1) and process.poll() is None:
        waited = time.monotonic() - start
        if waited > (timeout if outcome.has_begun else min(timeout, BEGIN_S)):
            return


def why(outcome: Outcome, timeout: float) -> str:
    return f"no result in {timeout:.0f} s, or the browser ended" if outcome.has_begun else "the browser never opened the page"


def tail(log: Any) -> str:
    log.seek(0)
    return log.read()[-3000:]


def stop(process: subprocess.Popen) -> None:
    """First asked, so that what the browser keeps gets written, then killed with all that it started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def installed_peers() -> Sequence[str]:
    return [name for name in ("wllama", "transformers") if (PEERS / name).is_dir()]
