"""Records what transformers (PyTorch, CPU, float32) answers for a hundred sentences on all-MiniLM-L6-v2, into
tests/real/golden/minilm.npz.

    python -m scripts.golden.record_minilm

The mean of each sentence's states, of length 1. Only this recorder needs torch and transformers."""

from pathlib import Path

import numpy as np

from tests.real.minilm import model_folder, sentences

PATH = Path(__file__).resolve().parents[2] / "tests" / "real" / "golden" / "minilm.npz"


def main() -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = model_folder()
    model, tokenizer = AutoModel.from_pretrained(folder, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(folder)
    vectors, ids = [], []
    for sentence in sentences():
        inputs = tokenizer(sentence, return_tensors="pt")
        with torch.inference_mode():
            x = model(**inputs).last_hidden_state[0].mean(dim=0)
        vectors.append((x / x.norm()).numpy())
        ids.append(inputs["input_ids"][0].tolist())
    lengths = np.array([len(i) for i in ids], np.int32)
    np.savez_compressed(PATH, vectors=np.stack(vectors), ids=np.concatenate(ids).astype(np.int32), lengths=lengths)
    print(len(vectors), "sentences of", lengths.sum(), "tokens")


if __name__ == "__main__":
    main()
