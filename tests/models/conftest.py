"""How these tests get a model's numbers: files on disk to an engine on a device, then logits and greedy ids.

FANLIGHT_DEVICE=reference runs the same Programs in NumPy, where the native adapter is in doubt; FANLIGHT_CHECK=2 stops at
the first launch that differs from NumPy; FANLIGHT_ADAPTER=file.json uses no more of the adapter than the file says."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.engine.load import load_engine
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.runtime import open_device, read_limits
from fanlight.runtime.device import Device
from fanlight.settings import settings

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # `scripts.golden`, which is no part of the package


@dataclass(frozen=True, slots=True)
class Options:
    context_length: int | None
    max_num_seqs: int = 1
    kv_dtype: str = "f32"
    activations: str = "f32"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    engine: Engine
    device: Device

    def greedy(self, token_ids: list[int], count: int) -> list[int]:
        sequence = self.engine.submit(token_ids, SamplingParams(temperature=0, max_tokens=count, ignore_eos=True))
        generated: list[int] = []
        while len(generated) < count:
            run(self.engine.wait([sequence]))
            generated += sequence.take()
        return generated

    def logits_of(self, token_ids: list[int], positions: list[int]) -> np.ndarray:
        """f32 [positions, V]: after the prompt up to and with each position."""
        return np.stack([self.last_logits(token_ids[: position + 1]) for position in positions])

    def last_logits(self, token_ids: list[int]) -> np.ndarray:
        self.greedy(token_ids, 1)
        vocab_size = self.engine.program.vocab_size
        return np.frombuffer(run(self.device.read("logits", 0, 4 * vocab_size)), np.float32)


def load(path: Path, context_length: int, loras: Sequence[Path] = (), **options: Any) -> LoadedModel:
    chosen = settings()
    device = open_device(chosen.device, read_limits(chosen.adapter) if chosen.adapter else None, chosen.check)
    checkpoint = run(open_checkpoint([source for each in (path, *loras) for source in run(resolve_model(each))]))
    engine = run(load_engine(checkpoint, device, Options(context_length, **options), lambda phase, done, total: None))
    return LoadedModel(engine, device)


@pytest.fixture
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a case by `on_devices`."""
    monkeypatch.setenv("FANLIGHT_DEVICE", request.param)
    return request.param


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny checkpoints of this session are built."""
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture
def load_model() -> Iterator:
    """`load`, closing what it opened."""
    loaded: list[LoadedModel] = []

    def open_model(*arguments, **options) -> LoadedModel:
        loaded.append(load(*arguments, **options))
        return loaded[-1]

    yield open_model
    for model in loaded:
        model.engine.close()
