"""`fanlight transcribe`: the text of a sound, plain, with times, or as subtitles."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from fanlight.api.audio import FORMATS
from fanlight.api.python import LocalEngine
from fanlight.cli.model import add_model_arguments, opened
from fanlight.errors import SourceError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("sound", metavar="FILE", help="a sound file (docs/audio.md: of which kinds); - reads it from stdin")
    parser.add_argument("--language", metavar="CODE", help="such as en; as it is heard where it is not given")
    parser.add_argument("--translate", action="store_true", help="into English")
    parser.add_argument("--prompt", metavar="TEXT", help="what went before, or words that may come")
    parser.add_argument("--temperature", type=float, metavar="N")
    parser.add_argument("--format", choices=FORMATS, default="text", help="text, json, verbose_json with times, srt or vtt")


def run(options: argparse.Namespace) -> int:
    given = {name: getattr(options, name) for name in ("language", "prompt", "temperature")}
    body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    body |= {"file": read(options.sound), "response_format": options.format}
    with opened(options) as loaded:
        audio = LocalEngine(loaded).audio
        answer = (audio.translations if options.translate else audio.transcriptions).create(**body)
    sys.stdout.write(answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False) + "\n")
    return 0


def read(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).expanduser().read_bytes()
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=path) from error
