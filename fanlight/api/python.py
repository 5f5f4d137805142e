"""The engine as a Python object with the OpenAI client's surface:  engine.chat.completions.create(messages=[...], stream=True)

`load` gives the blocking one, `aload` the asynchronous one; both are these few lines around the same coroutines. Answers are
dicts whose keys can also be read as attributes. The same natively and in a Python that runs in a page: how GPU and models are
found there is said by native.py and browser.py.
"""

import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, is_typeddict

from fanlight.api import state, types
from fanlight.api.audio import TRANSCRIPTIONS, TRANSLATIONS
from fanlight.api.embeddings import EMBEDDINGS, RERANK, SCORE
from fanlight.api.generation import LoadedModel
from fanlight.api.load import LoadKeywords, LoadOptions, load_model, load_options
from fanlight.api.models import FOR_GOOD
from fanlight.api.models import Models as Registry
from fanlight.api.progress import default_progress
from fanlight.api.routes import CHAT, COMPLETIONS, MODELS, RESPONSES, handle
from fanlight.api.thread import Items
from fanlight.engine.load import OnPlan, OnProgress
from fanlight.errors import RequestError
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.source import Source
from fanlight.runtime import checking, read_limits
from fanlight.runtime.adapter import Adapter
from fanlight.runtime.device import Device
from fanlight.settings import settings
from fanlight.text.tokenizer import MakeEncoder

if TYPE_CHECKING or sys.platform != "emscripten":
    from fanlight.api import native as here
else:
    from fanlight.api import browser as here

Model = (
    str | Path | bytes | Sequence[Source] | Sequence[str | Path]
)  # what `fanlight run` takes, a file's bytes, or several files
Call = Callable[[str, Any], Any]  # path, body -> the answer, or a coroutine of it


# --- loading ---------------------------------------------------------------------------------------------------------
def load(
    model: Model,
    *,
    device: str | Device | Adapter | None = None,
    on_progress: OnProgress | None = None,
    makes_room: bool = False,
    **options: Unpack[LoadKeywords],
) -> "LocalEngine":
    """Open a model and wait until it is ready. `model` is a file, a folder, a URL, a hub id (owner/repo or owner/repo:Q4_K_M),
    an id of `catalogue()` or 'built-in'; `device` a name (native, null, reference; in a page, browser), a device, or an adapter
    that several models share; options as in LoadOptions. More models are loaded beside it with `engine.load`; makes_room: see
    LocalEngine. In a page only where the browser can wait in the middle of Python; `aload` works everywhere."""
    wanted = load_options(options)
    shared, loaded = here.run(_open_first(model, wanted, device, on_progress))
    return LocalEngine(loaded, shared, makes_room=makes_room)


async def aload(
    model: Model,
    *,
    device: str | Device | Adapter | None = None,
    on_progress: OnProgress | None = None,
    make_encoder: MakeEncoder | None = None,
    makes_room: bool = False,
    **options: Unpack[LoadKeywords],
) -> "AsyncLocalEngine":
    """As `load`, for programs with an event loop; requests made at the same time run together."""
    wanted = load_options(options)
    shared, loaded = await _open_first(model, wanted, device, on_progress, make_encoder)
    return AsyncLocalEngine(loaded, shared, makes_room=makes_room)


async def _open_first(
    model: Model,
    options: LoadOptions,
    device: str | Device | Adapter | None,
    on_progress: OnProgress | None,
    make_encoder: MakeEncoder | None = None,
) -> tuple[Device | Adapter, LoadedModel]:
    """The first model of an engine, and what all of them share."""
    if device is None or isinstance(device, str):
        device = await _open_adapter(device)
    elif not hasattr(device, "info"):
        raise RequestError(f"device must be a name, a device or an adapter, got {device!r}", param="device")
    return device, await open_loaded(model, options, device, on_progress, make_encoder)


def open_adapter(device: str | None = None, memory_bytes: int | None = None) -> Adapter:
    """A GPU for several models: `load(..., device=adapter)`, each of which is closed by itself. memory_bytes: what they may
    take together; WebGPU does not tell how much there is."""
    return here.run(_open_adapter(device, memory_bytes))


async def _open_adapter(device: str | None = None, memory_bytes: int | None = None) -> Adapter:
    chosen = settings()
    limits = read_limits(chosen.adapter) if chosen.adapter else None
    return await here.open_adapter(device or chosen.device, limits, memory_bytes)


async def open_loaded(
    model: Model,
    options: LoadOptions,
    device: str | Device | Adapter | None = None,
    on_progress: OnProgress | None = None,
    make_encoder: MakeEncoder | None = None,
    on_plan: OnPlan | None = None,
) -> LoadedModel:
    tell = on_progress or default_progress()
    tell("header", 0, 1)
    async with _files_of(model, options) as sources:

        def telling(phase: str, done: int, total: int) -> None:
            if phase == "pipelines":  # the memory plan fits: the weights may come while the kernels compile
                begin_downloads(sources)
            tell(phase, done, total)

        checkpoint = await open_checkpoint(sources)
        if device is None or isinstance(device, str):
            device = await _open_adapter(device)
        reopen = partial(_reopened, model, options, device) if isinstance(device, Adapter) else None
        opened = _device(device)
        try:
            options = replace(options, tune=options.tune and bool(settings().tune))
            notes = await here.notes_of(opened)
            encoder = make_encoder or await here.encoders()
            loaded = await load_model(
                checkpoint, opened, options, telling, encoder, on_plan, notes, reopen, reader=await here.reader()
            )
        except BaseException:
            opened.close()
            raise
    loaded.pause = here.pause
    return loaded


