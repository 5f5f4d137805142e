"""One file per architecture, named as config.json's `model_type`.  Each exports `Config`, `read_config`, `forward`, its names
in GGUF files (`GGUF_NAMES`; `GGUF_KEYS` for keys of its own, `GGUF_LISTS` for those that differ from layer to layer;
`FOLDER_NAMES` where folders do not have the names that `forward` uses) and
PAIRED_IN, the files whose rotary pairs lie side by side; perhaps `is_unused`, for tensors that no layer asks for. An encoder
has `encode` and perhaps `score` in place of `forward`; pooling.py makes vectors of its rows. One that takes pictures has `see`,
which makes rows of one for the language model (its towers are in vision/), and `vision` in its Config; one that takes sounds
likewise `hear`, towers in sound/, and `sound`. One that writes down what it hears has `listen` beside `forward`; hearing.py
says how it is asked."""

import json
import re
import struct
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from fanlight.compiler.graph import Graph
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.checkpoint import Checkpoint
from fanlight.formats.layout import TensorInfo
from fanlight.formats.lora import Lora
from fanlight.models.config import ARCHITECTURES, Keys, load_architecture, read_config
from fanlight.models.gguf_config import config_from_gguf, model_type_of
from fanlight.models.hearing import Hearing, by_rules, read_hearing
from fanlight.models.layers import keep_images
from fanlight.models.mlc_config import BLIND, as_folder
from fanlight.models.pooling import Pooling, pooled, read_pooling
from fanlight.models.sound.gguf import keys_of_hearing
from fanlight.models.sound.whisper import check_features
from fanlight.models.vision.gguf import keys_of_seeing, unswapped
from fanlight.models.weights import LoraNames, Made, Names, Weights

__all__ = ["ARCHITECTURES", "Model", "check_tensors", "load_architecture", "open_model", "read_config", "readable"]

ROPE_FACTORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
# Tensors that are no part of the language model: masks and tables, other senses, heads for other tasks.
NO_WEIGHTS = re.compile(
    r"\.rotary_emb\.inv_freq$|\.att(entio)?n\.(masked_)?bias$|(^|\.)rope_(freqs|factors_long|factors_short)\.weight$"
    r"|^(model\.)?(embed_)?(vision|visual|audio|image|multi_modal|connector)|^(score|classifier|v_head|cls)\.|(^|\.)pooler\.dense\.|\.input_scale$"
)
TABLES = ("BOOL", "U8", "I8", "I16", "U16", "I32", "U32", "I64", "U64")  # of whole numbers: masks, positions, maps of tokens
HEADS = (
    "lm_head.weight",
    "proj_out.weight",
    "embed_out.weight",
    "output.weight",
    "language_model.lm_head.weight",
)  # copies, where the embedding is the head
EMBEDDING = re.compile(r"(^|\.)(embed_tokens|embeddings|embed_in|tok_embeddings|wte|word_embeddings)\.weight$")
PROBE = 1 << 14  # bytes


@dataclass(frozen=True, slots=True)
class Model:
    config: Any  # of the architecture; all have vocab_size, max_position_embeddings and model_type
    weights: Weights
    architecture: ModuleType
    pooling: Pooling | None = None  # of a model that gives vectors or scores, not tokens
    hearing: Hearing | None = None  # of a model that writes down what it hears

    def image_graph(self) -> Graph | None:
        """Of the step that takes a picture in; None of a model that does not see."""
        see = getattr(self.architecture, "see", None)
        if see is None or not self.config.vision:
            return None
        if (seen := see(self.config, self.weights.bare())) is None:
            return None
        patches = next(node for node in Graph(seen, 0, 0).nodes() if node.op == "patches")
        return Graph(keep_images(seen, patches.attrs["merge"] if "side" in patches.attrs else 0), patches.shape[0], 0)

    def graph(self, rows: int, samples: int, context_length: int) -> Graph:
        """The graph of a step of T = `rows` tokens after which B = `samples` of them are continued, for a context of
        `context_length` tokens."""
        arguments = self.config, self.weights, rows
        if self.pooling is None:
            root = self.architecture.forward(*arguments, samples, context_length)
            return Graph(by_rules(root, self.hearing.transcript) if self.hearing else root, rows, samples)
        root = pooled(self.pooling, self.architecture, *arguments, samples, context_length)
        return Graph(root, rows, samples)

    def sound_graph(self) -> Graph | None:
        """Of the step that takes a window of sound in; None of a model that does not hear."""
        if self.hearing is not None:
            return Graph(self.architecture.listen(self.config, self.weights), self.hearing.rows, 0)
        if not hasattr(self.architecture, "hear") or not self.config.sound:
            return None
        heard = self.architecture.hear(self.config, self.weights.bare())
        return Graph(keep_images(heard), self.config.sound.max_source_positions, 0)


