"""What every WebGPU adapter offers is enough, and so is less: under the limits of tests/adapters the models answer as
transformers and llama.cpp did, and no kernel of any of them asks for more than its adapter has."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import fanlight
from fanlight.compiler import CompileOptions, compile
from fanlight.compiler.program import Limits
from fanlight.compiler.verify import check_program
from fanlight.errors import KernelFailed
from fanlight.kernels.wgsl import needs_of
from fanlight.runtime import read_limits
from scripts.golden import tiny_gguf, tiny_models
from tests.compiler.models import Shape, make_model
from tests.models.devices import on_devices
from tests.models.records import read_record
from tests.models.test_models import context_of

ADAPTERS = Path(__file__).parents[1] / "adapters"
MINIMUM, SMALL_BUFFERS = (ADAPTERS / f"{name}.json" for name in ("minimum", "small_buffers"))


def test_the_minimum_is_what_webgpu_promises() -> None:
    assert read_limits(str(MINIMUM)) == Limits()


# --- tokens ----------------------------------------------------------------------------------------------------------
NATIVELY = {"llama-plain", "qwen2-groups7", "qwen3-tied", "llama-Q4_K_M", "llama-narrow-Q4_0", "qwen3-Q8_0"}


@pytest.mark.parametrize(("name", "device"), on_devices(tiny_models.CASES, NATIVELY), indirect=["device"])
def test_the_minimum_gives_transformers_tokens(name, device, checkpoints, load_model, monkeypatch) -> None:
    monkeypatch.setenv("FANLIGHT_ADAPTER", str(MINIMUM))
    record = read_record("transformers", name)
    model = load_model(tiny_models.make_checkpoint(name, checkpoints / name), context_of(record))
    assert model.device.limits == Limits()
    assert model.greedy(record.prompt, len(record.greedy)) == record.greedy


@pytest.mark.parametrize(("name", "device"), on_devices(tiny_gguf.CASES, NATIVELY), indirect=["device"])
def test_the_minimum_gives_llamacpps_tokens(name, device, checkpoints, load_model, monkeypatch) -> None:
    monkeypatch.setenv("FANLIGHT_ADAPTER", str(MINIMUM))
    record = read_record("llamacpp", name)
    model = load_model(tiny_gguf.make_gguf(name, checkpoints / f"{name}.gguf"), context_of(record))
    assert model.greedy(record.prompt, len(record.greedy)) == record.greedy


@pytest.mark.parametrize("name", ["llama-plain", "llama-bias", "llama-rope-llama3", "qwen2-groups7", "qwen3-tied"])
def test_small_buffers_give_the_same_tokens(name, checkpoints, load_model, monkeypatch) -> None:
    monkeypatch.setenv("FANLIGHT_ADAPTER", str(SMALL_BUFFERS))
    record = read_record("transformers", name)
    model = load_model(tiny_models.make_checkpoint(name, checkpoints / name), context_of(record))
    program = model.engine.program
    bound = [place for step in program.steps for launch in step.launches for place in launch.bindings]
    assert max(place.size for place in bound) <= 160 << 10
    assert any("[" in upload.launch.where for upload in program.uploads), "no weight was split"
    assert model.greedy(record.prompt, len(record.greedy)) == record.greedy


def test_the_minimum_gives_the_built_in_models_tokens(monkeypatch) -> None:
    monkeypatch.setenv("FANLIGHT_ADAPTER", str(MINIMUM))
    record = json.loads((Path(__file__).parents[1] / "builtin" / "greedy.json").read_text())
    prompts = record["prompts"][::7]
    with fanlight.load("built-in", context_length=512, max_num_seqs=4) as engine:
        answer = engine.completions.create(
            prompt=[p["prompt_ids"] for p in prompts], temperature=0, max_tokens=record["max_tokens"], return_token_ids=True
        )
    assert [choice.token_ids for choice in answer.choices] == [prompt["ids"] for prompt in prompts]


# --- what the compiler emits -----------------------------------------------------------------------------------------
MODELS = {
    "1B": Shape(layers=1, heads=32, kv_heads=8, head_dim=64, hidden=2048, intermediate=8192, vocab=128256, tied=True),
    "3B": Shape(layers=1, heads=24, kv_heads=8, head_dim=128, hidden=3072, intermediate=8192, vocab=128256, tied=True),
    "7B": Shape(
        "qwen2", layers=1, heads=28, kv_heads=4, head_dim=128, hidden=3584, intermediate=18944, vocab=152064, bias=True
    ),
    "8B": Shape(layers=1, heads=32, kv_heads=8, head_dim=128, hidden=4096, intermediate=14336, vocab=128256),
    "32B": Shape("qwen3", layers=1, heads=64, kv_heads=8, head_dim=128, hidden=5120, intermediate=25600, vocab=151936),
    "ragged": Shape(layers=2, heads=7, kv_heads=1, head_dim=80, hidden=98, intermediate=61, vocab=211),
}
FORMATS = {"Q4_0": ("Q4_0",), "mixed": ("Q6_K", "Q4_K", "Q8_0", "Q3_K"), "F16": ("F16",), "F32": ("F32",)}
LIMITS = {
    "minimum": Limits(),
    "all features": Limits(features=frozenset({"shader-f16", "subgroups", "timestamp-query"})),
    "large": Limits(1 << 32, 1 << 32, 16, 64 << 10, 1024, 65535, 32, frozenset({"shader-f16", "subgroups"})),
}


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("formats", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("shape", MODELS.values(), ids=MODELS)
def test_kernels_honour_their_limits(shape, formats, limits) -> None:
    """Judged here, not by `compile`, whose own check must never be what saves the day."""
    if shape.hidden % 256 and formats not in (("F16",), ("F32",)):
        pytest.skip("no whole blocks")
    if shape is MODELS["32B"] and formats == ("F32",):
        pytest.skip("one matrix alone exceeds a binding, and is refused")
    options = CompileOptions(context_length=4096, max_num_seqs=4)
    program = compile(make_model(replace(shape, formats=formats)), limits, options)
    for spec in program.kernels:
        needs = needs_of(spec.wgsl)
        assert len(spec.access) <= limits.max_storage_buffers_per_shader_stage, spec.name
        assert needs.workgroup_bytes <= limits.max_compute_workgroup_storage_size, spec.name
        assert needs.num_invocations <= limits.max_compute_invocations_per_workgroup, spec.name
        assert set(spec.features) <= limits.features, spec.name
    for launch in (launch for step in program.steps for launch in step.launches):
        assert max(launch.grid) <= limits.max_compute_workgroups_per_dimension, launch
        assert max(place.size for place in launch.bindings) <= limits.max_storage_buffer_binding_size, launch
    assert max(buffer.size for buffer in program.buffers) <= limits.max_buffer_size


def test_what_no_kernel_fits_is_refused_in_words() -> None:
    too_small = Limits(max_compute_workgroup_storage_size=8 << 10)
    with pytest.raises(KernelFailed, match="bytes of workgroup memory, the adapter has 8,192"):
        compile(make_model(MODELS["1B"]), too_small, CompileOptions(context_length=256))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_storage_buffers_per_shader_stage", 4, "storage buffers, the adapter has 4"),
        ("max_compute_invocations_per_workgroup", 64, "invocations in a workgroup, the adapter has 64"),
        ("max_compute_workgroups_per_dimension", 3, "the adapter has 3 a dimension"),
        ("max_buffer_size", 1000, "the adapter has 1,000"),
        ("max_storage_buffer_binding_size", 1000, "binds"),
    ],
)
def test_a_program_beyond_its_limits_is_caught(name, value, words) -> None:
    program = compile(make_model(Shape()), Limits(), CompileOptions(context_length=64))
    with pytest.raises(KernelFailed, match=words):
        check_program(program, replace(Limits(), **{name: value}))
