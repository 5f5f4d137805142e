"""Cases of the kernels that take pictures in."""

from array import array
from collections.abc import Callable, Iterator

from fanlight.arrays import Array
from fanlight.kernels import keep_images, patches, put_images, stretch
from fanlight.kernels.case import SEQS, Case, Random
from fanlight.kernels.inputs import image_record, image_words, pack_words, rows_word
from fanlight.kernels.patches import Patches
from fanlight.kernels.stretch import Stretch


def _patches(rng: Random) -> Iterator[Case]:
    import numpy as np

    for patch, height, width, merge, stride in ((4, 3, 5, 1, 48), (7, 4, 2, 2, 152), (16, 2, 2, 1, 768)):
        p, colours = Patches(patch, stride, rows_word(SEQS)), ((0.01, 0.02, 0.03), (-1.0, 0.5, 0.0))
        words = image_words(height, width, merge, has_class=patch == 7)
        rows = len(words) // 4
        contents: dict[str, Array] = {
            "pixels": rng.integers(0, 256, 3 * height * width * patch * patch, np.uint8),
            "inputs": np.frombuffer(image_record(words, (height, width), 0, 0, colours, SEQS), np.uint8),
            "y": np.zeros((rows + 1) * stride, np.float32),
        }
        yield Case(f"{height} x {width} of {patch}", patches.make(p), patches.grid(p, rows + 1), contents)


def _put_images(rng: Random) -> Iterator[Case]:
    import numpy as np

    for columns, offset, part, parts in ((20, 0, 0, 1), (130, 3, 0, 1), (20, 3, 0, 3), (20, 0, 2, 3)):
        rows, stride = 7, columns + offset + 1
        words = np.zeros((rows, 4), np.uint32)
        words[:, 3] = [0, 1, 4 | 3 << 16, 4 | 0 << 16, 2, 4 | 5 << 16, 0]
        contents: dict[str, Array] = {
            "x": rng.normal(size=rows * stride).astype(np.float32),
            "images": rng.normal(size=6 * columns * parts).astype(np.float32),
            "inputs": np.frombuffer(pack_words(array("I", words.tobytes()), [], SEQS), np.uint8),
            "y": np.zeros((rows + 1) * (columns + 2), np.float32),
        }
        kernel = put_images.make(columns, stride, offset, columns + 2, rows_word(SEQS), part, parts)
        yield Case(f"{columns} columns, {part} of {parts}", kernel, put_images.grid(columns, rows + 1), contents)


def _stretch(rng: Random) -> Iterator[Case]:
    import numpy as np

    shapes = (5, 6, 10, 70, False), (4, 4, 4, 8, False), (7, 1, 3, 16, False), (5, 3, 14, 70, True), (8, 1, 8, 16, True)
    for side, height, width, columns, is_smooth in shapes:
        p = Stretch(side, columns, columns + 3, rows_word(SEQS), is_smooth)
        words = image_words(height, width, 1, has_class=side == 4)
        rows = len(words) // 4
        contents: dict[str, Array] = {
            "table": rng.normal(size=side * side * columns).astype(np.float32),
            "inputs": np.frombuffer(image_record(words, (height, width), 0, 0, ((1,) * 3, (0,) * 3), SEQS), np.uint8),
            "y": np.zeros((rows + 1) * p.y_stride, np.float32),
        }
        yield Case(
            f"{side} over {height} x {width}{', smooth' * is_smooth}", stretch.make(p), stretch.grid(p, rows + 1), contents
        )


def _keep_images(rng: Random) -> Iterator[Case]:
    import numpy as np

    for columns, offset, rows, merge in ((20, 0, 4, 0), (130, 3, 3, 0), (20, 0, 6, 2)):
        stride, grid = columns + offset + 1, (4, 6) if merge else (2, 2)
        words = image_words(*grid, merge or 1, window=4 if merge else 0)
        contents: dict[str, Array] = {
            "x": rng.normal(size=6 * stride).astype(np.float32),
            "inputs": np.frombuffer(image_record(words, grid, 5, rows, ((1,) * 3, (0,) * 3), SEQS), np.uint8),
            "images": rng.normal(size=12 * columns).astype(np.float32),
        }
        kernel = keep_images.make(columns, stride, offset, rows_word(SEQS), merge)
        yield Case(f"{rows} of {columns}{' by windows' * (merge > 0)}", kernel, keep_images.grid(columns, 6), contents)


IMAGE_CASES: dict[str, Callable[[Random], Iterator[Case]]] = {
    "patches": _patches,
    "put_images": _put_images,
    "keep_images": _keep_images,
    "stretch": _stretch,
}
