"""Builds the JavaScript package and the web assets: web/dist, then fanlight/assets (what `fanlight serve` and the wheel carry).

usage: python scripts/build_web.py [--if-stale]
Needs Node >= 20 with npm, and Jinja2 importable by this Python: its sources, and MarkupSafe's, are packed for the browser."""

import argparse
import gzip
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
DIST = WEB / "dist"
PAGE = WEB / "build" / "page"
ASSETS = ROOT / "fanlight" / "assets"

# Of our package, what our page never loads: what is native only, and what a Python that somebody else booted asks.
NATIVE_ONLY = ("cli/", "assets/", "__main__.py", "runtime/native.py", "formats/resolve.py", "formats/hub", "api/server.py")
NATIVE_ONLY += ("formats/catalogue.", "formats/footprint.py", "formats/quantize.py")
OTHER_HOSTS = ("api/python.py", "api/native.py", "api/browser.py", "runtime/javascript.py", "runtime/worker_replay.py")
BROWSER_FILES = {".py", ".wgsl", ".json", ".jinja", ".txt"}
VERSION_FILE = "version.txt"
PARTS = ("", "src", "src/webllm", "src/prompt-api", "demo", "demo/words")
FOLDERS = [WEB / part for part in PARTS]  # of what is bundled
# By the page's service worker: models are stored elsewhere, licences are not shown, few PDF files need an encoding.
NOT_KEPT = {".gguf", ".br", ".txt", ".bcmap", ""}
# Of Python's library, what nothing of ours asks for: tests, debuggers, servers, mail, processes, twins of modules in C.
NOT_IN_A_PAGE = (
    "_pydatetime.py", "_pyio.py", "bdb.py", "concurrent/futures/process.py", "doctest.py", "http/cookiejar.py",
    "http/server.py", "imaplib.py", "logging/config.py", "logging/handlers.py", "mailbox.py", "multiprocessing/",
    "optparse.py", "pdb.py", "pickletools.py", "pydoc.py", "pydoc_data/", "smtplib.py", "sqlite3/", "tarfile.py",
    "unittest/", "xml/dom/", "xml/sax/", "xmlrpc/",
)  # fmt: skip
PACKAGES = ("@huggingface/tokenizers", "hash-wasm", "idb", "marked", "dompurify")
PACKAGES += ("highlight.js", "katex", "@fontsource/stix-two-math", "minisearch", "pdfjs-dist")  # of the page's
PACKED = ("jinja2", "markupsafe")
BUILT_IN_MODEL = ROOT / "fanlight" / "builtin" / "model.gguf"
CATALOGUE = ROOT / "fanlight" / "formats" / "catalogue.json"


def python_sources() -> dict[str, str]:
    """Path to text of every file that the browser's Python may import or read."""
    sources: dict[str, str] = {}
    folders = {"fanlight": ROOT / "fanlight"}
    for name in PACKED:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit(f"build_web: this Python has no {name}. Try: pip install jinja2")
        folders[name] = Path(spec.submodule_search_locations[0])
    for name, folder in folders.items():
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder).as_posix()
            if path.suffix not in BROWSER_FILES or "__pycache__" in path.parts:
                continue
            if name == "fanlight" and inside.startswith((*NATIVE_ONLY, *OTHER_HOSTS)):
                continue
            sources[f"{name}/{inside}"] = path.read_text(encoding="utf-8")
    return sources


def packed_library(path: Path) -> bytes:
    """Pyodide's python_stdlib.zip without NOT_IN_A_PAGE, stored, so that all of it compresses together."""
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as library, zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as small:
        for entry in library.infolist():
            if not entry.filename.startswith(NOT_IN_A_PAGE):
                small.writestr(zipfile.ZipInfo(entry.filename, entry.date_time), library.read(entry))
    return packed.getvalue()


def packed_sources() -> bytes:
    return json.dumps(python_sources()).encode()


def run(*command: str, version: str = "dev") -> None:
    environment = {**os.environ, "FANLIGHT_BUILD": version}
    finished = subprocess.run(command, cwd=WEB, env=environment)
    if finished.returncode:
        raise SystemExit(f"build_web: '{' '.join(command)}' failed with status {finished.returncode}")


