"""Records what transformers (PyTorch, CPU, float32) answers on the tiny checkpoints, into tests/golden/transformers, and on
those of more architectures, into tests/golden/architectures.

    python -m scripts.golden.record_transformers [case ...]

Each record holds a prompt, the logits at some of its positions and 32 greedy ids.  Prompts are drawn until every greedy step
leads by a clear margin, so that a right engine cannot lose a token to rounding.  Where forward.py knows the architecture, it
searches and is compared; elsewhere transformers itself searches, and mistakes.py shows that the record tells what is
forgotten.  Only this recorder needs torch and transformers, the tests do not."""

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import as_known, forward, mistakes, tiny_architectures, tiny_models

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
FOLDER = GOLDEN / "transformers"
ARCHITECTURES_FOLDER = GOLDEN / "architectures"
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


def known_folder(folder: Path) -> Path:
    """The same checkpoint as one of a family that transformers has."""
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    if config["model_type"] not in as_known.KNOWN:
        return folder
    config, tensors = as_known.KNOWN[config["model_type"]](config, load_file(folder / "model.safetensors"))
    tensors = {part: np.ascontiguousarray(values) for part, values in tensors.items()}
    other = folder.parent / f"{folder.name}-known"
    return tiny_models.write_folder(other, config, config["vocab_size"], tensors, dict.fromkeys(tensors, "F32"))


class Transformers:
    """A checkpoint in float32 on the CPU, without a KV cache."""

    def __init__(self, folder: Path):
        import torch
        import transformers

        folder = known_folder(folder)
        config = json.loads((folder / "config.json").read_text())
        is_wrapper = config["model_type"] in ("mistral3", "gemma4", "gemma4_unified")
        auto = transformers.AutoModelForImageTextToText if is_wrapper else transformers.AutoModelForCausalLM
        attention = "sdpa" if config.get("alibi") else "eager"  # Falcon's eager one adds ALiBi twice (5.24)
        options = {"dtype": torch.float32, "attn_implementation": attention, "output_loading_info": True}
        self.model, info = auto.from_pretrained(folder, **options)
        torch.nn.Module.float(self.model).eval()  # of quantised folders too, whose norms stay in 16 bits otherwise
        if info["missing_keys"] or info["mismatched_keys"]:
            raise ValueError(f"transformers does not find {info['missing_keys'] or info['mismatched_keys']}")

    def batch_logits(self, token_ids: np.ndarray, last: int = 0) -> np.ndarray:
        """f32 [B, T, V] of token_ids [B, T]; of the `last` positions only, where that is not 0."""
        import torch

        with torch.inference_mode():
            return self.model(torch.from_numpy(token_ids), use_cache=False, logits_to_keep=last).logits.numpy()

    def logits_of(self, token_ids: list[int]) -> np.ndarray:
        return self.batch_logits(np.array([token_ids]))[0]

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        token_ids = list(prompt)
        for _ in range(count):
            token_ids.append(int(self.logits_of(token_ids)[-1].argmax()))
        return token_ids[len(prompt) :]


def record(name: str, folder: Path) -> dict[str, Any]:
    """Writes the record; returns what about.json says of it."""
    tiny_models.make_checkpoint(name, folder)
    case, config = tiny_models.CASES[name], tiny_models.config_of(name)
    rounded = tiny_models.rounded_tensors(name)
    prompt = find_prompt(name, forward.decoder_of(config), forward.as_f64(rounded), case.prompt_length, config["vocab_size"])
    model = Transformers(folder)
    logits, greedy = model.logits_of(prompt), model.greedy(prompt, NUM_GREEDY)
    length = len(prompt)
    positions = [*LOGITS_OF_LONG, *range(length - 8, length)] if length > 64 else list(range(length))
    save(FOLDER / f"{name}.npz", prompt, positions, logits, greedy)
    truth = forward.forward(forward.decoder_of(config), forward.as_f64(rounded), prompt)
    error = float(np.abs(logits - truth).max() / np.abs(truth).max())
    print(f"{name:24} logits within {error:.1e} of forward.py; {len(set(greedy))} different greedy ids")
    return {"sha256": digest_of(folder)}


