"""From an open checkpoint to a LoadedModel: the token engine, its tokenizer and its chat template.  Knows no request."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, TypedDict

from fanlight.api.defaults import read_defaults
from fanlight.api.embeddings import NoTokens
from fanlight.api.fingerprint import fingerprint as fingerprint_of
from fanlight.api.generation import LoadedModel, TokenEngine
from fanlight.api.heard import Heard
from fanlight.api.overflow import ERROR, policy
from fanlight.api.pictures import NativeReader, Pictures, Reader
from fanlight.api.placing import Placing
from fanlight.compiler import GRAMMAR_BYTES
from fanlight.compiler.memory import memory_plan
from fanlight.compiler.program import KV_TYPES, Program
from fanlight.engine.embedder import Embedder
from fanlight.engine.engine import MAX_WAITING, Engine
from fanlight.engine.grammars import Vocabulary
from fanlight.engine.images import Images
from fanlight.engine.load import OnPlan, OnProgress, load_engine
from fanlight.engine.processing import LogitProcessor
from fanlight.engine.recovery import Renew, Reopen, renewed
from fanlight.engine.sounds import Sounds
from fanlight.engine.transcriber import Transcriber
from fanlight.errors import RequestError, UnsupportedModel
from fanlight.formats.checkpoint import Checkpoint
from fanlight.formats.source import file_name
from fanlight.images.preprocessor import Preprocessor, preprocessor_from_gguf, read_preprocessor
from fanlight.models import readable
from fanlight.runtime.adapter_notes import AdapterNotes
from fanlight.runtime.device import Device
from fanlight.text.chat_syntax import chat_syntax
from fanlight.text.chat_template import ChatTemplate, open_chat_template
from fanlight.text.conv_template import jinja_of
from fanlight.text.placeholders import placeholder_of
from fanlight.text.tokenizer import MakeEncoder, NativeEncoder, Tokenizer, open_tokenizer

DEFAULT_NUM_SEQS = 4  # sequences that run at once; more wait
MAX_NUM_SEQS = 1024
MAX_CONTEXT = 2**24  # tokens; a model's own limit is told when it is read
NAMELESS = {"model", "pytorch_model"}  # file names that say nothing


class LoadKeywords(TypedDict, total=False):
    """LoadOptions as keywords."""

    context_length: int | None
    max_num_seqs: int
    name: str | None
    grammar_bytes: int
    tune: bool
    activations: str | None
    kv_dtype: str
    max_waiting: int
    context_overflow: str
    conv_template: Mapping[str, Any] | None
    loras: Sequence[Any]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What whoever loads a model may choose, kept or refused. None: computed from the model and the adapter."""

    context_length: int | None = None
    max_num_seqs: int = DEFAULT_NUM_SEQS
    name: str | None = None  # under which requests know it
    grammar_bytes: int = GRAMMAR_BYTES  # of GPU memory for the grammars of answers that run at once
    tune: bool = True  # find out how the adapter wants products cut, where that is not known yet
    activations: str | None = None  # int8 where a product multiplies integers faster; f32: exact, as vectors are by default
    kv_dtype: str = "f16"  # of keys and values in the cache; or f32, twice as large; q8_0, about half; q4_0, about a quarter
    context_overflow: str = ERROR  # where a request does not say; or drop_oldest turns, or attention_sinks (api/overflow.py)
    max_waiting: int = MAX_WAITING  # sequences; what comes then is refused (EngineBusy)
    conv_template: Mapping[str, Any] | None = None  # how conversations are written, in MLC's words (text/conv_template.py)
    loras: Sequence[Any] = ()  # LoRAs beside the model, each named as a model is: requests say how much of which

    def __post_init__(self) -> None:
        for name, low, high in (
            ("context_length", 2, MAX_CONTEXT),
            ("max_num_seqs", 1, MAX_NUM_SEQS),
            ("grammar_bytes", 0, 2**31 - 1),
            ("max_waiting", 0, 2**31 - 1),
        ):
            value = getattr(self, name)
            is_default = value is None and name == "context_length"
            if not is_default and (type(value) is not int or not low <= value <= high):
                raise RequestError(f"{name} must be a whole number from {low} to {high}, got {value!r}", param=name)
        for name, words in (("activations", ("int8", "f32")), ("kv_dtype", tuple(KV_TYPES))):
            value = getattr(self, name)
            if value not in words and not (value is None and name == "activations"):
                raise RequestError(f"{name} must be {' or '.join(words)}, got {value!r}", param=name)
        policy(self.context_overflow, "context_overflow")
        if self.conv_template is not None and not isinstance(self.conv_template, Mapping):
            raise RequestError(f"conv_template must be an object, got {self.conv_template!r:.80}", param="conv_template")
        if isinstance(self.loras, (str, bytes)) or not isinstance(self.loras, Sequence):
            raise RequestError(f"loras must be a list, got {self.loras!r:.80}", param="loras")
        if type(self.tune) is not bool:
            raise RequestError(f"tune must be true or false, got {self.tune!r}", param="tune")
        if self.name is not None and not (isinstance(self.name, str) and self.name):
            raise RequestError(f"name must be a text, got {self.name!r}", param="name")


