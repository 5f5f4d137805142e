"""Sound in, text with times out: the engine of a model that hears.  Knows no file, no spelling of tokens and no HTTP.

    async for segment in transcriber.transcribe(samples, Task(...)):

An encoder's step leaves what it heard of a window (30 s) on the GPU; a decoder then writes token by token, steps in flight as
an Engine has them. The next window begins where the last whole segment of this one ended. What is written badly is written once
more at a higher temperature.  https://arxiv.org/abs/2212.04356 §4.5; thresholds and windows are openai/whisper's."""

import asyncio
import math
import os
from array import array
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fanlight.compiler.program import (
    FROM_SLOT,
    LOGPROB_WORDS,
    Program,
    Sample,
    pack_words,
    read_logprobs,
    words_of,
)
from fanlight.engine.recovery import MOST_LOSSES, Renew
from fanlight.engine.scheduler import MIN_TEMPERATURE
from fanlight.engine.sounds import NOTHING_HEARD, mirrored
from fanlight.errors import DeviceLost, EngineClosed, RequestError
from fanlight.models.hearing import ROW_SAMPLES, ROWS_PER_SECOND, Hearing
from fanlight.runtime.device import Device

Squeeze = Callable[[list[int]], float]  # of tokens: by how much their text can be compressed
Pause = Callable[[], Awaitable[None]]
SLOT = 0
NUM_IN_FLIGHT = 3
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MOST_SQUEEZED = 2.4  # of a text that does not repeat itself
LEAST_LOGPROB = -1.0  # on average, of a text that is none by chance
SILENCE = 0.6  # probability of no speech
FORGET_ABOVE = 0.5  # temperature of a text that what follows it is not to read


@dataclass(frozen=True, slots=True)
class Task:
    """language: a code of Hearing.languages; None: as it is heard. name: of Hearing.tasks. before: tokens of what went before,
    or of words that may come. temperature 0: higher ones too, where it writes badly. has_times: else each window is one
    segment, as long as it is."""

    language: str | None = None
    name: str = "transcribe"
    before: tuple[int, ...] = ()
    temperature: float = 0.0
    has_times: bool = True


@dataclass(frozen=True, slots=True)
class Segment:
    """Times in seconds. token_ids: with those of timestamps. What follows is of the whole window that it is in, which begins at
    `seek`, in hundredths of a second."""

    start: float
    end: float
    token_ids: list[int]
    language: str | None
    seek: int
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


@dataclass(frozen=True, slots=True)
class Written:
    """What a decoder wrote of a window, without the token that ends it."""

    token_ids: list[int]
    avg_logprob: float
    temperature: float = 0.0
    compression_ratio: float = 0.0

    @property
    def is_bad(self) -> bool:
        return self.compression_ratio > MOST_SQUEEZED or self.avg_logprob < LEAST_LOGPROB


@dataclass(frozen=True, slots=True)
class Heard:
    language: str | None
    no_speech_prob: float
    written: Written

    @property
    def is_silence(self) -> bool:
        return self.no_speech_prob > SILENCE and self.written.avg_logprob < LEAST_LOGPROB


@dataclass(slots=True)
class _Flight:
    """A step that was submitted and not read back."""

    ticket: int
    reading: Awaitable[list[int]] | None = None


@dataclass(slots=True)
class _Text:
    """What was written so far, as the next window may read it."""

    token_ids: list[int]
    first: int = 0  # what may be read begins there
    language: str | None = None


