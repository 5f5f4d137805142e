"""/openapi.json: the API as OpenAPI 3.1 says it, made from the tables of fields by which requests are checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fanlight import __version__
from fanlight.api import audio, embeddings, ollama, response_items, texts
from fanlight.api.checks import SCHEMAS, Check
from fanlight.api.embeddings import MAX_INPUTS
from fanlight.api.messages import DETAILS, MAX_MESSAGES, ROLES
from fanlight.api.requests import CHAT as CHAT_FIELDS
from fanlight.api.requests import COMPLETION as COMPLETION_FIELDS
from fanlight.api.requests import MAX_CHOICES, MAX_PROMPTS, MAX_STOPS
from fanlight.api.routes import CHAT, COMPLETIONS, MODELS, OLLAMA_CHAT, OLLAMA_GENERATE, RESPONSES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TOKEN_IDS: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}}
PARTS: dict[str, Schema] = {  # of a message, by their types
    "text": TEXT,
    "image_url": {"type": "object", "properties": {"url": TEXT, "detail": {"enum": list(DETAILS)}}, "required": ["url"]},
    "input_audio": {"type": "object", "properties": {"data": TEXT, "format": TEXT}, "required": ["data"]},
    "audio_url": {"type": "object", "properties": {"url": TEXT}, "required": ["url"]},
}
PART: Schema = {
    "anyOf": [
        {"type": "object", "properties": {"type": {"const": kind}, kind: schema}, "required": ["type", kind]}
        for kind, schema in PARTS.items()
    ]
}
MESSAGE: Schema = {
    "type": "object",
    "properties": {
        "role": {"enum": list(ROLES)},
        "content": {"anyOf": [TEXT, {"type": "array", "items": PART}, {"type": "null"}]},
        "name": TEXT,
        "tool_call_id": TEXT,
    },
    "required": ["role"],
}
TOOL: Schema = {
    "type": "object",
    "properties": {
        "type": {"const": "function"},
        "function": {
            "type": "object",
            "properties": {"name": TEXT, "description": TEXT, "parameters": {"type": "object"}},
            "required": ["name"],
        },
    },
    "required": ["type", "function"],
}
# What more than a type and a range has to be said of; checks of one type say theirs themselves.
FIELDS: dict[str, Schema] = {
    "messages": {"type": "array", "items": MESSAGE, "minItems": 1, "maxItems": MAX_MESSAGES},
    "prompt": {
        "anyOf": [
            TEXT,
            {"type": "array", "items": TEXT, "minItems": 1, "maxItems": MAX_PROMPTS},
            TOKEN_IDS,
            {"type": "array", "items": TOKEN_IDS, "minItems": 1, "maxItems": MAX_PROMPTS},
        ],
    },
    "tools": {"type": "array", "items": TOOL},
    "stop": {"anyOf": [TEXT, {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": MAX_STOPS}]},
    "logit_bias": {"type": "object", "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}},
    "stream_options": {"type": "object", "properties": {"include_usage": {"type": "boolean"}}},
    "stop_token_ids": TOKEN_IDS,
    "n": {"type": "integer", "minimum": 1, "maximum": MAX_CHOICES},
}
SOME_TEXT: Schema = {"type": "string", "minLength": 1}
SOME_TEXTS: Schema = {"anyOf": [SOME_TEXT, {"type": "array", "items": SOME_TEXT, "minItems": 1, "maxItems": MAX_INPUTS}]}
DURATION: Schema = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{ollama.DURATION.pattern}$"}]}
ITEM: Schema = {
    "type": "object",
    "properties": {"type": {"const": "message"}, "role": {"enum": list(ROLES)}, "content": TEXT},
    "required": ["role", "content"],
}
FUNCTION: Schema = {
    "type": "object",
    "properties": {"type": {"const": "function"}, "name": TEXT, "parameters": {"type": "object"}},
    "required": ["type", "name"],
}
OF_OLLAMA: dict[str, Schema] = {
    "messages": {
        "type": "array",
        "items": {"type": "object", "properties": {"role": {"enum": list(ROLES)}, "content": TEXT}, "required": ["role"]},
    },
    "format": {"anyOf": [{"const": "json"}, {"type": "object"}]},
    "think": {"anyOf": [{"type": "boolean"}, {"enum": list(ollama.EFFORTS)}]},
    "keep_alive": DURATION,
    "input": SOME_TEXTS,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is posted there. `own`: fields that are not what FIELDS says."""

    summary: str
    fields: Mapping[str, Check]
    answer: Schema
    required: tuple[str, ...] = ()
    own: Mapping[str, Schema] = field(default_factory=dict)
    stream: str | None = None  # its content type
    is_form: bool = False  # with a file; and answered by a text, where that is asked for


