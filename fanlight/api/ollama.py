"""Ollama's API over chat completions and embeddings: /api/chat, /api/generate, /api/embed, /api/embeddings, /api/tags, /api/ps,
/api/show, /api/version.  Streams are lines of JSON there, and streaming is what happens unless a request says no."""

import json
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, cast

from fanlight import __version__
from fanlight.api import embeddings
from fanlight.api.chat import complete_chat
from fanlight.api.checks import Check, fail, integer, number, of_type, only, read_fields
from fanlight.api.completions import complete
from fanlight.api.generation import LoadedModel
from fanlight.api.models import FOR_GOOD, Place, check_keep_alive
from fanlight.api.requests import ChatRequest, CompletionRequest, parse_chat_request, parse_completion_request
from fanlight.errors import RequestError
from fanlight.text.chat_syntax import chat_syntax

TEXT, YES_NO, OBJECT = of_type(str, "a text"), of_type(bool, "true or false"), of_type(dict, "an object")
EFFORTS = ("low", "medium", "high")


DURATION = re.compile(r"-?(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def anything(value: Any, name: str) -> Any:
    return value


def keep_alive(value: Any, name: str) -> float:
    """Seconds, or a text like "1h30m"; below 0: for good."""
    if isinstance(value, str) and DURATION.fullmatch(value):
        parts = re.findall(r"([\d.]+)(ms|s|m|h)", value)
        value = FOR_GOOD if value[0] == "-" else sum(float(number) * SECONDS[unit] for number, unit in parts)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = max(value, FOR_GOOD) if value >= 0 else FOR_GOOD
        check_keep_alive(value)
        return float(value)
    raise fail(name, 'seconds, or a text like "5m"', value)


COMMON: dict[str, Check] = {
    "model": TEXT,
    "stream": YES_NO,
    "format": anything,
    "options": OBJECT,
    "think": anything,
    "keep_alive": keep_alive,
}
CHAT: dict[str, Check] = {**COMMON, "messages": of_type(list, "a list of messages"), "tools": anything}
OF_IMAGES = of_type(list, "a list of pictures, their files as base64")
GENERATE: dict[str, Check] = {
    **COMMON,
    "prompt": TEXT,
    "system": TEXT,
    "raw": YES_NO,
    "suffix": only("", why="no model here fills in a middle"),
    "template": only("", why="the model's own is used; raw: true takes the prompt as it is"),
    "context": only(why="/api/chat takes a conversation's messages"),
    "images": OF_IMAGES,
}
VECTORS: dict[str, Check] = {"model": TEXT, "options": OBJECT, "keep_alive": keep_alive}
EMBED: dict[str, Check] = {**VECTORS, "input": embeddings.texts, "truncate": YES_NO, "dimensions": integer(1, 2**31 - 1)}
EMBEDDINGS: dict[str, Check] = {**VECTORS, "prompt": TEXT}  # older
SHOW: dict[str, Check] = {"model": TEXT, "verbose": YES_NO}
# Ollama's word -> ours. The others in NO_MATTER are of how it computes.
OPTIONS = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "seed": "seed",
    "stop": "stop",
    "repeat_penalty": "repetition_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
NO_MATTER = ("num_gpu", "num_thread", "num_batch", "main_gpu", "use_mmap", "use_mlock", "numa", "low_vram")
Chunk = dict[str, Any]


# --- requests --------------------------------------------------------------------------------------------------------
def parse_chat(loaded: LoadedModel, body: Any) -> tuple[dict[str, Any], ChatRequest | None]:
    """None where there are no messages: the model is only asked to be there."""
    values = read_fields(body, CHAT)
    if not values.get("messages"):
        return values, None
    chat = {**_common(loaded, values), "messages": _messages(values["messages"])}
    if values.get("tools"):
        chat["tools"] = values["tools"]
    return values, parse_chat_request(chat, loaded.defaults)


def parse_generate(loaded: LoadedModel, body: Any) -> tuple[dict[str, Any], ChatRequest | CompletionRequest | None]:
    values = read_fields(body, GENERATE)
    if not values.get("prompt"):
        return values, None
    common = _common(loaded, values)
    if values.get("raw") or loaded.template is None:
        unused = [name for name in ("system", "think", "images") if values.get(name)]
        if unused:
            raise RequestError(f"{unused[0]} needs the model's chat template", param=unused[0])
        most = common.pop("max_completion_tokens", loaded.engine.context_length)
        body = {**common, "prompt": values["prompt"], "max_tokens": most}
        return values, parse_completion_request(body, loaded.defaults)
    system = [{"role": "system", "content": values["system"]}] if values.get("system") else []
    content = _content(values["prompt"], values.get("images"), "images")
    messages = [*system, {"role": "user", "content": content}]
    return values, parse_chat_request({**common, "messages": messages}, loaded.defaults)


def _common(loaded: LoadedModel, values: Mapping[str, Any]) -> dict[str, Any]:
    body = _options(loaded, values.get("options", {}))
    if values.get("stream", True):
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    format, think = values.get("format"), values.get("think")
    if isinstance(format, dict):
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "format", "schema": format}}
    elif format == "json":
        body["response_format"] = {"type": "json_object"}
    elif format not in (None, ""):
        raise fail("format", '"json" or a JSON schema', format)
    if think in EFFORTS:
        body["reasoning_effort"] = think
    elif think is not None:
        body["enable_thinking"] = of_type(bool, f"true, false or one of {', '.join(EFFORTS)}")(think, "think")
    return body


