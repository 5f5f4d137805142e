"""Logits and hidden states that a step was asked for are transformers', whatever the sampler does to logits afterwards."""

import struct

import numpy as np
import pytest

from fanlight.compiler import CompileOptions, compile
from fanlight.compiler.graph import Graph
from fanlight.compiler.ops import evaluate
from fanlight.compiler.program import Row, Sample, pack_inputs
from fanlight.compiler.signature import OUTPUTS, hidden_of
from fanlight.driver import run
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.models import open_model
from fanlight.runtime import open_device
from fanlight.settings import settings
from scripts.golden import tiny_architectures, tiny_models
from tests.models.records import read_record, relative_error
from tests.models.test_graphs import read_weight_of

CASES = [("transformers", tiny_models, "qwen2-tied")]
CASES += [("architectures", tiny_architectures, name) for name in ("gemma2-published", "cohere2-published", "gpt_neox-blocks")]
CLOSE = 1e-3


@pytest.mark.parametrize(("oracle", "module", "name"), CASES, ids=[name for _, _, name in CASES])
def test_outputs_are_transformers(oracle, module, name, checkpoints) -> None:
    record = read_record(oracle, name)
    checkpoint = run(open_checkpoint(run(resolve_model(module.make_checkpoint(name, checkpoints / f"{name}-outputs")))))
    model, context = run(open_model(checkpoint)), len(record.prompt) + len(record.greedy)
    device = open_device(settings().device)
    options = CompileOptions(context, 2, kv_dtype="f32", activations="f32", outputs=OUTPUTS, max_rows=512)
    program = compile(model, device.limits, options)
    run(device.prepare(program))
    run(device.load(checkpoint.sources, lambda done, total: None))
    table = range(program.max_blocks_per_seq)
    device.write("block_table", 0, struct.pack(f"<{len(table)}I", *table))
    tokens = record.prompt[: record.positions[-1] + 1]
    loud = Sample(len(tokens) - 1, 0, temperature=0.5, repetition_penalty=1.7, seed=1)
    step = program.step_for(len(tokens), 1)
    rows = [Row(token, position, 0) for position, token in enumerate(tokens)]
    run(device.result(device.submit(step.name, pack_inputs(rows, [loud], 2))))
    found = {o.name: np.frombuffer(run(device.read(o.buffer, 0, 4 * o.shape[1])), np.float32) for o in step.outputs[1:]}
    device.close()
    truth = next(iter(record.logits.values()))[-1]
    assert relative_error(found["logits"], truth) < CLOSE
    hidden = hidden_of(model.graph(len(tokens), 1, context).root["x"])
    assert (
        relative_error(found["hidden"], evaluate(Graph(hidden, len(tokens), 1), tokens, read_weight_of(checkpoint))[0]) < CLOSE
    )
