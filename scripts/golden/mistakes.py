"""How far transformers' own logits move when something of a checkpoint is left out or misread: what moves nothing could be
forgotten by an engine that still passes.  Needs torch and transformers."""

import copy
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Config = dict[str, Any]

TELLING = 1e-2  # ten times what Fanlight is allowed
SCALED = (  # numbers that a reader may lose
    "query_pre_attn_scalar",
    "embedding_multiplier",
    "residual_multiplier",
    "attention_multiplier",
    "logits_scaling",
    "logit_scale",
    "scale_emb",
    "scale_depth",
    "dim_model_base",
    "swiglu_limit",
)
SWITCHED = {  # keys and what their loss amounts to
    "sliding_window": 400,
    "attn_logit_softcapping": None,
    "final_logit_softcapping": 1e4,  # which some may not leave out
    "layer_types": None,
    "no_rope_layers": [1] * 8,
    "no_rope_layer_interval": 97,
    "max_window_layers": 0,
    "sliding_window_pattern": 97,
    "alibi": False,
}
OUTWEIGHED = {"max_window_layers": "layer_types", "no_rope_layer_interval": "no_rope_layers"}  # the second, where it stands
ROPE_SWITCHED = {"truncate": True, "attention_factor": None, "mscale": None, "beta_fast": None, "beta_slow": None}
USUAL = {"beta_fast": 32, "beta_slow": 1}


def text_of(config: Config) -> Config:
    return config.get("text_config", config)


def ropes_of(config: Config) -> Iterator[tuple[str, Config]]:
    """Where RoPE's numbers stand in the config, by either way of writing them."""
    text = text_of(config)
    parameters = text.get("rope_parameters")
    if parameters and "rope_type" not in parameters:
        yield from parameters.items()
    elif parameters:
        yield "", parameters
    elif text.get("rope_scaling"):
        yield "", text["rope_scaling"]


def changed(config: Config, change: Callable[[Config], None]) -> Config:
    config = copy.deepcopy(config)
    change(config)
    return config


def with_text(config: Config, **changes: Any) -> Config:
    return changed(config, lambda other: text_of(other).update(changes))


def matters(text: Config, key: str, lost: Any) -> bool:
    value = text.get(key)
    if value is None or value == lost or OUTWEIGHED.get(key) in text:
        return False
    if key == "layer_types":
        return "sliding_attention" in value
    return key != "sliding_window" or value < lost


def wrong_numbers(config: Config) -> Iterator[tuple[str, Config]]:
    text = text_of(config)
    for key in SCALED:
        if text.get(key) is not None:
            yield f"{key} is off", with_text(config, **{key: text[key] * 2})
    for key, lost in SWITCHED.items():
        if matters(text, key, lost):
            yield f"{key} is lost", with_text(config, **{key: lost})
    for key in ("rope_theta", "rotary_emb_base", "rope_local_base_freq"):
        if key in text and text.get("position_embedding_type") != "nope":
            yield f"{key} is off", with_text(config, **{key: text[key] * 3})
    for key in ("partial_rotary_factor", "rotary_pct"):
        if text.get(key, 1.0) != 1.0 and not any(ropes_of(config)):
            yield f"{key} is lost", with_text(config, **{key: 1.0})
    of = text.get("attn_config", {})  # MPT's
    if of.get("softmax_scale"):
        yield "softmax_scale is off", with_text(config, attn_config={**of, "softmax_scale": 2 * of["softmax_scale"]})
    if of.get("clip_qkv"):
        yield "clip_qkv is lost", with_text(config, attn_config={**of, "clip_qkv": None})
    if text["model_type"] == "gpt_neox":
        yield "use_parallel_residual is off", with_text(config, use_parallel_residual=not text["use_parallel_residual"])


