"""Sounds in a prompt against what transformers answered (scripts/golden/record_hearing.py), on an adapter and in NumPy; and
against ourselves: cached, in chunks."""

from array import array
from pathlib import Path

import numpy as np
import pytest

import fanlight
from fanlight.compiler.program import sound_record
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.engine.placed import Placed
from fanlight.engine.sounds import Sounds, windows_of
from fanlight.errors import FormatError, RequestError
from scripts.golden import hearing_gguf, tiny_hearing, tiny_models, tiny_whisper
from tests.models.conftest import LoadedModel
from tests.models.records import GOLDEN, relative_error
from tests.models.test_models import EXACT
from tests.models.test_vision import answers, device

__all__ = ["device"]
CONTEXT = 160


def samples_of(name: str, number: int) -> "array[float]":
    return array("f", tiny_whisper.floats(tiny_hearing.sound_of(name, number)).tobytes())


def sounds_of(model: LoadedModel, name: str, prompt: list[int], numbers: tuple[int, int] = (0, 1)) -> tuple[Placed, ...]:
    sounds, token, placed = model.engine.scheduler.images, tiny_hearing.CASES[name].image, []
    assert isinstance(sounds, Sounds)
    starts = [i for i, found in enumerate(prompt) if found == token and prompt[i - 1] != token]
    for start, number in zip(starts, numbers, strict=True):
        for window in windows_of(samples_of(name, number), tiny_hearing.ROWS):
            placed.append(Placed(start, window, sounds.shape(window)[0]))
            start = placed[-1].end
    return tuple(placed)


def kept(model: LoadedModel, placed: tuple[Placed, ...]) -> np.ndarray:
    """What the encoder made of sounds, of those that the model has heard first."""
    program = model.engine.program
    step = program.sound_step
    width = next(buffer.size for buffer in program.buffers if buffer.name == "images") // 4 // step.room
    found = []
    for i, one in enumerate(placed):
        data = run(model.device.read("images", i * step.most_rows * width * 4, 4 * one.num_rows * width))
        found.append(np.frombuffer(data, np.float32).reshape(one.num_rows, width))
    return np.concatenate(found)


@pytest.mark.parametrize("name", tiny_hearing.CASES)
def test_two_sounds_are_what_transformers_hears(name: str, device: str, checkpoints: Path, load_model) -> None:
    with np.load(GOLDEN / "hearing" / f"{name}.npz") as record:
        prompt, greedy, rows = record["prompt"].tolist(), record["greedy"].tolist(), record["rows"]
        logits, positions, features = record["logits"], record["positions"].tolist(), record["features"]
    model = load_model(tiny_hearing.make_checkpoint(name, checkpoints / name), CONTEXT)
    sounds = sounds_of(model, name, prompt)
    assert answers(model, [(prompt, sounds)], len(greedy)) == [greedy]
    assert relative_error(kept(model, sounds), rows) < EXACT
    answers(model, [(prompt, sounds)], 1)
    found = np.frombuffer(run(model.device.read("logits", 0, logits[0].nbytes)), np.float32)
    assert positions[-1] == len(prompt) - 1 and relative_error(found, logits[-1]) < EXACT
    step = model.engine.program.sound_step
    model.device.write("inputs", 0, sound_record(tiny_hearing.ROWS, tiny_hearing.ROWS, 0, 0, model.engine.program.max_num_seqs))
    model.device.launch(step.leveling)  # of the last window once more
    place = step.leveling[-1].bindings[-1]
    mels = features.shape[1]
    data = run(model.device.read(place.buffer, place.offset, 4 * features[0].size))
    heard = np.frombuffer(data, np.float32).reshape(2 * tiny_hearing.ROWS, mels).T
    assert np.abs(heard - features[-1]).max() < 2e-4


def test_what_is_heard_does_not_depend_on_chunks_or_caches(checkpoints: Path, load_model) -> None:
    """The same sound twice is in the cache with its tokens; another one, of the same tokens, is not."""
    name = "voxtral"
    with np.load(GOLDEN / "hearing" / f"{name}.npz") as record:
        prompt, greedy = record["prompt"].tolist(), record["greedy"].tolist()
    model = load_model(tiny_hearing.make_checkpoint(name, checkpoints / name), CONTEXT)
    engine = model.engine
    sounds, others = sounds_of(model, name, prompt), sounds_of(model, name, prompt, (2, 1))
    changed = answers(model, [(prompt, others)], len(greedy))
    assert changed != [greedy]
    assert answers(model, [(prompt, sounds)], len(greedy)) == [greedy]
    assert engine.stats().num_cached_tokens == 0
    assert answers(model, [(prompt, sounds)], len(greedy)) == [greedy]
    assert engine.stats().num_cached_tokens >= 48
    assert answers(model, [(prompt, others)], len(greedy)) == changed
    chunks = LoadedModel(Engine(engine.program, model.device, max_num_batched_tokens=11, use_prefix_cache=False), model.device)
    assert answers(chunks, [(prompt, sounds)], len(greedy)) == [greedy]


def test_sounds_that_do_not_fit_are_refused(checkpoints: Path, load_model) -> None:
    name = "qwen2_audio"
    model = load_model(tiny_hearing.make_checkpoint(name, checkpoints / name), CONTEXT)
    prompt = tiny_hearing.prompt_of(name, 0)
    first, second = sounds_of(model, name, prompt)
    for sounds in ((second, first), (Placed(first.start, first.image, 3), second)):
        with pytest.raises(RequestError, match="a sound's rows do not fit"):
            model.engine.submit(prompt, SamplingParams(), (), sounds)
    (short,) = windows_of(array("f", [0.1] * 300), tiny_hearing.ROWS)
    with pytest.raises(RequestError, match="too short"):
        model.engine.submit(prompt, SamplingParams(), (), (Placed(first.start, short, 1),))
    with pytest.raises(RequestError, match="sinks"):
        model.engine.submit(prompt, SamplingParams(num_sinks=4), (), (first, second))
    deaf = load_model(tiny_models.make_checkpoint("qwen3-tied", checkpoints / "qwen3-tied"), 64)
    with pytest.raises(RequestError, match="takes no pictures and no sounds"):
        deaf.engine.submit([5] * 20, SamplingParams(), (), (first,))


@pytest.mark.parametrize("name", hearing_gguf.CASES)
def test_a_gguf_file_and_its_mmproj_hear_the_same(name: str, checkpoints: Path) -> None:
    with np.load(GOLDEN / "hearing" / f"{name}.npz") as record:
        prompt, greedy = record["prompt"].tolist(), record["greedy"].tolist()
    files = hearing_gguf.make_files(name, checkpoints / f"{name}-gguf")
    with fanlight.load(list(files), device="reference", context_length=CONTEXT, kv_dtype="f32", activations="f32") as engine:
        model = LoadedModel(engine.loaded.engine, None)
        assert answers(model, [(prompt, sounds_of(model, name, prompt))], len(greedy)) == [greedy]
        assert engine.info["hears"]
    with pytest.raises(FormatError, match="is an encoder of sound"):
        fanlight.load(files[1], device="reference")
    with fanlight.load(files[0], device="reference") as engine:
        assert "hears" not in engine.info
