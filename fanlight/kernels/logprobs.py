"""Log-probabilities, second half, after the draw: of the model itself, or of what was drawn from (but for top_k, top_p and
min_p), as the sample says.

A sample's numbers are two rows of 1 + MAX_LOGPROBS f32: the rank (from 1) of the token that was drawn, or that the sample
names (`scored`), and the ids of the most likely tokens, -1 where the vocabulary has no more; then the log-probabilities of all
these. Ids and ranks are small enough to be exact in f32."""

from fanlight.arrays import Array
from fanlight.kernels.inputs import LOGPROB_WORDS, SAMPLE_WORDS
from fanlight.kernels.rank import NONE, constants
from fanlight.kernels.spec import Kernel, kernel


def make(vocab_size: int) -> Kernel:
    bindings = {
        "inputs": "array<u32>",
        "sampled": "array<u32>",
        "kept": "array<f32>",
        "sums": "array<f32>",
        "candidates": "array<u32>",
        "logprobs": "+array<f32>",
    }
    return kernel(
        "logprobs", bindings, constants(vocab_size), ("lib/sample.wgsl", "lib/largest.wgsl", "lib/after.wgsl", "logprobs.wgsl")
    )


def grid(samples: int) -> tuple[int, int, int]:
    return (samples, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    v, parts, top, at = (kernel.constant(n) for n in ("V", "PARTS", "TOP", "SAMPLES_AT"))
    inputs, sampled = arrays["inputs"].view(np.uint32), arrays["sampled"].view(np.uint32)
    count = int(inputs[1])
    kept = arrays["kept"].view(np.float32)[: count * v].reshape(count, v)
    sums = arrays["sums"].view(np.float32)[: count * parts * 2].reshape(count, parts, 2).astype(np.float64)
    candidates = arrays["candidates"].view(np.uint32)[: count * parts * top * 2].reshape(count, parts * top, 2)
    out = arrays["logprobs"].view(np.float32)[: count * LOGPROB_WORDS].reshape(count, 2, 1 + top)
    for b in range(count):
        best = sums[b, :, 0].max()
        total = np.log((sums[b, :, 1] * np.exp(sums[b, :, 0] - best)).sum())
        scored = int(inputs[at + SAMPLE_WORDS * b + 15])
        token = scored - 1 if scored else int(sampled[b])
        values, tokens = candidates[b, :, 0].copy().view(np.float32), candidates[b, :, 1]
        order = np.lexsort((tokens, -values))[:top]
        is_one = tokens[order] != NONE
        out[b, 0] = [1 + np.sum(kept[b] > kept[b, token]), *np.where(is_one, tokens[order].astype(np.float64), -1)]
        out[b, 1] = [kept[b, token] - best - total, *np.where(is_one, values[order] - best - total, 0)]
