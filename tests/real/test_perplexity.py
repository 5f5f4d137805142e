"""How well the real model predicts a text (text.txt, written for this), against transformers in float32."""

from pathlib import Path

import numpy as np
import pytest

from bench import quality
from fanlight.driver import run
from fanlight.formats.checkpoint import Checkpoint
from fanlight.models import open_model
from fanlight.runtime import open_device
from fanlight.text.tokenizer import Tokenizer
from tests.real.conftest import golden
from tests.real.test_answers import NEAR_TIE

RECORD = golden("perplexity")
IDS, LOG_PROBS, BEST, MARGINS = (np.array(column) for column in zip(*RECORD["rows"], strict=True))
TEXT = [RECORD["first"], *IDS.tolist()]
EVERY_ROW = "max_rows=128,max_num_seqs=128"  # a step samples after each of its rows, so that none is run twice


def test_the_text_has_the_recorded_ids(tokenizer: Tokenizer) -> None:
    assert run(tokenizer.encode((Path(__file__).parent / "text.txt").read_text(encoding="utf-8"))) == TEXT
    assert np.exp(-LOG_PROBS.mean()) == pytest.approx(RECORD["perplexity"], rel=1e-5)


@pytest.mark.timeout(1800)  # on a software adapter with little of a CPU
@pytest.mark.minutes
@pytest.mark.parametrize("path", quality.PATHS)
def test_perplexity_within_half_a_percent(checkpoint: Checkpoint, path: str) -> None:
    logits = logits_of(checkpoint, "default:" + (EVERY_ROW if path == "prefill" else ""), path, len(IDS))
    found = np.exp(-log_probs_of(logits).mean())
    assert abs(found / RECORD["perplexity"] - 1) < quality.BOUND, found
    clear = MARGINS >= NEAR_TIE
    assert clear.sum() > 500
    assert (logits.argmax(axis=1) == BEST)[clear].all()


@pytest.mark.timeout(1800)
@pytest.mark.minutes
@pytest.mark.parametrize(("kv_dtype", "bound"), [("q8_0", 0.01), ("q4_0", 0.2)])
def test_integers_in_the_cache_cost_little(checkpoint: Checkpoint, kv_dtype: str, bound: float) -> None:
    """docs/models.md has what was measured."""
    logits = logits_of(checkpoint, f"{kv_dtype}:kv_dtype={kv_dtype},{EVERY_ROW}", "prefill", len(IDS))
    assert abs(np.exp(-log_probs_of(logits).mean()) / RECORD["perplexity"] - 1) < bound


@pytest.mark.timeout(900)
def test_without_rounding_every_token_is_as_likely(checkpoint: Checkpoint) -> None:
    """The same weights, positions and attention, to four digits: what 8 bit hides above would show here."""
    logits = logits_of(checkpoint, f"exact:activations=f32,kv_dtype=f32,{EVERY_ROW}", "prefill", 128)
    np.testing.assert_allclose(log_probs_of(logits), LOG_PROBS[:128], atol=1e-3)
    assert (logits.argmax(axis=1) == BEST[:128])[MARGINS[:128] > 0.01].all()


def logits_of(checkpoint: Checkpoint, variant: str, path: str, count: int) -> np.ndarray:
    """[count, V]: after each of the text's first tokens."""
    model = run(open_model(checkpoint))
    loaded = quality.load(checkpoint, model, quality.variant(variant), count, open_device())
    try:
        return getattr(loaded, path)(TEXT[:count], list(range(count)))
    finally:
        loaded.device.close()


def log_probs_of(logits: np.ndarray) -> np.ndarray:
    """Of the tokens that follow."""
    return quality.log_softmax(logits.astype(np.float64))[np.arange(len(logits)), IDS[: len(logits)]]
