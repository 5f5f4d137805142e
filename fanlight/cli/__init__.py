"""The command `fanlight`: one file per verb, each with `add_arguments` and `run`.  Native only.

Results go to stdout, everything else to stderr. The status is 0; 1 after an error that Fanlight raises on purpose, which is
text on stderr; 2 where the arguments are wrong; 130 after Ctrl-C.
"""

import argparse
import importlib
import os
import sys
from collections.abc import MutableSequence, Sequence
from types import ModuleType

from fanlight import __version__
from fanlight.errors import FanlightError
from fanlight.settings import documentation

VERBS = {
    "run": "chat with a model in the terminal, or answer one prompt",
    "transcribe": "the text of a sound, by a model that hears",
    "serve": "OpenAI's HTTP API, and the chat page",
    "models": "the catalogue: well-known models, their size and licence, and what fits",
    "search": "find models on the hub",
    "pull": "download a model",
    "verify": "see whether a model's files are the ones that were signed",
    "quantize": "write a GGUF file's weights in a smaller format",
    "list": "the downloaded models",
    "rm": "delete downloaded models",
    "ps": "what a server on this machine has loaded",
    "compile": "write the Program that runs a model: kernels, launches, memory",
    "show": "config, tensors, prompt, graph, passes, kernels or memory of a model, as text",
    "kernel": "compare a kernel with NumPy on this machine, then time it",
    "bench": "measure prefill and decode",
    "doctor": "what this machine offers, and whether it computes correctly",
}
# What words after an option are of: argparse takes them for none before Python 3.13, where there may be fewer of them.
LAST_WORDS = {"run": "text", "serve": "models", "models": "words"}
INTERRUPTED = 130  # what shells expect after Ctrl-C


def main(arguments: Sequence[str] | None = None) -> None:
    sys.exit(execute(sys.argv[1:] if arguments is None else arguments))


def execute(arguments: Sequence[str]) -> int:
    """The exit status."""
    options = _parsed(arguments)
    try:
        return _verb(options.verb).run(options) or 0
    except FanlightError as error:
        print(f"fanlight: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `fanlight show ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser(arguments)
    options, rest = parser.parse_known_args(arguments)
    name = LAST_WORDS.get(options.verb, "")
    given = getattr(options, name, ())
    if any(word.startswith("-") and word != "-" for word in rest) or (
        rest and not (isinstance(given, MutableSequence) or given is None)
    ):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if isinstance(given, MutableSequence):
        given += rest
    elif len(rest) == 1:
        setattr(options, name, rest[0])
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest[1:])}")
    return options


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    variables = "\n".join(f"  {name:16} {help} (default: {default or 'none'})" for name, default, help in documentation())
    parser = argparse.ArgumentParser(
        prog="fanlight",
        description="Large language models on WebGPU.",
        epilog="MODEL is a file, a folder, a URL, a hub id (owner/repo or owner/repo:Q4_K_M), an id of the catalogue\n"
        "(fanlight models) or built-in.\n\n"
        f"environment variables:\n{variables}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fanlight {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, help in VERBS.items():
        added = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        if name in arguments or "-h" in arguments or "--help" in arguments:  # the others' arguments are of no use now
            _verb(name).add_arguments(added)
    return parser


def _verb(name: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.{name}")
