"""Cases of the kernels that take rows as they are: norms, maps, quantisation, embeddings; and of uploads."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from fanlight.arrays import Array
from fanlight.formats.layout import Part
from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels import embed, gather, lora_scale, map, norm, norm_int8, parts, pool, quantize, reorder, round_rows, upload
from fanlight.kernels.case import FIRST, NEWER, SEQS, Case, Random, constant_arrays, random_blocks, random_inputs, random_weight
from fanlight.kernels.expressions import Fused, Operand, argument, exp, gelu, gelu_tanh, silu, softcap
from fanlight.kernels.fused import Site
from fanlight.kernels.inputs import FROM_SLOT, NO_PATCH, Row, Sample, pack_inputs, rows_word
from fanlight.kernels.linear import FLOATS, IN_FLOATS, packing_of
from fanlight.kernels.map import Map
from fanlight.kernels.norm import Norm
from fanlight.kernels.spec import round_up

A, B, C, D, E, F = (argument(i) for i in range(6))


def random_operands(rng: Random, site: Site, rows: int) -> dict[str, Array]:
    """Contents of a tree's operands."""
    import numpy as np

    made: dict[str, Array] = {}
    for i, operand in enumerate(site.fused.operands):
        size = operand.start + site.columns + operand.stride * (rows - 1) if operand.kind == "element" else operand.size
        size, name = size or operand.start + site.columns, site.binding(i)
        made[name] = rng.normal(size=max(size, len(made.get(name, "")))).astype(np.float32)
    return made


def _element(stride: int, start: int = 0) -> Operand:
    return Operand("element", start, stride=stride)


# --- norms -----------------------------------------------------------------------------------------------------------
def _norms(size: int, heads: int, stride: int) -> Iterator[tuple[str, Norm]]:
    """With all kinds of what follows a norm."""
    weight = Operand("column", 0, size)
    columns = size * heads
    for kind in ("rms", "layer"):
        yield f"{kind} {size}x{heads}", Norm(kind, size, heads, stride, 1e-5, Fused(A * B, (weight,)))
        yield f"{kind} {size}x{heads} alone", Norm(kind, size, heads, stride, 1e-2)
        tree = Fused((1.0 + B) * A + C, (weight, Operand("column", 1, columns + 1)))
        yield f"{kind} {size}x{heads} 1 + w", Norm(kind, size, heads, stride + 3, 1e-6, tree, x_offset=2, y_stride=columns + 1)
    tree = Fused(gelu_tanh(A * B) + C * 0.3, (weight, _element(columns + 5, 3)))
    yield f"rms {size}x{heads} residual", Norm("rms", size, heads, stride, 1e-5, tree)


def _norm_contents(rng: Random, p: Norm, rows: int, lanes: str = "one") -> dict[str, Array]:
    import numpy as np

    return {
        "x": rng.normal(size=p.x_offset + rows * p.stride).astype(np.float32) * 2 + 0.5,
        "inputs": random_inputs(rng, [(0, i) for i in range(rows)]),
        **random_operands(rng, norm.after(p, lanes), rows),
    }


def _norm(rng: Random) -> Iterator[Case]:
    import numpy as np

    for rows, size, heads in (
        (1, 64, 1),
        (3, 101, 1),
        (9, 1000, 1),
        (3, 64, 7),
        (2, 80, 3),
        (2, 128, 5),
        (2, 37, 2),
        (3, 256, 2),
    ):
        for name, p in _norms(size, heads, round_up(size * heads, 4)):
            contents = _norm_contents(rng, p, rows) | {"y": np.zeros(rows * (p.y_stride or p.stride), np.float32)}
            yield Case(f"{name} {rows}", norm.make(p), norm.grid(p, rows), contents, 1e-4 if "layer" in name else 2e-5)


