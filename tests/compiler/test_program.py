"""Programs: what every adapter can run, memory that never overlaps, and a text form that loses nothing."""

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.compiler import CompileOptions, compile
from fanlight.compiler.memory import check_plan, lives_of, memory_plan, plan_arenas
from fanlight.compiler.program import Limits, Program
from fanlight.compiler.selection import Draft
from fanlight.compiler.tuning import Tuning, start_of
from fanlight.errors import DoesNotFit
from fanlight.kernels import gemm_matrix
from fanlight.kernels.linear import Linear
from fanlight.kernels.spec import kernel
from tests.compiler.models import Shape, make_model

SHAPE, LIMITS = Shape(), Limits()
OPTIONS = CompileOptions(context_length=256, max_num_seqs=4, max_rows=64)


def program_of(shape: Shape = SHAPE, limits: Limits = LIMITS, options: CompileOptions = OPTIONS) -> Program:
    return compile(make_model(shape), limits, options)


@pytest.mark.parametrize("model_type", ["llama", "qwen2", "qwen3"])
def test_kernels_bind_what_every_adapter_offers(model_type):
    program = program_of(Shape(model_type, bias=model_type == "qwen2"))
    assert all(len(k.access) <= Limits().max_storage_buffers_per_shader_stage for k in program.kernels)


def test_no_launch_reads_a_buffer_that_it_writes():
    program = program_of(Shape(heads=6, kv_heads=2))
    access = {k.name: k.access for k in program.kernels}
    for step in program.steps:
        for launch in step.launches:
            uses = list(zip(access[launch.kernel], launch.bindings, strict=True))
            written = {s.buffer for a, s in uses if a == "read_write"}
            assert not written & {s.buffer for a, s in uses if a == "read"}, launch


def test_slices_lie_in_their_buffers():
    program = program_of()
    sizes = {b.name: b.size for b in program.buffers}
    launches = [x for step in program.steps for x in step.launches] + [u.launch for u in program.uploads]
    for launch in launches:
        for s in launch.bindings:
            assert s.offset % 256 == 0 and s.size % 4 == 0 and 0 < s.offset + s.size <= sizes[s.buffer]


def test_text_form_loses_nothing():
    program = program_of()
    assert Program.from_json(program.to_json()) == program


def test_compiling_is_deterministic():
    assert program_of().to_json() == program_of().to_json()


def test_uploads_cover_every_weight_once():
    """Rows of all uploads of a weight are its rows, in order, without gaps."""
    program = program_of(Shape(formats=("Q8_0", "F32"), vocab=300))
    rows: dict[str, list[tuple[int, int]]] = {}
    for upload in program.uploads:
        rows.setdefault(upload.launch.bindings[2], []).append((upload.params[1], upload.params[0]))
    buffers = {b.name for b in program.buffers if b.kind == "weight"}
    read = {place for step in program.steps for launch in step.launches for place in launch.bindings if place.buffer in buffers}
    assert read == set(rows)
    for place, parts in rows.items():
        parts = sorted(parts)
        assert parts[0][0] == 0 and all(a + n == b for (a, n), (b, _) in pairwise(parts)), place


def test_weights_share_buffers_and_nothing_else():
    program = program_of(Shape(formats=("Q8_0", "F32"), vocab=300), Limits(max_buffer_size=96 << 10))
    places = sorted({upload.launch.bindings[2] for upload in program.uploads}, key=lambda p: (p.buffer, p.offset))
    assert len({p.buffer for p in places}) > 1
    for a, b in pairwise(places):
        assert b.offset % 256 == 0 and (a.buffer != b.buffer or a.offset + a.size <= b.offset)


def test_uploads_are_bounded():
    program = program_of(
        Shape(vocab=300_000, hidden=256, formats=("F32",)),
        Limits(max_buffer_size=1 << 30, max_storage_buffer_binding_size=1 << 30),
    )
    assert max(u.size for u in program.uploads) <= 64 << 20
    assert program.buffer("staging").size <= 64 << 20


def test_large_weights_are_split_by_rows():
    limits = Limits(max_storage_buffer_binding_size=256 << 10, max_buffer_size=256 << 10)
    program = program_of(Shape(vocab=2000, hidden=128, tied=True), limits)
    assert max(b.size for b in program.buffers) <= 256 << 10
    parts = {u.launch.bindings[2] for u in program.uploads if u.launch.where.startswith("model.embed_tokens")}
    assert len(parts) > 3 and max(p.size for p in parts) <= 256 << 10


def test_a_cache_that_cannot_be_bound_is_an_error_in_words():
    with pytest.raises(DoesNotFit, match="kv"):
        program_of(options=CompileOptions(context_length=1 << 21, max_rows=64))


def test_memory_plan_is_the_sum_of_the_buffers():
    program = program_of()
    assert memory_plan(program.buffers)["total"] == sum(b.size for b in program.buffers)


def test_dispatches_per_layer():
    """Decode: QKV, RoPE with KV write and attention (and its reduction), o, gate and up, down."""
    counts = {n: len(program_of(Shape(layers=n)).step_for(1, 1).launches) for n in (1, 4)}
    assert counts[4] - counts[1] == 3 * 6


MATRIX_LIMITS = Limits(max_compute_workgroup_storage_size=32 << 10, features=frozenset(gemm_matrix.FEATURES))


