"""What verbs share that take a MODEL: its arguments, opening it with a progress bar, tables.  Knows rich; knows no verb."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from fanlight import driver
from fanlight.api.generation import LoadedModel
from fanlight.api.load import DEFAULT_NUM_SEQS, LoadOptions
from fanlight.api.python import open_loaded
from fanlight.compiler.program import KV_TYPES, Limits, Program
from fanlight.engine.load import compile_model
from fanlight.formats.checkpoint import Checkpoint, open_checkpoint
from fanlight.formats.resolve import BUILT_IN, resolve_model
from fanlight.formats.source import Source
from fanlight.models import Model, open_model
from fanlight.runtime import open_device, read_limits
from fanlight.runtime.adapter import Adapter
from fanlight.settings import settings

PHASES = {
    "header": "reading the header",
    "compile": "compiling",
    "pipelines": "making pipelines",
    "tune": "tuning",
    "check": "checking kernels",
    "replace": "replacing kernels",
    "weights": "loading weights",
    "ready": "ready",
}

errors = Console(stderr=True)  # progress and remarks; stdout is for results


def add_model_arguments(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    kinds = "a file, a folder, a URL, a hub id, an id of the catalogue or built-in"
    if several:
        parser.add_argument("models", metavar="MODEL", nargs="*", help=f"{kinds}; without one, only the chat page")
    else:
        parser.add_argument("model", metavar="MODEL", help=kinds)
        parser.add_argument("--mmproj", metavar="FILE", help="a GGUF model's encoder, for pictures or sounds")
    parser.add_argument(
        "--context-length", type=at_least(1), metavar="N", help="tokens of a conversation (default: what fits, up to 4096)"
    )
    parser.add_argument(
        "--max-num-seqs",
        type=at_least(1),
        default=DEFAULT_NUM_SEQS,
        metavar="N",
        help="sequences that run at once (default: %(default)s)",
    )
    add = parser.add_argument
    add(
        "--activations",
        choices=("int8", "f32"),
        help="of products; f32 is slower and exact, and the default of embedding models",
    )
    add(
        "--lora",
        action="append",
        default=[],
        dest="loras",
        metavar="PATH",
        help="a LoRA beside the model: a PEFT folder or a GGUF file; several times for several (docs/lora.md)",
    )
    add("--kv-dtype", choices=tuple(KV_TYPES), default="f16", help="of keys and values in the cache (default: %(default)s)")


def at_least(least: int) -> Callable[[str], int]:
    """For arguments that are whole numbers: what is none is said before anything is loaded."""

    def whole(text: str) -> int:
        if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 12 or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return int(text)

    return whole


def load_options(options: argparse.Namespace) -> LoadOptions:
    name = getattr(options, "name", None) or (BUILT_IN if options.model == BUILT_IN else None)
    exact = {"activations": options.activations, "kv_dtype": options.kv_dtype}
    return LoadOptions(options.context_length, options.max_num_seqs, name, **exact, loras=options.loras)


@contextmanager
def opened(
    options: argparse.Namespace, sources: Sequence[Source] | None = None, device: Adapter | None = None
) -> Iterator[LoadedModel]:
    """The model, loaded on the device; closed afterwards."""
    talks = errors.is_terminal or settings().debug >= 1
    with loading() as on_progress:
        loaded = driver.run(
            open_loaded(
                sources or model_of(options),
                load_options(options),
                device,
                on_progress=on_progress,
                on_plan=_print_plan if talks else None,
            )
        )
    try:
        yield loaded
    finally:
        loaded.close()


def model_of(options: argparse.Namespace) -> Any:
    """With the file of its vision encoder, where that is named."""
    tower = getattr(options, "mmproj", None)
    return options.model if tower is None else [options.model, tower]


def _print_plan(plan: dict[str, int], context_length: int) -> None:
    """What the device will hold, before anything is downloaded to it."""
    parts = ", ".join(f"{kind} {mib(size)}" for kind, size in plan.items() if kind != "total")
    line = f"{mib(plan['total'])} MiB of GPU memory ({parts}); context of {context_length} tokens"
    errors.print(line, style="dim", highlight=False, markup=False)


@contextmanager
def loading() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("opening", total=None)

        def on_progress(phase: str, done: int, total: int) -> None:
            is_bytes = phase == "weights"
            progress.update(
                task, description=PHASES.get(phase, phase), completed=done if is_bytes else 0, total=total if is_bytes else None
            )

        yield on_progress


@contextmanager
def steps(description: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar over things of one kind; call what it gives after each."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task(description, total=total)
        yield lambda: progress.advance(task)


@dataclass(frozen=True, slots=True)
class Described:
    """A model that was read but not loaded."""

    checkpoint: Checkpoint
    model: Model


def read_checkpoint(options: argparse.Namespace) -> Checkpoint:
    with loading():
        return driver.run(_read_checkpoint(options.model))


async def _read_checkpoint(model: str) -> Checkpoint:
    return await open_checkpoint(await resolve_model(model))


def describe(options: argparse.Namespace) -> Described:
    checkpoint = read_checkpoint(options)
    return Described(checkpoint, driver.run(open_model(checkpoint)))


def add_limits_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limits",
        metavar="FILE",
        help="compile for this adapter's limits (from fanlight doctor --json); default: this machine's",
    )


def chosen_limits(options: argparse.Namespace) -> Limits:
    """Of --limits, of FANLIGHT_ADAPTER, or of the device."""
    chosen = settings()
    if path := options.limits or chosen.adapter:
        return read_limits(path)
    device = open_device(chosen.device)
    try:
        return device.limits
    finally:
        device.close()


def compiled(options: argparse.Namespace) -> tuple[Program, Limits]:
    model, limits = describe(options).model, chosen_limits(options)
    return compile_model(model, limits, load_options(options)), limits


def table(*columns: str, numbers: Sequence[str] = (), title: str | None = None) -> Table:
    made = Table(title=title, box=None, header_style="bold", title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return made


def output() -> Console:
    """For results. Not a terminal means a file or a program: then lines are not cut to a width."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200, no_color=True)


def mib(size: int) -> str:
    return f"{size / (1 << 20):,.1f}"


def shown(value: Any, limit: int = 80) -> str:
    """A value on one line; long lists by their length."""
    if isinstance(value, (list, tuple)) and len(value) > 8:
        return f"{len(value)} values: {shown(list(value[:4]), limit)}"
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
