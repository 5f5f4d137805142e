"""Pictures in requests: from a file to the tokens that transformers' processor makes of it, and the answer of its model
(scripts/golden/record_vision.py); in the words of every API; and what is refused."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanlight
from fanlight.api.pictures import NativeReader
from fanlight.api.response_items import input_messages
from fanlight.driver import run
from fanlight.errors import RequestError
from fanlight.text.control_tokens import PromptText
from fanlight.text.placeholders import ALONE, PLACEHOLDERS, Layout
from scripts.golden import tiny_vision, vision_gguf
from tests.models.records import GOLDEN

NAME = "idefics3"


def file_of(pixels: np.ndarray) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PICTURE = file_of(tiny_vision.wide_picture())
PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tiny_vision.make_checkpoint(NAME, tmp_path_factory.mktemp("vision") / NAME)
    with fanlight.load(folder, device="reference", context_length=160, kv_dtype="f32", activations="f32") as engine:
        yield engine


def asked(engine: Any, content: list[Any], **more: Any) -> Any:
    body = {"messages": [{"role": "user", "content": content}], "temperature": 0, "ignore_eos": True, "return_token_ids": True}
    return engine.chat.completions.create(**{**body, "max_tokens": 2, **more})


def test_a_file_becomes_what_transformers_makes_of_it(engine: Any) -> None:
    with np.load(GOLDEN / "vision_chats" / f"{NAME}.npz") as record:
        attempt, prompt, greedy = int(record["attempt"]), record["prompt"].tolist(), record["greedy"].tolist()
    (message,) = tiny_vision.chat_of(attempt)
    answer = asked(engine, [PART, message["content"][1]], max_tokens=len(greedy))
    assert answer["prompt_token_ids"] == prompt
    assert answer.choices[0]["token_ids"] == greedy
    assert answer.usage["prompt_tokens"] == len(prompt)
    low = {**PART, "image_url": {**PART["image_url"], "detail": "low"}}
    assert asked(engine, [low])["prompt_token_ids"].count(tiny_vision.IMAGE) == tiny_vision.CASES[NAME].rows
    other = file_of(255 - tiny_vision.wide_picture())
    inverted = {**PART, "image_url": {"url": f"data:image/png;base64,{other}"}}
    assert asked(engine, [inverted, message["content"][1]], max_tokens=len(greedy)).choices[0]["token_ids"] != greedy


OTHERS = [(name, False) for name in ("gemma3", "mistral3", "pixtral", "llava", "lfm2_vl")]
OTHERS += [("gemma3-published", True), ("pixtral", True), ("llava", True)]


@pytest.mark.parametrize(("name", "is_gguf"), OTHERS)
def test_others_read_a_file_as_transformers_does(name: str, is_gguf: bool, tmp_path: Path) -> None:
    """From a folder of Hugging Face's, or of a GGUF file and its encoder's."""
    with np.load(GOLDEN / "vision_chats" / f"{name}.npz") as record:
        attempt, prompt, greedy = int(record["attempt"]), record["prompt"].tolist(), record["greedy"].tolist()
    make = vision_gguf.make_files if is_gguf else tiny_vision.make_checkpoint
    make(name, folder := tmp_path / name)
    (message,) = tiny_vision.chat_of(attempt)
    with fanlight.load(folder, device="reference", context_length=160, kv_dtype="f32", activations="f32") as engine:
        answer = asked(engine, [PART, message["content"][1]], max_tokens=len(greedy))
        assert answer["prompt_token_ids"] == prompt
        assert answer.choices[0]["token_ids"] == greedy


def test_a_vocabulary_without_a_token_for_pictures(tmp_path: Path) -> None:
    """Vicuna's has none, and its file says of `<unk>` that it is unknown; rows stand in that one's place."""
    with np.load(GOLDEN / "vision_chats/llava.npz") as record:
        attempt, prompt, greedy = int(record["attempt"]), record["prompt"].tolist(), record["greedy"].tolist()
    model, _ = vision_gguf.make_files("llava", tmp_path)
    found = bytearray(model.read_bytes())
    at = found.index(b"<image>")
    found[at : at + 7] = b"a7c3e9f"
    types = (
        found.index(b"tokenizer.ggml.token_type") + 25 + 16
    )  # behind the key: the kinds of the list and of what it holds, its length
    assert found[types : types + 4] == (3).to_bytes(4, "little")
    found[types] = 2
    model.write_bytes(found)
    (message,) = tiny_vision.chat_of(attempt)
    with fanlight.load(tmp_path, device="reference", context_length=160, kv_dtype="f32", activations="f32") as engine:
        answer = asked(engine, [PART, message["content"][1]], max_tokens=len(greedy))
        assert answer["prompt_token_ids"] == [0 if i == tiny_vision.CASES["llava"].image else i for i in prompt]
        assert answer.choices[0]["token_ids"] == greedy


def test_a_model_reads_texts_beside_an_encoder_that_does_not_run(tmp_path: Path) -> None:
    """As it comes from a repository of the hub; pictures are refused, and it is said why."""
    model, encoder = vision_gguf.make_files("gemma3-published", tmp_path)
    found = encoder.read_bytes()
    key, kind = b"clip.projector_type", b"gemma3"
    at = found.index(kind, found.index(key))
    encoder.write_bytes(found[:at] + b"gemma9" + found[at + len(kind) :])
    assert model.parent == encoder.parent
    with fanlight.load(tmp_path, device="reference", context_length=160, kv_dtype="f32", activations="f32") as engine:
        assert "gemma9" in engine.info["encoder_not_read"] and "has_vision" not in engine.info
        assert asked(engine, "hello", max_tokens=2).usage.completion_tokens == 2
        with pytest.raises(RequestError, match=r"takes no pictures .*projector_type is 'gemma9'; known are"):
            asked(engine, [PART])


def test_what_is_no_picture_is_refused(engine: Any) -> None:
    for url, words in (
        ("data:image/png;base64,AAAA", "not a picture"),
        ("data:image/png;base64,%%", "base64"),
        ("data:nothing", "without data"),
        ("file:///etc/passwd", "must be a data: URL"),
        ("ftp://x/y.png", "must be a data: URL"),
        ("https://127.0.0.1:9/x.png", "not fetched here"),
    ):
        with pytest.raises(RequestError, match=words):
            asked(engine, [{"type": "image_url", "image_url": {"url": url}}])
    with pytest.raises(RequestError, match="cannot be fetched"):
        run(NativeReader(may_fetch=True).fetch("http://127.0.0.1:9/x.png"))


def test_who_spells_a_placeholder_shows_no_picture(engine: Any) -> None:
    answer = asked(engine, [PART, {"type": "text", "text": "<image> and <image>"}])
    assert answer["prompt_token_ids"].count(tiny_vision.IMAGE) == 5 * tiny_vision.CASES[NAME].rows
    assert tiny_vision.IMAGE not in asked(engine, [{"type": "text", "text": "an <image>"}])["prompt_token_ids"]


def test_other_apis_bring_the_same_parts() -> None:
    url = f"data:image/png;base64,{PICTURE}"
    (message,) = input_messages(
        [{"role": "user", "content": [{"type": "input_image", "image_url": url}, {"type": "input_text", "text": "What?"}]}]
    )
    assert message["content"] == [PART, {"type": "text", "text": "What?"}]
    with pytest.raises(RequestError, match="no files are kept"):
        input_messages([{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}])


def test_prompts_are_as_the_processors_write_them() -> None:
    """https://github.com/huggingface/transformers: processing_gemma3.py, processing_llava.py"""
    gemma, llava = PLACEHOLDERS["gemma3"], PLACEHOLDERS["llava"]
    assert gemma.expand(gemma, Layout(((1, 2),))) == (
        "\n\n<start_of_image><image_soft_token><image_soft_token><end_of_image>\n\n"
    )
    prompt = llava.expanded(PromptText(f"a {ALONE} b {ALONE}"), [Layout(((1, 2),)), Layout(((1, 1),))])
    assert prompt.text == "a <image><image>\n b <image>\n"  # where templates read texts alone: as LLaVA's own has it
    with pytest.raises(RequestError, match="writes 1 pictures for these messages, which have 2"):
        llava.expanded(PromptText("a <image> b"), [Layout(((1, 2),)), Layout(((1, 1),))])
