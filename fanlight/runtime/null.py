"""A device that runs no kernel.  It checks every input as a GPU cannot, counts what it is asked to do, and plays a model.

The model's next token is a digest of all that a real model's would depend on: the token ids that the block table leads to
at every position so far, the counts that penalties read, the bias row, the seed and the counter. So a step that reads a
wrong block, a stale count or another slot's token gives another text: `next_token_id` over the true tokens is what a test
compares with.
"""

import struct
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from fanlight.compiler.program import (
    AXES,
    FROM_SLOT,
    HEADER_WORDS,
    LOGPROB_WORDS,
    LOGPROBS_OF_DRAW,
    MAX_RECORDS,
    MAY_END,
    RECORD_ALIGN,
    ROW_WORDS,
    SAMPLE_WORDS,
    TURNS_AT,
    WINDOW_TABLE,
    Launch,
    Limits,
    Program,
    Row,
    Sample,
    Step,
    read_rows,
    record_size,
    rows_word,
)
from fanlight.errors import DeviceError
from fanlight.formats.source import Source
from fanlight.kernels.grammar import NO_TOKEN, STATE_WORDS, Walk, unpack_vocabulary
from fanlight.runtime.adapter import Adapter
from fanlight.runtime.device import MAX_IN_FLIGHT, AdapterInfo, Copy, LaunchTime, OnLoad

WORD = 4
EMPTY = 0xFFFF_FFFF  # no token id is this large


class NullAdapter(Adapter):
    def __init__(self, limits: Limits | None = None):
        super().__init__(AdapterInfo(vendor="none", description="computes nothing", backend="null"), limits or Limits())

    def device(self) -> "NullDevice":
        return NullDevice(adapter=self)


