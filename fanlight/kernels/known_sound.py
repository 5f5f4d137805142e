"""Known answers of the kernels of models that hear: see known.py."""

import math

from fanlight.kernels import attention_kept, keep, level, mel, timestamps, unfold
from fanlight.kernels.grammar import MASKED
from fanlight.kernels.inputs import Row, Sample
from fanlight.kernels.known import PERIOD, SLOT, Grid, Known, ends, rounded, wave, waves
from fanlight.kernels.spec import Kernel


def rows_of(grid: Grid, most: int = 3) -> list[Row]:
    return [Row(0, row, SLOT) for row in range(min(grid[1], most))]


def known_mel(kernel: Kernel, grid: Grid) -> Known:
    p: mel.Mel = kernel.problem
    made, rows = Known(), rows_of(grid, 2)
    made.inputs(rows, [])
    made.writes.append(("sound", 0, waves(0, mel.num_samples(len(rows)))))
    made.floats("cosines", 0, mel.cosines())
    made.floats("filters", 0, mel.filters(p.mels))
    for row in range(len(rows)):
        for i in range(mel.PER_ROW):
            for m in ends(p.mels):
                value = math.log10(max(_heard(p.mels, m, (mel.PER_ROW * row + i) * mel.HOP), mel.LEAST))
                made.expect("y", row * p.y_stride + i * p.mels + m, value, 1.0)
    return made


def _heard(mels: int, m: int, at: int) -> float:
    """What a filter lets through of the frame that begins there."""
    cosines, filters = mel.cosines(), mel.filters(mels)[m * mel.BINS :][: mel.BINS]
    frame = [wave(at + n) * (0.5 - 0.5 * cosines[n]) for n in range(mel.FRAME)]
    total = 0.0
    for k, share in enumerate(filters):
        if share:
            real = sum(x * cosines[n * k % mel.FRAME] for n, x in enumerate(frame))
            imaginary = sum(x * cosines[(n * k + 3 * mel.FRAME // 4) % mel.FRAME] for n, x in enumerate(frame))
            total += share * (real * real + imaginary * imaginary)
    return total


def known_level(kernel: Kernel, grid: Grid) -> Known:
    """Of values of which some are raised."""
    columns, x_stride, x_offset, y_stride = (kernel.constant(name) for name in ("COLUMNS", "X_STRIDE", "X_OFFSET", "Y_STRIDE"))
    made = Known()
    made.inputs([Row(0, row, SLOT) for row in range(3)], [])
    values = [[16 * wave(row * columns + column) for column in range(columns)] for row in range(3)]
    for row in range(3):
        made.floats("x", row * x_stride + x_offset, values[row])
    loudest = max(map(max, values)) + 1  # of another window
    made.floats("loudest", 0, [loudest])
    least = loudest - level.BELOW
    for row in range(3):
        for column in sorted({*ends(columns), *range(min(columns, 8))}):
            made.expect("y", row * y_stride + column, (max(values[row][column], least) + level.SHIFT) / level.SCALE)
    return made


def known_unfold(kernel: Kernel, grid: Grid) -> Known:
    p: unfold.Unfold = kernel.problem
    made, rows = Known(), len(rows_of(grid))
    made.inputs([Row(0, row, SLOT) for row in range(rows)], [])
    for row in range(rows):
        for i, name in enumerate(("even", "odd")):
            at = row * getattr(p, f"{name}_stride") + getattr(p, f"{name}_offset")
            made.writes.append((name, 4 * at, waves(5 * (2 * row + i), p.channels)))
    for row in range(rows):
        for channel in ends(p.channels):
            for tap in range(p.taps):
                frame = 2 * row + p.start + tap
                value = wave(5 * frame + channel) if 0 <= frame < 2 * rows else 0.0
                made.expect("y", row * p.y_stride + channel * p.taps + tap, value)
    return made


def known_keep(kernel: Kernel, grid: Grid) -> Known:
    p: keep.Keep = kernel.problem
    made, rows = Known(), min(len(rows_of(grid)), p.places)
    made.inputs([Row(0, row, SLOT) for row in range(rows)], [], p.rows_at)
    for row in range(rows):
        made.writes.append(("k", 4 * (row * p.k_stride + p.k_offset), waves(7 * row, p.channels)))
        made.writes.append(("v", 4 * (row * p.v_stride + p.v_offset), waves(7 * row + 3, p.channels)))
        for channel in ends(p.channels):
            for which in range(2):
                at = ((SLOT * 2 + which) * p.places + row) * p.channels + channel
                made.expect("state", at, wave(7 * row + 3 * which + channel), kind="f16")
    return made


def known_attention_kept(kernel: Kernel, grid: Grid) -> Known:
    p: attention_kept.AttentionKept = kernel.problem
    made, size = Known(), p.heads * p.head_dim
    rows = rows_of(grid, 2)
    made.inputs(rows, [], p.rows_at)
    made.writes.append(("state", 4 * SLOT * p.places * size, waves(0, 2 * p.places * size, "e")))
    for row in range(len(rows)):
        made.writes.append(("q", 4 * (row * p.q_stride + p.q_offset), waves(11 * row, size)))
        for head in ends(p.heads):
            weights = _weights(p, [wave(11 * row + head * p.head_dim + d) for d in range(p.head_dim)], head)
            for d in ends(p.head_dim):
                values = [wave((p.places + place) * size + head * p.head_dim + d) for place in range(p.places)]
                value = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
                made.expect("y", row * p.y_stride + head * p.head_dim + d, value)
    return made


def _weights(p: attention_kept.AttentionKept, query: list[float], head: int) -> list[float]:
    """Of the places; keys repeat themselves."""
    at = [(place * p.heads + head) * p.head_dim % PERIOD for place in range(p.places)]
    scores = {start: p.scale * sum(x * wave(start + d) for d, x in enumerate(query)) for start in set(at)}
    top = max(scores.values())
    return [math.exp(scores[start] - top) for start in at]


def known_timestamps(kernel: Kernel, grid: Grid) -> Known:
    """In a text, where timestamps together are likelier than any word: a later one must come."""
    p: timestamps.Transcript = kernel.problem
    x_offset, rows_at = kernel.constant("X_OFFSET"), kernel.constant("ROWS_AT")
    made, last = Known(), p.stamps_at + 3
    made.inputs([Row(5, 9, SLOT, True)], [Sample(0, SLOT)], rows_at)
    made.writes.append(("x", 4 * x_offset, waves(0, p.vocab_size)))
    made.words("refused", 0, memoryview(b"".join(timestamps.refused(p))).cast("I"))
    made.words("state", timestamps.STATE_WORDS * SLOT, (1, 1, last, 0))
    for token in {0, 5, p.end, p.stamps_at, last, last + 1, p.vocab_size - 1} - {*p.never}:
        made.expect("y", token, rounded(wave(token) if token > last else MASKED), kind="f32")
    for i, word in enumerate((1, 0, last)):
        made.expect("state", timestamps.STATE_WORDS * SLOT + i, word, kind="u32")
    return made
