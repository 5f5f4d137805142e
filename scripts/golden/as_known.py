"""Checkpoints of families that transformers has no classes for, as those of families that compute the same, which it has.
llama.cpp, which knows them by themselves, is the second witness.  Knows nothing of Fanlight."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

Config = dict[str, Any]
Tensors = dict[str, np.ndarray]

INTERNLM2 = {
    "model.tok_embeddings.": "model.embed_tokens.",
    ".attention_norm.": ".input_layernorm.",
    ".ffn_norm.": ".post_attention_layernorm.",
    ".attention.wo.": ".self_attn.o_proj.",
    ".feed_forward.w1.": ".mlp.gate_proj.",
    ".feed_forward.w3.": ".mlp.up_proj.",
    ".feed_forward.w2.": ".mlp.down_proj.",
}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}


def renamed(tensors: Tensors, names: dict[str, str]) -> Tensors:
    def one(part: str) -> str:
        for theirs, usual in names.items():
            part = part.replace(theirs, usual)
        return part

    return {one(part): values for part, values in tensors.items()}


def internlm2(config: Config, tensors: Tensors) -> tuple[Config, Tensors]:
    kv_heads = config["num_key_value_heads"]
    apart: Tensors = {}
    for part, values in tensors.items():
        if ".wqkv." not in part:
            apart[re.sub(r"^output\.", "lm_head.", part)] = values
            continue
        by_group = values.reshape(kv_heads, config["num_attention_heads"] // kv_heads + 2, -1, *values.shape[1:])
        for letter, heads in (("q", by_group[:, :-2]), ("k", by_group[:, -2]), ("v", by_group[:, -1])):
            apart[part.replace("attention.wqkv", f"self_attn.{letter}_proj")] = heads.reshape(-1, *values.shape[1:])
    known = {**config, **LLAMA, "attention_bias": config["bias"]}
    if known.get("rope_scaling", {}).get("type") == "dynamic":  # which begins beyond max_position_embeddings
        known["rope_scaling"] = None
    return known, renamed(apart, INTERNLM2)


def minicpm(config: Config, tensors: Tensors) -> tuple[Config, Tensors]:
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    multipliers = {
        "embedding_multiplier": config["scale_emb"],
        "residual_multiplier": config["scale_depth"] / config["num_hidden_layers"] ** 0.5,
        "attention_multiplier": head_dim**-0.5,
        "logits_scaling": config["hidden_size"] / config["dim_model_base"],
    }
    return {**config, "architectures": ["GraniteForCausalLM"], "model_type": "granite", **multipliers}, tensors


def gemma3n(config: Config, tensors: Tensors) -> tuple[Config, Tensors]:
    """The language model alone: what stands beside it needs a library of its own."""
    own = {part: values for part, values in tensors.items() if "language_model." in part}
    text = {"tie_word_embeddings": True, **config["text_config"]}
    return text, renamed(own, {"model.language_model.": "model.", "language_model.model.": "model."})


KNOWN: dict[str, Callable[[Config, Tensors], tuple[Config, Tensors]]] = {
    "internlm2": internlm2,
    "minicpm": minicpm,
    "gemma3n": gemma3n,
}
