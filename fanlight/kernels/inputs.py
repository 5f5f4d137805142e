"""The record that changes from step to step: which tokens a step processes and which of them it continues.

It is written to the buffer `inputs` before a step's launches; kernels read it as u32 words. Where steps go to the GPU
together, each has a record of its own there.  Shape letters: T rows (tokens) of a step, B samples of a step."""

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from fanlight.arrays import Array

HEADER_WORDS = 16  # [0] number of rows, [1] number of samples; of a step that takes a picture in, also:
IMAGES_AT, IMAGE_ROWS = 2, 3  # which row of the buffer `images` is its first, and how many it has; the rest is zero
GRID_WIDTH, GRID_HEIGHT = 4, 5  # patches side by side, and one below the other
PIXEL_SCALE, PIXEL_SHIFT = 6, 9  # f32 of red, green and blue: a byte is read as byte * scale + shift
TURNS_AT = 12  # of a step of text: the word at which AXES positions of each row begin, by which it turns; 0: its position
AXES = 3  # time, height, width: M-RoPE's
STATE_ROWS = 4  # of a prompt, that kernels with a state take at once: parts of prompts end at multiples of it
ROW_WORDS = 4  # token id (or FROM_SLOT), position, slot, row flags
SAMPLE_WORDS = 16
FROM_SLOT = 0x8000_0000  # row token: take the id that was last sampled for the row's slot; it never left the GPU

ROW_IS_OUTPUT = 1  # row flags: what a Row's true `is_output` is as a word
ROW_IS_SECOND = 2  # of the second text of a pair, which an encoder reads together
ROW_IS_IMAGE = 4  # of a picture: its value is a row of the buffer `images`, not an embedding; ...
IMAGE_ROW_SHIFT = 16  # ... which one, the upper half of the flags says
AHEAD_SHIFT, MAX_AHEAD = 4, 0xFFF  # and how many positions after its own it sees: those of its picture, or none
NO_PATCH = 0xFFFF_FFFF  # row token in a step that takes a picture in: a row of the tower's own; else patch y << 16 | x;
# the row's flags are there the number of the first row of its window
MAY_END, LOGPROBS_OF_DRAW = 1, 2  # flags of a sample
MAX_RECORDS = 4  # of steps that only decode: so many go in one submit
MAX_LOGPROBS = 20  # most likely tokens that log-probabilities are given of: OpenAI's limit
LOGPROB_WORDS = 2 * (1 + MAX_LOGPROBS)  # of a sample: see logprobs.py
RECORD_ALIGN = 256  # bytes: what every adapter can bind a storage buffer at


class Row(NamedTuple):
    """One token of a step, in the order of its words."""

    token: int
    position: int
    slot: int
    is_output: bool = False  # generated, not prompt: frequency and presence penalties count it


@dataclass(frozen=True, slots=True)
class Sample:
    """Draw the next token after row `row` for `slot`. temperature 0 is greedy; top_k 0, top_p 1 and min_p 0 are off. With
    `scored` what matters is the log-probability of a known token: what is drawn is for nobody."""

    row: int
    slot: int
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    has_bias: bool = False
    seed: int = 0  # 64 bits
    counter: int = 0  # distinguishes the draws of one seed: the index of the token that is drawn
    grammar: int = 0  # where the tables of its grammar begin (kernels/grammar.py), plus 1; 0: any token
    may_end: bool = True  # by a token that ends the text, where the grammar's is whole
    scored: int | None = None  # the token after row `row`, where it is known
    logprobs_of_draw: bool = False  # of what is drawn from, with biases, penalties and all; else the model's own

    def pack(self) -> bytes:
        return struct.pack(
            "<6I6f4I",
            self.row,
            self.slot,
            self.top_k,
            self.seed & 0xFFFF_FFFF,
            (self.seed >> 32) & 0xFFFF_FFFF,
            self.counter,
            self.temperature,
            self.top_p,
            self.min_p,
            self.frequency_penalty,
            self.presence_penalty,
            self.repetition_penalty,
            int(self.has_bias),
            self.grammar,
            MAY_END * self.may_end | LOGPROBS_OF_DRAW * self.logprobs_of_draw,
            0 if self.scored is None else self.scored + 1,
        )


