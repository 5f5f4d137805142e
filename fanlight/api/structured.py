"""What an answer may be, in all the words that clients have for it: OpenAI's `response_format`, with WebLLM's and XGrammar's
types, vLLM's `structured_outputs` and `guided_*`, llama.cpp's `grammar` and `json_schema`.  Each comes down to one format
(fanlight/grammar/formats.py); two at once are refused."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fanlight.driver import in_thread
from fanlight.engine.sampling_params import SamplingParams
from fanlight.errors import RequestError
from fanlight.grammar import Matcher, compile_format
from fanlight.grammar.formats import Format
from fanlight.text.tokenizer import Tokenizer

MAX_CHOICES = 4096


@dataclass(frozen=True, slots=True)
class Structured:
    """param: the place in the request of what `format` has under `key`, or of the whole of it."""

    param: str
    format: Format
    key: str = ""


async def constrained(
    params: SamplingParams, structured: Structured | None, whole: Callable[[Format], Format] = lambda format: format
) -> SamplingParams:
    """The params with the automaton. whole: what the answer is with this in it. Raises RequestError, whose `param` is a place
    in the request."""
    if structured is None:
        return params
    try:
        found = await in_thread(lambda: compile_format(structured.format))
        format = whole(structured.format)
        # Compiled by itself first: what is refused is named as the request has it.
        return replace(
            params, grammar=found if format is structured.format else await in_thread(lambda: compile_format(format))
        )
    except RequestError as error:
        inner = (error.param or "").removeprefix("format").removeprefix(f".{structured.key}" if structured.key else "")
        raise RequestError(error.message, where=error.where, hint=error.hint, param=structured.param + inner) from None


async def started(params: SamplingParams, tokenizer: Tokenizer) -> SamplingParams:
    """With the tokens of what every answer begins with, which need no pass each; but the last of them, since the model chooses
    how the text goes on from there."""
    if params.grammar is None or params.logprobs is not None or params.prompt_logprobs is not None:
        return params
    return replace(params, forced_token_ids=tuple((await tokenizer.cut(Matcher(params.grammar).forced()))[:-1]))


def only_one(values: Mapping[str, Any]) -> Structured | None:
    """Of a request's checked fields."""
    given = {name: values[name] for name in FIELDS if values.get(name) is not None}
    if len(given) > 1:
        first, second = list(given)[:2]
        raise RequestError(f"{first} and {second} both say what the answer may be: give one of them", param=second)
    return next(iter(given.values()), None)


# --- kinds -----------------------------------------------------------------------------------------------------------
def schema(value: Any, name: str) -> Structured:
    """A JSON schema, or its text."""
    found = value
    if isinstance(value, str):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"{name} is no JSON: {error}", param=name) from None
    if not isinstance(found, (dict, bool)):
        raise _wrong(name, "a JSON schema", value)
    return Structured(name, {"type": "json_schema", "json_schema": found}, "json_schema")


def regex(value: Any, name: str) -> Structured:
    return Structured(name, {"type": "regex", "pattern": _text(value, name)}, "pattern")


def grammar(value: Any, name: str) -> Structured:
    return Structured(name, {"type": "grammar", "grammar": _text(value, name)}, "grammar")


def choice(value: Any, name: str) -> Structured:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_CHOICES or not all(isinstance(text, str) for text in value):
        raise _wrong(name, f"a list of 1 to {MAX_CHOICES} texts", value)
    return Structured(name, {"type": "or", "elements": [{"type": "const_string", "value": text} for text in value]})


def structural_tag(value: Any, name: str) -> Structured:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"{name} is no JSON: {error}", param=name) from None
    if not isinstance(value, dict):
        raise _wrong(name, "a structural tag", value)
    return Structured(name, {"type": "structural_tag"} | value)


def json_object(value: Any, name: str) -> Structured | None:
    if not isinstance(value, bool):
        raise _wrong(name, "true or false", value)
    return Structured(name, ANY_OBJECT, "json_schema") if value else None


