"""Pictures in a prompt against what transformers answered (scripts/golden/record_vision.py), on an adapter and in NumPy; and
against ourselves: cached, in chunks, preempted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.engine.images import image_of
from fanlight.engine.placed import Placed
from fanlight.errors import FormatError, RequestError, UnsupportedModel
from fanlight.models import read_config
from scripts.golden import tiny_models, tiny_vision
from tests.models.conftest import LoadedModel
from tests.models.records import GOLDEN, relative_error
from tests.models.test_models import EXACT

CONTEXT = 160


@pytest.fixture(params=["native", "reference"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("FANLIGHT_DEVICE", request.param)
    return request.param


def images_of(name: str, prompt: list[int], numbers: tuple[int, ...] = (0, 1)) -> tuple[Placed, ...]:
    case = tiny_vision.CASES[name]
    colours = (1 / (255 * case.std),) * 3, (-case.mean / case.std,) * 3
    starts = [i for i in range(len(prompt)) if prompt[i : i + len(case.seen)] == case.seen]
    pictures = [tiny_vision.picture_of(name, number).tobytes() for number in numbers]
    images = [image_of(picture, case.across, case.size, colours) for picture in pictures]
    return tuple(Placed(start, image, case.rows, case.line) for start, image in zip(starts, images, strict=False))


def answers(model: LoadedModel, prompts: list[tuple[list[int], tuple[Placed, ...]]], count: int) -> list[list[int]]:
    params = SamplingParams(temperature=0, max_tokens=count, ignore_eos=True)
    sequences = [model.engine.submit(prompt, params, (), images) for prompt, images in prompts]
    while waiting := [s for s in sequences if not s.is_finished]:
        run(model.engine.wait(waiting))
        for sequence in sequences:
            sequence.take()
    return [sequence.generated_token_ids for sequence in sequences]


def kept(model: LoadedModel, number: int, rows: int, columns: int) -> np.ndarray:
    """What the tower made of a picture, of those that the model has seen; without what is for deeper layers. [rows, columns]"""
    program = model.engine.program
    width = next(buffer.size for buffer in program.buffers if buffer.name == "images") // 4 // program.image_step.room
    first = number * program.image_step.most_rows * width * 4
    data = run(model.device.read("images", first, 4 * rows * width))
    return np.frombuffer(data, np.float32).reshape(rows, width)[:, :columns]


@pytest.mark.parametrize("name", tiny_vision.CASES)
def test_two_pictures_are_what_transformers_sees(name: str, device: str, checkpoints: Path, load_model) -> None:
    with np.load(GOLDEN / "vision" / f"{name}.npz") as record:
        prompt, greedy, rows = record["prompt"].tolist(), record["greedy"].tolist(), record["rows"]
        logits, positions = record["logits"], record["positions"].tolist()
    model = load_model(tiny_vision.make_checkpoint(name, checkpoints / name), CONTEXT)
    images = images_of(name, prompt)
    assert answers(model, [(prompt, images)], len(greedy)) == [greedy]
    for number, expected in enumerate(rows):
        assert relative_error(kept(model, number, *expected.shape), expected) < EXACT
    for i in (2, len(positions) - 1):  # after the first row of the first picture, and after all
        part = prompt[: positions[i] + 1]
        whole = tuple(placed for placed in images if placed.end <= len(part))
        if len(whole) == len(images):
            answers(model, [(part, whole)], 1)
            found = np.frombuffer(run(model.device.read("logits", 0, logits[0].nbytes)), np.float32)
            assert relative_error(found, logits[i]) < EXACT


@pytest.mark.parametrize("name", ["smolvlm", "mistral3"])
def test_what_is_seen_does_not_depend_on_chunks_or_caches(name: str, checkpoints: Path, load_model) -> None:
    """The same picture twice is in the cache with its tokens; another one, of the same tokens, is not."""
    with np.load(GOLDEN / "vision" / f"{name}.npz") as record:
        prompt, greedy = record["prompt"].tolist(), record["greedy"].tolist()
    model = load_model(tiny_vision.make_checkpoint(name, checkpoints / name), CONTEXT)
    engine = model.engine
    swapped = answers(model, [(prompt, images_of(name, prompt, (1, 0)))], len(greedy))
    assert swapped != [greedy]
    assert answers(model, [(prompt, images_of(name, prompt))], len(greedy)) == [greedy]
    assert engine.stats().num_cached_tokens == 0
    assert answers(model, [(prompt, images_of(name, prompt))], len(greedy)) == [greedy]
    assert engine.stats().num_cached_tokens >= 48
    assert answers(model, [(prompt, images_of(name, prompt, (1, 0)))], len(greedy)) == swapped
    chunks = LoadedModel(Engine(engine.program, model.device, max_num_batched_tokens=11, use_prefix_cache=False), model.device)
    assert answers(chunks, [(prompt, images_of(name, prompt))], len(greedy)) == [greedy]
    lost = LoadedModel(Engine(engine.program, model.device), model.device)
    sequence = lost.engine.submit(
        prompt, SamplingParams(temperature=0, max_tokens=len(greedy), ignore_eos=True), (), images_of(name, prompt)
    )
    while not sequence.num_generated_tokens:
        run(lost.engine.wait([sequence]))
        sequence.take()
    lost.engine.scheduler.restart(sequence)  # as where blocks run out, or the device is lost
    while not sequence.is_finished:
        run(lost.engine.wait([sequence]))
        sequence.take()
    assert sequence.generated_token_ids == greedy


@pytest.mark.parametrize("company", [1, 3])
def test_more_pictures_than_there_are_places_for_take_more_steps(company: int, checkpoints: Path, load_model) -> None:
    """Thirty small ones in a prompt, whose step has room for all of its rows; and three such prompts at once."""
    name, count = "qwen2_5_vl", 30
    model = load_model(tiny_vision.make_checkpoint(name, checkpoints / name), CONTEXT)
    colours, drawn = (1 / 127.5,) * 3, np.random.default_rng(3)
    prompts = []
    for first in range(company):
        tokens, images = [5, 17 + first], []
        for _ in range(count):
            picture = image_of(drawn.integers(0, 256, (8, 8, 3), np.uint8).tobytes(), 8, 8, (colours, (-1.0,) * 3))
            images.append(Placed(len(tokens), picture, 1))
            tokens += [tiny_vision.CASES[name].image, 40]
        prompts.append((tokens, tuple(images)))
    few = Engine(model.engine.program, model.device, max_num_batched_tokens=3, use_prefix_cache=False)
    alone = [answers(LoadedModel(few, model.device), [prompt], 12)[0] for prompt in prompts]
    assert answers(model, prompts, 12) == alone


def test_pictures_that_do_not_fit_are_refused(checkpoints: Path, load_model) -> None:
    model = load_model(tiny_vision.make_checkpoint("idefics3", checkpoints / "idefics3"), CONTEXT)
    prompt = tiny_vision.prompt_of("idefics3", 0)
    first, second = images_of("idefics3", prompt)
    small = image_of(bytes(3 * 14 * 28), 14, 28, first.image.colours)
    for images in ((replace(first, image=small),), (second, first), (replace(second, start=len(prompt) - 1),)):
        with pytest.raises(RequestError, match="picture"):
            model.engine.submit(prompt, SamplingParams(), (), images)
    with pytest.raises(RequestError, match="sinks"):
        model.engine.submit(prompt, SamplingParams(num_sinks=4), (), (first, second))
    blind = load_model(tiny_models.make_checkpoint("qwen3-tied", checkpoints / "qwen3-tied"), 64)
    with pytest.raises(RequestError, match="takes no pictures"):
        blind.engine.submit([5] * 20, SamplingParams(), (), (first,))


def test_places_of_pictures_have_no_room_for_a_row_that_is_not_kept(checkpoints: Path, load_model) -> None:
    """CLIP's of the class."""
    step = load_model(tiny_vision.make_checkpoint("llava", checkpoints / "llava"), CONTEXT).engine.program.image_step
    assert step.has_class and step.most_rows == 16 and step.room % 16 == 0