@pytest.mark.parametrize(
    ("limits", "without", "expected"),
    [
        (MATRIX_LIMITS, frozenset(), {"gemm_matrix", "gemm_int8"}),  # wide products, and narrow ones
        (MATRIX_LIMITS, frozenset({gemm_matrix.MATRICES}), {"gemm_int8"}),
        (replace(MATRIX_LIMITS, max_compute_workgroup_storage_size=16 << 10), frozenset(), {"gemm_int8"}),
        (LIMITS, frozenset(), {"gemm_int8"}),
    ],
)
def test_matrices_are_used_where_they_are_there_and_pay(limits, without, expected):
    shape = Shape(hidden=256, intermediate=4096, vocab=64, formats=("Q4_0",))
    options = CompileOptions(context_length=512, max_num_seqs=4, without=without)
    step = program_of(shape, limits, options).step_for(512, 1)
    assert {x.kernel.split(".")[0] for x in step.launches if "gemm" in x.kernel} == expected


@pytest.mark.parametrize(
    ("vendor", "features", "expected"),
    [
        ("apple", {"shader-f16"}, {"gemm_f16"}),
        ("apple", set(), {"gemm_int8"}),
        ("nvidia", {"shader-f16"}, {"gemm_int8"}),
    ],
)
def test_prompts_are_multiplied_in_f16_where_integers_are_slow(vendor, features, expected):
    options = CompileOptions(context_length=512, max_num_seqs=4, tuning=Tuning(start_of(vendor)))
    program = program_of(Shape(formats=("Q4_0",)), Limits(features=frozenset(features)), options)
    for rows in (64, 512):
        step = program.step_for(rows, 1)
        assert {x.kernel.split(".")[0] for x in step.launches if "gemm" in x.kernel} == expected


def test_where_matrices_share_out_k_their_parts_are_added():
    shape = Shape(hidden=1536, intermediate=4096, vocab=64, formats=("Q4_0",), heads=24, kv_heads=8, head_dim=64)
    launches = program_of(shape, MATRIX_LIMITS, CompileOptions(context_length=512, max_num_seqs=4)).step_for(512, 1).launches
    sums = [i for i, x in enumerate(launches) if x.kernel.startswith("add_parts")]
    assert {launches[i].kernel.split(".")[0] for i in sums} == {"add_parts_norm", "add_parts_rope"}
    for i in sums:
        product, total = launches[i - 1], launches[i]
        assert product.kernel.startswith("gemm_matrix") and product.grid[0] <= gemm_matrix.SLOTS
        assert total.bindings[0] == product.bindings[-1]


def test_with_matrices_activations_stay_quantised_from_norm_to_norm():
    """But for the last layer, where a few rows go on: its attention leaves in f32, to be gathered."""
    shape = Shape(layers=3, hidden=1536, intermediate=4096, vocab=64, formats=("Q4_0",), head_dim=64)
    launches = program_of(shape, MATRIX_LIMITS, CompileOptions(context_length=512, max_num_seqs=4)).step_for(512, 1).launches
    counts = Counter(x.kernel.split(".")[0] for x in launches)
    assert counts["attention_matrix"] == 2 and counts["attention_prefill"] == 1 and counts["quantize"] == 0
    assert counts["add_parts_norm"] == 4 and counts["norm_int8"] == 1


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 9), rows=st.integers(1, 5), turns=st.integers(1, 40), share=st.integers(1, 50))
def test_shares_of_k_are_each_element_once(n, rows, turns, share):
    """Workgroup w takes turns [w, w + 1) * share of all tiles': so each of a tile's parts is another workgroup's."""
    p = Linear("Q4_0", n=n * 128, k=turns * 64, rows=rows * 128, x_stride=turns * 64, y_stride=n * 128)
    parts = [gemm_matrix.ranges_at(p, share, row * 128, column * 128) for row in range(rows) for column in range(n)]
    for tile, ranges in enumerate(parts):
        assert [a for a, _ in ranges] == [0, *(b for _, b in ranges[:-1])] and ranges[-1][1] == p.k
        groups = {(tile * turns + at // 64) // share for a, b in ranges for at in range(a, b, 64)}
        assert len(groups) == len(ranges) and max(groups) < gemm_matrix.grid(p, share)[0]
    assert gemm_matrix.num_parts(p, share) == max(map(len, parts))


def drafts_of(seed: int, count: int) -> tuple[list[Draft], dict[str, int]]:
    """Random launches, each writing a new value and reading some of the earlier ones."""
    chance = random.Random(seed)
    sizes, drafts = {}, []
    for i in range(count):
        reads = chance.sample(sorted(sizes), min(len(sizes), chance.randint(0, 3)))
        names = {f"r{j}": "array<f32>" for j in range(len(reads))} | {"w": "+array<f32>"}
        operands = {f"r{j}": value for j, value in enumerate(reads)} | {"w": f"value:{i}"}
        sizes[f"value:{i}"] = 4 * chance.randint(1, 100)
        drafts.append(Draft(kernel("k", names, {}, ()), operands, (1, 1, 1), str(i)))
    return drafts, sizes


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40))
def test_values_that_live_at_once_never_share_an_arena(seed, count):
    drafts, sizes = drafts_of(seed, count)
    arenas: list[int] = []
    plan = plan_arenas(drafts, sizes, arenas)
    check_plan(plan, drafts)
    assert all(arenas[plan[value]] >= sizes[value] for value in plan)
    lives = lives_of(drafts)
    peak = max(sum(life.first <= i <= life.last for life in lives.values()) for i in range(count))
    # Interval graphs: in order of time there are no more arenas than values alive at once, each as large as some value.
    assert sum(arenas) <= sum(sorted(sizes.values())[-peak:])


def test_the_plan_check_sees_an_overlap():
    drafts, sizes = drafts_of(3, 10)
    plan = plan_arenas(drafts, sizes, [])
    with pytest.raises(ValueError, match="both live"):
        check_plan(dict.fromkeys(plan, 0), drafts)
