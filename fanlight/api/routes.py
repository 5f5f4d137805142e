"""A path and a body in, a response or its chunks out: the one door for the Python loaded, the server and the worker."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from fanlight.api import embeddings
from fanlight.api.chat import complete_chat
from fanlight.api.completions import complete
from fanlight.api.generation import LoadedModel
from fanlight.api.requests import parse_chat_request, parse_completion_request
from fanlight.api.types import ErrorBody, Model, ModelList
from fanlight.errors import ContextOverflow, EngineBusy, EngineClosed, FanlightError, RequestError, encodable

Answer = Mapping[str, Any] | AsyncGenerator[Mapping[str, Any], None]

MAX_MESSAGE = 2000  # characters of an error: it may quote what was sent
CHAT, COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/completions", "/v1/models"
KNOWN = ", ".join((CHAT, COMPLETIONS, *embeddings.ANSWERS, MODELS))


async def handle(loaded: LoadedModel, path: str, body: Any = None) -> Answer:
    """The response; for `stream: true` an asynchronous generator of chunks. Whoever stops early must close it (`aclose`), which
    aborts the sequences. Raises FanlightError."""
    if path == MODELS:
        return models(loaded)
    if path.startswith(f"{MODELS}/"):
        return model(loaded, path.removeprefix(f"{MODELS}/"))
    if path in embeddings.ANSWERS:
        check_model(loaded, body.get("model") if isinstance(body, Mapping) else None)
        return await embeddings.ANSWERS[path](loaded, body)
    if path in (CHAT, COMPLETIONS):
        embeddings.check_gives_text(loaded)
    if path == CHAT:
        chat = parse_chat_request(body, loaded.defaults)
        check_model(loaded, chat.model)
        return await complete_chat(loaded, chat)
    if path == COMPLETIONS:
        completion = parse_completion_request(body, loaded.defaults)
        check_model(loaded, completion.model)
        return await complete(loaded, completion)
    raise RequestError(f"there is no {path}; known: {KNOWN}", param="path")


def models(loaded: LoadedModel) -> ModelList:
    return {"object": "list", "data": [model(loaded, loaded.model_name)]}


def model(loaded: LoadedModel, name: str) -> Model:
    check_model(loaded, name)
    return {
        "id": loaded.model_name,
        "object": "model",
        "created": loaded.created,
        "owned_by": "fanlight",
        "context_length": loaded.engine.context_length,
        "has_chat_template": loaded.template is not None,
    }


def check_model(loaded: LoadedModel, name: str | None) -> None:
    """The field may be left out: one model is loaded."""
    if name not in (None, "", loaded.model_name):
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
