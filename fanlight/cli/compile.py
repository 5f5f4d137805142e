"""`fanlight compile`: the Program of a model for one adapter, as files."""

import argparse
import json
from pathlib import Path

from fanlight.cli.model import add_limits_argument, add_model_arguments, compiled, errors, mib
from fanlight.compiler.memory import memory_plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    add_limits_argument(parser)
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="DIR", help="folder for program.json and kernels/*.wgsl"
    )


def run(options: argparse.Namespace) -> int:
    program, _ = compiled(options)
    folder: Path = options.output
    (folder / "kernels").mkdir(parents=True, exist_ok=True)
    (folder / "program.json").write_text(program.to_json(), encoding="utf-8")
    for kernel in program.kernels:
        (folder / "kernels" / f"{kernel.name}.wgsl").write_text(kernel.wgsl, encoding="utf-8")
    plan = memory_plan(program.buffers)
    (folder / "memory.json").write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")
    steps, kernels = len(program.steps), len(program.kernels)
    errors.print(f"{folder}: {kernels} kernels, {steps} steps, {mib(plan['total'])} MiB on the GPU", highlight=False)
    return 0
