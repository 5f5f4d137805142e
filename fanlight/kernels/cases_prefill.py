"""Cases of the kernels that steps of many rows spend their time in."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels import (
    add_parts,
    add_parts_norm,
    add_parts_rope,
    gather,
    gemm_f16,
    gemm_int8,
    gemm_matrix,
    quantize,
    rms_norm_int8,
)
from fanlight.kernels.case import SEQS, Array, Case, random_inputs, random_kv, random_weight
from fanlight.kernels.inputs import Sample, rows_word
from fanlight.kernels.linear import FLOATS, Linear
from fanlight.kernels.rotary import Rope
from fanlight.kernels.spec import Kernel, round_up


def _gemm_int8_case(
    rng: Array, name: str, tile: gemm_int8.Tile | None = None, module: ModuleType = gemm_int8, **fields: Any
) -> Case:
    import numpy as np

    share = fields.pop("share", None)
    p = Linear(**({"x_stride": fields["k"], "y_stride": round_up(fields["n"], 4)} | fields))
    cut = (share,) if module is gemm_matrix else (tile,)
    kernel = module.make(p, *cut)
    parts = gemm_matrix.num_parts(p, share) if share else 1
    weight = np.frombuffer(random_weight(rng, p.format, p.n, p.k), np.uint8)
    contents = {
        "xq": rng.integers(-127, 128, p.rows * p.k).astype(np.int8),
        "xd": rng.uniform(0, 0.02, p.rows * p.k // 32).astype(np.float32),
        "w": weight,
        "s": weight,
        "inputs": random_inputs(rng, [(0, i) for i in range(p.rows)]),
        "bias": rng.normal(size=p.row_offset + p.n).astype(np.float32),
        "residual": rng.normal(size=p.rows * p.y_stride).astype(np.float32),
        "y": np.zeros(parts * p.rows * p.y_stride, np.float32),
    }
    contents |= {"yq": np.zeros(p.rows * p.n // 2, np.int8), "yd": np.zeros(p.rows * p.n // 64, np.float32)}
    contents = {binding.name: contents[binding.name] for binding in kernel.bindings}
    rounding: dict[str, Any] = {} if module is gemm_int8 else {"tolerance": 1e-3}
    rounding = {"tolerance": 1 / 126, "dtypes": (("yq", "int8"),)} if p.is_glu else rounding
    return Case(name, kernel, module.grid(p, *cut), contents, **rounding)


def gemm_int8_cases(rng: Array) -> Iterator[Case]:
    for format in QUANT_TYPES:
        if format not in FLOATS:
            yield _gemm_int8_case(rng, format, format=format, n=70, k=512, rows=20 if format in ("Q4_0", "Q6_K") else 140)
    yield _gemm_int8_case(rng, "ragged", format="Q8_0", n=133, k=96, rows=70, has_bias=True, has_residual=True)
    yield _gemm_int8_case(rng, "part", format="Q4_1", n=20, k=64, rows=33, row_offset=16, y_stride=64, has_residual=True)
    for tile in (*gemm_int8.TILES, gemm_int8.Tile(32, 64, 2, 8, 8), gemm_int8.Tile(64, 64, 2, 8, 8)):
        yield _gemm_int8_case(rng, f"{tile}", tile, format="Q4_0", n=140, k=160, rows=130)
        yield _gemm_int8_case(rng, f"glu {tile}", tile, format="Q6_K", n=320, k=256, rows=70, is_glu=True, y_stride=160)
    yield _gemm_int8_case(rng, "glu bias", format="Q8_0", n=192, k=64, rows=9, is_glu=True, has_bias=True, y_stride=96)


def gemm_f16_cases(rng: Array) -> Iterator[Case]:
    for format in QUANT_TYPES:
        if format not in FLOATS:
            yield _gemm_int8_case(
                rng, format, gemm_f16.TILES[0], gemm_f16, format=format, n=70, k=512, rows=20 if format == "Q6_K" else 140
            )
    yield _gemm_int8_case(
        rng, "ragged", gemm_f16.TILES[0], gemm_f16, format="Q8_0", n=133, k=96, rows=70, has_bias=True, has_residual=True
    )
    for tile in gemm_f16.TILES:
        yield _gemm_int8_case(rng, f"{tile}", tile, gemm_f16, format="Q4_0", n=140, k=160, rows=130)
        sizes = {"format": "Q6_K", "n": 320, "k": 256, "rows": 70, "y_stride": 160}
        yield _gemm_int8_case(rng, f"glu {tile}", tile, gemm_f16, **sizes, is_glu=True)


def gemm_matrix_cases(rng: Array) -> Iterator[Case]:
    for format in QUANT_TYPES:
        if format not in FLOATS:
            yield _gemm_int8_case(rng, format, None, gemm_matrix, format=format, n=70, k=512, rows=140)
    sizes = {"format": "Q4_0", "n": 200, "k": 192, "rows": 130}
    yield _gemm_int8_case(rng, "ragged", None, gemm_matrix, **sizes, has_bias=True, has_residual=True)
    yield _gemm_int8_case(rng, "part", None, gemm_matrix, format="Q4_1", n=20, k=64, rows=33, row_offset=16, y_stride=64)
    for share in (1, 2, 3):  # of four turns
        yield _gemm_int8_case(rng, f"share {share}", None, gemm_matrix, format="Q4_0", n=200, k=256, rows=140, share=share)
    sizes = {"format": "Q6_K", "n": 320, "k": 256, "rows": 140, "y_stride": 160}
    yield _gemm_int8_case(rng, "glu", None, gemm_matrix, **sizes, is_glu=True)


def add_parts_cases(rng: Array) -> Iterator[Case]:
    for name, share, fields in (
        ("two", 2, {"n": 200}),
        ("residual", 1, {"n": 64, "y_stride": 96, "row_offset": 32, "has_residual": True}),
        ("uneven", 3, {"n": 320, "rows": 150, "has_bias": True}),
    ):
        p = _of_parts(**fields)
        kernel = add_parts.make(p, share)
        yield Case(name, kernel, add_parts.grid(p), _parts_contents(rng, p, share, kernel))


def add_parts_norm_cases(rng: Array) -> Iterator[Case]:
    for name, share, fields in (
        ("two", 2, {"n": 224, "y_stride": 256}),
        ("residual", 3, {"n": 1056, "rows": 150, "has_residual": True}),
        ("bias", 1, {"n": 64, "has_bias": True, "has_residual": True}),
    ):
        p = _of_parts(**fields)
        kernel = add_parts_norm.make(p, share, 1e-5)
        contents = _parts_contents(rng, p, share, kernel)
        yield Case(name, kernel, add_parts_norm.grid(p), contents, 1 / 126, (("xq", "int8"),))


def add_parts_rope_cases(rng: Array) -> Iterator[Case]:
    import numpy as np

    for name, share, heads, kv_heads, d, eps, fields in (
        ("64", 2, 4, 2, 64, None, {}),
        ("128 bias", 3, 2, 1, 128, None, {"rows": 150, "has_bias": True}),
        ("80 norms", 1, 3, 1, 80, 1e-6, {}),
    ):
        layout, cache, table = random_kv(rng, kv_heads, d, "f16")
        rope = Rope(heads, layout, d**-0.5, 1.0, rows_word(SEQS))
        p = _of_parts(n=(heads + 2 * kv_heads) * d, rope=rope, **fields)
        kernel = add_parts_rope.make(p, share, eps)
        contents = {
            "block_table": table,
            "inv_freq": (10000.0 ** (-np.arange(0, d, 2) / d)).astype(np.float32),
            "kv": cache,
            "q": np.zeros(p.rows * heads * d, np.float32),
            **{norm: rng.normal(size=d).astype(np.float32) for norm in ("q_norm", "k_norm")},
        }
        contents = _parts_contents(rng, p, share, kernel, contents)
        yield Case(name, kernel, add_parts_rope.grid(p), contents, 1e-3, (("kv", "float16"),))


def _of_parts(**fields: Any) -> Linear:
    return Linear("Q4_0", **({"k": 256, "rows": 9, "x_stride": 32, "y_stride": fields["n"]} | fields))


def _parts_contents(
    rng: Array, p: Linear, share: int, kernel: Kernel, others: dict[str, Array] | None = None
) -> dict[str, Array]:
    import numpy as np

    contents = {
        "x": rng.normal(size=gemm_matrix.num_parts(p, share) * p.rows * p.n).astype(np.float32),
        "inputs": random_inputs(rng, [(0, i) for i in range(p.rows - 1)]),
        "bias": rng.normal(size=p.row_offset + p.n).astype(np.float32),
        "residual": rng.normal(size=p.rows * p.y_stride).astype(np.float32),
        "weight": rng.normal(size=p.n).astype(np.float32),
        "y": np.zeros(p.rows * p.y_stride, np.float32),
        "xq": np.zeros(p.rows * p.n, np.int8),
        "xd": np.zeros(p.rows * p.n // 32, np.float32),
        **(others or {}),
    }
    return {binding.name: contents[binding.name] for binding in kernel.bindings}


def quantize_cases(rng: Array) -> Iterator[Case]:
    import numpy as np

    for rows, k, from_glu in ((3, 64, False), (9, 2080, False), (5, 96, True)):
        stride = 2 * k if from_glu else k + 4
        x = rng.normal(size=(rows, stride)).astype(np.float32) * 3
        x[0, 32:64] = 0
        contents = {
            "x": x,
            "inputs": random_inputs(rng, [(0, i) for i in range(rows - 1)]),
            "xq": np.zeros(rows * k, np.int8),
            "xd": np.zeros(rows * k // 32, np.float32),
        }
        name = f"{rows}x{k}{' glu' * from_glu}"
        # Values near the middle of two integers may go either way.
        yield Case(name, quantize.make(k, stride, from_glu), quantize.grid(rows, k), contents, 1 / 126, (("xq", "int8"),))


def rms_norm_int8_cases(rng: Array) -> Iterator[Case]:
    import numpy as np

    for rows, c in ((1, 64), (9, 1024), (3, 2080)):
        contents = {
            "x": rng.normal(size=rows * c).astype(np.float32),
            "weight": rng.normal(size=c).astype(np.float32),
            "inputs": random_inputs(rng, [(0, i) for i in range(rows)]),
            "xq": np.zeros(rows * c, np.int8),
            "xd": np.zeros(rows * c // 32, np.float32),
        }
        kernel = rms_norm_int8.make(c, c, 1e-5)
        yield Case(f"{rows}x{c}", kernel, rms_norm_int8.grid(rows), contents, 1 / 126, (("xq", "int8"),))


def gather_cases(rng: Array) -> Iterator[Case]:
    import numpy as np

    for stride, rows in ((20, (3, 0, 19)), (1000, (7, 7))):
        contents = {
            "x": rng.normal(size=20 * stride).astype(np.float32),
            "inputs": random_inputs(rng, [(0, i) for i in range(20)], [Sample(row, i) for i, row in enumerate(rows)]),
            "y": np.zeros(len(rows) * stride, np.float32),
        }
        yield Case(f"{stride}", gather.make(stride), gather.grid(len(rows), stride), contents, 0)
