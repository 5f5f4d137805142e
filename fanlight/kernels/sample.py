"""Draws one token per sample from prepared logits: the second of the sampler's two launches. Nothing is sorted.

Greedy (temperature 0) takes the largest. Otherwise top_k and top_p each find their smallest admitted logit by radix selection
over the logits' ordered bits (four histograms of 256), top_p over what top_k left, in fixed point of 2^-30 so that sums do
not depend on order; min_p admits logits within log(min_p) of the largest. Ties at a threshold stay. One draw: the largest of
logit + Gumbel noise, the noise being a hash of (seed, counter, token), so a seed gives the same text on every device.
https://arxiv.org/abs/1611.01144"""

from fanlight.kernels.inputs import SAMPLE_WORDS
from fanlight.kernels.logits import constants, read_sample
from fanlight.kernels.spec import Kernel, kernel

ONE = 1 << 30  # probability 1 in fixed point


def make(vocab_size: int) -> Kernel:
    bindings = {
        "inputs": "array<u32>",
        "logits": "array<f32>",
        "parts": "array<Best>",
        "next_token": "+array<u32>",
        "sampled": "+array<u32>",
    }
    return kernel("sample", bindings, constants(vocab_size), ("lib/sample.wgsl", "sample.wgsl"))


def grid(samples: int) -> tuple[int, int, int]:
    return (samples, 1, 1)


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int]) -> None:
    import numpy as np

    v, at = kernel.constant("V"), kernel.constant("SAMPLES_AT")
    inputs = arrays["inputs"].view(np.uint32)
    logits = arrays["logits"].view(np.float32)
    for b in range(int(inputs[1])):
        p = read_sample(inputs, at + SAMPLE_WORDS * b)
        token = draw(logits[b * v : (b + 1) * v], p)
        arrays["next_token"].view(np.uint32)[p["slot"]] = token
        arrays["sampled"].view(np.uint32)[b] = token


def draw(logits: "object", p: dict) -> int:
    import numpy as np

    if p["temperature"] <= 0:
        return int(np.argmax(logits))
    noise = gumbel(np.arange(len(logits), dtype=np.uint32), p)
    return int(np.argmax(np.where(admitted(logits, p), logits + noise, -np.inf)))


def admitted(logits: "object", p: dict) -> "object":
    """Which tokens top_k, top_p and min_p leave. bool [V]"""
    import numpy as np

    x = logits.astype(np.float64)
    keep = np.ones(len(x), bool)
    if 0 < p["top_k"] < len(x):
        keep &= x >= np.sort(x)[-p["top_k"]]
    if p["top_p"] < 1:
        weight = np.where(keep, np.exp(x - x.max()), 0)
        order = np.argsort(-x, kind="stable")
        mass = np.cumsum(weight[order]) / weight.sum()
        keep &= x >= x[order[min(int(np.searchsorted(mass, p["top_p"])), len(x) - 1)]]
    if p["min_p"] > 0:
        keep &= x >= x.max() + np.log(p["min_p"])
    return keep


def gumbel(tokens: "object", p: dict) -> "object":
    """f32 noise for each token."""
    import numpy as np

    h = np.uint32(0x9E3779B9)
    with np.errstate(over="ignore"):
        for word in (p["seed_low"], p["seed_high"], p["counter"]):
            h = _mix(h ^ np.uint32(word))
        bits = _mix(tokens ^ h)
    u = (np.float32(bits >> np.uint32(8)) + np.float32(0.5)) * np.float32(2**-24)
    return -np.log(-np.log(u))


def _mix(x: "object") -> "object":
    """MurmurHash3's finaliser."""
    import numpy as np

    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))
