"""The page with a stub for the engine (stub_engine.py): fixtures, and how a test loads its model."""

import random
import struct
import subprocess
from pathlib import Path

import pytest

from tests.web.programs import hash_words
from tests.web.stub_engine import stubbed_sources

ROOT = Path(__file__).resolve().parents[2]
NUM_WORDS = 2_500_000  # 10 MB: several windows, several blocks of a URL


@pytest.fixture(scope="session")
def stubbed_model() -> tuple[bytes, int]:
    """A file that the stub engine takes, and the hash of its weights."""
    data = random.Random(7).randbytes(4 * NUM_WORDS)
    return struct.pack("<4sIH", b"tiny", NUM_WORDS, 0) + data, hash_words(list(struct.unpack(f"<{NUM_WORDS}I", data)))


@pytest.fixture(scope="session")
def python_files(assets, tmp_path_factory):
    """The files that Python boots from, with the stub in place of the engine."""
    folder = tmp_path_factory.mktemp("stub")
    sources, snapshot = folder / "sources.gz", folder / "snapshot.gz"
    sources.write_bytes(stubbed_sources((assets / "fanlight" / "python-sources.json.gz").read_bytes()))
    subprocess.run(["node", "snapshot.mjs", str(sources), str(snapshot)], cwd=ROOT / "web", check=True, stdout=subprocess.PIPE)
    return {
        "/fanlight/python-sources.json.gz": sources.read_bytes(),
        "/fanlight/snapshot.bin.gz": snapshot.read_bytes(),
    }


@pytest.fixture
def stubbed(site, page, stubbed_model, python_files):
    """`page`, where the engine is the stub's; at /m/model.gguf is its model."""
    site.served.files.update(python_files)
    site.served.files["/m/model.gguf"] = stubbed_model[0]
    page.evaluate("async () => { globalThis.fanlight = await import('/fanlight/index.js'); }")
    return page


LOAD = """async ([model, options]) => {
  const progress = [];
  try {
    const engine = await fanlight.load(model, { ...options, onProgress: (p) => progress.push(p) });
    globalThis.engine = engine;
    return { info: engine.info, progress, stored: await fanlight.listModels() };
  } catch (error) {
    const { name, message, where, hint, param } = error;
    const isClass = fanlight[name] !== undefined && error instanceof fanlight[name];
    return { error: { name, message, where, hint, param, isClass }, progress };
  }
}"""


def load(page, model="/m/model.gguf", **options):
    return page.evaluate(LOAD, [model, options])


def model_requests(site):
    return [asked for path, asked in site.served.requests if path == "/m/model.gguf"]
