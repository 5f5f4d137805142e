"""Caches of integers: ggml's rounding, programs that read back what they wrote, and what cannot be kept so."""

from dataclasses import replace

import numpy as np
import pytest

from fanlight.compiler import compile
from fanlight.compiler.ops import OPS, Inputs
from fanlight.compiler.program import KV_TYPES, Limits
from fanlight.errors import RequestError
from fanlight.kernels.kv import KVLayout
from fanlight.runtime import open_device
from tests.compiler.models import Shape, make_model
from tests.compiler.test_random_models import FEATURES, FLOATS, LONG, MANY_ROWS, Variant, answers_of, check, compiled, truth_of

ALL = replace(FEATURES, max_storage_buffers_per_shader_stage=10)
CODED = [name for name, type in KV_TYPES.items() if type.has_scales]
BLOCKS = [(64, 64), (96, 96), (128, 96), (576, 512)]  # widths of keys and values
RANDOM = {
    "q8_0": replace(LONG, kv_dtype="q8_0"),
    "q8_0, many rows": replace(MANY_ROWS, kv_dtype="q8_0"),
    "q4_0": replace(FLOATS, kv_dtype="q4_0"),
}


@pytest.mark.parametrize("dtype", CODED)
@pytest.mark.parametrize(("head_dim", "v_head_dim"), BLOCKS)
def test_what_is_kept_is_what_ggmls_blocks_hold(dtype: str, head_dim: int, v_head_dim: int) -> None:
    """Bit for bit: blocks of the gguf package, values that are nothing, and those that are largest twice."""
    gguf = pytest.importorskip("gguf")
    layout = KVLayout(3, head_dim, 4, 5, 5, dtype, v_head_dim)
    raw, rng = np.zeros(layout.size, np.uint8), np.random.default_rng(1)
    for which, width in enumerate((head_dim, v_head_dim)):
        x = rng.normal(size=(5, 3, 4, width)).astype(np.float32) * 10.0 ** rng.integers(-3, 3, size=(5, 3, 4, 1))
        x[0, 0, 0], x[1, 1, 1, :32], x[2, 2, 2, 5:7] = 0, 1.5, (-99, 99)
        layout.write(raw, which, (slice(None),) * 3, x)
        type = gguf.GGMLQuantizationType[dtype.upper()]
        blocks = gguf.quants.quantize(x.astype(np.float32).reshape(-1, width), type)
        wanted = gguf.quants.dequantize(blocks, type).reshape(x.shape)
        assert np.array_equal((layout.values if which else layout.keys)(raw), wanted)
    sizes = layout.type.place_bytes(head_dim, v_head_dim)
    assert layout.size == 5 * 3 * 4 * sum(sizes)
    per_block = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[dtype.upper()]][1]
    odd = head_dim % 64 or v_head_dim % 64
    assert sum(sizes) == (head_dim + v_head_dim) // 32 * (per_block + (2 if odd else 0))


def rounded(inputs: Inputs, dtype: str) -> np.ndarray:
    """What an `append` keeps."""
    a, rows = inputs.node.attrs, len(inputs["k"])
    layout = KVLayout(a["kv_heads"], a["head_dim"], 1, rows, rows, dtype, a["v_head_dim"])
    raw = np.zeros(layout.size, np.uint8)
    for which, slot in enumerate("kv"):
        layout.write(raw, which, (slice(None), slice(None), 0), inputs[slot].reshape(rows, a["kv_heads"], -1))
    return np.concatenate([x.reshape(rows, -1) for x in (layout.keys(raw), layout.values(raw))], axis=1).astype(float)


@pytest.mark.parametrize("variant", RANDOM)
@pytest.mark.parametrize("seed", [4, 8, 10, 16, 23, 39])
def test_random_models_read_what_their_cache_rounds(seed: int, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If what is appended is rounded, they agree; but for values in the middle of two, of which one may go the other way."""
    dtype = RANDOM[variant].kv_dtype
    monkeypatch.setitem(OPS, "append", replace(OPS["append"], meaning=lambda inputs: rounded(inputs, dtype)))
    truth_of.cache_clear()
    program = compiled(seed, Variant(RANDOM[variant], head_unit=32))
    assert program.states
    check(answers_of(open_device("reference"), program, seed, 32), program, seed, 1e-3, 32)
    truth_of.cache_clear()


@pytest.mark.parametrize("dtype", CODED)
@pytest.mark.parametrize("limits", [Limits(), ALL])
def test_kernels_that_cannot_read_it_are_not_chosen(dtype: str, limits: Limits) -> None:
    shape = Shape(layers=2, hidden=256, heads=4, kv_heads=2, head_dim=64, intermediate=512, formats=("Q4_0",))
    options = replace(MANY_ROWS, kv_tokens=None, activations="int8", kv_dtype=dtype, max_rows=512)
    names = {kernel.name.split(".")[0] for kernel in compile(make_model(shape), limits, options).kernels}
    assert {"attention_decode", "attention_prefill", "rope_kv"} <= names and "attention_matrix" not in names
    whole = compile(make_model(shape), limits, replace(options, kv_dtype="f16")).kernels
    assert "attention_matrix" in {kernel.name.split(".")[0] for kernel in whole} or limits == Limits()


@pytest.mark.parametrize("dtype", CODED)
def test_heads_that_are_no_whole_blocks_are_refused_by_name(dtype: str) -> None:
    with pytest.raises(RequestError, match=f"{dtype} has a scale to 32 .* model.layers.0.self_attn has heads of 16") as refused:
        compile(make_model(Shape(head_dim=16)), Limits(), replace(FLOATS, kv_dtype=dtype))
    assert (refused.value.param, refused.value.hint) == ("kv_dtype", "f16")


def test_bytes_of_a_token() -> None:
    shape, bytes_of = Shape(layers=1, kv_heads=2, head_dim=64), {}
    for dtype in KV_TYPES:
        program = compile(make_model(shape), Limits(), replace(FLOATS, kv_dtype=dtype))
        bytes_of[dtype] = program.kv_bytes_per_token
        assert program.buffer("kv.0").size == -(-64 * bytes_of[dtype] // 256) * 256
    assert bytes_of == {"f32": 1024, "f16": 512, "q8_0": 8 * 34, "q4_0": 8 * 18}