def load_options(keywords: Mapping[str, Any]) -> LoadOptions:
    """Raises RequestError where one is unknown, or its value is none that it may have."""
    known = LoadKeywords.__annotations__
    for name in keywords:
        if name not in known:
            raise RequestError(f"unknown option {name!r}; known: {', '.join(sorted(known))}", param=name)
    return LoadOptions(**keywords)


async def load_model(
    checkpoint: Checkpoint,
    device: Device,
    options: LoadOptions,
    on_progress: OnProgress,
    make_encoder: MakeEncoder = NativeEncoder,
    on_plan: OnPlan | None = None,
    notes: AdapterNotes | None = None,
    reopen: Reopen | None = None,
    processor: LogitProcessor | None = None,
    reader: Reader | None = None,
) -> LoadedModel:
    """reopen: where the device may be lost and another one be had; then answers go on there, but for those of a logit
    processor, which was told what it was told."""
    checkpoint, not_read = readable(checkpoint)
    texts: list[tuple[Tokenizer, ChatTemplate | None]] = []
    meanwhile = lambda: texts.append(open_texts(checkpoint, make_encoder, options.conv_template))  # noqa: E731
    loaded = await load_engine(checkpoint, device, options, on_progress, on_plan, notes, meanwhile, processor)
    ((tokenizer, template),) = texts
    await tokenizer.check()
    if isinstance(loaded, Embedder | Transcriber):
        engine: TokenEngine = NoTokens(loaded)
    else:
        engine = loaded
        loaded.grammars.open_vocabulary = partial(open_vocabulary, tokenizer, template)
    name = options.name or model_name(checkpoint)
    defaults = read_defaults(checkpoint)
    fingerprint = await fingerprint_of(loaded.program, device)
    info = {
        "model": name,
        "format": checkpoint.format,
        "architecture": _architecture(checkpoint.metadata),
        "context_length": engine.context_length,
        "has_chat_template": template is not None,
        "system_fingerprint": fingerprint,
        "sampling": {} if isinstance(loaded, Transcriber) else defaults.info(),
        "memory": memory_plan(loaded.program.buffers),
        "adapter": asdict(device.info),
        **({"loras": list(loaded.program.loras)} if loaded.program.loras else {}),
        **({"kernels": notes.summary()} if notes else {}),
        **({"embedding": loaded.summary()} if isinstance(loaded, Embedder) else {}),
        **({"audio": loaded.summary()} if isinstance(loaded, Transcriber) else {}),
        **({"encoder_not_read": not_read} if not_read else {}),
    }
    loaded_model = LoadedModel(engine, tokenizer, template, name, fingerprint=fingerprint, defaults=defaults.values, info=info)
    loaded_model.context_overflow = options.context_overflow
    if isinstance(loaded, Engine) and (takes := loaded.scheduler.images).takes_any:
        loaded_model.placing = open_placing(checkpoint, loaded, tokenizer, reader or NativeReader())
        loaded_model.info["hears" if isinstance(takes, Sounds) else "has_vision"] = True
    if reopen is not None and processor is None:
        loaded.renew = _renewing(loaded.program, reopen, fingerprint)
    return loaded_model


