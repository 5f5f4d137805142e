"""Completions: prompts as texts or token ids in, their continuations out.  Knows no transport."""

import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import replace

from fanlight.api.generation import Generation, LoadedModel, check_fits, check_length
from fanlight.api.requests import CompletionRequest
from fanlight.api.structured import constrained
from fanlight.api.types import Completion, CompletionChoice, FinishReason


async def complete(loaded: LoadedModel, request: CompletionRequest) -> Completion | AsyncGenerator[Completion, None]:
    for text in request.prompts:
        if isinstance(text, str):
            check_length(loaded, text, "prompt")
    prompts = [p if isinstance(p, list) else await loaded.tokenizer.encode(p) for p in request.prompts]
    for prompt in prompts:
        check_fits(loaded, prompt, "prompt")
    request = replace(request, params=await constrained(request.params, request.structured))
    return _stream(loaded, request, prompts) if request.stream else await _complete(loaded, request, prompts)


def _generation(loaded: LoadedModel, request: CompletionRequest, prompts: list[list[int]]) -> Generation:
    return Generation(loaded, prompts, request.params, n=request.n, stops=request.stops, is_continuation=True)


def _echoes(loaded: LoadedModel, request: CompletionRequest) -> list[str]:
    """What stands before each choice's text."""
    if not request.echo:
        return [""] * (len(request.prompts) * request.n)
    texts = [p if isinstance(p, str) else loaded.tokenizer.decode(p) for p in request.prompts]
    return [text for text in texts for _ in range(request.n)]


async def _complete(loaded: LoadedModel, request: CompletionRequest, prompts: list[list[int]]) -> Completion:
    choices = [_choice(i, text) for i, text in enumerate(_echoes(loaded, request))]
    if request.return_token_ids:
        for i, choice in enumerate(choices):
            choice["token_ids"], choice["prompt_token_ids"] = [], prompts[i // request.n]
    with _generation(loaded, request, prompts) as generation:
        while pieces := await generation.advance():
            for piece in pieces:
                choice = choices[piece.index]
                choice["text"] += piece.text
                choice["finish_reason"] = piece.finish_reason
                if request.return_token_ids:
                    choice["token_ids"] += piece.token_ids
        response = _completion(_head(loaded), choices)
        response["usage"], response["timings"] = generation.usage(), generation.timings()
    _add_prompt_ids(response, request, prompts)
    return response


async def _stream(
    loaded: LoadedModel, request: CompletionRequest, prompts: list[list[int]]
) -> AsyncGenerator[Completion, None]:
    head = _head(loaded)
    if request.include_usage:
        head["usage"] = None
    with _generation(loaded, request, prompts) as generation:
        for i, text in enumerate(_echoes(loaded, request)):
            # Also without an echo: who waits for the first chunk learns that the prompts were taken.
            choice = _choice(i, text)
            chunk = _completion(head, [choice])
            if request.return_token_ids:
                choice["token_ids"], choice["prompt_token_ids"] = [], prompts[i // request.n]
            if i == 0:
                _add_prompt_ids(chunk, request, prompts)
            yield chunk
        num_open = len(prompts) * request.n
        while pieces := await generation.advance():
            for piece in pieces:
                num_open -= piece.finish_reason is not None
                if not (piece.text or piece.finish_reason or (request.return_token_ids and piece.token_ids)):
                    continue
                choice = _choice(piece.index, piece.text, piece.finish_reason)
                chunk = _completion(head, [choice])
                if request.return_token_ids:
                    choice["token_ids"] = piece.token_ids
                if num_open == 0 and piece.finish_reason is not None and not request.include_usage:
                    chunk["timings"] = generation.timings()
                yield chunk
        if request.include_usage:
            chunk = _completion(head, [])
            chunk["usage"], chunk["timings"] = generation.usage(), generation.timings()
            yield chunk


def _add_prompt_ids(response: Completion, request: CompletionRequest, prompts: list[list[int]]) -> None:
    """Of a single prompt also where a chat completion has them."""
    if request.return_token_ids and len(prompts) == 1:
        response["prompt_token_ids"] = prompts[0]


def _choice(index: int, text: str, finish_reason: FinishReason | None = None) -> CompletionChoice:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}


def _completion(head: Completion, choices: list[CompletionChoice]) -> Completion:
    completion = head.copy()
    completion["choices"] = choices
    return completion


def _head(loaded: LoadedModel) -> Completion:
    """What all chunks of a stream have."""
    return {
        "id": f"cmpl-{secrets.token_hex(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": loaded.model_name,
        "choices": [],
    }