ANY_OBJECT = {"type": "json_schema", "json_schema": {"type": "object"}}


# --- response_format -------------------------------------------------------------------------------------------------
def response_format(value: Any, name: str) -> Structured | None:
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in TYPES:
        raise _wrong(name, f"an object whose type is one of {', '.join(TYPES)}", value)
    keys, make = TYPES[kind]
    if keys is not None:
        _only(value, ("type", *keys), name)
    return make(value, name)


def _of_text(value: dict[str, Any], name: str) -> None:
    return None


def _of_json_object(value: dict[str, Any], name: str) -> Structured | None:
    """With a schema as WebLLM has it."""
    return json_object(True, name) if value.get("schema") is None else schema(value["schema"], f"{name}.schema")


def _of_json_schema(value: dict[str, Any], name: str) -> Structured | None:
    """Strict or not, the answer satisfies the whole schema."""
    inner, where = value.get("json_schema"), f"{name}.json_schema"
    if not isinstance(inner, dict):
        raise _wrong(where, 'an object {"name": ..., "schema": {...}}', inner)
    _only(inner, ("name", "description", "schema", "strict"), where)
    for key, kind, wanted in (("name", str, "a text"), ("description", str, "a text"), ("strict", bool, "true or false")):
        if inner.get(key) is not None and not isinstance(inner[key], kind):
            raise _wrong(f"{where}.{key}", wanted, inner[key])
    return json_object(True, where) if inner.get("schema") is None else schema(inner["schema"], f"{where}.schema")


def _of_regex(value: dict[str, Any], name: str) -> Structured:
    key = "pattern" if "pattern" in value else "regex"
    return regex(value.get(key), f"{name}.{key}")


# type -> the keys beside it (None: whatever formats.py knows), and what makes it
TYPES: dict[str, tuple[tuple[str, ...] | None, Callable[[dict[str, Any], str], Structured | None]]] = {
    "text": ((), _of_text),
    "json_object": (("schema",), _of_json_object),
    "json_schema": (("json_schema",), _of_json_schema),
    "grammar": (("grammar",), lambda value, name: grammar(value.get("grammar"), f"{name}.grammar")),
    "regex": (("pattern", "regex"), _of_regex),
    "structural_tag": (None, structural_tag),
}


def structured_outputs(value: Any, name: str) -> Structured | None:
    """vLLM's, where exactly one of the keys says something."""
    if not isinstance(value, dict):
        raise _wrong(name, f"an object with one of {', '.join(OUTPUTS)}", value)
    _only(value, tuple(OUTPUTS), name)
    given = [key for key in value if value[key] is not None]
    if len(given) != 1:
        raise RequestError(f"{name} needs exactly one of {', '.join(OUTPUTS)}; got {', '.join(given) or 'none'}", param=name)
    return OUTPUTS[given[0]](value[given[0]], f"{name}.{given[0]}")


OUTPUTS: dict[str, Callable[[Any, str], Structured | None]] = {
    "json": schema,
    "regex": regex,
    "choice": choice,
    "grammar": grammar,
    "json_object": json_object,
    "structural_tag": structural_tag,
}
FIELDS: dict[str, Callable[[Any, str], Structured | None]] = {
    "response_format": response_format,
    "structured_outputs": structured_outputs,
    "guided_json": schema,
    "guided_regex": regex,
    "guided_choice": choice,
    "guided_grammar": grammar,
    "grammar": grammar,
    "json_schema": schema,
}


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "a text", value)
    return value


def _only(value: Mapping[str, Any], keys: tuple[str, ...], name: str) -> None:
    for key in value:
        if key not in keys:
            raise RequestError(f"{name} has no key {key!r:.60}; known: {', '.join(keys)}", param=f"{name}.{key}")


def _wrong(name: str, wanted: str, value: Any) -> RequestError:
    return RequestError(f"{name} must be {wanted}, got {value!r:.80}", param=name)
