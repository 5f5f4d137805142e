"""Random models (graphs.py), compiled and run: logits of NumPy's device, of the native adapter and of SwiftShader in Chromium
are those of `evaluate`, which knows neither kernels nor pages of a cache.

Adapters take seconds to compile each model's pipelines: all but a few seeds are for those who have minutes."""

import base64
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fanlight.compiler import CompileOptions, compile
from fanlight.compiler.graph import Graph, make
from fanlight.compiler.ops import evaluate
from fanlight.compiler.program import Limits, Program, Row, Sample, pack_inputs
from fanlight.compiler.tuning import Tuning, start_of
from fanlight.driver import run
from fanlight.kernels import cases, gemm_matrix
from fanlight.kernels.expressions import silu
from fanlight.models import layers
from fanlight.runtime import open_device
from fanlight.runtime.device import Device
from tests.compiler.graphs import VOCAB, Book, RandomConfig, RandomModel, Writer, random_graph
from tests.web.browser import Served, serve

SEEDS = range(25)
ADAPTER_SEEDS = range(17)
FEW_SEEDS = (4, 9, 14, 16)  # with attention of all kinds
SLOT, OTHER_SLOT = 1, 2


# --- what is run -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Variant:
    """How to compile; and how far from `evaluate` the logits may then be, as a share of the largest."""

    options: CompileOptions
    limits: Limits = Limits()  # noqa: RUF009
    tolerance: float = 1e-5
    head_unit: int = 8


FLOATS = CompileOptions(64, max_num_seqs=3, kv_tokens=64, kv_dtype="f32", activations="f32", max_rows=16)
LONG = replace(FLOATS, context_length=512)  # whose attention is split
MANY_ROWS = replace(LONG, kv_tokens=160, max_rows=128)
SMALL, TEN = 20 << 10, Limits(max_storage_buffers_per_shader_stage=10)
FEATURES = Limits(max_compute_workgroup_storage_size=48 << 10, features=frozenset((*gemm_matrix.FEATURES, "shader-f16")))
ROUNDED = 0.06  # by integers; a lost scale or a wrong row is farther away
VARIANTS = {
    "floats": Variant(FLOATS),
    "split attention": Variant(LONG),
    "many rows": Variant(MANY_ROWS),
    "small buffers": Variant(
        replace(FLOATS, kv_tokens=48, block_size=8, max_rows=12),
        Limits(max_storage_buffer_binding_size=SMALL, max_buffer_size=SMALL),
    ),
    "ten buffers": Variant(FLOATS, TEN),
    "f16 cache": Variant(replace(FLOATS, kv_dtype="f16"), tolerance=2e-3),
    "integers": Variant(replace(FLOATS, activations="int8"), tolerance=ROUNDED),
    "split attention, integers": Variant(replace(LONG, activations="int8"), TEN, ROUNDED),
    "all features": Variant(
        replace(MANY_ROWS, activations="int8", kv_dtype="f16", tuning=Tuning(start_of("apple"))), FEATURES, ROUNDED
    ),
}


def model_of(seed: int, head_unit: int = 8) -> RandomModel:
    return RandomModel(seed, steps=1 + seed % 6, head_unit=head_unit)


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens of one sequence in a step: those from `first` to `end`, the last `samples` of which are sampled."""

    first: int
    end: int
    samples: int
    slot: int = SLOT

    @property
    def tokens(self) -> list[int]:
        return [(7 * i + 3 * self.slot) % VOCAB for i in range(self.end)]

    def rows(self) -> list[Row]:
        return [Row(token, at, self.slot) for at, token in enumerate(self.tokens)][self.first :]

    def error(self, model: RandomModel, logits: np.ndarray) -> float:
        """As a share of the largest of the truth."""
        truth = truth_of(model, self)
        return float(np.abs(logits - truth).max() / np.abs(truth).max())


@lru_cache(maxsize=1024)
def truth_of(model: RandomModel, part: Part) -> np.ndarray:
    graph, book = random_graph(model.seed, part.end, part.samples, model.steps, model.head_unit)
    return evaluate(graph, part.tokens, book.read)


WHOLE = [[Part(0, 1, 1)], [Part(0, 2, 2)], [Part(0, 12, 2)]]
# A prompt in two steps, then a token, two, and one beside another sequence's prompt.
IN_PARTS = [
    [Part(0, 5, 1)],
    [Part(5, 16, 2)],
    [Part(16, 17, 1)],
    [Part(17, 19, 2)],
    [Part(19, 20, 1), Part(0, 9, 1, OTHER_SLOT)],
]
MANY = [[Part(0, 70, 2)]]


def steps_of(model: RandomModel, program: Program) -> list[list[Part]]:
    """In one step what needs all tokens at once."""
    sees_all = any(node.op in ("attend_all", "pool") for node in model.graph(1, 1, 64).nodes())
    return WHOLE + (MANY if program.max_rows >= 70 else []) + ([] if sees_all else IN_PARTS)


def record_of(parts: list[Part], program: Program) -> tuple[str, bytes, int]:
    """The step's name, its record, how many samples it has."""
    rows, samples = [], []
    for part in parts:
        rows += part.rows()
        samples += [Sample(len(rows) - part.samples + i, part.slot) for i in range(part.samples)]
    return program.step_for(len(rows), len(samples)).name, pack_inputs(rows, samples, program.max_num_seqs), len(samples)


