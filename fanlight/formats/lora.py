"""LoRA adapters: two small matrices beside each product that they change, W + scale * B A.  https://arxiv.org/abs/2106.09685

As PEFT keeps them (a folder with adapter_config.json and adapter_model.safetensors) and as llama.cpp does (a GGUF file of the
type adapter). They are given with a model's files, in any order; `find` says which files they are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats import gguf, safetensors
from fanlight.formats.layout import TensorInfo
from fanlight.formats.source import Source, file_name, folder_name

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
# Keys of adapter_config.json that say how it was trained, or what stands in the tensors' names too.
HARMLESS = frozenset(
    """
    auto_mapping base_model_name_or_path revision inference_mode init_lora_weights lora_dropout target_modules task_type
    layers_to_transform layers_pattern exclude_modules loftq_config corda_config eva_config peft_version qalora_group_size
    runtime_config ensure_weight_tying arrow_config
    """.split()
)
# Keys that change nothing while they have one of these values.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none", None),
    "lora_bias": (False, None),
    "use_dora": (False, None),
    "use_qalora": (False, None),
    "use_bdlora": (False, None),
    "modules_to_save": (None, []),
    "target_parameters": (None, []),
    "trainable_token_indices": (None, [], {}),
    "layer_replication": (None, []),
    "megatron_config": (None,),
    "megatron_core": ("megatron.core", None),
    "alora_invocation_tokens": (None, []),
}
READ = ("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "fan_in_fan_out")


@dataclass(frozen=True, slots=True)
class Lora:
    """tensors: 'MODULE.lora_a' [r, in] and 'MODULE.lora_b' [out, r], by the names of modules in its own kind of files. scales:
    what B A is multiplied with, by module."""

    name: str
    format: Literal["gguf", "safetensors"]
    tensors: dict[str, TensorInfo]
    scales: dict[str, float]


async def find(sources: Sequence[Source], starts: Sequence[bytes]) -> list[tuple[int, ...]]:
    """The files of each, as numbers of sources."""
    files = [i for i, start in enumerate(starts) if start.startswith(gguf.MAGIC)]
    found = [(i,) for i in files if len(starts) > 1 and await _is_lora(sources[i])]  # one alone is a model, or none
    configs = {folder_name(source): i for i, source in enumerate(sources) if file_name(source) == CONFIG}
    weights = {folder_name(source): i for i, source in enumerate(sources) if file_name(source) == WEIGHTS}
    for folder in configs.keys() ^ weights.keys():
        (there,) = {configs.get(folder), weights.get(folder)} - {None}
        missing = WEIGHTS if folder in configs else CONFIG
        raise FormatError(f"{missing} is missing", where=sources[there or 0].name, hint="give both files of a LoRA")
    return found + [(configs[folder], weights[folder]) for folder in configs]


async def _is_lora(source: Source) -> bool:
    general = await gguf.read_general(source)
    return general.get("general.type") == "adapter" or "adapter.type" in general


async def read(sources: Sequence[Source], places: tuple[int, ...]) -> Lora:
    if len(places) == 1:
        return await _read_gguf(sources[places[0]], places[0])
    return await _read_folder(sources, *places)


# --- llama.cpp's -----------------------------------------------------------------------------------------------------
async def _read_gguf(source: Source, place: int) -> Lora:
    header = await gguf.read_header(source, place)
    metadata, where = header.metadata, source.name
    if (kind := metadata.get("adapter.type")) != "lora":
        raise UnsupportedModel(f"adapter.type is {kind!r}; expected 'lora'", where=where)
    for key in metadata:
        if key.startswith("adapter.") and key not in ("adapter.type", "adapter.lora.alpha", "adapter.lora.task_name"):
            raise UnsupportedModel(f"{key} is not understood", where=where)
    alpha = metadata.get("adapter.lora.alpha")
    if type(alpha) not in (int, float):
        raise FormatError(f"adapter.lora.alpha must be a number, got {alpha!r}", where=where)
    tensors: dict[str, TensorInfo] = {}
    for info in header.tensors:
        module, ending, kind = info.name.rpartition(".weight.lora_")
        if not ending or kind not in ("a", "b"):
            raise UnsupportedModel(f"{info.name}: expected names that end in .weight.lora_a or .weight.lora_b", where=where)
        tensors[f"{module}.lora_{kind}"] = info
    # As llama.cpp has it, 0 stands for no scale of its own.
    scales = {module: float(alpha) / rank if alpha else 1.0 for module, rank in _ranks(tensors, where).items()}
    return _lora(file_name(source).removesuffix(".gguf"), "gguf", tensors, scales)


# --- PEFT's ----------------------------------------------------------------------------------------------------------
async def _read_folder(sources: Sequence[Source], config_at: int, weights_at: int) -> Lora:
    source = sources[config_at]
    config = safetensors.parse_object(await source.read(0, source.size), source.name)
    _check(config, source.name)
    tensors: dict[str, TensorInfo] = {}
    for name, info in (await safetensors.read_header(sources[weights_at], weights_at)).items():
        parts = name.removeprefix(PREFIX).split(".")
        if parts[-1:] == ["weight"]:
            kind = next((part for part in parts[-3:-1] if part in ("lora_A", "lora_B")), "")
            module = ".".join(parts[: parts.index(kind)]) if kind else ""
        if parts[-1:] != ["weight"] or not kind or not module:
            message = f"{name}: expected names that end in lora_A.weight or lora_B.weight"
            raise UnsupportedModel(message, where=sources[weights_at].name)
        tensors[f"{module}.{kind.lower()}"] = info
    ranks = _ranks(tensors, sources[weights_at].name)
    scales = {module: _scale(config, module, rank, source.name) for module, rank in ranks.items()}
    return _lora(folder_name(source) or "lora", "safetensors", tensors, scales)


def _check(config: Mapping[str, Any], where: str) -> None:
    for key, value in config.items():
        if key in NEUTRAL and value not in NEUTRAL[key]:
            expected = " or ".join(map(repr, NEUTRAL[key]))
            raise UnsupportedModel(f"{key} is {value!r}, which is not read; expected {expected}", where=where)
        if key not in NEUTRAL and key not in HARMLESS and key not in READ:
            raise UnsupportedModel(f"{key} is not understood", where=where, hint="merge this LoRA into its model")


def _scale(config: Mapping[str, Any], module: str, rank: int, where: str) -> float:
    """alpha / r, or alpha / sqrt(r)  (https://arxiv.org/abs/2312.03732)"""
    alpha = _of_module(config.get("alpha_pattern"), module, config.get("lora_alpha", 8))
    if type(alpha) not in (int, float):
        raise FormatError(f"lora_alpha must be a number, got {alpha!r}", where=where)
    expected = _of_module(config.get("rank_pattern"), module, config.get("r", 8))
    if expected != rank:
        raise FormatError(f"{module} has rank {rank}; by {CONFIG} {expected}", where=where)
    return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)