def begin_downloads(sources: Sequence[Source]) -> None:
    """Of those that can be downloaded before they are read."""
    for source in sources:
        if hasattr(source, "download"):
            source.download()


@asynccontextmanager
async def _files_of(model: Model, options: LoadOptions) -> AsyncGenerator[list[Source]]:
    """The model's, then those of its LoRAs."""
    async with AsyncExitStack() as stack:
        yield [source for part in (model, *options.loras) for source in await stack.enter_async_context(here.opened(part))]


@asynccontextmanager
async def _reopened(model: Model, options: LoadOptions, adapter: Adapter) -> AsyncGenerator[tuple[Device, Sequence[Source]]]:
    async with _files_of(model, options) as sources:
        yield _device(await here.living(adapter)), sources


def _device(device: Device | Adapter) -> Device:
    return checking(device.device() if isinstance(device, Adapter) else device, settings().check)


# --- answers ---------------------------------------------------------------------------------------------------------
FIELDS = frozenset(name for kind in vars(types).values() if is_typeddict(kind) for name in kind.__annotations__)


class Record(dict[str, Any]):
    """A dict whose keys are attributes too. Fields of an answer that this one does not have are None, as in OpenAI's client:
    the `content` of a stream's last delta, say."""

    def __getattr__(self, name: str) -> Any:
        if name in self or name in FIELDS:
            return self.get(name)
        raise AttributeError(f"no field {name!r}; there are {', '.join(self)}")


