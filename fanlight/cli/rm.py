"""`fanlight rm`: delete downloaded models."""

import argparse
import sys

from fanlight.cli.kept import find
from fanlight.cli.model import mib
from fanlight.errors import RequestError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", metavar="MODEL", nargs="+", help="as `fanlight list` names it, or its file's name")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(options: argparse.Namespace) -> int:
    for model in [find(name) for name in options.models]:  # all are there, before the first goes
        if not (options.yes or _is_wanted(f"Delete {model.name} ({mib(model.num_bytes)} MiB)?")):
            continue
        model.remove()
        print(f"{model.name}: deleted, {mib(model.num_bytes)} MiB")
    return 0


def _is_wanted(question: str) -> bool:
    if not sys.stdin.isatty():
        raise RequestError(f"{question} There is no terminal to answer on", hint="--yes")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
