"""Variants of the integer GEMM (fanlight/kernels/gemm_int8.py) for bench/kernels.py: tile shapes, staging, conversion.

    python bench/kernels.py bench/experiments_gemm.py --native --chrome ... [--only "Q4_0 16384"]
Names: format, N x K, rows, tile (rows x columns, groups a stage, threads), variant. Variants are the kernel's file with a line
or two changed, kept here and not in the kernels' folder."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kernels import Job, step_inputs

from fanlight.kernels import attention_prefill, gemm, gemm_int8, quantize, rms_norm_int8
from fanlight.kernels.attention import Attention
from fanlight.kernels.gemm_int8 import Tile
from fanlight.kernels.inputs import rows_word
from fanlight.kernels.kv import KVLayout
from fanlight.kernels.linear import Linear, packing_of
from fanlight.kernels.spec import FOLDER, Kernel

ROWS = 512
SHAPES = ((3072, 2048), (2048, 2048), (16384, 2048), (2048, 8192))
BASE = Tile(64, 128, 2, 16, 16)
TILES = (
    BASE,
    Tile(64, 64, 2, 8, 16),
    Tile(128, 64, 2, 8, 32),
    Tile(64, 128, 2, 16, 8),  # 8 x 8 a thread
    Tile(64, 64, 2, 8, 8),  # 8 x 8
    Tile(128, 128, 1, 16, 16),  # 8 x 8
    Tile(64, 128, 1, 16, 16),
    Tile(64, 128, 2, 32, 16),  # 4 x 4
    Tile(32, 64, 2, 8, 8),
    Tile(32, 128, 2, 16, 8),
)
BIG = (Tile(128, 128, 2, 16, 16), Tile(128, 128, 2, 16, 8))  # over 16 KiB of workgroup memory

PREFETCH = """        put(next, stage, group.x, thread);
        workgroupBarrier();
        if (stage + 1u < STAGES) { next = fetch(stage + 1u, group.x, row0, rows - 1u, thread); }
"""
BARRIER = "        workgroupBarrier();\n"
COLUMN = """            let n@ = tx + TX * @u;
            acc@ += product(x0, w_tile[2u * kg * WS + n@], w_tile[(2u * kg + 1u) * WS + n@], kg * TILE_N + n@);
"""
UNROLLED = "".join(COLUMN.replace("@", str(j)) for j in range(8))
LOOPS = """            var x: array<Rows, FOURS>;
            for (var r = 0u; r < FOURS; r++) { x[r] = rows_at(kg, m0 + 4u * r); }
            for (var j = 0u; j < TN; j++) {
                let n = tx + TX * j;
                let a = w_tile[2u * kg * WS + n];
                let b = w_tile[(2u * kg + 1u) * WS + n];
                for (var r = 0u; r < FOURS; r++) { acc[j * FOURS + r] += product(x[r], a, b, kg * TILE_N + n); }
            }
