"""Pythons that others boot in a page, made of packages alone: our wheels, a Pyodide with the wheels of its own list, PyScript,
JupyterLite.  Nothing is asked of a network when a page runs."""

import fcntl
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYODIDE = ROOT / "web" / "node_modules" / "pyodide"
KEPT = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fanlight" / "pyodide"


def build_wheel(folder: Path, kind: str = "") -> Path:
    """Ours: `browser`, or the one for everywhere."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel: pip install hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "FANLIGHT_WHEEL": kind}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def pure_wheel(name: str, folder: Path) -> Path:
    """A wheel of an installed package's Python alone: of markupsafe, whose other half is made for this machine."""
    found = importlib.metadata.distribution(name)
    (package,) = {file.parts[0] for file in found.files or () if file.suffix == ".py" and not file.parts[0].startswith("_")}
    stem = f"{name.replace('-', '_').lower()}-{found.version}"
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(Path(str(found.locate_file(package))).rglob("*.py")):
            packed.write(path, f"{package}/{path.relative_to(str(found.locate_file(package))).as_posix()}")
        packed.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {found.version}\n")
        packed.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{stem}.dist-info/RECORD", "")
    return wheel


def pyodide_with(folder: Path, names: Iterable[str]) -> Path:
    """A Pyodide that finds these packages, and what they need, beside itself. Its list names wheels that its makers built; here
    are those of the package index, of the same versions."""
    there = folder / "pyodide"
    there.mkdir()
    for path in PYODIDE.glob("py*"):
        if path.suffix in (".mjs", ".js", ".wasm", ".zip"):
            shutil.copy2(path, there)
    lock = json.loads((PYODIDE / "pyodide-lock.json").read_text())
    packages = {name: lock["packages"][name] for name in closure(lock["packages"], names)}
    wanted = {f"{name}=={entry['version']}" for name, entry in packages.items() if name not in HALF}
    wheels = [*downloaded(wanted), *(pure_wheel(name, there) for name in packages if name in HALF)]
    for name, entry in packages.items():
        stem = name.replace("-", "_")
        start = f"{stem}-" if name in HALF else f"{stem}-{entry['version']}-"
        (wheel,) = (wheel for wheel in wheels if wheel.name.lower().startswith(start))
        entry |= {"file_name": wheel.name, "sha256": sha256(wheel)}
    for wheel in wheels:
        if wheel.parent != there and any(entry["file_name"] == wheel.name for entry in packages.values()):
            shutil.copy2(wheel, there)
    (there / "pyodide-lock.json").write_text(json.dumps({**lock, "packages": packages}))
    return there


HALF = ("markupsafe",)  # compiled, but for what works without


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def closure(packages: dict[str, Any], names: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name not in found:
            found[name] = None
            waiting += packages[name]["depends"]
    return list(found)


def downloaded(wanted: set[str]) -> list[Path]:
    """Wheels of the package index, kept; skips where they cannot be had."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with open(KEPT / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = KEPT / "done.json"
        have = set(json.loads(done.read_text())) if done.is_file() else set()
        if missing := sorted(wanted - have):
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--ignore-requires-python"]
            tried = subprocess.run([*pip, "--only-binary=:all:", "-d", str(KEPT), *missing], capture_output=True, text=True)
            if tried.returncode:
                pytest.skip(f"the package index gives no {', '.join(missing)}: {tried.stderr.strip()[-300:]}")
            done.write_text(json.dumps(sorted(have | wanted)))
    return sorted(KEPT.glob("*.whl"))


def wheel_of(name: str) -> Path:
    """The newest that is kept."""
    return [wheel for wheel in downloaded({name}) if wheel.name.lower().startswith(f"{name}-")][-1]
