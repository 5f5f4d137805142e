"""Trains the built-in model's byte-level BPE on generated text and writes `training/tokenizer.json`.

Digits are split one by one and the rest by GPT-2's expression: what llama.cpp calls `smollm`. Run again only together
with training: the weights belong to one tokenizer.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from training.dialogue import answer_text, tool_line
from training.generate import dialogues

VOCAB_SIZE = 4096
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKS = ("<tool_call>", "</tool_call>")  # one token each, but part of the text
PATH = Path(__file__).parent / "tokenizer.json"
NUM_DIALOGUES = 120_000


def texts(count: int) -> itertools.chain[str]:
    def of_one(dialogue):
        for message in dialogue.messages:
            text = answer_text(message) if message["role"] == "assistant" else message["content"]
            for mark in MARKS:
                text = text.replace(mark, " ")
            yield text
        yield from map(tool_line, dialogue.tools)
        yield "system\nuser\nassistant\ntool\nTools:\n"

    stream = itertools.islice(dialogues(seed=1_000_000), count)
    return itertools.chain.from_iterable(map(of_one, stream))


def train(count: int = NUM_DIALOGUES) -> Tokenizer:
    tokenizer = byte_level_bpe(texts(count), VOCAB_SIZE - len(MARKS), SPECIAL)
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    if tokenizer.get_vocab_size() != VOCAB_SIZE:
        raise ValueError(f"vocabulary: expected {VOCAB_SIZE} tokens, got {tokenizer.get_vocab_size()}")
    return tokenizer


def byte_level_bpe(texts: Iterable[str], vocab_size: int, special: Sequence[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


if __name__ == "__main__":
    train().save(str(PATH))
    print(f"wrote {PATH.name}")
