"""Few blocks and many answers, with real kernels in NumPy: who is preempted goes on later, and gets what it would get alone."""

from pathlib import Path
from typing import Any

import pytest

import fanlight
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.engine.kv_cache import KVCache
from tests.cli.tiny import write_model

KINDS: list[dict[str, Any]] = [
    {"temperature": 0.0},
    {"temperature": 0.9, "seed": 7},
    {"temperature": 0.8, "seed": 8, "repetition_penalty": 1.3, "top_k": 20},
    {"temperature": 0.0, "frequency_penalty": 0.7, "presence_penalty": 0.4},
    {"temperature": 1.0, "seed": 9, "logit_bias": {40: 3.0}, "top_p": 0.9},
]


def finish(engine: Engine, prompts: list[list[int]]) -> list[tuple[list[int], str | None]]:
    params = [SamplingParams(max_tokens=50, ignore_eos=True, **KINDS[i % len(KINDS)]) for i in range(len(prompts))]
    sequences = [engine.submit(prompt, param) for prompt, param in zip(prompts, params, strict=True)]
    while open_ := [s for s in sequences if not s.is_finished]:
        run(engine.wait(open_))
        for s in open_:
            s.take()
    return [(s.generated_token_ids, s.finish_reason) for s in sequences]


def test_a_tiny_pool_preempts_and_changes_no_answer(tmp_path: Path) -> None:
    with fanlight.load(write_model(tmp_path / "m.gguf"), device="reference", context_length=128, max_num_seqs=5) as loaded:
        engine = loaded.loaded.engine
        assert isinstance(engine, Engine)
        prompts = [[5 + i, 6, 7 * i % 90, *range(10, 20 + 2 * i)] for i in range(10)]
        alone: list[tuple[list[int], str | None]] = []
        for i, prompt in enumerate(prompts):
            fresh = [prompt] * (i % len(KINDS) + 1)  # its own settings are the last one's
            alone.append(finish(engine, fresh)[-1])
        # The longest takes six blocks.
        for pool in (6, 8):
            engine.scheduler.kv_cache = engine.kv_cache = KVCache(pool, engine.program.block_size)
            before = engine.stats().num_preemptions
            assert finish(engine, prompts) == alone
            assert engine.stats().num_preemptions > before
            engine.kv_cache.check([])
            assert engine.stats().num_free_blocks == pool


@pytest.mark.parametrize("length", [16, 40])
def test_one_prefix_among_many_conversations_is_evicted_last(tmp_path: Path, length: int) -> None:
    """What is asked for again and again stays; the least recently used goes first."""
    with fanlight.load(write_model(tmp_path / "m.gguf"), device="null", context_length=128) as engine:
        often = [*range(5, 5 + length), 99]
        size = engine.loaded.engine.program.block_size
        reused = []
        for turn in range(30):
            for prompt in ([200 + turn] * 60, often):
                got = engine.completions.create(prompt=prompt, max_tokens=2, temperature=0)
            reused.append(got.usage.prompt_tokens_details.cached_tokens)
        assert reused == [0] + [length // size * size] * 29
        last = engine.completions.create(prompt=[229] * 60, max_tokens=2).usage.prompt_tokens_details.cached_tokens
        assert last == 59 // size * size
        assert engine.completions.create(prompt=[200] * 60, max_tokens=2).usage.prompt_tokens_details.cached_tokens == 0
