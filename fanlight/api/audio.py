"""Sound to text, as OpenAI has it: transcriptions, and translations into English.  Knows no transport.

https://platform.openai.com/docs/api-reference/audio"""

import base64
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fanlight.api.checks import Check, fail, of_type, one_of, read_fields
from fanlight.api.embeddings import NoTokens
from fanlight.api.generation import LoadedModel
from fanlight.api.requests import TEXT
from fanlight.api.sounds import read_sound
from fanlight.api.types import Transcription, TranscriptionSegment
from fanlight.engine.transcriber import Segment, Task, Transcriber
from fanlight.errors import RequestError
from fanlight.models.hearing import RATE

TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"
PATHS = (TRANSCRIPTIONS, TRANSLATIONS)
MAX_PROMPT = 100_000  # characters, of which the model reads the end


def transcriber_of(loaded: LoadedModel) -> Transcriber:
    if not isinstance(loaded.engine, NoTokens) or not isinstance(loaded.engine.other, Transcriber):
        gives = "gives vectors" if isinstance(loaded.engine, NoTokens) else "gives text"
        raise RequestError(f"{loaded.model_name} {gives}, and does not hear", hint="load a Whisper model")
    return loaded.engine.other


# --- requests --------------------------------------------------------------------------------------------------------
def sound(value: Any, name: str) -> bytes:
    """A file's bytes; in JSON as base64."""
    if isinstance(value, str):
        try:
            value = base64.b64decode(value, validate=True)
        except ValueError:  # no base64, or not even ASCII
            raise RequestError(f"{name} must be a file, or its bytes in base64", param=name) from None
    if not isinstance(value, bytes) or not value:
        raise fail(name, "a file that is not empty", value)
    return value


def temperature(value: Any, name: str) -> float:
    """A form has it as text."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise fail(name, "a number between 0 and 1", value)
    return number


def granularities(value: Any, name: str) -> list[str]:
    if value != ["segment"]:
        raise RequestError(f"{name} must be ['segment'], got {value!r:.80}: words have no times here", param=name)
    return ["segment"]


def no_stream(value: Any, name: str) -> bool:
    if value not in (False, "false"):
        raise RequestError(f"{name} must be false: an answer comes as a whole", param=name)
    return False


FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
TRANSLATION: dict[str, Check] = {
    "model": TEXT,
    "file": sound,
    "prompt": of_type(str, "a text"),
    "response_format": one_of(*FORMATS),
    "temperature": temperature,
}
TRANSCRIPTION: dict[str, Check] = {
    **TRANSLATION,
    "language": TEXT,
    "timestamp_granularities": granularities,
    "stream": no_stream,
}


async def answer(loaded: LoadedModel, path: str, body: Any) -> Mapping[str, Any] | str:
    """The text, in the form that is asked for. Raises RequestError."""
    is_translation = path == TRANSLATIONS
    values = read_fields(body, TRANSLATION if is_translation else TRANSCRIPTION)
    form = values.get("response_format", "json")
    if "file" not in values:
        raise RequestError("file is missing", param="file")
    if "timestamp_granularities" in values and form != "verbose_json":
        raise RequestError("timestamp_granularities needs response_format verbose_json", param="timestamp_granularities")
    transcriber, samples = transcriber_of(loaded), read_sound(values["file"])
    if is_translation and not transcriber.hearing.tasks:
        raise RequestError(f"{loaded.model_name} knows English alone, and does not translate", param="model")
    task = Task(
        language=values.get("language"),
        name="translate" if is_translation else "transcribe",
        before=tuple(await _before(loaded, values.get("prompt", ""))),
        temperature=values.get("temperature", 0.0),
    )

    def squeeze(token_ids: list[int]) -> float:
        data = text_of(loaded, token_ids).encode()
        return len(data) / len(zlib.compress(data)) if data else 0.0

    found = [segment async for segment in transcriber.transcribe(samples, task, squeeze, loaded.pause)]
    texts = [text_of(loaded, segment.token_ids) for segment in found]
    segments: Segments = []
    for segment, text in zip(found, texts, strict=True):
        if text.strip():
            segments.append(_segment(len(segments), segment, text))
    language = next((segment.language for segment in found if segment.language), None)
    return FORM[form](segments, language or task.language or "en", task.name, len(samples) / RATE)


async def _before(loaded: LoadedModel, prompt: str) -> list[int]:
    text = prompt.strip()[-MAX_PROMPT:]
    return await loaded.tokenizer.encode(f" {text}", add_special_tokens=False) if text else []


def text_of(loaded: LoadedModel, token_ids: Iterable[int]) -> str:
    """Of the tokens that are text: those before the token that ends one."""
    end = transcriber_of(loaded).hearing.transcript.end
    return loaded.tokenizer.decode([i for i in token_ids if i < end])


# --- answers ---------------------------------------------------------------------------------------------------------
def _segment(number: int, segment: Segment, text: str) -> TranscriptionSegment:
    return {
        "id": number,
        "seek": segment.seek,
        "start": round(segment.start, 2),
        "end": round(segment.end, 2),
        "text": text,
        "tokens": segment.token_ids,
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }


Segments = list[TranscriptionSegment]


def _text(segments: Segments) -> str:
    return "".join(segment["text"] for segment in segments).strip()


def _json(segments: Segments, language: str, task: str, seconds: float) -> Transcription:
    return {"text": _text(segments), "usage": {"type": "duration", "seconds": int(seconds + 0.999)}}


def _verbose(segments: Segments, language: str, task: str, seconds: float) -> Transcription:
    whole = _json(segments, language, task, seconds)
    return {"task": task, "language": language, "duration": seconds, "segments": segments, **whole}


def _plain(segments: Segments, language: str, task: str, seconds: float) -> str:
    return f"{_text(segments)}\n"


def _srt(segments: Segments, language: str, task: str, seconds: float) -> str:
    """https://www.matroska.org/technical/subtitles.html"""
    return "".join(f"{i}\n{_times(s, ',', True)}\n{_line(s)}\n\n" for i, s in enumerate(segments, 1))


def _vtt(segments: Segments, language: str, task: str, seconds: float) -> str:
    """https://www.w3.org/TR/webvtt1/"""
    return "WEBVTT\n\n" + "".join(f"{_times(s, '.', False)}\n{_line(s)}\n\n" for s in segments)


def _line(segment: TranscriptionSegment) -> str:
    """An arrow would begin another one's times."""
    return segment["text"].strip().replace("-->", "->")


def _times(segment: TranscriptionSegment, point: str, has_hours: bool) -> str:
    return " --> ".join(_time(segment[edge], point, has_hours) for edge in ("start", "end"))


def _time(seconds: float, point: str, has_hours: bool) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    hours, rest = divmod(whole, 3600)
    start = f"{hours:02d}:" if hours or has_hours else ""
    return f"{start}{rest // 60:02d}:{rest % 60:02d}{point}{milliseconds:03d}"


FORM: dict[str, Callable[[Segments, str, str, float], Transcription | str]] = {
    "json": _json,
    "verbose_json": _verbose,
    "text": _plain,
    "srt": _srt,
    "vtt": _vtt,
}
