"""Cases of every kernel: a launch with random contents, to be compared with the kernel's NumPy reference on any device.

The tests run them on each software adapter, `fanlight kernel NAME` on yours. A kernel without cases fails the tests by name.
NumPy only."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels import (
    embed,
    gemm,
    gemv,
    gemv_int8,
    glu,
    logits,
    rms_norm,
    sample,
    stream,
    upload,
)
from fanlight.kernels.case import (
    SEQS,
    Array,
    Case,
    buffer_of,
    differences,
    random_blocks,
    random_inputs,
    random_kv,
    random_weight,
)
from fanlight.kernels.cases_attention import ATTENTION_CASES
from fanlight.kernels.cases_prefill import (
    add_parts_cases,
    add_parts_norm_cases,
    add_parts_rope_cases,
    gather_cases,
    gemm_f16_cases,
    gemm_int8_cases,
    gemm_matrix_cases,
    quantize_cases,
    rms_norm_int8_cases,
)
from fanlight.kernels.inputs import FROM_SLOT, Row, Sample, pack_inputs, rows_word
from fanlight.kernels.linear import FLOATS, Linear, packing_of
from fanlight.kernels.rotary import Rope
from fanlight.kernels.spec import round_up

__all__ = ["CASES", "Case", "buffer_of", "cases_of", "differences", "random_blocks", "random_weight", "stems"]


def cases_of(stem: str) -> Iterator[Case]:
    import numpy as np

    return CASES[stem](np.random.default_rng(1))


def stems() -> list[str]:
    """Every kernel in the folder."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.wgsl"))


