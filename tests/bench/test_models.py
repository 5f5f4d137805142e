"""Random models are valid files: the gguf package and tokenizers read them, and greedy answers stay in plain text."""

import json
import string

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize
from tokenizers import Tokenizer

from bench.make import make_gguf
from bench.random_gguf import FORMATS, blocks_of, read_per_token, rope_factors
from bench.shapes import SHAPES
from bench.vocabulary import make_vocabulary, tokenizer_json


@pytest.mark.parametrize("format", FORMATS)
def test_weights_are_what_a_llama_could_have(format, tmp_path):
    reader = gguf.GGUFReader(make_gguf("tiny", format, tmp_path))
    shape, matrices = SHAPES["tiny"], 0
    for tensor in reader.tensors:
        values = np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32)
        assert np.isfinite(values).all(), tensor.name
        if tensor.name.startswith("blk.") and len(tensor.shape) == 2:
            matrices += 1
            spread = values.std() * np.sqrt(values.shape[-1])
            assert 0.8 < spread < 1.2, (tensor.name, spread)
            assert abs(values.mean()) < 0.15 * values.std(), tensor.name
            assert len(np.unique(values[:, :64], axis=0)) == len(values), f"{tensor.name}: equal rows"
    assert matrices == 7 * shape.layers
    assert sum(int(t.n_bytes) for t in reader.tensors if t.name != "rope_freqs.weight") == read_per_token(shape, format)


def test_blocks_repeat_but_rows_do_not():
    """A matrix larger than what is drawn: as many rows as the head's."""
    rows = np.frombuffer(blocks_of("Q4_0", 32_768, 2048, 0.02, seed=3), np.uint8).reshape(32_768, -1)
    assert len({row.tobytes() for row in rows}) == len(rows)


def test_tokens_that_end_an_answer_are_never_drawn(tmp_path):
    reader = gguf.GGUFReader(make_gguf("tiny", "Q4_0", tmp_path))
    embedding = next(t for t in reader.tensors if t.name == "token_embd.weight")
    silent = make_vocabulary(SHAPES["tiny"].vocab).silent()
    rows = dequantize(embedding.data, embedding.tensor_type)
    assert not rows[silent].any()
    assert np.delete(rows, silent, axis=0).any(axis=1).all()


@pytest.mark.parametrize("size", [4096, 128_256])
def test_a_digit_is_a_token_and_any_text_survives(size):
    vocabulary = make_vocabulary(size)
    assert len(set(vocabulary.tokens)) == size
    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json(vocabulary)))
    ids = tokenizer.encode("31415926535").ids
    assert len(ids) == 12 and ids[0] == vocabulary.bos
    text = "Grüße, abcd 東京 1\n\n x" + string.printable
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_rope_factors_are_those_of_llama_3():
    torch = pytest.importorskip("torch")
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaling = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling |= {"original_max_position_embeddings": 8192, "rope_theta": 500_000.0}
    config = LlamaConfig(head_dim=64, rope_parameters=scaling, max_position_embeddings=131_072)
    expected, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = 500_000.0 ** (-np.arange(0, 64, 2) / 64)
    np.testing.assert_allclose(plain / rope_factors(64), expected.numpy(), rtol=1e-5)
