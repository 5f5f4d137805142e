"""`fanlight search`: models on the hub, by the words in their names."""

import argparse

from fanlight.cli.model import at_least, output, table
from fanlight.formats.hub import search_models

LIMIT = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="WORDS", nargs="+", help="that the name has")
    parser.add_argument("--limit", type=at_least(1), default=LIMIT, metavar="N", help="at most so many (default: %(default)s)")
    parser.add_argument("--format", choices=("gguf", "safetensors"), default="gguf", help="of the files (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    found = search_models(" ".join(options.words), options.limit, options.format)
    listed = table("MODEL", "DOWNLOADS", "LICENCE", "", numbers=("DOWNLOADS",))
    for model in found:
        listed.add_row(model.id, f"{model.downloads:,}", model.licence or "", "asks for consent first" if model.gated else "")
    output().print(listed)
    return 0
