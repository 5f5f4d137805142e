"""/openapi.json: the API as OpenAPI 3.1 says it, made from the tables of fields by which requests are checked."""

from collections.abc import Mapping
from typing import Any

from fanlight import __version__
from fanlight.api.checks import SCHEMAS, Check
from fanlight.api.messages import MAX_MESSAGES, ROLES
from fanlight.api.requests import CHAT as CHAT_FIELDS
from fanlight.api.requests import COMPLETION as COMPLETION_FIELDS
from fanlight.api.requests import MAX_CHOICES, MAX_PROMPTS, MAX_STOPS
from fanlight.api.routes import CHAT, COMPLETIONS, MODELS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TOKEN_IDS: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}}
PART: Schema = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": TEXT},
    "required": ["type", "text"],
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
        "anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1, "maxItems": MAX_PROMPTS}, TOKEN_IDS],
    },
    "tools": {"type": "array", "items": TOOL},
    "stop": {"anyOf": [TEXT, {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": MAX_STOPS}]},
    "logit_bias": {"type": "object", "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}},
    "stream_options": {"type": "object", "properties": {"include_usage": {"type": "boolean"}}},
    "stop_token_ids": TOKEN_IDS,
    "n": {"type": "integer", "minimum": 1, "maximum": MAX_CHOICES},
}
REQUIRED = ("messages", "prompt")
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
            CHAT: {"post": _post("A chat completion", CHAT_FIELDS, "chat.completion")},
            COMPLETIONS: {"post": _post("A completion", COMPLETION_FIELDS, "text_completion")},
            MODELS: {"get": _get("The loaded models", _object("list"))},
            MODELS + "/{model}": {"get": _get("A loaded model", _object("model"), "model")},
            "/health": {"get": _get("Whether requests are taken", {"type": "object"})},
            "/metrics": {"get": _get("Counters, as Prometheus reads them", TEXT, kind="text/plain")},
        },
        "components": {"schemas": {"Error": ERROR}, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        **security,
    }


def _post(summary: str, fields: Mapping[str, Check], kind: str) -> dict[str, Any]:
    properties = {name: _field(name, check) for name, check in fields.items()}
    required = [name for name in REQUIRED if name in fields]
    body = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    content = {"application/json": {"schema": _object(kind)}, "text/event-stream": {"schema": TEXT}}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "the answer, or its chunks", "content": content}, **_errors()},
    }


def _field(name: str, check: Check) -> Schema:
    """A field that is null counts as one that is not given."""
    schema = FIELDS.get(name) or SCHEMAS.get(check)
    if schema is None or name in REQUIRED:
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


def _object(kind: str) -> Schema:
    return {"type": "object", "properties": {"object": {"const": kind}}, "required": ["object"]}
