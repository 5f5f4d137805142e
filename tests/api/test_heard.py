"""Sounds in requests: from a file to the tokens that transformers' processor makes of it, and the answer of its model
(scripts/golden/record_hearing.py); in the words of every API; and what is refused."""

import base64
import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanlight
from fanlight.api.response_items import input_messages
from fanlight.cli.run import content_of
from fanlight.errors import RequestError, UnsupportedModel
from fanlight.text.control_tokens import PromptText
from fanlight.text.placeholders import ALONE, PLACEHOLDERS, Layout
from scripts.golden import tiny_hearing, tiny_models
from tests.api.test_pictures import asked
from tests.models.records import GOLDEN
from tests.models.test_hearing import CONTEXT

EXACT: Any = {"device": "reference", "context_length": CONTEXT, "kv_dtype": "f32", "activations": "f32"}


def file_of(samples: np.ndarray, rate: int = 16000) -> str:
    """samples: i16 [n], or [n, channels]"""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.tobytes())
    return base64.b64encode(file.getvalue()).decode()


def part_of(samples: np.ndarray, rate: int = 16000) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": file_of(samples, rate), "format": "wav"}}


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tiny_hearing.make_checkpoint("qwen2_audio", tmp_path_factory.mktemp("hearing") / "qwen2_audio")
    with fanlight.load(folder, **EXACT) as engine:
        yield engine


@pytest.fixture(scope="module")
def voxtral(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tiny_hearing.make_checkpoint("voxtral", tmp_path_factory.mktemp("hearing") / "voxtral")
    with fanlight.load(folder, **EXACT) as engine:
        yield engine


def test_a_file_becomes_what_transformers_makes_of_it(qwen: Any) -> None:
    with np.load(GOLDEN / "hearing_chats" / "qwen2_audio.npz") as record:
        attempt, prompt, greedy = int(record["attempt"]), record["prompt"].tolist(), record["greedy"].tolist()
    (message,) = tiny_hearing.chat_of(attempt)
    text, sound = message["content"][1], tiny_hearing.sound_of("qwen2_audio", 0)
    answer = asked(qwen, [part_of(sound), text], max_tokens=len(greedy))
    assert answer["prompt_token_ids"] == prompt
    assert answer.choices[0]["token_ids"] == greedy
    assert answer.usage["prompt_tokens"] == len(prompt)
    assert qwen.info["hears"] and "has_vision" not in qwen.info
    url = f"data:audio/wav;base64,{file_of(sound)}"
    for given in ({"url": url}, url):
        assert asked(qwen, [{"type": "audio_url", "audio_url": given}, text], max_tokens=12).choices[0]["token_ids"] == greedy
    stereo = np.stack([sound, sound], 1)  # the mean of both
    assert asked(qwen, [part_of(stereo), text], max_tokens=12).choices[0]["token_ids"] == greedy
    other = asked(qwen, [part_of(tiny_hearing.sound_of("qwen2_audio", 2)), text], max_tokens=12)
    assert other["prompt_token_ids"] == prompt and other.choices[0]["token_ids"] != greedy
    (responded,) = input_messages([{"role": "user", "content": [part_of(sound), {**text, "type": "input_text"}]}])
    assert asked(qwen, responded["content"], max_tokens=12).choices[0]["token_ids"] == greedy


def test_windows_of_a_long_sound_stand_in_the_prompt_one_after_the_other(voxtral: Any) -> None:
    """Of a template that reads texts alone."""
    sound = tiny_hearing.sound_of("voxtral", 1)
    ids = asked(voxtral, [part_of(sound), {"type": "text", "text": "Hm?"}])["prompt_token_ids"]
    begin, token = tiny_hearing.FIRST_TOKEN + 1, tiny_hearing.CASES["voxtral"].image
    at = ids.index(token)
    assert ids[at - 2 : at] == [tiny_hearing.FIRST_TOKEN + 2, begin]
    assert ids[at : at + 24] == [token] * 24 and token not in ids[at + 24 :]
    slow = np.repeat(sound, 2)  # at 32 kHz
    assert asked(voxtral, [part_of(slow, 32000)])["prompt_token_ids"].count(token) == 24
    two = asked(voxtral, [part_of(sound), {"type": "text", "text": "or"}, part_of(sound[:400])])["prompt_token_ids"]
    assert two.count(begin) == 2 and two.count(token) == 36


def test_what_is_no_sound_is_refused(qwen: Any, voxtral: Any, tmp_path: Path) -> None:
    sound = tiny_hearing.sound_of("qwen2_audio", 0)
    for data, why in (
        (file_of(sound[:0]), "the sound is empty"),
        ("", "the sound is empty"),
        (file_of(sound[:200]), "too short"),
        (file_of(np.tile(sound, 2)), r"a sound of 1.3 s; this model hears up to 0.96 s"),
        (base64.b64encode(b"ID3 something").decode(), "MP3, which cannot be read"),
        ("%%%", "no base64"),
    ):
        with pytest.raises(RequestError, match=why) as refused:
            asked(qwen, [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}])
        assert refused.value.param == "messages"
    with pytest.raises(RequestError, match=r"up to 12\.48 s, with this context"):
        asked(voxtral, [part_of(np.tile(sound, 20))])
    for part, why in (
        ({"type": "input_audio", "input_audio": {"url": "data:,"}}, "base64 of a file"),
        ({"type": "input_audio", "input_audio": {"data": "", "rate": 3}}, "unknown field"),
        ({"type": "audio_url", "audio_url": {"url": "file:///x.wav"}}, "must be a data: URL"),
        ({"type": "audio_url", "audio_url": {"url": "https://127.0.0.1:9/x.wav"}}, "not fetched here"),
        ({"type": "image_url", "image_url": {"url": "data:,"}}, "takes no pictures"),
        ({"type": "text", "text": "<|AUDIO|>"}, None),
    ):
        if why:
            with pytest.raises(RequestError, match=why):
                asked(qwen, [part])
        else:
            assert asked(qwen, [part])  # a text, whatever it spells
    deaf = tiny_models.make_checkpoint("qwen3-tied", tmp_path / "deaf")
    with (
        fanlight.load(deaf, **EXACT) as engine,
        pytest.raises(RequestError, match=r"takes no sounds \(input_audio, audio_url\)"),
    ):
        asked(engine, [part_of(sound)])


