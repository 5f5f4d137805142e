"""Cases of every kernel: a launch with random contents, to be compared with the kernel's NumPy reference on any device.

The tests run them on each software adapter, `fanlight kernel NAME` on yours. A kernel without cases fails the tests by name.
NumPy only."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from fanlight.kernels import logits, logprobs, rank, sample, stream
from fanlight.kernels.case import SEQS, Case, Random, buffer_of, differences, random_blocks, random_inputs, random_weight
from fanlight.kernels.cases_attention import ATTENTION_CASES
from fanlight.kernels.cases_experts import EXPERT_CASES
from fanlight.kernels.cases_grammar import grammar_contents
from fanlight.kernels.cases_images import IMAGE_CASES
from fanlight.kernels.cases_products import PRODUCT_CASES
from fanlight.kernels.cases_rows import ROW_CASES
from fanlight.kernels.cases_sound import SOUND_CASES
from fanlight.kernels.cases_state import STATE_CASES
from fanlight.kernels.cases_streams import STREAM_CASES
from fanlight.kernels.grammar import MASKED
from fanlight.kernels.inputs import LOGPROB_WORDS, Sample

__all__ = ["CASES", "Case", "buffer_of", "cases_of", "differences", "random_blocks", "random_weight", "stems"]


def cases_of(stem: str) -> Iterator[Case]:
    import numpy as np

    return CASES[stem](np.random.default_rng(1))


def stems() -> list[str]:
    """Every kernel in the folder."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.wgsl"))


SAMPLES = [
    Sample(0, 1),
    Sample(0, 0, temperature=0.7, repetition_penalty=1.3, frequency_penalty=0.4, presence_penalty=-0.2, seed=5),
    Sample(0, 3, temperature=1.5, has_bias=True, top_k=7, seed=2**40 + 1, counter=3),
    Sample(0, 2, frequency_penalty=0.5, has_bias=True),
]


def _logits(rng: Random) -> Iterator[Case]:
    import numpy as np

    for v in (33, 5000):
        bases, grammars = grammar_contents(rng, v, free=(1,))
        samples = [replace(sample, grammar=bases[sample.slot], may_end=sample.slot != 3) for sample in SAMPLES]
        contents = grammars | {
            "inputs": random_inputs(rng, [(0, 0)], samples),
            "token_counts": (rng.integers(0, 3, SEQS * v) | (rng.integers(0, 2, SEQS * v) << 31)).astype(np.uint32),
            "logit_bias": rng.normal(size=SEQS * v).astype(np.float32),
            "logits": rng.normal(size=SEQS * v).astype(np.float32) * 3,
            "parts": np.zeros(SEQS * logits.num_parts(v) * 2, np.float32),
        }
        yield Case(f"V {v}", logits.make(v), logits.grid(SEQS, v), contents, 1e-5)


def _sample(rng: Random) -> Iterator[Case]:
    """Greedy, and draws whose outcome the cuts decide; distributions are tested elsewhere. One of the small ones has no token
    left."""
    import numpy as np

    for v in (33, 5000):
        values = rng.normal(size=(SEQS, v)).astype(np.float32) * 3
        bases, grammars = grammar_contents(rng, v, free=(1,))
        draws = [
            Sample(0, 1),
            Sample(0, 0, temperature=1, top_k=5, seed=11, counter=2),
            Sample(0, 3, temperature=1, top_p=0.5, min_p=0.02, seed=7),
            Sample(0, 2, temperature=1, top_k=40, top_p=0.9, seed=2**33),
        ]
        draws = [replace(draw, grammar=bases[draw.slot]) for draw in draws]
        for b, draw in enumerate(draws):
            if draw.grammar:
                place = {"slot": draw.slot, "grammar": draw.grammar, "may_end": True}
                values[b, ~logits.allowed(grammars, place, v) | (v == 33 and b == 3)] = MASKED
        parts = np.zeros((SEQS, logits.num_parts(v), 2), np.float32)
        for i in range(parts.shape[1]):
            part = values[:, i * logits.PART : (i + 1) * logits.PART]
            parts[:, i, 0] = part.max(axis=1)
            parts[:, i, 1].view(np.uint32)[:] = i * logits.PART + part.argmax(axis=1)
        contents = grammars | {
            "inputs": random_inputs(rng, [(0, 0)], draws),
            "logits": values,
            "parts": parts,
            "next_token": np.zeros(SEQS, np.uint32),
            "sampled": np.zeros(SEQS, np.uint32),
        }
        dtypes = (("next_token", "uint32"), ("sampled", "uint32"), ("grammar_state", "uint32"))
        yield Case(f"V {v}", sample.make(v), sample.grid(SEQS), contents, 0, dtypes)


def _rank(rng: Random) -> Iterator[Case]:
    """Of fewer tokens than are listed, of parts whose last has few, and of equal ones."""
    import numpy as np

    for v in (7, 33, 5000):
        values = rng.normal(size=(SEQS, v)).astype(np.float32) * 3
        values[1] = np.round(values[1])
        values[2, v // 2 :] = -3.3e38
        made = {name: np.zeros(size, np.uint8) for name, size in rank.sizes(SEQS, v).items()}
        samples = [replace(sample, logprobs_of_draw=i == 1) for i, sample in enumerate(SAMPLES)]
        contents = {"inputs": random_inputs(rng, [(0, 0)], samples), "logits": values} | made
        for is_after in (False, True):
            make = rank.make(v, is_after)
            yield Case(f"V {v}, {is_after}", make, rank.grid(SEQS, v), contents, 1e-5, (("candidates", "uint32"),))


def _logprobs(rng: Random) -> Iterator[Case]:
    """Of tokens that were drawn, and of one that is named."""
    import numpy as np

    for v in (7, 33, 5000):
        samples = [*SAMPLES[:3], Sample(0, 2, scored=v - 2)]
        values = rng.normal(size=(SEQS, v)).astype(np.float32) * 3
        values[1] = np.round(values[1])
        ranked = {"logits": values} | {name: np.zeros(size, np.uint8) for name, size in rank.sizes(SEQS, v).items()}
        ranked["inputs"] = random_inputs(rng, [(0, 0)], samples)
        rank.reference(rank.make(v, is_after=False), ranked, rank.grid(SEQS, v))
        contents = {name: ranked[name] for name in ("inputs", "kept", "sums", "candidates")}
        contents["sampled"] = rng.integers(0, v, SEQS).astype(np.uint32)
        contents["logprobs"] = np.zeros(SEQS * LOGPROB_WORDS, np.float32)
        yield Case(f"V {v}", logprobs.make(v), logprobs.grid(SEQS), contents, 1e-7)


def _stream(rng: Random) -> Iterator[Case]:
    import numpy as np

    for vectors in (1000, stream.WORKGROUP * stream.GROUPS + 77):
        contents = {
            "x": rng.integers(0, 2**32, 4 * vectors, np.uint32),
            "y": np.zeros(stream.WORKGROUP * stream.GROUPS, np.uint32),
        }
        yield Case(f"{vectors}", stream.make(vectors), stream.grid(), contents, 0, (("y", "uint32"),))


CASES: dict[str, Callable[[Random], Iterator[Case]]] = {
    **ATTENTION_CASES,
    **EXPERT_CASES,
    **PRODUCT_CASES,
    **ROW_CASES,
    **IMAGE_CASES,
    **SOUND_CASES,
    **STATE_CASES,
    **STREAM_CASES,
    "logits": _logits,
    "logprobs": _logprobs,
    "rank": _rank,
    "sample": _sample,
    "stream": _stream,
}
