"""Models that give vectors or scores, against what transformers answered on the tiny checkpoints (tests/golden/encoders): their
graphs in NumPy, and their programs on an adapter and in NumPy, texts of different lengths side by side."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fanlight.driver import run
from fanlight.engine.embedder import Embedder, Text
from fanlight.engine.load import load_engine
from fanlight.errors import FanlightError
from fanlight.models import ARCHITECTURES, load_architecture
from fanlight.runtime import open_device
from scripts.golden import tiny_encoders
from scripts.golden.record_transformers import digest_of
from tests.models.records import GOLDEN, read_about, relative_error
from tests.models.test_graphs import opened, read_weight_of

EXACT = 1e-3


@dataclass(frozen=True, slots=True)
class Options:
    context_length: int | None = None
    max_num_seqs: int = 1
    activations: str = "f32"


def record_of(name: str) -> np.ndarray:
    with np.load(GOLDEN / "encoders" / f"{name}.npz") as record:
        return record["vectors"]


def texts_of(name: str) -> list[Text]:
    return [Text(ids, tiny_encoders.second_of(name, ids)) for ids in tiny_encoders.texts_of(name)]


def load(path: Path, device: str) -> Embedder:
    checkpoint, _ = opened(path)
    engine = run(load_engine(checkpoint, open_device(device), Options(), lambda phase, done, total: None))
    assert isinstance(engine, Embedder)
    return engine


@pytest.mark.parametrize("name", tiny_encoders.CASES)
def test_checkpoint_is_the_recorded_one(name: str, checkpoints: Path) -> None:
    folder = tiny_encoders.make_checkpoint(name, checkpoints / name)
    assert digest_of(folder) == read_about("encoders")["cases"][name]["sha256"]


@pytest.mark.parametrize("name", tiny_encoders.CASES)
def test_the_graph_is_transformers(name: str, checkpoints: Path) -> None:
    from fanlight.compiler.ops import check_graph, evaluate

    checkpoint, model = opened(tiny_encoders.make_checkpoint(name, checkpoints / name))
    for text, vector in zip(texts_of(name), record_of(name), strict=True):
        if text.second is not None:
            continue  # all rows of ops.py's sequences are of a first text
        graph = model.graph(len(text.token_ids), 1, 64)
        check_graph(graph, "the model")
        found = evaluate(graph, text.token_ids, read_weight_of(checkpoint))
        assert relative_error(found[0], vector) < 1e-4


ON_ADAPTER = ("bert-dense", "roberta-score", "nomic_bert-mean", "modernbert-cls", "qwen3-last", "gemma3-mean")


@pytest.mark.parametrize(
    ("name", "device"),
    [*((name, "reference") for name in tiny_encoders.CASES), *((name, "native") for name in ON_ADAPTER)],
)
def test_vectors_meet_transformers(name: str, device: str, checkpoints: Path) -> None:
    engine = load(tiny_encoders.make_checkpoint(name, checkpoints / name), device)
    truth, texts = record_of(name), texts_of(name)
    found = np.array(run(engine.embed(texts)))
    assert relative_error(found, truth) < EXACT
    alone = np.array([run(engine.embed([text]))[0] for text in texts[:3]])
    engine.close()
    assert np.allclose(alone, found[:3], atol=1e-6 * np.abs(truth).max())


def test_many_texts_take_several_steps(checkpoints: Path) -> None:
    """More than a step has room for, in any order; each has its own vector."""
    engine = load(tiny_encoders.make_checkpoint("bert-mean", checkpoints / "bert-mean"), "reference")
    texts, truth = texts_of("bert-mean"), record_of("bert-mean")
    chosen = np.random.default_rng(0).integers(0, len(texts), engine.program.max_num_seqs * 2 + 3)
    found = np.array(run(engine.embed([texts[i] for i in chosen])))
    engine.close()
    assert relative_error(found, truth[chosen]) < EXACT


def test_every_encoder_has_a_case() -> None:
    cases = {ARCHITECTURES[case.config["model_type"]] for case in tiny_encoders.CASES.values()}
    assert {name for name in ARCHITECTURES.values() if hasattr(load_architecture(name, ""), "encode")} <= cases


def changed(folder: Path, file: str, old: str, new: str) -> Path:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("1_Pooling/config.json", "pooling_mode_mean_tokens", "pooling_mode_max_tokens", "pooling_mode_max_tokens is True"),
        ("1_Pooling/config.json", "{", '{"pooling_mode_cls_token": true, ', "got 2 of them"),
        ("1_Pooling/config.json", "{", '{"pooling_mode_of_mine": 1, ', "pooling_mode_of_mine is 1"),
        ("modules.json", "models.Dense", "models.LSTM", "models.LSTM"),
        ("2_Dense/config.json", "activation.Tanh", "activation.Softsign", "Softsign"),
        ("2_Dense/config.json", '"in_features": 96', '"in_features": 95', "reads 95 numbers, and gets 96"),
        ("config.json", '"layer_norm_eps"', '"position_embedding_type": "relative_key", "layer_norm_eps"', "relative_key"),
    ],
)
def test_what_is_not_understood_is_refused(file: str, old: str, new: str, words: str, tmp_path: Path) -> None:
    folder = changed(tiny_encoders.make_checkpoint("bert-dense", tmp_path), file, old, new)
    with pytest.raises(FanlightError) as raised:
        opened(folder)
    assert words in str(raised.value)


def test_an_encoder_without_a_pooling_is_refused(tmp_path: Path) -> None:
    folder = tiny_encoders.make_checkpoint("bert-mean", tmp_path)
    (folder / "modules.json").unlink()
    with pytest.raises(FanlightError, match="do not say how to make one vector"):
        opened(folder)
