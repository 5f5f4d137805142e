"""The engine as a Python object with the OpenAI client's surface:  engine.chat.completions.create(messages=[...], stream=True)

`load` gives the blocking one, `aload` the asynchronous one; both are these few lines around the same coroutines. Answers are
dicts whose keys can also be read as attributes. Knows how models are found natively; in a browser, pass sources and a device to
`aload`.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, is_typeddict

from fanlight import driver, runtime
from fanlight.api import types
from fanlight.api.embeddings import EMBEDDINGS, RERANK, SCORE
from fanlight.api.generation import LoadedModel
from fanlight.api.load import DEFAULT_NUM_SEQS, LoadOptions, load_model
from fanlight.api.routes import CHAT, COMPLETIONS, MODELS, handle
from fanlight.api.thread import Items, LoopThread
from fanlight.engine.load import OnPlan, OnProgress
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.source import Source
from fanlight.runtime import checking, read_limits
from fanlight.runtime.adapter import Adapter
from fanlight.runtime.adapter_notes import open_notes
from fanlight.runtime.device import Device
from fanlight.runtime.notes import FileNotes
from fanlight.settings import settings
from fanlight.text.tokenizer import MakeEncoder, NativeEncoder

Model = str | Path | Sequence[Source]  # whatever `fanlight run` takes, or opened files
Call = Callable[[str, Any], Any]  # path, body -> the answer, or a coroutine of it


# --- loading ---------------------------------------------------------------------------------------------------------
def load(
    model: Model,
    *,
    context_length: int | None = None,
    max_num_seqs: int = DEFAULT_NUM_SEQS,
    device: str | Device | Adapter | None = None,
    name: str | None = None,
    on_progress: OnProgress | None = None,
) -> "LocalEngine":
    """Open a model and wait until it is ready. `model` is a file, a folder, a URL, a hub id (owner/repo or owner/repo:Q4_K_M)
    or 'built-in'; `device` a name (native, null, reference), a device, or an adapter that several models share."""
    options = LoadOptions(context_length, max_num_seqs, name)
    return LocalEngine(driver.run(open_loaded(model, options, device, on_progress)))


async def aload(
    model: Model,
    *,
    context_length: int | None = None,
    max_num_seqs: int = DEFAULT_NUM_SEQS,
    device: str | Device | Adapter | None = None,
    name: str | None = None,
    on_progress: OnProgress | None = None,
    make_encoder: MakeEncoder = NativeEncoder,
) -> "AsyncLocalEngine":
    """As `load`, for programs with an event loop; requests made at the same time run together."""
    options = LoadOptions(context_length, max_num_seqs, name)
    return AsyncLocalEngine(await open_loaded(model, options, device, on_progress, make_encoder))


def open_adapter(device: str | None = None, memory_bytes: int | None = None) -> Adapter:
    """A GPU for several models: `load(..., device=adapter)`, each of which is closed by itself. memory_bytes: what they may
    take together; WebGPU does not tell how much there is."""
    chosen = settings()
    limits = read_limits(chosen.adapter) if chosen.adapter else None
    return runtime.open_adapter(device or chosen.device, limits, memory_bytes)


async def open_loaded(
    model: Model,
    options: LoadOptions,
    device: str | Device | Adapter | None = None,
    on_progress: OnProgress | None = None,
    make_encoder: MakeEncoder = NativeEncoder,
    on_plan: OnPlan | None = None,
) -> LoadedModel:
    on_progress = on_progress or _ignore
    on_progress("header", 0, 1)
    checkpoint = await open_checkpoint(await _sources(model))
    opened = _device(device)
    try:
        options = replace(options, tune=options.tune and bool(settings().tune))
        notes = await open_notes(FileNotes(settings().notes), opened)
        return await load_model(checkpoint, opened, options, on_progress, make_encoder, on_plan, notes)
    except BaseException:
        opened.close()
        raise


async def _sources(model: Model) -> Sequence[Source]:
    if not isinstance(model, (str, Path)):
        return model
    from fanlight.formats.resolve import resolve_model  # native only

    return await resolve_model(model)


def _device(device: str | Device | Adapter | None) -> Device:
    if device is None or isinstance(device, str):
        device = open_adapter(device)
    return checking(device.device() if isinstance(device, Adapter) else device, settings().check)


def _ignore(phase: str, done: int, total: int) -> None:
    """Nobody wants to know."""


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


class Models:
    def __init__(self, call: Call) -> None:
        self._call = call

    def list(self) -> Any:
        return self._call(MODELS, None)

    def retrieve(self, model: str) -> Any:
        return self._call(f"{MODELS}/{model}", None)


class LocalEngine:
    """A loaded model, blocking. Several threads may ask it: their answers are made together. An interrupt (Ctrl-C) ends the
    answer that is waited for, and nothing else."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._thread = LoopThread()
        self.chat, self.completions, self.models = Chat(self._call), Completions(self._call, COMPLETIONS), Models(self._call)
        self.embeddings, self.rerank, self.score = (Completions(self._call, path) for path in (EMBEDDINGS, RERANK, SCORE))

    @property
    def info(self) -> dict[str, Any]:
        """What is loaded, on what."""
        return self.loaded.info

    def _call(self, path: str, body: Any) -> Any:
        answer = self._thread.run(handle(self.loaded, path, body))
        return record(answer) if isinstance(answer, Mapping) else Stream(self._thread.iterate(answer))

    def close(self) -> None:
        self._thread.run(self._close())
        self._thread.stop()

    async def _close(self) -> None:
        self.loaded.close()

    def __enter__(self) -> "LocalEngine":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncLocalEngine:
    """A loaded model, for an event loop."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.chat, self.completions, self.models = Chat(self._call), Completions(self._call, COMPLETIONS), Models(self._call)
        self.embeddings, self.rerank, self.score = (Completions(self._call, path) for path in (EMBEDDINGS, RERANK, SCORE))

    @property
    def info(self) -> dict[str, Any]:
        """What is loaded, on what."""
        return self.loaded.info

    async def _call(self, path: str, body: Any) -> Any:
        answer = await handle(self.loaded, path, body)
        return record(answer) if isinstance(answer, Mapping) else AsyncStream(answer)

    async def close(self) -> None:
        self.loaded.close()

    async def __aenter__(self) -> "AsyncLocalEngine":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