def _options(loaded: LoadedModel, options: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name in OPTIONS:
            found[OPTIONS[name]] = value
        elif name == "num_predict":
            if integer(-2, 2**31 - 1)(value, "options.num_predict") > 0:
                found["max_completion_tokens"] = value
        elif name == "num_ctx":
            integer(1, loaded.engine.context_length)(value, "options.num_ctx")  # which is set when the model is loaded
        elif name not in NO_MATTER:
            known = ", ".join([*OPTIONS, "num_predict", "num_ctx"])
            raise RequestError(f"unknown field options.{name}; known: {known}", param=f"options.{name}")
    if "temperature" in found:
        number(0, 2)(found["temperature"], "options.temperature")
    return found


def _content(text: Any, images: Any, name: str) -> Any:
    """Pictures come first, as Ollama has them."""
    if not images:
        return text
    pictures = [of_type(str, "base64")(image, f"{name}[{i}]") for i, image in enumerate(OF_IMAGES(images, name))]
    parts = [{"type": "image_url", "image_url": {"url": f"data:;base64,{picture}"}} for picture in pictures]
    return [*parts, {"type": "text", "text": text or ""}]


def _messages(given: list[Any]) -> list[dict[str, Any]]:
    """Ollama's calls have no ids: results follow them in their order."""
    messages: list[dict[str, Any]] = []
    ids: list[str] = []
    for i, message in enumerate(given):
        name = f"messages[{i}]"
        if not isinstance(message, dict):
            raise fail(name, "a message", message)
        plain = {key: value for key, value in message.items() if key in ("role", "content")}
        if message.get("images"):
            plain["content"] = _content(message.get("content"), message["images"], f"{name}.images")
        if message.get("thinking"):
            plain["reasoning_content"] = message["thinking"]
        if message.get("tool_calls"):
            calls = of_type(list, "a list of calls")(message["tool_calls"], f"{name}.tool_calls")
            plain["tool_calls"] = [_call(call, f"call_{i}_{n}", name) for n, call in enumerate(calls)]
            ids += [call["id"] for call in plain["tool_calls"]]
        if message.get("role") == "tool":
            plain["tool_call_id"] = ids.pop(0) if ids else f"call_{i}"
        messages.append(plain)
    return messages


def _call(call: Any, call_id: str, name: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments", {}), dict):
        raise fail(f"{name}.tool_calls", "calls with function.name and function.arguments, an object", call)
    arguments = json.dumps(function.get("arguments", {}), ensure_ascii=False)
    return {"id": call_id, "type": "function", "function": {"name": function.get("name"), "arguments": arguments}}


def keep_alive_of(place: Place, body: Any) -> float | None:
    """What the request says of how long its model is to stay; None: nothing, or nothing that can be."""
    value = body.get("keep_alive") if isinstance(body, Mapping) else None
    if value is None:
        return None
    seconds = keep_alive(value, "keep_alive")
    if place.open is None and seconds != FOR_GOOD:
        raise RequestError(
            f"{place.name} stays until it is closed: nobody said how it is opened again",
            param="keep_alive",
            hint="leave keep_alive out, or -1",
        )
    return seconds


# --- answers ---------------------------------------------------------------------------------------------------------
async def chat(loaded: LoadedModel, values: dict[str, Any], request: ChatRequest | None) -> Chunk | AsyncGenerator[Chunk, None]:
    return await _answer(loaded, values, request, _chat_fields)


async def generate(
    loaded: LoadedModel, values: dict[str, Any], request: ChatRequest | CompletionRequest | None
) -> Chunk | AsyncGenerator[Chunk, None]:
    return await _answer(loaded, values, request, _generate_fields)


async def _answer(
    loaded: LoadedModel, values: dict[str, Any], request: ChatRequest | CompletionRequest | None, fields: Any
) -> Chunk | AsyncGenerator[Chunk, None]:
    started = time.perf_counter_ns()
    if request is None:
        reason = "unload" if values.get("keep_alive") == 0 else "load"
        return {**_head(loaded), **fields("", "", []), "done": True, "done_reason": reason}
    is_chat = isinstance(request, ChatRequest)
    answer = await (complete_chat(loaded, request) if isinstance(request, ChatRequest) else complete(loaded, request))
    if not isinstance(answer, Mapping):
        return _lines(loaded, cast(AsyncGenerator[Mapping[str, Any], None], answer), fields, started)
    choice = cast(Any, answer["choices"][0])
    message = choice["message"] if is_chat else {"content": choice["text"]}
    calls = [_parsed(call["function"]) for call in message.get("tool_calls", ())]
    parts = fields(message["content"] or "", message.get("reasoning_content", ""), calls)
    return {**_head(loaded), **parts, **_end(choice["finish_reason"], answer, started)}


async def _lines(
    loaded: LoadedModel, chunks: AsyncGenerator[Mapping[str, Any], None], fields: Any, started: int
) -> AsyncGenerator[Chunk, None]:
    """Calls come whole, when they are; what is none is text."""
    calls: list[dict[str, str]] = []
    reason = "stop"
    async with aclosing(chunks):
        async for chunk in chunks:
            for choice in chunk["choices"]:
                delta = choice.get("delta") or {"content": choice.get("text", "")}
                for call in delta.get("tool_calls", ()):
                    if "name" in call["function"]:
                        calls.append({"name": call["function"]["name"], "arguments": ""})
                    calls[-1]["arguments"] += call["function"].get("arguments", "")
                content, thinking = delta.get("content", ""), delta.get("reasoning_content", "")
                if content or thinking:
                    yield {**_head(loaded), **fields(content, thinking, []), "done": False}
                reason = choice["finish_reason"] or reason
            if chunk.get("usage"):
                whole = [_parsed(call) for call in calls if _is_object(call["arguments"])]
                if whole:
                    yield {**_head(loaded), **fields("", "", whole), "done": False}
                broken = "".join(call["arguments"] for call in calls if not _is_object(call["arguments"]))
                yield {**_head(loaded), **fields(broken, "", []), **_end(reason, chunk, started)}


def _head(loaded: LoadedModel) -> Chunk:
    return {"model": loaded.model_name, "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z")}


def _chat_fields(content: str, thinking: str, calls: list[Any]) -> Chunk:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if thinking:
        message["thinking"] = thinking
    if calls:
        message["tool_calls"] = calls
    return {"message": message}


def _generate_fields(content: str, thinking: str, calls: list[Any]) -> Chunk:
    return {"response": content, "thinking": thinking} if thinking else {"response": content}


def _parsed(function: Mapping[str, Any]) -> dict[str, Any]:
    arguments = json.loads(function["arguments"]) if _is_object(function["arguments"]) else {}
    return {"function": {"name": function["name"], "arguments": arguments}}


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _end(reason: str, answer: Mapping[str, Any], started: int) -> Chunk:
    """Durations in nanoseconds."""
    usage, timings = answer["usage"], answer.get("timings") or {}
    total = time.perf_counter_ns() - started
    first = min(total, int((timings.get("ttft_ms") or 0) * 1e6))
    return {
        "done": True,
        "done_reason": "length" if reason == "length" else "stop",
        "total_duration": total,
        "load_duration": 0,
        "prompt_eval_count": usage["prompt_tokens"],
        "prompt_eval_duration": first,
        "eval_count": usage["completion_tokens"],
        "eval_duration": total - first,
    }


# --- vectors ---------------------------------------------------------------------------------------------------------
async def embed(loaded: LoadedModel, body: Any) -> Chunk:
    started, values = time.perf_counter_ns(), read_fields(body, EMBED)
    found = await _vectors(loaded, values, values.get("input", []), values.get("truncate", True))
    return {
        "model": loaded.model_name,
        "embeddings": [item["embedding"] for item in found["data"]],
        "total_duration": time.perf_counter_ns() - started,
        "load_duration": 0,
        "prompt_eval_count": found["usage"]["prompt_tokens"],
    }


async def embed_one(loaded: LoadedModel, body: Any) -> Chunk:
    """The older one."""
    values = read_fields(body, EMBEDDINGS)
    found = await _vectors(loaded, values, [values["prompt"]] if values.get("prompt") else [], True)
    return {"embedding": [x for item in found["data"] for x in item["embedding"]]}


async def _vectors(loaded: LoadedModel, values: Mapping[str, Any], texts: list[str], cuts: bool) -> Any:
    """Of no texts, nothing: the model is only asked to be there."""
    embeddings.embedder_of(loaded)
    for name in _options(loaded, values.get("options", {})):
        raise RequestError(f"options: {name} says how text is drawn, and there is none", param="options")
    if not texts:
        return {"data": [], "usage": {"prompt_tokens": 0}}
    asked = {"input": texts, **({"truncate_prompt_tokens": -1} if cuts else {})}
    return await embeddings.embed(loaded, asked | {name: values[name] for name in ("dimensions",) if name in values})


# --- models ----------------------------------------------------------------------------------------------------------
Places = Sequence[Place]  # also of models that are opened when they are asked for


def tags(places: Places) -> dict[str, Any]:
    return {"models": [_model(p.loaded) if p.loaded else {"name": p.name, "model": p.name} for p in places]}


def ps(places: Places) -> dict[str, Any]:
    loaded = [(place.expires, place.loaded) for place in places if place.loaded]
    return {"models": [{**_model(m), "expires_at": _at(expires), "size_vram": _size(m)} for expires, m in loaded]}


def version(places: Places) -> dict[str, Any]:
    return {"version": __version__}


def show(loaded: LoadedModel, body: Any) -> dict[str, Any]:
    read_fields(body, SHOW)
    template, architecture = loaded.template, str(loaded.info.get("architecture", ""))
    gives_text = "embedding" not in loaded.info
    capabilities = ["completion"] if gives_text else ["embedding"]
    if template is not None and gives_text:
        syntax = chat_syntax(template, loaded.tokenizer)
        capabilities.append("tools")
        capabilities += ["thinking"] if syntax.marks is not None or syntax.is_framed else []
    return {
        "modelfile": "",
        "parameters": "",
        "template": "" if template is None else template.source,
        "details": _details(loaded),
        "model_info": {
            "general.architecture": architecture,
            f"{architecture}.context_length": loaded.engine.context_length,
        },
        "capabilities": capabilities,
        "modified_at": _modified(loaded),
    }


def _model(loaded: LoadedModel) -> dict[str, Any]:
    return {
        "name": loaded.model_name,
        "model": loaded.model_name,
        "modified_at": _modified(loaded),
        "size": _size(loaded),
        "digest": sha256(loaded.model_name.encode()).hexdigest(),  # of the name: the file is not read again for it
        "details": _details(loaded),
    }


def _details(loaded: LoadedModel) -> dict[str, Any]:
    family = str(loaded.info.get("architecture", ""))
    return {
        "parent_model": "",
        "format": str(loaded.info.get("format", "")),
        "family": family,
        "families": [family],
        "parameter_size": "",
        "quantization_level": "",
    }


def _size(loaded: LoadedModel) -> int:
    return sum(loaded.info.get("memory", {}).values())


def _modified(loaded: LoadedModel) -> str:
    return _at(loaded.created)


def _at(seconds: float | None) -> str:
    """None: never."""
    return (
        "9999-12-31T00:00:00Z" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    )