def _object(kind: str) -> Schema:
    return {"type": "object", "properties": {"object": {"const": kind}}, "required": ["object"]}


def _with(*names: str) -> Schema:
    return {"type": "object", "required": list(names)}


EVENTS, LINES = "text/event-stream", "application/x-ndjson"
SOME_IDS: Schema = {**TOKEN_IDS, "minItems": 1}
INPUT: dict[str, Schema] = {
    "input": {"anyOf": [*SOME_TEXTS["anyOf"], SOME_IDS, {"type": "array", "items": SOME_IDS, "minItems": 1}]}
}
DOCUMENT: Schema = {"anyOf": [SOME_TEXT, {"type": "object", "properties": {"text": SOME_TEXT}, "required": ["text"]}]}
RESPONSE: dict[str, Schema] = {
    "input": {"anyOf": [TEXT, {"type": "array", "items": ITEM}]},
    "tools": {"type": "array", "items": FUNCTION},
}
SOUND: dict[str, Schema] = {
    "file": {"type": "string", "contentEncoding": "base64"},
    "prompt": TEXT,
    "response_format": {"enum": list(audio.FORMATS)},
    "temperature": {"type": "number", "minimum": 0, "maximum": 1},
    "timestamp_granularities": {"type": "array", "items": {"const": "segment"}, "minItems": 1, "maxItems": 1},
    "stream": {"const": False},
}
HEARS: Any = {"answer": _with("text"), "required": ("file",), "own": SOUND, "is_form": True}
POSTS: dict[str, Endpoint] = {
    CHAT: Endpoint("A chat completion", CHAT_FIELDS, _object("chat.completion"), ("messages",), stream=EVENTS),
    COMPLETIONS: Endpoint("A completion", COMPLETION_FIELDS, _object("text_completion"), ("prompt",), stream=EVENTS),
    RESPONSES: Endpoint("A response", response_items.FIELDS, _object("response"), ("input",), RESPONSE, EVENTS),
    embeddings.EMBEDDINGS: Endpoint("Vectors of texts", embeddings.EMBEDDING, _object("list"), ("input",), INPUT),
    embeddings.RERANK: Endpoint(
        "Texts by how well they answer a query",
        embeddings.RERANKING,
        _with("results"),
        ("query", "documents"),
        {"documents": {"type": "array", "items": DOCUMENT, "minItems": 1, "maxItems": MAX_INPUTS}},
    ),
    embeddings.SCORE: Endpoint(
        "Scores of pairs of texts",
        embeddings.SCORING,
        _object("list"),
        ("text_1", "text_2"),
        {"text_1": SOME_TEXTS, "text_2": SOME_TEXTS},
    ),
    audio.TRANSCRIPTIONS: Endpoint("The text of a sound", audio.TRANSCRIPTION, **HEARS),
    audio.TRANSLATIONS: Endpoint("The text of a sound, in English", audio.TRANSLATION, **HEARS),
    "/tokenize": Endpoint("A text's or a chat's tokens", texts.TOKENIZE, _with("tokens"), own={"prompt": TEXT}),
    "/detokenize": Endpoint(
        "The text of tokens", texts.DETOKENIZE, _with("prompt", "content"), ("tokens",), {"tokens": TOKEN_IDS}
    ),
    "/apply-template": Endpoint("A chat's prompt", texts.TEMPLATE, _with("prompt"), ("messages",)),
    OLLAMA_CHAT: Endpoint("Ollama's chat", ollama.CHAT, _with("message", "done"), own=OF_OLLAMA, stream=LINES),
    OLLAMA_GENERATE: Endpoint(
        "Ollama's completion", ollama.GENERATE, _with("done"), own={**OF_OLLAMA, "prompt": TEXT}, stream=LINES
    ),
    "/api/embed": Endpoint("Ollama's vectors", ollama.EMBED, _with("embeddings"), own=OF_OLLAMA),
    "/api/embeddings": Endpoint(
        "Ollama's older vectors", ollama.EMBEDDINGS, _with("embedding"), own={**OF_OLLAMA, "prompt": TEXT}
    ),
    "/api/show": Endpoint("What Ollama says of a model", ollama.SHOW, _with("details", "model_info")),
}
ERROR: Schema = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": TEXT,
                "type": TEXT,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}