def install_packages() -> None:
    """npm ci, unless node_modules already is what package-lock.json says."""
    lock = (WEB / "package-lock.json").read_bytes()
    stamp = WEB / "node_modules" / ".fanlight-lock"
    digest = hashlib.sha256(lock).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    run("npm", "ci", "--no-audit", "--no-fund")
    stamp.write_text(digest)


def build_version(packed: bytes) -> str:
    """Changes with every input of the build: browsers may keep files of one version for ever."""
    digest = hashlib.sha256(packed)
    sources = [path for folder in FOLDERS for path in sorted(folder.glob("*.*"))]
    for path in [*sources, BUILT_IN_MODEL, CATALOGUE]:
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:16]


def build() -> None:
    if shutil.which("npm") is None:
        raise SystemExit(
            "build_web: the web build needs Node >= 20 with npm, and there is none. Try: apt-get install nodejs npm"
        )
    install_packages()
    packed = packed_sources()
    version = build_version(packed)
    for folder in (DIST, PAGE):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    (DIST / VERSION_FILE).write_text(version)
    (DIST / "python-sources.json.gz").write_bytes(gzip.compress(packed, 9, mtime=0))
    library = packed_library(WEB / "node_modules" / "pyodide" / "python_stdlib.zip")
    (DIST / "python_stdlib.zip.gz").write_bytes(gzip.compress(library, 9, mtime=0))
    run("npx", "tsc", "-p", "tsconfig.json", "--emitDeclarationOnly")
    if (WEB / "demo" / "tsconfig.json").is_file():
        run("npx", "tsc", "-p", "demo/tsconfig.json")
    run("node", "build.mjs", version=version)
    run("node", "snapshot.mjs")
    run("node", "encode.mjs")
    copy_licenses()
    if BUILT_IN_MODEL.is_file():
        shutil.copyfile(BUILT_IN_MODEL, DIST / "built-in.gguf")


def copy_licenses() -> None:
    """The texts of what the package carries: of npm packages, and of Python ones."""
    folder = DIST / "licenses"
    folder.mkdir()
    shutil.copyfile(WEB / "NOTICE", DIST / "NOTICE")
    python = Path(os.__file__).parent / "LICENSE.txt"
    for source, name in ((ROOT / "LICENSE", "fanlight.txt"), (python, "python.txt")):
        if source.is_file():
            shutil.copyfile(source, folder / name)
    for name in PACKAGES:
        for path in sorted((WEB / "node_modules" / name).glob("LICENSE*")):
            shutil.copyfile(path, folder / f"{name.replace('/', '-')}-{path.stem}.txt")
    for name in PACKED:
        for entry in importlib.metadata.files(name) or ():
            if entry.name.startswith("LICENSE"):
                shutil.copyfile(entry.locate(), folder / f"{name}-{Path(entry.name).stem}.txt")


def copy_assets() -> None:
    """The chat page, the package it uses under fanlight/, and files.json: the list of them, which the service worker keeps."""
    shutil.rmtree(ASSETS, ignore_errors=True)
    shutil.copytree(PAGE, ASSETS, ignore=shutil.ignore_patterns("*.map"))
    shutil.copytree(DIST, ASSETS / "fanlight", ignore=shutil.ignore_patterns("types", "*.map"))
    names = sorted(path.relative_to(ASSETS).as_posix() for path in ASSETS.rglob("*") if path.is_file())
    kept = [name for name in names if Path(name).suffix not in NOT_KEPT and name != "service-worker.js"]
    (ASSETS / "files.json").write_text(json.dumps(kept))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--if-stale", action="store_true", help="do nothing when fanlight/assets is what the sources say")
    options = parser.parse_args()
    built = ASSETS / "fanlight" / VERSION_FILE
    if options.if_stale and built.is_file() and built.read_text() == build_version(packed_sources()):
        return
    build()
    copy_assets()
    size = sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file())
    print(f"fanlight/assets: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
