"""Cases of attention, rotation and the KV cache."""

from array import array
from collections.abc import Callable, Iterator
from typing import Any

from fanlight.arrays import Array
from fanlight.kernels import (
    append,
    attention,
    attention_append,
    attention_decode,
    attention_matrix,
    attention_prefill,
    attention_reduce,
    attention_rows,
    rope,
    rope_kv,
)
from fanlight.kernels.append import Append
from fanlight.kernels.attention import Attention
from fanlight.kernels.attention_append import Appending
from fanlight.kernels.attention_rows import AttentionRows
from fanlight.kernels.case import SEQS, Case, Random, random_inputs, random_kv, turning
from fanlight.kernels.expressions import argument, bf16, softcap
from fanlight.kernels.inputs import AHEAD_SHIFT, AXES, NO_PATCH, ROW_IS_IMAGE, ROW_WORDS, image_words, pack_words, rows_word
from fanlight.kernels.kv import KVLayout
from fanlight.kernels.rope import RopeRows
from fanlight.kernels.rotary import OF_PATCHES, OF_TEXT, HeadNorm, Rope
from fanlight.kernels.spec import Kernel

Positions = list[tuple[int, int]]  # (slot, position) of each row
ONE: Positions = [(2, 130)]
MIXED: Positions = [(1, 3), (1, 4), (1, 5), (0, 0), (3, 139), (2, 70), (2, 71)]
CAPPED = softcap(argument(0), 1.5)  # of scores of size 1
SLOPED = argument(0) + argument(1) * (argument(2) - argument(3))
ROUNDED = argument(0) + bf16(argument(1) * argument(2)) * 0.125


def _prompt(first: int, last: int) -> Positions:
    return [(1, position) for position in range(first, last)]


def _layout(kv_heads: int, head_dim: int, dtype: str, v_head_dim: int | None = None) -> KVLayout:
    import numpy as np

    return random_kv(np.random.default_rng(0), kv_heads, head_dim, dtype, v_head_dim)[0]