def document(has_key: bool = False) -> dict[str, Any]:
    security: dict[str, Any] = {"security": [{"key": []}]} if has_key else {}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fanlight",
            "version": __version__,
            "description": "OpenAI's API, of the models that are loaded here.",
        },
        "paths": {
            **{path: {"post": _post(endpoint)} for path, endpoint in POSTS.items()},
            "/api/tags": {"get": _get("Ollama's list of models", _with("models"))},
            "/api/ps": {"get": _get("Ollama's list of loaded models", _with("models"))},
            "/api/version": {"get": _get("The version", _with("version"))},
            MODELS: {"get": _get("The loaded models", _object("list"))},
            MODELS + "/{model}": {"get": _get("A loaded model", _object("model"), "model")},
            "/health": {"get": _get("Whether requests are taken", {"type": "object"})},
            "/metrics": {"get": _get("Counters, as Prometheus reads them", TEXT, kind="text/plain")},
        },
        "components": {"schemas": {"Error": ERROR}, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        **security,
    }


def _post(endpoint: Endpoint) -> dict[str, Any]:
    properties = {name: _field(endpoint, name, check) for name, check in endpoint.fields.items()}
    required = list(endpoint.required)
    body = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    content = {"application/json": {"schema": endpoint.answer}}
    asked: dict[str, Schema] = {"application/json": {"schema": body}}
    if endpoint.is_form:
        file = {"file": {"type": "string", "format": "binary"}}
        asked["multipart/form-data"] = {"schema": {**body, "properties": {**properties, **file}}}
        content["text/plain"] = {}
    if endpoint.stream:
        content[endpoint.stream] = {}
    return {
        "summary": endpoint.summary,
        "requestBody": {"required": True, "content": asked},
        "responses": {"200": {"description": "the answer, or its chunks", "content": content}, **_errors()},
    }


def _field(endpoint: Endpoint, name: str, check: Check) -> Schema:
    """A field that is null counts as one that is not given."""
    schema = endpoint.own.get(name) or FIELDS.get(name) or SCHEMAS.get(check)
    if schema is None or name in endpoint.required:
        return schema or {}
    return {"anyOf": [schema, {"type": "null"}]}


def _get(summary: str, schema: Schema, parameter: str | None = None, kind: str = "application/json") -> dict[str, Any]:
    parameters = [{"name": parameter, "in": "path", "required": True, "schema": TEXT}] if parameter else []
    answer = {"200": {"description": summary, "content": {kind: {"schema": schema}}}}
    return {"summary": summary, "parameters": parameters, "responses": {**answer, **_errors()}}


def _errors() -> dict[str, Any]:
    return {
        "default": {
            "description": "an error",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
    }
