"""A Checkpoint: metadata and named tensors of a model, not yet loaded.  `open_checkpoint` finds out what kind of files it was
given.

GGUF: the metadata are the file's key-value pairs. Hugging Face: they are the JSON files of the folder, by the names in
HF_FILES, 'chat_template', and 'chat_templates', those that have a name. MLC: the same, from its own files (mlc.py). Knows no
architecture: what keys and tensors mean is the business of models/.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from fanlight.errors import FormatError, MissingWeight
from fanlight.formats import folder_quant, gguf, lora, mlc, safetensors
from fanlight.formats.layout import TensorInfo
from fanlight.formats.lora import Lora
from fanlight.formats.parts import blocks_of
from fanlight.formats.source import Source, file_name, folder_name, start_in_words

__all__ = ["HF_FILES", "Checkpoint", "TensorInfo", "open_checkpoint"]

MAX_TEXT_BYTES = 128 << 20  # the largest known tokenizer.json has 33 MB

# metadata key -> file. The tokenizer stays text, since a library reads it.
HF_FILES = {
    "config": "config.json",
    "tokenizer": "tokenizer.json",
    "tokenizer_config": "tokenizer_config.json",
    "generation_config": "generation_config.json",
    "sentence_bert_config": "sentence_bert_config.json",
    "preprocessor_config": "preprocessor_config.json",
    "processor_config": "processor_config.json",
}
# sentence-transformers': what follows the model, each module with its files in a folder of its own, such as 1_Pooling
MODULES = "modules.json"
TEMPLATE_TEXT, TEMPLATE_JSON, TEMPLATE_ENDING = "chat_template.jinja", "chat_template.json", ".jinja"
MORE_TEMPLATES = "additional_chat_templates"  # a folder

# What people give by mistake: how it starts -> what it is.
MISTAKES = {
    b"version https://git-lfs": "a Git LFS pointer, not the file itself: fetch it with `git lfs pull`, or download it",
    b"<": "a web page, not a model: use the link that downloads the file",
    b"PK\x03\x04": "a PyTorch checkpoint (pickle): use the safetensors version of the model",
    b"\x80\x02": "a PyTorch checkpoint (pickle): use the safetensors version of the model",
    b"lmgg": "a GGML file, whisper.cpp's or one from before GGUF: use the model's Hugging Face folder, or a GGUF version",
    b"fmgg": "a GGML file from before GGUF: use a GGUF version of the model",
    b"tjgg": "a GGML file from before GGUF: use a GGUF version of the model",
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is in a model's files."""

    format: Literal["gguf", "safetensors", "mlc"]
    metadata: dict[str, Any]
    tensors: dict[str, TensorInfo]
    sources: tuple[Source, ...]  # as they were given: TensorInfo.source counts in them
    loras: tuple[Lora, ...] = ()  # given with the model

    async def read(self, name: str) -> bytes:
        """The encoded bytes of one tensor, for references and tools: weights on their way to a GPU are streamed instead."""
        if name not in self.tensors:
            raise MissingWeight(f"there is no tensor {name!r}", where=self.sources[0].name, hint="fanlight show tensors MODEL")
        tensor = self.tensors[name]
        if not tensor.parts:
            return await self.sources[tensor.source].read(tensor.offset, tensor.num_bytes)
        read = {part: await self.sources[part.source].read(part.offset, part.num_bytes) for part in tensor.parts}
        return bytes(blocks_of(tensor, read.__getitem__))


async def open_checkpoint(sources: Sequence[Source]) -> Checkpoint:
    """The model in these files: a GGUF file, all parts of a split one, or a folder's files, of Hugging Face or MLC, in any
    order; with the files of LoRAs among them."""
    sources = tuple(sources)
    if not sources:
        raise FormatError("no files were given", hint="give a GGUF file or a Hugging Face folder")
    starts = [await source.read(0, min(32, source.size)) for source in sources]
    found = await lora.find(sources, starts)
    loras = tuple([await lora.read(sources, places) for places in found])
    if len({one.name for one in loras}) < len(loras):
        raise FormatError(f"two LoRAs have one name: {', '.join(one.name for one in loras)}", where=sources[0].name)
    places = [i for i in range(len(sources)) if not any(i in of for of in found)]
    if not places:
        raise FormatError("is a LoRA, and its model was not given", where=sources[0].name, hint="give the model's files too")
    model = await open_model_files(tuple(sources[i] for i in places), [starts[i] for i in places])
    if not loras:
        return model
    tensors = {name: _at(info, places) for name, info in model.tensors.items()}
    return replace(model, tensors=tensors, sources=sources, loras=loras)