def _linear_case(rng: Array, module: Any, name: str, shape: Any = None, **fields: Any) -> Case:
    import numpy as np

    shaped = {"shape": shape} if shape else {}
    p = Linear(**({"x_stride": round_up(fields["k"], 4), "y_stride": round_up(fields["n"], 4)} | fields))
    kernel = module.make(p, **shaped)
    x_rows = 20 if p.is_sampled else p.rows
    picked = [Sample(int(rng.integers(0, x_rows)), i % SEQS) for i in range(p.rows)] if p.is_sampled else None
    floats = lambda count: rng.normal(size=count).astype(np.float32)  # noqa: E731
    weight = np.frombuffer(random_weight(rng, p.format, p.n, p.k), np.uint8)
    contents = {
        "w": weight,
        "s": weight,
        "x": floats(x_rows * p.x_stride),
        "inputs": random_inputs(rng, [(0, i) for i in range(x_rows)], picked),
        "norm": floats(p.k) + 1,
        "bias": floats(p.row_offset + p.n),
        "residual": floats(p.rows * p.y_stride),
        "y": np.zeros(p.rows * p.y_stride, np.float32),
    }
    if p.gives_int8:
        contents |= {"y": np.zeros(p.rows * p.y_stride, np.int8), "y_scales": np.zeros(p.rows * p.y_stride // 8, np.float32)}
    if p.is_int8:
        quantized = rng.integers(-127, 128, (x_rows * p.x_stride // 16, 16)).astype(np.int8)
        scales = rng.uniform(0.001, 0.03, len(quantized)).astype(np.float32)
        contents |= {"x": quantized, "x_scales": np.stack([scales, scales * quantized.sum(axis=1)], axis=1).astype(np.float32)}
    names = {binding.name for binding in kernel.bindings}
    contents = {k: v for k, v in contents.items() if k in names}
    return Case(name, kernel, module.grid(p, **shaped), contents, dtypes=(("y", "int8"),) if p.gives_int8 else ())


def _gemv(rng: Array) -> Iterator[Case]:
    for format in QUANT_TYPES:
        for rows in (1, 4):
            yield _linear_case(rng, gemv, f"{format} {rows}", format=format, n=40, k=512, rows=rows)
    for rows in (2, 3, 8):
        yield _linear_case(rng, gemv, f"columns {rows}", format="Q8_0", n=70, k=96, rows=rows)
    for format in ("F32", "F16"):
        yield _linear_case(rng, gemv, f"ragged {format}", format=format, n=37, k=101, rows=2, norm_eps=1e-5, has_bias=True)
    yield _linear_case(rng, gemv, "norm residual", format="Q4_0", n=64, k=2304, rows=1, norm_eps=1e-5, has_residual=True)
    yield _linear_case(rng, gemv, "norm 8", format="Q4_K", n=64, k=512, rows=8, norm_eps=1e-5, has_bias=True, has_residual=True)
    yield _linear_case(rng, gemv, "glu", format="Q8_0", n=90, k=64, rows=4, norm_eps=1e-6, is_glu=True, y_stride=48)
    yield _linear_case(rng, gemv, "glu bias", format="F32", n=46, k=50, rows=1, has_bias=True, is_glu=True, y_stride=24)
    yield _linear_case(rng, gemv, "sampled", format="Q8_0", n=33, k=64, rows=4, is_sampled=True, norm_eps=1e-6, y_stride=33)
    yield _linear_case(rng, gemv, "part", format="Q8_0", n=10, k=64, rows=2, row_offset=20, y_stride=40, has_bias=True)
    yield _linear_case(rng, gemv, "offset", format="Q8_0", n=10, k=64, rows=2, x_offset=8, x_stride=80)


def _gemv_int8(rng: Array) -> Iterator[Case]:
    import numpy as np

    from fanlight.kernels.gemv_int8 import Shape

    quantized = [format for format in QUANT_TYPES if format not in FLOATS]
    case = lambda name, **fields: _linear_case(rng, gemv_int8, name, **fields)  # noqa: E731
    for format in quantized:
        for rows in (1, 4):
            yield case(f"{format} {rows}", format=format, n=40, k=512, rows=rows)
    for rows in (2, 3, 8):
        yield case(f"columns {rows}", format="Q8_0", n=70, k=96, rows=rows)
    yield case("norm residual", format="Q4_0", n=64, k=2304, rows=1, norm_eps=1e-5, has_residual=True)
    yield case("norm 8", format="Q4_K", n=64, k=2048, rows=8, norm_eps=1e-5, has_bias=True, has_residual=True)
    yield case("glu", format="Q8_0", n=90, k=64, rows=4, norm_eps=1e-6, is_glu=True, y_stride=48)
    yield case("sampled", format="Q8_0", n=33, k=64, rows=4, is_sampled=True, norm_eps=1e-6, y_stride=33)
    yield case("part", format="Q8_0", n=10, k=64, rows=2, row_offset=20, y_stride=40, has_bias=True)
    yield case("offset", format="Q8_0", n=10, k=64, rows=2, x_offset=8, x_stride=80)
    for rows in (1, 3):
        yield case(f"int8 {rows}", format="Q4_0", n=36, k=14336, rows=rows, is_int8=True, has_residual=True)
    yield case("long", format="Q5_K", n=12, k=14336, rows=1)
    shapes = (Shape(256, 32, 4, 1), Shape(64, 8, 2, 3), Shape(128, 128, 2, 4), Shape(128, 4, 4, 2, True), Shape(128, 32, 2, 9))
    for shape in shapes:
        yield case(f"{shape}", shape=shape, format="Q4_0", n=66, k=4096, rows=2, norm_eps=1e-5)
    for rows in (1, 4):
        yield case(
            f"glu int8 {rows}", format="Q6_K", n=96, k=512, rows=rows, norm_eps=1e-6, is_glu=True, y_stride=48, gives_int8=True
        )
    for rows in (1, 3):
        made = case(f"splits {rows}", format="Q4_0", n=36, k=256, rows=rows, splits=3, head_dim=64)
        state = rng.normal(size=(rows * 4, 3, 2)).astype(np.float32)
        state[:, :, 1] = abs(state[:, :, 1]) + 1
        state[:, -1] = -1e30, 0
        parts = rng.normal(size=rows * 256 * 3).astype(np.float32)
        yield replace(made, contents=made.contents | {"x": parts, "x_state": state})
    for heads, kv_heads, d, dtype, rows, has_bias in ((4, 2, 64, "f16", 1, False), (3, 1, 80, "f32", 4, True)):
        layout, cache, table = random_kv(rng, kv_heads, d, dtype)
        rope = Rope(heads, layout, d**-0.5, 1.1, rows_word(SEQS))
        n = (heads + 2 * kv_heads) * d
        made = case(f"rope {dtype} {rows}", format="Q4_0", n=n, k=256, rows=rows, norm_eps=1e-5, has_bias=has_bias, rope=rope)
        contents = made.contents | {
            "inputs": random_inputs(rng, [(1, 140), (1, 141), (3, 17)][:rows]),
            "block_table": table,
            "inv_freq": (10000.0 ** (-np.arange(0, d, 2) / d)).astype(np.float32),
            "kv": cache,
            "q": np.zeros(rows * heads * d, np.float32),
        }
        dtypes = (("kv", "float16" if dtype == "f16" else "float32"),)
        yield replace(made, contents=contents, tolerance=1e-3 if dtype == "f16" else 5e-5, dtypes=dtypes)


def _gemm(rng: Array) -> Iterator[Case]:
    for format in QUANT_TYPES:
        yield _linear_case(rng, gemm, format, format=format, n=70, k=256, rows=20)
    yield _linear_case(rng, gemm, "ragged", format="F16", n=65, k=101, rows=70, has_bias=True, has_residual=True)
    yield _linear_case(rng, gemm, "part", format="Q4_0", n=20, k=64, rows=33, row_offset=16, y_stride=64, has_residual=True)


def _rms_norm(rng: Array) -> Iterator[Case]:
    import numpy as np

    for rows, c in ((1, 64), (3, 101), (9, 1000)):
        stride = round_up(c, 4)
        contents = {
            "x": rng.normal(size=rows * stride).astype(np.float32),
            "weight": rng.normal(size=c).astype(np.float32),
            "inputs": random_inputs(rng, [(0, i) for i in range(rows)]),
            "y": np.zeros(rows * stride, np.float32),
        }
        yield Case(f"{rows}x{c}", rms_norm.make(c, stride, 1e-5), rms_norm.grid(rows), contents)


def _glu(rng: Array) -> Iterator[Case]:
    import numpy as np

    for rows, f in ((2, 50), (9, 300)):
        xs, ys = round_up(2 * f, 4), round_up(f, 4)
        contents = {
            "x": rng.normal(size=rows * xs).astype(np.float32) * 4,
            "inputs": random_inputs(rng, [(0, i) for i in range(rows - 1)]),
            "y": np.zeros(rows * ys, np.float32),
        }
        yield Case(f"{rows}x{f}", glu.make(f, xs, ys), glu.grid(rows, f), contents)


def _embed(rng: Array) -> Iterator[Case]:
    import numpy as np

    vocab = 33
    for format, k, first, n in [(f, 256, 0, vocab) for f in QUANT_TYPES] + [("F32", 50, 0, vocab), ("F16", 33, 16, 17)]:
        rows = [Row(5, 0, 0), Row(vocab - 1, 1, 0, True), Row(FROM_SLOT, 7, 2, True), Row(999, 3, 1), Row(5, 2, 0)]
        stride = round_up(k, 4)
        weight = np.frombuffer(random_weight(rng, format, n, k), np.uint8)
        contents = {
            "w": weight,
            "inputs": np.frombuffer(pack_inputs(rows, [], SEQS), np.uint8),
            "next_token": rng.integers(0, vocab, SEQS).astype(np.uint32),
            "token_counts": rng.integers(0, 3, SEQS * vocab).astype(np.uint32),
            "y": np.zeros(8 * stride, np.float32),
        } | ({} if format in FLOATS else {"s": weight})
        kernel = embed.make(format, n, k, stride, vocab, first, rows_word(SEQS))
        yield Case(f"{format} {k} {first}", kernel, embed.grid(8), contents, 1e-6, (("token_counts", "uint32"),))


def _upload(rng: Array) -> Iterator[Case]:
    import numpy as np

    for format, cols, head in [(f, 256, 0) for f in QUANT_TYPES] + [("Q8_0", 96, 16), ("F16", 33, 8), ("F32", 5, 0)]:
        packing = packing_of(format, 48, cols)
        params = np.zeros(upload.MAX_PARAMS, np.uint32)
        params[: 8 + 4 * len(packing.planes)] = upload.params(packing, 16, 32, head)
        contents = {
            "staging": random_blocks(rng, format, 32, cols),
            "params": params,
            "packed": rng.integers(0, 256, packing.size).astype(np.uint8),
        }
        grid = upload.grid(packing, 32)
        yield Case(f"{format} {cols} {head}", upload.make(), grid, contents, 0, (("packed", "uint8"),))


def _upload_vector(rng: Array) -> Iterator[Case]:
    import numpy as np

    for format, head in (("F32", 0), ("F16", 8), ("BF16", 16)):
        size = QUANT_TYPES[format].block_bytes
        params = np.zeros(upload.MAX_PARAMS, np.uint32)
        params[:6] = 32, 3, 1, size, 1, head
        contents = {
            "staging": random_blocks(rng, format, 32, 1),
            "params": params,
            "packed": np.zeros(40, np.float32),
        }
        yield Case(format, upload.make_vector(format), (1, 1, 1), contents, 0)


SAMPLES = [
    Sample(0, 1),
    Sample(0, 0, temperature=0.7, repetition_penalty=1.3, frequency_penalty=0.4, presence_penalty=-0.2, seed=5),
    Sample(0, 3, temperature=1.5, has_bias=True, top_k=7, seed=2**40 + 1, counter=3),
    Sample(0, 2, frequency_penalty=0.5, has_bias=True),
]


def _logits(rng: Array) -> Iterator[Case]:
    import numpy as np

    for v in (33, 5000):
        contents = {
            "inputs": random_inputs(rng, [(0, 0)], SAMPLES),
            "token_counts": (rng.integers(0, 3, SEQS * v) | (rng.integers(0, 2, SEQS * v) << 31)).astype(np.uint32),
            "logit_bias": rng.normal(size=SEQS * v).astype(np.float32),
            "logits": rng.normal(size=SEQS * v).astype(np.float32) * 3,
            "parts": np.zeros(SEQS * logits.num_parts(v) * 2, np.float32),
        }
        yield Case(f"V {v}", logits.make(v), logits.grid(SEQS, v), contents, 1e-5)


def _sample(rng: Array) -> Iterator[Case]:
    """Greedy, and draws whose outcome the cuts decide; distributions are tested elsewhere."""
    import numpy as np

    for v in (33, 5000):
        values = rng.normal(size=(SEQS, v)).astype(np.float32) * 3
        parts = np.zeros((SEQS, logits.num_parts(v), 2), np.float32)
        for i in range(parts.shape[1]):
            part = values[:, i * logits.PART : (i + 1) * logits.PART]
            parts[:, i, 0] = part.max(axis=1)
            parts[:, i, 1].view(np.uint32)[:] = i * logits.PART + part.argmax(axis=1)
        draws = [
            Sample(0, 1),
            Sample(0, 0, temperature=1, top_k=5, seed=11, counter=2),
            Sample(0, 3, temperature=1, top_p=0.5, min_p=0.02, seed=7),
            Sample(0, 2, temperature=1, top_k=40, top_p=0.9, seed=2**33),
        ]
        contents = {
            "inputs": random_inputs(rng, [(0, 0)], draws),
            "logits": values,
            "parts": parts,
            "next_token": np.zeros(SEQS, np.uint32),
            "sampled": np.zeros(SEQS, np.uint32),
        }
        dtypes = (("next_token", "uint32"), ("sampled", "uint32"))
        yield Case(f"V {v}", sample.make(v), sample.grid(SEQS), contents, 0, dtypes)


def _stream(rng: Array) -> Iterator[Case]:
    import numpy as np

    for vectors in (1000, stream.WORKGROUP * stream.GROUPS + 77):
        contents = {
            "x": rng.integers(0, 2**32, 4 * vectors, np.uint32),
            "y": np.zeros(stream.WORKGROUP * stream.GROUPS, np.uint32),
        }
        yield Case(f"{vectors}", stream.make(vectors), stream.grid(), contents, 0, (("y", "uint32"),))


CASES: dict[str, Callable[[Array], Iterator[Case]]] = ATTENTION_CASES | {
    "add_parts": add_parts_cases,
    "add_parts_norm": add_parts_norm_cases,
    "add_parts_rope": add_parts_rope_cases,
    "embed": _embed,
    "gather": gather_cases,
    "gemm": _gemm,
    "gemm_f16": gemm_f16_cases,
    "gemm_int8": gemm_int8_cases,
    "gemm_matrix": gemm_matrix_cases,
    "gemv": _gemv,
    "gemv_int8": _gemv_int8,
    "glu": _glu,
    "logits": _logits,
    "quantize": quantize_cases,
    "rms_norm": _rms_norm,
    "rms_norm_int8": rms_norm_int8_cases,
    "sample": _sample,
    "stream": _stream,
    "upload": _upload,
    "upload_vector": _upload_vector,
}
