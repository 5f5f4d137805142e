"""Prepares logits for sampling, in place, and finds each part's largest: the first of the sampler's two launches.

In this order, which is vLLM's and transformers': logit bias; repetition, frequency and presence penalties (from token_counts);
division by the temperature; where the answer has a grammar, what would leave it is refused (grammar.py). What a request does
not use is skipped. repetition_penalty: https://arxiv.org/abs/1909.05858, over prompt and output; the other two are OpenAI's,
over the output."""

from typing import Any

from fanlight.arrays import Array
from fanlight.kernels import grammar
from fanlight.kernels.grammar import LEAST, MASKED, STATE_WORDS, Walk, unpack_vocabulary, words_of
from fanlight.kernels.inputs import HEADER_WORDS, MAY_END, SAMPLE_WORDS
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 256
PART = 2048  # logits that a workgroup takes


def num_parts(vocab_size: int) -> int:
    return ceil_div(vocab_size, PART)


def make(vocab_size: int) -> Kernel:
    bindings = {
        "inputs": "array<u32>",
        "token_counts": "array<u32>",
        "logit_bias": "array<f32>",
        "token_bytes": "array<u32>",
        "grammar": "array<u32>",
        "grammar_state": "array<u32>",
        "logits": "+array<f32>",
        "parts": "+array<Best>",
    }
    return kernel("logits", bindings, constants(vocab_size), ("lib/sample.wgsl", "lib/grammar.wgsl", "logits.wgsl"))


def constants(vocab_size: int) -> dict[str, int | float | str]:
    return {
        "V": vocab_size,
        "SAMPLES_AT": HEADER_WORDS,
        "PARTS": num_parts(vocab_size),
        "PART": PART,
        "WORKGROUP": WORKGROUP,
        **grammar.constants(vocab_size),
    }


def grid(samples: int, vocab_size: int) -> tuple[int, int, int]:
    return (num_parts(vocab_size), samples, 1)


def read_sample(inputs: Array, at: int) -> dict[str, Any]:
    """A sample's fields from the words of `inputs`. (NumPy)"""
    import numpy as np

    words = inputs[at : at + SAMPLE_WORDS]
    names = ("row", "slot", "top_k", "seed_low", "seed_high", "counter")
    floats = ("temperature", "top_p", "min_p", "frequency", "presence", "repetition")
    made: dict[str, Any] = {n: int(v) for n, v in zip(names, words, strict=False)}
    made |= {n: float(v) for n, v in zip(floats, words[6:12].view(np.float32), strict=True)}
    return made | {"has_bias": bool(words[12]), "grammar": int(words[13]), "may_end": bool(words[14] & MAY_END)}


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    v, at, parts = (kernel.constant(n) for n in ("V", "SAMPLES_AT", "PARTS"))
    inputs = arrays["inputs"].view(np.uint32)
    logits = arrays["logits"].view(np.float32)[: grid[1] * v].reshape(-1, v)
    out = arrays["parts"].view(np.float32)[: grid[1] * parts * 2].reshape(-1, parts, 2)
    for b in range(int(inputs[1])):
        p = read_sample(inputs, at + SAMPLE_WORDS * b)
        logits[b] = processed(
            logits[b],
            p,
            arrays["token_counts"].view(np.uint32)[p["slot"] * v :][:v],
            arrays["logit_bias"].view(np.float32)[p["slot"] * v :][:v],
        )
        if p["grammar"]:
            logits[b] = np.where(allowed(arrays, p, v), np.maximum(logits[b], np.float32(LEAST)), np.float32(MASKED))
        for i in range(parts):
            part = logits[b, i * PART : (i + 1) * PART]
            out[b, i] = part.max(), 0
            out[b, i, 1:].view(np.uint32)[0] = i * PART + part.argmax()


def allowed(arrays: dict[str, Array], p: dict[str, Any], vocab_size: int) -> Array:
    """Which tokens the sample's grammar allows. bool [V]"""
    import numpy as np

    walk = walk_of(arrays, p)
    texts = unpack_vocabulary(words_of(arrays["token_bytes"]), vocab_size)
    return np.array([walk.allows(text, is_end, p["may_end"]) for text, is_end in texts])


def walk_of(arrays: dict[str, Array], p: dict[str, Any]) -> Walk:
    import numpy as np

    state = arrays["grammar_state"].view(np.uint32)[p["slot"] * STATE_WORDS :][:STATE_WORDS]
    return Walk(words_of(arrays["grammar"].view(np.uint32)[p["grammar"] - 1 :]), words_of(state))


def processed(x: Array, p: dict[str, Any], counts: Array, bias: Array) -> Array:
    import numpy as np

    x = x.astype(np.float32)
    if p["has_bias"]:
        x = x + bias
    if p["repetition"] != 1:
        x = np.where(counts > 0, np.where(x > 0, x / p["repetition"], x * p["repetition"]), x)
    times = (counts & 0x7FFF_FFFF).astype(np.float32)
    x = x - p["frequency"] * times - p["presence"] * (times > 0)
    return (x / p["temperature"] if p["temperature"] > 0 else x).astype(np.float32)
