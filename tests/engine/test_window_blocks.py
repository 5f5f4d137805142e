"""Layers that keep no more than their window: answers, reuse and saved states are those of layers that keep everything, in less
memory."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fanlight.api.load import LoadOptions
from fanlight.compiler import CompileOptions, compile
from fanlight.compiler.memory import memory_plan
from fanlight.compiler.program import WINDOW_TABLE, Limits, Program
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.engine.load import compile_model
from fanlight.engine.window_blocks import WindowBlocks
from fanlight.errors import FormatError
from fanlight.runtime import open_device
from tests.compiler.graphs import RandomModel
from tests.compiler.models import Shape, make_model
from tests.engine.workload import expected, finish_all, make_engine, make_program

MODEL = RandomModel(23, 5)  # one layer sees five tokens, another all
OPTIONS = CompileOptions(640, 2, kv_dtype="f32", activations="f32", max_rows=16, only_windows=True)
MODEL_OF_BOTH = RandomModel(23, 5, head_unit=64)
PROMPT = [(7 * i + i // 5) % 37 for i in range(190)]


def engine_of(options: CompileOptions) -> Engine:
    device = open_device("reference")
    program = compile(MODEL, device.limits, options)
    run(device.prepare(program))
    run(device.load([MODEL.book().source()], lambda done, total: None))
    return Engine(program, device)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = engine_of(OPTIONS)
    yield engine
    engine.close()


def ask(engine: Engine, prompt: list[int], count: int = 24) -> tuple[list[int], int]:
    """The answer, and how many of the prompt's tokens were not computed."""
    sequence = engine.submit(prompt, SamplingParams(temperature=0, max_tokens=count, ignore_eos=True))
    (ids,) = finish_all(engine, [sequence])
    return ids, sequence.cached_tokens or 0


def test_answers_are_those_of_layers_that_keep_everything(engine: Engine) -> None:
    whole = engine_of(replace(OPTIONS, only_windows=False))
    assert any(state.is_windowed for state in engine.program.states) and not whole.program.window
    assert {binding.buffer for step in engine.program.steps for x in step.launches for binding in x.bindings} >= {WINDOW_TABLE}
    size = engine.program.block_size
    cold = ask(whole, PROMPT)
    assert ask(engine, PROMPT) == cold
    assert ask(engine, PROMPT) == (cold[0], (len(PROMPT) - 1) // size * size)  # the end of its window is still there
    longer = [*PROMPT, *cold[0], 5, 6, 7]
    assert ask(engine, longer)[0] == ask(whole, longer)[0]
    other = PROMPT[: 6 * size] + PROMPT[::-1]
    assert ask(engine, other)[0] == ask(whole, other)[0]
    whole.close()


def test_a_state_is_saved_and_restored_with_what_the_next_token_sees(engine: Engine) -> None:
    cold, _ = ask(engine, PROMPT)
    saved, parts = run(engine.save_state(PROMPT, "me"))
    data = b"".join(parts)
    program, other = engine.program, engine_of(OPTIONS)
    held = sum(s.bytes_per_token * (program.block_size if s.is_windowed else saved) for s in program.states)
    assert held < len(data) < held + 2048
    assert len(other.restore_state(data, "me")) == saved
    assert ask(other, PROMPT) == (cold, saved)
    other.kv_cache.check([])
    whole = engine_of(replace(OPTIONS, only_windows=False))
    with pytest.raises(FormatError, match="made with"):
        whole.restore_state(data, "me")
    for one in (other, whole):
        one.close()


def test_a_prefix_whose_window_is_gone_is_computed_anew() -> None:
    program = make_program(context_length=400, max_num_seqs=1, num_blocks=300, window=8, late_tokens=8)
    engine = make_engine(program)
    prompt, params = [1 + i % 9 for i in range(300)], SamplingParams(temperature=0, max_tokens=4)
    for tokens, most in ((prompt, 0), (prompt, 296), (prompt[:200], 0), (prompt[:200], 196)):
        sequence = engine.submit(tokens, params)
        (ids,) = finish_all(engine, [sequence])
        assert ids == expected(tokens, params, 0, 400)[0]
        assert sequence.cached_tokens == most


def test_what_may_be_reused_is_what_has_its_window() -> None:
    blocks = WindowBlocks(8, 4, 6)
    names = [bytes([i]) for i in range(6)]
    held = blocks._adopt(names[2:5])
    assert [blocks.first_seen(n) for n in (0, 5, 6, 9, 12)] == [0, 0, 0, 1, 1]
    assert blocks.longest(names) == 5 and blocks.seen_after(names[:5]) == held[1:]
    assert blocks.longest(names[:3]) == 0 and blocks.longest(names[:4]) == 4


WINDOWED = Shape("mistral", layers=6, window=64, head_dim=64)


def test_the_plan_says_what_a_window_saves() -> None:
    options = CompileOptions(2048, 2, max_rows=32)
    whole, less = (compile(make_model(WINDOWED), Limits(), replace(options, only_windows=o)) for o in (False, True))
    kept = {p.window: memory_plan(p.buffers)["kv"] // p.kv_bytes_per_token for p in (whole, less)}
    assert kept == {0: 2048, 64: (2 * (128 // 16 + 2) + 2) * 16}
    assert Program.from_json(less.to_json()) == less
    short = replace(options, context_length=512, only_windows=True)  # what two sequences see is more than half of that
    assert compile(make_model(WINDOWED), Limits(), short).window == 0


@pytest.mark.parametrize("saved", [1, 100_000, 2_000_000, 2_600_000])
def test_the_context_that_fits_counts_what_does_not_grow(saved: int) -> None:
    """Some layers keep a window, some keep all; the shorter the context, the more of them."""
    whole = compile_model(MODEL_OF_BOTH, Limits(), LoadOptions(4096, 1))
    assert len({state.is_windowed for state in whole.states}) == 2
    memory = memory_plan(whole.buffers)["total"] - saved
    fitting = compile_model(MODEL_OF_BOTH, Limits(memory_bytes=memory), LoadOptions(None, 1))
    assert fitting.context_length < 4096 and memory_plan(fitting.buffers)["total"] <= memory
    longer = compile_model(MODEL_OF_BOTH, Limits(), LoadOptions(fitting.context_length + 128, 1))
    assert memory_plan(longer.buffers)["total"] > memory - 4096
