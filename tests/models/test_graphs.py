"""Every architecture's graph, evaluated in NumPy on the tiny checkpoints, gives the recorded logits.  Nothing is compiled."""

from collections.abc import Callable

import numpy as np
import pytest

from fanlight.compiler.graph import Piece, Weight
from fanlight.compiler.ops import check_graph, evaluate
from fanlight.driver import run
from fanlight.formats.checkpoint import Checkpoint, open_checkpoint
from fanlight.formats.layout import TensorInfo
from fanlight.formats.parts import blocks_of
from fanlight.formats.quant import QUANT_TYPES
from fanlight.formats.resolve import resolve_model
from fanlight.models import ARCHITECTURES, Model, load_architecture, open_model
from scripts.golden import tiny_architectures, tiny_gguf, tiny_hearing, tiny_models, tiny_vision
from tests.models.records import Record, read_record, relative_error

CLOSE = 1e-4


def read_weight_of(checkpoint: Checkpoint) -> Callable[[Weight], np.ndarray]:
    """Dequantised, the pieces one below the other, rotary pairs side by side where that is asked for; codes and scales may lie
    apart."""

    def read_piece(piece: Piece, columns: int) -> np.ndarray:
        quant, count = QUANT_TYPES[piece.format], (piece.rows - 1) * piece.step + 1
        if not piece.parts:
            data = run(checkpoint.sources[piece.source].read(piece.offset, quant.num_bytes(count * columns)))
        else:
            info = TensorInfo("", piece.format, (count, columns), 0, 0, 0, piece.parts, piece.first, piece.file_rows)
            data = blocks_of(info, lambda part: run(checkpoint.sources[part.source].read(part.offset, part.num_bytes)))
        rows = quant.dequantize(np.frombuffer(data, np.uint8).reshape(-1, quant.block_bytes)).reshape(count, columns)
        return paired(rows[:: piece.step].astype(np.float64), piece)

    return lambda weight: np.concatenate([read_piece(piece, weight.cols) for piece in weight.pieces])


def paired(rows: np.ndarray, piece: Piece) -> np.ndarray:
    if not piece.head_dim:
        return rows
    heads = rows.reshape(-1, piece.head_dim, rows.shape[1])
    turned, rest = heads[:, : piece.rotary], heads[:, piece.rotary :]
    pairs = np.stack(np.split(turned, 2, axis=1), axis=2).reshape(turned.shape)
    return np.concatenate([pairs, rest], axis=1).reshape(rows.shape)


def opened(path) -> tuple[Checkpoint, Model]:
    checkpoint = run(open_checkpoint(run(resolve_model(path))))
    return checkpoint, run(open_model(checkpoint))


def logits_of(path, record: Record) -> np.ndarray:
    checkpoint, model = opened(path)
    count = len(record.prompt)
    graph = model.graph(count, count, count + len(record.greedy))
    check_graph(graph, "the model")
    counted = [node for node in graph.nodes() if node.op == "embed" and "index" not in node.attrs]
    assert len(counted) == 1, "a token counts once, for penalties"
    return evaluate(graph, record.prompt, read_weight_of(checkpoint))[record.positions]


@pytest.mark.parametrize("name", tiny_models.CASES)
def test_llamas_are_transformers(name, checkpoints) -> None:
    record = read_record("transformers", name)
    logits = logits_of(tiny_models.make_checkpoint(name, checkpoints / name), record)
    assert relative_error(logits, record.logits["logits"]) < CLOSE


@pytest.mark.parametrize("name", tiny_architectures.CASES)
def test_architectures_are_transformers(name, checkpoints) -> None:
    record = read_record("architectures", name)
    logits = logits_of(tiny_architectures.make_checkpoint(name, checkpoints / name), record)
    assert relative_error(logits, record.logits["logits"]) < CLOSE


@pytest.mark.parametrize("name", tiny_gguf.CASES)
def test_gguf_files_are_exact(name, checkpoints) -> None:
    record = read_record("llamacpp", name)
    logits = logits_of(tiny_gguf.make_gguf(name, checkpoints / f"{name}.gguf"), record)
    assert relative_error(logits, record.logits["exact"]) < CLOSE


def test_every_architecture_has_a_case() -> None:
    cases = {**tiny_models.CASES, **tiny_architectures.CASES}
    encoders = {name for name in ARCHITECTURES if hasattr(load_architecture(name, ""), "encode")}  # test_encoders.py has them
    wrapped = {tiny_architectures.text_config_of(name)["model_type"] for name in tiny_architectures.CASES}
    others = {"whisper", "rwkv7"}  # test_whisper, _rwkv; and test_vision, _hearing
    others |= {case.config["model_type"] for case in (*tiny_vision.CASES.values(), *tiny_hearing.CASES.values())}
    assert {case.config["model_type"] for case in cases.values()} | wrapped | others == set(ARCHITECTURES) - encoders


def test_longrope_goes_by_the_context_that_is_compiled_for(checkpoints) -> None:
    """One prompt within the original context: the long table where the context is longer, as for a longer prompt."""
    checkpoint, model = opened(tiny_architectures.make_checkpoint("phi3-long", checkpoints / "phi3-context"))
    tokens, original = list(range(3, 23)), 32
    by_context = [
        evaluate(model.graph(20, 20, context), tokens, read_weight_of(checkpoint)) for context in (20, original, original + 1)
    ]
    assert np.array_equal(by_context[0], by_context[1])
    assert relative_error(by_context[2], by_context[1]) > 1e-3


def test_the_same_rows_are_the_same_node(checkpoints) -> None:
    """A tied head is the embedding; a matrix asked for twice is one."""
    _, model = opened(tiny_models.make_checkpoint("qwen2-tied", checkpoints / "qwen2-tied"))
    graphs = [model.graph(rows, 1, 64) for rows in (1, 5)]
    weights = [{id(n) for n in graph.nodes() if n.op == "weight"} for graph in graphs]
    assert weights[0] == weights[1]
    head = graphs[0].root["x"]["weight"]
    assert head in graphs[0].users() and sum(n.op == "weight" and n.shape == head.shape for n in graphs[0].nodes()) == 1
