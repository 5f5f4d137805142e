"""Reads a model's configuration: typed, with transformers' own defaults, and knowing what was read.

`read_config` hands config.json's keys to the architecture's own `read_config(keys)`; `config_from_gguf` (gguf_config.py) brings
a GGUF file's under the same names first. What would change the numbers and was not read is an error that names it."""

import difflib
import importlib
import math
import pkgutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel

# Files of this folder that are no architectures: every other is one, by its name.
OTHERS = frozenset(
    {
        "config",
        "decoder",
        "delta_net",
        "gemma3n_config",
        "gemma4_config",
        "gemma4_experts",
        "gguf_config",
        "hearing",
        "layers",
        "mla",
        "mlc_config",
        "moe",
        "nemotron_h_config",
        "pooling",
        "rope",
        "routed",
        "sound",
        "state_space",
        "vision",
        "weights",
    }
)
FILES = {file.name for file in pkgutil.iter_modules([str(Path(__file__).parent)])} - OTHERS
# Hugging Face's model_type -> the module that is its architecture
ARCHITECTURES = {name: name for name in sorted(FILES)} | {
    "gemma3_text": "gemma3",
    "gemma3n_text": "gemma3n",
    "gemma4_text": "gemma4",
    "gemma4_unified": "gemma4",
    "gemma4_unified_text": "gemma4",
    "mistral3": "ministral3",
    "qwen3_5_moe_text": "qwen3_5_moe",
    "qwen3_5_text": "qwen3_5",
    "smolvlm": "idefics3",
    "xlm-roberta": "roberta",
}

# Keys that say nothing of what a trained model computes for a prompt.
HARMLESS = frozenset(
    """
    model_type architectures auto_map transformers_version dtype torch_dtype name_or_path tokenizer_class torchscript
    use_bfloat16 use_cache cache_implementation attn_implementation use_flash_attn use_flash_attention gradient_checkpointing
    initializer_range initializer_factor init_std init_device pretraining_tp id2label label2id num_labels problem_type
    finetuning_task task_specific_params tf_legacy_loss return_dict output_attentions output_hidden_states
    output_router_logits output_scores return_dict_in_generate keys_to_ignore_at_inference tie_last_hidden_states
    chunk_size_feed_forward is_decoder is_llama_config max_length min_length do_sample early_stopping num_beams
    num_beam_groups diversity_penalty temperature top_k top_p typical_p repetition_penalty length_penalty
    no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences remove_invalid_values
    exponential_decay_length_penalty suppress_tokens begin_suppress_tokens prefix forced_bos_token_id forced_eos_token_id
    attention_dropout hidden_dropout classifier_dropout embd_pdrop resid_pdrop attn_pdrop residual_dropout model_max_length
    max_sequence_length seq_length pad_vocab_size_multiple pad_to_multiple_of original_vocab_size training_args
    transformers.js_config skip_bos_token license upcast_softmax reorder_and_upcast_attn summary_type
    router_aux_loss_coef router_jitter_noise is_composition
    """.split()
)
HARMLESS_STARTS = ("_", "unsloth_", "summary_", "quantize_config_comment")
HARMLESS_ENDS = (
    "_token_id",
    "_token_ids",
    "_token_index",
    "_dropout",
    "_dropout_prob",
    "_pdrop",
    "_init_scale",
    "_xavier_init",
)

# Keys that change nothing while they have this value, where an architecture does not read them.
NEUTRAL: Mapping[str, Any] = {
    "add_cross_attention": False,
    "alibi": False,
    "attention_bias": False,
    "attention_out_bias": False,
    "embedding_multiplier": 1,
    "full_attn_mod": 1,
    "interpolate_factor": 1,
    "is_encoder_decoder": False,
    "lm_head_bias": False,
    "logit_scale": 1,
    "logits_scaling": 1,
    "mlp_bias": False,
    "num_experts": 0,
    "num_local_experts": 0,
    "num_nextn_predict_layers": 0,
    "partial_rotary_factor": 1,
    "pruned_heads": {},
    "qk_layernorm": False,
    "qkv_bias": False,
    "residual_multiplier": 1,
    "rope_interleaved": False,
    "rotary_pct": 1,
    "rotary_scaling_factor": 1,
    "tie_encoder_decoder": False,
    "use_bidirectional_attention": False,
    "use_mrope": False,
    "use_qk_norm": False,
    "use_qkv_bias": False,
    "use_sliding_window": False,
}
INFINITE: tuple[Any, ...] = (math.inf, {"__float__": "Infinity"})
REQUIRED: Any = object()  # in a default's place: there is none


