"""Quantised Hugging Face folders: weights are bit for bit what their formulas say, and logits those of a plain twin."""

import json
from pathlib import Path

import numpy as np
import pytest

from fanlight.compiler import uploads
from fanlight.driver import run
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.checkpoint import Checkpoint, open_checkpoint
from fanlight.formats.quant import QUANT_TYPES
from fanlight.formats.resolve import resolve_model
from scripts.golden import tiny_quantised
from tests.models.records import relative_error
from tests.models.test_mlc import PROMPT, exact_logits


def opened(folder: Path) -> Checkpoint:
    return run(open_checkpoint(run(resolve_model(folder))))


@pytest.mark.parametrize("name", tiny_quantised.SCHEMES)
def test_weights_are_what_the_formula_says(name, tmp_path) -> None:
    folder, _, values = tiny_quantised.make_pair(name, tmp_path)
    checkpoint = opened(folder)
    assert {info for info in checkpoint.tensors if info.endswith(".weight")} == set(values)
    for tensor, expected in values.items():
        info = checkpoint.tensors[tensor]
        quant = QUANT_TYPES[info.format]
        got = quant.dequantize(np.frombuffer(run(checkpoint.read(tensor)), np.uint8).reshape(-1, quant.block_bytes))
        got = got.reshape(expected.shape) + np.float32(0)  # of zeros the sign
        number = tensor.removesuffix(".weight") + (".tensor_scale" if name.startswith("modelopt") else ".tensor_divisor")
        if number in checkpoint.tensors:  # which products meet
            (value,) = np.frombuffer(run(checkpoint.read(number)), np.float32)
            got = got * value if name.startswith("modelopt") else got / value
        if info.order:
            expected = expected[:, list(info.order)]
        assert bool(info.order) == (name.endswith("_order") and ".layers." in tensor and expected.ndim == 2)
        np.testing.assert_array_equal(got.view(np.uint32), (expected + np.float32(0)).view(np.uint32), tensor)


@pytest.mark.parametrize("name", [name for name in tiny_quantised.SCHEMES if "bitnet" not in name])  # whose inputs are rounded
def test_logits_are_those_of_a_plain_twin(name, tmp_path, load_model) -> None:
    folder, plain, _ = tiny_quantised.make_pair(name, tmp_path)
    expected = exact_logits(plain)
    np.testing.assert_allclose(exact_logits(folder), expected, rtol=1e-12, atol=1e-12)  # sums may be in another order
    model = load_model(folder, 64)
    if name == "gptq_order":  # of q, k and v, of o, of gate and up, of down
        assert len([launch for launch in model.engine.program.steps[0].launches if launch.kernel.startswith("reorder")]) == 4
    positions = [0, len(PROMPT) - 1]
    assert relative_error(model.logits_of(PROMPT, positions), expected[positions]) < 1e-4


def test_mxfp4_of_experts(tmp_path) -> None:
    """gpt-oss': three axes, a block's columns behind a fourth."""
    rng, name = np.random.default_rng(2), "model.layers.0.mlp.experts.down_proj"
    made, values = tiny_quantised.mxfp4(rng, 3 * 8, 64, ("_blocks", "_scales"), "U8")
    shapes = {"_blocks": (3, 8, 2, 16), "_scales": (3, 8, 2)}
    tensors = {f"{name}{kind}": (dtype, stored.reshape(shapes[kind])) for kind, (dtype, stored) in made.items()}
    config = {**tiny_quantised.CONFIG, "quantization_config": {"quant_method": "mxfp4"}}
    tiny_quantised.write_folder(tmp_path / "experts", tensors, config)
    checkpoint = opened(tmp_path / "experts")
    info = checkpoint.tensors[f"{name}.weight"]
    assert (info.format, info.shape) == ("MXFP4", (3, 8, 64))
    blocks = np.frombuffer(run(checkpoint.read(info.name)), np.uint8).reshape(-1, 17)
    got = QUANT_TYPES["MXFP4"].dequantize(blocks).reshape(24, 64)
    np.testing.assert_array_equal(got + np.float32(0), values + np.float32(0))


@pytest.mark.parametrize("name", ["gptq", "fp8_tiles", "mlx4"])
def test_experts_are_those_of_a_plain_twin(name, tmp_path, load_model) -> None:
    folder, plain = tiny_quantised.make_experts_pair(name, tmp_path)
    expected = exact_logits(plain)
    np.testing.assert_array_equal(exact_logits(folder), expected)
    model = load_model(folder, 64)
    positions = [0, len(PROMPT) - 1]
    assert relative_error(model.logits_of(PROMPT, positions), expected[positions]) < 1e-4


@pytest.mark.parametrize("name", ["gptq", "awq", "compressed4", "fp8_tiles", "mlx8", "bnb_nf4_nested"])
def test_weights_arrive_in_small_pieces_too(name, tmp_path, load_model, monkeypatch) -> None:
    monkeypatch.setattr(uploads, "CHUNK_BYTES", 600)
    folder, plain, _ = tiny_quantised.make_pair(name, tmp_path)
    model = load_model(folder, 64)
    count = len([upload for upload in model.engine.program.uploads if "q_proj" in upload.launch.where])
    assert count > (8 if name == "gptq" else 3), "they were not cut"
    expected = exact_logits(plain)
    assert relative_error(model.logits_of(PROMPT, [len(PROMPT) - 1]), expected[-1:]) < 1e-4


