"""Dialogues to batches of token ids: rendered, tokenised, sorted by length, with a mask of what is learned.

A shard is a function of its number alone, so any number of worker processes gives the same training run.
"""

from collections.abc import Iterator
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from training.dialogue import render
from training.generate import dialogues
from training.tokenizer import PATH

CONTEXT = 1024
LENGTH_STEP = 32


class Batch(NamedTuple):
    ids: np.ndarray  # (B, T) uint16
    learn: np.ndarray  # (B, T) bool: this token is to be predicted


@cache
def load_tokenizer(path: Path = PATH) -> Tokenizer:
    return Tokenizer.from_file(str(path))


def learned(ids: np.ndarray, start: int, end: int, assistant: int) -> np.ndarray:
    """True for the tokens of assistant answers and the end mark after each."""
    mask = np.zeros(len(ids), dtype=bool)
    opening = np.flatnonzero((ids[:-1] == start) & (ids[1:] == assistant))
    closing = np.flatnonzero(ids == end)
    for first in opening + 3:  # after <|im_start|>, "assistant" and the line end
        mask[first : closing[np.searchsorted(closing, first)] + 1] = True
    return mask


def shard(number: int, num_tokens: int, batch_tokens: int) -> list[Batch]:
    tokenizer = load_tokenizer()
    start, end, assistant = (tokenizer.token_to_id(t) for t in ("<|im_start|>", "<|im_end|>", "assistant"))
    if assistant is None:
        raise ValueError("the tokenizer must know `assistant` as one token")
    rows: list[np.ndarray] = []
    stream, total = dialogues(number), 0
    while total < num_tokens:
        texts = [render(d.messages, d.tools) for d, _ in zip(stream, range(1000), strict=False)]
        encoded = (np.array(e.ids, dtype=np.uint16) for e in tokenizer.encode_batch(texts))
        fitting = [ids for ids in encoded if len(ids) <= CONTEXT]
        rows += fitting
        total += sum(map(len, fitting))
    rows.sort(key=len)
    batches = []
    while rows:
        width = -(-len(rows[-1]) // LENGTH_STEP) * LENGTH_STEP
        taken, rows = rows[-(batch_tokens // width) :], rows[: -(batch_tokens // width)]
        ids = np.zeros((len(taken), width), dtype=np.uint16)
        learn = np.zeros((len(taken), width), dtype=bool)
        for row, values in enumerate(taken):
            ids[row, : len(values)] = values
            learn[row, : len(values)] = learned(values, start, end, assistant)
        batches.append(Batch(ids, learn))
    order = np.random.default_rng(number).permutation(len(batches))
    return [batches[i] for i in order]


def _shard(arguments: tuple[int, int, int]) -> list[Batch]:
    return shard(*arguments)


def batches(first_shard: int, num_tokens: int, batch_tokens: int, workers: int) -> Iterator[Batch]:
    """Batches without end. Shards come in order, a few are made ahead."""
    with get_context("spawn").Pool(workers) as pool:
        pending = []
        number = first_shard
        while True:
            while len(pending) < 2 * workers:
                pending.append(pool.apply_async(_shard, ((number, num_tokens, batch_tokens),)))
                number += 1
            yield from pending.pop(0).get()
