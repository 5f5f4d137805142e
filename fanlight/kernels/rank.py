"""Log-probabilities, first half: of each part of a sample's logits the largest, in order, and its sum of exponentials; and a
copy of all, which `logprobs` looks up in. Only in steps that were asked for them. It runs twice, before penalties change the
logits and after; which of the two is wanted is in each sample's record."""

from fanlight.arrays import Array
from fanlight.kernels.inputs import HEADER_WORDS, LOGPROBS_OF_DRAW, MAX_LOGPROBS, SAMPLE_WORDS
from fanlight.kernels.logits import PART, WORKGROUP, num_parts
from fanlight.kernels.spec import Kernel, kernel

NONE = 0xFFFF_FFFF  # in place of a token: the part has no more
LEAST = -3e38  # what is smaller, infinite perhaps, is listed nowhere


def make(vocab_size: int, is_after: bool) -> Kernel:
    bindings = {
        "inputs": "array<u32>",
        "logits": "array<f32>",
        "kept": "+array<f32>",
        "sums": "+array<f32>",
        "candidates": "+array<u32>",
    }
    values = constants(vocab_size) | {"AFTER": int(is_after)}
    return kernel("rank", bindings, values, ("lib/sample.wgsl", "lib/largest.wgsl", "lib/after.wgsl", "rank.wgsl"))


def constants(vocab_size: int) -> dict[str, int]:
    return {
        "V": vocab_size,
        "SAMPLES_AT": HEADER_WORDS,
        "PARTS": num_parts(vocab_size),
        "PART": PART,
        "TOP": MAX_LOGPROBS,
        "WORKGROUP": WORKGROUP,
    }


def sizes(samples: int, vocab_size: int) -> dict[str, int]:
    """Bytes of what it makes."""
    parts = samples * num_parts(vocab_size)
    return {"kept": 4 * samples * vocab_size, "sums": 8 * parts, "candidates": 8 * parts * MAX_LOGPROBS}


def grid(samples: int, vocab_size: int) -> tuple[int, int, int]:
    return (num_parts(vocab_size), samples, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    v, parts, top, at, after = (kernel.constant(n) for n in ("V", "PARTS", "TOP", "SAMPLES_AT", "AFTER"))
    inputs = arrays["inputs"].view(np.uint32)
    count = int(inputs[1])
    mine = (inputs[at + 14 :: SAMPLE_WORDS][:count] & LOGPROBS_OF_DRAW != 0) == after
    logits = arrays["logits"].view(np.float32)[: count * v].reshape(count, v)[mine]
    arrays["kept"].view(np.float32)[: count * v].reshape(count, v)[mine] = logits
    sums = arrays["sums"].view(np.float32)[: count * parts * 2].reshape(count, parts, 2)
    candidates = arrays["candidates"].view(np.uint32)[: count * parts * top * 2].reshape(count, parts, top, 2)
    for i in range(parts):
        part = logits[:, i * PART : (i + 1) * PART]
        best = np.maximum(part.max(axis=1), LEAST)
        sums[mine, i, 0] = best
        sums[mine, i, 1] = np.exp(part - best[:, None], dtype=np.float32).sum(axis=1)
        order = np.argsort(-part, axis=1, kind="stable")[:, :top]
        values = np.take_along_axis(part, order, axis=1)
        found = np.full((len(part), top, 2), [np.float32(LEAST).view(np.uint32), NONE], np.uint32)
        found[:, : order.shape[1], 0] = np.maximum(values, np.float32(LEAST)).view(np.uint32)
        found[:, : order.shape[1], 1] = np.where(values > LEAST, order + i * PART, NONE)
        candidates[mine, i] = found
