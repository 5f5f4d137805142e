"""A path and a body in, a response or its chunks out: the one door for the Python loaded, the server and the worker."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any, TypeVar

from fanlight.api import audio, embeddings, ollama, texts
from fanlight.api.chat import complete_chat
from fanlight.api.completions import complete
from fanlight.api.generation import LoadedModel
from fanlight.api.models import Models, Place
from fanlight.api.requests import ChatRequest, CompletionRequest, parse_chat_request, parse_completion_request
from fanlight.api.responses import parse_response_request, respond
from fanlight.api.types import ErrorBody, Model, ModelList
from fanlight.errors import ContextOverflow, EngineBusy, EngineClosed, FanlightError, RequestError, encodable

Chunks = AsyncGenerator[Mapping[str, Any], None]
R = TypeVar("R", ChatRequest, CompletionRequest)
Answer = Mapping[str, Any] | str | Chunks  # a text alone: of a transcript, where it is asked for

MAX_MESSAGE = 2000  # characters of an error: it may quote what was sent
CHAT, COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/completions", "/v1/models"
RESPONSES = "/v1/responses"
TEXTS = {"/tokenize": texts.tokenize, "/detokenize": texts.detokenize, "/apply-template": texts.apply_template}
OLLAMA_CHAT, OLLAMA_GENERATE = "/api/chat", "/api/generate"  # which stream lines of JSON
OLLAMA_POSTS = (OLLAMA_CHAT, OLLAMA_GENERATE, "/api/embed", "/api/embeddings", "/api/show")
OLLAMA_GETS = {"/api/tags": ollama.tags, "/api/ps": ollama.ps, "/api/version": ollama.version}
KNOWN = ", ".join(
    (CHAT, COMPLETIONS, RESPONSES, *embeddings.ANSWERS, *audio.PATHS, MODELS, *TEXTS, *OLLAMA_POSTS, *OLLAMA_GETS)
)


async def handle(models: Models | LoadedModel, path: str, body: Any = None) -> Answer:
    """The response; for `stream: true` an asynchronous generator of chunks. Whoever stops early must close it (`aclose`), which
    aborts the sequences. Of several models the request's `model` chooses one. Raises FanlightError."""
    if isinstance(models, LoadedModel):
        if path in OLLAMA_POSTS:
            ollama.keep_alive_of(Place(models.model_name, models, None), body)
        return await answer(models, path, body)
    if path == MODELS:
        return list_models([place.loaded or place.name for place in models])
    if path in OLLAMA_GETS:
        return OLLAMA_GETS[path](list(models))
    name = path.removeprefix(f"{MODELS}/") if path.startswith(f"{MODELS}/") else model_of(body)
    if path in OLLAMA_POSTS and name not in [place.name for place in models]:
        name = None if name is None else name.removesuffix(":latest")
    stays = ollama.keep_alive_of(models.place(name), body) if path in OLLAMA_POSTS else None
    async with AsyncExitStack() as stack:
        loaded = await stack.enter_async_context(models.using(name))
        found = await answer(loaded, path, body)
        if stays is not None:
            models.keep_alive(name, stays)
        return found if isinstance(found, Mapping | str) else Held(found, stack.pop_all())


class Held(AsyncGenerator[Mapping[str, Any], None]):
    """Chunks of an answer, and what is held until they end: also where nobody asks for the first."""

    def __init__(self, chunks: AsyncGenerator[Mapping[str, Any], None], held: AsyncExitStack) -> None:
        self._chunks, self._held = chunks, held

    async def asend(self, value: None) -> Mapping[str, Any]:
        try:
            return await self._chunks.asend(value)
        except BaseException:
            await self._held.aclose()
            raise

    async def athrow(self, *error: Any) -> Mapping[str, Any]:
        try:
            return await self._chunks.athrow(*error)
        except BaseException:
            await self._held.aclose()
            raise

    async def aclose(self) -> None:
        async with self._held:
            await self._chunks.aclose()


def model_of(body: Any) -> str | None:
    """What the request asks for. What else is wrong with it, who parses it says."""
    name = body.get("model") if isinstance(body, Mapping) else None
    if name is not None and not isinstance(name, str):
        raise RequestError(f"model must be a text, got {name!r}", param="model")
    return name


async def answer(loaded: LoadedModel, path: str, body: Any = None) -> Answer:
    if path == MODELS:
        return list_models([loaded])
    if path.startswith(f"{MODELS}/"):
        return model(loaded, path.removeprefix(f"{MODELS}/"))
    if path in embeddings.ANSWERS:
        warnings = foreign(loaded, body.get("model") if isinstance(body, Mapping) else None)
        return warned(await embeddings.ANSWERS[path](loaded, body), warnings)
    if path in audio.PATHS:
        return warned(await audio.answer(loaded, path, body), foreign(loaded, model_of(body)))
    if path in (CHAT, COMPLETIONS, RESPONSES, OLLAMA_CHAT, OLLAMA_GENERATE):
        embeddings.check_gives_text(loaded)
    if path == CHAT:
        chat = of_lora(loaded, parse_chat_request(body, loaded.defaults))
        chat.warnings.extend(foreign(loaded, chat.model))
        return warned(await complete_chat(loaded, chat), chat.warnings)
    if path == COMPLETIONS:
        completion = of_lora(loaded, parse_completion_request(body, loaded.defaults))
        completion.warnings.extend(foreign(loaded, completion.model))
        return warned(await complete(loaded, completion), completion.warnings)
    if path == RESPONSES:
        values, chat = parse_response_request(body, loaded.defaults)
        chat = of_lora(loaded, chat)
        chat.warnings.extend(foreign(loaded, chat.model))
        return warned(await respond(loaded, values, chat), chat.warnings)
    if path in OLLAMA_GETS:
        return OLLAMA_GETS[path]([Place(loaded.model_name, loaded, None)])
    if path in TEXTS:
        return warned(await TEXTS[path](loaded, body), foreign(loaded, model_of(body)))
    if path in OLLAMA_POSTS:
        name = model_of(body)
        warnings = foreign(loaded, None if name is None else name.removesuffix(":latest"))
        return warned(await _ollama(loaded, path, body), warnings)
    raise RequestError(f"there is no {path}; known: {KNOWN}", param="path")


