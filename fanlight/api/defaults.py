"""How answers are drawn where a request does not say: as the model's files say (generation_config.json, or a GGUF's
general.sampling.*), else as FALLBACK.  What the files ask for and is not done here is named, never dropped in silence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fanlight.engine.sampling_params import INTEGERS, RANGES
from fanlight.formats.checkpoint import Checkpoint

# llama.cpp's temperature and its cut of what is improbable, which costs nothing here. (Its top_k and top_p cost passes over
# the vocabulary.) OpenAI's temperature 1 and no cut makes small models, and those of few bits, babble.
FALLBACK: dict[str, float] = {"temperature": 0.8, "min_p": 0.05}

SAMPLED = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
GGUF_PREFIX = "general.sampling."
GGUF_NAMES = {  # in it -> SamplingParams
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repetition_penalty",
}
GGUF_NEUTRAL: dict[str, Any] = {
    "mirostat": 0,
    "mirostat_tau": any,
    "mirostat_eta": any,
    "xtc_probability": 0,
    "xtc_threshold": any,
}
# Of generation_config.json: the value with which a key changes no answer; `any` where none does, or where it is read elsewhere.
NEUTRAL: dict[str, Any] = {
    **dict.fromkeys(("eos_token_id", "bos_token_id", "pad_token_id", "decoder_start_token_id", "do_sample"), any),
    **dict.fromkeys(("_from_model_config", "_commit_hash", "transformers_version", "use_cache", "cache_implementation"), any),
    **dict.fromkeys(("cache_config", "return_legacy_cache", "max_cache_len", "prefill_chunk_size", "max_length"), any),
    **dict.fromkeys(("compile_config", "disable_compile", "continuous_batching_config", "low_memory", "use_mtp"), any),
    **dict.fromkeys(("output_attentions", "output_hidden_states", "output_scores", "output_logits", "max_time"), any),
    **dict.fromkeys(("return_dict_in_generate", "prompt_lookup_num_tokens", "max_matching_ngram_size", "is_assistant"), any),
    **dict.fromkeys(("num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold"), any),
    **dict.fromkeys(("assistant_lookbehind", "target_lookbehind", "assistant_early_exit", "assistant_ensemble_weight"), any),
    **dict.fromkeys(("speculation_type", "remove_invalid_values", "renormalize_logits", "early_stopping"), any),
    **dict.fromkeys(("num_beams", "num_beam_groups", "num_return_sequences"), 1),
    **dict.fromkeys(("length_penalty", "encoder_repetition_penalty", "typical_p", "guidance_scale"), 1),
}
IGNORED = "is not supported: answers are drawn without it"


@dataclass(frozen=True, slots=True)
class Defaults:
    """`values`: of SamplingParams, for what a request leaves out. `ignored`: what the files say that is not done, and why."""

    values: Mapping[str, float] = field(default_factory=dict)
    source: str = ""  # where they stand
    ignored: tuple[str, ...] = ()

    def info(self) -> dict[str, Any]:
        return {**self.values, "source": self.source, **({"ignored": list(self.ignored)} if self.ignored else {})}


def read_defaults(checkpoint: Checkpoint) -> Defaults:
    if checkpoint.format == "gguf":
        return _of_gguf(checkpoint.metadata)
    return _of_folder(checkpoint.metadata.get("generation_config") or {})


def _of_gguf(metadata: Mapping[str, Any]) -> Defaults:
    found, ignored = _Found(), []
    for key, value in metadata.items():
        name = key.removeprefix(GGUF_PREFIX)
        if name == key:
            continue
        if name in GGUF_NAMES:
            found.take(GGUF_NAMES[name], value, key)
        elif name != "penalty_last_n" and not _is_neutral(value, GGUF_NEUTRAL.get(name)):
            ignored.append(f"{key} {IGNORED}")
    if (last := metadata.get(f"{GGUF_PREFIX}penalty_last_n")) not in (None, -1) and found.values.get(
        "repetition_penalty", 1
    ) != 1:
        ignored.append(f"{GGUF_PREFIX}penalty_last_n {last}: the penalty is of the whole context")
    return found.defaults("the GGUF file", ignored)


def _of_folder(config: Mapping[str, Any]) -> Defaults:
    found, ignored = _Found(), []
    for key, value in config.items():
        if key in SAMPLED:
            found.take(key, value, key)
        elif not _is_neutral(value, NEUTRAL.get(key)):
            ignored.append(f"{key} {IGNORED}")
    if config.get("do_sample") is False:
        found.values["temperature"] = 0.0
    return found.defaults("generation_config.json", ignored)


def _is_neutral(value: Any, neutral: Any) -> bool:
    if neutral is any or value is None or value is False or value in ("", [], {}):
        return True
    return bool(value == (0 if neutral is None else neutral))


class _Found:
    """Values that can be served; others are as if they were not there, and are named."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self._wrong: list[str] = []

    def take(self, name: str, value: Any, key: str) -> None:
        if value is None:
            return
        low, high = RANGES.get(name) or INTEGERS[name]
        value = max(value, 0) if name in ("temperature", "top_k") and isinstance(value, (int, float)) else value  # off
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not low <= value <= high or (name == "top_k" and value != int(value)):
            self._wrong.append(f"{key} {value!r} is not between {low:g} and {high:g}")
        else:
            self.values[name] = int(value) if name == "top_k" else float(value)

    def defaults(self, source: str, ignored: list[str]) -> Defaults:
        """Files that set nothing but penalties leave the drawing to FALLBACK."""
        values = self.values
        if not values.keys() & {"temperature", "top_k", "top_p", "min_p"}:
            values = FALLBACK | values
            source = f"Fanlight, and {source}" if self.values else "Fanlight"
        return Defaults(values, source, (*self._wrong, *ignored))
