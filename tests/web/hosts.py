"""Pythons that others boot in a page, made of packages alone: our wheels, a Pyodide with the wheels of its own list, PyScript,
JupyterLite, marimo.  Nothing is asked of a network when a page runs."""

import email
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
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[2]
PYODIDE = ROOT / "web" / "node_modules" / "pyodide"
PLATFORM = "pyemscripten_2026_0_wasm32"  # Pyodide 314
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


def pyodide_with(folder: Path, names: Iterable[str], runtime: Path = PYODIDE, added: Iterable[Path] = ()) -> Path:
    """A Pyodide that finds these packages, and what they need, beside itself. Its list names wheels that its makers built; here
    are those of the package index, of the same versions, and the wheels `added`, which its list lacks or has too old."""
    there = folder / "pyodide"
    there.mkdir()
    for path in runtime.glob("py*"):
        if path.suffix in (".mjs", ".js", ".wasm", ".zip"):
            shutil.copy2(path, there)
    lock = json.loads((runtime / "pyodide-lock.json").read_text())
    ours = {canonicalize_name(parse_wheel_filename(wheel.name)[0]): wheel for wheel in added}
    listed = lock["packages"] | {name: entry_of(wheel) for name, wheel in ours.items()}
    packages = {name: listed[name] for name in closure(listed, [*names, *ours])}
    for name, entry in packages.items():
        if name in HALF:
            wheel = pure_wheel(name, there)
        else:
            wheel = ours[name] if name in ours else wheel_of(f"{name}=={entry['version']}")
            shutil.copy2(wheel, there)
        entry |= {"file_name": wheel.name, "sha256": sha256(wheel)}
    (there / "pyodide-lock.json").write_text(json.dumps({**lock, "packages": packages}))
    return there


def needs(wheel: Path) -> list[Requirement]:
    """What a wheel wants to have beside it in Pyodide."""
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        lines = email.message_from_bytes(packed.read(name)).get_all("Requires-Dist", [])
    there = {"sys_platform": "emscripten", "python_version": "3.14", "python_full_version": "3.14.0", "extra": ""}
    found = [Requirement(line) for line in lines]
    return [each for each in found if each.marker is None or each.marker.evaluate(there)]


def entry_of(wheel: Path) -> dict[str, Any]:
    """What Pyodide's list would say of it."""
    name, version, *_ = parse_wheel_filename(wheel.name)
    depends = [canonicalize_name(each.name) for each in needs(wheel)]
    kind = {"package_type": "package", "install_dir": "site", "unvendored_tests": False}
    return {"name": name, "version": str(version), "imports": [], "depends": depends, **kind}


HALF = ("markupsafe", "pyyaml")  # compiled, but for what works without


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


def downloaded(wanted: str) -> None:
    """Keeps a wheel of the package index, for a Pyodide; skips where it cannot be had."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with open(KEPT / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = KEPT / "done.json"
        have = set(json.loads(done.read_text())) if done.is_file() else set()
        if wanted not in have:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(KEPT)]
            pip += ["--platform", PLATFORM, "--python-version", "3.14", "--implementation", "cp"]
            tried = subprocess.run([*pip, wanted], capture_output=True, text=True)
            if tried.returncode:
                pytest.skip(f"the package index gives no {wanted}: {tried.stderr.strip()[-300:]}")
            done.write_text(json.dumps(sorted(have | {wanted})))


def wheel_of(wanted: str) -> Path:
    """The newest that is kept and fits a requirement."""
    downloaded(wanted)
    needed = Requirement(wanted)
    kept = [(*parse_wheel_filename(wheel.name)[:2], wheel) for wheel in KEPT.glob("*.whl")]
    named = [(version, wheel) for name, version, wheel in kept if name == canonicalize_name(needed.name)]
    return max(each for each in named if each[0] in needed.specifier)[1]
