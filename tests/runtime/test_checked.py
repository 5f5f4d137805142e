"""FANLIGHT_CHECK=2: sound devices pass and answer as they do without it; whatever one launch does wrong is found there, by
name."""

import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

import fanlight
from fanlight.compiler.program import FROM_SLOT, Program, Row, Sample, pack_inputs, pack_records
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.engine.load import compile_model
from fanlight.errors import DeviceError, KernelFailed, RequestError
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.kernels import agreement, sample
from fanlight.kernels.agreement import Run, find_difference
from fanlight.kernels.cases import cases_of, stems
from fanlight.models import open_model
from fanlight.runtime import checking, open_device
from fanlight.runtime.adapter_notes import open_notes
from fanlight.runtime.checked import CheckedDevice
from fanlight.runtime.native import NativeDevice
from fanlight.runtime.notes import MemoryNotes
from fanlight.runtime.null import NullDevice
from fanlight.runtime.reference import ReferenceDevice
from fanlight.settings import settings
from scripts.golden import tiny_gguf

NAME = "llama-narrow-Q4_0"
REQUESTS = (  # tokens of the prompt, and how to go on: few rows, many, several steps of many, one
    (5, {"temperature": 0}),
    (40, {"temperature": 0.8, "top_p": 0.9, "seed": 3, "repetition_penalty": 1.2}),
    (90, {"temperature": 1, "top_k": 20, "min_p": 0.05, "seed": 5, "frequency_penalty": 0.5, "logit_bias": {3: 2.0}}),
    (1, {"temperature": 0}),
)


@dataclass(frozen=True)
class Options:
    activations: str
    kv_dtype: str
    context_length: int = 128
    max_num_seqs: int = 4


