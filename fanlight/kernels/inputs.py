"""The record that changes from step to step: which tokens a step processes and which of them it continues.

It is written to the buffer `inputs` before a step's launches; kernels read it as u32 words.  Shape letters: T rows (tokens)
of a step, B samples of a step."""

import struct
from dataclasses import dataclass

HEADER_WORDS = 16  # [0] number of rows, [1] number of samples; the rest is zero
ROW_WORDS = 4  # token id (or FROM_SLOT), position, slot, row flags
SAMPLE_WORDS = 16
FROM_SLOT = 0x8000_0000  # row token: take the id that was last sampled for the row's slot; it never left the GPU

ROW_IS_OUTPUT = 1  # the token was generated, not prompt: frequency and presence penalties count it


@dataclass(frozen=True, slots=True)
class Row:
    """One token of a step."""

    token: int
    position: int
    slot: int
    is_output: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """Draw the next token after row `row` for `slot`. temperature 0 is greedy; top_k 0, top_p 1 and min_p 0 are off."""

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
            0,
            0,
            0,
        )


def pack_inputs(rows: list[Row], samples: list[Sample], max_num_seqs: int) -> bytes:
    """The bytes of the buffer `inputs`: header, room for max_num_seqs samples, rows (from word `rows_word(max_num_seqs)`
    on)."""
    parts = [struct.pack("<2I", len(rows), len(samples)), bytes(4 * (HEADER_WORDS - 2))]
    parts += [sample.pack() for sample in samples]
    parts.append(bytes(4 * SAMPLE_WORDS * (max_num_seqs - len(samples))))
    parts += [struct.pack("<4I", r.token, r.position, r.slot, ROW_IS_OUTPUT if r.is_output else 0) for r in rows]
    return b"".join(parts)


def rows_word(max_num_seqs: int) -> int:
    """Word offset of the rows in the buffer `inputs`; samples begin at HEADER_WORDS."""
    return HEADER_WORDS + SAMPLE_WORDS * max_num_seqs
