"""`fanlight serve`: the HTTP server, for one model; without a model, the chat page alone, which runs models in the browser."""

import argparse
from pathlib import Path

from fanlight import driver
from fanlight.cli.model import add_model_arguments, errors, opened
from fanlight.formats.resolve import resolve_model
from fanlight.formats.source import FileSource


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser, optional=True)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--name", help="the model's name in requests (default: from its file)")
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this origin ask; * for all; repeatable",
    )


def run(options: argparse.Namespace) -> int:
    from fanlight.api.server import serve

    address = f"http://[{options.host}]" if ":" in options.host else f"http://{options.host}"
    if options.model is None:
        serve(None, options.host, options.port, lambda port: errors.print(f"chat page at {address}:{port}", highlight=False))
        return 0
    sources = driver.run(resolve_model(options.model))
    files = [Path(source.name) for source in sources if isinstance(source, FileSource)]
    with opened(options, sources) as loaded:

        def on_ready(port: int) -> None:
            errors.print(f"{loaded.model_name} at {address}:{port}  (API: {address}:{port}/v1)", highlight=False)

        serve(loaded, options.host, options.port, on_ready, allow_origins=options.allow_origin, model_files=files)
    return 0
