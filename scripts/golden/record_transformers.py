"""Records what transformers (PyTorch, CPU, float32) answers on the tiny checkpoints, into tests/golden/transformers.

    python -m scripts.golden.record_transformers [case ...]

Each record holds a prompt, the logits at some of its positions and 32 greedy ids.  Prompts are drawn until every greedy step
leads by a clear margin, so that a right engine cannot lose a token to rounding.  Only this recorder needs torch and
transformers, the tests do not."""

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import forward, tiny_models

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "golden" / "transformers"
NUM_GREEDY = 32
MARGIN = 0.02
LOGITS_OF_LONG = (
    0,
    1,
    63,
    64,
    127,
    128,
    255,
    256,
)  # of a prompt too long to keep whole: around likely chunk borders, and the last 8


def digest_of(folder: Path) -> str:
    """SHA-256 over config.json and the weight files, so that a test can tell it rebuilt the recorded checkpoint."""
    digest = hashlib.sha256()
    for path in [folder / "config.json", *sorted(folder.glob("*.safetensors"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def find_prompt(name: str, decoder: forward.Decoder, weights: forward.Weights, length: int, vocab_size: int) -> list[int]:
    for attempt in range(20000):
        words = tiny_models.draw_words(f"prompt {attempt} of {name}", length)
        prompt = [int(word) for word in 3 + (words >> np.uint64(33)) % np.uint64(vocab_size - 3)]
        greedy = forward.clear_greedy(decoder, weights, prompt, NUM_GREEDY, MARGIN)
        if greedy and not {0, tiny_models.EOS_TOKEN_ID} & set(greedy) and len(set(greedy)) >= 8:
            return prompt
    raise RuntimeError(f"{name}: no prompt has a clear greedy continuation")


def answers_of(folder: Path, prompt: list[int]) -> tuple[np.ndarray, list[int]]:
    """Logits [T, V] and greedy ids by transformers, without a KV cache."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()

    def logits_of(token_ids: list[int]) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.tensor([token_ids]), use_cache=False).logits[0].numpy()

    token_ids = list(prompt)
    for _ in range(NUM_GREEDY):
        token_ids.append(int(logits_of(token_ids)[-1].argmax()))
    return logits_of(prompt), token_ids[len(prompt) :]


def record(name: str, folder: Path) -> dict[str, Any]:
    """Writes the record; returns what about.json says of it."""
    tiny_models.make_checkpoint(name, folder)
    case, config = tiny_models.CASES[name], tiny_models.config_of(name)
    rounded = tiny_models.rounded_tensors(name)
    prompt = find_prompt(name, forward.decoder_of(config), forward.as_f64(rounded), case.prompt_length, config["vocab_size"])
    logits, greedy = answers_of(folder, prompt)
    length = len(prompt)
    positions = [*LOGITS_OF_LONG, *range(length - 8, length)] if length > 64 else list(range(length))
    np.savez_compressed(
        FOLDER / f"{name}.npz",
        prompt=np.array(prompt, np.int32),
        positions=np.array(positions, np.int32),
        logits=logits[positions].astype(np.float32),
        greedy=np.array(greedy, np.int32),
    )
    truth = forward.forward(forward.decoder_of(config), forward.as_f64(rounded), prompt)
    error = float(np.abs(logits - truth).max() / np.abs(truth).max())
    print(f"{name:24} logits within {error:.1e} of forward.py; {len(set(greedy))} different greedy ids")
    return {"sha256": digest_of(folder)}


def main(names: list[str]) -> None:
    import torch
    import transformers

    torch.set_num_threads(2)
    FOLDER.mkdir(parents=True, exist_ok=True)
    about_path = FOLDER / "about.json"
    about = json.loads(about_path.read_text()) if about_path.exists() else {"cases": {}}
    about["transformers"], about["torch"] = transformers.__version__, torch.__version__
    with tempfile.TemporaryDirectory() as folder:
        for name in names or tiny_models.CASES:
            about["cases"][name] = record(name, Path(folder) / name)
    about_path.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
