"""A conversation that is longer than the context is refused, or its oldest turns or tokens are left out: as was asked, never a
guess.

A turn is a user's message and all that follows it up to the next one, so that the results of tools stay with their calls. What
the system says is kept, and so is the last turn. With attention sinks nothing is too long: the first tokens stay, which are
what the template writes before the first message and a few at least, and the oldest behind them leave wherever the context is
full, be it by the prompt or by the answer (fanlight/engine/sequence.py).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from fanlight.api.checks import Check, one_of
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.sequence import num_to_drop
from fanlight.errors import ContextOverflow, RequestError

T = TypeVar("T")
Messages = list[dict[str, Any]]

ERROR, DROP_OLDEST, SINKS = "error", "drop_oldest", "attention_sinks"
KEPT = ("system", "developer")
FEW_SINKS = 16  # tokens; the paper has four
policy = one_of(ERROR, DROP_OLDEST, SINKS)


def policy_of_texts(value: Any, name: str) -> str:
    """Of completions."""
    if value == DROP_OLDEST:
        raise RequestError(f"{name}: a completion's prompt has no turns to drop", param=name, hint=SINKS)
    checked: str = one_of(ERROR, SINKS)(value, name)
    return checked


FIELDS: dict[str, Check] = {
    "context_overflow": policy,
    "truncation": one_of("auto", "disabled"),  # OpenAI's words, of its responses
}


def policy_of(values: Mapping[str, Any]) -> str | None:
    """What a request asks for; None: nothing."""
    truncation = values.get("truncation")
    asked: str | None = values.get("context_overflow")
    if truncation is None:
        return asked
    meant = DROP_OLDEST if truncation == "auto" else ERROR
    if asked not in (None, meant):
        raise RequestError(
            f"truncation {truncation!r} and context_overflow {asked!r} contradict each other", param="truncation"
        )
    return meant


async def fitting(messages: Messages, policy: str, make: Callable[[Messages], Awaitable[T]]) -> T:
    """make's result of the messages, or of what is left when as few of the oldest turns as may be are dropped. make raises
    ContextOverflow where they are too many."""
    try:
        return await make(messages)
    except ContextOverflow:
        most = num_turns(messages) - 1
        if policy == ERROR or most < 1:
            raise
    low, found = 1, await make(without_oldest(messages, most))
    high = most
    while low < high:
        middle = (low + high) // 2
        try:
            found, high = await make(without_oldest(messages, middle)), middle
        except ContextOverflow:
            low = middle + 1
    return found


def num_turns(messages: Messages) -> int:
    return sum(message["role"] == "user" for message in messages)


def without_oldest(messages: Messages, num: int) -> Messages:
    """What comes before the first user's message goes with the first turn."""
    kept: Messages = []
    turn = 0
    for message in messages:
        turn += message["role"] == "user"
        if turn > num or message["role"] in KEPT:
            kept.append(message)
    return kept


# --- attention sinks -------------------------------------------------------------------------------------------------
def may_overflow(prompts: Iterable[list[int]], params: SamplingParams, context_length: int) -> bool:
    return max(map(len, prompts), default=0) + (params.max_tokens or context_length) > context_length


def before_first(messages: Messages) -> Messages:
    """The conversation's beginning, where its first message says nothing: what comes before that is in both prompts."""
    first = next((i for i, message in enumerate(messages) if message["role"] not in KEPT), len(messages))
    return [*messages[:first], *({**message, "content": ""} for message in messages[first : first + 1])]


def num_sinks(token_ids: list[int], start: list[int], context_length: int, param: str) -> int:
    """How many of a prompt's tokens stay: those that `start` begins with too, and a few at least. Raises ContextOverflow where
    they would leave no room."""
    same = next((i for i, (a, b) in enumerate(zip(token_ids, start, strict=False)) if a != b), min(len(token_ids), len(start)))
    if 2 * same > context_length:
        raise ContextOverflow(
            f"what comes before the first message has {same} tokens; at most half of the context of {context_length} may stay",
            hint="a shorter system message, fewer tools, or load the model with a larger context length",
            param=param,
        )
    return max(same, min(FEW_SINKS, context_length // 4))


def cut(token_ids: list[int], num_sinks: int, context_length: int) -> list[int]:
    """What of a prompt the model reads."""
    return token_ids[:num_sinks] + token_ids[num_sinks + num_to_drop(len(token_ids), num_sinks, context_length) :]