def _at(info: TensorInfo, places: Sequence[int]) -> TensorInfo:
    """With the numbers that its files have among all that were given."""
    parts = tuple(replace(part, source=places[part.source]) for part in info.parts)
    return replace(info, source=places[info.source], parts=parts)


async def open_model_files(sources: tuple[Source, ...], starts: Sequence[bytes]) -> Checkpoint:
    if any(start.startswith(gguf.MAGIC) for start in starts):
        for source, start in zip(sources, starts, strict=True):
            if not start.startswith(gguf.MAGIC):
                raise FormatError("is not a GGUF file, and others given with it are", where=source.name)
        return Checkpoint("gguf", *await gguf.read_gguf(sources), sources)
    weights = [i for i, (source, start) in enumerate(zip(sources, starts, strict=True)) if is_safetensors(source, start)]
    if weights:
        return await open_folder(sources, weights)
    if index := next((source for source in sources if file_name(source) in mlc.INDEXES), None):
        return await open_mlc(sources, index)
    raise not_a_model(sources[0], starts[0])


def is_safetensors(source: Source, start: bytes) -> bool:
    return file_name(source).endswith(".safetensors") or (start[8:9] == b"{" and not any(start[4:8]))


def not_a_model(source: Source, start: bytes) -> FormatError:
    hint = "give a GGUF file or a Hugging Face folder with safetensors"
    for magic, what in MISTAKES.items():
        if start.lstrip().startswith(magic):
            return FormatError(f"is {what.split(': ')[0]}", where=source.name, hint=what.split(": ")[1])
    if not start:
        return FormatError("is empty", where=source.name, hint="download it again")
    message = f"is no model file that Fanlight knows: it starts with {start_in_words(start[:8])}"
    return FormatError(message, where=source.name, hint=hint)


# --- Hugging Face folders --------------------------------------------------------------------------------------------
async def open_folder(sources: tuple[Source, ...], weights: list[int]) -> Checkpoint:
    """`weights` are the safetensors files among the sources."""
    modules = await read_modules(sources)
    paths = {module["path"] for module in modules or () if module["path"]}
    inside = {source: folder_name(source) for source in sources if folder_name(source) in paths}
    by_name: dict[str, Source] = {}
    for given in sources:
        if given not in inside and by_name.setdefault(file_name(given), given) is not given:
            hint = f"give {MODULES} too, and files of modules by their folder's name: 1_Pooling/config.json"
            raise FormatError(f"{file_name(given)} is there twice", where=given.name, hint=hint)
    metadata = {**await read_metadata(by_name), "modules": modules}
    shards: dict[str, dict[str, TensorInfo]] = {}
    tensors: dict[str, TensorInfo] = {}
    for index in weights:
        shard = await safetensors.read_header(sources[index], index)
        if prefix := inside.get(sources[index]):
            tensors |= {f"{prefix}.{name}": replace(info, name=f"{prefix}.{name}") for name, info in shard.items()}
            continue
        for name in shard.keys() & tensors.keys():
            other = sources[tensors[name].source]
            raise FormatError(f"tensor {name!r} is in {file_name(other)} too", where=sources[index].name)
        shards[file_name(sources[index])] = shard
        tensors |= shard
    if safetensors.INDEX_NAME in by_name:
        index_file = by_name[safetensors.INDEX_NAME]
        weight_map = safetensors.parse_index(await read_text(index_file), index_file.name)
        safetensors.check_index(weight_map, shards, index_file.name)
    config_file = by_name[HF_FILES["config"]].name
    if found := folder_quant.method_of(metadata["config"], config_file):
        tensors = await folder_quant.read(tensors, *found, config_file, sources)
        metadata["config"] = {key: value for key, value in metadata["config"].items() if key not in folder_quant.KEYS}
    return Checkpoint("safetensors", metadata, tensors, sources)