def record(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Record({key: record(item) for key, item in value.items()})
    return [record(item) for item in value] if isinstance(value, list) else value


class Stream:
    """Chunks, one by one. Leaving the `with` block, or `close()`, ends the generation."""

    def __init__(self, chunks: Items[Mapping[str, Any]]) -> None:
        self._chunks = chunks

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> Record:
        return record(next(self._chunks))

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._chunks.close()


class AsyncStream:
    """Chunks, one by one. Leaving the `async with` block, or `close()`, ends the generation."""

    def __init__(self, chunks: AsyncGenerator[Mapping[str, Any], None]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> "AsyncStream":
        return self

    async def __anext__(self) -> Record:
        return record(await anext(self._chunks))

    async def __aenter__(self) -> "AsyncStream":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._chunks.aclose()


# --- the client's surface --------------------------------------------------------------------------------------------
class Completions:
    def __init__(self, call: Call, path: str) -> None:
        self._call, self._path = call, path

    def create(self, *, extra_body: Mapping[str, Any] | None = None, **body: Any) -> Any:
        """The request's fields as arguments. A Record, or with `stream=True` a stream of Records."""
        return self._call(self._path, {**body, **(extra_body or {})})


class Chat:
    def __init__(self, call: Call) -> None:
        self.completions = Completions(call, CHAT)


class Files:
    """Requests that come with a file."""

    def __init__(self, call: Call, path: str) -> None:
        self._call, self._path = call, path

    def create(self, *, file: Any, extra_body: Mapping[str, Any] | None = None, **body: Any) -> Any:
        """file: its bytes, a path, an open file, or (name, bytes). A Record, or a str where `response_format` asks for one."""
        return self._call(self._path, {"file": bytes_of(file), **body, **(extra_body or {})})


class Audio:
    def __init__(self, call: Call) -> None:
        self.transcriptions, self.translations = Files(call, TRANSCRIPTIONS), Files(call, TRANSLATIONS)


def bytes_of(file: Any) -> bytes:
    """As OpenAI's client takes a file."""
    if isinstance(file, tuple) and len(file) >= 2:
        file = file[1]
    if isinstance(file, Path):
        return file.read_bytes()
    found = file.read() if hasattr(file, "read") else file
    if not isinstance(found, bytes | bytearray | memoryview):
        raise RequestError(f"file must be bytes, a Path, an open file or (name, bytes), got {file!r:.80}", param="file")
    return bytes(found)


class Models:
    def __init__(self, call: Call) -> None:
        self._call = call

    def list(self) -> Any:
        return self._call(MODELS, None)

    def retrieve(self, model: str) -> Any:
        return self._call(f"{MODELS}/{model}", None)


class LocalEngine:
    """Loaded models, blocking. Several threads may ask: their answers are made together. An interrupt (Ctrl-C) ends the answer
    that is waited for, and nothing else."""

    def __init__(self, loaded: LoadedModel, device: Device | Adapter | None = None, *, makes_room: bool = False) -> None:
        """device: for models that are loaded beside it. makes_room: unload whichever was not used for longest where another
        does not fit."""
        self.loaded = loaded
        self._models = _Models(loaded, device, makes_room)
        self._thread = here.Waiter()
        self.chat, self.completions, self.models = Chat(self._call), Completions(self._call, COMPLETIONS), Models(self._call)
        self.embeddings, self.rerank, self.score = (Completions(self._call, path) for path in (EMBEDDINGS, RERANK, SCORE))
        self.responses, self.audio = Completions(self._call, RESPONSES), Audio(self._call)

    @property
    def info(self) -> dict[str, Any]:
        """What is loaded, on what."""
        return self.loaded.info

    def load(
        self,
        model: Model,
        *,
        keep_alive: float = FOR_GOOD,
        on_progress: OnProgress | None = None,
        **options: Unpack[LoadKeywords],
    ) -> str:
        """One more model, beside those that are here; the name by which requests choose it. keep_alive: seconds without a
        request after which it is unloaded, until it is asked for again; -1 keeps it."""
        return self._thread.run(self._models.open(model, load_options(options), keep_alive, on_progress))

    def unload(self, name: str) -> None:
        """Ends its answers, and frees what it has of the GPU."""
        self._thread.run(self._models.leave(name))

    def save_state(self, path: str | Path, *, model: str | None = None, **request: Any) -> int:
        """Keep what the model has computed of a prompt (`messages=...` and what else makes it, or `prompt=...`) in a file; how
        many tokens. `restore_state` brings it back, in another process as well, and the first answer need not wait for them."""
        return self._thread.run(self._models.save_state(model, Path(path), request))

    def restore_state(self, path: str | Path, *, model: str | None = None) -> int:
        """How many tokens of it need not be computed now. Raises FormatError where it was made by another model, or other
        kernels."""
        return self._thread.run(self._models.restore_state(model, Path(path)))

    def _call(self, path: str, body: Any) -> Any:
        answer = self._thread.run(handle(self._models, path, body))
        return record(answer) if isinstance(answer, Mapping | str) else Stream(self._thread.iterate(answer))

    def close(self) -> None:
        self._thread.run(self._models.end())
        self._thread.stop()

    def __enter__(self) -> "LocalEngine":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncLocalEngine:
    """Loaded models, for an event loop."""

    def __init__(self, loaded: LoadedModel, device: Device | Adapter | None = None, *, makes_room: bool = False) -> None:
        """As LocalEngine."""
        self.loaded = loaded
        self._models = _Models(loaded, device, makes_room)
        self.chat, self.completions, self.models = Chat(self._call), Completions(self._call, COMPLETIONS), Models(self._call)
        self.embeddings, self.rerank, self.score = (Completions(self._call, path) for path in (EMBEDDINGS, RERANK, SCORE))
        self.responses, self.audio = Completions(self._call, RESPONSES), Audio(self._call)

    @property
    def info(self) -> dict[str, Any]:
        """What is loaded, on what."""
        return self.loaded.info

    async def load(
        self,
        model: Model,
        *,
        keep_alive: float = FOR_GOOD,
        on_progress: OnProgress | None = None,
        **options: Unpack[LoadKeywords],
    ) -> str:
        return await self._models.open(model, load_options(options), keep_alive, on_progress)

    async def unload(self, name: str) -> None:
        await self._models.leave(name)

    async def save_state(self, path: str | Path, *, model: str | None = None, **request: Any) -> int:
        """Keep what the model has computed of a prompt (`messages=...` and what else makes it, or `prompt=...`) in a file; how
        many tokens. `restore_state` brings it back, in another process as well, and the first answer need not wait for them."""
        return await self._models.save_state(model, Path(path), request)

    async def restore_state(self, path: str | Path, *, model: str | None = None) -> int:
        """How many tokens of it need not be computed now. Raises FormatError where it was made by another model, or other
        kernels."""
        return await self._models.restore_state(model, Path(path))

    async def _call(self, path: str, body: Any) -> Any:
        answer = await handle(self._models, path, body)
        return record(answer) if isinstance(answer, Mapping | str) else AsyncStream(answer)

    async def close(self) -> None:
        await self._models.end()

    async def __aenter__(self) -> "AsyncLocalEngine":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


class _Models(Registry):
    """Opened from files, on one device."""

    def __init__(self, loaded: LoadedModel, device: Device | Adapter | None, makes_room: bool) -> None:
        super().__init__(loaded, makes_room=makes_room)
        self._device = device

    async def open(self, model: Model, options: LoadOptions, keep_alive: float, on_progress: OnProgress | None) -> str:
        if self._device is not None and not isinstance(self._device, Adapter):
            raise RequestError("a device runs one model", param="device", hint="load(..., device=adapter), or a device's name")
        open = lambda: open_loaded(model, options, self._device, on_progress)  # noqa: E731
        return (await self.load(open, options.name, keep_alive)).model_name

    async def save_state(self, model: str | None, path: Path, request: Mapping[str, Any]) -> int:
        async with self.using(model) as loaded:
            return await state.save(loaded, path, request)

    async def restore_state(self, model: str | None, path: Path) -> int:
        async with self.using(model) as loaded:
            return await state.restore(loaded, path)

    async def end(self) -> None:
        self.close()

    async def leave(self, name: str) -> None:
        self.unload(name)
