"""Records what llama.cpp answers on the tiny GGUF files, into tests/golden/llamacpp.

    python -m scripts.golden.record_llamacpp [case ...]

Each record holds a prompt, llama.cpp's logits at its last 8 positions and its 32 greedy ids, and the exact logits there:
forward.py on weights that the gguf package dequantised.  Prompts are drawn until every greedy step leads by a clear margin,
llama.cpp agrees on each, and forward.py with llama.cpp's roundings meets its logits.  Needs gguf and llama-cpp-python, which
compiles for long; the tests need only gguf."""

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import forward, tiny_gguf, tiny_models
from scripts.golden.llamacpp_rounding import product_of

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "golden" / "llamacpp"
NUM_GREEDY = 32
NUM_POSITIONS = 8
PROMPT_LENGTH = 24
MARGIN = 0.02
# How far llama.cpp may be from forward.py with its roundings, as a share of the largest logit. A value beside a rounding border
# may fall on the other side of it, which then shifts everything after: block formats have prompts without one, F16 and BF16
# round too finely to find any.
CLOSE = {"F16": 2e-3, "BF16": 2e-2}
CLOSE_OTHERWISE = 1e-5


class LlamaCpp:
    """llama.cpp on the CPU, with a float32 KV cache."""

    def __init__(self, path: Path):
        from llama_cpp import GGML_TYPE_F32, Llama

        options = {"n_ctx": 512, "n_batch": 512, "n_threads": 2, "n_threads_batch": 2, "flash_attn": False, "verbose": False}
        self.llama = Llama(str(path), logits_all=True, type_k=GGML_TYPE_F32, type_v=GGML_TYPE_F32, **options)

    def logits_of(self, token_ids: list[int]) -> np.ndarray:
        self.llama.reset()
        self.llama.eval(token_ids)
        return self.llama.scores[: len(token_ids)].copy()

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        token_ids, logits = list(prompt), self.logits_of(prompt)[-1]
        for _ in range(count):
            token_ids.append(int(logits.argmax()))
            self.llama.eval(token_ids[-1:])
            logits = self.llama.scores[len(token_ids) - 1]
        return token_ids[len(prompt) :]


@dataclass(frozen=True, slots=True)
class Answers:
    prompt: list[int]
    greedy: list[int]
    llamacpp: np.ndarray  # [T, V]
    exact: np.ndarray  # [T, V]


def clear_prompts(name: str) -> Iterator[tuple[list[int], list[int]]]:
    """Prompts and their greedy ids by forward.py."""
    vocab_size, decoder = tiny_gguf.CASES[name].vocab_size, tiny_gguf.decoder_of(name)
    f32 = tiny_gguf.weights_of(name)  # precise enough to search with
    for attempt in range(50000):
        words = tiny_models.draw_words(f"prompt {attempt} of {name}", PROMPT_LENGTH)
        prompt = [int(word) for word in 3 + (words >> np.uint64(33)) % np.uint64(vocab_size - 3)]
        greedy = forward.clear_greedy(decoder, f32, prompt, NUM_GREEDY, MARGIN)
        if greedy and tiny_gguf.EOS_TOKEN_ID not in greedy and len(set(greedy)) >= 12:
            yield prompt, greedy
    raise RuntimeError(f"{name}: no prompt has a clear greedy continuation that llama.cpp shares")


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def find_answers(name: str, llamacpp: LlamaCpp) -> Answers:
    weights = forward.as_f64(tiny_gguf.weights_of(name))
    rounding = tiny_gguf.decoder_of(name, product_of(name))
    close = CLOSE.get(tiny_gguf.CASES[name].weight_format, CLOSE_OTHERWISE)
    for prompt, greedy in clear_prompts(name):
        logits = llamacpp.logits_of(prompt)
        if distance(logits, forward.forward(rounding, weights, prompt)) > close:
            continue
        if llamacpp.greedy(prompt, NUM_GREEDY) == greedy:
            return Answers(prompt, greedy, logits, forward.forward(tiny_gguf.decoder_of(name), weights, prompt))
    raise AssertionError("clear_prompts raises when it ends")


def record(name: str, folder: Path) -> dict[str, Any]:
    """Writes the record; returns what about.json says of it."""
    answers = find_answers(name, LlamaCpp(tiny_gguf.make_gguf(name, folder / f"{name}.gguf")))
    last = slice(-NUM_POSITIONS, None)
    np.savez_compressed(
        FOLDER / f"{name}.npz",
        prompt=np.array(answers.prompt, np.int32),
        positions=np.arange(PROMPT_LENGTH, dtype=np.int32)[last],
        exact=answers.exact[last].astype(np.float32),
        llamacpp=answers.llamacpp[last].astype(np.float32),
        greedy=np.array(answers.greedy, np.int32),
    )
    apart = distance(answers.llamacpp[last], answers.exact[last])
    print(f"{name:24} llama.cpp {apart:.1e} from exact; {len(set(answers.greedy))} different greedy ids", flush=True)
    return {"sha256": tiny_gguf.digest_of(name), "distance": float(f"{apart:.2g}")}


def main(names: list[str]) -> None:
    import llama_cpp

    FOLDER.mkdir(parents=True, exist_ok=True)
    about_path = FOLDER / "about.json"
    about = json.loads(about_path.read_text()) if about_path.exists() else {"cases": {}}
    about["llama_cpp_python"] = llama_cpp.__version__
    with tempfile.TemporaryDirectory() as folder:
        for name in names or tiny_gguf.CASES:
            about["cases"][name] = record(name, Path(folder))
            about_path.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
