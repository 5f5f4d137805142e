"""A model whose matrices are each in another weight format answers as its dense twin, which the `gguf` package dequantised."""

from pathlib import Path

import gguf
import numpy as np
import pytest

from fanlight.formats.gguf_writer import TensorData, write_gguf
from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels.case import FIRST, NEWER, random_blocks
from scripts.golden import forward, tiny_gguf
from tests.models.records import relative_error

FORMATS = [name for name in NEWER if QUANT_TYPES[name].ggml_id is not None]
MINIMUM = Path(__file__).parents[1] / "adapters" / "minimum.json"
CASE = tiny_gguf.TinyGguf("llama", "F16")
PROMPT = [1, 17, 5, 93, 40, 41, 8, 60, 22, 3, 71, 9, 50, 2, 33, 12]
METADATA = {
    "general.architecture": "llama",
    "llama.context_length": 64,
    "llama.embedding_length": CASE.hidden_size,
    "llama.block_count": CASE.num_hidden_layers,
    "llama.feed_forward_length": CASE.intermediate_size,
    "llama.attention.head_count": CASE.num_attention_heads,
    "llama.attention.head_count_kv": CASE.num_key_value_heads,
    "llama.rope.freq_base": CASE.rope_theta,
    "llama.attention.layer_norm_rms_epsilon": CASE.rms_norm_eps,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "qwen2",
    "tokenizer.ggml.tokens": [f"t{i}" for i in range(CASE.vocab_size)],
    "tokenizer.ggml.token_type": [1] * CASE.vocab_size,
    "tokenizer.ggml.merges": ["t 1"],
    "tokenizer.ggml.eos_token_id": 2,
}


def dense(name: str, blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if name in ("Q1_0", "Q2_0"):  # which the package does not read
        return QUANT_TYPES[name].dequantize(blocks).reshape(shape)
    return gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[name]).reshape(shape)


def made_model(path: Path) -> dict[str, np.ndarray]:
    """Writes the file; its weights under Hugging Face names."""
    rng, matrices, tensors, twin = np.random.default_rng(3), 0, [], {}
    for name, shape in tiny_gguf.tensor_shapes(CASE):
        format, data = "F32", (1 + 0.1 * rng.standard_normal(shape[0])).astype(np.float32)
        values = data
        if len(shape) == 2:
            format, matrices = FORMATS[matrices % len(FORMATS)], matrices + 1
            data = random_blocks(rng, format, *shape)
            values = dense(format, data, shape)
        tensors.append(TensorData(name, format, shape, data.tobytes()))
        if format == "NVFP4":  # has one scale more
            tensors.append(TensorData(name.replace("weight", "scale"), "F32", (1,), np.float32(0.75).tobytes()))
            tensors.append(TensorData(name.replace("weight", "input_scale"), "F32", (1,), np.float32(3).tobytes()))
            values = values * np.float32(0.75)
        twin[tiny_gguf.huggingface_name(name)] = values
    assert matrices >= len(FORMATS) and {t.format for t in tensors} >= set(FORMATS)
    write_gguf(path, METADATA, tensors)
    return twin


@pytest.mark.parametrize(("activations", "most"), [("f32", 1e-4), ("int8", 0.03)])
def test_a_model_of_all_formats_is_its_dense_twin(activations, most, tmp_path, load_model, monkeypatch) -> None:
    if activations == "int8":
        monkeypatch.setenv("FANLIGHT_ADAPTER", str(MINIMUM))
    twin = made_model(tmp_path / "mixed.gguf")
    decoder = forward.Decoder(
        *(CASE.num_hidden_layers, CASE.num_attention_heads, CASE.num_key_value_heads, CASE.head_dim, CASE.rms_norm_eps),
        forward.rope_frequencies(CASE.rope_theta, CASE.head_dim),
        rope_is_interleaved=True,
        product=forward.exact_product,
    )
    expected = forward.forward(decoder, forward.as_f64(twin), PROMPT)
    positions = [0, 7, len(PROMPT) - 1]
    model = load_model(tmp_path / "mixed.gguf", 64, activations=activations)
    error = relative_error(model.logits_of(PROMPT, positions), expected[positions])
    assert error < most, error


def test_first_formats_are_tested_elsewhere() -> None:
    assert set(FIRST) <= {*tiny_gguf.FLOATS, *tiny_gguf.BLOCKS}
