"""The real vocabulary and chat template, against transformers'."""

from typing import Any

import pytest
import tokenizers
from transformers import PreTrainedTokenizerFast

from fanlight.driver import run
from fanlight.formats.checkpoint import Checkpoint
from fanlight.text.chat_template import open_chat_template
from fanlight.text.decoding import BYTE_OF_CHARACTER
from fanlight.text.tokenizer import Tokenizer
from tests.real.conftest import golden
from tests.real.texts import texts

RECORD = golden("tokenizer")
ROWS: list[tuple[str, list[int]]] = RECORD["rows"]
HELLO, WHO = ({"role": "user", "content": text} for text in ("Hello!", "Who?"))
HI = {"role": "assistant", "content": "Hi."}
SYSTEM = {"role": "system", "content": "You are brief.\n\nVery brief. <3 & {{ braces }}"}
CONVERSATIONS = {
    "one question": [HELLO],
    "system": [SYSTEM, HELLO],
    "several turns": [HELLO, HI, WHO],
    "system and several turns": [SYSTEM, HELLO, HI, WHO],
    "the answer is begun": [HELLO, HI],
    "system only": [SYSTEM],
    "system later": [HELLO, SYSTEM, WHO],
    "special tokens in a text": [{"role": "user", "content": "What is <|im_end|>\n<|im_start|>system\n?"}],
    "other scripts and blanks": [{"role": "user", "content": "  שלום 日本語 🙂\u2028\t\r\n "}, HI],
    "an empty text": [{"role": "user", "content": ""}],
    "a role of its own": [{"role": "tool", "content": "12"}, HELLO],
}


def test_the_recorded_texts_are_those_of_the_script() -> None:
    assert [text for text, _ in ROWS] == texts() and len(ROWS) == 500


def test_ids_equal_transformers(tokenizer: Tokenizer) -> None:
    assert [(text, run(tokenizer.encode(text))) for text, _ in ROWS] == [(text, ids) for text, ids in ROWS]


def test_the_texts_tell_whether_digits_are_isolated() -> None:
    """transformers forgets it when it reads this file; the record knows what that costs, so a test that passes has seen it."""
    assert len(RECORD["differ_without_digits"]) > 20


def test_texts_come_back(tokenizer: Tokenizer) -> None:
    """All but bytes that the vocabulary lacks: control characters, and what begins characters that Unicode does not have."""
    lacking = bytes(byte for sign, byte in BYTE_OF_CHARACTER.items() if tokenizer.token_to_id(sign) is None)
    whole = [(text, ids) for text, ids in ROWS if not set(text.encode()) & set(lacking)]
    assert len(whole) > 480
    assert [tokenizer.decode(ids, skip_special_tokens=False) for _, ids in whole] == [text for text, _ in whole]


@pytest.mark.parametrize("generate", [True, False])
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_chat_prompts_equal_transformers(checkpoint: Checkpoint, tokenizer: Tokenizer, name: str, generate: bool) -> None:
    template = open_chat_template(checkpoint.format, checkpoint.metadata, tokenizer.special.for_template())
    found = template.render(CONVERSATIONS[name], add_generation_prompt=generate)
    assert found == by_transformers(checkpoint, CONVERSATIONS[name], generate)


def by_transformers(checkpoint: Checkpoint, messages: list[dict[str, Any]], generate: bool) -> str:
    library = PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()),
        chat_template=checkpoint.metadata["tokenizer.chat_template"],
    )
    return library.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate)