def list_models(known: Sequence[LoadedModel | str]) -> ModelList:
    """Also those that are opened when they are asked for."""
    listed = [[_unopened(m)] if isinstance(m, str) else [model(m, name) for name in (m.model_name, *m.loras)] for m in known]
    return {"object": "list", "data": [one for several in listed for one in several]}


def _unopened(name: str) -> Model:
    return {"id": name, "object": "model", "created": 0, "owned_by": "fanlight"}


def warned(answer: Answer, warnings: list[str]) -> Answer:
    """The answer with its warnings, if any: a stream has them in its first chunk, and a text has none."""
    if not warnings or isinstance(answer, str):
        return answer
    return {**answer, "warnings": warnings} if isinstance(answer, Mapping) else _warned(answer, warnings)


async def _warned(chunks: Chunks, warnings: list[str]) -> Chunks:
    async with aclosing(chunks):
        yield {**await anext(chunks), "warnings": warnings}
        async for chunk in chunks:
            yield chunk


async def _ollama(loaded: LoadedModel, path: str, body: Any) -> Answer:
    if path == "/api/show":
        return ollama.show(loaded, body)
    if path == "/api/embed":
        return await ollama.embed(loaded, body)
    if path == "/api/embeddings":
        return await ollama.embed_one(loaded, body)
    if path == OLLAMA_CHAT:
        return await ollama.chat(loaded, *ollama.parse_chat(loaded, body))
    return await ollama.generate(loaded, *ollama.parse_generate(loaded, body))


def model(loaded: LoadedModel, name: str) -> Model:
    check_model(loaded, name)
    listed: Model = {
        "id": loaded.model_name,
        "object": "model",
        "created": loaded.created,
        "owned_by": "fanlight",
        "context_length": loaded.engine.context_length,
        "has_chat_template": loaded.template is not None,
        "sampling": loaded.info.get("sampling", {}),
    }
    return {**listed, "id": name, "parent": loaded.model_name} if name in loaded.loras else listed


def of_lora(loaded: LoadedModel, request: R) -> R:
    """A request whose `model` is a LoRA's name asks for that one, as it is, and no other."""
    if request.model not in loaded.loras:
        return request
    return replace(request, model=None, params=replace(request.params, loras={request.model: 1.0}))


def foreign(loaded: LoadedModel, name: str | None) -> list[str]:
    """A warning where a request names another model than the one there is; where that is not to be, an error."""
    if name in (None, "", loaded.model_name):
        return []
    if loaded.is_strict:
        check_model(loaded, name)
    return [f"the model {name!r} is not loaded: {loaded.model_name!r} answers"]


def check_model(loaded: LoadedModel, name: str | None) -> None:
    if name not in (None, "", loaded.model_name, *loaded.loras):
        raise RequestError(f"the model {name!r} is not loaded; {loaded.model_name!r} is", param="model")


# --- errors as data --------------------------------------------------------------------------------------------------
# The first row that fits counts: class, `param` or None for any, HTTP status, OpenAI's type, OpenAI's code.
ERRORS: tuple[tuple[type[Exception], str | None, int, str, str | None], ...] = (
    (ContextOverflow, None, 400, "invalid_request_error", "context_length_exceeded"),
    (RequestError, "model", 404, "invalid_request_error", "model_not_found"),
    (RequestError, "path", 404, "invalid_request_error", "not_found"),
    (RequestError, None, 400, "invalid_request_error", None),
    (EngineBusy, None, 503, "server_error", "engine_busy"),
    (EngineClosed, None, 503, "server_error", "engine_closed"),
    (TimeoutError, None, 504, "server_error", "timeout"),
    (RecursionError, None, 400, "invalid_request_error", None),  # what a request nests, nothing else is deep
    (FanlightError, None, 500, "server_error", None),
)


def error_body(error: Exception) -> tuple[int, ErrorBody]:
    """HTTP status and body of an error, in OpenAI's form."""
    param = getattr(error, "param", None)
    is_ours = isinstance(error, (FanlightError, TimeoutError))
    message = encodable(str(error) if is_ours else f"{type(error).__name__}: {error}")
    message = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}..."
    for kind, only_param, status, type_name, code in ERRORS:
        if isinstance(error, kind) and only_param in (None, param):
            return status, {"error": {"message": message, "type": type_name, "param": param, "code": code}}
    return 500, {"error": {"message": message, "type": "server_error", "param": None, "code": "internal_error"}}
