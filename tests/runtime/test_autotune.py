"""Tuning: candidates compute the same, the clock decides only when it is sure, and nothing wrong ever wins."""

from dataclasses import astuple, replace

import pytest

from fanlight.api.load import LoadOptions, load_model
from fanlight.compiler.program import Limits
from fanlight.compiler.tuning import STARTS, UNKNOWN, UNTUNED, Tuning, product_key, start_of
from fanlight.driver import run
from fanlight.engine import SamplingParams
from fanlight.engine.load import compile_model
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.kernels.known_kernels import known_of
from fanlight.runtime import autotune as tuner
from fanlight.runtime.adapter_notes import open_notes
from fanlight.runtime.native import NativeDevice
from fanlight.runtime.notes import MemoryNotes
from fanlight.runtime.self_test import check_launch
from scripts.golden import tiny_gguf
from tests.compiler.models import Shape, make_model
from tests.models.records import read_record

SHAPE = Shape(heads=8, kv_heads=2, head_dim=64, hidden=512, intermediate=1024, vocab=2000, formats=("Q4_0",))
NAME = "llama-Q4_K_M"


@pytest.fixture(scope="module")
def device():
    device = NativeDevice()
    yield device
    device.close()


def contests_for(limits: Limits, tuning: Tuning = UNTUNED, shape: Shape = SHAPE) -> list[tuner.Contest]:
    program = compile_model(make_model(shape), limits, LoadOptions(context_length=512), tuning)
    return tuner.contests_of(program, tuning, limits)


def test_vendors_are_recognised():
    assert start_of("NVIDIA Corporation", "", "NVIDIA H100 80GB HBM3") is STARTS["nvidia"]
    assert start_of("apple", "metal-3", "") is STARTS["apple"]
    assert start_of("", "", "llvmpipe") is UNKNOWN


def test_contests_are_the_programs_products(device):
    keys = [contest.key for contest in contests_for(device.limits)]
    assert len(set(keys)) == len(keys) and all(len(c.candidates) <= 6 for c in contests_for(device.limits))
    words = " ".join(keys)
    assert all(part in words for part in ("norm glu", "gemm_int8 Q4_0 glu", "2000x512", "512x1024"))


@pytest.mark.parametrize("formats", [("Q4_0",), ("Q6_K", "Q4_K")], ids=["Q4_0", "mixed"])
@pytest.mark.parametrize(
    "limits", [pytest.param(None, marks=pytest.mark.minutes), Limits()], ids=["the adapter's", "the minimum"]
)
def test_every_candidate_computes_the_same(device, limits, formats):
    for contest in contests_for(limits or device.limits, shape=replace(SHAPE, formats=formats)):
        arena = tuner._Arena(contest, device.limits)
        run(device.prepare(arena.program))
        for candidate in contest.candidates:
            known = known_of(candidate.kernel, candidate.grid)
            for launch in (arena.launches(candidate)[0], arena.launches(candidate)[-1]):
                slices = dict(zip((b.name for b in candidate.kernel.bindings), launch.bindings, strict=True))
                wrong = run(check_launch(device, known, launch, slices, candidate.kernel.outputs))
                # Shuffles want subgroups as wide as the lanes, which nobody promises: that is what the check is for.
                assert not wrong or getattr(candidate.cut, "subgroups", False), (contest.key, candidate.cut, wrong)


def test_what_was_found_is_what_is_compiled(device):
    contests = contests_for(device.limits)
    found = {contest.key: astuple(contest.candidates[-1].cut) for contest in contests}
    program = compile_model(make_model(SHAPE), device.limits, LoadOptions(context_length=512), Tuning(found=found))
    texts = {spec.wgsl for spec in program.kernels}
    whole = [c for c in contests if c.problem.rows == 1]
    assert whole and all(contest.candidates[-1].kernel.wgsl() in texts for contest in whole)
    assert not tuner.contests_of(program, Tuning(found=found), device.limits)


