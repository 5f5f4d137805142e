"""Encoders from GGUF files that hold the weights of tiny_encoders as llama.cpp's converter writes them (its names by the `gguf`
package's tables): the vectors that transformers recorded for the folders."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

import fanlight
from bench.random_encoder import write_random_encoder
from fanlight.compiler.ops import check_graph, evaluate
from fanlight.driver import run
from fanlight.errors import FanlightError, FormatError, UnsupportedModel
from scripts.golden import encoders_gguf, tiny_encoders, tiny_models
from tests.models.records import relative_error
from tests.models.test_encoders import EXACT, load, record_of, texts_of
from tests.models.test_graphs import opened, read_weight_of
from tests.text.vocabularies import encoder_metadata, unigram_json, word_piece_json


@pytest.mark.parametrize("name", encoders_gguf.CASES)
def test_the_graph_is_transformers(name: str, checkpoints: Path) -> None:
    checkpoint, model = opened(encoders_gguf.make_gguf(name, checkpoints / f"{name}.gguf"))
    for text, vector in zip(texts_of(name), record_of(name), strict=True):
        graph = model.graph(len(text.token_ids), 1, 64)
        check_graph(graph, "the model")
        found = evaluate(graph, text.token_ids, read_weight_of(checkpoint))
        assert relative_error(found[0], vector) < 1e-5


@pytest.mark.parametrize(
    ("name", "device"), [("bert-mean", "native"), ("roberta-score", "reference"), ("nomic_bert-mean", "native")]
)
def test_vectors_are_the_folders(name: str, device: str, checkpoints: Path) -> None:
    """The same program on the same numbers."""
    files = (
        encoders_gguf.make_gguf(name, checkpoints / f"{name}.gguf"),
        tiny_encoders.make_checkpoint(name, checkpoints / name),
    )
    found = []
    for file in files:
        engine = load(file, device)
        found.append(np.array(run(engine.embed(texts_of(name)))))
        engine.close()
    assert relative_error(found[0], record_of(name)) < EXACT
    assert np.array_equal(*found)


def test_every_encoder_has_a_case() -> None:
    assert {tiny_encoders.CASES[name].config["model_type"] for name in encoders_gguf.CASES} == set(tiny_encoders.SHAPES)


def with_text(tmp_path: Path, case: str, vocabulary: str, pooling: str) -> Path:
    """A tiny encoder whose vocabulary reads text."""
    tiny, metadata = tiny_encoders.CASES[case], encoder_metadata(vocabulary)
    tensors = tiny_encoders.make_tensors(case)
    name = next(n for n in tensors if n.endswith("word_embeddings.weight"))
    table = tensors[name]
    rows = len(metadata["tokenizer.ggml.tokens"])
    tensors[name] = np.resize(table, (rows, table.shape[1])) * np.linspace(0.5, 1.5, rows, dtype=np.float32)[:, None]
    return encoders_gguf.write(tmp_path / "model.gguf", {**tiny.config, "vocab_size": rows}, tensors, pooling, metadata)


@pytest.mark.parametrize(("vocabulary", "spec"), [("bert", word_piece_json()), ("t5", unigram_json())])
def test_texts_through_the_api(vocabulary: str, spec: str, tmp_path: Path) -> None:
    import tokenizers

    file = with_text(tmp_path, "bert-mean" if vocabulary == "bert" else "roberta-cls", vocabulary, "cls_token")
    texts = ["Hello wörld", "Grüße aus Köln, çà et là", "北京 日本語 ½ ﬁ"]
    with fanlight.load(file, device="reference") as engine:
        answer = engine.embeddings.create(input=texts)
        ids = [tokenizers.Tokenizer.from_str(spec).encode(text).ids for text in texts]
        assert answer.usage.total_tokens == sum(map(len, ids))
        by_ids = engine.embeddings.create(input=ids)
        assert [item.embedding for item in answer.data] == [item.embedding for item in by_ids.data]
        assert all(abs(sum(x * x for x in item.embedding) - 1) < 1e-5 for item in answer.data)


def test_a_cross_encoder_ranks_texts(tmp_path: Path) -> None:
    file = with_text(tmp_path, "roberta-score", "t5", "")
    with fanlight.load(file, device="reference") as engine:
        documents = ["the quick brown fox", "hello world", "日本語"]
        answer = engine.rerank.create(query="Hello there", documents=documents)
        scores = [result.relevance_score for result in answer.results]
        assert sorted(scores, reverse=True) == scores and all(0 < score < 1 for score in scores)


def file_of(
    tmp_path: Path, change: dict[str, Any] | None = None, name: str = "bert-mean", pooling: str | None = None, drop: str = ""
) -> Path:
    """A tiny encoder with other keys (None: without)."""
    case = tiny_encoders.CASES[name]
    tensors = {part: values for part, values in tiny_encoders.make_tensors(name).items() if not (drop and drop in part)}
    vocabulary = encoders_gguf.vocabulary_of(tiny_models.tokenizer_json(211), "<s>", "</s>") | (change or {})
    vocabulary["tokenizer.ggml.merges"] = ["t h"]
    return encoders_gguf.write(
        tmp_path / "model.gguf", case.config, tensors, case.pooling if pooling is None else pooling, vocabulary
    )


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"change": {"bert.attention.of_mine": 3}}, UnsupportedModel, "bert.attention.of_mine is 3"),
        (
            {"change": {"bert.rope.scaling.type": "yarn", "bert.rope.scaling.factor": 2.0}},
            UnsupportedModel,
            "rope_type is 'yarn'",
        ),
        ({"name": "bert-score"}, UnsupportedModel, "cross-encoder without cls.weight"),
        (
            {"name": "roberta-score", "drop": "classifier.dense"},
            UnsupportedModel,
            "without cls.weight: llama.cpp's converter drops",
        ),
        ({"name": "roberta-score", "drop": "token_type"}, UnsupportedModel, "DistilBERT's head"),
        ({"drop": "encoder.layer.1.attention.self.key.weight"}, FormatError, "blk.1.attn_k.weight"),
    ],
)
def test_what_is_not_understood_is_refused(
    options: dict[str, Any], error: type[FanlightError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as raised:
        opened(file_of(tmp_path, **options))
    assert words in str(raised.value)


def test_a_pooling_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    field = gguf.GGUFReader(file, "r+").get_field("bert.pooling_type")
    field.parts[field.data[0]][0] = 5
    del field
    with pytest.raises(UnsupportedModel, match=r"bert\.pooling_type is 5; known are 0"):
        opened(file)


def test_distilbert_has_tokens_of_one_kind(tmp_path: Path) -> None:
    """A `bert` without their table; the vectors are those with a table of zeros."""
    checkpoint, model = opened(file_of(tmp_path, drop="token_type"))
    ids = list(range(3, 20))
    found = evaluate(model.graph(len(ids), 1, 64), ids, read_weight_of(checkpoint))
    case, tensors = tiny_encoders.CASES["bert-mean"], tiny_encoders.make_tensors("bert-mean")
    tensors["embeddings.token_type_embeddings.weight"][:] = 0
    vocabulary = encoders_gguf.vocabulary_of(tiny_models.tokenizer_json(211), "<s>", "</s>")
    zeros = encoders_gguf.write(tmp_path / "zeros.gguf", case.config, tensors, case.pooling, vocabulary)
    checkpoint, model = opened(zeros)
    assert np.array_equal(found, evaluate(model.graph(len(ids), 1, 64), ids, read_weight_of(checkpoint)))


def test_products_are_in_f32_unless_told_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "eight.gguf"
    write_random_encoder("tiny-encoder", "Q8_0", file)
    for options, has_integers in (({}, False), ({"activations": "f32"}, False), ({"activations": "int8"}, True)):
        with fanlight.load(file, device="null", **options) as engine:
            kernels = {kernel.name for kernel in engine.loaded.engine.other.program.kernels}
        assert any("int8" in name or "quantize" in name for name in kernels) is has_integers
