"""Several models by name, on one device and under one memory budget.  `model` in a request chooses.

A model that is told how to be opened may be unloaded and comes back when it is asked for: after `keep_alive` seconds without a
request (Ollama's word: -1 for good, 0 at once), or where another one does not fit and `makes_room` was asked for. A model that
answers is never unloaded to make room.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fanlight.api.generation import LoadedModel
from fanlight.driver import has_loop
from fanlight.errors import DoesNotFit, EngineClosed, FanlightError, RequestError

Open = Callable[[], Awaitable[LoadedModel]]
FOR_GOOD = -1.0


@dataclass(slots=True, eq=False)
class Place:
    """One model's; between two loads nothing is in it."""

    name: str
    loaded: LoadedModel | None
    open: Open | None  # None: once it is unloaded, it is gone
    keep_alive: float = FOR_GOOD
    num_users: int = 0
    last_used: float = field(default_factory=time.monotonic)

    @property
    def is_idle(self) -> bool:
        return self.loaded is not None and self.num_users == 0

    @property
    def expires(self) -> float | None:
        """When it will be unloaded, in seconds since 1970; None: not by itself."""
        if self.open is None or self.keep_alive < 0:
            return None
        idle = 0.0 if self.num_users else time.monotonic() - self.last_used
        return time.time() + self.keep_alive - idle

    def close(self) -> None:
        if self.loaded is not None:
            loaded, self.loaded = self.loaded, None
            loaded.close()


class Models:
    """In order of arrival; the first is meant by requests that name none."""

    def __init__(self, *loaded: LoadedModel, makes_room: bool = False) -> None:
        self.makes_room = makes_room
        self._places: dict[str, Place] = {}
        self._setups: list[Callable[[LoadedModel], None]] = []
        self._loading = asyncio.Lock()
        self._is_closed = False
        for model in loaded:
            self.add(model)

    def set_up(self, setup: Callable[[LoadedModel], None]) -> None:
        """What whoever serves them wants of each: of those that are loaded, and of each that is opened later, or again."""
        self._setups.append(setup)
        for place in self:
            if place.loaded is not None:
                setup(place.loaded)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    def __len__(self) -> int:
        return len(self._places)

    def add(self, loaded: LoadedModel, open: Open | None = None, keep_alive: float = FOR_GOOD) -> None:
        self._check_is_new(loaded.model_name)
        check_keep_alive(keep_alive)
        self._places[loaded.model_name] = Place(loaded.model_name, loaded, open, keep_alive)
        self._set_up(loaded)

    def _set_up(self, loaded: LoadedModel) -> None:
        for setup in self._setups:
            setup(loaded)

    async def load(self, open: Open, name: str | None = None, keep_alive: float = FOR_GOOD) -> LoadedModel:
        """Open one more. With a name it is refused before it is opened where another has it. Raises what `open` raises."""
        if name is not None:
            self._check_is_new(name)
        check_keep_alive(keep_alive)
        async with self._loading:
            loaded = await self._open(open)
        try:
            if self._is_closed:
                raise EngineClosed("the engine was closed while it loaded a model")
            self.add(loaded, open, keep_alive)
        except FanlightError:
            loaded.close()
            raise
        return loaded

    def offer(self, name: str, open: Open, keep_alive: float = FOR_GOOD) -> None:
        """A model that is opened when it is first asked for."""
        self._check_is_new(name)
        check_keep_alive(keep_alive)
        self._places[name] = Place(name, None, open, keep_alive)

    def unload(self, name: str) -> None:
        """Ends its answers and forgets it. Raises RequestError where none has exactly this name."""
        if name not in self._places:
            raise self._no_such(name)
        self._places.pop(name).close()

    def keep_alive(self, name: str | None, seconds: float) -> None:
        """As of the model's last use."""
        check_keep_alive(seconds)
        place = self.place(name)
        place.keep_alive = seconds
        self._expire_later(place)

    def place(self, name: str | None) -> Place:
        """Raises RequestError."""
        if not name and self._places:
            return next(iter(self._places.values()))
        if name in self._places:
            return self._places[name]
        if place := next((p for p in self if p.loaded is not None and name in p.loaded.loras), None):
            return place
        if len(self._places) == 1:  # what a foreign name means, the routes say
            return next(iter(self._places.values()))
        raise self._no_such(name)

    def _no_such(self, name: str | None) -> RequestError:
        known = ", ".join(map(repr, self._places)) or "none"
        return RequestError(f"the model {name!r} is not loaded; these are: {known}", param="model")

    @asynccontextmanager
    async def using(self, name: str | None) -> AsyncGenerator[LoadedModel, None]:
        """The model, loaded; it stays so as long as it is used."""
        if self._is_closed:
            raise EngineClosed("the engine is closed", hint="load the model again")
        place = self.place(name)
        place.num_users += 1
        try:
            if place.loaded is None:
                async with self._loading:
                    if place.loaded is None and place.open is not None:
                        place.loaded = await self._open(place.open)
                        place.loaded.model_name = place.name
                        self._set_up(place.loaded)
            if place.loaded is None:
                raise RequestError(f"the model {place.name!r} was unloaded", param="model")
            yield place.loaded
        finally:
            place.num_users -= 1
            place.last_used = time.monotonic()
            self._expire_later(place)

    def close(self) -> None:
        self._is_closed = True
        for place in self._places.values():
            place.close()

    async def _open(self, open: Open) -> LoadedModel:
        """Raises DoesNotFit where making room was not asked for, or is of no avail."""
        while True:
            self._expire()
            try:
                return await open()
            except DoesNotFit:
                idle = [place for place in self if place.is_idle and place.open is not None]
                if not (self.makes_room and idle):
                    raise
                min(idle, key=lambda place: place.last_used).close()

    def _expire(self) -> None:
        now = time.monotonic()
        for place in self:
            if place.is_idle and place.open is not None and 0 <= place.keep_alive <= now - place.last_used:
                place.close()

    def _expire_later(self, place: Place) -> None:
        """Without an event loop, when the next model is opened."""
        if place.keep_alive == 0:
            self._expire()
        elif place.keep_alive > 0 and has_loop():
            asyncio.get_running_loop().call_later(place.keep_alive + 0.001, self._expire)

    def _check_is_new(self, name: str) -> None:
        if name in self._places:
            raise RequestError(
                f"a model {name!r} is loaded already", param="name", hint="another name, or unload that one first"
            )


def check_keep_alive(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value == FOR_GOOD or 0 <= value < 1e9):
        raise RequestError(f"keep_alive must be seconds, or -1 for good, got {value!r}", param="keep_alive")
