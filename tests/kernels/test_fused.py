"""What trees become in shaders: no more loads than the tree has operands, and refusals of what a kernel would get wrong."""

import re

import numpy as np
import pytest

from fanlight.kernels import fused, gemm, gemm_int8, gemv, gemv_int8, map, quantize
from fanlight.kernels.expressions import Fused, Operand, argument, bf16, evaluate, gelu, silu
from fanlight.kernels.fused import Site
from fanlight.kernels.linear import Linear
from fanlight.kernels.map import Map
from fanlight.kernels.norm import Norm

A, B, C = (argument(i) for i in range(3))
WEIGHT, RESIDUAL = Operand("column"), Operand("element", stride=64)
SWIGLU = Fused(silu(A) * B, (), 2)
SIZES = {"format": "Q4_0", "n": 64, "k": 64, "rows": 1, "x_stride": 64, "y_stride": 64}


def body(text: str, name: str) -> str:
    """Of a function, without what it calls `t0`, `t1`, ..."""
    found = re.search(rf"fn {name}\(.*?\) -> [^{{]*{{(.*?)\n?}}\n", text, re.S)
    assert found, text
    return " ".join(found[1].split())


def test_a_decoders_trees_are_the_loads_and_operations_that_they_were():
    p = Linear(**SIZES, norm_eps=1e-5, prologue=Fused(A * B, (WEIGHT,)), epilogue=Fused(A + B, (RESIDUAL,)))
    text = gemv_int8.make(p).generated
    assert body(text, "factors_of") == "return Factors(prologue0[(column) / 4u]);"
    assert body(text, "prologue") == "let t0 = v * e.e0; return t0;"
    assert body(text, "extras_of") == "return Extras(epilogue0[row * 64u + column]);"
    assert body(text, "epilogue") == "let t0 = v + e.e0; return t0;"
    text = gemv_int8.make(Linear(**SIZES, epilogue=SWIGLU)).generated
    wanted = "let t0 = -(a); let t1 = exp(t0); let t2 = 1.0 + t1; let t3 = a / t2; let t4 = t3 * b; return t4;"
    assert body(text, "epilogue") == wanted


def test_four_rows_share_what_belongs_to_their_column():
    bias = Fused(silu(A + C) * B, (Operand("column", 3, 67),), 2)
    text = gemm_int8.make(Linear(**SIZES | {"n": 128}, epilogue=bias)).generated
    assert body(text, "extras_of") == "return Extras(vec4<f32>(epilogue0[column + 3u]));"


@pytest.mark.parametrize(
    ("operand", "columns", "type"),
    [
        (Operand("column", 4, 8), 32, "array<vec4<f32>>"),
        (Operand("column", 4, 9), 32, "array<f32>"),  # wraps within a vec4
        (Operand("column", 4, 37), 33, "array<f32>"),  # ends within one
        (Operand("column", 3, 36), 32, "array<f32>"),
        (Operand("element", 8, stride=40), 32, "array<vec4<f32>>"),
        (Operand("element", 8, stride=42), 32, "array<f32>"),
    ],
)
def test_only_whole_vectors_are_loaded_as_such(operand, columns, type):
    site = Site("epilogue", Fused(A + B, (operand,)), columns, "columns")
    assert fused.bindings(site) == {"epilogue0": type}


def test_operands_of_one_buffer_are_one_binding():
    tree = Fused(silu(A) * B, (Operand("element", stride=128), Operand("element", 64, stride=128, like=0)), 0)
    kernel = map.make(Map(tree, 64, 64))
    assert [binding.name for binding in kernel.bindings] == ["epilogue0", "inputs", "y"]


def test_bf16_is_the_nearest_number_of_eight_bits_and_of_two_the_even_one():
    pairs = {1 + 2**-8: 1.0, 1 + 3 * 2**-8: 1 + 2**-6, 257.0: 256.0, 259.0: 260.0, -np.pi: -3.140625, 0.0: 0.0}
    for x, y in pairs.items():
        assert evaluate(bf16(A), [x]) == y
    assert evaluate(bf16(A), [np.array([*pairs])], np).tolist() == [*pairs.values()]


REFUSED = {
    "a prologue that 1/rms does not pass": lambda: Linear(**SIZES, norm_eps=1e-5, prologue=Fused(gelu(A))),
    "a prologue of quantised activations": lambda: Linear(**SIZES, is_int8=True, prologue=Fused(gelu(A))),
    "quantised activations from within a scale": lambda: Linear(**SIZES, is_int8=True, x_offset=8),
    "halves of an odd number of rows": lambda: Linear(**SIZES | {"n": 63}, epilogue=SWIGLU),
    "halves in tiles of floats": lambda: gemm.make(Linear(**SIZES | {"rows": 16}, epilogue=SWIGLU)),
    "a norm in tiles": lambda: gemm.make(Linear(**SIZES | {"rows": 16}, norm_eps=1e-5)),
    "a prologue in tiles": lambda: gemm_int8.make(Linear(**SIZES | {"rows": 16}, prologue=Fused(gelu(A)))),
    "integers from floats": lambda: gemv.make(Linear(**SIZES, epilogue=SWIGLU, gives_int8=True)),
    "an input that is no operand": lambda: Site("epilogue", Fused(A + B), 8),
    "an unknown kind of operand": lambda: Site("epilogue", Fused(A + B, (Operand("row"),)), 8),
    "a map of a value": lambda: Map(Fused(A), 8, 8),
    "a map of seven buffers": lambda: Map(Fused(A, (WEIGHT,) * 7, 0), 8, 8),
    "half a scale": lambda: quantize.make(48, Fused(A, (RESIDUAL,), 0)),
    "an unknown norm": lambda: Norm("batch", 8, 1, 8, 1e-5),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what):
    with pytest.raises(AssertionError):
        REFUSED[what]()
