"""What python.py needs of where it runs, natively: a GPU, models' files, notes, a way to wait.  browser.py has the same
names."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fanlight import driver, runtime
from fanlight.api.generation import let_others_run
from fanlight.api.pictures import NativeReader, Reader
from fanlight.api.thread import LoopThread
from fanlight.compiler.program import Limits
from fanlight.errors import RequestError
from fanlight.formats.source import BytesSource, Source
from fanlight.runtime.adapter import Adapter
from fanlight.runtime.adapter_notes import AdapterNotes, open_notes
from fanlight.runtime.device import Device
from fanlight.runtime.notes import FileNotes
from fanlight.settings import settings
from fanlight.text.tokenizer import MakeEncoder, NativeEncoder

run = driver.run
Waiter = LoopThread
pause = let_others_run


async def open_adapter(name: str, limits: Limits | None = None, memory_bytes: int | None = None) -> Adapter:
    return runtime.open_adapter(name, limits, memory_bytes)


async def living(adapter: Adapter) -> Adapter:
    """After a Device of it was lost."""
    return adapter


@asynccontextmanager
async def opened(model: Any) -> AsyncIterator[Sequence[Source]]:
    if isinstance(model, (str, Path)):
        from fanlight.formats.resolve import resolve_model  # and HTTP with it

        yield await resolve_model(model)
    elif isinstance(model, (list, tuple)) and model and all(isinstance(file, (str, Path)) for file in model):
        from fanlight.formats.resolve import resolve_model

        yield [source for file in model for source in await resolve_model(file)]
    elif isinstance(model, bytes):
        yield [BytesSource("model", model)]
    elif isinstance(model, (list, tuple)) and model and all(hasattr(source, "read") for source in model):
        yield model
    else:
        expected = "a file, a folder, a URL, a hub id, several files, bytes or opened files"
        raise RequestError(f"model must be {expected}, got {model!r:.200}", param="model")


async def encoders() -> MakeEncoder:
    return NativeEncoder


async def reader() -> Reader:
    return NativeReader(bool(settings().fetch_images))


async def notes_of(device: Device) -> AdapterNotes | None:
    return await open_notes(FileNotes(settings().notes), device)