def _of_module(pattern: Any, module: str, otherwise: Any) -> Any:
    """Of names' ends and regular expressions the first that fits, as PEFT has it."""
    for key, value in (pattern or {}).items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return otherwise


# --- both ------------------------------------------------------------------------------------------------------------
def _ranks(tensors: Mapping[str, TensorInfo], where: str) -> dict[str, int]:
    """By module. Each has A [r, in] and B [out, r]."""
    modules = {name.rpartition(".")[0]: None for name in tensors}
    ranks: dict[str, int] = {}
    for module in modules:
        a, b = tensors.get(f"{module}.lora_a"), tensors.get(f"{module}.lora_b")
        if a is None or b is None:
            raise FormatError(f"{module} has no lora_{'b' if a else 'a'}", where=where)
        if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[1]:
            message = f"{module}: lora_a is {list(a.shape)} and lora_b {list(b.shape)}; expected [r, in] and [out, r]"
            raise UnsupportedModel(message, where=where)
        ranks[module] = a.shape[0]
    if not ranks:
        raise FormatError("there are no tensors", where=where)
    return ranks


def _lora(name: str, format: Literal["gguf", "safetensors"], tensors: dict[str, TensorInfo], scales: dict[str, float]) -> Lora:
    """Its tensors by names that no model has."""
    return Lora(name, format, {key: replace(info, name=f"{name}:{info.name}") for key, info in tensors.items()}, scales)
