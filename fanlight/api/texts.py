"""/tokenize, /detokenize and /apply-template, in vLLM's words and llama.cpp's: what a text, or a chat, is to the model."""

from typing import Any

from fanlight.api.chat import chat_prompt
from fanlight.api.checks import Check, fail, of_type, only, read_fields, token_ids
from fanlight.api.generation import LoadedModel
from fanlight.api.requests import parse_chat_request
from fanlight.errors import RequestError

TEXT, YES_NO = of_type(str, "a text"), of_type(bool, "true or false")
CHAT_FIELDS = (
    "messages",
    "tools",
    "tool_choice",
    "chat_template_kwargs",
    "enable_thinking",
    "reasoning_effort",
    "add_generation_prompt",
    "continue_final_message",
)
OF_CHAT: dict[str, Check] = {name: lambda value, name: value for name in CHAT_FIELDS}
TOKENIZE: dict[str, Check] = {
    **OF_CHAT,
    "model": TEXT,
    "prompt": TEXT,  # vLLM's
    "add_special_tokens": YES_NO,
    "return_token_strs": YES_NO,
    "content": TEXT,  # llama.cpp's
    "add_special": YES_NO,
    "parse_special": only(True, why="special tokens in a text are read as such here"),
    "with_pieces": YES_NO,
}
DETOKENIZE: dict[str, Check] = {"model": TEXT, "tokens": token_ids}
TEMPLATE: dict[str, Check] = {**OF_CHAT, "model": TEXT}


async def tokenize(loaded: LoadedModel, body: Any) -> dict[str, Any]:
    values = read_fields(body, TOKENIZE)
    given = [name for name in ("prompt", "messages", "content") if name in values]
    if len(given) != 1:
        raise RequestError(f"one of prompt, messages and content is needed, got {', '.join(given) or 'none'}", param="prompt")
    if given == ["messages"]:
        ids = (await _prompt(loaded, values))[1]
    else:
        adds = values.get("add_special_tokens", True) if given == ["prompt"] else values.get("add_special", False)
        ids = await loaded.tokenizer.encode(values[given[0]], adds)
    if given == ["content"]:
        return {"tokens": [{"id": i, "piece": _piece(loaded, i)} for i in ids] if values.get("with_pieces") else ids}
    strings = [loaded.tokenizer.token(i) or "" for i in ids] if values.get("return_token_strs") else None
    return {"count": len(ids), "max_model_len": loaded.engine.context_length, "tokens": ids, "token_strs": strings}


def _piece(loaded: LoadedModel, token_id: int) -> str | list[int]:
    """A text, or the bytes where a token is no whole characters."""
    spelled = loaded.tokenizer.token_bytes(token_id)
    try:
        return spelled.decode()
    except UnicodeDecodeError:
        return list(spelled)


async def detokenize(loaded: LoadedModel, body: Any) -> dict[str, Any]:
    """The text under both engines' names."""
    values = read_fields(body, DETOKENIZE)
    if "tokens" not in values:
        raise RequestError("tokens is missing", param="tokens")
    for i in values["tokens"]:
        if i >= loaded.tokenizer.vocab_size:
            raise fail("tokens", f"ids below {loaded.tokenizer.vocab_size}", i)
    text = loaded.tokenizer.decode(values["tokens"], skip_special_tokens=False)
    return {"prompt": text, "content": text}


async def apply_template(loaded: LoadedModel, body: Any) -> dict[str, Any]:
    return {"prompt": (await _prompt(loaded, read_fields(body, TEMPLATE)))[0]}


async def _prompt(loaded: LoadedModel, values: dict[str, Any]) -> tuple[str, list[int]]:
    chat = parse_chat_request({name: values[name] for name in CHAT_FIELDS if name in values})
    prompt = await chat_prompt(loaded, chat)
    return prompt.text, prompt.token_ids