def test_features_that_are_made_otherwise_are_refused(tmp_path: Path) -> None:
    folder = tiny_hearing.make_checkpoint("voxtral", tmp_path / "voxtral")
    file = folder / "preprocessor_config.json"
    file.write_text(file.read_text().replace('"hop_length": 160', '"hop_length": 320'))
    with pytest.raises(UnsupportedModel, match="hop_length is 320; expected 160"):
        fanlight.load(folder, **EXACT)


def test_what_stands_around_a_sound_is_there_where_a_template_reads_texts_alone() -> None:
    sound = PLACEHOLDERS["qwen2_audio"]
    of_text, of_parts = (sound.expanded(PromptText(f"a {mark} b"), [Layout(((2, 1),))]) for mark in (ALONE, sound.written))
    assert of_text.marked == "a <|audio_bos|><|AUDIO|><|AUDIO|><|audio_eos|>\n b"
    assert of_parts.marked == "a <|AUDIO|><|AUDIO|> b"
    prompt = PromptText(f"[INST]a\n{ALONE}\n{ALONE}\n\nb[/INST]")  # of parts that were put together line by line
    inline = PLACEHOLDERS["voxtral"].expanded(prompt, [Layout(((1, 1),)), Layout(((2, 1),))])
    assert inline.marked == "[INST]a[BEGIN_AUDIO][AUDIO][BEGIN_AUDIO][AUDIO][AUDIO]\nb[/INST]"


def test_run_puts_a_sound_before_the_prompt(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"RIFF")
    sound, text = content_of("Hm?", [], [str(file)])
    assert sound == {"type": "audio_url", "audio_url": {"url": "data:;base64,UklGRg=="}}
    assert text == {"type": "text", "text": "Hm?"} and content_of("Hm?", [], []) == "Hm?"