# --- what is refused -------------------------------------------------------------------------------------------------
def changed(folder: Path, name: str, change) -> Path:
    """A folder whose tensors and configuration were changed."""
    path, _, _ = tiny_quantised.make_pair(name, folder)
    config = json.loads((path / "config.json").read_text())
    data = (path / "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + size]), data[8 + size :]
    stored = {
        key: (h["dtype"], np.frombuffer(rest[slice(*h["data_offsets"])], np.uint8).reshape(*h["shape"], -1).copy())
        for key, h in header.items()
    }
    change(config["quantization_config" if "quantization_config" in config else "quantization"], stored)
    made = {key: (dtype, _Shaped(values)) for key, (dtype, values) in stored.items()}
    tiny_quantised.write_folder(folder / "changed", made, config)
    return folder / "changed"


class _Shaped:
    """Bytes of elements, of the shape without them."""

    def __init__(self, values: np.ndarray):
        self.shape, self.nbytes, self.tobytes = values.shape[:-1], values.nbytes, values.tobytes


Q = "model.layers.0.self_attn.q_proj"


def uneven(_, stored) -> None:
    stored[f"{Q}.g_idx"][1].reshape(-1)[0] = 1


def fp4(_, stored) -> None:
    name = f"{Q}.weight.quant_state.bitsandbytes__"
    text = bytes(stored.pop(f"{name}nf4")[1]).replace(b"nf4", b"fp4")
    stored[f"{name}fp4"] = "U8", np.frombuffer(text, np.uint8).reshape(-1, 1)


@pytest.mark.parametrize(
    ("name", "change", "error", "words"),
    [
        ("gptq", lambda q, _: q.update(bits=3), UnsupportedModel, "GPTQ of 3 bits is not read"),
        ("gptq", lambda q, _: q.update(checkpoint_format="marlin"), UnsupportedModel, "checkpoint_format 'marlin'"),
        ("gptq", lambda q, _: q.update(group_size="x"), UnsupportedModel, "group_size is 'x'"),
        ("gptq", lambda q, _: q.update(quant_method="hqq"), UnsupportedModel, "quantised by 'hqq' are not read.*gptq, awq"),
        ("gptq", lambda _, s: s.pop(f"{Q}.scales"), FormatError, "q_proj.scales is missing"),
        ("gptq", lambda q, _: q.update(group_size=64), FormatError, r"q_proj.scales is F16 \[2, 128\], expected.*\[1, 128\]"),
        ("gptq", uneven, UnsupportedModel, "q_proj.weight: its columns do not make groups of 32"),
        ("gptq", lambda _, s: s.update({f"{Q}.g_idx": ("U8", np.zeros((5, 1), np.uint8))}), FormatError, "g_idx is U8"),
        ("awq", lambda q, _: q.update(version="gemv"), UnsupportedModel, "AWQ in version 'gemv'"),
        ("compressed4", lambda q, _: q.update(config_groups={}), UnsupportedModel, "compressed-tensors of"),
        ("fp8_tiles", lambda _, s: s.pop(f"{Q}.weight"), FormatError, "q_proj.weight is missing"),
        ("compressed_int8", lambda _, s: s.pop(f"{Q}.weight"), FormatError, "q_proj.weight is missing"),
        ("fp8_tiles", lambda q, _: q.update(weight_block_size=[48]), UnsupportedModel, "weight_block_size is"),
        ("fp8_tiles", lambda q, _: q.update(weight_block_size=[128, 64]), FormatError, "weight_scale_inv is F32"),
        ("bnb_nf4", fp4, UnsupportedModel, "bitsandbytes' 'fp4' of"),
        ("bnb_nf4", lambda _, s: s[f"{Q}.weight.quant_map"][1].fill(0), UnsupportedModel, "quant_map are not NF4's"),
        ("bnb_nf4_nested", lambda _, s: s.pop(f"{Q}.weight.nested_quant_map"), FormatError, "nested_quant_map is missing"),
        ("bitnet", lambda q, _: q.update(quantization_mode="online"), UnsupportedModel, "BitNet's quantization_mode 'online'"),
        ("bitnet", lambda q, _: q.update(linear_class="x"), UnsupportedModel, "linear_class 'x'.*bitlinear and autobitlinear"),
        ("bitnet", lambda q, _: q.update(use_rms_norm=True), UnsupportedModel, "use_rms_norm True is not read"),
        ("bitnet", lambda _, s: s.update({f"{Q}.weight": ("I8", s[f"{Q}.weight"][1])}), FormatError, "is I8 .*expected U8"),
        ("mlx4", lambda q, _: q.update(bits=3), UnsupportedModel, "MLX's mode 'affine' of 3 bits"),
        ("mlx4", lambda q, _: q.update({Q: {"bits": 8, "group_size": 64}}), FormatError, "q_proj.scales is BF16"),
    ],
)
def test_what_is_not_read_is_named(name, change, error, words, tmp_path) -> None:
    with pytest.raises(error, match=words):
        opened(changed(tmp_path, name, change))
