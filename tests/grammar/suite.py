"""JSON-Schema-Test-Suite, as the sources of PyPI's `jsonschema` carry it: schemas, and documents that are valid or not.

They are downloaded once and kept where tests/real keeps its model."""

import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.real.model import download, folder_of_models

PACKAGE = "jsonschema==4.26.0"  # MIT; the suite too
SHA256 = "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326"
TESTS = "jsonschema-4.26.0/json/tests/"


@dataclass(frozen=True, slots=True)
class Group:
    """A schema and what it says of documents. `file` is the suite's, as "anyOf" or "optional/format/date"."""

    file: str
    name: str
    schema: Any
    documents: tuple[tuple[str, Any, bool], ...]  # what it is, the document, whether it is valid


def archive() -> Path:
    """Raises CannotDownload; any other fault is one of the file."""
    folder = folder_of_models()
    path = folder / f"{PACKAGE.replace('==', '-')}.tar.gz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            os.replace(download(Path(temporary), PACKAGE, sources=True), path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{path} is not the file of {PACKAGE}: SHA-256 {found}, expected {SHA256}. Delete it")
    return path


def groups(path: Path, draft: str) -> Iterator[Group]:
    """Those of one draft, as "draft2020-12", the optional ones among them."""
    with tarfile.open(path) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            if member.name.startswith(f"{TESTS}{draft}/") and member.name.endswith(".json"):
                file = member.name.removeprefix(f"{TESTS}{draft}/").removesuffix(".json")
                held = tar.extractfile(member)
                assert held
                for group in json.load(held):
                    documents = tuple((t["description"], t["data"], t["valid"]) for t in group["tests"])
                    yield Group(file, group["description"], group["schema"], documents)
