"""A profile's bytes and operations are the model's: what is read of a file, and two operations a weight."""

import pytest

from bench.make import make_gguf
from bench.profile import grouped, profile, table
from bench.random_gguf import parameters, read_per_token
from bench.shapes import SHAPES
from fanlight.api.load import LoadOptions
from fanlight.compiler.program import Limits
from fanlight.driver import run
from fanlight.engine.load import compile_model, load_engine
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.source import FileSource
from fanlight.models import open_model
from fanlight.runtime import open_device

SHAPE = SHAPES["tiny"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_gguf("tiny", "Q8_0", tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def program(path):
    model = run(open_model(run(open_checkpoint([FileSource(path)]))))
    return compile_model(model, Limits(), LoadOptions(256))


def totals(program, rows, position):
    step = program.step_for(rows, 1)
    groups = list(grouped(program, step, [2.0] * len(step.launches_for()), rows, position))
    assert sum(group.count for group in groups) == len(step.launches_for())
    assert sum(group.us for group in groups) == 2 * len(step.launches_for())
    return groups, sum(g.bytes for g in groups), sum(g.flop for g in groups)


def kv_bytes(tokens):
    return 2 * SHAPE.layers * SHAPE.kv_heads * SHAPE.head_dim * 2 * tokens  # keys and values of 16 bit


@pytest.mark.parametrize("position", [0, 100])
def test_a_decode_step_reads_every_weight_once_and_the_cache_so_far(program, position):
    _, found, flop = totals(program, 1, position)
    expected = read_per_token(SHAPE, "Q8_0") + kv_bytes(position + 1)
    assert expected <= found < 1.05 * expected
    head, attended = SHAPE.vocab * SHAPE.hidden, 2 * SHAPE.layers * SHAPE.heads * SHAPE.head_dim * (position + 1)
    assert flop == 2 * (parameters(SHAPE) + head + attended)


def test_a_prefill_step_multiplies_every_row_but_in_the_last_layer_only_those_that_go_on(program):
    _, _, flop = totals(program, 64, 0)
    size = {name: rows * columns for name, rows, columns in SHAPE.matrices()}
    before_attention = size["q"] + size["k"] + size["v"]
    whole, sampled = sum(size.values()) * (SHAPE.layers - 1) + before_attention, sum(size.values()) - before_attention
    attended = 2 * SHAPE.layers * SHAPE.heads * SHAPE.head_dim * (64 * 65 // 2)
    num_sampled = program.max_num_seqs
    assert flop == 2 * (64 * whole + num_sampled * (sampled + SHAPE.vocab * SHAPE.hidden) + attended)


def test_layers_are_one_group(program):
    groups, _, _ = totals(program, 1, 0)
    for group in groups:
        assert "layers.0" not in group.what
    assert any(group.count == SHAPE.layers and "down_proj" in group.what for group in groups)


def test_a_measured_profile_prints(path):
    device = open_device("native")
    engine = run(load_engine(run(open_checkpoint([FileSource(path)])), device, LoadOptions(128), lambda *a: None))
    found = profile(engine.program, device, 1, 16, 1)
    engine.close()
    assert found.step_us > 0 and all(group.us > 0 for group in found.groups)
    lines = table(found, 10.0).splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