async def open_model(checkpoint: Checkpoint, check: bool = True) -> Model:
    """Raises UnsupportedModel for what cannot run, FormatError for files that are broken or contradict themselves. Without
    `check` tensors are judged as a graph asks for them, and `check_tensors` is to follow."""
    if checkpoint.format == "mlc":
        checkpoint = as_folder(checkpoint)
    if width := checkpoint.metadata.get("clip.vision.embedding_length"):
        checkpoint = replace(checkpoint, tensors=unswapped(checkpoint.tensors, width))
    keys, architecture = await _configuration(checkpoint)
    config = read_config(keys, keys.file)
    if getattr(architecture, "MAY_BE_BLIND", False) and not _may_see(checkpoint):
        config = replace(config, vision=None)
    if getattr(config, "sound", None):
        check_features(checkpoint.metadata.get("preprocessor_config") or {}, config.sound)
    is_paired, folder_names = checkpoint.format in architecture.PAIRED_IN, getattr(architecture, "FOLDER_NAMES", {})
    names = Names(checkpoint, architecture.GGUF_NAMES, is_paired, folder_names)
    names = replace(names, loras=tuple(_lora_names(lora, names, architecture) for lora in checkpoint.loras))
    asked = checkpoint, config, architecture
    model = Model(config, Weights(names, Made()), architecture, read_pooling(*asked), read_hearing(*asked))
    if checkpoint.loras and (model.pooling or model.hearing):
        message = f"{config.model_type} here gives vectors, or hears, and a LoRA changes only models that answer"
        raise UnsupportedModel(message, where=checkpoint.loras[0].name, hint="merge this LoRA into its model")
    if check:
        model.graph(1, 1, config.max_position_embeddings), model.image_graph(), model.sound_graph()  # ask for every tensor
        check_tensors(model)
    _check_vocabulary(checkpoint, config.vocab_size)
    if config.tie_word_embeddings and checkpoint.format != "gguf":
        await _check_heads(checkpoint)
    return model


def readable(checkpoint: Checkpoint) -> tuple[Checkpoint, str]:
    """Without an encoder of pictures or sounds that does not run here, and what is not known of it; else as it is, and "". The
    language model beside it reads texts."""
    if checkpoint.format == "mlc" and (kind := str(checkpoint.metadata["config"]["model_type"])) in BLIND:
        return checkpoint, f"kind is {kind!r}, of which MLC's shards are read for texts alone"
    if checkpoint.format != "gguf" or not any(key.startswith("clip.") for key in checkpoint.metadata):
        return checkpoint, ""
    model_type = model_type_of(checkpoint.metadata)
    try:
        _senses(checkpoint, model_type)
    except UnsupportedModel as error:
        metadata = {key: value for key, value in checkpoint.metadata.items() if not key.startswith("clip.")}
        files = {info.source for name, info in checkpoint.tensors.items() if name.startswith(("blk.", "token_embd.", "output"))}
        tensors = {name: info for name, info in checkpoint.tensors.items() if info.source in files}
        return replace(checkpoint, metadata=metadata, tensors=tensors), error.message
    return checkpoint, ""


def _senses(checkpoint: Checkpoint, model_type: object) -> dict[str, Any]:
    """What an encoder beside a language model of GGUF adds to its keys. Raises UnsupportedModel."""
    asked = checkpoint.metadata, checkpoint.tensors, model_type, checkpoint.sources[0].name
    heard = keys_of_hearing(*asked)
    return keys_of_seeing(*asked) if heard is None else heard


def _lora_names(lora: Lora, names: Names, architecture: ModuleType) -> LoraNames:
    as_model = replace(names.checkpoint, format=lora.format, tensors=lora.tensors)
    return LoraNames(replace(names, checkpoint=as_model, is_paired=lora.format in architecture.PAIRED_IN), lora.scales)


def _may_see(checkpoint: Checkpoint) -> bool:
    """Whether the files say how a tower reads pictures; without that a model that has one reads text alone."""
    files = ("preprocessor_config", "processor_config")
    return checkpoint.format == "gguf" or any(checkpoint.metadata.get(file) for file in files)