INT8, F32 = Options("int8", "f16"), Options("f32", "f32")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The file, what it holds, and the Programs of it."""
    path = tiny_gguf.make_gguf(NAME, tmp_path_factory.mktemp("model") / f"{NAME}.gguf")
    checkpoint = run(open_checkpoint(run(resolve_model(path))))
    limits = NativeDevice().limits
    programs = {options: compile_model(run(open_model(checkpoint)), limits, options) for options in (INT8, F32)}
    return SimpleNamespace(path=path, sources=checkpoint.sources, programs=programs)


def start(model, options: Options, device) -> Engine:
    program = model.programs[options]
    run(device.prepare(program))
    run(device.load(model.sources, lambda done, total: None))
    return Engine(program, device)


def answers(engine: Engine, count: int = 5) -> list[list[int]]:
    rng = np.random.default_rng(0)
    sequences = [
        engine.submit(rng.integers(3, 300, size).tolist(), SamplingParams(max_tokens=count, ignore_eos=True, **how))
        for size, how in REQUESTS
    ]
    while unfinished := [sequence for sequence in sequences if not sequence.is_finished]:
        run(engine.wait(unfinished))
        for sequence in unfinished:
            sequence.take()
    engine.close()
    return [sequence.generated_token_ids for sequence in sequences]


def spoil_arenas(program: Program, device) -> None:
    """Rows that a step does not have hold anything: here NaN, infinite, huge."""
    rng = np.random.default_rng(1)
    for buffer in program.buffers:
        if buffer.kind == "arena":
            values = rng.choice(np.array([np.nan, np.inf, -3e38, 1e30], np.float32), buffer.size // 4)
            device.write(buffer.name, 0, values.tobytes())


@pytest.mark.parametrize("options", [INT8, F32], ids=["int8", "f32"])
@pytest.mark.parametrize("make", [ReferenceDevice, NativeDevice])
def test_a_sound_device_answers_as_without(model, options, make):
    alone = answers(start(model, options, make()))
    device = CheckedDevice(make())
    engine = start(model, options, device)
    if make is NativeDevice:
        spoil_arenas(engine.program, device)
    assert answers(engine) == alone
    assert len({tuple(ids) for ids in alone}) == len(REQUESTS)


def test_steps_together_draw_as_one_by_one(model):
    program, drawn = model.programs[INT8], []
    for device in (CheckedDevice(ReferenceDevice()), ReferenceDevice()):
        start(model, INT8, device)
        device.write("block_table", 0, np.arange(8, dtype=np.uint32).tobytes())
        records = [
            pack_inputs([Row(7 if i == 0 else FROM_SLOT, i, 0)], [Sample(0, 0, temperature=5.0, seed=2, counter=i)], 4)
            for i in range(3)
        ]
        drawn.append(run(device.result(device.submit(program.step_for(1, 1).name, pack_records(records), len(records)))))
    assert drawn[0] == drawn[1] and len({*drawn[0][::4]}) == 3


# --- what is wrong ---------------------------------------------------------------------------------------------------
FAULTS = {  # of a shader's text, as a driver might get it wrong
    "attention_decode": ("exp(score_at(h, p, place) -", "exp(0.9 * score_at(h, p, place) -"),
    "gemv_int8": ("dot4I8Packed(w.w, x.w)", "dot4I8Packed(w.w, x.z)"),
    "upload": ("<< 16u)", "<< 15u)"),
}


class Miscompiled(NativeDevice):
    def __init__(self, stem: str):
        super().__init__()
        self.stem = stem

    def _pipeline(self, kernel):
        if kernel.name.split(".")[0] == self.stem:
            right, wrong = FAULTS[self.stem]
            assert right in kernel.wgsl, f"{self.stem} has no {right!r} any more: choose another fault"
            kernel = replace(kernel, wgsl=kernel.wgsl.replace(right, wrong))
        return super()._pipeline(kernel)


@pytest.mark.parametrize("stem", FAULTS)
def test_a_miscompiled_kernel_is_found_at_its_first_launch(model, stem):
    program = model.programs[INT8]
    with pytest.raises(KernelFailed, match=r"expected .* got .* elements differ from NumPy") as raised:
        answers(start(model, INT8, CheckedDevice(Miscompiled(stem))))
    launches = [upload.launch for upload in program.uploads]
    if stem != "upload":
        step = next(step for step in program.steps if f"step {step.name}, " in raised.value.where)
        launches = list(step.launches_for())
    first = next(i for i, launch in enumerate(launches) if launch.kernel.split(".")[0] == stem)
    assert f"{first + 1} of {len(launches)}, {launches[first].kernel} ({launches[first].where})" in raised.value.where
    assert f"fanlight kernel {stem}" in raised.value.hint


FLIP = 0x4000_0000  # what is small gets huge, what is large 0; of four integers one moves by 64


class Spoiled(ReferenceDevice):
    """After the first launch of a kernel, or in its place, something else happens. kernel: its name, or only its stem."""

    def __init__(self, kernel: str, spoil, runs: bool = True):
        super().__init__()
        self.kernel, self.spoil, self.runs = kernel, spoil, runs
        self.spoiled = None
        self.num_after = 0

    def _run(self, launch):
        self.num_after += self.spoiled is not None
        is_it = self.spoiled is None and self.kernel in (launch.kernel, launch.kernel.split(".")[0])
        before = {place: words_of(self, place).copy() for place in launch.bindings} if is_it else {}
        if not is_it or self.runs:
            super()._run(launch)
        if is_it and self.spoil(self, launch, before) is not False:
            self.spoiled = launch


def words_of(device, place) -> np.ndarray:
    return device.memory[place.buffer][place.offset : place.offset + place.size // 4 * 4].view(np.uint32)


def outputs_used(model, options: Options) -> list[tuple[str, int]]:
    """Kernels that loading and the requests launch, and numbers of the bindings that they write."""
    launched = set()

    class Recording(ReferenceDevice):
        def _run(self, launch):
            launched.add(launch.kernel)
            super()._run(launch)

    answers(start(model, options, Recording()), 2)
    specs = [spec for spec in model.programs[options].kernels if spec.name in launched]
    return [(spec.name, i) for spec in specs for i, kind in enumerate(spec.access) if kind == "read_write"]


def flip_a_bit(binding: int):
    """Of the first word that was written, where any was."""

    def spoil(device, launch, before):
        place = launch.bindings[binding]
        changed = np.flatnonzero(words_of(device, place) != before[place])
        if not len(changed):
            return False
        words_of(device, place)[changed[0]] ^= FLIP
        return True

    return spoil


@pytest.mark.parametrize("options", [INT8, F32], ids=["int8", "f32"])
def test_one_wrong_word_of_any_output_is_found(model, options):
    found = set()
    for name, binding in outputs_used(model, options):
        device = Spoiled(name, flip_a_bit(binding))
        try:
            answers(start(model, options, CheckedDevice(device)), 2)
            assert device.spoiled is None, f"{name}: nobody saw binding {binding} change"
        except KernelFailed as error:
            assert f", {name} ({device.spoiled.where})" in error.where and device.num_after == 0
            found.add(name.split(".")[0])
    assert found >= {"embed", "attention_decode", "logits", "sample", "rope_kv", "upload", "upload_vector"}


def leave_undone(device, launch, before):
    """In place of the launch."""


def write_behind(device, launch, before):
    """One word in the row after those of the step."""
    place = launch.bindings[-1]
    row = int(np.flatnonzero(words_of(device, place) != before[place])[-1])
    words_of(device, place)[row + 3] ^= FLIP


def write_elsewhere(device, launch, before):
    """Where no binding of the launch is: the first block of slot 0, to which rope_kv writes."""
    device.memory["block_table"].view(np.uint32)[0] ^= 1


@pytest.mark.parametrize("kernel", ["embed", "norm", "gemm", "attention_decode", "logits", "sample"])
def test_a_launch_that_did_not_happen_is_found(model, kernel):
    device = Spoiled(kernel, leave_undone, runs=False)
    with pytest.raises(KernelFailed) as raised:
        answers(start(model, F32, CheckedDevice(device)))
    assert f"{device.spoiled.kernel} ({device.spoiled.where})" in raised.value.where and device.num_after == 0


@pytest.mark.parametrize("kernel", ["norm", "gemm", "embed", "map"])
def test_what_only_the_device_wrote_differs(model, kernel):
    device = Spoiled(kernel, write_behind)
    with pytest.raises(KernelFailed, match=r"; 1 of .* elements differ") as raised:
        answers(start(model, F32, CheckedDevice(device)))
    assert f"{device.spoiled.kernel} (" in raised.value.where


def test_what_was_overwritten_is_said(model):
    with pytest.raises(KernelFailed, match="what it reads as block_table was changed since"):
        answers(start(model, F32, CheckedDevice(Spoiled("embed", write_elsewhere))))


# --- how near is near ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stem", stems())
def test_every_kernel_agrees_with_itself_and_not_with_what_is_off(stem):
    """Every output of every kernel is understood; one bit is seen."""
    if stem == "stream":  # in no model
        return
    rng = np.random.default_rng(2)
    for case in cases_of(stem):
        before, expected = case.arrays(), case.arrays() | case.expected()
        assert find_difference(Run(case.kernel, before, expected, expected)) is None
        for name in case.kernel.outputs:
            changed = np.flatnonzero(expected[name].view(np.uint32) != before[name].view(np.uint32))
            if len(changed):
                got = expected | {name: expected[name].copy()}
                got[name].view(np.uint32)[rng.choice(changed)] ^= FLIP
                found = find_difference(Run(case.kernel, before, expected, got))
                assert found and found.num_wrong >= 1, (case.name, name)


def run_of(stem: str) -> Run:
    case = next(iter(cases_of(stem)))
    return Run(case.kernel, case.arrays(), case.arrays() | case.expected(), case.arrays() | case.expected())


@pytest.mark.parametrize(("by", "is_seen"), [(1 + 3e-5, False), (1 + 3e-3, True)])
def test_sums_may_be_a_little_off(by, is_seen):
    run_ = run_of("gemm")
    run_.got["y"].view(np.float32)[:] *= np.float32(by)
    assert (find_difference(run_) is not None) == is_seen


@pytest.mark.parametrize(("by", "is_seen"), [(1, False), (-1, False), (3, True)])
def test_integers_may_be_rounded_to_the_other_side(by, is_seen):
    run_ = run_of("quantize")
    values = run_.got["xq"].view(np.int8)
    at = int(np.flatnonzero((values != 0) & (abs(values) < 100))[5])
    values[at] += by
    found = find_difference(run_)
    assert (found is not None) == is_seen
    assert found is None or (found.binding, found.element) == ("xq", at)


def test_rows_that_a_step_does_not_have_are_passed_over():
    """A product of 8 rows, of which the step has fewer."""
    case = next(c for c in cases_of("gemv") if c.kernel.problem.rows > 4 and not c.kernel.problem.is_sampled)
    p, arrays = case.kernel.problem, case.arrays()
    arrays["inputs"].view(np.uint32)[0] = 3
    expected = arrays | case.expected()
    for row, is_seen in ((2, True), (3, False)):
        got = expected | {"y": expected["y"].copy()}
        got["y"].view(np.float32)[row * p.y_stride + p.row_offset] = np.nan
        assert (find_difference(Run(case.kernel, arrays, expected, got)) is not None) == is_seen


def test_a_draw_may_be_won_by_a_hair():
    rng = np.random.default_rng(3)
    p = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed_low": 9, "seed_high": 0, "counter": 0}
    logits = rng.normal(size=50).astype(np.float32)
    first = sample.draw(logits, p)
    noisy = logits + sample.gumbel(np.arange(50, dtype=np.uint32), sample.hash_of(9, 0, 0))
    second = int(np.argsort(noisy)[-2])
    assert agreement.may_draw(logits, p, first) and not agreement.may_draw(logits, p, second)
    logits[second] += noisy[first] - noisy[second] - 1e-5
    assert sample.draw(logits, p) == first and agreement.may_draw(logits, p, second)
    assert not agreement.may_draw(logits, p | {"temperature": 0.0}, second)


def test_a_cut_may_lie_beside_a_token():
    """Of two equally likely tokens top_p admits one or two, as their sum falls."""
    logits = np.array([3.0, 2.0, -9.0], np.float32)
    weights = np.exp(logits.astype(np.float64))
    share = float(weights[0] / weights.sum())
    seeds = range(100)
    p = {"temperature": 1.0, "top_k": 0, "min_p": 0.0, "seed_high": 0, "counter": 0}
    seed = next(s for s in seeds if sample.draw(logits, p | {"seed_low": s, "top_p": 1.0}) == 1)
    for top_p, may in ((share * (1 - 1e-5), True), (share * 0.9, False)):
        p |= {"seed_low": seed, "top_p": top_p}
        assert sample.draw(logits, p) == 0 and agreement.may_draw(logits, p, 1) == may


# --- when it is asked for --------------------------------------------------------------------------------------------
def test_the_setting_opens_a_checked_device(model, monkeypatch):
    monkeypatch.setenv("FANLIGHT_CHECK", "2")
    for device in ("reference", ReferenceDevice()):
        with fanlight.load(model.path, device=device, context_length=64) as engine:
            assert isinstance(engine.loaded.engine._device, CheckedDevice)
    monkeypatch.setenv("FANLIGHT_CHECK", "0")
    with fanlight.load(model.path, device="reference", context_length=64) as engine:
        assert isinstance(engine.loaded.engine._device, ReferenceDevice)


def test_only_what_is_understood_is_taken():
    with pytest.raises(RequestError, match="FANLIGHT_CHECK='1': expected 0 or 2"):
        settings({"FANLIGHT_CHECK": "1"})
    assert settings({"FANLIGHT_CHECK": "2"}).check == 2


def test_a_device_that_computes_nothing_is_refused():
    with pytest.raises(DeviceError, match="the null device computes nothing"):
        open_device("null", check=2)
    device = NullDevice()
    with pytest.raises(DeviceError):
        checking(device, 2)
    assert device.is_closed


def test_a_page_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "platform", "emscripten")
    with pytest.raises(DeviceError, match="FANLIGHT_CHECK=2 compares with NumPy, which is not here"):
        open_device("reference", check=2)


def test_kernels_without_reference_are_refused(model):
    program = model.programs[INT8]
    first, *others = program.kernels
    unknown = replace(program, kernels=(replace(first, wgsl=first.wgsl + "// of another process"), *others))
    with pytest.raises(DeviceError, match=f"no reference of {first.name}: this Program was not compiled in this process"):
        run(CheckedDevice(ReferenceDevice()).prepare(unknown))


def test_no_program_is_kept_or_taken():
    device = NativeDevice()
    assert run(open_notes(MemoryNotes(), device, "a browser", "build 1")).code == "build 1"
    assert run(open_notes(MemoryNotes(), CheckedDevice(device), "a browser", "build 1")).code == ""
    device.close()


def test_self_test_and_reading_pass_through(model):
    """Launches outside steps are not checked; what they wrote is read before the next launch is judged by it."""
    device = CheckedDevice(ReferenceDevice())
    engine = start(model, INT8, device)
    program = engine.program
    upload = program.uploads[0]
    device.write("staging", 0, bytes(program.buffer("staging").size))
    device.write("upload_params", 0, np.array(upload.params, np.uint32).tobytes())
    device.launch([upload.launch])
    place = upload.launch.bindings[-1]
    assert not any(run(device.read(place.buffer, place.offset, place.size)))
    answers(engine, 2)
    with pytest.raises(DeviceError, match="nothing to time"):
        run(device.timings(program.steps[0].name, b""))
