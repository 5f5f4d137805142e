"""The quality measurement: its reference is right, its numbers are what their names say, and the default passes."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import quality
from bench.quality import BOUND, Text, compare, dialogues, measure, reference_logits, spread, variant
from fanlight.driver import run
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.models import open_model
from fanlight.text.tokenizer import NativeEncoder, open_tokenizer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built_in():
    checkpoint = run(open_checkpoint(run(resolve_model("built-in"))))
    return checkpoint, run(open_model(checkpoint))


@pytest.fixture(scope="module")
def texts(built_in) -> list[Text]:
    """Short held-out dialogues."""
    checkpoint, _ = built_in
    tokenizer = open_tokenizer(checkpoint.format, checkpoint.metadata, NativeEncoder)
    return sorted(dialogues(tokenizer, 60), key=lambda text: len(text.ids))[:8]


def test_the_reference_gives_the_tokens_that_pytorch_gave(built_in):
    prompts = json.loads((ROOT / "tests/builtin/greedy.json").read_text())["prompts"]
    answers = [Text(p["prompt_ids"] + p["ids"], len(p["prompt_ids"])) for p in prompts[::10]]
    for logits, text in zip(reference_logits(*built_in, answers), answers, strict=True):
        assert logits[list(text.positions)].argmax(axis=1).tolist() == text.ids[text.start :]


@pytest.mark.parametrize("text", ["default:", "f16 products:vendor=apple"])
def test_the_fast_variants_pass_on_both_paths(built_in, texts, text):
    rows = list(measure(*built_in, texts, [variant(text)], positions=8))
    assert [row.path for row in rows] == ["prefill", "decode"]
    assert rows[1].positions == sum(len(text.positions) for text in texts)
    for row in rows:
        assert abs(row.perplexity_change) < BOUND, row
        assert row.agreement >= 0.98 and row.logits_error < 0.02, row


def test_spoiled_weights_fail(built_in, texts, monkeypatch):
    """Noise of 5 % on the reference's weights is seen, so a kernel that is as wrong would be."""
    true, rng = quality.reference_weights, np.random.default_rng(1)
    exact = reference_logits(*built_in, texts)
    monkeypatch.setattr(
        quality,
        "reference_weights",
        lambda *a: {n: w * (1 + 0.05 * rng.standard_normal(w.shape)) for n, w in true(*a).items()},
    )
    spoiled = reference_logits(*built_in, texts)
    at = [list(text.positions) for text in texts]
    targets = np.concatenate([np.array(text.ids)[text.start :] for text in texts])
    both = (np.concatenate([logits[i] for logits, i in zip(side, at, strict=True)]) for side in (exact, spoiled))
    row = compare("spoiled", "decode", *both, targets)
    assert abs(row.perplexity_change) > BOUND and row.logits_error > 0.02 and row.divergence > 1e-4


def test_numbers_by_hand():
    """Probabilities 1/2, 1/4, 1/4 against 1/4, 1/2, 1/4, the target the first: perplexity 2 against 4."""
    expected, found = np.log([[0.5, 0.25, 0.25]]), np.log([[0.25, 0.5, 0.25]]) + 7
    row = compare("x", "decode", expected, found, np.array([0]))
    assert row.reference_perplexity == pytest.approx(2) and row.perplexity == pytest.approx(4)
    assert row.perplexity_change == pytest.approx(1)
    assert row.agreement == 0
    assert row.divergence == pytest.approx(0.25 * np.log(2))


@pytest.mark.parametrize(("count", "expected"), [(1, [9]), (3, [5, 7, 9]), (99, [4, 5, 6, 7, 8, 9])])
def test_positions_are_spread_up_to_the_last(count, expected):
    assert spread(range(4, 10), count) == expected


def test_variants_are_compile_options():
    found = variant("no features:kv_dtype=f32,block_size=32,features=none")
    assert (found.name, found.options, found.features) == ("no features", {"kv_dtype": "f32", "block_size": 32}, frozenset())
    assert variant("default:").features is None
    with pytest.raises(SystemExit, match="kv_type"):
        variant("x:kv_type=f32")
