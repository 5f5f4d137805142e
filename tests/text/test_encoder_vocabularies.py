"""Vocabularies of encoders as llama.cpp's converter writes them (scripts/golden/encoders_gguf.py) give the ids of the
tokenizer.json that they were made of, by the `tokenizers` library: texts and pairs, in accents, scripts, punctuation, unknown
characters."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.driver import run
from fanlight.errors import FanlightError, FormatError, UnsupportedModel
from fanlight.text.gguf_vocabulary import GPT2, tokenizer_json_from_gguf
from fanlight.text.tokenizer import Tokenizer, open_tokenizer
from scripts.golden.encoders_gguf import vocabulary_of
from tests.real.minilm import sentences
from tests.text.test_page import HAS_NODE, in_page, worker  # noqa: F401  a fixture
from tests.text.vocabularies import (
    CORPUS,
    ENCODER_TEXTS,
    TEXTS,
    byte_level_metadata,
    charsmap_of,
    unigram_json,
    word_piece_json,
)

ALL = TEXTS + CORPUS[:5] + ENCODER_TEXTS + sentences()
JSON = {
    "uncased": word_piece_json(),
    "cased": word_piece_json(lowercase=False),
    "uncased, accents": word_piece_json(strip_accents=False),
    "cased, no accents": word_piece_json(lowercase=False, strip_accents=True),
    "unigram": unigram_json(),
}


def metadata_of(name: str, **more: Any) -> dict[str, Any]:
    """As a reader of the file gives it: lists, not bytes."""
    marks = ("<s>", "</s>") if name == "unigram" else ("[CLS]", "[SEP]")
    metadata = vocabulary_of(json.loads(JSON[name]), *marks)
    return {k: list(v) if isinstance(v, bytes) else v for k, v in metadata.items()} | more


def library_of(name: str) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(JSON[name])


@pytest.mark.parametrize("name", JSON)
def test_texts_have_the_folders_ids(name: str) -> None:
    tokenizer, library = open_tokenizer("gguf", metadata_of(name)), library_of(name)
    for text in ALL:
        ids = library.encode(text).ids
        assert run(tokenizer.encode(text)) == ids, text
        assert tokenizer.decode(ids) == library.decode(ids), text
    assert [tokenizer.token(i) for i in range(library.get_vocab_size())] == list(
        map(library.id_to_token, range(library.get_vocab_size()))
    )


OPEN = {name: (open_tokenizer("gguf", metadata_of(name)), library_of(name)) for name in ("uncased", "unigram")}


@pytest.mark.parametrize(("tokenizer", "library"), OPEN.values(), ids=OPEN)
@given(text=st.text(max_size=30) | st.text("aeé\uff26ﬁ½ \t\u3000北.,#▁", max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_has_the_folders_ids(tokenizer: Tokenizer, library: tokenizers.Tokenizer, text: str) -> None:
    assert run(tokenizer.encode(text)) == library.encode(text).ids


@pytest.mark.parametrize("name", JSON)
def test_pairs_have_the_folders_ids(name: str) -> None:
    tokenizer, library = open_tokenizer("gguf", metadata_of(name)), library_of(name)
    for text, pair in (("Hello there", "the quick fox"), ("", "x"), ("naïve", "")):
        encoding = library.encode(text, pair)
        second = encoding.type_ids.index(1) if 1 in encoding.type_ids else None
        assert run(tokenizer.encode_pair(text, pair)) == (encoding.ids, second)


def test_roberta_and_modernbert_pairs() -> None:
    """Byte-level, with their own marks: two between RoBERTa's texts, one between ModernBERT's."""
    adds = {f"tokenizer.ggml.add_{name}_token": True for name in ("bos", "eos")} | {"tokenizer.ggml.seperator_token_id": 2}
    for pre, between in (("roberta-bpe", [2, 2]), ("modern-bert", [2])):
        tokenizer = open_tokenizer("gguf", byte_level_metadata(pre, GPT2, **adds))
        a, b = (run(tokenizer.encode(text, add_special_tokens=False)) for text in ("Hello", "world"))
        assert run(tokenizer.encode_pair("Hello", "world")) == ([0, *a, *between, *b, 2], None)


def test_early_files_say_less() -> None:
    """Without keys of the normalizer and of the first mark, [unused] tokens as they are."""
    metadata = metadata_of("uncased")
    gone = ("bos_token_id", "eos_token_id", "normalizer.lowercase")
    early = {k: v for k, v in metadata.items() if k.removeprefix("tokenizer.ggml.") not in gone}
    early["tokenizer.ggml.tokens"] = [*early["tokenizer.ggml.tokens"], "[unused0]"]
    early["tokenizer.ggml.token_type"] = [*early["tokenizer.ggml.token_type"], 1]
    tokenizer, library = open_tokenizer("gguf", early), library_of("uncased")
    for text in ALL:
        assert run(tokenizer.encode(text)) == library.encode(text).ids
    assert tokenizer.token(len(early["tokenizer.ggml.tokens"]) - 1) == "[unused0]"
    cased = {k: v for k, v in metadata_of("cased").items() if k != "tokenizer.ggml.normalizer.lowercase"}
    assert run(open_tokenizer("gguf", cased).encode("Hello KÖLN")) == library_of("cased").encode("Hello KÖLN").ids


def test_padding_does_not_change_the_ids() -> None:
    """As the converter fills a vocabulary up to the embedding's rows."""
    metadata, library = metadata_of("unigram"), library_of("unigram")
    padding = {"tokens": [f"[PAD{i}]" for i in range(5)], "scores": [-10000.0] * 5, "token_type": [5] * 5}
    padded = metadata | {f"tokenizer.ggml.{k}": [*metadata[f"tokenizer.ggml.{k}"], *v] for k, v in padding.items()}
    tokenizer = open_tokenizer("gguf", padded)
    for text in ALL:
        assert run(tokenizer.encode(text)) == library.encode(text).ids


