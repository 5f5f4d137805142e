"""Draws one token per sample from prepared logits: the second of the sampler's two launches. Nothing is sorted.

Greedy (temperature 0) takes the largest. Otherwise top_k and top_p each find their smallest admitted logit by radix selection
over the logits' ordered bits (four histograms of 256), top_p over what top_k left, in fixed point of 2^-30 so that sums do
not depend on order; min_p admits logits within log(min_p) of the largest. Ties at a threshold stay. One draw: the largest of
logit + Gumbel noise, the noise being a hash of (seed, counter, token), so a seed gives the same text on every device.
https://arxiv.org/abs/1611.01144"""

from itertools import islice
from typing import Any

from fanlight.arrays import Array
from fanlight.kernels.grammar import MASKED, NO_TOKEN, STATE_WORDS, unpack_vocabulary, words_of
from fanlight.kernels.inputs import SAMPLE_WORDS
from fanlight.kernels.logits import constants, read_sample, walk_of
from fanlight.kernels.spec import Kernel, kernel

COARSE = 256  # words below it have a second word: from here on the middle of a word's interval stands for it to 4e-7


def make(vocab_size: int) -> Kernel:
    bindings = {
        "inputs": "array<u32>",
        "logits": "array<f32>",
        "parts": "array<Best>",
        "token_bytes": "array<u32>",
        "grammar": "array<u32>",
        "grammar_state": "+array<u32>",
        "next_token": "+array<u32>",
        "sampled": "+array<u32>",
    }
    files = ("lib/sample.wgsl", "lib/largest.wgsl", "lib/gumbel.wgsl", "lib/grammar.wgsl", "sample.wgsl")
    return kernel("sample", bindings, constants(vocab_size), files)


def grid(samples: int) -> tuple[int, int, int]:
    return (samples, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    v, at = kernel.constant("V"), kernel.constant("SAMPLES_AT")
    inputs = arrays["inputs"].view(np.uint32)
    logits = arrays["logits"].view(np.float32)
    for b in range(int(inputs[1])):
        p = read_sample(inputs, at + SAMPLE_WORDS * b)
        token = draw(logits[b * v : (b + 1) * v], p)
        is_stuck = bool(p["grammar"]) and logits[b * v + token] <= np.float32(MASKED)
        arrays["next_token"].view(np.uint32)[p["slot"]] = token
        arrays["sampled"].view(np.uint32)[b] = NO_TOKEN if is_stuck else token
        if p["grammar"] and not is_stuck:
            (text, _) = next(islice(unpack_vocabulary(words_of(arrays["token_bytes"]), v), token, None))
            after = np.array(walk_of(arrays, p).take(text))
            arrays["grammar_state"].view(np.uint32)[p["slot"] * STATE_WORDS :][: 2 + after[1]] = after[: 2 + after[1]]


def draw(logits: Array, p: dict[str, Any]) -> int:
    import numpy as np

    if p["temperature"] <= 0:
        return int(np.argmax(logits))
    h = hash_of(p["seed_low"], p["seed_high"], p["counter"])
    noisy = logits + gumbel(np.arange(len(logits), dtype=np.uint32), h)
    return int(np.argmax(np.where(admitted(logits, p), noisy, -np.inf)))


def admitted(logits: Array, p: dict[str, Any]) -> Array:
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


def hash_of(seed_low: Array | int, seed_high: Array | int, counter: Array | int) -> Array:
    """Of a draw, or of arrays of them. u32"""
    import numpy as np

    h: Any = np.uint32(0x9E3779B9)
    for word in (seed_low, seed_high, counter):
        h = mix(h ^ np.uint32(word))
    return h


def gumbel(tokens: Array, h: Array) -> Array:
    """f32 noise of tokens (u32) in draws of hash h. The second word is no function of token ^ h, of which the first one is."""
    return noise(~mix(tokens ^ h), mix(tokens ^ mix(~h)))


def noise(word: Array, finer: Array) -> Array:
    """-log(E) of an exponential E = -log(1 - v). v is the middle of the word's interval of (0, 1), or of the one that a second
    word, `finer`, has within it. Large noise is small v, where floats are fine: noise lies between -3.2 and 45.1, and rare
    tokens are drawn as often as they should be. (By one word alone, nearly never those below 1e-11.)"""
    import numpy as np

    rest = np.where(word < COARSE, (finer + 0.5) * 2.0**-32, 0.5)
    return -np.log(-np.log1p(-(word + rest) * 2.0**-32)).astype(np.float32)


def mix(x: Array) -> Array:
    """MurmurHash3's finaliser."""
    import numpy as np

    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        return x ^ (x >> np.uint32(16))