def pack_inputs(rows: Sequence[Row], samples: Sequence[Sample], max_num_seqs: int) -> bytes:
    """A record: header, room for max_num_seqs samples, rows (from word `rows_word(max_num_seqs)` on)."""
    return pack_words(array("I", chain.from_iterable(rows)), samples, max_num_seqs)


def pack_words(rows: "array[int]", samples: Sequence[Sample], max_num_seqs: int, turns: "array[int] | None" = None) -> bytes:
    """A record whose rows are words already. turns: AXES positions of each, by which it turns, where they are not its own."""
    header = array("I", bytes(4 * HEADER_WORDS))
    header[0], header[1] = len(rows) // ROW_WORDS, len(samples)
    header[TURNS_AT] = rows_word(max_num_seqs) + len(rows) if turns else 0
    parts = [header.tobytes()]
    parts += [sample.pack() for sample in samples]
    parts.append(bytes(4 * SAMPLE_WORDS * (max_num_seqs - len(samples))))
    parts.append(rows.tobytes())
    parts.append(turns.tobytes() if turns else b"")
    return b"".join(parts)


def read_rows(inputs: "Array | array[int]", rows_at: int) -> list[Row]:
    """The rows of a record. inputs: its words, an array of u32; rows_at: `rows_word`."""
    words = iter(inputs[rows_at:][: ROW_WORDS * int(inputs[0])].tolist())
    quadruples = zip(*[words] * ROW_WORDS, strict=True)
    return [Row(token, position, slot, bool(flags & ROW_IS_OUTPUT)) for token, position, slot, flags in quadruples]


def word_of_rows(inputs: Array, rows_at: int, word: int) -> list[int]:
    """One word of each row of a record."""
    return inputs[rows_at + word :: ROW_WORDS][: int(inputs[0])].tolist()


def words_of(tokens: list[int], position: int, slot: int, num_outputs: int) -> "array[int]":
    """The words of tokens that follow each other in a sequence; the last num_outputs were generated. Made column by column,
    since a prompt has many."""
    count = len(tokens)
    if count == 1:
        return array("I", (tokens[0], position, slot, ROW_IS_OUTPUT * num_outputs))
    words = array("I", bytes(4 * ROW_WORDS * count))
    words[0::ROW_WORDS] = array("I", tokens)
    words[1::ROW_WORDS] = array("I", range(position, position + count))
    words[2::ROW_WORDS] = array("I", [slot]) * count
    words[3::ROW_WORDS] = array("I", [0]) * (count - num_outputs) + array("I", [ROW_IS_OUTPUT]) * num_outputs
    return words


def image_words(height: int, width: int, merge: int, has_class: bool = False, window: int = 0) -> "array[int]":
    """The rows of a picture of so many patches: a patch a row, merge x merge that become one row of the language model side by
    side, these in reading order, window by window. has_class: one row more, after them, that is no patch. window: patches to a
    side of one, a multiple of merge; 0: the picture is one."""
    places: list[int] = []
    first = array("I")
    for upper, left in ((y, x) for y in range(0, height, window or height) for x in range(0, width, window or width)):
        lower, right = min(upper + (window or height), height), min(left + (window or width), width)
        blocks = [(y, x) for y in range(upper, lower, merge) for x in range(left, right, merge)]
        first.extend([len(places)] * (len(blocks) * merge**2))
        places += [(top + y) << 16 | (side + x) for top, side in blocks for y in range(merge) for x in range(merge)]
    words = words_of(places + [NO_PATCH] * has_class, 0, 0, 0)
    words[3 : len(first) * ROW_WORDS : ROW_WORDS] = first
    return words


