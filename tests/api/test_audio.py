"""Sounds to text through the API: files as they come, forms, and OpenAI's own client against the server, on a tiny Whisper
whose tokens transformers recorded (tests/golden/whisper)."""

import io
import struct
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

import fanlight
from fanlight import cli
from fanlight.api.multipart import parse_form
from fanlight.api.sounds import read_sound
from fanlight.errors import RequestError
from scripts.golden import tiny_whisper
from scripts.golden.tiny_whisper import IDS, RATE, ROWS
from tests.api.test_server import served
from tests.models.test_whisper import record_of

NAME = "whisper"
GREEDY = 1e-6  # at 0 a text that looks bad is written once more


def wav(samples: np.ndarray, rate: int = RATE, channels: int = 1) -> bytes:
    """Of i16 [num_samples * channels]."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def riff(kind: int, bits: int, body: bytes, channels: int = 1, rate: int = RATE, extra: bytes = b"") -> bytes:
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits) + extra
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def sound_file() -> bytes:
    attempt = record_of(NAME)["attempt"]
    return wav(tiny_whisper.sound(f"{NAME} {attempt}", ROWS * RATE // 50 * 4 // 5))


# --- files -----------------------------------------------------------------------------------------------------------
VALUES = np.array([0.0, 0.5, -0.5, -1.0, 0.25])
WIDE = (VALUES * 2**31).astype("<i4")
FILES = {
    "8 bits": riff(1, 8, (VALUES * 128 + 128).astype("u1").tobytes()),
    "16 bits": riff(1, 16, (VALUES * 2**15).astype("<i2").tobytes()),
    "24 bits": riff(1, 24, WIDE.view("u1").reshape(-1, 4)[:, 1:].tobytes()),
    "32 bits": riff(1, 32, WIDE.tobytes()),
    "f32": riff(3, 32, VALUES.astype("<f4").tobytes()),
    "f64": riff(3, 64, VALUES.astype("<f8").tobytes()),
    "extensible": riff(0xFFFE, 16, (VALUES * 2**15).astype("<i2").tobytes(), extra=bytes(8) + struct.pack("<H", 1) + bytes(14)),
    "two channels": riff(1, 16, (np.stack([VALUES, VALUES / 2], 1) * 2**15).astype("<i2").tobytes(), channels=2),
    "length unknown": riff(1, 16, (VALUES * 2**15).astype("<i2").tobytes())[:-14]
    + b"\xff" * 4
    + (VALUES * 2**15).astype("<i2").tobytes(),
}


@pytest.mark.parametrize("name", FILES)
def test_wav_files_are_read(name: str) -> None:
    expected = VALUES * 0.75 if name == "two channels" else VALUES
    assert np.allclose(read_sound(FILES[name]), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"ID3\x04" + bytes(50), "MP3, which cannot be read"),
        (b"OggS" + bytes(50), "Ogg, which cannot be read"),
        (b"\0\0\0\x18ftypM4A " + bytes(50), "MP4, which cannot be read"),
        (b"hello", "no sound that is known here"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n", "no sound that is known here"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "no sound that is known here"),
        (riff(1, 16, b"")[:30], "ends before its samples"),
        (riff(7, 8, bytes(9)), "kind 7 with 8 bits"),
        (riff(1, 16, bytes(8), channels=0), "0 channels"),
        (riff(1, 16, bytes(8), rate=7), "at 7 Hz"),
    ],
)
def test_other_files_are_refused_by_name(data: bytes, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        read_sound(data)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_other_rates_are_resampled(rate: int) -> None:
    """A tone stays the tone that it is; what 16 kHz cannot hold is gone."""
    t = np.arange(rate) / rate
    tone, high = np.sin(2 * np.pi * 440 * t + 0.3), np.sin(2 * np.pi * 9500 * t)
    found = np.array(read_sound(wav((tone + (high if rate > 20000 else 0)) * 8000, rate)))
    truth = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE + 0.3) * 8000 / 32768
    assert len(found) == RATE
    assert np.abs(found - truth)[400:-400].max() < 2e-3


def encoded(format: str, codec: str, rate: int) -> bytes:
    """Two channels of a second, of which the right one has half of the left one's 440 Hz."""
    import av

    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.stack([0.4 * tone, 0.2 * tone]), format="fltp", layout="stereo")
    frame.sample_rate = rate
    file = io.BytesIO()
    with av.open(file, "w", format=format) as out:
        stream = out.add_stream(codec, rate=rate, layout="stereo")
        resampler = av.AudioResampler(
            format=stream.format.name, layout="stereo", rate=rate, frame_size=stream.frame_size or 1024
        )
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(stream.encode(part))
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "codec", "rate"),
    [
        ("flac", "flac", 44100),
        ("aiff", "pcm_s16be", 22050),
        ("mp3", "mp3", 44100),
        ("adts", "aac", 44100),
        ("ipod", "aac", 48000),
        ("ogg", "libopus", 48000),
        ("webm", "libopus", 48000),
    ],
)
def test_other_formats_are_what_their_encoder_was_given(format: str, codec: str, rate: int) -> None:
    found = np.array(read_sound(encoded(format, codec, rate)))
    assert abs(len(found) / RATE - 1) < 0.1
    middle = found[RATE // 4 : RATE * 3 // 4]
    spectrum = np.abs(np.fft.rfft(middle)) / len(middle) * 2
    assert spectrum.argmax() == 220 and abs(spectrum.max() - 0.3) < 0.02
    assert np.sqrt(np.mean(middle**2)) < 1.05 * spectrum.max() / np.sqrt(2)


def test_without_its_library_other_formats_are_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded("flac", "flac", 44100)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RequestError, match="FLAC; here only WAV is read") as raised:
        read_sound(data)
    assert "fanlight[audio]" in (raised.value.hint or "")


