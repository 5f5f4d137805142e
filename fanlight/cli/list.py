"""`fanlight list`: the models that were downloaded, and what they take on the disk."""

import argparse
import time

from fanlight.cli.kept import kept_models
from fanlight.cli.model import errors, mib, output, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> int:
    models = kept_models()
    shown = table("model", "MiB", "saved", "", numbers=("MiB",))
    for model in models:
        saved = time.strftime("%Y-%m-%d %H:%M", time.localtime(model.saved_at))
        state = f"{mib(model.missing_bytes)} MiB are missing" if model.missing_bytes else ""
        shown.add_row(model.name, mib(model.num_bytes), saved, state)
    if models:
        output().print(shown)
    total = sum(model.num_bytes for model in models)
    errors.print(f"{len(models)} models, {mib(total)} MiB; and built-in, which is always there", style="dim", highlight=False)
    return 0
