"""Every setting that comes from the environment, and the only file that reads it; in a page the same names arrive as options.

Settings are passed on, never imported: `settings()` is called where a program starts.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import Field, dataclass, field, fields
from functools import cache
from typing import Any

from fanlight.errors import RequestError

PREFIX = "FANLIGHT_"
ONCE_BARE = frozenset({"debug", "device", "adapter", "notes", "check", "tune"})  # settings that had no prefix before
DEVICES = ("browser" if sys.platform == "emscripten" else "native", "null", "reference")


def _whole(text: str) -> int:
    return int(text)


def _device(text: str) -> str:
    if text not in DEVICES:
        raise ValueError(f"expected one of {', '.join(DEVICES)}")
    return text


def _check(text: str) -> int:
    if text not in ("0", "2"):
        raise ValueError("expected 0 or 2")
    return int(text)


def _setting(default: Any, help: str, parse: Any = str) -> Any:
    return field(default=default, metadata={"help": help, "parse": parse})


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is the environment variable of the same name in capitals, after FANLIGHT_."""

    debug: int = _setting(0, "1 prints the memory plan also where stderr is no terminal", _whole)
    device: str = _setting(DEVICES[0], f"{', '.join(DEVICES[:-1])} or {DEVICES[-1]}; never chosen for you", _device)
    adapter: str = _setting("", "a file of limits (fanlight doctor --json): compile for that adapter instead of this one")
    notes: str = _setting("~/.cache/fanlight", "the folder for what is found out about adapters at their first use")
    store: str = _setting("~/.cache/fanlight/models", "the folder for models that were downloaded from URLs")
    check: int = _setting(0, "2 also runs each launch in NumPy and stops at the first that differs; slow", _check)
    api_key: str = _setting("", "what fanlight serve wants of who asks, if --api-key says nothing")
    fetch_images: int = _setting(0, "1 fetches http(s) addresses of pictures in requests; else they come as data: URLs", _whole)
    tune: int = _setting(1, "0 takes kernels' parameters from the table alone and times nothing", _whole)


def settings(environment: Mapping[str, str] | None = None) -> Settings:
    """From the environment, or from what stands for it."""
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for item in fields(Settings):
        text = environment.get(PREFIX + item.name.upper(), "")
        if not text:
            _warn_of_bare_name(item, environment.get(item.name.upper(), ""))
            continue
        try:
            values[item.name] = item.metadata["parse"](text)
        except ValueError as error:
            raise RequestError(
                f"{PREFIX}{item.name.upper()}={text!r}: {error}; {item.metadata['help']}", param=item.name
            ) from None
    return Settings(**values)


def hub_access(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The hub's address and the user's token, from where huggingface_hub takes them natively; for a page, where it is not."""
    environment = os.environ if environment is None else environment
    names = {"hub": "HF_ENDPOINT", "token": "HF_TOKEN"}
    return {name: environment[variable] for name, variable in names.items() if environment.get(variable)}


def _warn_of_bare_name(item: Field[Any], text: str) -> None:
    """The names had no prefix once. Other programs read such names too: what could not be meant for us is passed over."""
    if not text or item.name not in ONCE_BARE:
        return
    with suppress(ValueError):
        item.metadata["parse"](text)
        _warn(item.name.upper())


@cache
def _warn(name: str) -> None:
    """Once a process."""
    print(f"fanlight: {name} is not read: it is called {PREFIX}{name} now", file=sys.stderr)


def documentation() -> list[tuple[str, str, str]]:
    """Name, default and meaning of every setting, for --help and the docs."""
    return [(PREFIX + item.name.upper(), str(item.default), item.metadata["help"]) for item in fields(Settings)]
