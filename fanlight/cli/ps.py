"""`fanlight ps`: what a server on this machine has loaded, and what it is doing."""

import argparse
import json
import re
import urllib.error
import urllib.request
from typing import Any

from fanlight.cli.model import output, table
from fanlight.errors import SourceError
from fanlight.settings import settings

TIMEOUT_S = 5
NUMBERS = {"running": "sequences_running", "waiting": "sequences_waiting", "tokens": "generated_tokens_total"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the server (default: %(default)s)")
    parser.add_argument("--api-key", metavar="KEY", help="of the server (or FANLIGHT_API_KEY)")


def run(options: argparse.Namespace) -> int:
    key = options.api_key or settings().api_key
    base = options.url.rstrip("/")
    models = json.loads(_get(f"{base}/v1/models", key))["data"]
    metrics = _get(f"{base}/metrics", key).decode()
    shown = table("model", "context", *NUMBERS, numbers=("context", *NUMBERS))
    for model in models:
        values = (_value(metrics, name, model["id"]) for name in NUMBERS.values())
        shown.add_row(model["id"], str(model.get("context_length", "")), *values)
    output().print(shown)
    return 0


def _get(url: str, key: str) -> bytes:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine, as a rule
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S) as answer:
            content: Any = answer.read()
            return content
    except urllib.error.HTTPError as error:
        with error:
            raise SourceError(
                f"the server answered {error.code}", where=url, hint="--api-key" if error.code == 401 else ""
            ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise SourceError(f"no server answers: {reason}", where=url, hint="fanlight serve MODEL, or --url") from None


def _value(metrics: str, name: str, model: str) -> str:
    found = re.search(rf'^fanlight_{name}{{model="{re.escape(model)}"}} (\S+)$', metrics, re.MULTILINE)
    return found[1] if found else "0"
