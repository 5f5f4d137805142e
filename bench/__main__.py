"""`python -m bench VERB ...`: one file per verb, each with `main(arguments)`."""

import importlib
import sys

VERBS = ("run", "make", "report", "profile", "quality", "check", "grammar", "soak", "compile", "structured", "logprobs")
VERBS += ("embeddings", "cuts")


def main() -> int:
    verb, *arguments = sys.argv[1:] or [""]
    if verb not in VERBS:
        print(f"usage: python -m bench {{{','.join(VERBS)}}} ...", file=sys.stderr)
        return 2
    return importlib.import_module(f"bench.{verb}").main(arguments) or 0


if __name__ == "__main__":
    sys.exit(main())
