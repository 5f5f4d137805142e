"""The self-test: a sound device passes, kernels that compute nonsense are found, and the model runs without them."""

from dataclasses import replace

import pytest

from fanlight.api.load import LoadOptions, load_model
from fanlight.compiler import CompileOptions, compile
from fanlight.compiler.program import Limits, Slice
from fanlight.driver import run
from fanlight.engine import SamplingParams
from fanlight.engine.load import compile_model
from fanlight.errors import KernelFailed
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.kernels import gemm_matrix
from fanlight.kernels.known import Known
from fanlight.models import open_model
from fanlight.runtime import self_test
from fanlight.runtime.adapter_notes import open_notes
from fanlight.runtime.native import NativeDevice
from fanlight.runtime.notes import FileNotes, MemoryNotes
from fanlight.runtime.self_test import SAFE, check_kernels, checks_of, kernel_hash, replacements
from scripts.golden import tiny_gguf
from tests.compiler.models import Shape, make_model
from tests.models.records import read_record

NAME = "llama-Q4_K_M"

# What a driver might get wrong: text of a kernel -> what it does instead
FAULTS = {
    "attention_decode": ("exp(score_at(h, p, place) -", "exp(0.9 * score_at(h, p, place) -"),
    "attention_prefill": ("exp(", "0.9 * exp("),
    "embed": ("value4(values, j)", "value4(values, j / 2u)"),
    "gemm_int8": ("dot4I8Packed(", "2 * dot4I8Packed("),
    "gemv_int8": ("dot4I8Packed(w.w, x.w)", "dot4I8Packed(w.w, x.z)"),
    "logits": ("x -= frequency", "x += frequency"),
    "quantize": ("& vec4<u32>(0xffu)", "& vec4<u32>(0xfeu)"),
    "norm_int8": ("EPS)", "EPS + 1.0)"),
    "rope_kv": ("pair.x * t.y + pair.y * t.x", "pair.x * t.y - pair.y * t.x"),
    "sample": ("prefix |= found.x", "prefix |= 0u * found.x"),
    "upload": ("<< 16u)", "<< 15u)"),
    "upload_vector": ("params[1] + row", "params[1] + (row ^ 1u)"),
}


class Faulty(NativeDevice):
    """Computes kernels of some stems wrongly."""

    def __init__(self, *stems: str):
        super().__init__()
        self.stems, self.broken = stems, set()

    def _pipeline(self, kernel):
        stem = kernel.name.split(".")[0]
        if stem in self.stems:
            right, wrong = FAULTS[stem]
            assert right in kernel.wgsl, f"{stem} has no {right!r} any more: choose another fault"
            self.broken.add(stem)
            kernel = replace(kernel, wgsl=kernel.wgsl.replace(right, wrong))
        return super()._pipeline(kernel)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tiny_gguf.make_gguf(NAME, tmp_path_factory.mktemp("model") / f"{NAME}.gguf")


@pytest.fixture(scope="module")
def program(path):
    model = run(open_model(run(open_checkpoint(run(resolve_model(path))))))
    device = NativeDevice()
    yield compile_model(model, device.limits, LoadOptions(context_length=128))
    device.close()


def stems_of(program, verdicts) -> set[str]:
    """Of kernels that are said to be wrong."""
    return {spec.name.split(".")[0] for spec in program.kernels if verdicts.get(kernel_hash(spec))}


def test_a_sound_device_passes_and_every_kernel_is_tested(program):
    device = NativeDevice()
    run(device.prepare(program))
    verdicts = run(check_kernels(program, device, checks_of(program)))
    assert set(verdicts) == {kernel_hash(spec) for spec in program.kernels}
    assert not any(verdicts.values()), verdicts
    device.close()


def test_nothing_that_the_test_wrote_stays(program):
    device = NativeDevice()
    run(device.prepare(program))
    before = {b.name: run(device.read(b.name, 0, b.size)) for b in program.buffers}
    run(check_kernels(program, device, checks_of(program)))
    for buffer in program.buffers:
        assert run(device.read(buffer.name, 0, buffer.size)) == before[buffer.name], buffer.name
    device.close()


@pytest.mark.parametrize("stem", FAULTS)
def test_a_wrong_kernel_is_found_and_no_other(program, stem):
    device = Faulty(stem)
    run(device.prepare(program))
    verdicts = run(check_kernels(program, device, checks_of(program)))
    assert device.broken == {stem} and stems_of(program, verdicts) == {stem}
    device.close()


def test_wrong_matrices_cost_no_other_feature():
    limits = Limits(max_compute_workgroup_storage_size=32 << 10, features=frozenset(gemm_matrix.FEATURES))
    shape = Shape(hidden=256, intermediate=4096, vocab=64, formats=("Q4_0",))
    program = compile(make_model(shape), limits, CompileOptions(context_length=512))
    wrong = {kernel_hash(spec): "nonsense" for spec in program.kernels if "gemm_matrix" in spec.name}
    assert wrong and replacements(program, wrong, frozenset()) == {gemm_matrix.MATRICES}