def _norm_int8(rng: Random) -> Iterator[Case]:
    import numpy as np

    for rows, size in ((1, 64), (9, 1024), (3, 2080)):
        for name, p in _norms(size, 1, size):
            contents = _norm_contents(rng, p, rows, "columns")
            contents |= {"xq": np.zeros(rows * size, np.int8), "xd": np.zeros(rows * size // 32, np.float32)}
            yield Case(f"{name} {rows}", norm_int8.make(p), norm_int8.grid(p, rows), contents, 1 / 126, (("xq", "int8"),))


# --- maps ------------------------------------------------------------------------------------------------------------
def _trees(columns: int, stride: int) -> dict[str, Fused]:
    """Of operands alone."""
    x, vector = _element(stride), Operand("column", 0, columns)
    six = (x, _element(stride, 8), vector, x, _element(stride, 4), Operand("column", 4, 4))
    return {
        "swiglu": Fused(silu(A) * B, (_element(2 * stride), _element(2 * stride, stride)), 0),
        "swiglu of one": Fused(silu(A) * B, (_element(2 * stride), replace(_element(2 * stride, stride), like=0)), 0),
        "half aligned": Fused(A + B, (_element(2 * stride), replace(_element(2 * stride, 3), like=0)), 0),
        "geglu": Fused(gelu(A) * B, (_element(2 * stride, 1), _element(2 * stride, columns + 3)), 0),
        "softcap": Fused(softcap(A, 2.0), (x,), 0),
        "odd": Fused(softcap(A, 2.0), (_element(stride + 1, 3),), 0),
        "three": Fused(A * 0.22 + B * C, (x, _element(stride + 4, 4), vector), 0),
        "six": Fused((A + B) * C - D / (1.0 + exp(-E)) * F, six, 0),
        "vector": Fused(A * 2.0, (vector,), 0),
    }


def _map(rng: Random) -> Iterator[Case]:
    import numpy as np

    for rows, columns, y_stride in ((2, 50, 52), (9, 300, 300), (3, 256, 264), (3, 64, 65)):
        for name, tree in _trees(columns, round_up(columns, 4)).items():
            p = Map(tree, columns, y_stride)
            contents = {
                **random_operands(rng, p.site, rows),
                "inputs": random_inputs(rng, [(0, i) for i in range(rows - 1)]),
                "y": np.zeros(rows * y_stride, np.float32),
            }
            yield Case(f"{name} {rows}x{columns}", map.make(p), map.grid(p, rows), contents)


def _quantize(rng: Random) -> Iterator[Case]:
    import numpy as np

    for rows, k in ((3, 64), (9, 2080), (5, 96)):
        plain = {"plain": Fused(A, (_element(k + 4),), 0)}
        for name, tree in (plain | _trees(k, k)).items():
            if len(tree.operands) > quantize.MOST_OPERANDS:
                continue
            kernel = quantize.make(k, tree)
            contents = {
                **random_operands(rng, quantize.site_of(k, tree), rows),
                "inputs": random_inputs(rng, [(0, i) for i in range(rows - 1)]),
                "xq": np.zeros(rows * k, np.int8),
                "xd": np.zeros(rows * k // 32, np.float32),
            }
            contents["epilogue0"][32:64] = 0
            # Values near the middle of two integers may go either way.
            yield Case(f"{name} {rows}x{k}", kernel, quantize.grid(rows, k), contents, 1 / 126, (("xq", "int8"),))


def _gather(rng: Random) -> Iterator[Case]:
    import numpy as np

    for stride, rows in ((20, (3, 0, 19)), (1000, (7, 7))):
        contents = {
            "x": rng.normal(size=20 * stride).astype(np.float32),
            "inputs": random_inputs(rng, [(0, i) for i in range(20)], [Sample(row, i) for i, row in enumerate(rows)]),
            "y": np.zeros(len(rows) * stride, np.float32),
        }
        yield Case(f"{stride}", gather.make(stride), gather.grid(len(rows), stride), contents, 0)


def _reorder(rng: Random) -> Iterator[Case]:
    import numpy as np

    for columns, x_stride, x_offset in ((100, 100, 0), (33, 60, 17)):
        stride = round_up(columns, 4)
        contents = {
            "x": rng.normal(size=5 * x_stride).astype(np.float32),
            "order": rng.permutation(columns).astype(np.uint32),
            "inputs": random_inputs(rng, [(0, i) for i in range(4)]),
            "y": np.zeros(5 * stride, np.float32),
        }
        yield Case(f"{columns}", reorder.make(columns, x_stride, x_offset, stride), reorder.grid(5, columns), contents, 0)
    contents = contents | {"order": rng.integers(0, 20, 90).astype(np.uint32), "y": np.zeros(5 * 92, np.float32)}
    yield Case("of some twice", reorder.make(90, 60, 17, 92), reorder.grid(5, 90), contents, 0)
    contents = {
        "x": rng.normal(size=5 * 20).astype(np.float32),
        "also": rng.normal(size=5 * 52).astype(np.float32),
        "order": rng.integers(0, 8 + 42, 90).astype(np.uint32),
        "inputs": random_inputs(rng, [(0, i) for i in range(4)]),
        "y": np.zeros(5 * 92, np.float32),
    }
    yield Case("of two", reorder.make(90, 20, 5, 92, 8, (52, 3)), reorder.grid(5, 90), contents, 0)


def _pool(rng: Random) -> Iterator[Case]:
    import numpy as np

    for kind in pool.KINDS:
        for stride, lengths in ((20, (3, 1, 16)), (1000, (7, 70, 2))):
            rows = [(slot, i) for slot, length in enumerate(lengths) for i in range(length)]
            samples = [Sample(sum(lengths[: i + 1]) - 1, i) for i in range(len(lengths))]
            contents = {
                "x": rng.normal(size=len(rows) * stride).astype(np.float32),
                "inputs": random_inputs(rng, rows, samples),
                "y": np.zeros((len(lengths) + 1) * stride, np.float32),
            }
            kernel = pool.make(kind, stride, rows_word(SEQS))
            yield Case(f"{kind} {stride}", kernel, pool.grid(len(lengths) + 1, stride), contents)


def _lora_scale(rng: Random) -> Iterator[Case]:
    import numpy as np

    for which, count, stride in ((0, 1, 8), (2, 3, 70)):
        rows = [(3, 0), (0, 4), (1, 1)]
        contents = {
            "scales": rng.normal(size=SEQS * count).astype(np.float32),
            "inputs": random_inputs(rng, rows),
            "y": np.zeros((len(rows) + 1) * stride, np.float32),
        }
        kernel = lora_scale.make(which, count, stride, rows_word(SEQS))
        yield Case(f"{which} of {count}", kernel, lora_scale.grid(len(rows) + 1, stride), contents, 0)


# --- weights ---------------------------------------------------------------------------------------------------------
def _embed(rng: Random) -> Iterator[Case]:
    import numpy as np

    vocab = 33
    whole: list[tuple[str, int, int, int, Fused | None]] = [(f, 256, 0, vocab, None) for f in FIRST]
    ragged = [
        ("F32", 50, 0, vocab, Fused(A * 50**0.5)),
        ("F16", 33, 16, 17, None),
        ("Q8_0", 64, 0, vocab, Fused(softcap(A, 0.1))),
    ]
    newer = [(f, 256, 0, vocab, None) for f in NEWER]
    for format, k, first, n, tree in whole + ragged + newer:
        rows = [Row(5, 0, 0), Row(vocab - 1, 1, 0, True), Row(FROM_SLOT, 7, 2, True), Row(999, 3, 1), Row(5, 2, 0)]
        stride = round_up(k, 4)
        weight = np.frombuffer(random_weight(rng, format, n, k), np.uint8)
        contents: dict[str, Array] = {
            "w": weight,
            "inputs": np.frombuffer(pack_inputs(rows, [], SEQS), np.uint8),
            "next_token": rng.integers(0, vocab, SEQS).astype(np.uint32),
            "token_counts": rng.integers(0, 3, SEQS * vocab).astype(np.uint32),
            "y": np.zeros(8 * stride, np.float32),
        }
        contents |= constant_arrays(format) | ({} if format in IN_FLOATS else {"s": weight})
        kernel = embed.make(format, n, k, stride, vocab, first, rows_word(SEQS), tree)
        yield Case(f"{format} {k} {first}", kernel, embed.grid(8), contents, 2e-6, (("token_counts", "uint32"),))
        next_token = {"next_token": contents["next_token"]}
        contents = {name: array for name, array in contents.items() if name not in ("next_token", "token_counts")}
        for index in embed.INDICES[1:] if format in FLOATS and k < 256 else ():
            if index == "second" and first:
                continue  # the table of two rows is never cut
            words = np.frombuffer(contents["inputs"], np.uint32).copy()
            words[rows_word(SEQS) + 3 :: 4] = np.arange(5)  # flags
            kernel = embed.make(format, n, k, stride, vocab, first, rows_word(SEQS), tree, index)
            made = contents | {"inputs": words} | (next_token if index in embed.TOKENS else {})
            yield Case(f"{format} {k} {first} {index}", kernel, embed.grid(8), made, 2e-6)
        if format in FLOATS and k < 256:  # a line for what is no patch, and lines for some patches
            words = words.copy()
            words[rows_word(SEQS) :: 4] = np.array([NO_PATCH, 0, 1 << 16 | 2, 999, NO_PATCH], np.uint32)
            kernel = embed.make(format, n, k, stride, vocab, first, rows_word(SEQS), tree, "place", (n // 4, 1))
            yield Case(f"{format} {k} {first} from 1", kernel, embed.grid(8), contents | {"inputs": words}, 2e-6)


def _upload(rng: Random) -> Iterator[Case]:
    import numpy as np

    heads = [
        ("Q8_0", 96, 16, 16),
        ("F16", 33, 8, 8),
        ("F32", 5, 0, 0),
        ("Q4_0", 64, 16, 4),
        ("F32", 5, 8, 6),
        ("F16", 33, 16, 0),
    ]
    odd = [("MXFP4", 96, 16, 16), ("MXFP4", 32, 0, 0), ("MXFP4", 96, 0, 2), ("F16", 33, 0, 2)]  # the last two: every other row
    for format, cols, head, rotary in [(f, 256, 0, 0) for f in QUANT_TYPES] + heads + odd:
        packing = packing_of(format, 48, cols)
        params = np.zeros(upload.MAX_PARAMS, np.uint32)
        params[: 8 + 4 * len(packing.planes)] = upload.params(packing, 16, 32, head, rotary)
        contents = {
            "staging": random_blocks(rng, format, 32 if head else 32 * max(rotary, 1), cols),
            "params": params,
            "packed": rng.integers(0, 256, packing.size).astype(np.uint8),
        }
        grid = upload.grid(packing, 32)
        yield Case(f"{format} {cols} {head} {rotary}", upload.make(packing), grid, contents, 0, (("packed", "uint8"),))


def _upload_nibbles(rng: Random) -> Iterator[Case]:
    import numpy as np

    made = (("Q4_0", 64, 0, 0), ("Q4_0", 256, 16, 16), ("Q4_0_BF16", 96, 8, 6), ("Q4_0", 96, 0, 2), ("NVFP4", 128, 8, 6))
    for format, cols, head, rotary in made:
        packing, columns = packing_of(format, 48, cols), 16 if format == "NVFP4" else 32
        part = packing.groups("qs", columns)
        params = np.zeros(upload.MAX_PARAMS, np.uint32)
        params[:12] = upload.params(part, 16, 32, head, rotary, 1)
        codes = rng.integers(0, 15, (32 * (1 if head else max(rotary, 1)) * cols // 2, 2)).astype(np.uint8)
        contents = {
            "staging": codes[:, 0] | (codes[:, 1] << 4),
            "params": params,
            "packed": rng.integers(0, 256, packing.size).astype(np.uint8),
        }
        kernel, grid = upload.make_nibbles(columns), upload.grid(part, 32)
        yield Case(f"{format} {cols} {head} {rotary}", kernel, grid, contents, 0, (("packed", "uint8"),))


def _round_rows(rng: Random) -> Iterator[Case]:
    """One of the rows is of almost nothing."""
    import numpy as np

    for columns, offset, rows in ((5, 3, 3), (300, 0, 2)):
        stride = columns + offset + 1
        x = rng.normal(size=(rows + 1, stride)).astype(np.float32) * 3
        x[1] *= 1e-6
        contents: dict[str, Array] = {
            "x": x,
            "inputs": random_inputs(rng, [(0, i) for i in range(rows)]),
            "y": np.zeros((rows + 1) * (columns + 2), np.float32),
        }
        kernel = round_rows.make(columns, stride, offset, columns + 2)
        yield Case(f"{rows} rows of {columns}", kernel, round_rows.grid(rows + 1), contents)


def _upload_columns(rng: Random) -> Iterator[Case]:
    """Rows 8.. of 40 in the file, or every other of 72, of 3 groups of 32 columns all, or the last two."""
    import numpy as np

    for coding, format, head, rotary, group in (
        *(("gptq4", "INT4_32", 0, 0, 0), ("gptq4", "INT4_32", 16, 16, 1)),
        *(("gptq8", "INT8_32", 8, 4, 1), ("awq4", "INT4_32", 16, 8, 1)),
        *(("turned32", "F32", 0, 0, 0), ("turned16", "F16", 16, 8, 1), ("turned16", "F16", 0, 2, 0)),
        *(("gptq4 ordered", "INT4_32", 16, 8, 0), ("gptq8 ordered", "INT8_32", 0, 0, 0)),
    ):
        name, (coding, *ordered) = coding, coding.split()
        order = rng.permutation(96).astype(np.uint32).tobytes() if ordered else b""
        field = "x" if coding.startswith("turned") else "qs"
        part, packing = Part(field, coding, table=order), packing_of(format, 48, 96)
        in_file = 40 if head or not rotary else 72
        made = parts.column_params(part, packing, (32, 16, 8), (head, rotary), in_file, (group, 3 - group))
        params = np.zeros(upload.MAX_PARAMS, np.uint32)
        params[: len(made)] = made
        lines = (3 - group) * 32 // parts.COLUMNS[coding]
        contents = {
            "staging": rng.integers(0, 2**32, lines * parts.line_words(coding, in_file), np.uint32),
            "params": params,
            "packed": rng.integers(0, 256, packing.size).astype(np.uint8),
        }
        grid = parts.grid(32 * (3 - group) * parts.column_words(coding))
        yield Case(f"{name} {head or rotary}", parts.make_columns(part), grid, contents, 0, (("packed", "uint8"),))
    for coding, format, cols, head, rotary in (
        *(("quarters32", "INT4_32", 96, 0, 0), ("quarters32", "INT4_32", 96, 16, 8), ("quarters128", "INT2_128", 256, 16, 16)),
    ):
        part, packing = Part("qs", coding), packing_of(format, 48, cols)
        made = parts.quarter_params(part, packing, (32, 16, 8), (head, rotary), 40)
        params = np.zeros(upload.MAX_PARAMS, np.uint32)
        params[: len(made)] = made
        contents = {
            "staging": rng.integers(0, 2**32, 10 * cols // 4, np.uint32),
            "params": params,
            "packed": rng.integers(0, 256, packing.size).astype(np.uint8),
        }
        grid = parts.grid(32 * cols // parts.QUARTERS[coding] * parts.column_words(coding))
        yield Case(f"{coding} {head}", parts.make_columns(part), grid, contents, 0, (("packed", "uint8"),))


def _upload_values(rng: Random) -> Iterator[Case]:
    """Rows 8.. of 40 in the file, of 6 blocks all, or the last four, which are two groups."""
    import numpy as np

    for coding, head, steps, staged, block in (
        *(("f32 divides", 0, (1, 0, 1, 0), 0, 0), ("bf16 divides", 0, (1, 0, 1, 0), 0, 0)),
        *(("f32", 0, (1, 3, 2, 1), 0, 0), ("f16", 16, (1, 1, 2, 40), 0, 0), ("bf16", 8, (1, 1, 2, 40), 40, 2)),
        *(("bits4", 16, (8, 1, 2, 5), 5, 2), ("bits8", 0, (4, 3, 2, 1), 0, 0), ("awq", 16, (8, 1, 2, 5), 0, 0)),
        *(("constant", 0, (1, 0, 1, 0), 0, 0), ("f32", 0, (16, 3, 2, 1), 0, 0), ("nested", 16, (1, 6, 1, 1), 48, 0)),
    ):
        name, (coding, *rest) = coding, coding.split()
        divides = bool(rest)
        table = np.concatenate([rng.integers(-64, 64, 257) / 64, 2.0 ** -np.arange(8)]).astype(np.float32).tobytes()
        part = Part(
            "z",
            coding,
            steps=steps,
            add=0 if coding in parts.FLOATS else 1,
            mask=15 if coding != "bits8" else 255,
            less=128 * (coding == "bits8"),
            times=1.5,
            divides=divides,
            table=table,
        )
        packing = packing_of("INT4_32", 48, 192)
        made = parts.value_params(part, packing, (32, 16, 8), (head, head), staged, (block, 6 - block))
        params = np.zeros(upload.MAX_PARAMS, np.uint32)
        params[: len(made)] = made
        numbers = rng.normal(size=120).astype(np.float32)
        words = rng.integers(0, 2**32, 120, np.uint32)
        found: dict[str, Array] = {"f32": numbers, "f16": numbers.astype(np.float16), "bf16": numbers.astype(np.float16)}
        data = found.get(coding, words)
        contents = {
            "staging": np.concatenate([data.view(np.uint8), np.zeros(16, np.uint8)]),
            "params": params,
            "packed": rng.integers(0, 256, packing.size).astype(np.uint8),
        }
        grid = parts.grid(32 * (6 - block))
        yield Case(f"{name} {steps[0]}", parts.make_values(), grid, contents, 0, (("packed", "uint8"),))


def _upload_vector(rng: Random) -> Iterator[Case]:
    import numpy as np

    heads = ("F32", 0, 0), ("F16", 8, 8), ("BF16", 16, 16), ("F32", 16, 4), ("BF16", 8, 6), ("BF16", 0, 2)
    for format, head, rotary in heads:
        size = QUANT_TYPES[format].block_bytes
        params = np.zeros(upload.MAX_PARAMS, np.uint32)
        params[:7] = 32, 3, 1, size, 1, head, rotary
        contents = {
            "staging": random_blocks(rng, format, 32 if head else 32 * max(rotary, 1), 1),
            "params": params,
            "packed": np.zeros(40, np.float32),
        }
        yield Case(f"{format} {head} {rotary}", upload.make_vector(format), (1, 1, 1), contents, 0)


ROW_CASES: dict[str, Callable[[Random], Iterator[Case]]] = {
    "embed": _embed,
    "gather": _gather,
    "lora_scale": _lora_scale,
    "map": _map,
    "norm": _norm,
    "norm_int8": _norm_int8,
    "pool": _pool,
    "quantize": _quantize,
    "reorder": _reorder,
    "round_rows": _round_rows,
    "upload": _upload,
    "upload_columns": _upload_columns,
    "upload_nibbles": _upload_nibbles,
    "upload_values": _upload_values,
    "upload_vector": _upload_vector,
}
