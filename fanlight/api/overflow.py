"""A conversation that is longer than the context is refused, or its oldest turns are left out: as was asked, never a guess.

A turn is a user's message and all that follows it up to the next one, so that the results of tools stay with their calls. What
the system says is kept, and so is the last turn.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fanlight.api.checks import Check, one_of
from fanlight.errors import ContextOverflow, RequestError

T = TypeVar("T")
Messages = list[dict[str, Any]]

ERROR, DROP_OLDEST = "error", "drop_oldest"
POLICIES = (ERROR, DROP_OLDEST)
SINKS = "attention_sinks"
KEPT = ("system", "developer")
NO_SINKS = (
    "keys are kept with the rotation of their positions, so a window that moves over them would compute all of them again"
)


def policy(value: Any, name: str) -> str:
    if value == SINKS:
        raise RequestError(f"{name}: {SINKS} are not supported: {NO_SINKS}", param=name, hint=DROP_OLDEST)
    checked: str = one_of(*POLICIES)(value, name)
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