def open_placing(checkpoint: Checkpoint, engine: Engine, tokenizer: Tokenizer, reader: Reader) -> Placing:
    """Of a model that sees, or hears."""
    model_type, takes = engine.program.name, engine.scheduler.images
    placeholder = placeholder_of(model_type)
    tokens = {token: tokenizer.token_to_id(token) for token in (placeholder.token, *placeholder.others)}
    token, token_id = next(((t, i) for t, i in tokens.items() if i is not None), ("", None))
    if token_id is None:
        raise UnsupportedModel(f"the vocabulary has no token {placeholder.token!r}, a {placeholder.what}'s", where=model_type)
    placeholder = replace(placeholder, token=token)
    if isinstance(takes, Sounds):
        return Heard(takes, placeholder, token_id, reader, engine.context_length)
    assert isinstance(takes, Images)
    return Pictures(takes, _preprocessor(checkpoint, engine.program), placeholder, token_id, reader)


def _preprocessor(checkpoint: Checkpoint, program: Program) -> Preprocessor:
    metadata = checkpoint.metadata
    if checkpoint.format == "gguf":
        preprocessor = preprocessor_from_gguf(metadata, checkpoint.sources[0].name)
    else:
        files = [metadata.get(name) or None for name in ("preprocessor_config", "processor_config")]
        preprocessor = read_preprocessor(program.name, *files)
    step = program.image_step
    if step is None:
        return preprocessor
    half = program.context_length // 2  # tokens; the others are for texts
    return preprocessor.within(min(step.height * step.width, half * step.merge**2) * step.patch**2)


def _renewing(program: Program, reopen: Reopen, fingerprint: str) -> Renew:
    """Answers go on only with the weights that they began with."""

    async def is_same(device: Device) -> bool:
        return await fingerprint_of(program, device) == fingerprint

    return lambda lost: renewed(program, lost, reopen, is_same)


def _architecture(metadata: Mapping[str, Any]) -> str:
    return str(metadata.get("general.architecture") or (metadata.get("config") or {}).get("model_type", ""))


def open_vocabulary(tokenizer: Tokenizer, template: ChatTemplate | None) -> Vocabulary:
    """What grammars read. What a template writes calls and reasoning with is text there."""
    ends = tokenizer.stop_token_ids
    if template is not None:
        syntax = chat_syntax(template, tokenizer)
        tokenizer.mark_ids = tokenizer.ids_of(syntax.visible(True))
        ends -= tokenizer.ids_of(syntax.format.no_stops)
    return Vocabulary([b"" if i in ends else text for i, text in enumerate(tokenizer.texts())], ends, tokenizer.cut)


def open_texts(
    checkpoint: Checkpoint, make_encoder: MakeEncoder, conv_template: Mapping[str, Any] | None = None
) -> tuple[Tokenizer, ChatTemplate | None]:
    """conv_template: laid over the model's own, and in the place of its Jinja."""
    tokenizer = open_tokenizer(checkpoint.format, checkpoint.metadata, make_encoder)
    special = tokenizer.special.for_template()
    if conv_template:
        whole = {**(checkpoint.metadata.get("conv_template") or {}), **conv_template}
        tokenizer.stop_token_ids |= {i for i in whole.get("stop_token_ids") or () if type(i) is int}
        return tokenizer, ChatTemplate(jinja_of(whole), special)
    return tokenizer, open_chat_template(checkpoint.format, checkpoint.metadata, special)


def model_name(checkpoint: Checkpoint) -> str:
    """The file's name without the number of its part, or the folder's where files have the same names everywhere."""
    source = checkpoint.sources[0]
    stem = re.sub(r"(-\d{5}-of-\d{5})?\.(gguf|safetensors|json)$", "", file_name(source))
    folder = next(iter(re.split(r"[/\\]", source.name)[-2:-1]), "")
    if checkpoint.format == "gguf":
        return str(checkpoint.metadata.get("general.name") or folder or stem) if stem in NAMELESS else stem
    return folder or stem