def save(path: Path, prompt: list[int], positions: list[int], logits: np.ndarray, greedy: list[int]) -> None:
    np.savez_compressed(
        path,
        prompt=np.array(prompt, np.int32),
        positions=np.array(positions, np.int32),
        logits=logits[positions].astype(np.float32),
        greedy=np.array(greedy, np.int32),
    )


# ---- architectures that forward.py does not know


def draw_prompts(name: str, batch: int, count: int, length: int, num_ids: int) -> np.ndarray:
    words = tiny_models.draw_words(f"prompts {batch} of {name}", count * length)
    return (3 + (words >> np.uint64(33)) % np.uint64(num_ids - 3)).astype(np.int64).reshape(count, length)


def clear_prompt(name: str, model: Transformers, length: int, num_ids: int) -> list[int]:
    """The first drawn prompt whose greedy ids all lead clearly, are ordinary ones below num_ids, and do not just repeat."""
    for batch in range(200):
        rows = draw_prompts(name, batch, 256, length, num_ids)
        while len(rows) and rows.shape[1] < length + NUM_GREEDY:
            logits = model.batch_logits(rows, last=1)[:, -1]
            best = logits.argmax(axis=-1)
            is_clear = np.array([forward.margin_of(row) >= MARGIN for row in logits])
            keep = is_clear & (best > tiny_models.EOS_TOKEN_ID) & (best < num_ids)
            rows = np.concatenate([rows, best[:, None]], axis=1)[keep]
        for row in rows:
            if len(set(row[length:])) >= 8:
                return row[:length].tolist()
    raise RuntimeError(f"{name}: no prompt has a clear greedy continuation")


def recorded_positions(first: int, length: int) -> list[int]:
    """Sixteen: two at the start, the last eight, and some between."""
    between = np.linspace(first + 2, length - 9, 6).astype(int).tolist()
    return sorted({first, first + 1, *between, *range(length - 8, length)})


def record_architecture(name: str, folder: Path) -> dict[str, Any]:
    """Writes the record; returns what about.json says of it."""
    case = tiny_architectures.CASES[name]
    tiny_architectures.make_checkpoint(name, folder)
    model = Transformers(folder)
    num_ids = tiny_architectures.num_text_ids(name)
    prompt = clear_prompt(name, model, case.prompt_length, num_ids)
    positions = recorded_positions(case.first_position, len(prompt))
    logits, greedy = model.logits_of(prompt), model.greedy(prompt, NUM_GREEDY)
    told = mistakes.distances(name, folder, prompt, positions, logits[positions])
    if unseen := [mistake for mistake, distance in told.items() if distance < mistakes.TELLING]:
        raise RuntimeError(f"{name}: nobody could tell that {', '.join(unseen)}")
    save(ARCHITECTURES_FOLDER / f"{name}.npz", prompt, positions, logits, greedy)
    weakest = min(told, key=lambda mistake: told[mistake])
    print(
        f"{name:24} {len(set(greedy))} different greedy ids; told by {told[weakest]:.1e} or more: {', '.join(told)}", flush=True
    )
    return {"sha256": digest_of(folder)}


def record_all(names: list[str], folder: Path, record_one: Callable[[str, Path], dict[str, Any]]) -> None:
    import torch
    import transformers

    if not names:
        return
    folder.mkdir(parents=True, exist_ok=True)
    about_path = folder / "about.json"
    about = json.loads(about_path.read_text()) if about_path.exists() else {"cases": {}}
    about["transformers"], about["torch"] = transformers.__version__, torch.__version__
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            about["cases"][name] = record_one(name, Path(scratch) / name)
            about_path.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")


def main(names: list[str]) -> None:
    import torch
    import transformers

    torch.set_num_threads(2)
    names = names or [*tiny_models.CASES, *tiny_architectures.CASES]
    transformers.utils.logging.disable_progress_bar()
    record_all([name for name in names if name in tiny_models.CASES], FOLDER, record)
    record_all([name for name in names if name in tiny_architectures.CASES], ARCHITECTURES_FOLDER, record_architecture)


if __name__ == "__main__":
    main(sys.argv[1:])
