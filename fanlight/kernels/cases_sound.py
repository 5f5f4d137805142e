"""Cases of the kernels of models that hear."""

from collections.abc import Callable, Iterator

from fanlight.arrays import Array
from fanlight.kernels import attention_kept, keep, level, mel, timestamps, unfold
from fanlight.kernels.attention_kept import AttentionKept
from fanlight.kernels.case import SEQS, Case, Random, random_inputs
from fanlight.kernels.inputs import FROM_SLOT, Row, Sample, pack_inputs, rows_word
from fanlight.kernels.keep import Keep
from fanlight.kernels.mel import Mel
from fanlight.kernels.timestamps import Transcript
from fanlight.kernels.unfold import Unfold


def _rows(rng: Random, count: int) -> Array:
    return random_inputs(rng, [(1, i) for i in range(count)])


def _mel(rng: Random) -> Iterator[Case]:
    import numpy as np

    for mels, rows in ((80, 3), (128, 1)):
        p = Mel(mels, 2 * mels + 4)
        contents: dict[str, Array] = {
            "sound": rng.normal(size=mel.num_samples(rows + 1)).astype(np.float32) * 0.1,
            "cosines": np.array(mel.cosines(), np.float32),
            "filters": np.array(mel.filters(mels), np.float32),
            "inputs": _rows(rng, rows),
            "y": np.zeros((rows + 1) * p.y_stride, np.float32),
        }
        yield Case(f"{mels} mels", mel.make(p), mel.grid(rows + 1), contents)


def _level(rng: Random) -> Iterator[Case]:
    import numpy as np

    for columns, offset, rows in ((5, 3, 3), (160, 0, 17)):
        stride = columns + offset + 1
        contents: dict[str, Array] = {
            "x": rng.normal(size=(rows + 1) * stride).astype(np.float32) * 5 - 3,
            "inputs": _rows(rng, rows),
            "loudest": np.array([20.0 if offset else level.QUIETEST], np.float32),
            "y": np.zeros((rows + 1) * columns, np.float32),
        }
        yield Case(f"{rows} rows of {columns}", level.make(columns, stride, offset, columns), level.grid(), contents)


def _unfold(rng: Random) -> Iterator[Case]:
    import numpy as np

    for channels, taps, start, rows in ((80, 3, -1, 6), (7, 3, 0, 3), (5, 4, -3, 2), (3, 2, 1, 1)):
        p = Unfold(channels, taps, start, channels + 3, 2, channels + 1, 0, channels * taps + 1)
        contents: dict[str, Array] = {
            "even": rng.normal(size=(rows + 1) * p.even_stride).astype(np.float32),
            "odd": rng.normal(size=(rows + 1) * p.odd_stride).astype(np.float32),
            "inputs": _rows(rng, rows),
            "y": np.zeros((rows + 1) * p.y_stride, np.float32),
        }
        yield Case(f"{taps} of {channels} from {start}", unfold.make(p), unfold.grid(p, rows + 1), contents)


def _keep(rng: Random) -> Iterator[Case]:
    import numpy as np

    for channels, places, first in ((64, 9, 0), (12, 5, 2)):
        p = Keep(channels, places, channels + 4, 3, channels, 0, rows_word(SEQS))
        rows = [(2, first + i) for i in range(places - first)]
        contents: dict[str, Array] = {
            "k": rng.normal(size=(len(rows) + 1) * p.k_stride).astype(np.float32),
            "v": rng.normal(size=(len(rows) + 1) * p.v_stride).astype(np.float32) * 1e5,
            "inputs": random_inputs(rng, rows),
            "state": rng.normal(size=SEQS * 2 * places * channels).astype(np.float16),
        }
        kernel, grid = keep.make(p), keep.grid(p, len(rows) + 1)
        yield Case(f"{channels} from {first}", kernel, grid, contents, 1e-3, (("state", "float16"),))


def _attention_kept(rng: Random) -> Iterator[Case]:
    import numpy as np

    for heads, head_dim, places in ((3, 64, 300), (2, 16, 5), (1, 24, 131), (2, 128, 40)):
        size, rows = heads * head_dim, [(0, 3), (2, 0), (2, 1)]
        p = AttentionKept(heads, head_dim, places, head_dim**-0.5, size + 5, 5, size, rows_word(SEQS))
        contents: dict[str, Array] = {
            "q": rng.normal(size=(len(rows) + 1) * p.q_stride).astype(np.float32) * 2,
            "state": rng.normal(size=SEQS * 2 * places * size).astype(np.float16),
            "inputs": random_inputs(rng, rows),
            "y": np.zeros((len(rows) + 1) * size, np.float32),
        }
        yield Case(
            f"{heads} of {head_dim} over {places}", attention_kept.make(p), attention_kept.grid(p, len(rows) + 1), contents
        )


def _timestamps(rng: Random) -> Iterator[Case]:
    """Prompts of each kind, and texts where a timestamp came last, or two, or one long ago; logits in which either side
    wins."""
    import numpy as np

    v, stamps = 700, 651
    p = Transcript(v, 640, 600, 650, 12, (3, 4, 650, 645), (9, 600), (641, 642))
    single = Transcript(v, 640, 600, 650, None, (), (9,), ())
    walks = {  # the row's token, whether it was generated, the slot's words
        "a plain prompt": (650, False, (1, 0, 660)),
        "a prompt with timestamps": (644, False, (0, 0, 680)),
        "which language": (640, False, (1, 1, 0)),
        "after the first": (stamps + 4, True, (1, 1, 0)),
        "in a text": (17, True, (1, 1, stamps + 4)),
        "after a pair's first": (stamps + 20, True, (1, 0, stamps + 4)),
        "after a pair": (stamps + 20, True, (1, 1, stamps + 20)),
        "plain text": (17, True, (0, 0, 0)),
        "from the slot": (FROM_SLOT, True, (1, 0, stamps + 4)),
    }
    for who, transcript in (("several", p), ("one", single)):
        for name, (token, is_output, walk) in walks.items():
            for lift in (-4.0, 3.0):
                logits = rng.normal(size=(2, v + 4)).astype(np.float32)
                logits[:, stamps:] += lift
                state = np.zeros((SEQS, 4), np.uint32)
                state[2, :3] = walk
                inputs = pack_inputs([Row(5, 0, 2), Row(token, 1, 2, is_output)], [Sample(0, 2, scored=7), Sample(1, 2)], SEQS)
                contents: dict[str, Array] = {
                    "x": logits,
                    "refused": np.frombuffer(b"".join(timestamps.refused(transcript)), np.uint32),
                    "next_token": np.full(SEQS, stamps + 30, np.uint32),
                    "inputs": np.frombuffer(inputs, np.uint8),
                    "state": state,
                    "y": np.zeros((3, v), np.float32),
                }
                kernel = timestamps.make(transcript, v + 4, 2, v, rows_word(SEQS))
                yield Case(f"{name}, {who}, {lift}", kernel, timestamps.grid(3), contents, dtypes=(("state", "uint32"),))


SOUND_CASES: dict[str, Callable[[Random], Iterator[Case]]] = {
    "mel": _mel,
    "level": _level,
    "unfold": _unfold,
    "keep": _keep,
    "attention_kept": _attention_kept,
    "timestamps": _timestamps,
}