# --- forms -----------------------------------------------------------------------------------------------------------
def test_forms_are_read_as_another_writer_writes_them() -> None:
    content = b"\r\n--x\r\n\0\xff RIFF"
    fields = {"model": "w", "prompt": 'Füße; "so"', "timestamp_granularities[]": ["segment", "word"]}
    request = httpx.Request("POST", "http://a/", data=fields, files={"file": ('a "b".wav', content)})
    found = parse_form(request.headers["content-type"], request.read())
    granularities = ["segment", "word"]
    assert found == {"model": "w", "prompt": 'Füße; "so"', "timestamp_granularities": granularities, "file": content}


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("multipart/form-data", b"", "names no boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\n", "did not arrive whole"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--", "has no name"),
        ("multipart/form-data; boundary=x", b"--x\r\n" * 200 + b"--x--", "more than 100"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 2 + b"--x--",
            "has a twice",
        ),
    ],
)
def test_forms_that_are_none_are_refused(kind: str, body: bytes, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        parse_form(kind, body)


# --- answers ---------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fanlight.LocalEngine]:
    folder = tiny_whisper.make_checkpoint(NAME, tmp_path_factory.mktemp("sounds") / NAME)
    with fanlight.load(folder, device="reference") as made:
        yield made


@pytest.fixture(scope="module")
def client(engine: fanlight.LocalEngine) -> Iterator[openai.OpenAI]:
    with served(engine.loaded) as base, openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0) as made:
        yield made


def check_tokens(found: list[int]) -> None:
    """Of segments, one after the other: as far as they go, what transformers wrote."""
    truth = record_of(NAME)["stamped"].tolist()
    assert len(found) >= 6 and found[: len(truth)] == truth[: len(found)]


