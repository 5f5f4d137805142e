"""Graphs with experts, compiled and run: logits of NumPy's device and of the native adapter are those of `evaluate`, with gate
and up joined or not, biases, weights that are split by experts, few rows and many."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from fanlight.compiler import CompileOptions, compile
from fanlight.compiler.graph import Graph, Node, make
from fanlight.compiler.ops import evaluate
from fanlight.compiler.program import Limits, Program, Row, Sample, pack_inputs
from fanlight.driver import run
from fanlight.errors import DoesNotFit
from fanlight.kernels.expressions import silu
from fanlight.models import layers
from fanlight.runtime import open_device
from fanlight.runtime.device import Device
from tests.compiler.graphs import VOCAB, Book, RandomConfig

FLOATS = CompileOptions(96, max_num_seqs=3, kv_tokens=96, kv_dtype="f32", activations="f32", max_rows=80)
INTEGERS = replace(FLOATS, activations="int8")
SMALL = Limits(max_storage_buffer_binding_size=120 << 10, max_buffer_size=1 << 20)
TOKENS = [(7 * i + 3) % VOCAB for i in range(80)]


@dataclass(frozen=True, slots=True)
class WithExperts:
    """A router that reads embeddings, so that no rounding changes what it chooses, and its experts."""

    format: str = "F32"
    top_k: int = 3
    has_bias: bool = False
    normalize: bool = True
    groups: int = 1
    other_format: str = ""  # of the up matrices
    config: RandomConfig = field(default_factory=RandomConfig)
    count: int = 6
    hidden: int = 64
    size: int = 96

    def written(self, rows: int, samples: int) -> tuple[Graph, Book]:
        book, top_groups = Book(3), max(1, self.groups - 1)
        x = make("embed", {"weight": book.matrix(VOCAB, self.hidden)}, (rows, self.hidden), "embed")
        y = layers.rms_norm(x, book.vector(self.hidden), 1e-5)
        logits = make("linear", {"x": y, "weight": book.matrix(self.count, self.hidden)}, (rows, self.count), "router")
        options = {"normalize": self.normalize, "groups": self.groups, "top_groups": top_groups}
        chosen = layers.route(logits, self.top_k, bias=book.vector(self.count) if self.has_bias else None, **options)
        gate = self.product("experts", y, chosen, book, self.size, self.format)
        up = self.product("experts", y, chosen, book, self.size, self.other_format or self.format)
        x = self.product("experts_sum", silu(gate) * up, chosen, book, self.hidden, self.format) + x
        x = layers.attend(x, x, x, 0, 4, 4)  # for which every row is needed
        x = layers.sampled_rows(x * book.vector(self.hidden), samples)
        head = make("linear", {"x": x, "weight": book.matrix(VOCAB, self.hidden)}, (samples, VOCAB), "head")
        return Graph(layers.sample(head), rows, samples), book

    def product(self, op: str, x: Node, chosen: Node, book: Book, size: int, format: str) -> Node:
        cols = x.shape[1] // (self.top_k if op == "experts_sum" else 1)
        inputs = {"x": x, "route": chosen, "weight": book.matrix(self.count * size, cols, format)}
        if self.has_bias and op == "experts":
            inputs["bias"] = book.vector(self.count * size)
        columns = size if op == "experts_sum" else self.top_k * size
        return make(op, inputs, (x.shape[0], columns), op, experts=self.count, top_k=self.top_k)

    def image_graph(self) -> None:
        """It does not see."""

    def sound_graph(self) -> None:
        """It does not hear."""

    def graph(self, rows: int, samples: int, context_length: int) -> Graph:
        return self.written(rows, samples)[0]


MODELS = {
    "joined": WithExperts(),
    "shares as they are": WithExperts(normalize=False, top_k=2),
    "groups": WithExperts(groups=3, top_k=4),
    "bias": WithExperts(has_bias=True),
    "Q8_0": WithExperts("Q8_0"),
    "apart": WithExperts("Q4_0", other_format="Q8_0"),
}
VARIANTS = {
    "floats": (FLOATS, Limits(), 1e-5),
    "integers": (INTEGERS, Limits(), 0.03),
    "small buffers": (FLOATS, SMALL, 1e-5),
    "integers in small buffers": (INTEGERS, SMALL, 0.03),
}


def errors(model: WithExperts, program: Program, device: Device) -> Iterator[float]:
    """Of steps of few rows and of many, as a share of the largest logit."""
    run(device.prepare(program))
    run(device.load([model.written(1, 1)[1].source()], lambda done, total: None))
    pages = np.arange(program.max_num_seqs * program.max_blocks_per_seq, dtype=np.uint32)
    device.write("block_table", 0, (pages % program.num_blocks).tobytes())
    for rows, samples in ((1, 1), (3, 3), (20, 2), (min(70, program.max_rows), 3)):
        step = program.step_for(rows, samples)
        record = [Row(token, at, 1) for at, token in enumerate(TOKENS[:rows])]
        ends = [Sample(rows - samples + i, 1) for i in range(samples)]
        run(device.result(device.submit(step.name, pack_inputs(record, ends, program.max_num_seqs))))
        logits = np.frombuffer(run(device.read("logits", 0, 4 * samples * VOCAB)), np.float32).reshape(samples, VOCAB)
        graph, book = model.written(rows, samples)
        truth = evaluate(graph, TOKENS[:rows], book.read)
        yield float(np.abs(logits - truth).max() / np.abs(truth).max())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", MODELS)
def test_numpy_computes_what_the_graph_means(name: str, variant: str) -> None:
    options, limits, tolerance = VARIANTS[variant]
    program = compile(MODELS[name], limits, options)
    assert max(errors(MODELS[name], program, open_device("reference"))) < tolerance
    is_split = any("[" in upload.launch.where for upload in program.uploads)
    assert is_split == (limits is SMALL and MODELS[name].format == "F32")


@pytest.mark.parametrize(("name", "variant"), [("bias", "floats"), ("Q8_0", "integers"), ("joined", "small buffers")])
def test_an_adapter_computes_what_the_graph_means(name: str, variant: str) -> None:
    options, limits, tolerance = VARIANTS[variant]
    device = open_device("native", limits)
    try:
        program = compile(MODELS[name], device.limits, options)
        assert max(errors(MODELS[name], program, device)) < tolerance
    finally:
        device.close()


def test_gate_and_up_are_one_launch() -> None:
    program = compile(MODELS["Q8_0"], Limits(), INTEGERS)
    for step in program.steps:
        kinds = [launch.kernel.partition(".")[0] for launch in step.launches]
        product = "gemm_int8" if step.rows > 8 else "gemv_int8"
        assert kinds.count(product) == 2 and kinds.count("route") == (step.rows > 8), kinds


def test_an_expert_that_no_binding_holds_is_refused() -> None:
    with pytest.raises(DoesNotFit, match="experts"):
        compile(MODELS["joined"], Limits(max_storage_buffer_binding_size=40 << 10, max_buffer_size=1 << 20), FLOATS)
