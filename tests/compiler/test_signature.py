"""What steps read and give: outputs are what the model's own graph means, inputs are what the kernels' text reads."""

import re
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fanlight.compiler import CompileOptions, compile
from fanlight.compiler.graph import Graph
from fanlight.compiler.ops import evaluate
from fanlight.compiler.program import Limits, Program, Row, Sample, Step, pack_inputs
from fanlight.compiler.signature import OUTPUTS, hidden_of
from fanlight.driver import run
from fanlight.errors import UnsupportedModel
from fanlight.formats.source import BytesSource
from fanlight.kernels import gemm_matrix
from fanlight.kernels.spec import MADE
from fanlight.models import layers
from fanlight.runtime import open_device
from fanlight.runtime.device import Device
from tests.compiler.graphs import VOCAB, Book, RandomModel
from tests.compiler.models import Shape, make_model

EXACT = CompileOptions(context_length=64, max_num_seqs=2, max_rows=32, kv_dtype="f32", activations="f32", outputs=OUTPUTS)
MATRICES = Limits(max_compute_workgroup_storage_size=48 << 10, features=frozenset(gemm_matrix.FEATURES))
LOUD = {"temperature": 0.7, "repetition_penalty": 1.5, "presence_penalty": 0.5, "seed": 3}  # changes all logits in place


@pytest.fixture(scope="module", params=["native", "reference"])
def device(request) -> Device:
    opened = open_device(request.param)
    yield opened
    opened.close()


def read_outputs(device: Device, step: Step) -> dict[str, np.ndarray]:
    made = {}
    for output in step.outputs:
        data = run(device.read(output.buffer, 0, output.size))
        made[output.name] = np.frombuffer(data, {"u32": np.uint32, "f32": np.float32}[output.dtype]).reshape(output.shape)
    return made


def outputs_after(program: Program, device: Device, tokens: list[int], sampled: list[int]) -> dict[str, np.ndarray]:
    """Of one step of slot 1, whose rows `sampled` are sampled for it and, where there are two, for slot 0."""
    blocks = list(range(program.max_blocks_per_seq)) * 2
    device.write("block_table", 0, struct.pack(f"<{len(blocks)}I", *blocks))
    samples = [Sample(row, 1 - i, **LOUD) for i, row in enumerate(sampled)]
    step = program.step_for(len(tokens), len(samples))
    record = pack_inputs([Row(token, i, 1) for i, token in enumerate(tokens)], samples, program.max_num_seqs)
    ids = run(device.result(device.submit(step.name, record)))
    found = read_outputs(device, step)
    assert found["sampled"][: len(sampled)].tolist() == ids[: len(sampled)]
    return {name: value[: len(sampled)] for name, value in found.items()}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("count", "sampled"), [(1, 1), (2, 2), (7, 1), (11, 2)])
def test_outputs_are_what_the_graph_means(device, seed, count, sampled):
    model = RandomModel(seed, 5)
    program = compile(model, replace(device.limits, features=frozenset()), EXACT)
    book = model.book()
    run(device.prepare(program))
    run(device.load([BytesSource("weights", bytes(book.data))], lambda done, total: None))
    tokens = [int(t) for t in np.random.default_rng(seed).integers(0, VOCAB, count)]
    found = outputs_after(program, device, tokens, list(range(count - sampled, count)))
    graph = model.graph(count, sampled, EXACT.context_length)
    for name, node in (("logits", graph.root["x"]), ("hidden", hidden_of(graph.root["x"]))):
        truth = evaluate(Graph(node, count, sampled), tokens, book.read)
        assert found[name].shape == truth.shape
        assert np.abs(found[name] - truth).max() < 1e-3 * np.abs(truth).max(), name


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), limits=st.sampled_from((Limits(), MATRICES)), activations=st.sampled_from(("f32", "int8")))
@example(seed=15894, limits=Limits(), activations="int8")  # a map of six operands before a product in integers
@example(seed=37494, limits=Limits(), activations="int8")  # a product of many rows with three operands at its end
def test_any_model_can_be_asked_for_outputs(seed, limits, activations):
    options = CompileOptions(context_length=256, max_num_seqs=3, max_rows=256, activations=activations)
    without = compile(RandomModel(seed, 4), limits, options)
    program = compile(RandomModel(seed, 4), limits, replace(options, outputs=OUTPUTS))
    for step, plain in zip(program.steps, without.steps, strict=True):
        always = [("sampled", "u32", step.samples), ("logprobs", "f32", step.samples)]
        assert [(o.name, o.dtype, o.shape[0]) for o in plain.outputs] == always
        assert {o.name for o in step.outputs} == {*OUTPUTS, "logprobs"}
        assert step.output("logits").shape == (step.samples, VOCAB)
        assert all(o.size <= program.buffer(o.buffer).size for o in step.outputs)
        writers = [b.buffer for x in step.launches for b in x.bindings if b.buffer.startswith("output.")]
        assert sorted(writers) == ["output.hidden", "output.logits"]
    assert Program.from_json(program.to_json()) == program