def image_record(
    words: "array[int]",
    grid: tuple[int, int],
    at: int,
    rows: int,
    colours: tuple[Sequence[float], Sequence[float]],
    max_num_seqs: int,
) -> bytes:
    """The record of a step that takes a picture in. words: `image_words`; grid: its height and width; at, rows: where in
    `images` it goes, and how many; colours: scale and shift of red, green and blue."""
    header = struct.pack("<6I6f", len(words) // ROW_WORDS, 0, at, rows, *reversed(grid), *colours[0], *colours[1])
    return header + pack_words(words, [], max_num_seqs)[len(header) :]


def sound_record(rows: int, end: int, at: int, count: int, max_num_seqs: int) -> bytes:
    """The record of a step that takes a window of sound in. end: its rows from there on see each other, as another sequence
    does; at, count: where in `images` what is made of it goes, and how many rows that is."""
    words = words_of([0] * end, 0, 0, 0) + words_of([0] * (rows - end), 0, 1, 0)
    header = struct.pack("<4I", rows, 0, at, count)
    return header + pack_words(words, [], max_num_seqs)[len(header) :]


def pack_records(records: Sequence[bytes]) -> bytes:
    """Records of one step, for as many runs of it in one submit. One record stays as it is."""
    if len(records) == 1:
        return records[0]
    size = record_size(max(map(len, records)))
    return b"".join(record.ljust(size, b"\0") for record in records)


def inputs_size(max_num_seqs: int, max_rows: int, turns: bool = False) -> int:
    """Bytes of the buffer `inputs`: for one record of max_rows, or MAX_RECORDS of a row for each sequence. turns: whether rows
    may have positions by which they turn."""
    words = ROW_WORDS + AXES * turns
    largest = 4 * (rows_word(max_num_seqs) + words * max_rows)
    return max(largest, MAX_RECORDS * record_size(4 * (rows_word(max_num_seqs) + words * max_num_seqs)))


def sampled_size(max_num_seqs: int) -> int:
    """Bytes of the buffer `sampled`, which has a u32 for each sequence in each of MAX_RECORDS records."""
    return MAX_RECORDS * record_size(4 * max_num_seqs)


def logprobs_size(max_num_seqs: int) -> int:
    """Bytes of the buffer `logprobs`, which has LOGPROB_WORDS for each sequence in each of MAX_RECORDS records."""
    return MAX_RECORDS * record_size(4 * max_num_seqs * LOGPROB_WORDS)


def shifts_of(run: int, record_bytes: int, max_num_seqs: int) -> dict[str, int]:
    """Buffer -> bytes to where a run's part begins, where steps go to the GPU together."""
    sampled, logprobs = record_size(4 * max_num_seqs), record_size(4 * max_num_seqs * LOGPROB_WORDS)
    return {"inputs": run * record_bytes, "sampled": run * sampled, "logprobs": run * logprobs}


def unpack_results(sampled: bytes, logprobs: bytes, count: int, max_num_seqs: int) -> list[int]:
    """What Device.result gives of so many runs, from the starts of both buffers; logprobs: empty where not asked for."""
    parts = []
    for data, words in ((sampled, max_num_seqs), (logprobs, max_num_seqs * LOGPROB_WORDS)):
        parts += [data[run * record_size(4 * words) :][: 4 * words] for run in range(count if data else 0)]
    return array("I", b"".join(parts)).tolist()


def read_logprobs(words: Sequence[int]) -> tuple[int, float, list[tuple[int, float]]]:
    """Rank and log-probability of the token, and the most likely tokens with theirs, from the words of a sample and on."""
    rank, *rest = array("f", array("I", words[:LOGPROB_WORDS]).tobytes())
    tokens, (logprob, *others) = rest[:MAX_LOGPROBS], rest[MAX_LOGPROBS:]
    return int(rank), logprob, [(int(token), value) for token, value in zip(tokens, others, strict=True) if token >= 0]


def record_size(size: int) -> int:
    """Bytes from one record to the next."""
    return -(-size // RECORD_ALIGN) * RECORD_ALIGN


def rows_word(max_num_seqs: int) -> int:
    """Word offset of the rows in the buffer `inputs`; samples begin at HEADER_WORDS."""
    return HEADER_WORDS + SAMPLE_WORDS * max_num_seqs
