"""The catalogue: well-known models by short names, with what a person wants to know before a download.  Native only.

catalogue.json is the one list, for Python, the command line, the page and the package; people write their own in its format
(docs/catalogue.md). web/src/catalogue.ts reads and checks it alike. Exact sizes and digests are not in it: the hub is asked for
them when a model is loaded."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fanlight.errors import FormatError
from fanlight.formats.footprint import (
    DEFAULT_CONTEXT,
    ENCODERS,
    POOLED_CONTEXT,
    QUANTIZATIONS,
    SAME_FORMAT,
    Footprint,
    Numbers,
    Vision,
    footprint,
)

PATH = Path(__file__).with_name("catalogue.json")
VERSION = 1
ID = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
CAPABILITIES = ("chat", "vision", "tools", "thinking", "code", "embeddings")
# fanlight/models has a file for each
ARCHITECTURES = (
    "afmoe apertus arcee bert bitnet bloom codegen cohere cohere2 deepseek_v2 deepseek_v3 ernie4_5 ernie4_5_moe"
    " exaone exaone4 falcon falcon_h1 falcon_mamba gemma gemma2 gemma3 gemma3n gemma4 glm4 glm4_moe glm4_moe_lite gpt2"
    " gpt_bigcode gpt_neox gpt_oss gptj granite granitemoe granitemoehybrid hunyuan_v1_dense idefics3 internlm2 jamba"
    " lfm2 lfm2_moe lfm2_vl llama llava mamba mamba2 mellum minicpm minimax_m2 ministral3 mistral mixtral modernbert"
    " mpt nemotron nemotron_h nomic_bert olmo2 olmo3 olmoe opt phi phi3 qwen2 qwen2_5_vl qwen2_audio qwen2_moe"
    " qwen2_vl qwen3 qwen3_5 qwen3_5_moe qwen3_moe qwen3_next qwen3_vl roberta rwkv7 seed_oss smollm3 stablelm"
    " starcoder2 voxtral whisper youtu"
).split()
TEXTS = ("id", "title", "maker", "license", "architecture", "quantization", "good_at")
OPTIONAL_TEXTS = ("repository", "file", "url")


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model, in one quantisation. It lies in a repository of the hub, or at a URL."""

    id: str
    title: str
    maker: str
    license: str  # SPDX's name, or the licence's own
    architecture: str  # a file of fanlight/models
    quantization: str
    context_length: int  # that it was trained for
    capabilities: tuple[str, ...]
    languages: tuple[str, ...]
    good_at: str
    repository: str = ""
    file: str = ""  # where the quantisation's name does not find it
    url: str = ""
    gated: bool = False  # the hub wants its conditions accepted first
    recommended: bool = False  # may be offered to who has not chosen
    config: Numbers | None = None

    @property
    def model(self) -> str:
        """What `load` takes."""
        return self.url or f"{self.repository}:{self.file or self.quantization}"

    @property
    def pooled(self) -> bool:
        return self.architecture in ENCODERS or "embeddings" in self.capabilities

    def footprint(self, context_length: int | None = None) -> Footprint | None:
        """None where its numbers are not known."""
        if self.config is None or self.quantization not in QUANTIZATIONS:
            return None
        usual = POOLED_CONTEXT if self.pooled else DEFAULT_CONTEXT
        context = min(context_length or usual, self.context_length)
        return footprint(self.architecture, self.quantization, self.config, context, self.pooled)


@cache
def catalogue() -> tuple[CatalogueModel, ...]:
    return parse_catalogue(PATH.read_text(encoding="utf-8"), PATH.name)


def find(name: str) -> CatalogueModel | None:
    """The model of the catalogue that has this id."""
    return next((model for model in catalogue() if model.id == name), None)


