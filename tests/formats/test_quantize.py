"""Weights in smaller formats: bit for bit as the `gguf` package writes them where it can; where it cannot, what it reads back
is as near as the format lets it be. And the command around it, whose files answer."""

import gguf
import numpy as np
import pytest

import fanlight
from bench.make import make_gguf
from fanlight import cli
from fanlight.formats.quant import QUANT_TYPES
from fanlight.formats.quantize import FILE_TYPES, WRITERS, format_of, quantize
from scripts.golden import vision_gguf


def weights() -> np.ndarray:
    """Normal ones, a block of zeros, one with a single large weight, one that is all above 0."""
    x = np.random.default_rng(5).standard_normal((64, 512)).astype(np.float32) * np.float32(0.05)
    x[3], x[5, 7], x[9] = 0, 3, np.abs(x[9])
    return x


def there(format: str, x: np.ndarray) -> np.ndarray:
    return quantize(format, x.reshape(-1, QUANT_TYPES[format].block_elems)).reshape(len(x), -1)


@pytest.mark.parametrize("format", ["Q8_0", "Q4_0", "Q5_0", "BF16"])
def test_simple_formats_are_the_packages_bit_for_bit(format: str) -> None:
    kind = gguf.GGMLQuantizationType[format]
    assert np.array_equal(there(format, weights()), gguf.quants.quantize(weights(), kind))


# Of weights that are normal, the error by their size; a step of so many bits, its place chosen well.
ERRORS = {"F16": 3e-4, "BF16": 2e-3, "Q8_0": 0.006, "Q6_K": 0.019, "Q5_K": 0.039, "Q5_0": 0.045, "Q4_K": 0.078, "Q4_0": 0.09}


@pytest.mark.parametrize("format", WRITERS)
def test_what_the_package_reads_is_near(format: str) -> None:
    x = weights()
    back = gguf.quants.dequantize(there(format, x), gguf.GGMLQuantizationType[format])
    assert not back[3].any()
    normal = np.r_[0:3, 10:64]
    assert np.sqrt(np.mean((back[normal] - x[normal]) ** 2)) < 0.05 * ERRORS[format]
    assert abs(back[5, 7] / 3 - 1) < 2 * ERRORS[format]
    assert np.abs(back[9] - x[9]).max() < 0.5 * max(ERRORS[format], 0.01)


@pytest.mark.parametrize("format", ["Q4_K", "Q5_K", "Q6_K"])
def test_what_is_representable_stays(format: str) -> None:
    """Written once more, a block's values are themselves, but for its scales' last bit."""
    kind = gguf.GGMLQuantizationType[format]
    once = gguf.quants.dequantize(there(format, weights()), kind)
    twice = gguf.quants.dequantize(there(format, once), kind)
    assert np.sqrt(np.mean((twice - once) ** 2)) < 0.25 * np.sqrt(np.mean((once - weights()) ** 2))


def test_which_tensor_becomes_what() -> None:
    """As llama.cpp chooses for Q4_K_M: llama.cpp/src/llama-quant.cpp."""
    of = lambda name, shape=(512, 512), tied=False: format_of(name, shape, "Q4_K_M", 16, tied)  # noqa: E731
    assert of("blk.3.attn_q.weight") == of("blk.3.ffn_down.weight") == of("token_embd.weight") == "Q4_K"
    assert [of(f"blk.{i}.ffn_down.weight") for i in (0, 1, 4, 14, 15)] == ["Q6_K"] * 5
    assert of("output.weight") == of("token_embd.weight", tied=True) == of("blk.0.attn_v.weight") == "Q6_K"
    assert of("blk.0.attn_q.weight", (576, 576)) == "Q5_0" and of("output.weight", (9, 576)) == "Q8_0"
    assert of("blk.0.attn_q.weight", (60, 60)) == "F16"
    for name in ("blk.0.attn_norm.weight", "blk.0.ffn_gate_inp.weight", "blk.0.attn_q.bias", "rope_freqs.weight"):
        assert of(name) is None


@pytest.mark.parametrize("file_type", FILE_TYPES)
def test_a_file_answers_as_its_source(file_type: str, tmp_path) -> None:
    source, out = make_gguf("tiny", "F16", tmp_path), tmp_path / "out.gguf"
    assert cli.execute(["quantize", str(source), str(out), "-t", file_type]) == 0
    read, before = gguf.GGUFReader(out), gguf.GGUFReader(source)
    for name in {*before.fields} - {"general.file_type", "general.quantization_version"}:
        if not name.startswith("GGUF."):
            found, expected = read.fields[name], before.fields[name]
            assert (found.types, found.contents()) == (expected.types, expected.contents())
    assert read.fields["general.file_type"].contents() == FILE_TYPES[file_type].number
    assert [tensor.name for tensor in read.tensors] == [tensor.name for tensor in before.tensors]
    answers = []
    for path in (source, out):
        with fanlight.load(path, device="reference", context_length=64, activations="f32") as engine:
            body = {"prompt": [5, 17, 60], "max_tokens": 1, "temperature": 0, "return_token_ids": True}
            answers.append(engine.completions.create(**body).choices[0]["token_ids"])
    assert file_type.startswith(("Q4", "Q5")) or answers[0] == answers[1]


def test_what_cannot_be_is_said(tmp_path, capsys) -> None:
    source, out = make_gguf("tiny", "Q8_0", tmp_path), tmp_path / "out.gguf"
    out.write_bytes(b"x")
    assert cli.execute(["quantize", str(source), str(out), "-t", "Q4_0"]) == 1
    assert "there is a file already" in capsys.readouterr().err and out.read_bytes() == b"x"
    assert cli.execute(["quantize", str(source), str(tmp_path / "q4.gguf"), "-t", "Q4_0"]) == 0
    said = capsys.readouterr()
    assert "in Q4_0" in said.out and "quantised before" in said.err
    assert not list(tmp_path.glob("*.part"))
    vision_gguf.make_files("idefics3", tmp_path / "both")
    assert cli.execute(["quantize", str(tmp_path / "both"), str(tmp_path / "q.gguf"), "-t", "Q4_0"]) == 1
    assert "an encoder is among the files" in capsys.readouterr().err
