"""What python.py needs of where it runs, in a Python that a page booted: a GPU, models' files, notes, a way to wait.  native.py
has the same names.  Our own page boots its Python itself, and asks worker.py."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from fanlight import runtime
from fanlight.api.generation import no_pause
from fanlight.api.pictures import Reader
from fanlight.api.thread import Items
from fanlight.compiler.program import Limits
from fanlight.errors import RequestError, SourceError
from fanlight.formats.hub_choice import parse_hub_id
from fanlight.formats.source import Source, is_url
from fanlight.runtime.adapter import Adapter
from fanlight.runtime.adapter_notes import AdapterNotes, open_notes
from fanlight.runtime.browser import BrowserAdapter, JsReader
from fanlight.runtime.device import Device
from fanlight.runtime.javascript import at_url, in_hub, is_page_file, of_files, open_javascript, page_file, run
from fanlight.settings import hub_access
from fanlight.text.tokenizer import BrowserEncoder, MakeEncoder

__all__ = ["Waiter", "encoders", "notes_of", "open_adapter", "opened", "pause", "reader", "run"]

T = TypeVar("T")

pause = no_pause
EXPECTED = (
    "a URL, a hub id such as owner/repo or owner/repo:Q4_K_M, an id of the catalogue, 'built-in', a file or a folder of"
    " Python's file system, bytes, opened files or files of the page"
)


class Waiter:
    """For callers that block: the browser puts their stack aside meanwhile. Natively a LoopThread."""

    def run(self, work: Awaitable[T]) -> T:
        return run(work)

    def iterate(self, items: AsyncGenerator[T, None]) -> Items[T]:
        return Items(self, items)

    def stop(self) -> None:
        """There is nothing to stop."""


async def open_adapter(name: str, limits: Limits | None = None, memory_bytes: int | None = None) -> Adapter:
    if name != "browser":
        return runtime.open_adapter(name, limits, memory_bytes)
    return BrowserAdapter(await (await open_javascript()).open_gpu(), memory_bytes)


async def living(adapter: Adapter) -> Adapter:
    """After a Device of it was lost: the same on the page's next GPU device, if that is like the one before."""
    if not isinstance(adapter, BrowserAdapter) or not await adapter.gpu.isLost():
        return adapter
    found = await open_adapter("browser")
    if not isinstance(found, BrowserAdapter) or found.info != adapter.info:
        return found
    adapter.gpu = found.gpu
    return adapter


@asynccontextmanager
async def opened(model: Any) -> AsyncIterator[Sequence[Source]]:
    javascript = await open_javascript()
    sources, close = await javascript.open_sources(await _reference(model))
    try:
        yield sources
    finally:
        close()


async def _reference(model: Any) -> Any:
    """As the page's code names a model."""
    if isinstance(model, (str, Path)):
        return await _named(str(model))
    if isinstance(model, bytes):
        return of_files([await page_file("model", len(model), _part_of(model))])
    if is_page_file(model):
        return of_files([model])
    if isinstance(model, (list, tuple)) and model and all(map(is_page_file, model)):
        return of_files(model)
    if isinstance(model, (list, tuple)) and model and all(hasattr(source, "read") for source in model):
        return of_files([await page_file(source.name, source.size, source.read) for source in model])
    raise RequestError(f"model must be {EXPECTED}, got {model!r:.200}", param="model")


async def _named(text: str) -> Any:
    """What a text means, in the order of formats/resolve.py; the hub is asked by the page's code."""
    from fanlight.formats.catalogue import find

    if is_url(text):
        return at_url(text, hub_access())
    if found := _found(text):
        return of_files([await _from_disk(*each) for each in found])
    if parse_hub_id(text):
        return in_hub(text, hub_access())
    if listed := find(text):
        return await _named(listed.model)
    raise SourceError("there is no such file or folder", where=text, hint=f"give {EXPECTED}")


def _found(text: str) -> list[tuple[str, Path]]:
    """Names and paths of the model's files, where they are in Python's file system."""
    from fanlight.formats.resolve import BUILT_IN, BUILT_IN_PATH, files_at  # and HTTP with it

    if text == BUILT_IN:
        return [(f"{BUILT_IN}.gguf", BUILT_IN_PATH)]
    path = Path(text).expanduser()
    return [(str(file), file) for file in files_at(path)] if text and path.exists() else []


async def _from_disk(name: str, path: Path) -> Any:
    with path.open("rb") as file:

        async def read(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        return await page_file(name, path.stat().st_size, read)


def _part_of(data: bytes) -> Callable[[int, int], Awaitable[bytes]]:
    async def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    return read


async def encoders() -> MakeEncoder:
    encoder = (await open_javascript()).encoder
    return lambda text: BrowserEncoder(encoder(text.encode()))


async def reader() -> Reader:
    return JsReader((await open_javascript()).pictures())


async def notes_of(device: Device) -> AdapterNotes | None:
    notes, version, build = await (await open_javascript()).open_notes()
    return await open_notes(notes, device, version, build)