# --- reading ---------------------------------------------------------------------------------------------------------
def parse_catalogue(text: str, where: str) -> tuple[CatalogueModel, ...]:
    """Raises FormatError, which names what is wrong in it."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise FormatError(f"is no JSON: {error}", where=where, hint=HINT) from None
    if not isinstance(value, dict) or not isinstance(value.get("models"), list):
        raise FormatError('is no catalogue: expected {"version": 1, "models": [...]}', where=where, hint=HINT)
    if value.get("version") != VERSION:
        raise FormatError(f"version is {value.get('version')!r}, expected {VERSION}", where=where, hint=HINT)
    if unknown := sorted(value.keys() - {"version", "title", "models"}):
        raise FormatError(f"unknown field {unknown[0]!r}", where=where, hint=HINT)
    models = tuple(_model(entry, f"{where}: models[{i}]") for i, entry in enumerate(value["models"]))
    ids = [model.id for model in models]
    if twice := next((id for id in ids if ids.count(id) > 1), None):
        raise FormatError(f"two models have the id {twice!r}", where=where, hint=HINT)
    return models


HINT = "docs/catalogue.md has the fields"


def _model(entry: Any, where: str) -> CatalogueModel:
    if not isinstance(entry, dict):
        raise FormatError(f"expected an object, got {entry!r:.80}", where=where, hint=HINT)
    where = f"{where} ({entry.get('id', 'without an id')})"
    known = CatalogueModel.__slots__
    if unknown := sorted(entry.keys() - set(known)):
        raise FormatError(f"unknown field {unknown[0]!r}; known: {', '.join(known)}", where=where, hint=HINT)
    values: dict[str, Any] = {name: _text(entry, name, where) for name in TEXTS}
    values |= {name: _text(entry, name, where) for name in OPTIONAL_TEXTS if name in entry}
    values |= {name: _texts(entry, name, where) for name in ("capabilities", "languages")}
    values |= {name: _flag(entry, name, where) for name in ("gated", "recommended")}
    values["context_length"] = _count(entry, "context_length", where)
    values["config"] = _numbers(entry["config"], f"{where}: config") if "config" in entry else None
    made = CatalogueModel(**values)
    _check(made, where)
    return made


def _check(model: CatalogueModel, where: str) -> None:
    wrong = (
        (not ID.fullmatch(model.id), f"id is {model.id!r}, expected small letters, digits, '.', '_' and '-'"),
        (bool(model.repository) == bool(model.url), "expected a repository or a url, and not both"),
        (
            bool(model.repository) and not REPOSITORY.fullmatch(model.repository),
            f"repository is {model.repository!r}, expected owner/name",
        ),
        (model.architecture not in ARCHITECTURES, f"architecture is {model.architecture!r}; known: {', '.join(ARCHITECTURES)}"),
        (
            bool(set(model.capabilities) - set(CAPABILITIES)),
            f"capabilities are {', '.join(model.capabilities)}; known: {', '.join(CAPABILITIES)}",
        ),
    )
    for is_wrong, message in wrong:
        if is_wrong:
            raise FormatError(message, where=where, hint=HINT)


def _text(entry: Mapping[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise FormatError(f"{name} is {value!r:.80}, expected a text", where=where, hint=HINT)
    return value


def _texts(entry: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = entry.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(text, str) and text for text in value):
        raise FormatError(f"{name} is {value!r:.80}, expected a list of texts", where=where, hint=HINT)
    return tuple(value)


def _flag(entry: Mapping[str, Any], name: str, where: str) -> bool:
    value = entry.get(name, False)
    if not isinstance(value, bool):
        raise FormatError(f"{name} is {value!r:.80}, expected true or false", where=where, hint=HINT)
    return value


def _count(entry: Mapping[str, Any], name: str, where: str) -> int:
    value = entry.get(name)
    if type(value) is not int or not 0 < value < 2**31:
        raise FormatError(f"{name} is {value!r:.80}, expected a whole number above 0", where=where, hint=HINT)
    return value


def _numbers(value: Any, where: str) -> Numbers:
    _check_known(value, Numbers.__slots__, where)
    counts = {name: _count(value, name, where) for name in Numbers.__slots__ if name not in ("tie_word_embeddings", "vision")}
    vision = _vision(value["vision"], f"{where}.vision") if "vision" in value else None
    return Numbers(**counts, tie_word_embeddings=_flag(value, "tie_word_embeddings", where), vision=vision)


def _vision(value: Any, where: str) -> Vision:
    _check_known(value, Vision.__slots__, where)
    kind = _text(value, "quantization", where)
    if kind not in SAME_FORMAT:
        raise FormatError(f"quantization is {kind!r}; known: {', '.join(SAME_FORMAT)}", where=where, hint=HINT)
    return Vision(kind, **{name: _count(value, name, where) for name in Vision.__slots__ if name != "quantization"})


def _check_known(value: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(value, dict):
        raise FormatError(f"expected an object, got {value!r:.80}", where=where, hint=HINT)
    if unknown := sorted(value.keys() - set(known)):
        raise FormatError(f"unknown field {unknown[0]!r}; known: {', '.join(known)}", where=where, hint=HINT)
