"""Pictures whose rows are as many as their size asks for, in chats: Qwen's, with the sizes of transformers' processor
(tests/images) and the rows of its model (tests/models/test_vision.py)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanlight
from scripts.golden import tiny_vision
from tests.api.test_pictures import asked, file_of

NAME, MARK = "qwen2_5_vl", "<|image_pad|>"
CASE = tiny_vision.CASES[NAME]  # whose sizes are the others' too
TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|image_pad|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)
PREPROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "min_pixels": 64,
    "max_pixels": 12845056,  # as published: more than the encoder's buffers hold
    "patch_size": 4,
    "temporal_patch_size": 2,
    "merge_size": 2,
}


def folder_of(name: str, folder: Path) -> Path:
    """With a token and a template for pictures, and the processor's numbers."""
    tiny_vision.make_checkpoint(name, folder)
    spec = json.loads((folder / "tokenizer.json").read_text())
    (was,) = (text for text, number in spec["model"]["vocab"].items() if number == CASE.image)
    spec["model"]["vocab"] = {MARK if text == was else text: number for text, number in spec["model"]["vocab"].items()}
    spec["added_tokens"].append({**spec["added_tokens"][0], "id": CASE.image, "content": MARK})
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": TEMPLATE}))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = folder_of(NAME, tmp_path_factory.mktemp("vision") / NAME)
    with fanlight.load(folder, context_length=400, max_num_seqs=1) as engine:
        yield engine


@pytest.mark.minutes
@pytest.mark.parametrize("name", ["qwen2_vl", "qwen3_vl", "qwen3_5"])
def test_others_are_loaded_and_see(name: str, tmp_path: Path) -> None:
    """Every kernel's known answers are asked for as a model is loaded."""
    with fanlight.load(folder_of(name, tmp_path / name), context_length=100, max_num_seqs=1) as engine:
        answers = [asked(engine, [part_of(tiny_vision.picture_of(name, number))], max_tokens=8) for number in (0, 1)]
    assert [answer["prompt_token_ids"].count(CASE.image) for answer in answers] == [15, 15]
    assert answers[0].choices[0]["token_ids"] != answers[1].choices[0]["token_ids"]


def part_of(pixels: np.ndarray) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{file_of(pixels)}"}}


def test_a_picture_takes_the_rows_of_its_size(engine: Any) -> None:
    text = {"type": "text", "text": "abc"}
    for height, width, rows in ((24, 40, 15), (8, 8, 1), (30, 61, 4 * 8), (64, 16, 16)):
        pixels = np.resize(tiny_vision.picture_of(NAME, 0), (height, width, 3))
        answer = asked(engine, [part_of(pixels), text])
        assert answer["prompt_token_ids"].count(CASE.image) == rows, (height, width)
        assert answer.usage["prompt_tokens"] == len(answer["prompt_token_ids"]) == rows + 3


def test_two_pictures_are_told_apart(engine: Any) -> None:
    one, other = (part_of(tiny_vision.picture_of(NAME, number)) for number in (0, 1))
    text = {"type": "text", "text": "abc"}
    found = [asked(engine, parts, max_tokens=8).choices[0]["token_ids"] for parts in ([one, text, other], [other, text, one])]
    assert found[0] != found[1]
    assert asked(engine, [one, text, other], max_tokens=8).choices[0]["token_ids"] == found[0]


def test_a_large_picture_is_made_smaller(engine: Any) -> None:
    """To half of the context, 200 rows here, of 8 x 8 pixels each: what the encoder holds, 1 024, is more than this context."""
    large = part_of(np.resize(tiny_vision.picture_of(NAME, 0), (300, 600, 3)))
    rows = asked(engine, [large])["prompt_token_ids"].count(CASE.image)
    assert rows == 10 * 20
    with pytest.raises(fanlight.errors.ContextOverflow):
        asked(engine, [large, large, large])
