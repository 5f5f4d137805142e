"""The weight formats against the `gguf` package, bit for bit, and against blocks written out by hand."""

import subprocess
import sys

import gguf
import numpy as np
import pytest

from fanlight.errors import UnsupportedModel
from fanlight.formats.quant import LISTED_TYPES, QUANT_TYPES, TYPES_BY_ID, QuantType, quant_type, quantize

F16_FIELDS = ("d", "m", "dmin")
READ_BY_GGUF = [t for t in QUANT_TYPES.values() if t.ggml_id in (0, 1, *(int(kind) for kind in gguf.quants._type_traits))]
NAMED_BY_GGUF = [t for t in TYPES_BY_ID.values() if t.ggml_id in set(gguf.GGMLQuantizationType)]


def random_blocks(t: QuantType, count: int, seed: int) -> np.ndarray:
    """Random bytes, but for the f16 scales: those are finite, of either sign, some of them zero or subnormal."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (count, t.block_bytes), dtype=np.uint8)
    for field in t.fields:
        if field.name in F16_FIELDS:
            scales = (rng.standard_normal(count) * 10.0 ** rng.integers(-8, 4, count)).astype("<f2")
            scales[:2] = 0
            blocks[:, field.offset : field.offset + 2] = scales.view("u1").reshape(-1, 2)
    if t.fields[0].name == "x":
        return rng.standard_normal(count).astype({4: "<f4", 2: "<f2"}[t.block_bytes]).view("u1").reshape(-1, t.block_bytes)
    return blocks


def test_gguf_package_reads_all_but_the_newest():
    of_ggml = {t.name for t in QUANT_TYPES.values() if t.ggml_id is not None}
    assert of_ggml - {t.name for t in READ_BY_GGUF} == {"Q1_0", "Q2_0"}


@pytest.mark.parametrize("t", READ_BY_GGUF, ids=lambda t: t.name)
def test_dequantize_equals_gguf_package(t):
    blocks = random_blocks(t, 400, seed=t.ggml_id)
    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType(t.ggml_id)).reshape(400, t.block_elems)
    got = t.dequantize(blocks)
    assert got.dtype == np.float32 and got.shape == (400, t.block_elems)
    np.testing.assert_array_equal(got.view("u4"), np.ascontiguousarray(expected).view("u4"))


@pytest.mark.parametrize("t", NAMED_BY_GGUF, ids=lambda t: t.name)
def test_sizes_equal_gguf_package(t):
    kind = gguf.GGMLQuantizationType(t.ggml_id)
    assert kind.name == t.name
    if t.name != "Q8_1":  # the package still has its old layout with f32 scales; no file holds it
        assert gguf.GGML_QUANT_SIZES[kind] == (t.block_elems, t.block_bytes)


@pytest.mark.parametrize("t", QUANT_TYPES.values(), ids=lambda t: t.name)
def test_fields_cover_the_block(t):
    ends = [f.offset + f.size for f in t.fields]
    assert [f.offset for f in t.fields] == [0, *ends[:-1]] and ends[-1] == t.block_bytes


def test_q4_0_by_hand():
    block = bytes.fromhex("0038") + bytes([0x80, 0xF1] + [0x88] * 14)  # d = 0.5
    values = QUANT_TYPES["Q4_0"].dequantize(np.frombuffer(block, "u1").reshape(1, 18))[0]
    assert values.tolist() == [-4.0, -3.5] + [0.0] * 14 + [0.0, 3.5] + [0.0] * 14


def test_q5_1_by_hand():
    block = bytes.fromhex("003c00c0") + (1 | 1 << 31).to_bytes(4, "little") + bytes([0x02] + [0] * 14 + [0x10])  # d = 1, m = -2
    values = QUANT_TYPES["Q5_1"].dequantize(np.frombuffer(block, "u1").reshape(1, 24))[0]
    assert values.tolist() == [16.0] + [-2.0] * 30 + [15.0]


def test_q6_k_by_hand():
    block = bytearray(210)
    block[0], block[128], block[192] = 0x5F, 0b01_00_00_11, 0xFE  # w0: q = 15 + 3 * 16 - 32 = 31, scale -2
    block[192 + 4], block[192 + 6] = 1, 3  # w64: nibble 5, high bits 0; w96: nibble 0, high bits 1
    block[208:210] = bytes.fromhex("003c")
    values = QUANT_TYPES["Q6_K"].dequantize(np.frombuffer(bytes(block), "u1").reshape(1, 210))[0]
    assert values[0] == -62.0 and values[64] == 5 - 32 and values[96] == 3 * (16 - 32) and values[1] == 64.0


def test_q1_0_by_hand():
    block = bytes.fromhex("0038") + bytes([0b0000_0101] + [0] * 14 + [0x80])  # d = 0.5
    values = QUANT_TYPES["Q1_0"].dequantize(np.frombuffer(block, "u1").reshape(1, 18))[0]
    assert values.tolist() == [0.5, -0.5, 0.5] + [-0.5] * 124 + [0.5]


def test_q2_0_by_hand():
    block = bytes.fromhex("0038") + bytes([0b11_10_01_00] + [0b01_01_01_01] * 14 + [0b00_01_01_11])  # d = 0.5
    values = QUANT_TYPES["Q2_0"].dequantize(np.frombuffer(block, "u1").reshape(1, 18))[0]
    assert values.tolist() == [-0.5, 0.0, 0.5, 1.0] + [0.0] * 56 + [1.0, 0.0, 0.0, -0.5]


def awkward_rows() -> np.ndarray:
    rng = np.random.default_rng(7)
    x = (rng.standard_normal((300, 96)) * 10.0 ** rng.integers(-3, 3, (300, 1))).astype(np.float32)
    x[0] = 0
    x[1, :32] = -1.5
    x[2] = np.arange(96) - 48  # ties
    x[3] = (np.arange(96) - 48) / 2
    return x


@pytest.mark.parametrize("name", ["F32", "F16", "BF16", "Q4_0", "Q8_0"])
def test_quantize_equals_gguf_package(name):
    x = awkward_rows()
    kind = gguf.GGMLQuantizationType(QUANT_TYPES[name].ggml_id)
    expected = np.ascontiguousarray(gguf.quants.quantize(x, kind)).view("u1").reshape(300, -1)
    np.testing.assert_array_equal(quantize(name, x), expected)


def test_quantize_refuses_ragged_rows():
    with pytest.raises(ValueError, match="multiple of 32"):
        quantize("Q8_0", np.zeros((2, 33), np.float32))
    with pytest.raises(ValueError, match="only reads"):
        quantize("Q4_K", np.zeros((2, 256), np.float32))


def test_infinite_scales_do_not_warn():
    block = np.zeros((1, 18), np.uint8)
    block[0, :2] = np.array([np.inf], "<f2").view("u1")
    block[0, 2:] = 8
    assert np.isnan(QUANT_TYPES["Q4_0"].dequantize(block)).any()


def test_unsupported_formats_are_named():
    for name in LISTED_TYPES:
        with pytest.raises(UnsupportedModel, match=f"{name} are not supported.*Q4_0.*Q6_K"):
            quant_type(name, "blk.0.attn_q.weight")
    with pytest.raises(UnsupportedModel, match="Q8_1"):
        LISTED_TYPES["Q8_1"].dequantize(np.zeros((1, 36), np.uint8))
    with pytest.raises(ValueError, match=r"u8 \[N, 18\]"):
        QUANT_TYPES["Q4_0"].dequantize(np.zeros((1, 17), np.uint8))
    assert quant_type("Q4_K").field("dmin").offset == 2


def test_readers_import_only_what_a_browser_has():
    """In a fresh interpreter: neither NumPy nor anything else that is native only, or slow to import."""
    code = (
        "import sys, fanlight.formats.checkpoint as c;"
        "bad = set(sys.modules) & {'numpy', 'mmap', 'ssl', 'socket', 'urllib.request', 'http.client', 'huggingface_hub'};"
        "sys.exit(', '.join(sorted(bad)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
