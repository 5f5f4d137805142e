"""The model of people's text: what is learned and what is held out, and a file that Fanlight reads."""

import sys
from dataclasses import replace

import pytest

from fanlight.driver import run
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.source import FileSource
from fanlight.models import open_model
from fanlight.text.tokenizer import open_tokenizer

text = pytest.importorskip("training.text", reason="needs torch")

WORDS = "the quick brown fox jumps over a lazy dog while it rains in spring and nobody minds".split()


def write_texts(folder, count):
    for i in range(count):
        words = [WORDS[(i * 7 + j * (1 + i % 5)) % len(WORDS)] for j in range(60)]
        (folder / f"{i:04}.md").write_text(f"Number {i}. " + " ".join(words))


def test_texts_are_held_out_by_their_hash_and_count_once(tmp_path):
    write_texts(tmp_path, 600)
    (tmp_path / "again").mkdir()
    write_texts(tmp_path / "again", 600)
    (tmp_path / "binary.bin").write_bytes(b"no text")
    (tmp_path / "table.txt").write_text("1 " * text.LARGEST)
    learned, held_out = text.read_texts(tmp_path, 1 << 30)
    assert len(learned) + len(held_out) == len({*learned, *held_out}) == 600
    assert 0 < len(held_out) < 30
    assert text.read_texts(tmp_path, 1 << 30) == (learned, held_out)


def test_the_file_opens_with_the_vocabulary_that_was_trained(tmp_path, monkeypatch):
    write_texts(tmp_path, 400)
    out = tmp_path / "real.gguf"
    config = replace(text.CONFIG, vocab_size=400, num_layers=1, hidden_size=64, intermediate_size=96, num_heads=2, context=32)
    monkeypatch.setattr(text, "CONFIG", config)
    monkeypatch.setattr(sys, "argv", ["text", str(tmp_path), "--out", str(out), "--steps", "2", "--batch-tokens", "64"])
    text.main()
    checkpoint = run(open_checkpoint([FileSource(str(out))]))
    shape = run(open_model(checkpoint)).config
    assert (shape.num_hidden_layers, shape.hidden_size, shape.vocab_size) == (1, 64, 400)
    assert {t.format for t in checkpoint.tensors.values()} == {"F32", "Q4_0", "Q8_0"}
    tokenizer = open_tokenizer(checkpoint.format, checkpoint.metadata)
    ids = run(tokenizer.encode("the quick brown fox 42"))
    assert tokenizer.decode(ids) == "the quick brown fox 42" and len(ids) < 15
    assert out.with_suffix(".txt").read_text()
