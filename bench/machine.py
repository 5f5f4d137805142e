"""What a row must say besides its numbers: machine, versions, commit, date."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from bench.watch import Nvml
from fanlight import __version__

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench/peers/vendor/PEERS.txt"  # bench/peers/fetch.sh


def machine(nvml: Nvml) -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / (1 << 30)),
        "gpu": ", ".join(nvml.names()) or "none",
        "driver": nvml.driver(),
        "system": platform.platform(),
    }


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions(chrome: str | None) -> dict[str, str]:
    found = {"python": platform.python_version(), "fanlight": __version__, "commit": commit()}
    try:
        found["wgpu"] = importlib.metadata.version("wgpu")
    except importlib.metadata.PackageNotFoundError:
        pass
    peers = PEERS.read_text().splitlines() if PEERS.is_file() else []
    found |= dict(line.rsplit(" ", 1) for line in peers)
    return found | ({"browser": first_line(chrome, "--version")} if chrome else {})


def commit() -> str:
    """Of the checkout; a copy, whose git may know older ones only, has it in the file COMMIT."""
    noted = ROOT / "COMMIT"
    if noted.is_file():
        return noted.read_text().strip()
    return first_line("git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD")


def first_line(*command: str) -> str:
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.strip().partition("\n")[0]


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