# --- the clock -------------------------------------------------------------------------------------------------------
def decide(device, monkeypatch, seconds: dict[int, list[float]], wrong: tuple[int, ...] = ()) -> int | None:
    """Index of the winning candidate of the first contest when each takes `seconds` in turn."""
    contest = contests_for(device.limits)[0]
    kernels = [candidate.kernel for candidate in contest.candidates]
    arena = tuner._Arena(contest, device.limits)
    run(device.prepare(arena.program))

    async def check(device, known, launch, slices, outputs):
        return "wrong" if int(launch.kernel.split(".")[1]) in wrong else ""

    monkeypatch.setattr(tuner, "check_launch", check)
    times = [seconds.get(i, [9.0] * 5) for i in range(len(kernels))]
    winner = run(tuner._winner(contest, times, arena, device))
    return None if winner is None else contest.candidates.index(winner)


STEADY = [1.0, 1.01, 1.0, 0.99, 1.0]


def test_the_fastest_wins(device, monkeypatch):
    assert decide(device, monkeypatch, {0: STEADY, 1: [0.8] * 5, 2: [0.7] * 5}) == 2


def test_a_gain_within_the_noise_is_none(device, monkeypatch):
    assert decide(device, monkeypatch, {0: STEADY, 1: [0.9, 0.7, 1.2, 0.96, 0.6]}) == 0
    assert decide(device, monkeypatch, {0: STEADY, 1: [0.99] * 5}) == 0


def test_what_is_wrong_never_wins(device, monkeypatch):
    assert decide(device, monkeypatch, {0: STEADY, 1: [0.5] * 5, 2: [0.7] * 5}, wrong=(1,)) == 2
    assert decide(device, monkeypatch, {0: STEADY, 1: [0.5] * 5}, wrong=(0, 1, 2, 3, 4, 5)) is None


def test_too_few_rounds_decide_nothing(device, monkeypatch):
    assert decide(device, monkeypatch, {i: [1.0 / (i + 1)] * 2 for i in range(6)}) is None


def test_the_table_decides_where_time_does_not_suffice(device):
    contests = contests_for(device.limits)
    assert run(tuner.autotune(contests, device, 0.0)) == {c.key: astuple(c.candidates[0].cut) for c in contests}


def test_small_models_are_not_kept_waiting(device):
    program = compile_model(make_model(SHAPE), device.limits, LoadOptions(context_length=512))
    assert tuner.budget_of(program) == 0
    large = replace(program, uploads=tuple(replace(upload, size=1 << 30) for upload in program.uploads))
    assert tuner.budget_of(large) == tuner.BUDGET_S


# --- at a load -------------------------------------------------------------------------------------------------------
def test_a_tuned_model_gives_the_same_tokens_and_is_not_tuned_again(tmp_path, monkeypatch):
    monkeypatch.setattr("fanlight.engine.load.is_software", lambda info: False)
    monkeypatch.setattr("fanlight.engine.load.budget_of", lambda program: 20.0)
    path, record, store = tiny_gguf.make_gguf(NAME, tmp_path / f"{NAME}.gguf"), read_record("llamacpp", NAME), MemoryNotes()
    for is_first in (True, False):
        kernels, told = answer(path, record, store)
        assert kernels["tuned"] and ("tune" in told) == is_first


def answer(path, record, store) -> tuple[dict, list[str]]:
    device, told = NativeDevice(), []
    notes = run(open_notes(store, device))
    options = LoadOptions(context_length=len(record.prompt) + len(record.greedy) + 1)
    checkpoint = run(open_checkpoint(run(resolve_model(path))))
    loaded = run(load_model(checkpoint, device, options, lambda phase, *_: told.append(phase), notes=notes))
    params = SamplingParams(temperature=0, max_tokens=len(record.greedy), ignore_eos=True)
    sequence = loaded.engine.submit(record.prompt, params)
    while not sequence.is_finished:
        run(loaded.engine.wait([sequence]))
        sequence.take()
    loaded.close()
    assert sequence.generated_token_ids == record.greedy
    return loaded.info["kernels"], told


def test_keys_tell_apart_what_is_cut_apart(device):
    contests = contests_for(device.limits)
    assert all(product_key(c.problem).split()[:2] == c.key.split()[:2] for c in contests)