class Transcriber:
    """Owns the device from here on; the device has prepared the program and loaded its weights."""

    def __init__(self, program: Program, device: Device, hearing: Hearing):
        assert program.sound_step is not None
        self.program, self._sound_step = program, program.sound_step.step
        self.hearing = hearing
        self.context_length = program.context_length
        self.renew: Renew | None = None
        self._device = device
        self._flights: deque[_Flight] = deque()
        self._turn = asyncio.Lock()
        self._error: Exception | None = None
        self._is_closed = False

    def summary(self) -> dict[str, Any]:
        """For people and pages."""
        seconds = self.hearing.rows / ROWS_PER_SECOND
        return {"languages": sorted(self.hearing.languages), "translates": bool(self.hearing.tasks), "window_seconds": seconds}

    def close(self) -> None:
        """Closes the device. Safe to call twice."""
        if not self._is_closed:
            self._is_closed = True
            self._flights.clear()
            self._device.close()

    async def transcribe(
        self,
        samples: "array[float]",
        task: Task,
        squeeze: Squeeze,
        pause: Pause | None = None,
    ) -> AsyncGenerator[Segment, None]:
        """The segments as they are written. samples: 16 kHz, from -1 to 1. squeeze: judges a text. pause: awaited between
        steps, so that others have their turns. Raises RequestError, EngineClosed, or what failed the device."""
        self._check(task)
        text = _Text(list(task.before), language=task.language)
        row, rows = 0, -(-len(samples) // ROW_SAMPLES)
        while row < rows:
            window = samples[row * ROW_SAMPLES : row * ROW_SAMPLES + self.hearing.num_samples]
            asked, before = replace(task, language=text.language), text.token_ids[text.first :]
            heard = await self._in_turn(window, asked, before, squeeze, pause)
            text.language = heard.language
            count = min(self.hearing.rows, rows - row)
            if heard.is_silence:
                row += count
                continue
            parts, moved = cut(heard.written.token_ids, self.hearing.transcript.stamps_at, count)
            for start, end, token_ids in parts:
                yield self._segment(row, start, end, token_ids, heard)
                text.token_ids += token_ids
            if heard.written.temperature > FORGET_ABOVE:
                text.first = len(text.token_ids)
            row += moved

    def _segment(self, row: int, start: int, end: int, token_ids: list[int], heard: Heard) -> Segment:
        return Segment(
            start=(row + start) / ROWS_PER_SECOND,
            end=(row + end) / ROWS_PER_SECOND,
            token_ids=token_ids,
            language=heard.language,
            seek=row * 100 // ROWS_PER_SECOND,
            temperature=heard.written.temperature,
            avg_logprob=heard.written.avg_logprob,
            compression_ratio=heard.written.compression_ratio,
            no_speech_prob=heard.no_speech_prob,
        )

    # --- a window ----------------------------------------------------------------------------------------------------
    async def _in_turn(
        self, window: "array[float]", task: Task, before: list[int], squeeze: Squeeze, pause: Pause | None
    ) -> Heard:
        """By itself; with another device where this one is lost."""
        for left in reversed(range(MOST_LOSSES + 1)):
            async with self._turn:
                self._check_usable()
                try:
                    await self._drain()
                    return await self._hear(window, task, before, squeeze, pause)
                except DeviceLost:
                    self._flights.clear()
                    if self.renew is None or not left or self._is_closed:
                        raise
                    self._device = await self.renew(self._device)
                except Exception as error:
                    if not self._is_closed:
                        self._error = error
                    raise
        raise AssertionError("the last loss is raised")

    async def _hear(
        self, window: "array[float]", task: Task, before: list[int], squeeze: Squeeze, pause: Pause | None
    ) -> Heard:
        self._listen(window)
        rules, language = self.hearing.transcript, task.language
        if language is None and rules.languages:
            token, _ = await self._step([rules.start], 0, Sample(0, SLOT))
            language = next(code for code, i in self.hearing.languages.items() if i == token)
        prompt = self._before(before)
        no_speech = self.hearing.no_speech
        scored = Sample(len(prompt), SLOT, scored=rules.end if no_speech is None else no_speech)
        _, logprob = await self._step([*prompt, rules.start], 0, scored)
        asked = [self.hearing.languages[language], self.hearing.tasks[task.name]] if language and rules.languages else []
        asked += [] if task.has_times else [rules.no_stamps]
        silence = 0.0 if no_speech is None else math.exp(logprob)
        temperatures = TEMPERATURES if task.temperature == 0 else (task.temperature,)
        for temperature in temperatures:
            written = await self._write([*prompt, rules.start, *asked], len(prompt) + 1, temperature, pause)
            heard = Heard(language, silence, replace(written, compression_ratio=squeeze(written.token_ids)))
            if heard.is_silence or not heard.written.is_bad:
                break
        return heard

    def _before(self, token_ids: list[int]) -> list[int]:
        """As a prompt has it: as much of its end as half the context holds."""
        most = self.context_length // 2 - 1
        marker = self.hearing.before
        return [marker, *token_ids[-most:]] if token_ids and marker is not None and most > 0 else []

    def _listen(self, window: "array[float]") -> None:
        sound = window + array("f", bytes(4 * (self.hearing.num_samples - len(window))))
        self._device.write("sound", 0, mirrored(sound).tobytes())
        self._device.write("loudest", 0, NOTHING_HEARD)
        self._device.write("block_table", 0, array("I", range(self.program.max_blocks_per_seq)).tobytes())
        rows = words_of([0] * self.hearing.rows, 0, SLOT, 0)
        self._device.write("inputs", 0, pack_words(rows, [], self.program.max_num_seqs))
        self._device.launch(self._sound_step.launches)

    # --- tokens ------------------------------------------------------------------------------------------------------
    async def _write(self, prompt: list[int], computed: int, temperature: float, pause: Pause | None = None) -> Written:
        """What follows the prompt, of which so many tokens are computed."""
        end, seed = self.hearing.transcript.end, int.from_bytes(os.urandom(8), "little")
        room = min(self.context_length // 2, self.context_length - len(prompt))
        token_ids: list[int] = []
        total, submitted, fresh = 0.0, 0, prompt[computed:]
        if not fresh:  # of a model that is asked nothing: its last token once more
            computed, fresh = len(prompt) - 1, prompt[-1:]
        while len(token_ids) < room:
            while submitted < room and len(self._flights) < NUM_IN_FLIGHT:
                drawn_at = temperature if temperature >= MIN_TEMPERATURE else 0.0
                sample = Sample(len(fresh) - 1, SLOT, temperature=drawn_at, seed=seed, counter=submitted)
                self._submit_rows(fresh, computed, sample, is_output=submitted > 0)
                computed, fresh, submitted = computed + len(fresh), [FROM_SLOT], submitted + 1
            token, logprob = self._read(await self._next())
            if pause:
                await pause()
            total += logprob
            if token == end:
                break
            token_ids.append(token)
        await self._drain()
        return Written(token_ids, total / (len(token_ids) + 1), temperature)

    async def _step(self, token_ids: list[int], position: int, sample: Sample) -> tuple[int, float]:
        self._submit_rows(token_ids, position, sample, is_output=False)
        return self._read(await self._next())

    def _submit_rows(self, token_ids: list[int], position: int, sample: Sample, is_output: bool) -> None:
        words = words_of(token_ids, position, SLOT, len(token_ids) if is_output else 0)
        step = self.program.step_for(len(token_ids), 1)
        record = pack_words(words, [sample], self.program.max_num_seqs)
        self._flights.append(_Flight(self._device.submit(step.name, record, with_logprobs=True)))

    def _read(self, found: list[int]) -> tuple[int, float]:
        """The token, and its log-probability. found: Device.result."""
        at = self.program.max_num_seqs
        return found[0], read_logprobs(found[at : at + LOGPROB_WORDS])[1]

    async def _next(self) -> list[int]:
        flight = self._flights[0]
        # Kept until it is here: what a waiter that is cancelled leaves, the next one drains.
        flight.reading = flight.reading or self._device.result(flight.ticket)
        found = await flight.reading
        if self._is_closed:
            raise EngineClosed("the engine was closed while it was used")
        self._flights.popleft()
        return found

    async def _drain(self) -> None:
        while self._flights:
            await self._next()

    # --- checks ------------------------------------------------------------------------------------------------------
    def _check_usable(self) -> None:
        if self._is_closed:
            raise EngineClosed("the engine is closed", hint="load the model again")
        if self._error is not None:
            raise self._error

    def _check(self, task: Task) -> None:
        languages, tasks = self.hearing.languages, self.hearing.tasks
        if task.language is not None and task.language not in (languages or ("en",)):
            known = ", ".join(sorted(languages)) or "en"
            raise RequestError(f"the language {task.language!r} is not known; known are {known}", param="language")
        if task.name not in (tasks or ("transcribe",)):
            raise RequestError("this model knows English alone, and does not translate", param="model")


def cut(token_ids: Sequence[int], stamps_at: int, rows: int) -> tuple[list[tuple[int, int, list[int]]], int]:
    """(start, end, tokens) of each segment of a window, in rows, and by how many to move on: to the end of the last segment
    that is whole, or behind the window. rows: that the window has of the sound. As openai/whisper's transcribe.py."""
    ids = list(token_ids)
    is_stamp = [token >= stamps_at for token in ids]
    cuts = [i for i in range(1, len(ids)) if is_stamp[i - 1] and is_stamp[i]]
    ends_alone = is_stamp[-2:] == [False, True]
    if cuts:
        cuts += [len(ids)] if ends_alone else []
        parts = [ids[first:last] for first, last in zip([0, *cuts], cuts, strict=False)]
        moved = rows if ends_alone else ids[cuts[-1] - 1] - stamps_at
        return [(part[0] - stamps_at, part[-1] - stamps_at, part) for part in parts], min(moved, rows) or rows
    stamps = [token - stamps_at for token in ids if token > stamps_at]
    return [(0, stamps[-1] if stamps else rows, ids)], rows
