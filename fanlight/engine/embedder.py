"""Texts in, vectors out: the engine of an encoder.  Knows no text and no HTTP.

    vectors = await embedder.embed([Text(token_ids), ...])

A step takes whole texts of any lengths, of whoever waits, side by side, and leaves one vector for each; nothing is kept from
step to step. The loop runs inside `embed`: fill the steps in flight, read the oldest one back.
"""

import asyncio
from array import array
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fanlight.compiler.program import ROW_IS_SECOND, ROW_WORDS, Program, Sample, pack_words, words_of
from fanlight.compiler.signature import POOLED
from fanlight.engine.recovery import MOST_LOSSES, Renew
from fanlight.errors import ContextOverflow, DeviceLost, EngineClosed, RequestError
from fanlight.models.pooling import Pooling
from fanlight.runtime.device import Device

NUM_IN_FLIGHT = 3  # steps: one is computed while another is read and a third is packed


@dataclass(frozen=True, slots=True)
class Text:
    """Token ids of one text, or of a pair whose second text begins at `second`."""

    token_ids: list[int]
    second: int | None = None


@dataclass(slots=True)
class _Job:
    """The texts of one call, and the vectors that are here."""

    waiting: deque[tuple[int, Text]]
    vectors: dict[int, "array[float]"]
    size: int

    @property
    def is_done(self) -> bool:
        return len(self.vectors) == self.size


@dataclass(slots=True)
class _Flight:
    """A step that was submitted and not read back: whose texts it has."""

    ticket: int
    texts: list[tuple[_Job, int, Text]]
    reading: Awaitable[bytes]
    sampled: Awaitable[list[int]] | None = None