def wrong_ropes(config: Config) -> Iterator[tuple[str, Config]]:
    for kind, rope in ropes_of(config):

        def edited(change: Callable[[Config], None], kind: str = kind) -> Config:
            return changed(config, lambda c: change(dict(ropes_of(c))[kind]))

        if "rope_theta" in rope:
            yield f"{kind} rope_theta is off", edited(lambda r: r.update(rope_theta=r["rope_theta"] * 3))
        if rope.get("partial_rotary_factor", 1.0) != 1.0 and "short_factor" not in rope:
            yield f"{kind} partial_rotary_factor is lost", edited(lambda r: r.update(partial_rotary_factor=1.0))
        is_yarn = rope.get("rope_type", rope.get("type")) == "yarn"
        for key, lost in ROPE_SWITCHED.items():
            if key in rope and is_yarn and rope[key] != USUAL.get(key):
                yield (
                    f"{kind} {key} is lost",
                    edited(lambda r, key=key, lost=lost: r.update({key: lost}) if lost is not None else r.pop(key)),
                )
        if "llama_4_scaling_beta" in rope:
            yield f"{kind} llama_4_scaling_beta is lost", edited(lambda r: r.update(llama_4_scaling_beta=0.0))
        if rope.get("rope_type", rope.get("type")) in ("linear", "yarn"):
            yield f"{kind} scaling's factor is off", edited(lambda r: r.update(factor=r["factor"] * 2))
        if "short_factor" in rope:
            yield from wrong_factors(edited, text_of(config))


def wrong_factors(edited: Callable[[Callable[[Config], None]], Config], text: Config) -> Iterator[tuple[str, Config]]:
    """Which list counts depends on the length; the other must not."""

    def swap(rope: Config) -> None:
        rope["short_factor"], rope["long_factor"] = rope["long_factor"], rope["short_factor"]

    yield "the factor lists are taken for each other", edited(swap)
    yield "longrope's scale on cos and sin is lost", edited(lambda r: r.update(attention_factor=1.0))


def parts_of(model: Any) -> dict[str, list[Any]]:
    """The vectors of the language model, by what they are, over all layers."""
    parts: dict[str, list[Any]] = {}
    for name, values in model.named_parameters():
        if "vision" in name or "projector" in name:
            continue
        if name.startswith("model.decoder.") and name.endswith("k_proj.bias"):
            continue  # OPT's: the same for all of a row's scores, so a softmax does not see it
        if name.endswith(("bias", "sinks", "A_log")) or "norm" in name or ".act_fn." in name:
            part = ".".join(piece for piece in name.split(".") if not piece.isdigit())
            parts.setdefault(part, []).append(values)
    return parts


def distance(logits: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(logits - truth).max() / np.abs(truth).max())


def distances(name: str, folder: Path, prompt: list[int], positions: list[int], truth: np.ndarray) -> dict[str, float]:
    """Mistake -> how far it takes the logits, as a share of the largest."""
    told = {}
    config = json.loads((folder / "config.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        for mistake, wrong in [*wrong_numbers(config), *wrong_ropes(config)]:
            other = Path(scratch) / "other"
            shutil.copytree(folder, other, dirs_exist_ok=True)
            (other / "config.json").write_text(json.dumps(wrong))
            try:
                told[mistake] = distance(load(other).logits_of(prompt)[positions], truth)
            except (ValueError, RuntimeError):  # the tensors do not fit that
                continue
    return told | vector_distances(name, folder, prompt, positions, truth)


def vector_distances(name: str, folder: Path, prompt: list[int], positions: list[int], truth: np.ndarray) -> dict[str, float]:
    import torch

    told = {}
    for part in parts_of(load(folder).model):
        model = load(folder)
        has_sums = name.startswith(("gemma", "nemotron", "qwen3_5", "qwen3_next")) and "linear_attn" not in part
        has_sums = has_sums and not name.startswith(("gemma4", "gemma3n"))
        neutral = 0.0 if part.endswith("bias") or has_sums else 1.0
        with torch.no_grad():
            for values in parts_of(model.model)[part]:
                values.fill_(neutral)
        told[f"{part} is lost"] = distance(model.logits_of(prompt)[positions], truth)
    return told


def load(folder: Path) -> Any:
    from scripts.golden.record_transformers import Transformers

    return Transformers(folder)
