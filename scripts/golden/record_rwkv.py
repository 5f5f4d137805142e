"""Records what llama.cpp answers on the files of tiny_rwkv, and how it cuts texts, into tests/golden/rwkv.

    python -m scripts.golden.record_rwkv

Needs gguf and llama-cpp-py-sync."""

import json
import tempfile
from pathlib import Path

import numpy as np

from scripts.golden import tiny_rwkv
from scripts.golden.record_architectures_gguf import GOLDEN, LlamaCpp

FOLDER = GOLDEN / "rwkv"
TEXTS = [
    "the theory of then the  n",
    "\n\n\nthe\n\n the\t\t\t of",
    "äßen 你好吗 你 好 \U0001f600é",
    "12345 1234567 aaaaaaaaaaaaaaaaaaaaaaaa",
    'a\\n"quoted" it\'s   so ... \x00\x01',
    "<s>[PAD290]",
    "",
]


def cut(llamacpp: LlamaCpp, text: str) -> list[int]:
    data, lib, ffi = text.encode(), llamacpp.lib, llamacpp.ffi
    room = ffi.new("llama_token[]", 200)
    count = lib.llama_tokenize(lib.llama_model_get_vocab(llamacpp.model), data, len(data), room, 200, False, False)
    return [room[i] for i in range(count)]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in tiny_rwkv.CASES:
            llamacpp = LlamaCpp(tiny_rwkv.make_gguf(name, Path(folder) / f"{name}.gguf"))
            logits, greedy = llamacpp.logits_of(tiny_rwkv.PROMPT), llamacpp.greedy(tiny_rwkv.PROMPT, 32)
            positions = np.array([0, 1, 2, 7, 20, len(logits) - 2, len(logits) - 1], np.int32)
            arrays = {"prompt": tiny_rwkv.PROMPT, "greedy": greedy, "positions": positions, "logits": logits[positions]}
            np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
            ends = np.sort(logits[-1])
            print(f"{name}: greedy {greedy[:12]}, logits {ends[0]:.2f} to {ends[-2]:.2f}, {ends[-1]:.2f}", flush=True)
        (FOLDER / "texts.json").write_text(json.dumps([[text, cut(llamacpp, text)] for text in TEXTS]) + "\n")


if __name__ == "__main__":
    main()