def test_lines_are_of_the_width_that_the_picture_has(checkpoints: Path, load_model) -> None:
    model = load_model(tiny_vision.make_checkpoint("mistral3", checkpoints / "mistral3"), CONTEXT)
    prompt = tiny_vision.prompt_of("mistral3", 0)
    first, second = images_of("mistral3", prompt)
    assert [prompt[i] for i in range(first.start, first.end) if first.row_of(i) is None] == [tiny_vision.IMAGE + 1] * 2
    for line in (3, 15):
        with pytest.raises(RequestError, match="picture"):
            model.engine.submit(prompt, SamplingParams(), (), (replace(first, line=line), second))


@pytest.mark.parametrize(
    ("name", "changes", "tower", "message"),
    [
        (
            "mistral3",
            {"vision_feature_layer": 4},
            {},
            "vision_feature_layer is 4, expected the number of a state, from -4 to 3",
        ),
        ("mistral3", {"vision_feature_layer": [-1, -2]}, {}, "vision_feature_layer"),
        ("mistral3", {"spatial_merge_size": 17}, {}, "64 pixels in patches of 4, 17 to a side"),
        ("mistral3", {"projector_hidden_act": "glu"}, {}, "projector_hidden_act"),
        ("mistral3", {}, {"head_dim": 16}, "vision_config.head_dim is 16; expected 12"),
        ("mistral3", {}, {"rope_parameters": {"rope_type": "yarn"}}, "vision_config.rope_parameters.rope_type is 'yarn'"),
        ("mistral3", {}, {"num_registers": 4}, "vision_config.num_registers is 4"),
        ("pixtral", {"vision_feature_select_strategy": "default"}, {}, "of pixtral expected 'full'"),
        ("llava", {"vision_feature_select_strategy": "full"}, {}, "of clip_vision_model expected 'default'"),
        ("llava", {"text_config": {"model_type": "qwen2"}}, {}, "text_config.model_type is 'qwen2'; known are llama, mistral"),
        ("llava", {}, {"model_type": "siglip_vision_model"}, "vision_config.model_type is 'siglip_vision_model'"),
        ("llava", {"model_type": "llava_next"}, {}, "unknown architecture 'llava_next'"),
    ],
)
def test_what_a_tower_does_not_know_is_refused(name: str, changes: dict[str, Any], tower: dict[str, Any], message: str) -> None:
    config = tiny_vision.CASES[name].config
    with pytest.raises((FormatError, UnsupportedModel)) as caught:
        read_config({**config, **changes, "vision_config": {**config["vision_config"], **tower}}, "config.json")
    assert message in str(caught.value)


def test_a_picture_whose_rows_see_each_other_is_computed_whole(checkpoints: Path, load_model) -> None:
    name = "gemma3"
    with np.load(GOLDEN / "vision" / f"{name}.npz") as record:
        prompt, greedy = record["prompt"].tolist(), record["greedy"].tolist()
    model = load_model(tiny_vision.make_checkpoint(name, checkpoints / name), CONTEXT)
    program, images = model.engine.program, images_of(name, prompt)
    chunks = LoadedModel(Engine(program, model.device, max_num_batched_tokens=18, use_prefix_cache=False), model.device)
    assert answers(chunks, [(prompt, images)], len(greedy)) == [greedy]
    small = Engine(program, model.device, max_num_batched_tokens=15)
    with pytest.raises(RequestError, match="16 rows, which one step must take, and steps have 15"):
        small.submit(prompt, SamplingParams(), (), images)
