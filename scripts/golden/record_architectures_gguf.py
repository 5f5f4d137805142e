"""Records what llama.cpp answers on the GGUF files of architectures_gguf, into tests/golden/architectures_gguf.

    python -m scripts.golden.record_architectures_gguf [case ...]

The prompts are those that transformers answered (record_transformers), and its logits are the truth: a record adds llama.cpp's
logits at the same positions, which shows that the file means what the checkpoint means.  Needs gguf and llama-cpp-py-sync."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import architectures_gguf, tiny_architectures
from scripts.golden.mistakes import distance

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
FOLDER = GOLDEN / "architectures_gguf"
# How far llama.cpp may be from transformers, as a share of the largest logit: it reads GELU from a table of half precision, and
# rounds activations to 8 bit where the weights are in blocks. Gemma 3n's gates it cuts by deviations of N - 1, not N values.
ACTS = ("hidden_act", "hidden_activation", "activation", "activation_function")
CLOSE, CLOSE_GELU, CLOSE_CUTS, CLOSE_BLOCKS = 3e-5, 2e-3, 3e-2, 0.12


class LlamaCpp:
    """llama.cpp on the CPU, with a float32 KV cache, without flash attention."""

    def __init__(self, path: Path):
        from llama_cpp_py_sync._cffi_bindings import get_ffi, get_lib

        self.lib, self.ffi = get_lib(), get_ffi()
        self.lib.llama_backend_init()
        self.model = self.lib.llama_model_load_from_file(str(path).encode(), self.lib.llama_model_default_params())
        if self.model == self.ffi.NULL:
            raise RuntimeError(f"llama.cpp does not load {path}")
        options = self.lib.llama_context_default_params()
        options.n_ctx = options.n_batch = options.n_ubatch = 256
        options.n_threads = options.n_threads_batch = 2
        options.type_k = options.type_v = options.flash_attn_type = 0
        options.swa_full = True
        self.context = self.lib.llama_init_from_model(self.model, options)
        self.vocab_size = self.lib.llama_vocab_n_tokens(self.lib.llama_model_get_vocab(self.model))

    def logits_of(self, token_ids: list[int], start: int = 0) -> np.ndarray:
        """f32 [T, V] of the tokens, of which the first lies at position `start`."""
        if start == 0:
            self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        batch = self.lib.llama_batch_init(len(token_ids), 0, 1)
        batch.n_tokens = len(token_ids)
        for i, token_id in enumerate(token_ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token_id, start + i, 1, 1
            batch.seq_id[i][0] = 0
        status = self.lib.llama_decode(self.context, batch)
        self.lib.llama_batch_free(batch)
        if status:
            raise RuntimeError(f"llama_decode answers {status}")
        rows = [self.lib.llama_get_logits_ith(self.context, i) for i in range(len(token_ids))]
        return np.stack([np.frombuffer(self.ffi.buffer(row, 4 * self.vocab_size), np.float32).copy() for row in rows])

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        token_ids, logits = list(prompt), self.logits_of(prompt)
        for _ in range(count):
            token_ids.append(int(logits[-1].argmax()))
            logits = self.logits_of(token_ids[-1:], len(token_ids) - 1)
        return token_ids[len(prompt) :]


def close_of(name: str) -> float:
    config = tiny_architectures.text_config_of(name)
    if tiny_architectures.CASES[name].in_blocks:
        return CLOSE_BLOCKS
    if config.get("altup_num_inputs"):
        return CLOSE_CUTS
    has_gelu = config["model_type"] in ("mpt", "bloom") or "gelu" in "".join(config.get(key, "") for key in ACTS)
    often = 2 if config.get("hidden_size_per_layer_input") else 1  # twice a layer
    return often * CLOSE_GELU if has_gelu else CLOSE


def record(name: str, folder: Path) -> dict[str, Any]:
    """Writes the record; returns what about.json says of it."""
    with np.load(GOLDEN / "architectures" / f"{name}.npz") as arrays:
        prompt, positions, greedy = (arrays[key].tolist() for key in ("prompt", "positions", "greedy"))
        truth = arrays["logits"]
    llamacpp = LlamaCpp(architectures_gguf.make_gguf(name, folder / f"{name}.gguf"))
    logits = llamacpp.logits_of(prompt)[positions]
    apart, ids = distance(logits, truth), llamacpp.greedy(prompt, len(greedy))
    same = next((i for i, (ours, theirs) in enumerate(zip(ids, greedy, strict=True)) if ours != theirs), len(greedy))
    print(f"{name:24} llama.cpp {apart:.1e} from transformers; {same} greedy ids alike", flush=True)
    if apart > close_of(name) or (same < len(greedy) and close_of(name) < CLOSE_BLOCKS):
        raise RuntimeError(f"{name}: llama.cpp and transformers disagree")
    last = slice(-8, None)
    np.savez_compressed(FOLDER / f"{name}.npz", positions=np.array(positions[last], np.int32), llamacpp=logits[last])
    return {"sha256": architectures_gguf.digest_of(name), "distance": float(f"{apart:.2g}")}


def main(names: list[str]) -> None:
    import llama_cpp_py_sync

    FOLDER.mkdir(parents=True, exist_ok=True)
    about_path = FOLDER / "about.json"
    about = json.loads(about_path.read_text()) if about_path.exists() else {"cases": {}}
    about["llama_cpp_py_sync"] = llama_cpp_py_sync.__version__
    with tempfile.TemporaryDirectory() as folder:
        for name in names or architectures_gguf.CASES:
            about["cases"][name] = record(name, Path(folder))
            about_path.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
