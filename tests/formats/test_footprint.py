"""What a catalogue says a model takes, against the compiler's plan, and against the sizes of the published files."""

import pytest

from fanlight.formats.catalogue import CatalogueModel, catalogue
from tests.formats.plans import plan_of

TOLERANCE = 0.02  # of the whole; of a large model's weights a tenth of it
QUICK = (
    "llama-3.2-1b",
    "qwen2.5-0.5b",
    "gemma-2-2b",
    "phi-4-mini",
    "granite-3.3-2b",
    "qwen3.5-0.8b",
    "smolvlm-256m",
    "all-minilm-l6-v2",
    "embeddinggemma-300m",
)
BY_ID = {model.id: model for model in catalogue()}
# Bytes of the files on the hub, as public lists of them have it.
PUBLISHED = {
    "smollm2-135m": 105_454_432,
    "smollm2-360m": 386_405_280,
    "smollm2-1.7b": 1_055_609_824,
    "smollm3-3b": 1_915_305_312,
    "llama-3.2-1b": 807_694_464,
    "llama-3.2-3b": 2_019_377_696,
    "llama-3.1-8b": 4_920_739_232,
    "mistral-7b": 4_372_812_000,
    "qwen2.5-7b": 4_683_074_240,
    "qwen3-0.6b": 639_446_688,
    "qwen3-1.7b": 1_107_409_472,
    "qwen3-4b": 2_497_280_256,
    "qwen3-4b-instruct-2507": 2_497_281_120,
    "qwen3-8b": 5_027_783_488,
    "qwen3-14b": 9_001_752_960,
    "gemma-3-270m": 241_410_624,
    "gemma-3-1b": 806_058_496,
    "gemma-3-4b": 2_489_758_112 + 851_251_104,  # with its encoder
    "smolvlm-256m": 175_054_528 + 103_769_856,
    "gemma-2-2b": 1_708_582_752,
    "gemma-2-9b": 5_761_057_728,
    "phi-3.5-mini": 2_393_232_672,
    "phi-4-mini": 2_491_874_688,
    "phi-4": 9_053_114_816,
    "olmo-2-1b": 935_515_296,
    "granite-3.3-2b": 1_545_303_328,
    "command-r7b": 5_057_009_792,
    "aya-expanse-8b": 5_056_982_720,
    "glm-4-9b": 6_166_574_944,
    "all-minilm-l6-v2": 45_949_216,
    "nomic-embed-text-v1.5": 274_290_560,
    "mxbai-embed-large": 669_603_712,
    "qwen3-embedding-0.6b": 639_150_592,
}


def check(model: CatalogueModel, context_length: int | None = None) -> None:
    found, plan = model.footprint(context_length), plan_of(model, context_length)
    assert found is not None
    assert abs(found.weights / plan["weight"] - 1) < TOLERANCE / (1 if model.pooled else 10)
    assert found.kv == plan["kv"]
    assert abs(found.rest / (plan["arena"] + plan["io"] + plan["staging"] + plan.get("state", 0)) - 1) < 0.35
    assert abs(found.total / plan["total"] - 1) < TOLERANCE


@pytest.mark.parametrize("id", QUICK)
def test_the_plan_is_what_the_compiler_makes(id):
    check(BY_ID[id])


def test_a_longer_context_takes_as_much_as_the_compiler_says():
    check(BY_ID["llama-3.2-1b"], 16_384)


@pytest.mark.minutes
@pytest.mark.parametrize("id", sorted(BY_ID.keys() - set(QUICK)))
def test_the_plan_of_every_model(id):
    check(BY_ID[id])


@pytest.mark.parametrize("id", PUBLISHED)
def test_files_are_as_large_as_published(id):
    found = BY_ID[id].footprint()
    assert found is not None and abs(found.file / PUBLISHED[id] - 1) < 0.025
