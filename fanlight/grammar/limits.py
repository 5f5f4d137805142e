"""How much one grammar may cost. Work is counted, not timed: what is refused here is refused everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from fanlight.errors import RequestError

MAX_WORK = 250_000  # edges looked at, in all; about a second
MAX_STATES = 30_000  # of one automaton
MAX_WORDS = 4 << 20  # of an automaton's tables, 4 bytes each


class TooLarge(ValueError):
    """What was asked for needs more than this; becomes a RequestError that names the keyword."""


_left: ContextVar[list[int] | None] = ContextVar("work that is left", default=None)


@contextmanager
def budget(work: int = MAX_WORK) -> Iterator[None]:
    """Count the work of what runs inside; nested budgets are one."""
    if _left.get() is not None:
        yield
        return
    token = _left.set([work])
    try:
        yield
    finally:
        _left.reset(token)


def nests_deeper(value: object, most: int) -> bool:
    """Whether lists and objects lie in one another deeper than that."""
    level = [value]
    for _ in range(most + 1):
        level = [
            part
            for held in level
            if isinstance(held, (list, tuple, dict))
            for part in (held.values() if isinstance(held, dict) else held)
        ]
        if not level:
            return False
    return True


def spend(work: int) -> None:
    left = _left.get()
    if left is not None:
        left[0] -= work
        if left[0] < 0:
            raise TooLarge(f"it takes more than {MAX_WORK} steps to build")


_timed: ContextVar[list[float] | None] = ContextVar("seconds of what was compiled", default=None)


@contextmanager
def timed() -> Iterator[list[float]]:
    """Gets the seconds of each grammar that is compiled inside; those that are kept take none."""
    seconds: list[float] = []
    token = _timed.set(seconds)
    try:
        yield seconds
    finally:
        _timed.reset(token)


def took(seconds: float) -> None:
    if (found := _timed.get()) is not None:
        found.append(seconds)


@contextmanager
def blame(param: str) -> Iterator[None]:
    """What goes wrong inside is the fault of this part of the request."""
    try:
        yield
    except TooLarge as error:
        raise RequestError(f"{param} is too large: {error}", param=param) from None
    except RequestError as error:
        error.param = error.param or param
        raise
