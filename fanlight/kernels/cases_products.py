"""Cases of products (linear.py) and of what sums their parts, with all kinds of trees fused around them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

from fanlight.arrays import Array
from fanlight.kernels import (
    add_parts,
    add_parts_norm,
    add_parts_rope,
    gemm,
    gemm_f16,
    gemm_int8,
    gemm_matrix,
    gemv,
    gemv_int8,
    linear,
)
from fanlight.kernels.case import (
    FIRST,
    NEWER,
    SEQS,
    Case,
    Random,
    constant_arrays,
    random_inputs,
    random_kv,
    random_weight,
    turning,
)
from fanlight.kernels.cases_experts import few_cases, tiled_cases
from fanlight.kernels.cases_rows import random_operands
from fanlight.kernels.expressions import Fused, Operand, argument, gelu, gelu_tanh, relu, relu_squared, silu, softcap
from fanlight.kernels.inputs import Sample, rows_word
from fanlight.kernels.kv import KV_TYPES
from fanlight.kernels.linear import FLOATS, IN_FLOATS, Linear
from fanlight.kernels.norm import Norm
from fanlight.kernels.rotary import OF_TEXT, HeadNorm, Rope
from fanlight.kernels.spec import Kernel, round_up

QUANTIZED = [format for format in FIRST if format not in FLOATS]
NEWER_QUANTIZED = [format for format in NEWER if format not in IN_FLOATS]
A, B, C, D = (argument(i) for i in range(4))
COLUMN = Operand("column")
WEIGHTED = Fused(A * B, (COLUMN,))  # what is left of an RMSNorm that is deferred
OFFSET_WEIGHT = Fused(A * (1.0 + B), (COLUMN,))
BIAS = Fused(A + B, (COLUMN,))
SWIGLU = Fused(silu(A) * B, (), 2)
GEGLU = Fused(gelu_tanh(A) * B, (), 2)


def _residual(stride: int) -> Fused:
    return Fused(A + B, (Operand("element", stride=stride),))


def _bias_residual(stride: int) -> Fused:
    return Fused(A + B + C, (COLUMN, Operand("element", stride=stride)))


def _swiglu_bias(n: int) -> Fused:
    """One vector has the bias of both halves."""
    return Fused(silu(A + C) * (B + D), (Operand("column", 0, n), Operand("column", n // 2, n, like=0)), 2)


def _other_trees(n: int, stride: int) -> dict[str, Fused]:
    """Of one value."""
    vector, rows = Operand("column", 3, n), Operand("element", 5, stride=stride + 3)
    return {
        "gelu": Fused(gelu(A)),
        "gelu bias": Fused(gelu_tanh(A + B), (COLUMN,)),
        "relu squared": Fused(relu_squared(-A)),
        "softcap": Fused(softcap(A, 3.0)),
        "scaled residual": Fused(A * 0.22 + B, (rows,)),
        "three operands": Fused((A + B) * C + D, (vector, rows, replace(vector, start=0, like=0))),
        "one for many": Fused(A * B, (Operand("column", 1, 7),)),
    }


# --- few rows --------------------------------------------------------------------------------------------------------
def _linear_case(rng: Random, module: ModuleType, name: str, shape: gemv_int8.Shape | None = None, **fields: Any) -> Case:
    import numpy as np

    cut = [shape] if shape else []
    p = Linear(**({"x_stride": round_up(fields["k"], 4), "y_stride": round_up(fields["n"], 4)} | fields))
    kernel = module.make(p, *cut)
    x_rows = 20 if p.is_sampled else p.rows
    picked = [Sample(int(rng.integers(0, x_rows)), i % SEQS) for i in range(p.rows)] if p.is_sampled else None
    weight = np.frombuffer(random_weight(rng, p.format, p.n, p.k), np.uint8)
    contents: dict[str, Array] = {
        "w": weight,
        "s": weight,
        "x": rng.normal(size=x_rows * p.x_stride + p.x_offset).astype(np.float32),
        "inputs": random_inputs(rng, [(0, i) for i in range(x_rows)], picked),
        **random_operands(rng, linear.before(p), x_rows),
        **random_operands(rng, linear.after(p), p.rows),
        "y": np.zeros(p.rows * p.y_stride, np.float32),
        **constant_arrays(p.format),
    }
    if p.gives_int8:
        contents |= {"y": np.zeros(p.rows * p.y_stride, np.int8), "y_scales": np.zeros(p.rows * p.y_stride // 8, np.float32)}
    if p.is_int8:
        quantized = rng.integers(-127, 128, ((x_rows * p.x_stride + p.x_offset) // 16, 16)).astype(np.int8)
        scales = rng.uniform(0.001, 0.03, len(quantized)).astype(np.float32)
        contents |= {"x": quantized, "x_scales": np.stack([scales, scales * quantized.sum(axis=1)], axis=1).astype(np.float32)}
    names = {binding.name for binding in kernel.bindings}
    contents = {k: v for k, v in contents.items() if k in names}
    return Case(name, kernel, module.grid(p, *cut), contents, dtypes=(("y", "int8"),) if p.gives_int8 else ())


def _fused_cases(rng: Random, module: ModuleType) -> Iterator[Case]:
    """What gemv.py and gemv_int8.py have fused."""
    case = partial(_linear_case, rng, module)
    norm: dict[str, Any] = {"norm_eps": 1e-5, "prologue": WEIGHTED}
    yield case("norm residual", format="Q4_0", n=64, k=2304, rows=1, **norm, epilogue=_residual(64))
    yield case("norm 8", format="Q4_K", n=64, k=2048, rows=8, **norm, epilogue=_bias_residual(64))
    yield case("norm without weight", format="Q8_0", n=36, k=64, rows=2, norm_eps=1e-2)
    yield case("norm 1 + w", format="Q8_0", n=36, k=96, rows=2, norm_eps=1e-6, prologue=OFFSET_WEIGHT)
    yield case("halves", format="Q8_0", n=90, k=64, rows=4, **norm, epilogue=SWIGLU, y_stride=48)
    yield case("halves bias", format="Q8_0", n=46, k=64, rows=1, epilogue=_swiglu_bias(46), y_stride=24)
    yield case("halves gelu", format="Q5_0", n=72, k=64, rows=2, **norm, epilogue=GEGLU, y_stride=80, row_offset=36)
    product_residual = Fused(silu(A) * B + C, (Operand("element", stride=40),), 2)
    yield case("halves residual", format="Q8_0", n=72, k=64, rows=3, epilogue=product_residual, y_stride=36)
    yield case("sampled", format="Q8_0", n=33, k=64, rows=4, is_sampled=True, **norm, y_stride=33)
    capped = Fused(softcap(A + B, 2.0), (Operand("element", stride=33),))
    yield case("sampled softcap", format="Q8_0", n=33, k=64, rows=4, is_sampled=True, epilogue=capped, y_stride=33)
    yield case("part", format="Q8_0", n=10, k=64, rows=2, row_offset=20, y_stride=40, epilogue=BIAS)
    yield case("offset", format="Q8_0", n=10, k=64, rows=2, x_offset=8, x_stride=80)
    yield case("odd offset", format="Q8_0", n=10, k=64, rows=2, x_offset=7, x_stride=83, **norm)
    gate = Fused(A / (1.0 + B * B) + C, (COLUMN, Operand("element", 2, stride=70)))
    yield case("prologue", format="Q4_0", n=20, k=64, rows=3, prologue=gate)
    yield case("prologue gelu", format="Q4_1", n=20, k=96, rows=2, prologue=Fused(gelu(A)), epilogue=Fused(gelu(A)))
    three = Fused(relu(A * B + C) * D, (COLUMN, Operand("column", 2, 32), Operand("element", 1, stride=34)))
    yield case("three buffers", format="Q8_0", n=30, k=64, rows=3, y_stride=30, epilogue=three)
    for name, tree in _other_trees(30, 30).items():
        yield case(name, format="Q8_0", n=30, k=64, rows=3, y_stride=30, epilogue=tree)


def _gemv(rng: Random) -> Iterator[Case]:
    for format in FIRST:
        for rows in (1, 4):
            yield _linear_case(rng, gemv, f"{format} {rows}", format=format, n=40, k=512, rows=rows)
    for rows in (2, 3, 8, 21):
        yield _linear_case(rng, gemv, f"columns {rows}", format="Q8_0", n=70, k=96, rows=rows)
    norm: dict[str, Any] = {"norm_eps": 1e-5, "prologue": WEIGHTED, "epilogue": BIAS}
    for format in ("F32", "F16"):
        yield _linear_case(rng, gemv, f"ragged {format}", format=format, n=37, k=101, rows=2, **norm)
    shifted = Fused(1.0 / (0.5 + A * A) + B, (Operand("column", 2, 50),))
    yield _linear_case(rng, gemv, "ragged prologue", format="F32", n=46, k=50, rows=1, prologue=shifted)
    yield _linear_case(
        rng,
        gemv,
        "ragged halves",
        format="F32",
        n=46,
        k=50,
        rows=1,
        epilogue=_swiglu_bias(46),
        y_stride=24,
        x_offset=3,
        x_stride=53,
    )
    yield from _fused_cases(rng, gemv)
    for format in NEWER:
        yield _linear_case(rng, gemv, f"{format} 2", format=format, n=40, k=512, rows=2)
    yield from few_cases(rng, gemv)


def _gemv_int8(rng: Random) -> Iterator[Case]:
    case = partial(_linear_case, rng, gemv_int8)
    for format in QUANTIZED:
        for rows in (1, 4):
            yield case(f"{format} {rows}", format=format, n=40, k=512, rows=rows)
    for rows in (2, 3, 8):
        yield case(f"columns {rows}", format="Q8_0", n=70, k=96, rows=rows)
    yield from _fused_cases(rng, gemv_int8)
    for rows in (1, 3):
        yield case(f"int8 {rows}", format="Q4_0", n=36, k=14336, rows=rows, is_int8=True, epilogue=_residual(36))
    yield case("int8 offset", format="Q8_0", n=12, k=64, rows=3, is_int8=True, x_offset=48, x_stride=144)
    yield case("long", format="Q5_K", n=12, k=14336, rows=1)
    shapes = ((256, 32, 4, 1), (64, 8, 2, 3), (128, 64, 2, 1), (128, 4, 4, 2, True), (128, 32, 2, 3))
    norm: dict[str, Any] = {"norm_eps": 1e-5, "prologue": WEIGHTED}
    for shape in (gemv_int8.Shape(*sizes) for sizes in shapes):
        yield case(f"{shape}", shape, format="Q4_0", n=66, k=4096, rows=2, **norm)
    for rows, tree in ((1, SWIGLU), (4, GEGLU)):
        yield case(
            f"halves int8 {rows}", format="Q6_K", n=96, k=512, rows=rows, **norm, epilogue=tree, y_stride=48, gives_int8=True
        )
    yield from _joined_splits(rng)
    yield from _gemv_rope(rng)
    for format in NEWER_QUANTIZED:
        yield case(f"{format} 2", format=format, n=40, k=512, rows=2)
    yield from few_cases(rng, gemv_int8)


def _joined_splits(rng: Random) -> Iterator[Case]:
    import numpy as np

    for rows, prologue in ((1, None), (3, WEIGHTED)):
        sizes: dict[str, Any] = {"format": "Q4_0", "n": 36, "k": 256, "rows": rows}
        made = _linear_case(rng, gemv_int8, f"splits {rows}", **sizes, prologue=prologue, splits=3, head_dim=64)
        state = rng.normal(size=(rows * 4, 3, 2)).astype(np.float32)
        state[:, :, 1] = abs(state[:, :, 1]) + 1
        state[:, -1] = -1e30, 0
        parts = rng.normal(size=rows * 256 * 3).astype(np.float32)
        yield replace(made, contents=made.contents | {"x": parts, "x_state": state})


def _gemv_rope(rng: Random) -> Iterator[Case]:
    import numpy as np

    for heads, kv_heads, d, dtype, rows, epilogue, pairs in (
        (4, 2, 64, "f16", 1, None, None),
        (3, 1, 80, "f32", 4, BIAS, None),
        (4, 2, 64, "f16", 2, BIAS, 12),
        (3, 1, 48, "f32", 3, BIAS, 20),
    ):
        layout, cache, table = random_kv(rng, kv_heads, d, dtype)
        rope = Rope(heads, layout, d**-0.5, 1.1, rows_word(SEQS), pairs, OF_TEXT if d == 48 else "")
        inputs = random_inputs(rng, [(1, 140), (1, 141), (3, 17)][:rows])
        inv_freq = (10000.0 ** (-2 * np.arange(rope.num_pairs) / d)).astype(np.float32)
        sizes: dict[str, Any] = {"format": "Q4_0", "n": (heads + 2 * kv_heads) * d, "k": 256, "rows": rows}
        made = _linear_case(
            rng, gemv_int8, f"rope {dtype} {rows}", **sizes, norm_eps=1e-5, prologue=WEIGHTED, epilogue=epilogue, rope=rope
        )
        contents = made.contents | {
            "inputs": turning(rng, inputs) if rope.by else inputs,
            "block_table": table,
            "inv_freq": np.concatenate([inv_freq, np.arange(rope.num_pairs) % 3]).astype(np.float32),
            "kv": cache,
            "q": np.zeros(rows * heads * d, np.float32),
        }
        dtypes = (("kv", "float16" if dtype == "f16" else "float32"),)
        yield replace(made, contents=contents, tolerance=1e-3 if dtype == "f16" else 5e-5, dtypes=dtypes)


# --- many rows -------------------------------------------------------------------------------------------------------
def _gemm(rng: Random) -> Iterator[Case]:
    for format in FIRST:
        yield _linear_case(rng, gemm, format, format=format, n=70, k=256, rows=20)
    yield _linear_case(rng, gemm, "ragged", format="F16", n=65, k=101, rows=70, epilogue=_bias_residual(68))
    yield _linear_case(
        rng, gemm, "part", format="Q4_0", n=20, k=64, rows=33, row_offset=16, y_stride=64, epilogue=_residual(64)
    )
    yield _linear_case(rng, gemm, "odd offset", format="Q4_0", n=20, k=64, rows=33, x_offset=13, x_stride=79)
    for name, tree in _other_trees(33, 36).items():
        yield _linear_case(rng, gemm, name, format="F16", n=33, k=96, rows=19, epilogue=tree)
    for format in NEWER:
        yield _linear_case(rng, gemm, format, format=format, n=70, k=256, rows=20)
    yield from tiled_cases(rng, gemm)


def _gemm_int8_case(rng: Random, module: ModuleType, name: str, tile: gemm_int8.Tile | None = None, **fields: Any) -> Case:
    import numpy as np

    share = fields.pop("share", None)
    p = Linear(**({"x_stride": fields["k"], "y_stride": round_up(fields["n"], 4)} | fields))
    cut = [given for given in (tile, share) if given]
    kernel = module.make(p, *cut)
    parts = gemm_matrix.num_parts(p, share) if share else 1
    weight = np.frombuffer(random_weight(rng, p.format, p.n, p.k), np.uint8)
    contents: dict[str, Array] = {
        "xq": rng.integers(-127, 128, p.rows * p.k).astype(np.int8),
        "xd": rng.uniform(0, 0.02, p.rows * p.k // 32).astype(np.float32),
        "w": weight,
        "s": weight,
        "inputs": random_inputs(rng, [(0, i) for i in range(p.rows)]),
        **random_operands(rng, linear.after(p), p.rows),
        "y": np.zeros(parts * p.rows * p.y_stride, np.float32),
        **constant_arrays(p.format),
    }
    contents |= {"yq": np.zeros(p.rows * p.n // 2, np.int8), "yd": np.zeros(p.rows * p.n // 64, np.float32)}
    contents = {binding.name: contents[binding.name] for binding in kernel.bindings}
    rounding: dict[str, Any] = {} if module is gemm_int8 else {"tolerance": 1e-3}
    rounding = {"tolerance": 1 / 126, "dtypes": (("yq", "int8"),)} if p.is_paired else rounding
    return Case(name, kernel, module.grid(p, *cut), contents, **rounding)


def _other_halves(n: int) -> dict[str, Fused]:
    element = Operand("element", 3, stride=n // 2 + 5)
    return {
        "halves bias": _swiglu_bias(n),
        "halves gelu": Fused(gelu(A) * B * C, (Operand("column", 1, 5),), 2),
        "halves residual": Fused(silu(A) * B + C, (element,), 2),
    }


def _gemm_int8(rng: Random) -> Iterator[Case]:
    case = partial(_gemm_int8_case, rng, gemm_int8)
    for format in QUANTIZED:
        yield case(format, format=format, n=70, k=512, rows=20 if format in ("Q4_0", "Q6_K") else 140)
    yield case("ragged", format="Q8_0", n=133, k=96, rows=70, epilogue=_bias_residual(136))
    yield case("part", format="Q4_1", n=20, k=64, rows=33, row_offset=16, y_stride=64, epilogue=_residual(64))
    for tile in (*gemm_int8.TILES, gemm_int8.Tile(64, 64, 2, 8, 8)):
        yield case(f"{tile}", tile, format="Q4_0", n=140, k=160, rows=130)
        yield case(f"halves {tile}", tile, format="Q6_K", n=320, k=256, rows=70, epilogue=SWIGLU, y_stride=160)
    for name, tree in _other_halves(192).items():
        yield case(name, format="Q8_0", n=192, k=64, rows=9, epilogue=tree, y_stride=96)
    for name, tree in _other_trees(33, 36).items():
        yield case(name, format="Q8_0", n=33, k=96, rows=19, epilogue=tree)
    for format in NEWER_QUANTIZED:
        yield case(format, format=format, n=70, k=512, rows=20)
    yield from tiled_cases(rng, gemm_int8)


def _gemm_f16(rng: Random) -> Iterator[Case]:
    case = partial(_gemm_int8_case, rng, gemm_f16)
    for format in QUANTIZED:
        yield case(format, format=format, n=70, k=512, rows=20 if format == "Q6_K" else 140)
    yield case("ragged", format="Q8_0", n=133, k=96, rows=70, epilogue=_bias_residual(136))
    yield case("gelu", format="Q8_0", n=33, k=96, rows=19, epilogue=Fused(gelu(A)))
    for tile in gemm_f16.TILES:
        yield case(f"{tile}", tile, format="Q4_0", n=140, k=160, rows=130)
        yield case(f"halves {tile}", tile, format="Q6_K", n=320, k=256, rows=70, y_stride=160, epilogue=SWIGLU)
    for name, tree in _other_halves(192).items():
        yield case(name, format="Q8_0", n=192, k=64, rows=9, epilogue=tree, y_stride=96)
    for format in NEWER_QUANTIZED:
        yield case(format, format=format, n=70, k=512, rows=140)
    yield from tiled_cases(rng, gemm_f16)


def _gemm_matrix(rng: Random) -> Iterator[Case]:
    case = partial(_gemm_int8_case, rng, gemm_matrix)
    for format in QUANTIZED:
        yield case(format, format=format, n=70, k=512, rows=140)
    yield case("ragged", format="Q4_0", n=200, k=192, rows=130, epilogue=_bias_residual(200))
    yield case("gelu", format="Q4_0", n=200, k=192, rows=130, epilogue=Fused(gelu(A)))
    yield case("part", format="Q4_1", n=20, k=64, rows=33, row_offset=16, y_stride=64)
    for share in (1, 2, 3):  # of four turns
        yield case(f"share {share}", format="Q4_0", n=200, k=256, rows=140, share=share)
    yield case("halves", format="Q6_K", n=320, k=256, rows=140, y_stride=160, epilogue=SWIGLU)
    for name, tree in _other_halves(320).items():
        yield case(name, format="Q8_0", n=320, k=64, rows=130, epilogue=tree, y_stride=160)
    for format in NEWER_QUANTIZED:
        yield case(format, format=format, n=70, k=512, rows=140)


# --- sums of parts ---------------------------------------------------------------------------------------------------
def _add_parts(rng: Random) -> Iterator[Case]:
    trees = _other_trees(64, 64)
    sums: list[tuple[str, int, dict[str, Any]]] = [
        ("two", 2, {"n": 200}),
        ("residual", 1, {"n": 64, "y_stride": 96, "row_offset": 32, "epilogue": _residual(96)}),
        ("uneven", 3, {"n": 320, "rows": 150, "epilogue": BIAS}),
        ("unaligned", 2, {"n": 64, "y_stride": 64, "epilogue": _residual(67)}),
        *((name, 2, {"n": 64, "epilogue": tree}) for name, tree in trees.items()),
    ]
    for name, share, fields in sums:
        p = _of_parts(**fields)
        kernel = add_parts.make(p, share)
        yield Case(name, kernel, add_parts.grid(p), _parts_contents(rng, p, share, kernel))


def _add_parts_norm(rng: Random) -> Iterator[Case]:
    scaled = Fused(A * 0.5 + B, (Operand("element", stride=64),))
    for name, share, fields, kind, tree in (
        ("two", 2, {"n": 224, "y_stride": 256}, "rms", WEIGHTED),
        ("residual", 3, {"n": 1056, "rows": 150, "epilogue": _residual(1056)}, "rms", OFFSET_WEIGHT),
        ("bias", 1, {"n": 64, "epilogue": _bias_residual(64)}, "rms", None),
        ("layer", 2, {"n": 64, "epilogue": scaled}, "layer", Fused(A * B + C, (COLUMN, Operand("column", 1, 64)))),
        ("layer 1056", 2, {"n": 1056, "epilogue": BIAS}, "layer", WEIGHTED),
    ):
        p = _of_parts(**fields)
        norm = Norm(kind, p.n, 1, p.y_stride, 1e-5, tree)
        kernel = add_parts_norm.make(p, share, norm)
        contents = _parts_contents(rng, p, share, kernel, random_operands(rng, add_parts_norm.normed(norm), p.rows))
        yield Case(name, kernel, add_parts_norm.grid(p), contents, 1 / 126, (("xq", "int8"),))


def _add_parts_rope(rng: Random) -> Iterator[Case]:
    import numpy as np

    for name, share, heads, kv_heads, d, head_norm, pairs, fields in (
        ("64", 2, 4, 2, 64, None, None, {}),
        ("128 bias", 3, 2, 1, 128, None, None, {"rows": 150, "epilogue": BIAS}),
        ("80 norms", 1, 3, 1, 80, HeadNorm(1e-6), None, {}),
        ("80 norms, a part turns", 1, 3, 1, 80, HeadNorm(1e-6, A * (1.0 + B)), 10, {}),
        ("64 q8_0 norms", 2, 4, 2, 64, HeadNorm(1e-6), None, {}),
        ("64 q4_0", 2, 4, 2, 64, None, None, {}),
    ):
        dtype = next((word for word in name.split() if word in KV_TYPES), "f16")
        layout, cache, table = random_kv(rng, kv_heads, d, dtype)
        rope = Rope(heads, layout, d**-0.5, 1.2, rows_word(SEQS), pairs)
        p = _of_parts(n=(heads + 2 * kv_heads) * d, rope=rope, **fields)
        kernel = add_parts_rope.make(p, share, head_norm)
        contents = {
            "block_table": table,
            "inv_freq": (10000.0 ** (-2 * np.arange(rope.num_pairs) / d)).astype(np.float32),
            "kv": cache,
            "q": np.zeros(p.rows * heads * d, np.float32),
            **{norm: rng.normal(size=d).astype(np.float32) for norm in ("q_norm", "k_norm")},
        }
        contents = _parts_contents(rng, p, share, kernel, contents)
        yield Case(name, kernel, add_parts_rope.grid(p), contents, 1e-3, (("kv", "float16" if dtype == "f16" else dtype),))


def _of_parts(**fields: Any) -> Linear:
    return Linear("Q4_0", **({"k": 256, "rows": 9, "x_stride": 32, "y_stride": fields["n"]} | fields))


def _parts_contents(
    rng: Random, p: Linear, share: int, kernel: Kernel, others: dict[str, Array] | None = None
) -> dict[str, Array]:
    import numpy as np

    contents = {
        "x": rng.normal(size=gemm_matrix.num_parts(p, share) * p.rows * p.n).astype(np.float32),
        "inputs": random_inputs(rng, [(0, i) for i in range(p.rows - 1)]),
        **random_operands(rng, linear.after(p), p.rows),
        "y": np.zeros(p.rows * p.y_stride, np.float32),
        "xq": np.zeros(p.rows * p.n, np.int8),
        "xd": np.zeros(p.rows * p.n // 32, np.float32),
        **(others or {}),
    }
    return {binding.name: contents[binding.name] for binding in kernel.bindings}


PRODUCT_CASES: dict[str, Callable[[Random], Iterator[Case]]] = {
    "add_parts": _add_parts,
    "add_parts_norm": _add_parts_norm,
    "add_parts_rope": _add_parts_rope,
    "gemm": _gemm,
    "gemm_f16": _gemm_f16,
    "gemm_int8": _gemm_int8,
    "gemm_matrix": _gemm_matrix,
    "gemv": _gemv,
    "gemv_int8": _gemv_int8,
}