class Keys:
    """The keys of a configuration by Hugging Face's names, and which of them were read.

    absent: what counts where the key is not there, REQUIRED for none. spelled: how the file spells a key, where otherwise.
    required: keys whose `absent` does not count, since this kind of file may not leave them out."""

    def __init__(
        self,
        values: Mapping[str, Any],
        file: str,
        inside: str = "",
        spelled: Mapping[str, str] | None = None,
        required: frozenset[str] = frozenset(),
        is_gguf: bool = False,
    ):
        self.file, self.is_gguf = file, is_gguf
        self._values, self._inside, self._spelled, self._required = values, inside, spelled or {}, required
        self._read: set[str] = set()
        self._inner: dict[str, Keys] = {}

    @property
    def model_type(self) -> object:
        """Whatever the file has there."""
        return self._values.get("model_type")

    def name(self, key: str) -> str:
        """As the file spells it."""
        return self._spelled.get(key, self._inside + key)

    def has(self, key: str) -> bool:
        return self._values.get(key) is not None

    def is_list(self, key: str) -> bool:
        return isinstance(self._values.get(key), list)

    def is_object(self, key: str) -> bool:
        return isinstance(self._values.get(key), Mapping)

    def is_text(self, key: str) -> bool:
        return isinstance(self._values.get(key), str)

    def text(self, key: str) -> str:
        return str(self._take(key, REQUIRED, lambda v: isinstance(v, str) and v != "", "a text"))

    def kinds(self, key: str, known: Mapping[str, Any]) -> tuple[str, ...]:
        """A list that says how many layers there are, and what each is."""
        is_right = lambda v: isinstance(v, list) and 0 < len(v) < 1 << 16  # noqa: E731
        found = self._take(key, REQUIRED, is_right, f"a list of {', '.join(known)}")
        return self.per_layer(key, tuple(known), len(found)) or ()

    def rename(self, names: Mapping[str, str]) -> None:
        """Keys that the file spells otherwise: the file's name by the usual one."""
        if not self.is_gguf:
            found = {ours: theirs for ours, theirs in names.items() if theirs in self._values}
            renamed = {ours: self._values[theirs] for ours, theirs in found.items()}
            self._values = {**{k: v for k, v in self._values.items() if k not in found.values()}, **renamed}
            self._spelled = {**self._spelled, **{ours: self._inside + theirs for ours, theirs in found.items()}}

    def spread(self, key: str) -> None:
        """A list with a value for each layer comes under KEY_of_layers, as a GGUF file's does; its first stands for it."""
        if self.is_list(key) and self._values[key]:
            self._values = {**self._values, f"{key}_of_layers": self._values[key], key: self._values[key][0]}
            self._spelled = {**self._spelled, f"{key}_of_layers": self.name(key)}

    def assume(self, key: str, value: Any) -> None:
        """As if the file had it, where it has not."""
        if not self.has(key):
            self._values = {**self._values, key: value}

    def number(self, key: str, absent: int = REQUIRED) -> int:
        return self._take(key, absent, _is_number, "a positive whole number")

    def optional_number(self, key: str, absent: int | None = None) -> int | None:
        """None where it is null."""
        return self._take(key, absent, _is_number, "a positive whole number or null", True)

    def count(self, key: str, absent: int = REQUIRED) -> int:
        return self._take(key, absent, lambda v: v == 0 or _is_number(v), "a whole number")

    def last(self, key: str, layers: int) -> int:
        """The number of a layer; -1, as where it is not there, is the last one's."""
        is_right = lambda v: type(v) is int and -1 <= v < layers  # noqa: E731
        found = self._take(key, -1, is_right, f"the number of a layer, below {layers}, or -1")
        return layers - 1 if found == -1 else int(found)

    def state(self, key: str, layers: int, absent: int) -> int:
        """Behind how many layers: the number of one of the layers + 1 states, from the end where it is below 0."""
        is_right = lambda v: type(v) is int and -layers - 1 <= v <= layers  # noqa: E731
        found = int(self._take(key, absent, is_right, f"the number of a state, from {-layers - 1} to {layers}"))
        return found if found >= 0 else layers + 1 + found

    def positive(self, key: str, absent: float = REQUIRED) -> float:
        return float(self._take(key, absent, _is_positive, "a number above 0"))

    def nonnegative(self, key: str, absent: float = REQUIRED) -> float:
        return float(self._take(key, absent, lambda v: _is_positive(v) or (v == 0 and v is not False), "a number, 0 or above"))

    def optional_positive(self, key: str, absent: float | None = None) -> float | None:
        value = self._take(key, absent, _is_positive, "a number above 0 or null", True)
        return None if value is None else float(value)

    def flag(self, key: str, absent: bool = REQUIRED) -> bool:
        return self._take(key, absent, lambda v: isinstance(v, bool), "true or false")

    def optional_flag(self, key: str, absent: bool | None = None) -> bool | None:
        return self._take(key, absent, lambda v: isinstance(v, bool), "true, false or null", True)

    def choice(self, key: str, known: Mapping[str, Any] | tuple[str, ...], absent: str = REQUIRED) -> str:
        value = self._take(key, absent, lambda v: isinstance(v, str), f"one of {', '.join(sorted(known))}")
        if value not in known:
            raise UnsupportedModel(f"{self.name(key)} is {value!r}; known are {', '.join(sorted(known))}", where=self.file)
        return value

    def numbers(self, key: str, absent: tuple[float, ...] = REQUIRED) -> tuple[float, ...]:
        """As many as `absent` has, which counts where it is null too."""
        count, may_lack = (0, False) if absent is REQUIRED else (len(absent), True)
        is_right = lambda v: isinstance(v, list | tuple) and len(v) == (count or len(v)) > 0 and all(map(_is_positive, v))  # noqa: E731
        found = self._take(key, absent, is_right, f"a list of {count or 'some'} numbers above 0", may_lack)
        return tuple(map(float, absent if found is None else found))

    def limits(self, key: str) -> tuple[float, float]:
        """Two numbers, 0 or above, the second not below the first; all there are where it is null or not there. JSON has no
        infinity: transformers writes {"__float__": "Infinity"}, or what Python reads."""
        found = self._take(key, None, _are_limits, "two numbers, 0 or above", True)
        least, most = found or (0, math.inf)
        return float(least), math.inf if most in INFINITE else float(most)

    def reals(self, key: str, layers: int, lowest: float = -sys.float_info.max) -> tuple[float, ...]:
        """A list with a number for each layer, of either sign; minus infinity where `lowest` is."""
        is_real = lambda v: isinstance(v, int | float) and not isinstance(v, bool) and lowest <= v < math.inf  # noqa: E731
        is_right = lambda v: isinstance(v, list | tuple) and len(v) == layers and all(map(is_real, v))  # noqa: E731
        return tuple(map(float, self._take(key, REQUIRED, is_right, f"a list of {layers} numbers, one for each layer")))

    def numbers_of_layers(self, key: str, layers: int) -> tuple[int, ...] | None:
        """A list with a positive whole number for each layer; None where it is not there."""
        is_right = lambda v: isinstance(v, list | tuple) and len(v) == layers and all(map(_is_number, v))  # noqa: E731
        value = self._take(key, None, is_right, f"a list of {layers} positive whole numbers, one for each layer", True)
        return None if value is None else tuple(value)

    def per_layer(self, key: str, known: tuple[Any, ...], layers: int) -> tuple[Any, ...] | None:
        """A list with one of `known` for each layer; None where it is null or not there."""
        is_right = lambda v: isinstance(v, list) and len(v) == layers and all(type(x) is not list for x in v)  # noqa: E731
        value = self._take(key, None, is_right, f"a list of {layers}, one for each layer", True)
        for kind in value or ():
            if kind not in known:
                raise UnsupportedModel(
                    f"{self.name(key)} has {kind!r}; known are {', '.join(map(str, known))}", where=self.file
                )
        return None if value is None else tuple(value)

    def indices(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers, 0 or above; none where it is null or not there."""
        is_right = lambda v: isinstance(v, list) and all(type(i) is int and i >= 0 for i in v)  # noqa: E731
        return tuple(self._take(key, None, is_right, "a list of whole numbers", True) or ())

    def inner(self, key: str) -> "Keys | None":
        """The keys of an object; None where it is null, empty or not there."""
        value = self._take(key, None, lambda v: isinstance(v, Mapping), "an object", True)
        if value and key not in self._inner:
            self._inner[key] = Keys(value, self.file, f"{self.name(key)}.", required=self._required, is_gguf=self.is_gguf)
        return self._inner.get(key)

    def only(self, key: str, value: Any) -> None:
        """The key may be left out or null, but if it is there it must be this."""
        self._read.add(key)
        found = self._values.get(key)
        if found is not None and (found != value or isinstance(found, bool) != isinstance(value, bool)):
            expected = "which nothing here reads" if value is None else f"expected {value!r}"
            raise UnsupportedModel(f"{self.name(key)} is {found!r:.80}; {expected}", where=self.file)

    def ignore(self, *keys: str) -> None:
        """They have no meaning beside what was read."""
        self._read.update(keys)

    def check_all_read(self) -> None:
        """Raises UnsupportedModel naming a key that may change the numbers and was not read."""
        for key, value in self._values.items():
            if not (key in self._read or value is None or is_harmless(key, value)):
                raise UnsupportedModel(
                    f"{self.name(key)} is {value!r:.80}, which nothing here reads, and it may change what the model computes",
                    where=self.file,
                    hint="fanlight show config MODEL",
                )
        for keys in self._inner.values():
            keys.check_all_read()

    def _take(self, key: str, absent: Any, is_right: Callable[[Any], bool], expected: str, may_be_null: bool = False) -> Any:
        self._read.add(key)
        if key not in self._values:
            if absent is REQUIRED or key in self._required:
                raise FormatError(f"{self.name(key)} is missing; expected {expected}", where=self.file)
            return absent
        value = self._values[key]
        if value is None and may_be_null:
            return None
        if not is_right(value):
            raise FormatError(f"{self.name(key)} is {value!r:.80}, expected {expected}", where=self.file)
        return value


def is_harmless(key: str, value: Any) -> bool:
    if key == "layer_types":
        return isinstance(value, list) and all(kind in ("full_attention", "attention") for kind in value)
    neutral = NEUTRAL.get(key)
    if neutral is not None and value == neutral and isinstance(value, bool) == isinstance(neutral, bool):
        return True
    return key in HARMLESS or key.startswith(HARMLESS_STARTS) or key.endswith(HARMLESS_ENDS)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value and math.isfinite(value)


def _are_limits(value: Any) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    least, most = value
    return (least == 0 or _is_positive(least)) and (most in INFINITE or (_is_positive(most) and most >= least))


# --- dispatch --------------------------------------------------------------------------------------------------------
def read_config(config: Mapping[str, Any] | Keys, file: str) -> Any:
    """The architecture's own Config, checked and completed. Raises FormatError for what is missing, mistyped or absurd,
    UnsupportedModel for what is not implemented."""
    keys = config if isinstance(config, Keys) else Keys(config, file)
    read = load_architecture(keys.model_type, file).read_config(keys)
    keys.check_all_read()
    return read


def load_architecture(model_type: object, file: str) -> ModuleType:
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        near = difflib.get_close_matches(str(model_type), ARCHITECTURES, 1, 0.5)
        raise UnsupportedModel(
            f"unknown architecture {model_type!r}; {f'the nearest known is {near[0]!r}; ' if near else ''}"
            f"known are {', '.join(ARCHITECTURES)}",
            where=file,
            hint="fanlight show config MODEL",
        )
    return importlib.import_module(f"{__package__}.{ARCHITECTURES[model_type]}")
