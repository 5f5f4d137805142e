# ruff: noqa: E501  the files are as wide as they are
"""Files tokenizer.json that mean harm, or nothing: libraries abort, panic, take for ever or answer nonsense with them.  Run as a
script, it opens them all, encodes with those that open, and tells what each came to, in JSON."""

import copy
import json
import resource
import sys
import time
from typing import Any

from tests.text.vocabularies import sentencepiece_metadata

ASCII = {chr(i): i - 32 for i in range(32, 127)}
BASE: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [{"id": 95, "content": "<s>", "special": True, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}],
    "normalizer": None,
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": {"type": "Fuse"},
    "model": {"type": "BPE", "vocab": {**ASCII, "ab": 96}, "merges": [["a", "b"]]},
}  # fmt: skip
BASE["decoder"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
TEXTS = ["ab", "a" * 40 + "!", "a" * 4000, " " * 4000, "a " * 2000, "\U0001f642\n<s>"]


def changed(**parts: Any) -> dict[str, Any]:
    spec = copy.deepcopy(BASE)
    for path, value in parts.items():
        *folders, name = path.split("__")
        place = spec
        for folder in folders:
            place = place[folder]
        place[name] = value
    return spec


def split(pattern: str) -> dict[str, Any]:
    return changed(pre_tokenizer={"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False})


def replaces(*contents: str, pattern: Any = None) -> dict[str, Any]:
    steps = [{"type": "Replace", "pattern": pattern or {"String": c[0]}, "content": c} for c in contents]
    return changed(normalizer={"type": "Sequence", "normalizers": steps})


def sequence(depth: int) -> dict[str, Any]:
    step: dict[str, Any] = {"type": "NFC"}
    for _ in range(depth):
        step = {"type": "Sequence", "normalizers": [step]}
    return changed(normalizer=step)


SPECS: dict[str, Any] = {
    "a token of 400 kB": changed(model__vocab={**ASCII, "a" * 400_000: 97}),
    "an added token of 400 kB": changed(added_tokens=[{**BASE["added_tokens"][0], "content": "a" * 400_000}]),
    "an empty added token": changed(added_tokens=[{**BASE["added_tokens"][0], "content": ""}]),
    "a pattern that never ends": split("(a+)+$"),
    "a pattern that never ends, in a group": split("(?:(?:a|b)*c?)*$"),
    "a pattern of a pattern": split("(?:[ab]+|c)+(?:[ab]+|c)+!x"),
    "a pattern of braces": split("(?:a{1,}){5,}$"),
    "a cubic pattern": split("a*a*a*a*a*b"),
    "a pattern of choices": split("(a|aa)+$"),
    "a broken pattern": split("(a"),
    "a pattern of 1 MB": split("a|" * 500_000 + "b"),
    "an empty pattern": split(""),
    "a backreference": split(r"(a*)\1\1\1\1b"),
    "replacements that grow": replaces(*["a" * 40] * 12),
    "replacements in turn": replaces(*["ab" * 20, "ba" * 20] * 8),
    "a replacement of nothing": replaces("b" * 4000, pattern={"Regex": "x*"}),
    "a replacement of an empty text": replaces("b" * 4000, pattern={"String": ""}),
    "a long replacement": replaces("b" * 400_000, pattern={"String": "a"}),
    "a long prefix": changed(normalizer={"type": "Prepend", "prepend": "a" * 8_000_000}),
    "ids beyond reason": changed(model__vocab={**ASCII, "ab": 2**40}),
    "ids below nothing": changed(model__vocab={**ASCII, "ab": -1}),
    "ids that are texts": changed(model__vocab={**ASCII, "ab": "96"}),
    "ids that are fractions": changed(model__vocab={**ASCII, "ab": 96.5}),
    "an added id beyond reason": changed(added_tokens=[{**BASE["added_tokens"][0], "id": 2**62}]),
    "no vocabulary": changed(model__vocab=None),
    "a vocabulary of numbers": changed(model__vocab=[1, 2, 3]),
    "a vocabulary of a text": changed(model__vocab="abc"),
    "no model": changed(model=None),
    "a model of a list": changed(model=[]),
    "an unknown model": changed(model__type="Markov"),
    "a model of a number": changed(model__type=7),
    "merges of a text": changed(model__merges="a b"),
    "merges of numbers": changed(model__merges=[[1, 2]]),
    "merges of three": changed(model__merges=[["a", "b", "c"]]),
    "merges of strangers": changed(model__merges=[["q", "ü"]]),
    "chance": changed(model__dropout=0.5),
    "an unknown normalizer": changed(normalizer={"type": "Rot13"}),
    "a normalizer of a number": changed(normalizer=7),
    "a normalizer without a type": changed(normalizer={}),
    "a normalizer of a normalizer": changed(normalizer={"type": {"type": "NFC"}}),
    "a deep normalizer": sequence(5000),
    "a broken charsmap": changed(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA" * 1000}),
    "a charsmap that lies": changed(normalizer={"type": "Precompiled", "precompiled_charsmap": "/////w=="}),
    "an unknown decoder": changed(decoder={"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True}),
    "a length of nothing": changed(pre_tokenizer={"type": "FixedLength", "length": 0}),
    "a processor of a stranger": changed(
        post_processor={"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[X]", "type_id": 0}}], "pair": [], "special_tokens": {}}
    ),
    "a processor that repeats": changed(
        post_processor={"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}] * 99_999, "pair": [], "special_tokens": {}}
    ),
    "unigram without unknown": changed(model={"type": "Unigram", "vocab": [["a", -1.0]], "unk_id": None}),
    "unigram of an unknown beyond": changed(model={"type": "Unigram", "vocab": [["a", -1.0]], "unk_id": 7}),
    "unigram of no number": changed(model={"type": "Unigram", "vocab": [["a", "b"]], "unk_id": 0}),
    "unigram of nothing": changed(model={"type": "Unigram", "vocab": [], "unk_id": 0}),
    "unigram that is not a number": changed(model={"type": "Unigram", "vocab": [["<unk>", 0.0], ["a", float("nan")]], "unk_id": 0}),
    "words without unknown": changed(model={"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "[UNK]"}),
    "pieces without unknown": changed(
        model={"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    ),
    "padding beyond reason": {**BASE, "padding": {"strategy": {"Fixed": 10**12}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "x"}},
    "half a surrogate": changed(model__vocab={**ASCII, "\ud800": 97}),
    "a deep file": "[" * 100_000,
    "no file": "",
    "a list": "[]",
}  # fmt: skip


def gguf_of_a_long_piece() -> dict[str, Any]:
    metadata = sentencepiece_metadata()
    metadata["tokenizer.ggml.tokens"] = [*metadata["tokenizer.ggml.tokens"][:-1], "a" * 400_000]
    return metadata


def outcome(kind: str, metadata: dict[str, Any]) -> str:
    from fanlight.driver import run
    from fanlight.errors import FanlightError
    from fanlight.text.tokenizer import open_tokenizer

    try:
        tokenizer = open_tokenizer(kind, metadata)
        run(tokenizer.check())
    except FanlightError as error:
        return f"refused: {type(error).__name__}: {error}"
    encoded = []
    for text in TEXTS:
        try:
            encoded.append(str(len(run(tokenizer.encode(text)))))
        except FanlightError as error:
            encoded.append(type(error).__name__)
    return f"encodes: {' '.join(encoded)}"


def main() -> None:
    cases = {name: ("safetensors", {"tokenizer": s if isinstance(s, str) else json.dumps(s)}) for name, s in SPECS.items()}
    cases["a GGUF piece of 400 kB"] = ("gguf", gguf_of_a_long_piece())
    for name, (kind, metadata) in cases.items():
        start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps([name]), flush=True)  # so that what aborts is known
        said = outcome(kind, metadata)
        seconds = time.process_time() - start
        most = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        print(json.dumps([name, round(seconds, 2), most, said[:300]]), flush=True)


if __name__ == "__main__":
    sys.setrecursionlimit(100_000)
    SPECS = {name: spec if isinstance(spec, str) else json.dumps(spec) for name, spec in SPECS.items()}
    sys.setrecursionlimit(1000)
    main()
