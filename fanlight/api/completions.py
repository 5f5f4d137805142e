"""Completions: prompts as texts or token ids in, their continuations out.  Knows no transport."""

import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from fanlight.api.generation import Face, Generation, check_fits
from fanlight.api.requests import CompletionRequest
from fanlight.api.types import Completion


async def complete(face: Face, request: CompletionRequest) -> Completion | AsyncIterator[Completion]:
    prompts = [p if isinstance(p, list) else await face.tokenizer.encode(p) for p in request.prompts]
    for prompt in prompts:
        check_fits(face, prompt, "prompt")
    return _stream(face, request, prompts) if request.stream else await _complete(face, request, prompts)


def _generation(face: Face, request: CompletionRequest, prompts: list[list[int]]) -> Generation:
    return Generation(face, prompts, request.params, n=request.n, stops=request.stops, is_continuation=True)


def _echoes(face: Face, request: CompletionRequest) -> list[str]:
    """What stands before each choice's text."""
    if not request.echo:
        return [""] * (len(request.prompts) * request.n)
    texts = [p if isinstance(p, str) else face.tokenizer.decode(p) for p in request.prompts]
    return [text for text in texts for _ in range(request.n)]


async def _complete(face: Face, request: CompletionRequest, prompts: list[list[int]]) -> Completion:
    choices = [_choice(i, text) for i, text in enumerate(_echoes(face, request))]
    if request.return_token_ids:
        for i, choice in enumerate(choices):
            choice |= {"token_ids": [], "prompt_token_ids": prompts[i // request.n]}
    with _generation(face, request, prompts) as generation:
        while pieces := await generation.advance():
            for piece in pieces:
                choice = choices[piece.index]
                choice["text"] += piece.text
                choice["finish_reason"] = piece.finish_reason
                if request.return_token_ids:
                    choice["token_ids"] += piece.token_ids
        response: Any = {
            **_head(face),
            "choices": choices,
            "usage": generation.usage(),
            "timings": generation.timings(),
        }
    return response | _prompt_ids(request, prompts)


async def _stream(face: Face, request: CompletionRequest, prompts: list[list[int]]) -> AsyncIterator[Completion]:
    head: Any = _head(face)
    if request.include_usage:
        head["usage"] = None
    first = _prompt_ids(request, prompts)
    with _generation(face, request, prompts) as generation:
        for i, text in enumerate(_echoes(face, request)):
            # Also without an echo: who waits for the first chunk learns that the prompts were taken.
            begin = {"token_ids": [], "prompt_token_ids": prompts[i // request.n]} if request.return_token_ids else {}
            yield {**head, **first, "choices": [_choice(i, text) | begin]}
            first = {}
        num_open = len(prompts) * request.n
        while pieces := await generation.advance():
            for piece in pieces:
                num_open -= piece.finish_reason is not None
                is_last = num_open == 0 and piece.finish_reason is not None and not request.include_usage
                ids = {"token_ids": piece.token_ids} if request.return_token_ids else {}
                if piece.text or piece.finish_reason or (ids and piece.token_ids):
                    choice = _choice(piece.index, piece.text, piece.finish_reason) | ids
                    yield {**head, "choices": [choice], **({"timings": generation.timings()} if is_last else {})}
        if request.include_usage:
            yield {**head, "choices": [], "usage": generation.usage(), "timings": generation.timings()}


def _prompt_ids(request: CompletionRequest, prompts: list[list[int]]) -> dict[str, Any]:
    """Of a single prompt also where a chat completion has them."""
    return {"prompt_token_ids": prompts[0]} if request.return_token_ids and len(prompts) == 1 else {}


def _choice(index: int, text: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}


def _head(face: Face) -> dict[str, Any]:
    return {
        "id": f"cmpl-{secrets.token_hex(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": face.model_name,
    }