@pytest.mark.parametrize(
    ("stem", "formats"), [("add_parts", ("Q4_0", "Q8_0")), ("add_parts_norm", ("Q4_0",)), ("add_parts_rope", ("Q4_0",))]
)
def test_wrong_sums_of_parts_cost_the_products_that_leave_them(stem, formats):
    """Where q, k and v differ in format, their products stay apart, and what rotates them finds them summed."""
    limits = Limits(max_compute_workgroup_storage_size=32 << 10, features=frozenset(gemm_matrix.FEATURES))
    shape = Shape(layers=2, heads=24, kv_heads=8, head_dim=64, hidden=1536, intermediate=4096, vocab=64, formats=formats)
    model = make_model(shape)
    options = CompileOptions(context_length=512)
    program = compile(model, limits, options)
    wrong = {kernel_hash(spec): "nonsense" for spec in program.kernels if spec.name.split(".")[0] == stem}
    without = replacements(program, wrong, frozenset())
    assert wrong and without == {"gemm_matrix"}
    stems = {spec.name.split(".")[0] for spec in compile(model, limits, replace(options, without=without)).kernels}
    assert not stems & {"gemm_matrix", "add_parts", "add_parts_norm", "add_parts_rope"}


def answer(path, device, store) -> tuple[list[int], dict]:
    record = read_record("llamacpp", NAME)
    checkpoint, told = run(open_checkpoint(run(resolve_model(path)))), []
    notes = run(open_notes(store, device))
    options = LoadOptions(context_length=len(record.prompt) + len(record.greedy) + 1)
    loaded = run(load_model(checkpoint, device, options, lambda phase, done, total: told.append(phase), notes=notes))
    sequence = loaded.engine.submit(
        record.prompt, SamplingParams(temperature=0, max_tokens=len(record.greedy), ignore_eos=True)
    )
    while not sequence.is_finished:
        run(loaded.engine.wait([sequence]))
        sequence.take()
    loaded.close()
    assert sequence.generated_token_ids == record.greedy
    return told, loaded.info["kernels"]


@pytest.mark.parametrize("stems", [("gemv_int8",), ("gemm_int8",), ("attention_decode", "attention_prefill"), ("quantize",)])
def test_the_model_runs_without_wrong_kernels(path, stems):
    told, kernels = answer(path, Faulty(*stems), MemoryNotes())
    assert set(kernels["without"]) == {SAFE[stem] for stem in stems}
    assert "replace" in told and kernels["wrong"]


def test_a_model_is_tested_whatever_was_compiled_before(path):
    """A longer context's kernels may have the same text."""
    model, device = run(open_model(run(open_checkpoint(run(resolve_model(path)))))), NativeDevice()
    compile_model(model, device.limits, LoadOptions(context_length=128))
    device.close()
    assert answer(path, Faulty("gemm_int8"), MemoryNotes())[1]["without"] == ["gemm_int8"]


def test_the_model_runs_without_kernels_that_do_not_compile(path, monkeypatch):
    monkeypatch.setitem(FAULTS, "gemm_int8", ("fn main(", "fn main(("))
    _, kernels = answer(path, Faulty("gemm_int8"), MemoryNotes())
    assert kernels["without"] == ["gemm_int8"] and "did not compile" in kernels["wrong"][0]


def test_a_wrong_kernel_that_nothing_replaces_is_an_error_in_words(path):
    with pytest.raises(KernelFailed, match=r"does not compute embed as it should.*expected"):
        answer(path, Faulty("embed"), MemoryNotes())


def test_verdicts_are_remembered(path, tmp_path, monkeypatch):
    store = FileNotes(str(tmp_path / "notes"))
    first = answer(path, Faulty("gemv_int8"), store)
    checked = []
    monkeypatch.setattr("fanlight.runtime.self_test.check_launch", lambda *arguments: checked.append(arguments))
    told, kernels = answer(path, Faulty("gemv_int8"), store)
    assert not checked and kernels == first[1] and "replace" in told


def test_notes_that_are_damaged_are_found_out_anew(tmp_path):
    device, store = NativeDevice(), FileNotes(str(tmp_path))
    notes = run(open_notes(store, device))
    for text in ("", "{", '{"verdicts": 3}', "[]", '{"verdicts": {"a": ""}, "cuts": {"b": 1}}'):
        (tmp_path / notes.name).write_text(text)
        assert run(open_notes(store, device)).cuts == {}
    device.close()


def test_inputs_that_are_one_value_are_not_judged_by_bytes_of_their_own():
    """y = W x + x: the answer that is known is of two different inputs."""
    apart = {"x": Slice("a", 0, 64), "epilogue0": Slice("b", 0, 64)}
    known = Known(writes=[("x", 0, bytes(8)), ("x", 4, b"\1" * 4), ("epilogue0", 4, b"\2" * 4)])
    assert not self_test._clashes(known, apart)
    assert self_test._clashes(known, {**apart, "epilogue0": Slice("a", 0, 64)})
    assert not self_test._clashes(known, {**apart, "epilogue0": Slice("a", 32, 32)})