"""
ARRAY = "var acc: array<vec4<f32>, TN * FOURS>;"
NAMED = " ".join(f"var acc{j} = vec4<f32>(0.0);" for j in range(8))
EPILOGUE = "    finish_tile(acc,"
BACK = f"    {ARRAY}\n" + "".join(f"    acc[{j}] = acc{j};\n" for j in range(8)) + EPILOGUE
INTEGER = "vec4<f32>(dots_a(x, a) + dots_b(x, b))"
MAGIC = "(bitcast<vec4<f32>>(dots_a(x, a) + dots_b(x, b) + vec4<i32>(0x4b400000)) - vec4<f32>(12582912.0))"

# variant -> file -> what is replaced by what
VARIANTS: dict[str, dict[str, list[tuple[str, str]]]] = {
    "no prefetch": {
        "gemm_int8.wgsl": [
            (
                PREFETCH,
                "        put(fetch(stage, group.x, row0, rows - 1u, thread), stage, group.x, thread);\n" + BARRIER,
            ),
            ("    var next = fetch(0u, group.x, row0, rows - 1u, thread);\n", ""),
        ]
    },
    "magic": {"lib/tile_group.wgsl": [(INTEGER, MAGIC)]},
    "unrolled": {
        "gemm_int8.wgsl": [(LOOPS, "            let x0 = rows_at(kg, m0);\n" + UNROLLED), (ARRAY, NAMED), (EPILOGUE, BACK)]
    },
    "wrong: staged once": {
        "gemm_int8.wgsl": [
            (PREFETCH, "        if (stage == 0u) { put(next, stage, group.x, thread); }\n        workgroupBarrier();\n")
        ]
    },
    "wrong: no scales": {"lib/tile_group.wgsl": [(f"{INTEGER} * w_scale[at] * x.scale", INTEGER)]},
}


def varied(kernel: Kernel, changes: dict[str, list[tuple[str, str]]]) -> Kernel:
    files = []
    for file in kernel.files:
        text = (FOLDER / file).read_text()
        for old, new in changes.get(file, ()):
            if old not in text:
                raise ValueError(f"{file} has no {old!r}")
            text = text.replace(old, new)
        path = Path(tempfile.mkdtemp()) / Path(file).name
        path.write_text(text)
        files.append(str(path))
    return replace(kernel, files=tuple(files))


def problem(format: str, n: int, k: int) -> Linear:
    return Linear(format, n, k, ROWS, x_stride=k, y_stride=n)


def sizes(p: Linear) -> dict[str, int]:
    weight = packing_of(p.format, p.n, p.k).size
    activations = {"x": ROWS * p.k * 4, "xq": ROWS * p.k, "xd": ROWS * p.k // 8}
    return {"w": weight, "s": weight, "inputs": 65536, "y": ROWS * p.n * 4} | activations


def job(p: Linear, tile: Tile, variant: str = "") -> Job:
    kernel = gemm_int8.make(p, tile)
    if variant:
        kernel = varied(kernel, VARIANTS[variant])
    name = f"{p.format} {p.n}x{p.k} {tile.rows}x{tile.cols} g{tile.groups} {tile.x}x{tile.y} {variant}".strip()
    flops = 2 * ROWS * p.n * p.k
    return Job(
        name, kernel, gemm_int8.grid(p, tile), sizes(p), {"inputs": inputs()}, packing_of(p.format, p.n, p.k).size, flops
    )


def inputs() -> bytes:
    return step_inputs(ROWS)


def jobs() -> Iterator[Job]:
    for n, k in SHAPES:
        p = problem("Q4_0", n, k)
        yield from float_jobs(p)
        yield from (job(p, tile) for tile in (*TILES, *BIG))
    for n, k in ((2048, 2048), (16384, 2048)):
        yield from (job(problem("Q4_0", n, k), BASE, variant) for variant in VARIANTS)
        yield from (job(problem("Q4_0", n, k), Tile(64, 64, 2, 8, 16), variant) for variant in VARIANTS)
    for format in ("Q6_K", "Q4_K", "Q8_0"):
        yield from (job(problem(format, 16384, 2048), tile) for tile in (BASE, TILES[1], TILES[3]))
    yield from float_jobs(problem("F16", 16384, 2048))
    yield from gated_jobs()
    yield from others()


def float_jobs(p: Linear) -> Iterator[Job]:
    for threads in ((8, 8), (16, 16), (8, 16), (16, 8)):
        name = f"{p.format} {p.n}x{p.k} f32 {threads[0]}x{threads[1]}"
        sized = sizes(p)
        flops = 2 * ROWS * p.n * p.k
        yield Job(name, gemm.make(p, threads), gemm.grid(p), sized, {"inputs": inputs()}, sized["w"], flops)


def gated_jobs() -> Iterator[Job]:
    p = replace(problem("Q4_0", 16384, 2048), is_glu=True, y_stride=8192)
    sized = sizes(p) | {"yq": ROWS * 8192, "yd": ROWS * 1024}
    for tile in (BASE, TILES[1], TILES[3]):
        name = f"Q4_0 16384x2048 {tile.rows}x{tile.cols} g{tile.groups} {tile.x}x{tile.y} GLU"
        kernel, grid = gemm_int8.make(p, tile), gemm_int8.grid(p, tile)
        yield Job(name, kernel, grid, sized, {"inputs": inputs()}, sized["w"], 2 * ROWS * p.n * p.k)


def others() -> Iterator[Job]:
    data = {"inputs": inputs()}
    sizes = {"x": ROWS * 16384 * 4, "xq": ROWS * 8192, "xd": ROWS * 1024, "inputs": 65536, "weight": 8192}
    yield Job("quantize glu 8192", quantize.make(8192, 16384, True), quantize.grid(ROWS, 8192), sizes, data, ROWS * 16384 * 4)
    yield Job("quantize 2048", quantize.make(2048, 2048), quantize.grid(ROWS, 2048), sizes, data, ROWS * 2048 * 4)
    yield Job(
        "rms_norm_int8 2048", rms_norm_int8.make(2048, 2048, 1e-5), rms_norm_int8.grid(ROWS), sizes, data, ROWS * 2048 * 4
    )
    yield from attention_jobs()


def attention_jobs() -> Iterator[Job]:
    tiles = [attention_prefill.Tile(*cut) for cut in ((64, 32, 128), (64, 32, 256), (64, 64, 256), (32, 32, 128), (32, 16, 64))]
    for heads, kv_heads, d in ((32, 8, 64), (24, 8, 128)):
        kv = KVLayout(kv_heads, d, 16, 64, 64)
        p = Attention(ROWS, heads, kv, rows_word(4), 1, None)
        size = ROWS * heads * d * 4
        table = b"".join(i.to_bytes(4, "little") for i in range(64))
        sizes = {"q": size, "kv": kv.size, "inputs": 65536, "block_table": 1024, "y": size}
        for tile in tiles:
            kernel = attention_prefill.make(p, tile)
            name = f"attention {heads}/{kv_heads} {d} {tile.queries}x{tile.keys} {tile.workgroup}"
            grid = attention_prefill.grid(p, tile)
            data = {"inputs": inputs(), "block_table": table}
            yield Job(name, kernel, grid, sizes, data, 0, ROWS * ROWS * heads * d * 2)
