"""Records what transformers (PyTorch, CPU, float32) answers on the tiny encoders, into tests/golden/encoders.

    python -m scripts.golden.record_encoders [case ...]

Each record holds the vectors of the case's texts, or the scores of its pairs: transformers gives the states, or the label's
logit; pooling, dense layers and lengths are done here, in NumPy, as sentence-transformers does them. Only this recorder needs
torch and transformers, the tests do not."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import tiny_encoders
from scripts.golden.record_transformers import GOLDEN, digest_of, record_all

FOLDER = GOLDEN / "encoders"


def states_of(name: str, folder: Path) -> list[np.ndarray]:
    """f32 [T, C] of each text; of a cross-encoder [1]."""
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification

    case = tiny_encoders.CASES[name]
    kind = AutoModelForSequenceClassification if case.is_pair else AutoModel
    options: dict[str, Any] = {"dtype": torch.float32, "attn_implementation": "eager", "output_loading_info": True}
    if case.config["model_type"] == "nomic_bert":
        options["config"] = own_config(case.config)
    model, info = kind.from_pretrained(folder, **options)
    model.eval()
    missing = [key for key in info["missing_keys"] if "pooler" not in key]
    if missing or info["unexpected_keys"] or info["mismatched_keys"]:
        raise ValueError(f"{name}: {info}")
    found = []
    for text in tiny_encoders.texts_of(name):
        inputs = {"input_ids": torch.tensor([text])}
        if (second := tiny_encoders.second_of(name, text)) is not None:
            inputs["token_type_ids"] = torch.tensor([[0] * second + [1] * (len(text) - second)])
        with torch.inference_mode():
            made = model(**inputs)
        found.append((made.logits if case.is_pair else made.last_hidden_state)[0].numpy().astype(np.float64))
    return found


def own_config(published: dict[str, Any]) -> Any:
    """transformers has other names than the makers."""
    from transformers import NomicBertConfig

    names = {"n_embd": "hidden_size", "n_inner": "intermediate_size", "n_layer": "num_hidden_layers"}
    names |= {"n_head": "num_attention_heads", "n_positions": "max_position_embeddings", "layer_norm_epsilon": "layer_norm_eps"}
    names |= {name: name for name in ("vocab_size", "type_vocab_size", "pad_token_id")}
    theta = {"rope_parameters": {"rope_type": "default", "rope_theta": published["rotary_emb_base"]}}
    return NomicBertConfig(**{ours: published[theirs] for theirs, ours in names.items()}, **theta)


def vector_of(name: str, states: np.ndarray) -> np.ndarray:
    case = tiny_encoders.CASES[name]
    if case.is_pair:
        return 1 / (1 + np.exp(-states))
    x = {"mean_tokens": states.mean(axis=0), "cls_token": states[0], "lasttoken": states[-1]}[case.pooling]
    for i, dense in enumerate(case.dense):
        tensors = tiny_encoders.dense_tensors(name, i)
        x = tensors["linear.weight"] @ x + tensors.get("linear.bias", 0)
        x = np.tanh(x) if dense.function == "activation.Tanh" else x
    return x / np.linalg.norm(x) if case.normalize else x


def record(name: str, folder: Path) -> dict[str, str]:
    """Writes the record; returns what about.json says of it."""
    tiny_encoders.make_checkpoint(name, folder)
    vectors = np.stack([vector_of(name, states) for states in states_of(name, folder)]).astype(np.float32)
    np.savez_compressed(FOLDER / f"{name}.npz", vectors=vectors)
    apart = min(np.linalg.norm(a - b) / np.linalg.norm(a) for i, a in enumerate(vectors) for b in vectors[:i])
    print(f"{name:20} {vectors.shape[1]:4} numbers, two texts at least {apart:.2f} of a length apart")
    return {"sha256": digest_of(folder)}


if __name__ == "__main__":
    record_all(sys.argv[1:] or list(tiny_encoders.CASES), FOLDER, record)