@pytest.mark.parametrize("shape", [Shape(), Shape("qwen3", layers=1), Shape("qwen2", bias=True, tied=True)])
@pytest.mark.parametrize("limits", [Limits(), MATRICES])
def test_one_copy_is_all_that_logits_cost(shape, limits):
    plain, asked = (compile(make_model(shape), limits, CompileOptions(256, 2, outputs=o)) for o in (OUTPUTS[:1], OUTPUTS[:2]))
    for step, other in zip(asked.steps, plain.steps, strict=True):
        launches = [launch for launch in step.launches if not any(b.buffer == "output.logits" for b in launch.bindings)]
        assert len(launches) == len(other.launches) == len(step.launches) - 1
        assert [x.grid for x in launches] == [x.grid for x in other.launches]


def test_log_probabilities_cost_nothing_where_nobody_asks():
    program = compile(make_model(Shape()), Limits(), CompileOptions(256, 2))
    for step in program.steps:
        more = [launch for launch in step.launches_for("logprobs") if launch not in step.launches_for()]
        # Of the logits as the model makes them, and as a token is drawn from them.
        assert [launch.kernel.split(".")[0] for launch in more] == ["rank", "rank", "logprobs"]
        assert len(step.launches_for("logprobs")) == len(step.launches) == len(step.launches_for()) + 3


READ = {"token_of": "tokens", "position_of": "positions", "slot_of": "slots"}


def read_by(wgsl: str) -> set[str]:
    """What of a record the kernel's text reads, besides how many rows there are."""
    read = {"samples"} if "SAMPLES_AT" in wgsl else set()
    if "lib/row.wgsl" not in MADE[wgsl].files:
        return read
    calls = re.findall(r"(?<!fn )\b(token_of|position_of|slot_of)\(", wgsl)
    return read | {READ[name] for name in calls}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), limits=st.sampled_from((Limits(), MATRICES)))
def test_inputs_are_what_kernels_read(seed, limits):
    program = compile(RandomModel(seed, 4), limits, CompileOptions(context_length=256, max_num_seqs=3, max_rows=256))
    texts = {kernel.name: kernel.wgsl for kernel in program.kernels}
    for step in program.steps:
        assert set(step.inputs) == set().union(*(read_by(texts[launch.kernel]) for launch in step.launches)), step.name


def test_what_cannot_be_given_is_refused():
    for outputs, words in ((("sampled", "logit"), "no logit;"), (("logits",), "'sampled' among")):
        with pytest.raises(UnsupportedModel, match=words):
            compile(make_model(Shape()), Limits(), CompileOptions(256, 2, outputs=outputs))
    book = Book(0)
    x = layers.embed(_Matrix(book), 1, 8, 32)
    with pytest.raises(UnsupportedModel, match="one product"):
        hidden_of(x * 2.0)


class _Matrix:
    name = "embed"

    def __init__(self, book: Book) -> None:
        self.matrix = book.matrix
