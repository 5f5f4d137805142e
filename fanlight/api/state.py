"""A conversation's state, saved and restored: what a request's prompt has left in the KV cache.  Knows requests and files."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fanlight.api.chat import chat_prompt
from fanlight.api.generation import Generation, LoadedModel, check_fits
from fanlight.api.requests import parse_chat_request, parse_completion_request
from fanlight.driver import in_thread
from fanlight.engine.engine import Engine
from fanlight.engine.sampling_params import SamplingParams
from fanlight.errors import DeviceLost, FormatError, RequestError, SourceError

ONE = SamplingParams(temperature=0.0, max_tokens=1)


async def save(loaded: LoadedModel, path: Path, body: Mapping[str, Any]) -> int:
    """How many tokens are saved."""
    count, parts = await state_of(loaded, body)
    await in_thread(lambda: _write(path, parts))
    return count


async def restore(loaded: LoadedModel, path: Path) -> int:
    """How many tokens need not be computed now."""
    _engine(loaded)  # before the file is read
    return adopt(loaded, await in_thread(lambda: _read(path)), str(path))


async def state_of(loaded: LoadedModel, body: Mapping[str, Any]) -> tuple[int, list[bytes]]:
    """How many tokens, and the parts of the file that holds their state. body: a request's fields: `messages` and what else its
    prompt is made of, or `prompt`."""
    engine = _engine(loaded)
    token_ids = await _prompt(loaded, body)
    check_fits(loaded, token_ids, "prompt" if "prompt" in body else "messages")
    await _compute(loaded, token_ids)
    try:
        return await engine.save_state(token_ids, str(loaded.fingerprint))
    except DeviceLost:  # another one is had by who computes
        await _compute(loaded, token_ids)
        return await engine.save_state(token_ids, str(loaded.fingerprint))


async def _compute(loaded: LoadedModel, token_ids: list[int]) -> None:
    """What is not in the cache, or no longer."""
    with Generation(loaded, [token_ids], ONE) as generation:
        while await generation.advance():
            pass


def adopt(loaded: LoadedModel, data: bytes, where: str) -> int:
    """How many tokens need not be computed now. where: the data came from, for errors."""
    try:
        return len(_engine(loaded).restore_state(data, str(loaded.fingerprint)))
    except FormatError as error:
        raise FormatError(error.message, where=where, hint=error.hint) from None


async def _prompt(loaded: LoadedModel, body: Mapping[str, Any]) -> list[int]:
    if "prompt" not in body:
        return (await chat_prompt(loaded, parse_chat_request(body))).token_ids
    prompts = parse_completion_request(body).prompts
    if len(prompts) != 1:
        raise RequestError(f"a state is of one prompt, got {len(prompts)}", param="prompt")
    (prompt,) = prompts
    return prompt if isinstance(prompt, list) else await loaded.tokenizer.encode(prompt)


def _engine(loaded: LoadedModel) -> Engine:
    if not isinstance(loaded.engine, Engine):
        raise RequestError(f"{loaded.model_name} keeps no state", param="model", hint="a chat model")
    return loaded.engine


def _write(path: Path, parts: Iterable[bytes]) -> None:
    """All of it, or what was there before."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.writelines(parts)
        os.replace(part, path)
    except OSError as error:
        raise SourceError(f"cannot be written: {error.strerror}", where=str(path)) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=str(path)) from None
