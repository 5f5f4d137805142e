"""`fanlight run`: a chat in the terminal, or the answer to one prompt (an argument, or stdin), as text or as JSON."""

import argparse
import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fanlight.api.python import LocalEngine, Record
from fanlight.cli.model import add_model_arguments, errors, opened
from fanlight.errors import RequestError, SourceError

SAMPLING = {"max_tokens": int, "temperature": float, "top_p": float, "top_k": int, "min_p": float, "seed": int}
HELP = "/clear forgets the conversation, /exit or Ctrl-D leaves, Ctrl-C stops an answer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("text", metavar="PROMPT", nargs="?", help="answer this and leave; - reads it from stdin")
    parser.add_argument("--prompt", metavar="TEXT", help="the same")
    parser.add_argument("--system", metavar="TEXT", help="the system message")
    parser.add_argument(
        "--image", metavar="FILE", action="append", default=[], help="a picture beside the prompt; several may be"
    )
    parser.add_argument(
        "--audio",
        metavar="FILE",
        action="append",
        default=[],
        help="a sound beside the prompt; several may be",
    )
    parser.add_argument("--raw", action="store_true", help="continue the prompt as it is, without the chat template")
    for name, kind in SAMPLING.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N")
    parser.add_argument("--ignore-eos", action="store_true", help="go on until --max-tokens")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one object: text, prompt_token_ids, token_ids, finish_reason, usage, timings",
    )


def run(options: argparse.Namespace) -> int:
    options.prompt = prompt_of(options)
    if options.prompt is None and (options.json or options.raw):
        raise RequestError("--json and --raw need a prompt", param="prompt")
    if options.raw and options.system:
        raise RequestError("--raw knows no --system", param="system")
    for name in ("image", "audio"):
        if getattr(options, name) and (options.raw or options.prompt is None):
            raise RequestError(f"--{name} goes with a prompt, and not with --raw", param=name)
    with opened(options) as loaded:
        engine = LocalEngine(loaded)
        if options.prompt is None:
            chat(engine, options)
        else:
            answer(engine, options)
    return 0


def prompt_of(options: argparse.Namespace) -> str | None:
    """None where somebody sits at a terminal and gave none. What is piped in is one prompt."""
    if options.text is not None and options.prompt is not None:
        raise RequestError("there are two prompts: give PROMPT or --prompt", param="prompt")
    given: str | None = options.text if options.prompt is None else options.prompt
    if given != "-" and (given is not None or sys.stdin.isatty()):
        return given
    try:
        text = sys.stdin.read()
    except UnicodeDecodeError as error:
        raise RequestError(f"the prompt on stdin is no text: {error.reason} at byte {error.start}", param="prompt") from None
    if not text.strip():
        raise RequestError("the prompt on stdin is empty", hint="a prompt as an argument, or a terminal", param="prompt")
    return text


def sampling(options: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(options, name) for name in SAMPLING if getattr(options, name) is not None}
    return given | ({"ignore_eos": True} if options.ignore_eos else {})


def answer(engine: LocalEngine, options: argparse.Namespace) -> None:
    request: dict[str, Any] = {**sampling(options), "stream": True, "return_token_ids": True}
    request["stream_options"] = {"include_usage": True}
    if options.raw:
        # Without a limit an answer goes on to its end, as in a chat.
        room = engine.loaded.engine.context_length
        chunks = engine.completions.create(prompt=options.prompt, **{"max_tokens": room, **request})
    else:
        system = [{"role": "system", "content": options.system}] if options.system is not None else []
        message = {"role": "user", "content": content_of(options.prompt, options.image, options.audio)}
        chunks = engine.chat.completions.create(messages=[*system, message], **request)
    result = Result()
    for text in result.read(chunks):
        if not options.json:
            print(text, end="", flush=True)
    print(json.dumps(result.to_dict(), ensure_ascii=False) if options.json else "")


def content_of(prompt: str, images: list[str], sounds: list[str]) -> str | list[dict[str, Any]]:
    """images, sounds: files, which stand before the prompt."""
    if not images and not sounds:
        return prompt
    files = [("image_url", file) for file in images] + [("audio_url", file) for file in sounds]
    parts: list[dict[str, Any]] = [{"type": kind, kind: {"url": _data_url(file)}} for kind, file in files]
    return [*parts, {"type": "text", "text": prompt}]


def _data_url(file: str) -> str:
    try:
        return f"data:;base64,{base64.b64encode(Path(file).expanduser().read_bytes()).decode()}"
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=file) from error


class Result:
    """An answer, put together from its chunks."""

    def __init__(self) -> None:
        self.text = ""
        self.token_ids: list[int] = []
        self.prompt_token_ids: list[int] = []
        self.finish_reason: str | None = None
        self.usage: dict[str, Any] = {}
        self.timings: dict[str, Any] = {}

    def read(self, chunks: Any) -> Iterator[str]:
        """Its texts, one by one."""
        with chunks:
            for chunk in chunks:
                self.prompt_token_ids = chunk.get("prompt_token_ids", self.prompt_token_ids)
                self.usage, self.timings = chunk.get("usage") or {}, chunk.get("timings", {})
                for choice in chunk.choices:
                    self.token_ids += choice.get("token_ids", [])
                    self.finish_reason = choice.finish_reason or self.finish_reason
                    if text := text_of(choice):
                        self.text += text
                        yield text

    def to_dict(self) -> dict[str, Any]:
        names = ("text", "prompt_token_ids", "token_ids", "finish_reason", "usage", "timings")
        return {name: getattr(self, name) for name in names}


def text_of(choice: Record) -> str:
    return choice.text if "text" in choice else choice.delta.get("content", "")


# --- chat ------------------------------------------------------------------------------------------------------------
def chat(engine: LocalEngine, options: argparse.Namespace) -> None:
    _edit_lines()
    first = [{"role": "system", "content": options.system}] if options.system is not None else []
    messages: list[dict[str, str]] = [*first]
    errors.print(f"{engine.loaded.model_name}. {HELP}.", style="dim", highlight=False)
    while (text := _ask()) is not None:
        if text == "/exit":
            return
        if text == "/clear":
            messages = [*first]
        elif text.startswith("/"):
            errors.print(HELP, style="dim", highlight=False)
        elif text:
            messages.append({"role": "user", "content": text})
            _answer_turn(engine, options, messages)


def _answer_turn(engine: LocalEngine, options: argparse.Namespace, messages: list[dict[str, str]]) -> None:
    """Adds the answer to the messages, also one that was stopped; after an error takes the question back."""
    result = Result()
    try:
        request = {**sampling(options), "stream": True, "stream_options": {"include_usage": True}}
        for text in result.read(engine.chat.completions.create(messages=messages, **request)):
            print(text, end="", flush=True)
        print()
        errors.print(summary(result), style="dim", highlight=False)
    except KeyboardInterrupt:
        print()
    except RequestError as error:
        errors.print(str(error), style="red", highlight=False, markup=False)
        messages.pop()
        return
    messages.append({"role": "assistant", "content": result.text})


def summary(result: Result) -> str:
    numbers = {
        "tokens": result.usage.get("completion_tokens"),
        "ms to the first": result.timings.get("ttft_ms"),
        "tokens/s": result.timings.get("decode_tps"),
    }
    return ", ".join(f"{value:,.0f} {name}" for name, value in numbers.items() if value is not None)


def _ask() -> str | None:
    """None at the end of input."""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None


def _edit_lines() -> None:
    """Line editing and history, where Python has them."""
    try:
        import readline  # noqa: F401  (importing it is what changes input())
    except ImportError:
        pass
