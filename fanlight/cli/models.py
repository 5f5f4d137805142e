"""`fanlight models`: the catalogue, or one of somebody's own, with what fits this machine."""

import argparse
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from fanlight import driver
from fanlight.cli.model import at_least, errors, output, table
from fanlight.errors import SourceError
from fanlight.formats.catalogue import CAPABILITIES, CatalogueModel, catalogue, parse_catalogue
from fanlight.formats.download import open_url
from fanlight.formats.source import is_url
from fanlight.formats.store import Store
from fanlight.runtime import read_limits
from fanlight.settings import settings

GB = 1_000_000_000
MOST_BYTES = 16 << 20  # of a catalogue


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="WORD", nargs="*", help="only models that have all of these in their line")
    parser.add_argument("--kind", choices=CAPABILITIES, help="only models that can do this")
    parser.add_argument("--memory", type=at_least(1), metavar="GB", help="of the graphics card: says what fits")
    parser.add_argument("--catalogue", metavar="FILE", help="a file or a URL, instead of Fanlight's own")
    parser.add_argument(
        "--context-length", type=at_least(1), metavar="N", help="tokens that memory is counted for (default: 4096)"
    )
    parser.add_argument("--json", action="store_true", help="the entries as JSON, with bytes")


def run(options: argparse.Namespace) -> int:
    models = read_catalogue(options.catalogue) if options.catalogue else catalogue()
    chosen = [model for model in models if _is_wanted(model, options)]
    memory, said = memory_of(options)
    if options.json:
        output().print_json(data=[_entry(model, options.context_length) for model in chosen])
        return 0
    shown = table("model", "GB", "GPU, GB", "fits", "licence", "good at", numbers=("GB", "GPU, GB"))
    for model in chosen:
        found = model.footprint(options.context_length)
        sizes = ("?", "?") if found is None else (_gigabytes(found.file), _gigabytes(found.total))
        fits = "" if found is None or memory is None else "yes" if found.total <= memory else "no"
        shown.add_row(model.id, *sizes, fits, model.license, model.good_at)
    output().print(shown)
    errors.print(f"{len(chosen)} of {len(models)} models; fanlight run ID. {said}", style="dim", highlight=False)
    return 0


def memory_of(options: argparse.Namespace) -> tuple[int | None, str]:
    """Bytes that a model may take, and in words where they come from. WebGPU does not tell what a graphics card has."""
    if options.memory:
        return options.memory * GB, f"Judged for {options.memory} GB."
    adapter = settings().adapter
    if adapter and (known := read_limits(adapter).memory_bytes):
        return known, f"Judged for the {known / GB:.1f} GB of {adapter}."
    try:
        installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        return None, "What fits is said with --memory GB."
    has = f"this computer's {installed / GB:.0f} GB"
    return installed, f"Judged for {has}: a graphics card with memory of its own may have less (--memory GB)."


def read_catalogue(place: str) -> tuple[CatalogueModel, ...]:
    """From a file or a URL."""
    if is_url(place):
        with tempfile.TemporaryDirectory() as folder:  # not kept: it may be another one tomorrow
            source = driver.run(open_url(place, Store(folder)))
            if source.size > MOST_BYTES:
                raise SourceError(f"is no catalogue: {source.size} bytes", where=place)
            return parse_catalogue(driver.run(source.read(0, source.size)).decode(errors="replace"), place)
    try:
        text = Path(place).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot be read: {error}", where=place) from None
    return parse_catalogue(text, place)


def _gigabytes(size: int) -> str:
    return f"{size / GB:.{1 if size >= GB else 2}f}"


def _is_wanted(model: CatalogueModel, options: argparse.Namespace) -> bool:
    line = " ".join([model.id, model.title, model.maker, model.license, model.good_at, *model.languages]).lower()
    has_kind = options.kind is None or options.kind in model.capabilities
    return has_kind and all(word.lower() in line for word in options.words)


def _entry(model: CatalogueModel, context_length: int | None) -> dict[str, object]:
    found = model.footprint(context_length)
    memory = found and {**asdict(found), "total": found.total}
    return {**asdict(model), "model": model.model, "footprint": memory}