class Embedder:
    """Owns the device from here on; the device has prepared the program and loaded its weights."""

    def __init__(self, program: Program, device: Device, pooling: Pooling):
        self.program = program
        self.pooling = pooling
        self.context_length = program.context_length
        self.dimensions = program.steps[0].output(POOLED).shape[1]
        self.renew: Renew | None = None
        self._device = device
        self._lost: DeviceLost | None = None  # as long as there is no other device
        self._num_losses = 0  # between which no vector came
        self._jobs: deque[_Job] = deque()
        self._flights: deque[_Flight] = deque()
        self._turn = asyncio.Lock()
        self._error: Exception | None = None
        self._is_closed = False

    def summary(self) -> dict[str, Any]:
        """For people and pages."""
        is_scorer = bool(self.pooling.score)
        return {"dimensions": self.dimensions, "normalized": self.pooling.normalize, "scores": is_scorer}

    async def embed(self, texts: Sequence[Text], pause: Callable[[], Awaitable[None]] | None = None) -> list["array[float]"]:
        """A vector for each text, in their order. pause: awaited between steps, so that others can bring their texts. Raises
        RequestError for a text that cannot be read, EngineClosed, or what failed the device."""
        for number, text in enumerate(texts):
            self._check(text, number)
        job = _Job(deque(enumerate(texts)), {}, len(texts))
        self._jobs.append(job)
        try:
            while not job.is_done:
                self._check_usable()
                if pause:
                    await pause()
                async with self._turn:
                    if not job.is_done and not self._is_closed:  # others had their turns meanwhile
                        await self._advance()
        finally:
            job.waiting.clear()
            self._jobs = deque(other for other in self._jobs if other is not job)
        return [job.vectors[number] for number in range(len(texts))]

    def close(self) -> None:
        """Closes the device. Safe to call twice."""
        if not self._is_closed:
            self._is_closed = True
            self._flights.clear()
            self._device.close()

    # --- the loop ----------------------------------------------------------------------------------------------------
    async def _advance(self) -> None:
        """Fill the steps in flight and read the oldest; or find another device."""
        is_recovering = self._lost is not None
        try:
            if is_recovering:
                return await self._recover()
            while len(self._flights) < NUM_IN_FLIGHT and (chosen := self._choose()):
                self._submit(chosen)
            flight = self._flights[0]
            # Kept with the flight, and popped only once it is here: a waiter that is cancelled leaves the step to the next one.
            flight.sampled = flight.sampled or self._device.result(flight.ticket)
            await flight.sampled
            data = await flight.reading
        except Exception as error:
            if isinstance(error, DeviceLost) and self.renew is not None:
                self._lost = error
                self._num_losses = 0 if is_recovering or self._num_losses == MOST_LOSSES else self._num_losses + 1
                if self._num_losses:
                    return  # who waits next finds another device
            elif not self._is_closed:
                self._error = error
            raise
        self._check_open()
        self._flights.popleft()
        self._num_losses = 0
        values = array("f", data)
        for i, (job, number, _) in enumerate(flight.texts):
            job.vectors[number] = values[i * self.dimensions : (i + 1) * self.dimensions]

    async def _recover(self) -> None:
        """Go on with another device, and the texts that were in flight. May be cancelled, and begun again."""
        assert self.renew is not None
        while self._flights:
            self._put_back(self._flights.pop().texts)
        device = await self.renew(self._device)
        if self._is_closed:
            device.close()
        self._check_open()
        self._device, self._lost = device, None

    def _choose(self) -> list[tuple[_Job, int, Text]]:
        """Texts for a step: of each call in turn, as many as it takes."""
        chosen: list[tuple[_Job, int, Text]] = []
        rows = 0
        while len(chosen) < self.program.max_num_seqs and any(job.waiting for job in self._jobs):
            job = self._jobs[0]
            self._jobs.rotate(-1)
            if not job.waiting:
                continue
            number, text = job.waiting[0]
            rows += len(text.token_ids)
            if rows > self.program.max_rows:
                break
            job.waiting.popleft()
            chosen.append((job, number, text))
        return chosen

    def _put_back(self, texts: list[tuple[_Job, int, Text]]) -> None:
        """Of who still waits for them."""
        for job, number, text in reversed(texts):
            if any(job is other for other in self._jobs):
                job.waiting.appendleft((number, text))

    def _submit(self, chosen: list[tuple[_Job, int, Text]]) -> None:
        words, samples = array("I"), []
        for slot, (_, _, text) in enumerate(chosen):
            words += _words(text, slot)
            samples.append(Sample(len(words) // ROW_WORDS - 1, slot))
        step = self.program.step_for(len(words) // ROW_WORDS, len(samples))
        output = step.output(POOLED)
        try:
            ticket = self._device.submit(step.name, pack_words(words, samples, self.program.max_num_seqs))
            reading = self._device.read(output.buffer, 0, 4 * self.dimensions * len(samples))
        except DeviceLost:
            self._put_back(chosen)
            raise
        self._flights.append(_Flight(ticket, chosen, reading))

    # --- checks ------------------------------------------------------------------------------------------------------
    def _check_open(self) -> None:
        if self._is_closed:
            raise EngineClosed("the engine was closed while it was used")

    def _check_usable(self) -> None:
        if self._is_closed:
            raise EngineClosed("the engine is closed", hint="load the model again")
        if self._error is not None:
            raise self._error

    def _check(self, text: Text, number: int) -> None:
        size, ids = self.program.vocab_size, text.token_ids
        if not ids:
            raise RequestError(f"input {number} is empty: it needs at least one token", param="input")
        if set(map(type, ids)) != {int} or not 0 <= min(ids) <= max(ids) < size:
            wrong = next(t for t in ids if type(t) is not int or not 0 <= t < size)
            raise RequestError(f"input {number} has token id {wrong!r}; the vocabulary is 0 to {size - 1}", param="input")
        if len(ids) > self.context_length:
            raise ContextOverflow(
                f"input {number} has {len(ids)} tokens; the model takes at most {self.context_length}",
                hint="truncate_prompt_tokens, shorter texts, or load the model with a larger context length",
                param="input",
            )


def _words(text: Text, slot: int) -> "array[int]":
    """Its rows."""
    words = words_of(text.token_ids, 0, slot, 0)
    if text.second is not None:
        words[text.second * ROW_WORDS + 3 :: ROW_WORDS] = array("I", [ROW_IS_SECOND]) * (len(text.token_ids) - text.second)
    return words
