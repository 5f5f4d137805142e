"""npm packages for tests: what a lock file names, installed once and kept; and this package as those get it who install it."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
KEPT = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fanlight" / "npm"


def without_ours(text: str) -> dict[str, Any]:
    """An example's package.json or lock without this package, which is put there by itself."""
    found = json.loads(text)
    packages = found.get("packages", {})
    packages.pop("node_modules/fanlight", None)
    packages.get("", found).get("dependencies", {}).pop("fanlight", None)
    return found


def installed(folder: Path) -> Path:
    """The node_modules of the folder's package-lock.json."""
    texts = {name: json.dumps(without_ours((folder / name).read_text())) for name in ("package.json", "package-lock.json")}
    there = KEPT / hashlib.sha256(texts["package-lock.json"].encode()).hexdigest()[:16]
    there.mkdir(parents=True, exist_ok=True)
    with open(there / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (there / "done").exists():
            for name, text in texts.items():
                (there / name).write_text(text)
            # Not `npm ci`: it fails where a registry lacks an optional package of another platform.
            run("npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", folder=there)
            (there / "done").touch()
    return there / "node_modules"


def run(*command: str | Path, folder: Path, timeout_s: float = 280) -> str:
    """What it prints, or a failed test that shows it."""
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s, env=quiet()
    )
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout[-8000:]}", pytrace=False)
    return done.stdout


def quiet() -> dict[str, str]:
    """An environment in which tools ask nobody and tell nobody."""
    return {**os.environ, "CI": "1", "NO_COLOR": "1", "NEXT_TELEMETRY_DISABLED": "1", "PARCEL_WORKERS": "0"}


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `npm publish` would send, of what is built."""
    if not (WEB / "dist" / "index.js").is_file():
        pytest.fail("the package is not built. Try: python scripts/build_web.py")
    folder = tmp_path_factory.mktemp("packed")
    run("npm", "pack", "--ignore-scripts", "--pack-destination", folder, folder=WEB)  # the script before it builds
    return next(folder.glob("*.tgz"))


@pytest.fixture(scope="session")
def package(tarball: Path) -> Path:
    """Its files, in a folder of their own."""
    run("tar", "-xzf", tarball, folder=tarball.parent)
    return tarball.parent / "package"


Project = Callable[[Path], Path]


@pytest.fixture
def project(package: Path, tmp_path: Path) -> Project:
    """A copy of a folder with a package.json, with the packages that it needs, and this one."""

    def copy(folder: Path) -> Path:
        there = tmp_path / folder.name
        shutil.copytree(folder, there, ignore=shutil.ignore_patterns("node_modules", "dist"))
        modules = there / "node_modules"
        if (folder / "package-lock.json").is_file():
            shutil.copytree(installed(folder), modules, copy_function=link, symlinks=True)
        shutil.copytree(package, modules / "fanlight", copy_function=link)
        return there

    return copy


def link(source: str, target: str) -> None:
    """The same bytes, not again on the disk where that can be."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)