# --- MLC's folders ---------------------------------------------------------------------------------------------------
async def open_mlc(sources: tuple[Source, ...], index: Source) -> Checkpoint:
    by_name = {file_name(source): source for source in sources}
    if mlc.CONFIG not in by_name:
        raise FormatError(f"{mlc.CONFIG} is missing", where=index.name, hint="give all files of the folder")
    config = by_name[mlc.CONFIG]
    metadata = await read_metadata({**by_name, HF_FILES["config"]: config})
    mlc.complete(metadata, config.name)
    places = {name: i for i, name in enumerate(map(file_name, sources))}
    listed = safetensors.parse_object(await read_text(index), index.name)
    return Checkpoint("mlc", metadata, mlc.read_index(listed, places, sources, index.name), sources)


async def read_modules(sources: Sequence[Source]) -> list[dict[str, Any]] | None:
    """By their order: type, path and config of each; None where no file lists them."""
    listing = next((source for source in sources if file_name(source) == MODULES), None)
    if listing is None:
        return None
    found = safetensors.parse_json(await read_text(listing), listing.name)
    is_right = isinstance(found, list) and all(
        isinstance(m, dict) and isinstance(m.get("type"), str) and isinstance(m.get("path"), str) for m in found
    )
    if not is_right:
        raise FormatError("expected a list of modules, each with its type and path", where=listing.name)
    configs = {folder_name(s): s for s in sources if file_name(s) == HF_FILES["config"]}
    modules = []
    for module in found:
        path = module["path"]
        origin = configs.get(path) if path else None
        config = safetensors.parse_object(await read_text(origin), origin.name) if origin else {}
        if path and not origin and not module["type"].endswith(".Normalize"):
            raise FormatError(f"{path}/config.json is missing, which it names", where=listing.name)
        modules.append({"type": module["type"], "path": path, "config": config})
    return modules


async def read_metadata(by_name: dict[str, Source]) -> dict[str, Any]:
    if HF_FILES["config"] not in by_name:
        names = ", ".join(sorted(by_name))
        hint = "give the folder that the weights came in, not the weights alone"
        raise FormatError(f"config.json is missing; there is {names:.200}", where=next(iter(by_name.values())).name, hint=hint)
    metadata: dict[str, Any] = {}
    for key, name in HF_FILES.items():
        if name not in by_name:
            metadata[key] = None if key == "tokenizer" else {}
        elif key == "tokenizer":
            metadata[key] = await read_decoded(by_name[name])
        else:
            metadata[key] = safetensors.parse_object(await read_text(by_name[name]), by_name[name].name)
    metadata["chat_templates"] = named = await read_templates(by_name, metadata["tokenizer_config"])
    metadata["chat_template"] = named.pop("default", None)
    return metadata


async def read_templates(by_name: dict[str, Source], tokenizer_config: dict[str, Any]) -> dict[str, str]:
    """By name, of which 'default' is the one without: the first of chat_template.jinja, chat_template.json,
    tokenizer_config.json, of which the last two may hold several; and those of the folder additional_chat_templates."""
    where = by_name[HF_FILES["config"]].name
    found: Any = tokenizer_config.get("chat_template")
    if TEMPLATE_JSON in by_name:
        content = safetensors.parse_object(await read_text(by_name[TEMPLATE_JSON]), by_name[TEMPLATE_JSON].name)
        found = content.get("chat_template") or found
    named = {"default": found}
    if isinstance(found, list):
        named = {str(e.get("name")): e.get("template") for e in found if isinstance(e, dict)}
    for name, source in by_name.items():
        if name.endswith(TEMPLATE_ENDING):
            named["default" if name == TEMPLATE_TEXT else name.removesuffix(TEMPLATE_ENDING)] = await read_decoded(source)
    for text in named.values():
        if text is not None and not isinstance(text, str):
            raise FormatError(f"a chat template must be a text, got {type(text).__name__}", where=where)
    return {name: text for name, text in named.items() if text}


async def read_text(source: Source) -> bytes:
    if source.size > MAX_TEXT_BYTES:
        raise FormatError(f"has {source.size} bytes; at most {MAX_TEXT_BYTES} are read", where=source.name)
    return await source.read(0, source.size)


async def read_decoded(source: Source) -> str:
    try:
        return (await read_text(source)).decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"text is not UTF-8: {error.reason} at byte {error.start}", where=source.name) from error
