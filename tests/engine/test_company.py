"""A row's result does not depend on the rows beside it: bit for bit, on lavapipe, through every kernel of a model that is large
enough for products in several chunks."""

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench import random_gguf
from bench.shapes import SHAPES, Shape
from fanlight.compiler import CompileOptions, compile
from fanlight.compiler.program import Program, Row, Sample, pack_inputs
from fanlight.driver import run
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.models import open_model
from fanlight.runtime import open_device
from fanlight.runtime.device import Device

CONTEXT, SLOTS, DECODED = 160, 4, 3
LENGTHS = (37, 3, 90, 17)  # of the slots' prompts
WIDE = Shape(1, 512, 2560, 4, 2, 128, 4096)
EXPERTS = Shape(1, 256, 256, 4, 2, 128, 4096, experts=8, top_k=2)  # whose heads are normalised
CASES = [(WIDE, "Q4_0", "int8"), (WIDE, "Q4_K_M", "int8"), (WIDE, "F16", "f32"), (EXPERTS, "Q4_K_M", "int8")]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join([case[0].architecture, *case[1:]]))
def loaded(request, tmp_path_factory) -> tuple[Program, Device]:
    shape, format, activations = request.param
    path = tmp_path_factory.mktemp("company") / "model.gguf"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SHAPES, "company", shape)
        random_gguf.write_random_gguf("company", format, path)
    device = open_device("native")
    yield load(path, device, activations), device
    device.close()


def load(path: Path, device: Device, activations: str) -> Program:
    checkpoint = run(open_checkpoint(run(resolve_model(str(path)))))
    options = CompileOptions(
        CONTEXT, SLOTS, SLOTS * CONTEXT, activations=activations, outputs=("sampled", "logits"), max_rows=128
    )
    program = compile(run(open_model(checkpoint)), device.limits, options)
    run(device.prepare(program))
    run(device.load(checkpoint.sources, lambda done, total: None))
    table = range(SLOTS * program.max_blocks_per_seq)
    device.write("block_table", 0, struct.pack(f"<{len(table)}I", *table))
    return program


def prompt(slot: int) -> list[int]:
    return [int(t) for t in np.random.default_rng(slot).integers(0, 4000, LENGTHS[slot] + DECODED)]


def step(program: Program, device: Device, parts: list[tuple[int, int, int]], is_prefill: bool) -> dict[int, bytes]:
    """The logits after each part's last row: a slot's tokens from one position to another."""
    rows = [Row(prompt(slot)[i], i, slot) for slot, start, end in parts for i in range(start, end)]
    ends = np.cumsum([end - start for _, start, end in parts]) - 1
    samples = [Sample(int(end), slot) for end, (slot, _, _) in zip(ends, parts, strict=True)]
    chosen = program.step_for(len(rows), len(samples), is_prefill)
    run(device.result(device.submit(chosen.name, pack_inputs(rows, samples, SLOTS))))
    output = chosen.output("logits")
    data = run(device.read(output.buffer, 0, output.size))
    size = 4 * WIDE.vocab
    return {slot: data[i * size : (i + 1) * size] for i, (slot, _, _) in enumerate(parts)}


def answers(program: Program, device: Device, groups: list[list[int]]) -> dict[int, list[bytes]]:
    """Each slot's logits after its prompt and after each token that follows, the slots of a group in the same steps."""
    found: dict[int, list[bytes]] = {slot: [] for group in groups for slot in group}
    for group in groups:
        for slot, logits in step(program, device, [(s, 0, LENGTHS[s]) for s in group], True).items():
            found[slot].append(logits)
        for i in range(DECODED):
            parts = [(s, LENGTHS[s] + i, LENGTHS[s] + i + 1) for s in group]
            for slot, logits in step(program, device, parts, False).items():
                found[slot].append(logits)
    return found


@pytest.mark.parametrize("groups", [[[1, 0], [3]], [[3, 1, 0]], [[0, 2]]], ids=str)
def test_company_changes_nothing(loaded, groups) -> None:
    program, device = loaded
    together = answers(program, device, groups)
    alone = answers(program, device, [[slot] for slot in sorted(together)])
    for slot, logits in together.items():
        for i, data in enumerate(logits):
            differ = np.frombuffer(data, np.float32) != np.frombuffer(alone[slot][i], np.float32)
            assert not differ.any(), f"slot {slot}, {'its prompt' if i == 0 else f'token {i}'}: {differ.sum()} logits differ"


def test_how_a_prompt_is_cut_changes_nothing(loaded) -> None:
    program, device = loaded
    whole = step(program, device, [(2, 0, 90)], True)[2]
    for cuts in ((0, 64, 90), (0, 5, 6, 89, 90)):
        parts = [step(program, device, [(2, a, b)], True)[2] for a, b in pairwise(cuts)]
        assert parts[-1] == whole, cuts