@pytest.mark.skipif(not HAS_NODE, reason="needs node and web/node_modules: npm ci in web/")
@pytest.mark.parametrize("name", JSON)
def test_the_page_has_the_same_ids(name: str, worker: Path) -> None:  # noqa: F811
    tokenizer = open_tokenizer("gguf", metadata_of(name))
    found = in_page(worker, tokenizer_json_from_gguf(metadata_of(name)), ALL)
    for text, ids in zip(ALL, found, strict=True):
        assert ids == run(tokenizer.encode(text, add_special_tokens=False)), text


@pytest.mark.parametrize(
    ("name", "change", "error", "words"),
    [
        ("uncased", {"bos_token_id": 1 << 20}, FormatError, "bos_token_id"),
        ("uncased", {"unknown_token_id": 1 << 20}, FormatError, "unknown_token_id"),
        ("unigram", {"scores": None}, FormatError, "scores"),
        ("unigram", {"scores": [0.0]}, FormatError, "one per token, got 1"),
        ("unigram", {"precompiled_charsmap": "x"}, FormatError, "list of bytes"),
        ("unigram", {"precompiled_charsmap": [255, 255, 255, 255, 1]}, FormatError, "charsmap"),
        ("unigram", {"treat_whitespace_as_suffix": True}, UnsupportedModel, "treat_whitespace_as_suffix"),
    ],
)
def test_broken_metadata_is_named(name: str, change: dict[str, Any], error: type[FanlightError], words: str) -> None:
    metadata = metadata_of(name) | {f"tokenizer.ggml.{k}": v for k, v in change.items()}
    with pytest.raises(error) as raised:
        open_tokenizer("gguf", {k: v for k, v in metadata.items() if v is not None})
    assert words in str(raised.value)


def test_a_character_that_becomes_a_book_is_refused() -> None:
    """A table that makes much of little would make a long prompt of a short one."""
    spec = json.loads(unigram_json())
    spec["normalizer"]["precompiled_charsmap"] = base64.b64encode(charsmap_of({"a": "b" * 1000})).decode()
    with pytest.raises(FormatError, match="1000 characters of one"):
        open_tokenizer("safetensors", {"tokenizer": json.dumps(spec)})