def block_table(program: Program, seed: int) -> bytes:
    """Of two sequences, which have half the pages each, in no order."""
    table = np.zeros((program.max_num_seqs, program.max_blocks_per_seq), np.uint32)
    pages = np.random.default_rng(seed).permutation(program.num_blocks).reshape(2, -1)
    table[[SLOT, OTHER_SLOT], : pages.shape[1]] = pages
    return table.tobytes()


def compiled(seed: int, variant: Variant, limits: Limits | None = None) -> Program:
    return compile(model_of(seed, variant.head_unit), limits or variant.limits, variant.options)


def answers_of(device: Device, program: Program, seed: int, head_unit: int = 8) -> Iterator[tuple[list[int], bytes]]:
    """Of each step: the sampled tokens, and the bytes of their logits."""
    model = model_of(seed, head_unit)
    run(device.prepare(program))
    run(device.load([model.book().source()], lambda done, total: None))
    device.write("block_table", 0, block_table(program, seed))
    for parts in steps_of(model, program):
        name, record, samples = record_of(parts, program)
        sampled = run(device.result(device.submit(name, record)))
        yield sampled, run(device.read("logits", 0, 4 * samples * VOCAB))


def check(
    answers: Iterable[tuple[list[int], bytes]], program: Program, seed: int, tolerance: float, head_unit: int = 8
) -> None:
    model = model_of(seed, head_unit)
    for parts, (sampled, data) in zip(steps_of(model, program), answers, strict=True):
        logits = np.frombuffer(data, np.float32).reshape(-1, VOCAB)
        assert logits.argmax(axis=1).tolist() == sampled[: len(logits)]
        ends = np.cumsum([part.samples for part in parts])
        for part, own in zip(parts, np.split(logits, ends[:-1]), strict=True):
            assert part.error(model, own) < tolerance, parts  # not a number is not below


# --- in NumPy --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_numpy_computes_what_the_graph_means(seed: int, variant: str) -> None:
    program = compiled(seed, VARIANTS[variant])
    check(answers_of(open_device("reference"), program, seed), program, seed, VARIANTS[variant].tolerance)


UNREACHED = {"add_parts", "add_parts_norm", "add_parts_rope", "attention_matrix", "gemm_matrix", "stream", "upload_nibbles"}
UNREACHED |= {"upload_columns", "upload_values"}  # of other weight formats
UNREACHED |= {"route", "order", "mix"}  # test_experts.py
UNREACHED |= {"round_rows"}  # of whose results a few may be rounded to the other side
UNREACHED |= {"attention_append"}  # tests/engine/test_company.py
# Of models that see and hear, whose steps are of a kind of their own, and of adapters of weights
UNREACHED |= {"patches", "keep_images", "put_images", "stretch"}
UNREACHED |= {"mel", "level", "unfold", "keep", "attention_kept", "timestamps", "lora_scale"}


def test_the_seeds_reach_the_kernels() -> None:
    """All but those of large products, which a small model has none of, and of weights whose fields lie apart."""
    programs = [compiled(seed, variant) for seed in SEEDS for variant in VARIANTS.values()]
    assert {kernel.name.split(".")[0] for p in programs for kernel in p.kernels} == set(cases.stems()) - UNREACHED
    assert any("[" in upload.launch.where for p in programs for upload in p.uploads), "no weight was split"


@dataclass(frozen=True, slots=True)
class Gated:
    """A gated MLP, whose result is then added, weighed and moved."""

    config: RandomConfig = RandomConfig()  # noqa: RUF009

    def image_graph(self) -> None:
        """It does not see."""

    def sound_graph(self) -> None:
        """It does not hear."""

    def graph(self, rows: int, samples: int, context_length: int) -> Graph:
        book = Book(1)
        x = make("embed", {"weight": book.matrix(VOCAB, 64)}, (rows, 64), "embed")
        both = make("linear", {"x": x, "weight": book.matrix(64, 64, "Q4_0")}, (rows, 64), "gate and up")
        gated = silu(layers.columns(both, 0, 32)) * layers.columns(both, 32, 32)
        down = make("linear", {"x": gated, "weight": book.matrix(64, 32, "Q4_0")}, (rows, 64), "down")
        x = layers.sampled_rows((down + x) * book.vector(64) + book.vector(64), samples)
        logits = make("linear", {"x": x, "weight": book.matrix(VOCAB, 64)}, (samples, VOCAB), "head")
        return Graph(layers.sample(logits), rows, samples)


