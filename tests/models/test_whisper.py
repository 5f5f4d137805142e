"""Whisper against what transformers heard on the tiny ones (tests/golden/whisper): features, states, logits and tokens, in
NumPy and on an adapter."""

import asyncio
import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fanlight.compiler.program import Sample
from fanlight.driver import run
from fanlight.engine.load import load_engine
from fanlight.engine.transcriber import Segment, Task, Transcriber, cut
from fanlight.errors import DeviceLost, EngineClosed, RequestError
from fanlight.formats.checkpoint import Checkpoint
from fanlight.runtime import open_device
from fanlight.runtime.device import Device
from fanlight.runtime.reference import ReferenceDevice
from scripts.golden import record_whisper, tiny_whisper
from scripts.golden.record_transformers import digest_of
from scripts.golden.tiny_whisper import IDS, RATE, ROWS
from tests.models.records import GOLDEN, read_about, relative_error
from tests.models.test_graphs import opened


@dataclass(frozen=True, slots=True)
class Options:
    context_length: int | None = None
    max_num_seqs: int = 1


def record_of(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "whisper" / f"{name}.npz") as record:
        return dict(record)


def sound_of(name: str, record: dict[str, np.ndarray]) -> "array[float]":
    samples = tiny_whisper.sound(f"{name} {record['attempt']}", ROWS * RATE // 50 * 4 // 5)
    return array("f", tiny_whisper.floats(samples).tobytes())


def load(path: Path, device: str) -> Transcriber:
    checkpoint, _ = opened(path)
    engine = run(load_engine(checkpoint, open_device(device), Options(), lambda phase, done, total: None))
    assert isinstance(engine, Transcriber)
    return engine


def segments(engine: Transcriber, samples: "array[float]", task: Task) -> list[Segment]:
    async def all_of_them() -> list[Segment]:
        return [segment async for segment in engine.transcribe(samples, task, lambda ids: 1.0)]

    return run(all_of_them())


@pytest.mark.parametrize("name", tiny_whisper.CASES)
def test_checkpoint_is_the_recorded_one(name: str, checkpoints: Path) -> None:
    folder = tiny_whisper.make_checkpoint(name, checkpoints / name)
    assert digest_of(folder) == read_about("whisper")["cases"][name]["sha256"]


Heard = tuple[Transcriber, dict[str, np.ndarray], "array[float]"]


@pytest.fixture(scope="module", params=["reference", "native"])
def heard(request: pytest.FixtureRequest, checkpoints: Path) -> Iterator[Heard]:
    name = "whisper"
    record = record_of(name)
    engine = load(tiny_whisper.make_checkpoint(name, checkpoints / name), request.param)
    yield engine, record, sound_of(name, record)
    engine.close()


def values_of(engine: Transcriber, samples: "array[float]", kernel: str, where: str, shape: tuple[int, int]) -> np.ndarray:
    """What the last such launch of the encoder's step leaves, of rows that may be wider."""
    padded = samples + array("f", bytes(4 * (engine.hearing.num_samples - len(samples))))
    engine._listen(padded)
    assert engine.program.sound_step is not None
    step = engine.program.sound_step.step
    last = max(i for i, launch in enumerate(step.launches) if launch.kernel.startswith(kernel) and where in launch.where)
    engine._device.launch(step.launches[: last + 1])
    place = step.launches[last].bindings[-1]
    data = run(engine._device.read(place.buffer, place.offset, 4 * shape[0] * shape[1]))
    return np.frombuffer(data, np.float32).reshape(shape)


def test_features_and_states_are_transformers(heard: Heard) -> None:
    engine, record, samples = heard
    mels = len(record["features"])
    found = values_of(engine, samples, "level.", "mel", (ROWS, 2 * mels))
    assert np.abs(found.reshape(2 * ROWS, mels).T - record["features"]).max() < 2e-4
    states = values_of(engine, samples, "norm.", "encoder.layer_norm", record["states"].shape)
    assert relative_error(states, record["states"]) < 1e-3


def test_features_of_128_mels_are_transformers(checkpoints: Path) -> None:
    name = "whisper-128"
    record, engine = record_of(name), load(tiny_whisper.make_checkpoint(name, checkpoints / name), "reference")
    found = values_of(engine, sound_of(name, record), "level.", "mel", (ROWS, 256))
    assert np.abs(found.reshape(2 * ROWS, 128).T - record["features"]).max() < 2e-4
    assert tokens_of(engine, sound_of(name, record), has_times=True) == record["stamped"].tolist()
    engine.close()


def tokens_of(engine: Transcriber, samples: "array[float]", has_times: bool) -> list[int]:
    """Greedy, as many as were recorded."""
    rules = engine.hearing.transcript
    prompt = [rules.start, engine.hearing.languages["de"], engine.hearing.tasks["transcribe"]]
    engine._listen(samples)
    written = run(engine._write([*prompt, *([] if has_times else [rules.no_stamps])], 0, 0.0))
    return written.token_ids[: record_whisper.NUM_GREEDY]


@pytest.mark.parametrize("has_times", [False, True])
def test_tokens_are_transformers(has_times: bool, heard: Heard) -> None:
    engine, record, samples = heard
    truth = record["stamped" if has_times else "plain"].tolist()
    assert tokens_of(engine, samples, has_times)[: len(truth)] == truth


def test_logits_are_transformers(heard: Heard) -> None:
    """Of a sample that scores, which no rule changes."""
    engine, record, samples = heard
    engine._listen(samples)
    ids = [*record_whisper.PLAIN, 72, 101, 108]
    run(engine._step(ids, 0, Sample(len(ids) - 1, 0, scored=1)))
    found = np.frombuffer(run(engine._device.read("logits", 0, 4 * engine.program.vocab_size)), np.float32)
    assert relative_error(found, record["logits"][-1]) < 2e-3


def test_language_and_silence_are_transformers(heard: Heard) -> None:
    engine, record, samples = heard
    (first, *_) = segments(engine, samples, Task())
    assert first.language is not None and engine.hearing.languages[first.language] == int(record["language"])
    assert abs(first.no_speech_prob - float(record["no_speech"])) < 1e-3 * max(1e-3, float(record["no_speech"]))


def test_a_language_that_is_given_is_written(heard: Heard) -> None:
    """And silence is none: what a model writes of its own at any temperature."""
    engine, _, samples = heard
    assert {segment.language for segment in segments(engine, samples, Task(language="en"))} == {"en"}
    with pytest.raises(RequestError, match=r"'xx' is not known; known are de, en"):
        segments(engine, samples, Task(language="xx"))


@pytest.mark.minutes
def test_windows_follow_each_other(heard: Heard) -> None:
    """Of a long sound: segments in order, none longer than a window, from one whose end is where the next window begins."""
    engine, _, _ = heard
    samples = array("f", tiny_whisper.floats(tiny_whisper.sound("long", 3 * RATE + 777)).tobytes())
    found = segments(engine, samples, Task(language="de", temperature=0.3))
    seeks = sorted({segment.seek for segment in found})
    assert len(seeks) >= 3 and seeks[0] == 0 and all(b - a <= 100 for a, b in pairwise(seeks))
    assert all(segment.start <= segment.end <= segment.start + 1.001 for segment in found)
    assert all(a.start <= b.start for a, b in pairwise(found))


def test_segments_are_cut_as_transformers_cuts_them() -> None:
    stamps_at = IDS["<|0.00|>"]
    for case in json.loads((GOLDEN / "whisper" / "cuts.json").read_text()):
        parts, moved = cut(case["token_ids"], stamps_at, case["rows"])
        assert [[start, end] for start, end, _ in parts] == case["segments"]
        assert moved == (min(case["frames"] // 2, case["rows"]) or case["rows"])


class Losable(ReferenceDevice):
    """Goes away at the n-th step that is submitted."""

    left = 10**9

    def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
        self.left -= 1
        if self.left < 0:
            raise DeviceLost("went away")
        return super().submit(step, inputs, count, with_logprobs)


@pytest.fixture(scope="module")
def losable(checkpoints: Path) -> Iterator[tuple[Transcriber, Checkpoint]]:
    checkpoint, _ = opened(tiny_whisper.make_checkpoint("whisper", checkpoints / "whisper"))
    engine = run(load_engine(checkpoint, Losable(), Options(), lambda phase, done, total: None))
    assert isinstance(engine, Transcriber)
    yield engine, checkpoint
    engine.close()


GREEDY = Task(language="de", temperature=1e-6)


@pytest.mark.minutes
def test_a_lost_device_costs_no_segment(losable: tuple[Transcriber, Checkpoint]) -> None:
    engine, checkpoint = losable
    samples = sound_of("whisper", record_of("whisper"))
    truth = segments(engine, samples, GREEDY)
    given = iter([0, 7, 10**9])

    async def renew(lost: Device) -> Device:
        device = Losable()
        await device.prepare(engine.program)
        await device.load(checkpoint.sources, lambda done, total: None)
        device.left = next(given)
        return device

    engine.renew, engine._device.left = renew, 12
    assert segments(engine, samples, GREEDY) == truth
    assert next(given, None) is None  # each was lost in its turn
    engine._device.left, engine.renew = 3, None
    with pytest.raises(DeviceLost):
        segments(engine, samples, GREEDY)
    engine._device.left = 10**9


@pytest.mark.minutes
def test_who_goes_away_leaves_the_engine_usable(losable: tuple[Transcriber, Checkpoint]) -> None:
    engine, _ = losable
    samples = sound_of("whisper", record_of("whisper"))

    async def cancelled() -> tuple[list[Segment], list[Segment]]:
        async def all_of_them() -> list[Segment]:
            return [s async for s in engine.transcribe(samples, GREEDY, lambda ids: 1.0, lambda: asyncio.sleep(0))]

        first = asyncio.ensure_future(all_of_them())
        while not engine._flights and not first.done():
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return await all_of_them(), await all_of_them()

    again, once_more = asyncio.run(cancelled())
    assert again == once_more == segments(engine, samples, GREEDY)
    engine.close()
    with pytest.raises(EngineClosed):
        segments(engine, samples, GREEDY)
