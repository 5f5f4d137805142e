"""Logits and hidden states that a step was asked for are transformers', whatever the sampler does to logits afterwards."""

import struct

import numpy as np
import pytest

from fanlight.compiler import CompileOptions, compile
from fanlight.compiler.graph import Graph
from fanlight.compiler.ops import evaluate
from fanlight.compiler.program import MAX_LOGPROBS, Row, Sample, pack_inputs, read_logprobs
from fanlight.compiler.signature import OUTPUTS, hidden_of
from fanlight.driver import run
from fanlight.engine import SamplingParams
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
    results = run(device.result(device.submit(step.name, pack_inputs(rows, [loud], 2), 1, True)))
    asked = [step.output(name) for name in OUTPUTS[1:]]
    found = {o.name: np.frombuffer(run(device.read(o.buffer, 0, 4 * o.shape[1])), np.float32) for o in asked}
    device.close()
    check_logprobs(read_logprobs(results[2:]), results[0], found["logits"])
    truth = next(iter(record.logits.values()))[-1]
    assert relative_error(found["logits"], truth) < CLOSE
    hidden = hidden_of(model.graph(len(tokens), 1, context).root["x"])
    assert (
        relative_error(found["hidden"], evaluate(Graph(hidden, len(tokens), 1), tokens, read_weight_of(checkpoint))[0]) < CLOSE
    )


def check_logprobs(found: tuple[int, float, list[tuple[int, float]]], token: int, logits: np.ndarray) -> None:
    """Of the logits as they were before the penalty and the temperature."""
    rank, logprob, top = found
    truth = log_softmax(logits)
    order = np.argsort(-logits, kind="stable")[:MAX_LOGPROBS]
    assert [token_id for token_id, _ in top] == order.tolist()
    np.testing.assert_allclose([value for _, value in top], truth[order], atol=2e-5)
    assert abs(logprob - truth[token]) < 2e-5 and rank == 1 + np.sum(logits > logits[token])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    x = logits.astype(np.float64) - logits.max()
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def test_log_probabilities_are_transformers(checkpoints, load_model) -> None:
    """Of a prompt's tokens and of those that follow, in one request and beside another one that asks for nothing."""
    record = read_record("transformers", "qwen2-tied")
    path = tiny_models.make_checkpoint("qwen2-tied", checkpoints / "qwen2-tied-logprobs")
    model = load_model(path, len(record.prompt) + 9, max_num_seqs=2)
    asked = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True, logprobs=20, prompt_logprobs=20)
    silent = model.engine.submit(record.prompt[:7], SamplingParams(temperature=0, max_tokens=8, ignore_eos=True))
    sequence = model.engine.submit(record.prompt, asked)
    while not (sequence.is_finished and silent.is_finished):
        unfinished = [s for s in (sequence, silent) if not s.is_finished]
        run(model.engine.wait(unfinished))
        for s in unfinished:
            s.take()
    found = [*sequence.prompt_logprobs, *sequence.logprobs]  # found[i]: after the token at i
    assert len(sequence.prompt_logprobs) == len(record.prompt) - 1 and not silent.logprobs
    for position, logits in zip(record.positions, record.logits["logits"], strict=True):
        truth, one = log_softmax(logits), found[position]
        assert abs(one.logprob - truth[one.token_id]) < 5e-3 and len(one.top) == 20
        np.testing.assert_allclose([value for _, value in one.top], np.sort(truth)[::-1][:20], atol=5e-3)
        np.testing.assert_allclose([truth[token] for token, _ in one.top], np.sort(truth)[::-1][:20], atol=5e-3)
