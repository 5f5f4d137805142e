"""An invented byte-level BPE vocabulary of any size, in Llama 3's manner, so that random models have a tokenizer that every
engine accepts.  Digits are never merged: a text of N digits is N tokens."""

import itertools
import string
from dataclasses import dataclass
from typing import Any

NAMED_SPECIALS = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def byte_characters() -> list[str]:
    """By byte: the printable character that stands for it in byte-level BPE, as GPT-2 chose them."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = itertools.count(0x100)
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    tokens: list[str]
    merges: list[tuple[str, str]]
    num_plain: int  # special tokens follow

    @property
    def bos(self) -> int:
        return self.num_plain

    @property
    def eos(self) -> int:
        return self.num_plain + NAMED_SPECIALS.index("<|eot_id|>")

    def silent(self) -> list[int]:
        """Tokens that should never be drawn: they would end an answer, or leave half a character at its end."""
        odd = [byte for byte in range(256) if not 0x20 <= byte < 0x7F]
        return odd + list(range(self.num_plain, len(self.tokens)))


def make_vocabulary(size: int) -> Vocabulary:
    num_special = 256 if size > 100_000 else 16
    num_merges = size - 256 - num_special
    merges = list(itertools.islice(_merges(), num_merges))
    if num_merges < 0 or len(merges) < num_merges:
        raise ValueError(f"no vocabulary of {size} tokens: expected {256 + num_special} to {256 + num_special + 475_000}")
    tokens = [*byte_characters(), *(left + right for left, right in merges)]
    reserved = [f"<|reserved_{i}|>" for i in range(num_special - len(NAMED_SPECIALS))]
    return Vocabulary([*tokens, *NAMED_SPECIALS, *reserved], merges, len(tokens))


def _merges() -> Any:
    """Words of two, then three, then four small letters, each made of two tokens that are there before it."""
    letters = string.ascii_lowercase
    pairs = [a + b for a in letters for b in letters]
    yield from itertools.product(letters, letters)
    yield from itertools.product(pairs, letters)
    yield from itertools.product(pairs, pairs)


def tokenizer_json(vocabulary: Vocabulary) -> dict[str, Any]:
    """The same in Hugging Face's form."""
    specials = [
        {"id": vocabulary.num_plain + i, "content": text, "special": True, "normalized": False}
        | {"single_word": False, "lstrip": False, "rstrip": False}
        for i, text in enumerate(vocabulary.tokens[vocabulary.num_plain :])
    ]
    bos = NAMED_SPECIALS[0]
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    post = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {bos: {"id": bos, "ids": [vocabulary.bos], "tokens": [bos]}},
    }
    return {
        **{"version": "1.0", "truncation": None, "padding": None, "added_tokens": specials, "normalizer": None},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes_]},
        "post_processor": post,
        "decoder": {**bytes_, "add_prefix_space": True, "use_regex": True},
        "model": {
            **{"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None},
            **{"end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True},
            "vocab": {token: i for i, token in enumerate(vocabulary.tokens[: vocabulary.num_plain])},
            "merges": [f"{left} {right}" for left, right in vocabulary.merges],
        },
    }


def tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": NAMED_SPECIALS[0],
        "eos_token": "<|eot_id|>",
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
    }
