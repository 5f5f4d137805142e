# ruff: noqa: E501  a case is a line
"""The page's tokenizer, run in Node, against the native library: vocabularies by texts give equal ids, or the page says what it does not
read."""

import copy
import json
import random
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from fanlight.driver import run
from fanlight.text.gguf_vocabulary import LLAMA3, tokenizer_json_from_gguf
from fanlight.text.tokenizer import open_tokenizer, renamed_tokens
from tests.real.texts import texts
from tests.text.test_shapes import LIBRARIES
from tests.text.vocabularies import TEXTS, byte_level_metadata, sentencepiece_metadata

WEB = Path(__file__).parents[2] / "web"
HAS_NODE = shutil.which("node") and (WEB / "node_modules" / ".bin" / "esbuild").exists()
pytestmark = pytest.mark.skipif(not HAS_NODE, reason="needs node and web/node_modules: npm ci in web/")
N, P = tokenizers.normalizers, tokenizers.pre_tokenizers

ASK = """
import { readFileSync } from "node:fs";
const [tokenizer, spec, texts, names] = process.argv.slice(1);
let receive, resolve;
globalThis.self = { addEventListener: (_, f) => { receive = f; }, postMessage: (reply) => resolve(reply) };
await import(tokenizer);
const ask = (name, ...values) => new Promise((r) => { resolve = r; receive({ data: { id: 1, name, values } }); });
const opened = await ask("open", new Uint8Array(readFileSync(spec)));
if (opened.error) console.log(JSON.stringify(opened));
else {
  const which = names ? (await ask("renamed", names)).value : 0;
  const replies = [];
  for (const text of JSON.parse(readFileSync(texts, "utf8"))) replies.push(await ask("encode", text, false, which));
  console.log(JSON.stringify(replies.map((reply) => reply.value ?? reply)));
}
"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """web/src/tokenizer.ts in one file."""
    bundle = tmp_path_factory.mktemp("page") / "tokenizer.mjs"
    esbuild = ["node_modules/.bin/esbuild", "src/tokenizer.ts", "--bundle", "--format=esm", "--log-level=error"]
    subprocess.run([*esbuild, f"--outfile={bundle}"], cwd=WEB, check=True)
    return bundle


def in_page(worker: Path, spec: dict[str, Any], some: list[str], names: dict[str, str] | None = None) -> Any:
    (worker.parent / "spec.json").write_text(json.dumps(spec))
    (worker.parent / "texts.json").write_text(json.dumps(some))
    arguments = [
        str(worker),
        str(worker.parent / "spec.json"),
        str(worker.parent / "texts.json"),
        json.dumps(names) if names else "",
    ]
    command = ["node", "--input-type=module", "-e", ASK, *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def changed(spec: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """The file with other parts; objects of the library stand for what it writes of them."""
    library = tokenizers.Tokenizer.from_str(json.dumps(spec))
    for name, part in parts.items():
        setattr(library, name, part)
    return json.loads(library.to_str())  # type: ignore[no-any-return]


BYTES = tokenizer_json_from_gguf(byte_level_metadata("llama-bpe", LLAMA3))
PIECES = tokenizer_json_from_gguf(sentencepiece_metadata())


@cache
def lacking(**model: Any) -> dict[str, Any]:
    """A byte-level vocabulary without some bytes."""
    spec = copy.deepcopy(BYTES)
    vocab = {t: i for t, i in spec["model"]["vocab"].items() if not (len(t) == 1 and (ord(t) > 0x120 or t in "xyzÃĠ"))}
    merges = [m for m in spec["model"]["merges"] if m[0] in vocab and m[1] in vocab and "".join(m) in vocab]
    spec["model"] |= {"vocab": vocab, "merges": merges, **model}
    return spec


def unigram(first: int = 0, **model: Any) -> dict[str, Any]:
    spec = copy.deepcopy(PIECES)
    vocab = [[token, -1.0 - i % 50] for i, token in enumerate(spec["model"]["vocab"])]
    spec["model"] = {"type": "Unigram", "unk_id": 0, "vocab": vocab[:3] + vocab[first:] if first else vocab, **model}
    spec["added_tokens"] = [t for t in spec["added_tokens"] if t["id"] < 3]
    return spec


NORMALIZERS = {
    "NFC": N.NFC(), "NFKD": N.NFKD(), "NFKC": N.NFKC(), "Lowercase": N.Lowercase(), "Strip": N.Strip(), "Bert": N.BertNormalizer(),
    "Bert, cased": N.BertNormalizer(lowercase=False), "accents": N.Sequence([N.NFD(), N.StripAccents()]), "Replace": N.Replace("l", "xx"),
    "Prepend": N.Prepend("▁"), "Replace by pattern": N.Replace(tokenizers.Regex(r"\s+"), " "), "ends": N.Sequence([N.Strip(right=False), N.NFC()]),
}  # fmt: skip
PRE_TOKENIZERS = {
    "Whitespace": P.Whitespace(), "WhitespaceSplit": P.WhitespaceSplit(), "Bert": P.BertPreTokenizer(), "Metaspace": P.Metaspace(),
    "Metaspace, first": P.Metaspace(prepend_scheme="first"), "Metaspace, never": P.Metaspace(prepend_scheme="never"),
    "Metaspace, whole": P.Metaspace(split=False), "Punctuation": P.Punctuation(), "Digits": P.Digits(), "each digit": P.Digits(individual_digits=True),
    "delimiter": P.CharDelimiterSplit("e"), "ByteLevel": P.ByteLevel(), "ByteLevel, no prefix": P.ByteLevel(add_prefix_space=False),
    "removed": P.Split(tokenizers.Regex(r"\s"), "removed"), "previous": P.Split(" ", "merged_with_previous"), "next": P.Split(" ", "merged_with_next"),
    "contiguous": P.Split("e", "contiguous"), "inverted": P.Split(" ", "removed", invert=True), "FixedLength": P.FixedLength(3),
    "SmolLM's": P.Sequence([P.Digits(individual_digits=True), P.ByteLevel(add_prefix_space=False)]),
}  # fmt: skip
SPECS: dict[str, Any] = {
    **{name: json.loads(library.to_str()) for name, library in LIBRARIES.items() if name != "suffixes"},
    "bytes": BYTES,
    "pieces": PIECES,
    "lacking bytes": lacking(),
    "lacking bytes, unknown": lacking(unk_token="<|endoftext|>"),
    "lacking bytes, fused": lacking(unk_token="<|endoftext|>", fuse_unk=True),
    "pieces, no bytes": {**PIECES, "model": {**PIECES["model"], "byte_fallback": False}},
    "Unigram with bytes": unigram(byte_fallback=True),
    "Unigram without": unigram(byte_fallback=False),
    "Unigram that lacks bytes": unigram(259, byte_fallback=True),
    **{f"{name} normalized": changed(BYTES, normalizer=part) for name, part in NORMALIZERS.items()},
    **{f"{n} before {m}": changed(json.loads(LIBRARIES[m].to_str()), pre_tokenizer=p) for n, p in PRE_TOKENIZERS.items() for m in ("no decoder", "Unigram")},
}  # fmt: skip
SOME = [
    *random.Random(5).sample(texts(), 150),
    *TEXTS,
    "naïve",
    "the 😀",
    "a\nb",
    "\x00\x01x",
    "İstanbul ǅ ß",
    "  <|im_end|>  x",
    "",
]


@pytest.mark.parametrize("name", SPECS)
def test_the_page_gives_the_native_ids(worker: Path, name: str) -> None:
    native = open_tokenizer("safetensors", {"tokenizer": json.dumps(SPECS[name])})
    for text, ids in zip(SOME, in_page(worker, SPECS[name], SOME), strict=True):
        assert ids == run(native.encode(text, add_special_tokens=False)), text


REFUSED = {
    "suffixes": (json.loads(LIBRARIES["suffixes"].to_str()), "end_of_word_suffix"),
    "scripts": (changed(BYTES, pre_tokenizer=P.UnicodeScripts()), "UnicodeScripts"),
    "a pattern that merges": (
        changed(BYTES, pre_tokenizer=P.Split(tokenizers.Regex("[a-e]"), "contiguous")),
        r"\[a-e\] is only read",
    ),
    "Nmt": (changed(BYTES, normalizer=N.Nmt()), "Nmt"),
    "a normalizer to bytes": (changed(BYTES, normalizer=N.ByteLevel()), "ByteLevel"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_page_does_not_read_is_named(worker: Path, name: str) -> None:
    spec, match = REFUSED[name]
    with pytest.raises(AssertionError, match=match):
        raise AssertionError(in_page(worker, spec, ["x"])["error"]["message"])


@pytest.mark.parametrize("name", ["bytes", "pieces", "Unigram with bytes"])
def test_tokens_with_other_texts(worker: Path, name: str) -> None:
    """What tells a user's `<|im_end|>` from a template's, as natively."""
    spec = SPECS[name]
    names = {t["content"]: f"\U0010fffd{i}\U0010fffd" for i, t in enumerate(spec["added_tokens"]) if t["special"]}
    some = ["x <|im_end|></s><unk> y", "".join(names.values()), f"a {[*names.values()][-1]} <s>b"]
    native = tokenizers.Tokenizer.from_str(json.dumps(renamed_tokens(copy.deepcopy(spec), names)))
    assert in_page(worker, spec, some, names) == [native.encode(text, add_special_tokens=False).ids for text in some]
