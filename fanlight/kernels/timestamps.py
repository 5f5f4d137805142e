"""What a transcript may go on with, by Whisper's rules: others' logits become MASKED.

A prompt says how it is to be written: one that ends with the token `no_stamps` asks for text alone. Else timestamps come in
pairs, except directly before the end; they do not decrease; the text begins with one; and where all of them together are more
likely than any token of text, one of them comes. A prompt of the token `start` alone is answered by a language, where the model
knows several. What a sample `scores` (kernels/inputs.py) is left as the model has it.
https://arxiv.org/abs/2212.04356 §4.5; the rules are openai/whisper's ApplyTimestampRules.

A slot keeps u32 [4]: whether it writes timestamps; whether the token before the last was one, or there was none; the last one,
or 0; nothing."""

import math
from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.grammar import MASKED
from fanlight.kernels.inputs import FROM_SLOT, HEADER_WORDS, ROW_IS_OUTPUT, ROW_WORDS, SAMPLE_WORDS
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 256
STATE_WORDS = 4


@dataclass(frozen=True, slots=True)
class Transcript:
    """Token ids. `no_stamps` is followed by all timestamps, of which a text may begin with the first `most_initial + 1`; None:
    any. never: what no text has; not_first: what none begins with."""

    vocab_size: int
    start: int
    end: int
    no_stamps: int
    most_initial: int | None
    never: tuple[int, ...]
    not_first: tuple[int, ...]
    languages: tuple[int, ...]

    @property
    def stamps_at(self) -> int:
        return self.no_stamps + 1

    @property
    def first_stamps_end(self) -> int:
        """Behind the timestamps that a text may begin with."""
        most = self.vocab_size if self.most_initial is None else self.stamps_at + self.most_initial + 1
        return min(self.vocab_size, most)


def refused(p: Transcript) -> tuple[bytes, ...]:
    """A bit for each token: never; not first; no language."""
    languages = frozenset(p.languages)
    others = tuple(i for i in range(p.vocab_size) if i not in languages)
    return tuple(_bits(tokens, p.vocab_size) for tokens in (p.never, p.not_first, others))


def _bits(tokens: tuple[int, ...], vocab_size: int) -> bytes:
    made = bytearray(4 * ceil_div(vocab_size, 32))
    for token in tokens:
        made[token // 8] |= 1 << token % 8
    return bytes(made)


@lru_cache(maxsize=16)
def make(p: Transcript, x_stride: int, x_offset: int, y_stride: int, rows_at: int) -> Kernel:
    """x [samples, V], refused [3, V / 32], next_token [slots], state [slots, 4] -> y [samples, V]"""
    bindings = {"x": "array<f32>", "refused": "array<u32>", "next_token": "array<u32>", "inputs": "array<u32>"}
    bindings |= {"state": "+array<u32>", "y": "+array<f32>"}
    constants = {
        "V": p.vocab_size,
        "START": p.start if p.languages else 0xFFFF_FFFF,
        "END": p.end,
        "NO_STAMPS": p.no_stamps,
        "FIRST_STAMPS_END": p.first_stamps_end,
        "X_STRIDE": x_stride,
        "X_OFFSET": x_offset,
        "Y_STRIDE": y_stride,
        "SAMPLES_AT": HEADER_WORDS,
        "ROWS_AT": rows_at,
        "WORKGROUP": WORKGROUP,
    }
    return kernel("timestamps", bindings, constants | {"MASKED": MASKED}, ("lib/row.wgsl", "timestamps.wgsl"), problem=p)


def grid(samples: int) -> tuple[int, int, int]:
    return (samples, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Transcript = kernel.problem
    inputs, tokens = arrays["inputs"].view(np.uint32), arrays["next_token"].view(np.uint32)
    state = arrays["state"].view(np.uint32)
    x, y = arrays["x"].view(np.float32), arrays["y"].view(np.float32)
    for b in range(min(grid[0], int(inputs[1]))):
        row, slot = map(int, inputs[HEADER_WORDS + SAMPLE_WORDS * b :][:2])
        scored = int(inputs[HEADER_WORDS + SAMPLE_WORDS * b + 15])
        logits = x[b * kernel.constant("X_STRIDE") + kernel.constant("X_OFFSET") :][: p.vocab_size].copy()
        if not scored:
            token, _, _, flags = map(int, inputs[kernel.constant("ROWS_AT") + ROW_WORDS * row :][:ROW_WORDS])
            token = int(tokens[slot]) if token & FROM_SLOT else token
            walk = state[STATE_WORDS * slot :][:STATE_WORDS]
            logits[~allowed(p, logits, token, not flags & ROW_IS_OUTPUT, walk)] = MASKED
        y[b * kernel.constant("Y_STRIDE") :][: p.vocab_size] = logits


def allowed(p: Transcript, logits: Array, token: int, is_first: bool, walk: Array) -> Array:
    """Of each token after `token`; walk, which goes on: the slot's words."""
    import numpy as np

    ids = np.arange(p.vocab_size)
    if is_first:
        walk[:3] = token != p.no_stamps, 1, 0
    is_stamp, follows_stamp = not is_first and token >= p.stamps_at, bool(walk[1])
    last = token if is_stamp else int(walk[2])
    writes = bool(walk[0])
    walk[1:3] = is_first or is_stamp, last
    if token == p.start and p.languages:
        return np.isin(ids, p.languages)
    may = ~np.isin(ids, p.never) & ~(is_first & np.isin(ids, p.not_first))
    if not writes:
        return may
    text, lowest, end = 0, p.stamps_at, p.vocab_size
    if is_stamp and follows_stamp:
        end = p.stamps_at
    elif is_stamp:
        text = p.end
    if last:
        lowest = last if is_stamp and not follows_stamp else last + 1
    if is_first:
        text, end = p.stamps_at, p.first_stamps_end
    stamps = ids >= p.stamps_at
    may &= (ids != p.no_stamps) & np.where(stamps, (ids >= lowest) & (ids < end), ids >= text)
    top = logits[may & ~stamps].max(initial=MASKED)
    total = np.exp(logits[may & stamps].astype(np.float64)).sum()
    return may & stamps if total and math.log(total) > top else may