async def _configuration(checkpoint: Checkpoint) -> tuple[Keys, ModuleType]:
    file, metadata = checkpoint.sources[0].name, checkpoint.metadata
    if checkpoint.format != "gguf":
        keys = Keys(metadata["config"], file)
        return keys, load_architecture(keys.model_type, file)
    model_type = model_type_of(metadata)
    seen = _senses(checkpoint, model_type)
    architecture = load_architecture(seen.get("model_type", model_type), file)
    factors = {name: await _read_floats(checkpoint, name) for name in ROPE_FACTORS if name in checkpoint.tensors}
    own_keys, lists = getattr(architecture, "GGUF_KEYS", {}), getattr(architecture, "GGUF_LISTS", ())
    return config_from_gguf(metadata, checkpoint.tensors, factors, own_keys, file, lists, seen), architecture


async def _read_floats(checkpoint: Checkpoint, name: str) -> tuple[float, ...]:
    info = checkpoint.tensors[name]
    count = info.shape[0]
    if info.format != "F32" or len(info.shape) != 1 or not 0 < count <= 512:
        raise FormatError(
            f"{name} is {info.format} {list(info.shape)}, expected F32 [R/2]", where=checkpoint.sources[info.source].name
        )
    return struct.unpack(f"<{count}f", await checkpoint.read(name))


def check_tensors(model: Model) -> None:
    """After a graph was made: a tensor that the architecture does not ask for would be ignored."""
    checkpoint, asked = model.weights.names.checkpoint, model.weights.made.tensors
    is_unused = getattr(model.architecture, "is_unused", lambda config, name: False)
    for name, info in checkpoint.tensors.items():
        is_copy = model.config.tie_word_embeddings and name in HEADS
        is_left_out = is_copy or info.format in TABLES or NO_WEIGHTS.search(name) or is_unused(model.config, name)
        if name not in asked and not is_left_out:
            raise UnsupportedModel(
                f"{name} {list(info.shape)} is part of the model, but as configured {model.config.model_type} does not use it",
                where=checkpoint.sources[info.source].name,
                hint="fanlight show config MODEL, and fanlight show tensors MODEL",
            )
    for lora in checkpoint.loras:
        if left := [info.name for info in lora.tensors.values() if info.name not in asked]:
            raise UnsupportedModel(
                f"{left[0]} changes no product of this model that a LoRA may change ({len(left)} such tensors)",
                where=lora.name,
                hint="was it made for another model? Heads, embeddings, norms and experts are not changed here: merge it",
            )


async def _check_heads(checkpoint: Checkpoint) -> None:
    """Of a model whose embedding is its head: one in the file must be a copy. (Where it is another, transformers takes the head
    since version 5, and the embedding before, as vLLM does.)"""
    embedding = next((info for name, info in checkpoint.tensors.items() if EMBEDDING.search(name)), None)
    for head in (checkpoint.tensors[name] for name in HEADS if name in checkpoint.tensors):
        if embedding and not await _are_alike(checkpoint, head, embedding):
            raise FormatError(
                f"{head.name} is not {embedding.name}, though by tie_word_embeddings it is; programs take one or the other",
                where=checkpoint.sources[head.source].name,
                hint=f'"tie_word_embeddings": false in config.json for the head, or remove {head.name} for the embedding',
            )


async def _are_alike(checkpoint: Checkpoint, a: TensorInfo, b: TensorInfo) -> bool:
    """By their start, middle and end: tensors trained apart differ everywhere."""
    if (a.format, a.shape) != (b.format, b.shape):
        return False
    size = min(PROBE, a.num_bytes)
    for offset in {0, (a.num_bytes - size) // 2, a.num_bytes - size}:
        one, other = [await checkpoint.sources[t.source].read(t.offset + offset, size) for t in (a, b)]
        if one != other:
            return False
    return True


def _check_vocabulary(checkpoint: Checkpoint, rows: int) -> None:
    """Every token has an embedding; there may be more embeddings than tokens."""
    if checkpoint.format == "gguf":
        tokens = len(checkpoint.metadata.get("tokenizer.ggml.tokens") or ())
        what = "tokenizer.ggml.tokens"
    else:
        tokens, what = _num_tokens(checkpoint.metadata.get("tokenizer")), "the vocabulary of tokenizer.json"
    if tokens > rows:
        raise FormatError(f"{what} has {tokens} tokens, and the embedding {rows} rows", where=checkpoint.sources[0].name)


def _num_tokens(tokenizer: str | None) -> int:
    """Without the added ones, of which published files have some that no embedding is meant for."""
    try:
        return len(json.loads(tokenizer or "{}")["model"]["vocab"])
    except (ValueError, KeyError, TypeError):
        return 0  # the tokenizer's own reader says what is wrong
