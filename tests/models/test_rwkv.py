"""RWKV-7 against what llama.cpp answers on its files, and the cutting of texts (scripts/golden/record_rwkv)."""

import json
from pathlib import Path

import pytest

from fanlight.driver import run
from fanlight.errors import UnsupportedModel
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.models import open_model
from fanlight.text.chat_template import open_chat_template
from fanlight.text.tokenizer import Tokenizer, open_tokenizer
from scripts.golden import tiny_rwkv
from tests.models.records import GOLDEN, read_record, relative_error
from tests.models.test_models import EXACT, context_of, some_positions

IN_BLOCKS = 0.03  # llama.cpp rounds activations to 8 bit


@pytest.mark.parametrize("name", tiny_rwkv.CASES)
@pytest.mark.parametrize("device", ["native", "reference"])
def test_meets_llamacpp(name: str, device: str, checkpoints: Path, load_model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANLIGHT_DEVICE", device)
    record = read_record("rwkv", name)
    model = load_model(tiny_rwkv.make_gguf(name, checkpoints / f"{name}.gguf"), context_of(record))
    some, is_exact = some_positions(record), tiny_rwkv.CASES[name][-1] == "F32"
    logits = model.logits_of(record.prompt, [record.positions[i] for i in some])
    assert relative_error(logits, record.logits["logits"][some]) < (EXACT if is_exact else IN_BLOCKS)
    if is_exact:
        assert model.greedy(record.prompt, len(record.greedy)) == record.greedy


def test_a_second_turn_goes_on_from_a_snapshot(checkpoints: Path, load_model) -> None:
    """Of a model that has no other state: blocks are names there."""
    record = read_record("rwkv", "rwkv7-heads")
    model = load_model(tiny_rwkv.make_gguf("rwkv7-heads", checkpoints / "again.gguf"), context_of(record))
    assert not model.engine.program.states and model.engine.program.num_snapshots
    for cached in (0, 32):
        before = model.engine.stats().num_cached_tokens
        assert model.greedy(record.prompt, len(record.greedy)) == record.greedy
        assert model.engine.stats().num_cached_tokens - before == cached


# --- texts -----------------------------------------------------------------------------------------------------------
TEXTS = json.loads((GOLDEN / "rwkv" / "texts.json").read_text())


@pytest.fixture(scope="module")
def tokenizer(checkpoints: Path) -> Tokenizer:
    checkpoint = run(open_checkpoint(run(resolve_model(tiny_rwkv.make_gguf("rwkv7-narrow", checkpoints / "text.gguf")))))
    return open_tokenizer(checkpoint.format, checkpoint.metadata)


@pytest.mark.parametrize("text, ids", [pair for pair in TEXTS if "[PAD" not in pair[0]])  # which is no token
def test_texts_are_cut_as_llamacpp_cuts_them(tokenizer: Tokenizer, text: str, ids: list[int]) -> None:
    assert run(tokenizer.encode(text)) == ids
    assert tokenizer.decode(ids) == text


def test_every_id_is_its_bytes(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)] == tiny_rwkv.tokens()
    assert run(tokenizer.encode("the[PAD303]<s>the"))[-2:] == [0, 257]
    assert run(tokenizer.cut("then 你".encode()[:-1])) == run(tokenizer.encode("then "))


def test_long_texts_take_no_longer_a_character(tokenizer: Tokenizer) -> None:
    ids = run(tokenizer.encode("the theory " * 100_000))
    assert ids[:4] == run(tokenizer.encode("the theory the theory "))[:4] and len(ids) > 100_000


def test_a_name_of_a_template_is_no_template() -> None:
    assert open_chat_template("gguf", {"tokenizer.chat_template": "rwkv-world"}, {}) is None


def test_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "rwkv7", "hidden_size": 64}')
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(UnsupportedModel, match="RWKV-7 of a folder"):
        run(open_model(run(open_checkpoint(run(resolve_model(tmp_path))))))