class NullDevice:
    def __init__(self, limits: Limits | None = None, adapter: Adapter | None = None):
        """limits: of an adapter of its own."""
        self.adapter = adapter or NullAdapter(limits)
        self.adapter.add(self)
        self.num_submits = self.num_launches = self.num_writes = self.num_clears = 0
        self.is_closed = False
        self._program: Program | None = None

    @property
    def info(self) -> AdapterInfo:
        return self.adapter.info

    @property
    def limits(self) -> Limits:
        return self.adapter.limits_beside(self)

    async def prepare(self, program: Program, wait: bool = True) -> None:
        self.adapter.take(self, program)
        self._program = program
        self._steps = {step.name: step for step in program.steps}
        self._sizes = {spec.name: spec.size for spec in program.buffers}
        self._written: dict[str, bytearray] = {}
        counts = {"block_table": program.num_blocks, WINDOW_TABLE: program.num_window_blocks}
        self._kv = {name: [array("I", [EMPTY] * program.block_size) for _ in range(n)] for name, n in counts.items()}
        self._next_token: list[int | None] = [None] * program.max_num_seqs
        self._counts = [SlotCounts() for _ in range(program.max_num_seqs)]
        self._open: dict[int, list[int]] = {}
        self._texts: list[tuple[bytes, bool]] | None = None  # what `token_bytes` holds
        for constant in program.constants:
            self._check_range(constant.buffer, constant.offset, len(constant.data))

    async def prepared(self) -> None:
        """Nothing is left for later."""

    async def load(self, sources: Sequence[Source], on_load: OnLoad) -> None:
        """Checks that the uploads lie within the files."""
        total = sum(upload.size for upload in self._prepared.uploads)
        for upload in self._prepared.uploads:
            if upload.offset + upload.size > sources[upload.file].size:
                raise DeviceError(f"an upload reads past the end of {sources[upload.file].name}", where=upload.launch.where)
        on_load(total, total)

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        self._check_range(buffer, offset, len(data))
        self.num_writes += 1
        if buffer == "token_counts":
            return self._write_counts(offset, data)
        self._content(buffer)[offset : offset + len(data)] = data
        if buffer == "token_bytes":
            self._texts = None

    def clear(self, buffer: str, offset: int, size: int) -> None:
        self._check_range(buffer, offset, size)
        self.num_clears += 1
        if buffer != "token_counts":
            self._content(buffer)[offset : offset + size] = bytes(size)
            return
        row_bytes = self._prepared.vocab_size * WORD
        _check(offset % row_bytes == 0 and size % row_bytes == 0, f"clears part of a row of token_counts: {offset}, {size}")
        for slot in range(offset // row_bytes, (offset + size) // row_bytes):
            self._counts[slot] = SlotCounts()

    def copy(self, copies: Sequence[Copy]) -> None:
        for to, source in copies:
            for place in (to, source):
                self._check_range(place.buffer, place.offset, place.size)
            _check(to.size == source.size and to.buffer != source.buffer, f"copies {source} to {to}")
            found = self._content(source.buffer)[source.offset : source.offset + source.size]
            self._content(to.buffer)[to.offset : to.offset + to.size] = found

    def _write_counts(self, offset: int, data: bytes) -> None:
        row_bytes = self._prepared.vocab_size * WORD
        _check(
            offset % row_bytes == 0 and len(data) == row_bytes, f"writes part of a row of token_counts: {offset}, {len(data)}"
        )
        counts = self._counts[offset // row_bytes] = SlotCounts()
        for token, word in enumerate(array("I", data)):
            if word >> 31:
                counts.prompt[token] = 1
            if word & 0x7FFF_FFFF:
                counts.output[token] = word & 0x7FFF_FFFF

    def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
        chosen = self._step(step)
        _check(len(self._open) < MAX_IN_FLIGHT, f"more than {MAX_IN_FLIGHT} steps in flight")
        _check(len(inputs) <= self._sizes["inputs"], f"inputs of {len(inputs)} bytes, the buffer has {self._sizes['inputs']}")
        _check(1 <= count <= MAX_RECORDS, f"{count} records, at most {MAX_RECORDS} are taken")
        size = len(inputs) // count
        _check(count == 1 or size % RECORD_ALIGN == 0, f"records of {size} bytes, not a multiple of {RECORD_ALIGN}")
        self.num_submits += 1
        records = [inputs[i * size : (i + 1) * size] for i in range(count)]
        found = [token for record in records for token in self._run(chosen, record, with_logprobs)]
        if with_logprobs:
            found += [word for record in records for word in self._logprobs(record)]
        self._open[self.num_submits] = found
        return self.num_submits

    def _logprobs(self, record: bytes) -> list[int]:
        """Of each sample the token it names as its rank, and its row's position as the log-probability: for tests to find."""
        rows, samples = unpack_inputs(record, self._prepared.max_num_seqs)
        words = array("f", bytes(WORD * LOGPROB_WORDS * self._prepared.max_num_seqs))
        for i, sample in enumerate(samples):
            words[i * LOGPROB_WORDS] = sample.scored or 0
            words[i * LOGPROB_WORDS + LOGPROB_WORDS // 2] = -rows[sample.row].position
        return array("I", words.tobytes()).tolist()

    def _run(self, step: Step, record: bytes, with_logprobs: bool) -> list[int]:
        rows, samples = unpack_inputs(record, self._prepared.max_num_seqs)
        self._check_inputs(step, rows, samples)
        for row in rows:
            self._store(row)
        for row in rows if self._prepared.window else ():
            self._check_window(row)
        sampled = [self._draw(rows[sample.row], sample) for sample in samples]
        for sample, token in zip(samples, sampled, strict=True):
            drawn = 0 if token == NO_TOKEN else token
            self._next_token[sample.slot] = drawn if sample.scored is None else None
        self.num_launches += len(step.launches_for(*(["logprobs"] if with_logprobs else [])))
        return sampled + [0] * (self._prepared.max_num_seqs - len(sampled))

    def launch(self, launches: Sequence[Launch], count: int = 1) -> None:
        for launch in launches:
            for place in launch.bindings:
                self._check_range(place.buffer, place.offset, place.size)
        self.num_launches += len(launches) * count

    async def result(self, ticket: int) -> list[int]:
        _check(ticket in self._open, f"ticket {ticket} is not open")
        return self._open.pop(ticket)

    async def read(self, buffer: str, offset: int, size: int) -> bytes:
        """What was written there, and zeros where a kernel would have."""
        self._check_range(buffer, offset, size)
        return bytes(self._content(buffer)[offset : offset + size])

    async def timings(self, step: str, inputs: bytes) -> list[LaunchTime]:
        return [LaunchTime(launch.kernel, launch.where, 0.0) for launch in self._step(step).launches_for()]

    def close(self) -> None:
        self.adapter.give_back(self)
        self.is_closed = True

    # --- checks ------------------------------------------------------------------------------------------------------
    @property
    def _prepared(self) -> Program:
        if self._program is None or self.is_closed:
            raise DeviceError("the device was used before `prepare` or after `close`")
        return self._program

    def _step(self, name: str) -> Step:
        program = self._prepared
        _check(name in self._steps, f"{program.name} has no step {name!r}")
        return self._steps[name]

    def _content(self, buffer: str) -> bytearray:
        return self._written.setdefault(buffer, bytearray(self._sizes[buffer]))

    def _check_range(self, buffer: str, offset: int, size: int) -> None:
        program = self._prepared
        _check(buffer in self._sizes, f"{program.name} has no buffer {buffer!r}")
        _check(
            offset % WORD == 0 and size % WORD == 0, f"{buffer}: offset {offset} and size {size} must be multiples of {WORD}"
        )
        _check(0 <= offset and offset + size <= self._sizes[buffer], f"{buffer}: {offset} + {size} > {self._sizes[buffer]}")

    def _check_inputs(self, step: Step, rows: list[Row], samples: list[Sample]) -> None:
        program = self._prepared
        _check(0 < len(rows) <= step.rows, f"{len(rows)} rows in step {step.name}, which takes {step.rows}")
        _check(len(samples) <= step.samples, f"{len(samples)} samples in step {step.name}, which takes {step.samples}")
        seen: set[int] = set()
        for before, row in zip([None, *rows], rows, strict=False):
            _check(0 <= row.slot < program.max_num_seqs, f"slot {row.slot} of {program.max_num_seqs}")
            _check(0 <= row.position < program.context_length, f"position {row.position} of {program.context_length}")
            _check(row.token == FROM_SLOT or row.token < program.vocab_size, f"token id {row.token} of {program.vocab_size}")
            if before is not None and before.slot == row.slot:
                _check(row.position == before.position + 1, f"slot {row.slot}: position {row.position} after {before.position}")
                continue
            _check(row.slot not in seen, f"the rows of slot {row.slot} are not consecutive")
            seen.add(row.slot)
        drawn = [s.slot for s in samples if s.scored is None]
        _check(len(set(drawn)) == len(drawn), "a slot is sampled twice in one step")
        _check(all(s.scored is None or s.slot not in drawn for s in samples), "a slot is scored and sampled in one step")
        for sample in samples:
            _check(sample.row < len(rows), f"sample of row {sample.row}, the step has {len(rows)}")
            _check(rows[sample.row].slot == sample.slot, f"sample for slot {sample.slot} of a row of {rows[sample.row].slot}")

    # --- the model ---------------------------------------------------------------------------------------------------
    def _block(self, slot: int, index: int, table: str = "block_table") -> "array[int]":
        offset, blocks = (slot * self._prepared.max_blocks_per_seq + index) * WORD, self._kv[table]
        (block,) = struct.unpack_from("<I", self._content(table), offset)
        _check(block < len(blocks), f"slot {slot}: block {block} of {len(blocks)} of {table}")
        return blocks[block]

    def _store(self, row: Row) -> None:
        """What embedding and a layer's keys and values do: enter the row's token where its block table says, and count it."""
        token = self._next_token[row.slot] if row.token == FROM_SLOT else row.token
        if token is None:
            raise DeviceError(f"slot {row.slot} has no sampled token to take")
        block_size = self._prepared.block_size
        for table, blocks in self._kv.items():
            if blocks:
                self._block(row.slot, row.position // block_size, table)[row.position % block_size] = token
        counts = self._counts[row.slot]
        (counts.output if row.is_output else counts.prompt)[token] += 1

    def _check_window(self, row: Row) -> None:
        """Layers that keep no more than a window have of what the row sees the same tokens as the others."""
        size, end = self._prepared.block_size, row.position + 1
        for position in range(max(0, end - self._prepared.window), end):
            whole, own = (self._block(row.slot, position // size, table)[position % size] for table in self._kv)
            _check(whole == own, f"slot {row.slot}: position {row.position} sees {own} at {position}, not {whole}")

    def _draw(self, row: Row, sample: Sample) -> int:
        program, length = self._prepared, row.position + 1
        num_blocks = -(-length // program.block_size)
        history = array("I", b"".join(self._block(row.slot, i).tobytes() for i in range(num_blocks)))[:length]
        _check(EMPTY not in history, f"slot {row.slot}: position {row.position} reads keys that no row wrote")
        row_bytes = program.vocab_size * WORD
        bias = bytes(self._content("logit_bias")[row.slot * row_bytes :][:row_bytes]) if sample.has_bias else b""
        token = next_token_id(history, self._counts[row.slot], sample, bias, program.vocab_size)
        return self._allowed(sample, token) if sample.grammar else token

    def _allowed(self, sample: Sample, token: int) -> int:
        """The first token from this one on that the slot's grammar allows, which it takes."""
        vocab_size, size = self._prepared.vocab_size, STATE_WORDS * WORD
        if self._texts is None:
            self._texts = list(unpack_vocabulary(array("I", bytes(self._content("token_bytes"))), vocab_size))
        texts, tables = self._texts, array("I", bytes(self._content("grammar")[(sample.grammar - 1) * WORD :]))
        state = self._content("grammar_state")
        walk = Walk(tables, array("I", bytes(state[sample.slot * size :][:size])))
        order = (i % vocab_size for i in range(token, token + vocab_size))
        chosen = next((i for i in order if walk.allows(*texts[i], sample.may_end)), NO_TOKEN)
        if chosen != NO_TOKEN:
            state[sample.slot * size : (sample.slot + 1) * size] = walk.take(texts[chosen][0]).tobytes()
        return chosen


@dataclass(slots=True)
class SlotCounts:
    """How often each token id occurred in a slot's rows."""

    prompt: Counter[int] = field(default_factory=Counter)
    output: Counter[int] = field(default_factory=Counter)


def next_token_id(token_ids: Sequence[int], counts: SlotCounts, sample: Sample, bias: bytes, vocab_size: int) -> int:
    """The played model: the token after `token_ids`. Whatever a setting turns off has no influence."""
    digest = sha256(array("I", token_ids).tobytes())
    if sample.temperature:
        draw = (sample.temperature, sample.top_p, sample.min_p, sample.top_k, sample.seed, sample.counter)
        digest.update(struct.pack("<3f3Q", *draw))
    if sample.frequency_penalty or sample.presence_penalty or sample.repetition_penalty != 1:
        penalties = (sample.frequency_penalty, sample.presence_penalty, sample.repetition_penalty)
        digest.update(struct.pack("<3f", *penalties) + repr(sorted(counts.output.items())).encode())
    if sample.repetition_penalty != 1:
        digest.update(repr(sorted(counts.prompt)).encode())
    digest.update(bias)
    return int.from_bytes(digest.digest()[:8], "little") % vocab_size


def unpack_inputs(inputs: bytes, max_num_seqs: int) -> tuple[list[Row], list[Sample]]:
    """What `pack_inputs` packed, and `pack_records` may have filled up."""
    num_rows, num_samples = struct.unpack_from("<2I", inputs)
    # (A case's launch has a record of nothing.)
    (turns_at,) = struct.unpack_from("<I", inputs, WORD * TURNS_AT) if num_rows else (0,)
    size = (rows_word(max_num_seqs) + num_rows * (ROW_WORDS + AXES * (turns_at > 0))) * WORD
    is_whole = len(inputs) in (size, record_size(size))
    _check(num_samples <= max_num_seqs and is_whole, f"inputs of {len(inputs)} bytes, {size} expected")
    rows = read_rows(array("I", inputs), rows_word(max_num_seqs))
    samples = []
    for record in struct.iter_unpack("<6I6f4I", inputs[HEADER_WORDS * WORD :][: num_samples * SAMPLE_WORDS * WORD]):
        (row, slot, top_k, seed_low, seed_high, counter), (temperature, top_p, min_p) = record[:6], record[6:9]
        frequency, presence, repetition, bias, grammar, flags = record[9:15]
        penalties, seed = (frequency, presence, repetition), seed_high << 32 | seed_low
        settings = (temperature, top_k, top_p, min_p, *penalties, bool(bias), seed, counter, grammar, bool(flags & MAY_END))
        scored = record[15] - 1 if record[15] else None
        samples.append(Sample(row, slot, *settings, scored, bool(flags & LOGPROBS_OF_DRAW)))
    return rows, samples


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise DeviceError(message)
