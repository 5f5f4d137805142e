"""A GGUF file of Gemma 3n means what a folder of the same numbers means, whose meaning is transformers' (test_graphs.py).
llama.cpp runs none but the published sizes."""

from pathlib import Path

import numpy as np
import pytest

from fanlight.compiler.ops import evaluate
from scripts.golden import architectures_gguf, tiny_architectures, tiny_gemma
from scripts.golden.tiny_models import heads
from scripts.golden.tiny_parts import FULL, SLIDING, TinyArchitecture
from tests.models.test_graphs import opened, read_weight_of

NAME, PROMPT = "gemma3n-file", [5, 7, 210, 33, 44, 100, 204, 8, 9, 14, 3, 61]
CASE = TinyArchitecture(
    {**tiny_gemma.GEMMA3N, **heads(2, 1, 24), **tiny_gemma.streams(), "hidden_size": 64, "intermediate_size": 90}
    | {"num_hidden_layers": 4, "laurel_rank": 64, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 211}
    | {"activation_sparsity_pattern": [0.95, 0.8, 0.0, 0.6], "num_kv_shared_layers": 2, "final_logit_softcapping": 30.0}
    | {"layer_types": [FULL, SLIDING, FULL, SLIDING], "sliding_window": 5}
    | {"rope_theta": 5000.0, "rope_local_base_freq": 300.0}
)


def test_a_file_means_what_its_folder_means(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tiny_architectures.CASES, NAME, CASE)
    folder = tiny_architectures.make_checkpoint(NAME, checkpoints / NAME)
    answers = []
    for path in (folder, architectures_gguf.make_gguf(NAME, checkpoints / f"{NAME}.gguf")):
        checkpoint, model = opened(path)
        graph = model.graph(len(PROMPT), len(PROMPT), 64)
        answers.append(evaluate(graph, PROMPT, read_weight_of(checkpoint)))
    assert np.abs(answers[0]).max() > 1
    assert np.abs(answers[0] - answers[1]).max() < 1e-5
