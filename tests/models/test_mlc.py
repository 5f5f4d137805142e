"""MLC's models: weights are bit for bit what its formula says, and logits those of the same weights as safetensors."""

import json
from pathlib import Path

import numpy as np
import pytest

from fanlight.compiler.ops import evaluate
from fanlight.driver import run
from fanlight.errors import FormatError, SourceError, UnsupportedModel
from fanlight.formats.checkpoint import Checkpoint, open_checkpoint
from fanlight.formats.quant import QUANT_TYPES
from fanlight.formats.resolve import resolve_model
from fanlight.models import open_model, readable
from scripts.golden import mlc_architectures, tiny_mlc
from tests.models.records import relative_error
from tests.models.test_graphs import read_weight_of

CASES = [("llama", "q4f16_1"), ("llama", "q4f32_1"), ("mistral", "q4f16_1"), ("qwen2", "q4f32_1"), ("qwen3", "q4f16_1")]
CASES += [("phi3", "q4f16_1"), ("llama", "q0f16"), ("qwen2", "q0f32")]
PROMPT = [1, 17, 5, 93, 40, 41, 8, 60, 22, 3, 71, 9, 50, 2, 33, 12]


def opened(folder: Path) -> Checkpoint:
    return run(open_checkpoint(run(resolve_model(folder))))


@pytest.mark.parametrize("quantization", ["q4f16_1", "q4f32_1"])
def test_weights_are_what_the_formula_says(quantization, tmp_path) -> None:
    checkpoint = opened(tiny_mlc.make_mlc("llama", quantization, tmp_path))
    values = tiny_mlc.stacked("llama", tiny_mlc.drawn("llama", tiny_mlc.SIZES))
    assert set(values) == set(checkpoint.tensors)
    for name, info in checkpoint.tensors.items():
        quant = QUANT_TYPES[info.format]
        got = quant.dequantize(np.frombuffer(run(checkpoint.read(name)), np.uint8).reshape(-1, quant.block_bytes))
        expected = tiny_mlc.rounded(values[name], quantization)
        np.testing.assert_array_equal(got.reshape(expected.shape).view(np.uint32), (expected + 0).view(np.uint32), name)


def exact_logits(folder: Path) -> np.ndarray:
    checkpoint = opened(folder)
    graph = run(open_model(checkpoint)).graph(len(PROMPT), len(PROMPT), 64)
    return evaluate(graph, PROMPT, read_weight_of(checkpoint))


@pytest.mark.parametrize(("kind", "quantization"), CASES)
def test_logits_are_those_of_the_same_weights_as_safetensors(kind, quantization, tmp_path) -> None:
    index = "ndarray-cache.json" if quantization == "q0f16" else "tensor-cache.json"  # as older models have it
    of_mlc = exact_logits(tiny_mlc.make_mlc(kind, quantization, tmp_path / "mlc", index=index))
    of_folder = exact_logits(tiny_mlc.make_twin(kind, quantization, tmp_path / "folder"))
    np.testing.assert_array_equal(of_mlc, of_folder)


# Cases of tiny_architectures, of the other families of WebLLM's list.
OTHERS = ["gemma-groups1", "gemma2-usual-scale", "gemma3-usual-scale", "olmo2-groups4", "stablelm-sequential", "phi-published"]
OTHERS += ["gpt_neox-sequential", "gpt_neox-parallel", "ministral3-text", "qwen3_5-published", "phi3-short", "phi3-mini4"]


@pytest.mark.parametrize(
    ("name", "quantization"),
    [*((name, "q0f32") for name in OTHERS), ("stablelm-blocks", "q4f16_1"), ("gpt_neox-blocks", "q4f32_1")],
)
def test_other_families_too(name, quantization, tmp_path) -> None:
    of_mlc = exact_logits(mlc_architectures.make_mlc(name, quantization, tmp_path / "mlc"))
    of_folder = exact_logits(mlc_architectures.make_twin(name, quantization, tmp_path / "folder"))
    np.testing.assert_array_equal(of_mlc, of_folder)


def test_phi_3_vision_reads_texts_alone(tmp_path) -> None:
    of_mlc = exact_logits(mlc_architectures.make_mlc("phi3-short", "q0f16", tmp_path / "mlc", kind="phi3_v"))
    np.testing.assert_array_equal(of_mlc, exact_logits(mlc_architectures.make_twin("phi3-short", "q0f16", tmp_path / "folder")))
    assert "phi3_v" in readable(opened(tmp_path / "mlc"))[1]


def test_phi_2_of_its_first_release(tmp_path) -> None:
    of_mlc = exact_logits(mlc_architectures.make_mlc("phi-groups", "q0f16", tmp_path / "mlc", kind="phi-msft"))
    of_folder = exact_logits(mlc_architectures.make_twin("phi-groups", "q0f16", tmp_path / "folder"))
    np.testing.assert_array_equal(of_mlc, of_folder)


@pytest.mark.parametrize(("kind", "quantization"), [("llama", "q4f16_1"), ("qwen2", "q4f32_1")])
def test_logits_on_the_gpu(kind, quantization, tmp_path, load_model) -> None:
    sizes = {"num_hidden_layers": 1}
    model = load_model(tiny_mlc.make_mlc(kind, quantization, tmp_path / "mlc", sizes), 64)
    expected = exact_logits(tiny_mlc.make_twin(kind, quantization, tmp_path / "folder", sizes))
    positions = [0, 7, len(PROMPT) - 1]
    assert relative_error(model.logits_of(PROMPT, positions), expected[positions]) < 1e-4


def broken(folder: Path, change) -> None:
    path = folder / "tensor-cache.json"
    index = json.loads(path.read_text())
    change(index["records"])
    path.write_text(json.dumps(index))


def move(records, **changes) -> None:
    records[0]["records"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda records: records.pop(), "which is not there"),
        (lambda records: records[0].update(dataPath="../params_shard_0.bin"), "is missing"),
        (lambda records: move(records, byteOffset=10**9), "the data is at"),
        (lambda records: move(records, byteOffset=4), "overlap"),
        (lambda records: move(records, nbytes=12), "takes .* bytes, nbytes is 12"),
        (lambda records: move(records, shape=[96, -8]), "must have name, shape"),
        (lambda records: move(records, dtype="int4"), "the dtype 'int4'"),
        (lambda records: records[0]["records"].pop(1), "its scales None"),
        (lambda records: records.append(records[0]), "is there twice"),
    ],
)
def test_a_broken_index_is_named(change, words, tmp_path) -> None:
    folder = tiny_mlc.make_mlc("llama", "q4f16_1", tmp_path)
    broken(folder, change)
    with pytest.raises(FormatError, match=words):
        run(open_model(opened(folder)))


def test_what_is_not_read_is_named(tmp_path) -> None:
    with pytest.raises(UnsupportedModel, match="quantisation 'q3f16_1' of MLC is not read"):
        opened(tiny_mlc.make_mlc("llama", "q4f16_1", tmp_path / "a", quantization="q3f16_1"))
    with pytest.raises(UnsupportedModel, match="MLC's shards of 'rwkv6' are not read"):
        run(open_model(opened(tiny_mlc.make_mlc("llama", "q4f16_1", tmp_path / "b", model_type="rwkv6"))))
    (tmp_path / "b" / "mlc-chat-config.json").unlink()
    with pytest.raises(SourceError, match="no model in this folder"):
        opened(tmp_path / "b")
