"""`fanlight serve`: the HTTP server, for one model or several on one device; without a model, the chat page alone, which runs
models in the browser: those that are offered here (--offer), and others."""

import argparse
import ipaddress
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from fanlight import driver
from fanlight.api.generation import LoadedModel
from fanlight.api.models import Models
from fanlight.api.python import open_adapter, open_loaded
from fanlight.cli.model import add_model_arguments, at_least, errors, load_options, opened
from fanlight.errors import RequestError
from fanlight.formats.resolve import resolve_model
from fanlight.formats.source import FileSource
from fanlight.settings import settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser, several=True)
    parser.add_argument(
        "--name", action="append", help="a model's name in requests (default: from its file); one for each model"
    )
    parser.add_argument("--strict-model", action="store_true", help="refuse requests that name another model (404)")
    parser.add_argument(
        "--offer",
        action="append",
        default=[],
        metavar="MODEL",
        help="a GGUF model that the page may run in the visitor's browser, from this server; repeatable",
    )
    add = parser.add_argument_group("where it listens").add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)")
    add("--port", type=port, default=8000, metavar="N", help="0 takes a free one (default: %(default)s)")
    add = parser.add_argument_group("who may ask").add_argument
    add(
        "--api-key",
        action="append",
        metavar="KEY",
        help="wanted of everybody, as a bearer token; repeatable (or FANLIGHT_API_KEY)",
    )
    several: dict[str, Any] = {"action": "append", "default": []}
    add("--allow-host", metavar="NAME", help="another name of this server; * for any; repeatable", **several)
    add("--allow-origin", metavar="ORIGIN", help="let pages of this site ask; * for all; repeatable", **several)
    add = parser.add_argument_group("limits").add_argument
    add("--request-timeout", type=seconds, default=3600, metavar="S", help="for an answer (default: %(default)s)")
    add("--max-body-bytes", type=at_least(1), default=8 << 20, metavar="N", help="of a request (default: %(default)s)")
    add("--shutdown-timeout", type=seconds, default=30, metavar="S", help="for answers to finish (default: %(default)s)")
    parser.add_argument("--access-log", action="store_true", help="a line on stderr for each request")


def port(text: str) -> int:
    number = at_least(0)(text)
    if number > 65535:
        raise argparse.ArgumentTypeError("ports end at 65535")
    return number


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return number


def run(options: argparse.Namespace) -> int:
    from fanlight.api.listen import bind

    keys = tuple(options.api_key or filter(None, [settings().api_key]))
    if not keys and not is_loopback(options.host):
        text = (
            f"WARNING: {options.host} is open to the network, and there is no --api-key: whoever reaches this port may use it"
        )
        print(text, file=sys.stderr)
    with bind(options.host, options.port) as listener:  # before the model loads: a port that is taken is known now
        offered = [path for model in options.offer for path in offered_files(model)]
        if not options.models:
            return _serve(options, listener, keys, None, offered, lambda at: f"chat page at {at}")
        with ExitStack() as stack:
            models, files = _open_all(options, stack)
            files += [path for path in offered if path not in files]
            names = ", ".join(place.name for place in models)
            return _serve(options, listener, keys, models, files, lambda at: f"{names} at {at}  (API: {at}/v1)")


def _open_all(options: argparse.Namespace, stack: ExitStack) -> tuple[Models, list[Path]]:
    """In turn, on one device; what is missing is said before the first is loaded."""
    names = options.name or [None] * len(options.models)
    if len(names) != len(options.models):
        raise RequestError(
            f"{len(names)} names for {len(options.models)} models", hint="a --name for each, or none", param="name"
        )
    found = [driver.run(resolve_model(model)) for model in options.models]
    files = [Path(source.name) for sources in found for source in sources if isinstance(source, FileSource)]
    adapter = open_adapter() if len(found) > 1 else None
    models = Models()
    for model, name, sources in zip(options.models, names, found, strict=True):
        options.model, options.name = model, name
        loaded = stack.enter_context(opened(options, sources, adapter))
        models.add(loaded, partial(open_loaded, model, load_options(options), adapter))
    if options.strict_model or len(found) > 1:
        models.set_up(_be_strict)
    return models, files


def offered_files(model: str) -> list[Path]:
    """What the page loads by one address: a GGUF file, or all parts of one."""
    sources = driver.run(resolve_model(model))
    paths = [Path(source.name) for source in sources if isinstance(source, FileSource)]
    if len(paths) < len(sources) or not all(path.suffix == ".gguf" for path in paths):
        hint = "a GGUF file; what a URL gives is kept by `fanlight pull`, but the page loads it from there itself"
        raise RequestError(f"--offer {model} is no GGUF file on this disk", hint=hint, param="offer")
    return paths


def _be_strict(loaded: LoadedModel) -> None:
    loaded.is_strict = True


def _serve(
    options: argparse.Namespace,
    listener: socket.socket,
    keys: tuple[str, ...],
    loaded: Any,
    files: list[Path],
    words: Callable[[str], str],
) -> int:
    from fanlight.api.access import Access
    from fanlight.api.answers import Work
    from fanlight.api.listen import serve
    from fanlight.api.server import make_app

    access = Access(keys, (options.host, *options.allow_host), tuple(options.allow_origin))
    work = Work(options.request_timeout, options.max_body_bytes)
    log = (lambda line: print(line, file=sys.stderr)) if options.access_log else None
    app = make_app(loaded, access=access, work=work, model_files=files, log_access=log)
    name = f"[{options.host}]" if ":" in options.host else options.host
    address = f"http://{name}:{listener.getsockname()[1]}"
    on_ready = lambda: errors.print(words(address), highlight=False, soft_wrap=True)  # noqa: E731
    serve(app, work, listener, on_ready, options.shutdown_timeout)
    return 0


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
