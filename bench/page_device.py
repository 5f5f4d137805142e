"""A Device that is a page in headless Chromium: programs compiled here run on the page's GPU, through the package's replayer.

So profiles and comparisons see what the browser's compiler makes of a kernel. The page asks for commands, one at a time, and
answers each with its result (bench/page/device.js). A command waits for the page; what is queued on the GPU does not."""

import argparse
import base64
import json
import queue
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from bench.browser import ASSETS, FEATURES, HERE, Browser, add_browser_arguments, browser_of, stop
from bench.server import Server
from fanlight.compiler.program import Limits, Program
from fanlight.errors import DeviceError
from fanlight.formats.source import Source
from fanlight.runtime import open_device
from fanlight.runtime.device import AdapterInfo, Device, LaunchTime, OnLoad
from fanlight.settings import settings

EXACT_CLOCK = ("--enable-webgpu-developer-features", "--disable-dawn-features=timestamp_quantization")
BEGIN_S, COMMAND_S = 60, 300


class PageDevice:
    """Starts a browser of its own; `close` ends it."""

    def __init__(self, browser: Browser) -> None:
        self._commands: queue.Queue[dict[str, Any]] = queue.Queue()
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        hidden = f"globalThis.BENCH_HIDDEN = {json.dumps(FEATURES[browser.features][1])};\n"
        hook = hidden + (HERE / "page/hook.js").read_text()
        folders = {"/bench/": HERE / "page", "/": ASSETS}
        self._server = Server(folders, {"/bench/hook.js": hook}, {}, self._on_post).__enter__()
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = [*browser.command(self._profile.name), *EXACT_CLOCK, f"{self._server.url}/bench/device.html"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            found = self._answer(BEGIN_S)
        except DeviceError:
            self.close()
            raise
        self.info = AdapterInfo(**found["info"])
        limits = {f.name: found["limits"][camel(f.name)] for f in fields(Limits) if camel(f.name) in found["limits"]}
        self.limits = Limits(**limits, features=frozenset(found["features"]))

    def _on_post(self, path: str, body: bytes) -> str:
        """The page brings an answer and waits for the next command."""
        self._answers.put(json.loads(body))
        return json.dumps(self._commands.get())

    def _ask(self, kind: str, **arguments: Any) -> Any:
        self._commands.put({"kind": kind, **arguments})
        return self._answer(COMMAND_S)

    def _answer(self, seconds: float) -> Any:
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise DeviceError(f"the page did not answer in {seconds} s", hint="--gpu, --chrome") from None
        if "error" in answer:
            raise DeviceError(f"in the page: {answer['error']}")
        return answer["value"]

    # --- Device ------------------------------------------------------------------------------------------------------
    async def prepare(self, program: Program, wait: bool = True) -> None:
        self._ask("prepare", program=program.to_json())

    async def prepared(self) -> None:
        """Nothing is left for later."""

    async def load(self, sources: Sequence[Source], on_load: OnLoad) -> None:
        paths = [Path(source.name).resolve() for source in sources]
        places = {f"/source/{i}/": path.parent for i, path in enumerate(paths)}
        self._server.folders = places | dict(self._server.folders)
        files = [{"name": p.name, "url": f"/source/{i}/{p.name}", "size": p.stat().st_size} for i, p in enumerate(paths)]
        self._ask("load", files=files)
        on_load(1, 1)

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        self._ask("write", buffer=buffer, offset=offset, data=base64.b64encode(data).decode())

    def clear(self, buffer: str, offset: int, size: int) -> None:
        self._ask("clear", buffer=buffer, offset=offset, size=size)

    def submit(self, step: str, inputs: bytes, count: int = 1) -> int:
        return self._ask("submit", step=step, inputs=base64.b64encode(inputs).decode(), count=count)

    async def result(self, ticket: int) -> list[int]:
        return self._ask("result", ticket=ticket)

    async def read(self, buffer: str, offset: int, size: int) -> bytes:
        return base64.b64decode(self._ask("read", buffer=buffer, offset=offset, size=size))

    async def timings(self, step: str, inputs: bytes) -> list[LaunchTime]:
        times = self._ask("timings", step=step, inputs=base64.b64encode(inputs).decode())
        return [LaunchTime(**time) for time in times]

    def close(self) -> None:
        self._commands.put({"kind": "close"})
        stop(self._process)
        self._server.__exit__()
        self._profile.cleanup()

    # --- more --------------------------------------------------------------------------------------------------------
    def steps(self, step: str, inputs: bytes, together: int, count: int, most: int) -> float:
        """Microseconds of one of `count` steps that follow each other as in decoding, so many in each of at most so many
        submits in flight."""
        text = base64.b64encode(inputs).decode()
        return self._ask("steps", step=step, inputs=text, together=together, count=count, most=most)

    def stream_gbps(self) -> float | None:
        return self._ask("stream")


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Natively, unless a browser is named."""
    add_browser_arguments(parser, None, choices=FEATURES, default="all")


def open_chosen_device(options: argparse.Namespace) -> Device:
    return PageDevice(browser_of(options, options.features)) if options.chrome else open_device(settings().device)


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