@pytest.mark.parametrize("most", [8, 9])
def test_who_reads_integers_has_room_for_their_scales(most: int) -> None:
    """The product reads nine buffers where what is gated comes as integers, with scales of their own."""
    program = compile(Gated(), Limits(max_storage_buffers_per_shader_stage=most), VARIANTS["integers"].options)
    assert max(len(kernel.access) for kernel in program.kernels) == most


# --- on adapters -----------------------------------------------------------------------------------------------------
TOLERANCES = {"split attention": 5e-5, "integers": ROUNDED}


def on_adapters(few: Collection[int]) -> list[Any]:
    """Of a few seeds, and of the others with minutes."""
    return [
        pytest.param(seed, variant, marks=() if seed in few else pytest.mark.minutes)
        for seed in ADAPTER_SEEDS
        for variant in TOLERANCES
        if variant != "integers" or Writer(seed, 1, 1).format.startswith("Q")
    ]


@pytest.mark.parametrize(("seed", "variant"), on_adapters(FEW_SEEDS))
def test_the_native_adapter_computes_what_the_graph_means(seed: int, variant: str) -> None:
    device = open_device("native")
    try:
        program = compiled(seed, VARIANTS[variant], device.limits)
        check(answers_of(device, program, seed), program, seed, TOLERANCES[variant])
    finally:
        device.close()


DESCRIBE = """async () => {
  const { openGpu, Replayer } = await import("/fanlight/replay.js");
  return new Replayer((globalThis.fanlightGpu = await openGpu())).describe();
}"""
RUN = """async ({ program, weights, table, steps }) => {
  const { Replayer } = await import("/fanlight/replay.js");
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const data = bytes(weights);
  const source = { name: "weights", size: data.length, read: async (offset, size) => data.slice(offset, offset + size) };
  const replayer = new Replayer(globalThis.fanlightGpu);
  await replayer.prepare(program);
  await replayer.load([source], () => undefined);
  replayer.write("block_table", 0, bytes(table));
  const found = [];
  for (const [name, record, size] of steps) {
    const sampled = await replayer.result(replayer.submit(name, bytes(record)));
    found.push([Array.from(sampled), Array.from(await replayer.read("logits", 0, size))]);
  }
  replayer.release();
  return found;
}"""


@pytest.fixture(scope="module")
def gpu_page(chromium: Any, assets: Path) -> Iterator[tuple[Any, Limits]]:
    """One page for all models, and what its adapter offers."""
    with serve(Served({"/pages/": Path(__file__).parents[1] / "web" / "pages", "/": assets})) as url:
        page = chromium.new_page()
        page.goto(f"{url}/pages/blank.html")
        offered = json.loads(page.evaluate(DESCRIBE))
        names = {field.name: field.name.title().replace("_", "") for field in fields(Limits)}
        names = {name: camel[0].lower() + camel[1:] for name, camel in names.items()}
        limits = {name: offered["limits"][camel] for name, camel in names.items() if camel in offered["limits"]}
        yield page, Limits(**limits, features=frozenset(offered["features"]))
        page.close()


def answers_in(page: Any, program: Program, seed: int) -> list[tuple[list[int], bytes]]:
    """As answers_of, without Python in the page."""
    model = model_of(seed)
    text = lambda data: base64.b64encode(data).decode()  # noqa: E731
    records = [record_of(parts, program) for parts in steps_of(model, program)]
    steps = [[name, text(record), 4 * samples * VOCAB] for name, record, samples in records]
    given = {"program": program.to_json(), "weights": text(model.book().data), "table": text(block_table(program, seed))}
    return [(sampled, bytes(logits)) for sampled, logits in page.evaluate(RUN, given | {"steps": steps})]


@pytest.mark.browser
@pytest.mark.parametrize(("seed", "variant"), on_adapters(FEW_SEEDS[:2]))
def test_chromium_computes_what_the_graph_means(seed: int, variant: str, gpu_page: tuple[Any, Limits]) -> None:
    page, limits = gpu_page
    program = compiled(seed, VARIANTS[variant], limits)
    check(answers_in(page, program, seed), program, seed, TOLERANCES[variant])