def test_openais_client_gets_what_transformers_heard(client: openai.OpenAI) -> None:
    answer = client.audio.transcriptions.create(
        model=NAME,
        file=("a.wav", sound_file()),
        language="de",
        response_format="verbose_json",
        timestamp_granularities=["segment"],
        temperature=GREEDY,
    )
    assert answer.segments and answer.language == "de" and answer.duration == 0.8
    check_tokens([token for segment in answer.segments for token in segment.tokens])
    assert answer.text == "".join(segment.text for segment in answer.segments).strip()
    for segment in answer.segments:
        stamps = [(token - IDS["<|0.00|>"]) / 50 for token in segment.tokens if token >= IDS["<|0.00|>"]]
        assert [segment.start, segment.end] == [stamps[0], stamps[-1]]


@pytest.mark.minutes
def test_every_form_says_the_same(engine: fanlight.LocalEngine, client: openai.OpenAI) -> None:
    common: dict[str, Any] = {"model": NAME, "language": "de", "temperature": GREEDY}
    made = {
        form: engine.audio.transcriptions.create(file=io.BytesIO(sound_file()), response_format=form, **common)
        for form in ("json", "verbose_json", "text", "srt", "vtt")
    }
    text, segments = made["json"].text, made["verbose_json"].segments
    assert made["text"] == f"{text}\n" and made["verbose_json"].text == text
    lines = [segment.text.strip() for segment in segments]
    assert [block.split("\n", 2)[2] for block in made["srt"].strip("\n").split("\n\n")] == lines
    assert made["vtt"].startswith("WEBVTT\n\n00:00.")
    first = segments[0]
    assert made["srt"].startswith(f"1\n00:00:00,{first.start * 1000:03.0f} --> 00:00:0")
    said: Any = client.audio.transcriptions.create(file=("a.wav", sound_file()), response_format="text", **common)
    assert said == made["text"]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the client marks it so
def test_a_translation_is_asked_for(engine: fanlight.LocalEngine, client: openai.OpenAI) -> None:
    common: dict[str, Any] = {"model": NAME, "temperature": GREEDY, "prompt": "Names: Ann"}
    answer = engine.audio.translations.create(file=sound_file(), response_format="verbose_json", **common)
    assert answer.task == "translate" and answer.language in ("de", "en")
    assert client.audio.translations.create(file=("a.wav", sound_file()), **common).text == answer.text


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"stream": True}, "stream must be false"),
    ({"language": "xx"}, "the language 'xx' is not known; known are de, en"),
    ({"timestamp_granularities": ["word"], "response_format": "verbose_json"}, "words have no times here"),
    ({"timestamp_granularities": ["segment"]}, "needs response_format verbose_json"),
    ({"response_format": "diarized_json"}, "response_format must be one of"),
    ({"temperature": 1.5}, "temperature must be a number between 0 and 1"),
    ({"extra_body": {"chunking_strategy": "auto"}}, "unknown field 'chunking_strategy'"),
)


@pytest.mark.parametrize(("fields", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_is_not_served_is_refused_by_name(fields: dict[str, Any], words: str, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=words):
        client.audio.transcriptions.create(model=NAME, file=("a.wav", sound_file()), **fields)


@pytest.mark.minutes
def test_the_command_says_the_same(
    engine: fanlight.LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FANLIGHT_DEVICE", "reference")
    folder, file = tiny_whisper.make_checkpoint(NAME, tmp_path / NAME), tmp_path / "sound.wav"
    file.write_bytes(sound_file())
    common: dict[str, Any] = {"language": "de", "temperature": GREEDY, "response_format": "srt"}
    more = ["--language", "de", "--temperature", str(GREEDY), "--format", "srt"]
    assert cli.execute(["transcribe", str(folder), str(file), *more]) == 0
    assert capsys.readouterr().out == engine.audio.transcriptions.create(file=file, **common)
    assert cli.execute(["transcribe", str(folder), str(tmp_path / "no.wav")]) == 1


def test_a_model_that_hears_answers_nothing_else(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="writes down what it hears"):
        client.chat.completions.create(model=NAME, messages=[{"role": "user", "content": "Hi"}])
    with pytest.raises(openai.BadRequestError, match="gives text"):
        client.embeddings.create(model=NAME, input="Hi")
