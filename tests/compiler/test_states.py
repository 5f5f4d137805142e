"""What layers keep: as the model's own graph says before any pass, and as large as the buffers that hold it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.api.load import LoadOptions
from fanlight.compiler import CompileOptions, compile, target_of
from fanlight.compiler.graph import Graph
from fanlight.compiler.memory import memory_plan
from fanlight.compiler.program import KVState, Limits, Program
from fanlight.compiler.states import states_of
from fanlight.engine.load import compile_model
from fanlight.errors import DoesNotFit
from fanlight.models import layers
from tests.compiler.graphs import Book, RandomModel
from tests.compiler.models import Shape, make_model

OPTIONS = CompileOptions(context_length=256, max_num_seqs=2, max_rows=32, kv_tokens=300)


def test_a_models_states_by_hand():
    program = compile(make_model(Shape("mistral", layers=2, window=7)), Limits(), OPTIONS)
    first = KVState("model.layers.0.self_attn", "kv.0", 2, 16, 16, "f16", (7,), 16)
    assert program.states == (first, replace(first, name="model.layers.1.self_attn", buffer="kv.1"))
    assert first.bytes_per_token == 2 * (16 + 16) * 2
    assert program.kv_bytes_per_token == 256


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), dtype=st.sampled_from(("f16", "f32")))
def test_any_models_states_are_what_its_graph_appends(seed, dtype):
    model, options = RandomModel(seed, 5), replace(OPTIONS, kv_dtype=dtype)
    program = compile(model, Limits(), options)
    nodes = model.graph(1, 1, options.context_length).nodes()
    appended = {node.attrs["layer"]: node for node in nodes if node.op == "append"}
    assert [state.buffer for state in program.states] == [f"kv.{layer}" for layer in sorted(appended)]
    for state, layer in zip(program.states, sorted(appended), strict=True):
        k, v = (appended[layer][slot].shape[1] for slot in "kv")
        assert (state.kv_heads * state.head_dim, state.kv_heads * state.v_head_dim) == (k, v)
        assert state.bytes_per_token == (k + v) * (2 if dtype == "f16" else 4)
        readers = [node for node in nodes if node.op == "attend" and node["cache"] is appended[layer]]
        assert set(state.windows) == {node.attrs["window"] for node in readers}
        tokens = program.num_blocks * program.block_size
        assert program.buffer(state.buffer).size == -(-tokens * state.bytes_per_token // 256) * 256
    assert {b.name for b in program.buffers if b.kind == "kv"} == {state.buffer for state in program.states}


def test_what_contradicts_itself_is_refused():
    book = Book(0)
    x = layers.embed(_Matrix(book), 3, 8, 32)
    q, k = x * 2.0, x * 3.0
    cache = layers.append(k, x, 0, 1)
    target = target_of(make_model(Shape()), Limits(), OPTIONS)
    twice = layers.attend_to(q, cache, 1) + layers.attend(k, x, q, 0, 1, 1)
    with pytest.raises(ValueError, match="layer 0 keeps twice"):
        states_of(Graph(twice, 3, 0), target)
    wrong = layers.attend_to(q, cache, 1)
    with pytest.raises(ValueError, match="not kept so"):
        states_of(Graph(wrong.with_(attrs={"head_dim": 16, "kv_heads": 2}), 3, 0), target)


class _Matrix:
    name = "embed"

    def __init__(self, book: Book) -> None:
        self.matrix = book.matrix


def test_a_state_of_another_kind_is_refused():
    text = json.loads(compile(make_model(Shape()), Limits(), OPTIONS).to_json())
    text["states"][0]["kind"] = "recurrent"
    with pytest.raises(ValueError, match="'recurrent'"):
        Program.from_json(json.dumps(text))


def attentive() -> RandomModel:
    """The first that is drawn with keys and values of all tokens, and no window."""
    drawn = (RandomModel(seed, 6) for seed in range(99))
    programs = ((model, compile_model(model, Limits(), LoadOptions(None, 2))) for model in drawn)
    return next(model for model, program in programs if program.states and not program.window)


@pytest.mark.parametrize("make", [lambda: make_model(Shape(hidden=128, heads=8, kv_heads=4)), attentive])
def test_the_context_that_fits_is_the_longest(make):
    """In steps of 128 tokens; what was asked for is kept where it fits to the byte, whatever its length."""
    model = make()
    whole = compile_model(model, Limits(), LoadOptions(2500, 2))
    total = memory_plan(whole.buffers)["total"]
    assert compile_model(model, Limits(memory_bytes=total), LoadOptions(2500, 2)) == whole
    with pytest.raises(DoesNotFit):
        compile_model(model, Limits(memory_bytes=total - 1), LoadOptions(2500, 2))
    most = memory_plan(compile_model(model, Limits(), LoadOptions(None, 2)).buffers)["total"]
    for missing in (1, 10_000, 100_000):
        fitting = compile_model(model, Limits(memory_bytes=most - missing), LoadOptions(None, 2))
        assert fitting.context_length % 128 == 0
        assert memory_plan(fitting.buffers)["total"] <= most - missing
        longer = compile_model(model, Limits(), LoadOptions(fitting.context_length + 128, 2))
        assert memory_plan(longer.buffers)["total"] > most - missing - 4096
