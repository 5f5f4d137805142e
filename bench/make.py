"""The random models on disk: `python -m bench make llama1b:Q4_0 llama1b:onnx`. Made once, kept under bench/work/models."""

import argparse
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from bench.machine import ROOT
from bench.shapes import SHAPES

WORK = ROOT / "bench" / "work"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench make", description=__doc__.splitlines()[0])
    parser.add_argument(
        "models", nargs="+", metavar="SHAPE:FORMAT", help=f"shapes: {', '.join(SHAPES)}; formats: GGUF's, or onnx"
    )
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args(arguments)
    for model in options.models:
        shape, _, format = model.partition(":")
        start = time.perf_counter()
        path = make_onnx(shape, options.work) if format == "onnx" else make_gguf(shape, format, options.work)
        print(f"{path}: {time.perf_counter() - start:.1f} s")
    return 0


def make_gguf(shape: str, format: str, work: Path) -> Path:
    from bench.random_gguf import write_random_gguf

    return gguf_of(shape, format, work, write_random_gguf)


def gguf_of(shape: str, format: str, work: Path, write: Callable[[str, str, Path], None]) -> Path:
    """Whole, or not there."""
    path = work / "models" / f"{shape}-{format.lower()}.gguf"
    if not path.is_file():
        partial = path.with_suffix(".partial")
        write(shape, format, partial)
        partial.rename(path)
    return path


def make_onnx(shape: str, work: Path) -> Path:
    """A folder, as Transformers.js wants it."""
    from bench.random_onnx import write_random_onnx

    return onnx_of(shape, work, write_random_onnx)


def onnx_of(shape: str, work: Path, write: Callable[[str, Path], None]) -> Path:
    """A folder, whose last file is its config.json."""
    path = work / "models" / f"{shape}-onnx"
    if not (path / "config.json").is_file():
        write(shape, path)
    return path


@cache
def read_per_token_of(shape: str, format: str) -> int:
    from bench.random_gguf import read_per_token

    return read_per_token(SHAPES[shape], format)