def _attention_case(
    rng: Random,
    p: Attention,
    positions: Positions,
    kernel: Kernel,
    grid: tuple[int, int, int],
    name: str = "",
    gain: float = 1,
    pictures: tuple[tuple[int, int], ...] = (),
    **case: Any,
) -> Case:
    """gain: of q, whose scores are of size 1 otherwise. pictures: first and last row of each, whose rows see each other."""
    import numpy as np

    layout, cache, table = random_kv(rng, p.kv.kv_heads, p.kv.head_dim, p.kv.dtype, p.kv.v_head_dim)
    size, v_size = p.rows * p.heads * layout.head_dim, p.rows * p.heads * layout.v_dim
    is_int8 = dict(case.get("dtypes", ())).get("y") == "int8"
    contents = {
        "q": rng.normal(size=size).astype(np.float32) * (gain * layout.head_dim**-0.5),
        "kv": cache,
        "inputs": _with_pictures(random_inputs(rng, positions), pictures),
        "block_table": table,
        "sinks": rng.normal(size=p.heads).astype(np.float32) * 3,
        "slopes": 0.5 ** rng.uniform(1, 8, p.heads).astype(np.float32),
        "y": np.zeros(v_size, np.int8) if is_int8 else np.zeros(v_size * p.splits, np.float32),
        "y_scales": np.zeros(v_size // 8, np.float32),
        "state": np.zeros(p.rows * p.heads * p.splits * 2, np.float32),
        "xq": np.zeros(v_size, np.int8),
        "xd": np.zeros(v_size // 32, np.float32),
    }
    contents = {binding.name: contents[binding.name] for binding in kernel.bindings}
    return Case(f"{_name(p)} {name}".strip(), kernel, grid, contents, **case)


def _with_pictures(inputs: Array, pictures: tuple[tuple[int, int], ...]) -> Array:
    import numpy as np

    words = inputs.copy().view(np.uint32)
    for first, last in pictures:
        for row in range(first, last + 1):
            words[rows_word(SEQS) + ROW_WORDS * row + 3] |= ROW_IS_IMAGE | (last - row) << AHEAD_SHIFT
    return words.view(np.uint8)


def _name(p: Attention) -> str:
    widths = f"{p.kv.head_dim}:{p.kv.v_head_dim}" if p.kv.v_head_dim else f"{p.kv.head_dim}"
    name = f"{p.rows} rows {p.heads}/{p.kv.kv_heads} {widths} {p.kv.dtype} splits {p.splits} window {p.window}"
    return name + " score" * (p.score is not None) + " sinks" * p.has_sinks + " slopes" * p.has_slopes


def _attention(rng: Random) -> Iterator[Case]:
    shapes: list[tuple[int, int, KVLayout, int, int | None, Positions, dict[str, Any]]] = [
        (1, 4, _layout(1, 64, "f16"), 1, None, ONE, {}),
        (1, 4, _layout(1, 64, "f32"), 2, None, ONE, {}),
        (2, 7, _layout(1, 80, "f32"), 3, None, [(0, 100), (3, 2)], {}),
        (8, 6, _layout(2, 96, "f16"), 2, None, MIXED, {}),
        (8, 2, _layout(2, 128, "f32"), 1, 17, MIXED, {}),
        (32, 6, _layout(2, 64, "f16"), 1, None, _prompt(60, 80), {}),
        (32, 4, _layout(4, 128, "f32"), 1, None, MIXED * 2, {}),
        (32, 7, _layout(1, 80, "f16"), 1, 9, _prompt(60, 80), {}),
        (16, 24, _layout(1, 128, "f32"), 1, None, [(0, 20), (0, 21), (0, 22)], {}),
        (1, 4, _layout(2, 12, "f16"), 1, None, ONE, {"has_sinks": True}),
        (8, 6, _layout(2, 64, "f32"), 1, 17, MIXED, {"has_sinks": True, "score": CAPPED}),
        (32, 8, _layout(2, 64, "f16"), 1, None, MIXED * 2, {"has_sinks": True}),
        (2, 4, _layout(2, 36, "f16"), 3, None, [(0, 100), (3, 2)], {"score": CAPPED}),
        (8, 4, _layout(2, 96, "f16", 64), 1, None, MIXED, {"score": CAPPED}),
        (32, 4, _layout(1, 20, "f32", 44), 1, 9, _prompt(60, 80), {}),
        (2, 3, _layout(1, 64, "f32", 512), 2, None, [(0, 100), (3, 2)], {}),
        (2, 4, _layout(1, 576, "f16", 512), 1, None, [(0, 100), (3, 2)], {}),
        (32, 3, _layout(3, 512, "f16", 128), 1, None, MIXED * 2, {"has_sinks": True}),
        (16, 8, _layout(2, 512, "f16"), 1, 40, _prompt(60, 71), {}),
        (3, 8, _layout(2, 256, "f16"), 1, None, MIXED[2:5], {"score": CAPPED}),
        (8, 6, _layout(2, 64, "q8_0"), 2, None, MIXED, {}),
        (32, 4, _layout(1, 96, "q8_0", 32), 1, 9, _prompt(60, 80), {"has_sinks": True}),
        (8, 6, _layout(2, 128, "q4_0"), 1, 17, MIXED, {"score": CAPPED}),
        (2, 4, _layout(1, 576, "q4_0", 512), 1, None, [(0, 100), (3, 2)], {}),
        (8, 6, _layout(2, 36, "f16"), 2, None, MIXED, {"score": SLOPED, "has_slopes": True}),
        (32, 4, _layout(4, 128, "f32"), 1, 17, MIXED * 2, {"score": ROUNDED, "has_slopes": True}),
    ]
    for rows, heads, layout, splits, window, positions, more in shapes:
        p = Attention(rows, heads, layout, rows_word(SEQS), splits, window, **more)
        yield _attention_case(rng, p, positions, attention.make(p), attention.grid(p))
    for window in (None, 13):
        p = Attention(32, 4, _layout(2, 64, "f16"), rows_word(SEQS), 1, window)
        made = attention.make(p), attention.grid(p)
        yield _attention_case(rng, p, _prompt(60, 80), *made, "pictures", pictures=((2, 6), (7, 18)))


def _attention_decode(rng: Random) -> Iterator[Case]:
    shape = attention_decode.Shape
    mixed = [(1, 3), (0, 0), (3, 139), (2, 70)]
    for heads, layout, splits, window, positions, cut, score in (
        (4, _layout(1, 64, "f16"), 1, None, ONE, shape(128, 128, 2), None),
        (4, _layout(1, 64, "f32"), 3, None, ONE, shape(128, 64, 4), None),
        (7, _layout(1, 80, "f16"), 4, None, mixed, shape(64, 32, 1), None),
        (6, _layout(2, 96, "f32"), 1, None, mixed, shape(128, 64, 3), None),
        (2, _layout(2, 128, "f16"), 2, 17, mixed, shape(256, 128, 1), None),
        (8, _layout(2, 64, "f16"), 1, 100, mixed, shape(256, 256, 1), None),
        (8, _layout(2, 64, "f16"), 1, None, mixed, shape(256, 256, 1), CAPPED),
        (4, _layout(2, 256, "f16"), 2, 100, mixed, shape(128, 64, 2), CAPPED),
        (8, _layout(2, 128, "q8_0"), 2, None, mixed, shape(256, 256, 1), None),
        (6, _layout(2, 96, "q8_0"), 1, 17, mixed, shape(128, 64, 3), CAPPED),
        (4, _layout(1, 64, "q4_0"), 1, None, mixed, shape(256, 128, 2), None),
        (3, _layout(3, 32, "q4_0"), 4, 100, mixed, shape(64, 32, 1), None),
        (8, _layout(2, 64, "f16"), 1, None, mixed, shape(256, 256, 2), SLOPED),
        (6, _layout(2, 96, "f32"), 2, None, mixed, shape(128, 64, 3), ROUNDED),
        (4, _layout(4, 128, "q8_0"), 1, 17, mixed, shape(256, 128, 1), SLOPED),
    ):
        has_slopes = score in (SLOPED, ROUNDED)
        p = Attention(len(positions), heads, layout, rows_word(SEQS), splits, window, score, has_slopes=has_slopes)
        made = attention_decode.make(p, cut), attention_decode.grid(p, cut)
        yield _attention_case(rng, p, positions, *made, f"{cut}")
        if splits == 1 and layout.dtype in ("f16", "q4_0"):
            made = attention_decode.make(p, cut, gives_int8=True), attention_decode.grid(p, cut)
            yield _attention_case(rng, p, positions, *made, f"{cut} int8", dtypes=(("y", "int8"),))


def _attention_reduce(rng: Random) -> Iterator[Case]:
    import numpy as np

    for rows, heads, d, splits in ((1, 4, 64, 2), (3, 3, 80, 16)):
        state = rng.normal(size=(rows * heads, splits, 2)).astype(np.float32)
        state[:, :, 1] = abs(state[:, :, 1]) + 1
        state[:, -1] = -1e30, 0
        contents = {
            "x": rng.normal(size=rows * heads * splits * d).astype(np.float32),
            "state": state,
            "inputs": random_inputs(rng, [(0, i) for i in range(rows)]),
            "y": np.zeros(rows * heads * d, np.float32),
        }
        kernel = attention_reduce.make(heads, d, splits)
        yield Case(f"{rows} {heads} {d} {splits}", kernel, attention_reduce.grid(rows, heads), contents)


def _attention_prefill(rng: Random) -> Iterator[Case]:
    big, small = attention_prefill.TILES[0], attention_prefill.TILES[2]
    shapes: list[tuple[Any, ...]] = [
        (70, 8, _layout(2, 64, "f16"), None, _prompt(60, 130), big, None),
        (70, 6, _layout(2, 64, "f32"), None, _prompt(60, 130), small, None),
        (33, 6, _layout(2, 64, "f16"), None, MIXED * 4, big, None),
        (33, 6, _layout(2, 96, "f16"), 17, MIXED * 4, None, None),
        (32, 4, _layout(4, 128, "f32"), None, MIXED * 2, None, None),
        (80, 7, _layout(1, 80, "f16"), 9, _prompt(60, 130), None, None),
        (16, 24, _layout(1, 128, "f16"), None, [(0, 20), (0, 21), (0, 22)], None, None),
        (16, 2, _layout(1, 256, "f16"), None, MIXED, None, None),
        (70, 4, _layout(1, 64, "f16"), None, _prompt(60, 130), attention_prefill.Tile(32, 64, 256), None),
        (33, 6, _layout(2, 36, "f16"), 17, MIXED * 4, None, CAPPED),
        (70, 4, _layout(2, 256, "f16"), None, _prompt(60, 130), None, CAPPED),
        (70, 8, _layout(2, 64, "q8_0"), None, _prompt(60, 130), big, None),
        (33, 6, _layout(2, 96, "q8_0"), 17, MIXED * 4, None, CAPPED),
        (70, 6, _layout(2, 128, "q4_0"), None, _prompt(60, 130), None, None),
        (33, 6, _layout(2, 32, "q4_0"), 17, MIXED * 4, small, None),
        (70, 8, _layout(4, 64, "f16"), None, _prompt(60, 130), big, SLOPED),
        (33, 6, _layout(6, 96, "f32"), 17, MIXED * 4, None, ROUNDED),
    ]
    for rows, heads, layout, window, positions, tile, score in shapes:
        p = Attention(rows, heads, layout, rows_word(SEQS), 1, window, score, has_slopes=score in (SLOPED, ROUNDED))
        made = attention_prefill.make(p, tile), attention_prefill.grid(p, tile)
        yield _attention_case(rng, p, positions, *made, f"{tile or ''}")
    for window in (None, 17):
        p = Attention(70, 4, _layout(2, 64, "f16"), rows_word(SEQS), 1, window)
        made = attention_prefill.make(p, small), attention_prefill.grid(p, small)
        yield _attention_case(rng, p, _prompt(60, 130), *made, "pictures", pictures=((3, 30), (31, 50)))


def _attention_matrix(rng: Random) -> Iterator[Case]:
    prompt = _prompt(14, 144)
    shapes: list[tuple[Any, ...]] = [
        (130, 8, _layout(2, 64, "f16"), None, prompt, 1, None),
        (130, 3, _layout(1, 128, "f16"), None, prompt, 1, None),
        (130, 2, _layout(1, 128, "f16"), 17, MIXED * 18, 1, None),
        (130, 6, _layout(2, 64, "f16"), 40, prompt, 1, None),
        (130, 4, _layout(2, 64, "f16"), None, prompt, 40, None),  # scores that grow by more than what is let pass
        (128, 2, _layout(2, 128, "f16"), None, MIXED * 18, 40, None),
        (130, 4, _layout(2, 64, "f16"), 40, prompt, 2, CAPPED),
    ]
    for rows, heads, layout, window, positions, gain, score in shapes:
        p = Attention(rows, heads, layout, rows_word(SEQS), 1, window, score)
        made = attention_matrix.make(p), attention_matrix.grid(p)
        rounding = {"tolerance": 1 / 126 + 1e-3 * gain, "dtypes": (("xq", "int8"),)}
        yield _attention_case(rng, p, positions, *made, f"gain {gain}", gain, **rounding)
    p = Attention(130, 4, _layout(2, 64, "f16"), rows_word(SEQS), 1, 40)
    made = attention_matrix.make(p), attention_matrix.grid(p)
    rounding = {"tolerance": 1 / 126 + 1e-3, "dtypes": (("xq", "int8"),)}
    yield _attention_case(rng, p, prompt, *made, "pictures", pictures=((3, 60), (61, 90)), **rounding)


def _rope_kv(rng: Random) -> Iterator[Case]:
    import numpy as np

    weighed, offset = HeadNorm(1e-6), HeadNorm(1e-5, argument(0) * (1.0 + argument(1)))
    for heads, kv_heads, d, dtype, norm, pairs in (
        (4, 2, 64, "f16", None, None),
        (3, 1, 80, "f32", weighed, None),
        (7, 1, 96, "f32", None, None),
        (2, 2, 128, "f16", offset, None),
        (4, 2, 64, "f16", None, 8),
        (3, 1, 80, "f32", offset, 39),
        (2, 1, 20, "f16", None, 5),
        (2, 1, 64, "f32", None, 0),
        (4, 2, 64, "q8_0", None, None),
        (7, 3, 96, "q8_0", weighed, 20),
        (2, 2, 128, "q4_0", offset, None),
        (3, 1, 288, "q4_0", None, 144),
        (20, 5, 32, "q8_0", None, 16),
        (3, 1, 40, "f32", weighed, 12),
        (3, 1, 160, "q8_0", None, 48),
    ):
        layout, cache, table = random_kv(rng, kv_heads, d, dtype)
        rows, stride = 5, (heads + 2 * kv_heads) * d
        by = OF_TEXT if d in (40, 160) else ""
        p = Rope(heads, layout, d**-0.5, 1.2, rows_word(SEQS), pairs, by)
        inputs = random_inputs(rng, [(1, 0), (1, 1), (0, 140), (3, 17)])
        kernel = rope_kv.make(p, stride, norm)
        contents = {
            "qkv": rng.normal(size=rows * stride).astype(np.float32),
            "inputs": turning(rng, inputs) if by else inputs,
            "block_table": table,
            "inv_freq": np.concatenate([_inv_freq(p.num_pairs), np.arange(p.num_pairs) % 3]).astype(np.float32),
            "kv": cache,
            "q": np.zeros(rows * heads * d, np.float32),
        }
        contents |= {name: rng.normal(size=d).astype(np.float32) for name in ("q_norm", "k_norm")} if norm else {}
        name = f"{heads}/{kv_heads} {d} {dtype} pairs {pairs}" + (f" norm {norm.weigh}" if norm else "")
        yield Case(name, kernel, rope_kv.grid(p, rows), contents, *_of_cache(dtype))


def _attention_append(rng: Random) -> Iterator[Case]:
    import numpy as np

    shape, weighed, offset = attention_decode.Shape, HeadNorm(1e-6), HeadNorm(1e-5, argument(0) * (1.0 + argument(1)))
    for heads, kv_heads, d, dtype, splits, window, position, cut, norm, pairs in (
        (4, 1, 64, "f16", 1, None, 139, shape(128, 128, 2), None, None),
        (8, 2, 128, "f16", 4, None, 100, shape(), weighed, None),
        (8, 2, 128, "f16", 4, None, 0, shape(), weighed, None),
        (8, 2, 128, "f32", 4, None, 4, shape(), weighed, None),
        (6, 2, 96, "f32", 3, None, 5, shape(192, 96, 1), offset, 20),
        (7, 1, 80, "f16", 4, 17, 120, shape(128, 64, 1), None, 0),
        (4, 2, 256, "f16", 2, 100, 139, shape(256, 64, 1), offset, 39),
        (3, 1, 32, "f32", 1, None, 64, shape(64, 32, 1), weighed, None),
    ):
        layout, cache, table = random_kv(rng, kv_heads, d, dtype)
        by, stride = OF_TEXT if d == 96 else "", (heads + 2 * kv_heads) * d
        score = CAPPED if d == 80 else None
        p = Attention(1, heads, layout, rows_word(SEQS), splits, window, score)
        rope = Rope(heads, layout, d**-0.5, 1.2, rows_word(SEQS), pairs, by)
        problem = Appending(p, rope, norm, stride)
        inputs = random_inputs(rng, [(1, position)])
        contents = {
            "qkv": rng.normal(size=stride).astype(np.float32),
            "inputs": turning(rng, inputs) if by else inputs,
            "block_table": table,
            "inv_freq": np.concatenate([_inv_freq(rope.num_pairs), np.arange(rope.num_pairs) % 3]).astype(np.float32),
            "kv": cache,
            "state": np.zeros(heads * splits * 2, np.float32),
            "y_scales": np.zeros(heads * d // 8, np.float32),
        }
        contents |= {name: rng.normal(size=d).astype(np.float32) for name in ("q_norm", "k_norm")}
        for gives_int8 in (False, True) if splits == 1 else (False,):
            contents["y"] = np.zeros(heads * d, np.int8) if gives_int8 else np.zeros(heads * d * splits, np.float32)
            kernel = attention_append.make(problem, cut, gives_int8)
            tolerance, dtypes = _of_cache(dtype)
            dtypes += (("y", "int8"),) if gives_int8 else ()
            held = {binding.name: contents[binding.name] for binding in kernel.bindings}
            name = f"{_name(p)} at {position} pairs {pairs}{' norm' * bool(norm)}{' int8' * gives_int8}"
            yield Case(name, kernel, attention_append.grid(problem, cut), held, tolerance, dtypes)


def _inv_freq(pairs: int) -> Array:
    import numpy as np

    return (10000.0 ** (-np.arange(pairs) / max(1, pairs))).astype(np.float32)


def _of_cache(dtype: str) -> tuple[float, tuple[tuple[str, str], ...]]:
    """Tolerance and dtypes of a case that writes the cache."""
    return (2e-5, ()) if dtype == "f32" else (1e-3, (("kv", "float16" if dtype == "f16" else dtype),))


def _rope(rng: Random) -> Iterator[Case]:
    import numpy as np

    for heads, d, pairs, scale, x_offset, growth in (
        (4, 64, 32, 1.0, 0, 0.0),
        (3, 80, 10, 1.2, 8, 0.1),
        (5, 6, 2, 0.8, 3, 0.0),
    ):
        strides = heads * d + x_offset + 5, x_offset, heads * d + 2
        p = RopeRows(heads, d, pairs, scale, *strides, rows_word(SEQS), growth, 50)
        positions = [(1, 0), (1, 1), (0, 140), (3, 4000)]
        contents = {
            "x": rng.normal(size=5 * p.x_stride).astype(np.float32),
            "inputs": random_inputs(rng, positions),
            "inv_freq": _inv_freq(pairs),
            "y": np.zeros(5 * p.y_stride, np.float32),
        }
        yield Case(f"{heads}x{d} pairs {pairs}", rope.make(p), rope.grid(p, 5), contents)
    for by, has_turns in ((OF_TEXT, True), (OF_TEXT, False), (OF_PATCHES, False)):
        p = RopeRows(3, 32, 12, 1.1, 100, 4, 98, rows_word(SEQS), by=by)
        axes = rng.integers(0, 2 + (by == OF_TEXT), 12).astype(np.float32)
        words = array("I", rng.integers(0, 90, 5 * ROW_WORDS).tolist())
        words[::ROW_WORDS] = array("I", [*(rng.integers(0, 60, 4) << 16 | rng.integers(0, 60, 4)).tolist(), NO_PATCH])
        turns = array("I", rng.integers(0, 900, 5 * AXES).tolist()) if has_turns else None
        contents = {
            "x": rng.normal(size=5 * p.x_stride).astype(np.float32),
            "inputs": np.frombuffer(pack_words(words, [], SEQS, turns), np.uint8),
            "inv_freq": np.concatenate([_inv_freq(12), axes]),
            "y": np.zeros(5 * p.y_stride, np.float32),
        }
        yield Case(f"by {by}{' of its own' * has_turns}", rope.make(p), rope.grid(p, 5), contents)


def _append(rng: Random) -> Iterator[Case]:
    import numpy as np

    for kv_heads, d, v_dim, dtype, size in (
        (2, 64, None, "f16", 1),
        (1, 20, 44, "f32", 1),
        (3, 96, 64, "f16", 1e5),
        (3, 96, 64, "q8_0", 1e5),
        (2, 128, 64, "q4_0", 1),
        (5, 32, None, "q4_0", 1e-3),
    ):
        layout, cache, table = random_kv(rng, kv_heads, d, dtype, v_dim)
        p = Append(layout, kv_heads * d + 7, 3, kv_heads * layout.v_dim + 2, 1, rows_word(SEQS))
        contents = {
            "k": rng.normal(size=5 * p.k_stride).astype(np.float32) * size,
            "v": rng.normal(size=5 * p.v_stride).astype(np.float32) * size,
            "inputs": random_inputs(rng, [(1, 0), (1, 1), (0, 140), (3, 17)]),
            "block_table": table,
            "kv": cache,
        }
        yield Case(
            f"{kv_heads} {d}:{v_dim} {dtype} size {size:g}", append.make(p), append.grid(p, 5), contents, *_of_cache(dtype)
        )


def _attention_rows(rng: Random) -> Iterator[Case]:
    import numpy as np

    two = [(1, i) for i in range(70)] + [(3, i) for i in range(20)]
    short = [(slot, i) for slot, length in ((0, 1), (2, 3), (1, 66), (3, 2)) for i in range(length)]
    for heads, kv_heads, d, v_dim, causal, window, positions, score in (
        (2, 2, 64, 64, False, None, two, None),
        (4, 2, 12, 20, True, None, two, CAPPED),
        (3, 1, 32, 260, False, 9, two, CAPPED),
        (6, 2, 512, 64, True, 9, [(0, 5 + i) for i in range(30)], None),
        (1, 1, 64, 64, False, 8, two, None),
        (2, 2, 32, 32, False, None, short, None),
        (2, 1, 32, 16, False, 100, _prompt(0, 190), None),
        (2, 1, 16, 32, True, 70, _prompt(0, 150), None),
    ):
        q, k, v = heads * d, kv_heads * d, kv_heads * v_dim
        whole = q + k + v + 4
        p = AttentionRows(
            *(heads, kv_heads, d, v_dim, whole, 4, whole, 4 + q, whole, 4 + q + k, heads * v_dim + 4, rows_word(SEQS)),
            *(causal, window, score),
        )
        rows = len(positions) + 1
        qkv = rng.normal(size=(rows, whole)).astype(np.float32)
        qkv[:, : 4 + q] *= d**-0.5
        contents = {name: qkv for name in "qkv"} | {
            "inputs": random_inputs(rng, positions),
            "y": np.zeros(rows * p.y_stride, np.float32),
        }
        way = "causal" if causal else "both ways"
        name = f"{heads}/{kv_heads} {d}:{v_dim} {way} window {window}" + " score" * (score is not None)
        yield Case(name, attention_rows.make(p), attention_rows.grid(p, rows), contents)
    words = image_words(10, 22, 2, window=8)  # rows of the last ones are fewer
    rows = len(words) // ROW_WORDS
    p = AttentionRows(2, 2, 16, 16, 96, 0, 96, 32, 96, 64, 32, rows_word(SEQS), of_picture=True)
    qkv = rng.normal(size=(rows + 1, 96)).astype(np.float32)
    contents = {name: qkv for name in "qkv"} | {
        "inputs": np.frombuffer(pack_words(words, [], SEQS), np.uint8),
        "y": np.zeros((rows + 1) * 32, np.float32),
    }
    yield Case("windows of a picture", attention_rows.make(p), attention_rows.grid(p, rows + 1), contents)


ATTENTION_CASES: dict[str, Callable[[Random], Iterator[Case]]] = {
    "append": _append,
    "attention": _attention,
    "attention_append": _attention_append,
    "attention_decode": _attention_decode,
    "attention_matrix": _attention_matrix,
    "attention_prefill": _attention_prefill,
    "attention_reduce": _attention_reduce,
    "attention_rows": _attention_rows,
    "rope": _rope,
    "rope_kv": _rope_kv,
}
