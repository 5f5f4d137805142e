"""The tiny models of tiny_architectures as MLC LLM writes them, and the same weights as a Hugging Face folder.

What MLC does to each family: q, k and v, and gate and up, are stacked; Phi's parts have the names of its first release; the
rows of GPT-NeoX's q, k and v lie part by part, not head by head; norms that multiply by 1 + weight are kept as that sum;
Gemma 3's configuration is nested, with what MLC does not know in `kwargs`. Phi-3.5 vision is Phi-3 under other names, with a
tower beside it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import tiny_architectures
from scripts.golden.tiny_mlc import MLC_OWN, PHI3_NAMES, rounded, stored_parts, together, write_index
from scripts.golden.tiny_models import write_safetensors

COMMON = "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim".split()
GEMMA = [*COMMON, "rms_norm_eps", "attention_bias"]
# model_type -> what its configuration has beside position_embedding_base and what says how MLC runs it
FIELDS = {
    "gemma": [*GEMMA, "hidden_activation"],
    "gemma2": [*GEMMA, *"attn_logit_softcapping final_logit_softcapping query_pre_attn_scalar sliding_window".split()],
    "gemma3_text": [*GEMMA, "query_pre_attn_scalar", "hidden_activation"],
    "olmo2": [*COMMON, *"rms_norm_eps hidden_act tie_word_embeddings rope_scaling".split()],
    "stablelm": [*COMMON, *"layer_norm_eps partial_rotary_factor use_qkv_bias".split()],
    "gpt_neox": [*COMMON[:-2], *"head_dim layer_norm_eps rotary_pct use_parallel_residual".split()],
    "phi": [*COMMON, *"layer_norm_eps partial_rotary_factor".split()],
    "phi3": [
        *(*COMMON, "rms_norm_eps", "max_position_embeddings", "original_max_position_embeddings"),
        *("tie_word_embeddings", "partial_rotary_factor"),
    ],
    "ministral3": [*COMMON, *"rms_norm_eps hidden_act tie_word_embeddings".split()],
    "qwen3_5": [
        *COMMON,
        *"rms_norm_eps hidden_act attention_bias tie_word_embeddings partial_rotary_factor full_attention_interval".split(),
        *"linear_key_head_dim linear_value_head_dim linear_num_key_heads linear_num_value_heads linear_conv_kernel_dim".split(),
    ],
}
PHI_NAMES = {
    "model.embed_tokens.": "transformer.embd.",
    "model.final_layernorm.": "lm_head.ln.",
    "model.layers.": "transformer.h.",
    ".input_layernorm.": ".ln.",
    ".self_attn.dense.": ".mixer.out_proj.",
    ".self_attn.Wqkv.": ".mixer.Wqkv.",
}
PHI3_V_NAMES = {ours: theirs.replace("transformer.", "model.") for ours, theirs in PHI3_NAMES.items()}
FIRST_PHI = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_inner": "intermediate_size",
    "n_head": "num_attention_heads",
    "n_head_kv": "num_key_value_heads",
    "layer_norm_epsilon": "layer_norm_eps",
    "head_dim": "head_dim",
    "vocab_size": "vocab_size",
}


def kind_of(name: str) -> str:
    return str(tiny_architectures.text_config_of(name)["model_type"]).replace("qwen3_5_text", "qwen3_5")


def make_mlc(name: str, scheme: str, folder: Path, kind: str = "") -> Path:
    """name: a case of tiny_architectures. kind: MLC's, of several: phi-msft, of Phi-2's first release; phi3_v."""
    kind, config = kind or kind_of(name), tiny_architectures.text_config_of(name)
    parts = {their: values for part, values in summed(name).items() for their, values in named(kind, part, values, config)}
    index = write_index(folder, stored_parts(stacked(kind, parts), scheme))
    chat = {"version": "0.1.0", "model_type": kind, "quantization": scheme, **MLC_OWN}
    model_config = first_phi(config) if kind == "phi-msft" else words_of(kind, config)
    (folder / "mlc-chat-config.json").write_text(json.dumps({**chat, "model_config": {**model_config, **MLC_OWN}}))
    (folder / "tensor-cache.json").write_text(json.dumps(index))
    return folder


def make_twin(name: str, scheme: str, folder: Path) -> Path:
    """The values that the MLC model has, as f32, under Hugging Face's names."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = summed(name)
    tensors = {part: rounded(values, scheme if is_product(part) else f"q0{scheme[2:5]}") for part, values in sums.items()}
    tensors = {part: values - 1 if is_sum(kind_of(name), part) else values for part, values in tensors.items()}
    write_safetensors(folder / "model.safetensors", tensors, dict.fromkeys(tensors, "F32"))
    config = tiny_architectures.text_config_of(name)
    if "max_position_embeddings" not in FIELDS[kind_of(name)]:
        config = {**config, "max_position_embeddings": MLC_OWN["context_window_size"]}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def summed(name: str) -> dict[str, np.ndarray]:
    """Under Hugging Face's names, with norms as MLC has them."""
    kind = kind_of(name)
    tensors = tiny_architectures.make_text_tensors(name)
    return {part: values + np.float32(1) if is_sum(kind, part) else values for part, values in tensors.items()}


def is_sum(kind: str, part: str) -> bool:
    return kind.startswith(("gemma", "qwen3_5")) and "norm" in part and "linear_attn" not in part


def is_product(part: str) -> bool:
    """Whether it is quantised: what is multiplied with, and embeddings; not a convolution."""
    return "conv1d" not in part


def named(kind: str, part: str, values: np.ndarray, config: dict[str, Any]) -> list[tuple[str, np.ndarray]]:
    if kind == "gpt_neox" and ".query_key_value." in part:
        heads = config["num_attention_heads"]
        by_head = values.reshape(heads, 3, len(values) // heads // 3, *values.shape[1:])
        return [(part, by_head.swapaxes(0, 1).reshape(values.shape))]
    if part.startswith("lm_head.") and kind in ("phi", "phi-msft"):
        return [(part.replace("lm_head.", "lm_head.linear."), values)]
    if kind in ("gemma3_text", "ministral3"):
        return [(f"language_model.{part}", values)]
    return [(part.replace("conv1d.weight", "conv1d_weight"), values)]


def stacked(kind: str, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if kind == "gpt_neox":
        return tensors
    if kind.startswith("phi3"):
        names = PHI3_V_NAMES if kind == "phi3_v" else PHI3_NAMES
        tower = {"vision_embed_tokens.glb_GN": np.ones((1, 1, 8), np.float32)} if kind == "phi3_v" else {}
        return {replaced(name, names): values for name, values in tensors.items()} | tower
    if kind == "gemma3_text":
        return together(tensors, None, "gate_up_proj")
    if not kind.startswith("phi"):
        return together(tensors, "c_attn" if kind == "qwen3_5" else "qkv_proj", "gate_up_proj")
    return {replaced(name, PHI_NAMES): values for name, values in together(tensors, "Wqkv", None).items()}


def replaced(name: str, names: dict[str, str]) -> str:
    for ours, theirs in names.items():
        name = name.replace(ours, theirs)
    return name


def words_of(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    heads, rope = config["num_attention_heads"], config.get("rope_parameters") or {}
    known = {"num_key_value_heads": heads, "head_dim": config["hidden_size"] // heads, "use_qkv_bias": False, **config, **rope}
    known.setdefault("rotary_pct", rope.get("partial_rotary_factor", 0.25))
    theta = known.get("rope_theta", known.get("rotary_emb_base", 10000))
    words = {name: known[name] for name in FIELDS["phi3" if kind == "phi3_v" else kind] if name in known}
    if kind in ("stablelm", "qwen3_5"):
        return {**words, "rope_theta": theta}
    words["position_embedding_base"] = theta
    if kind.startswith("phi3"):
        lengths = {name: config[name] for name in ("max_position_embeddings", "original_max_position_embeddings")}
        scaling = config.get("rope_scaling") or {name: rope[name] for name in ("short_factor", "long_factor")}
        words["rope_scaling"] = {**scaling, "type": "longrope", "rope_type": "longrope", **lengths}
        tower = {"vision_config": {"hidden_size": 8}, "img_processor": {"num_img_tokens": 144}} if kind == "phi3_v" else {}
        return {**words, "model_type": kind, **tower}
    if kind == "ministral3":
        words["rope_parameters"] = {name: value for name, value in rope.items() if name != "rope_theta"}
        return {**words, "sliding_window_size": -1, "weight_block_size": None, "modules_to_not_convert": []}
    if kind != "gemma3_text":
        return words
    own = {name: config[name] for name in ("rope_local_base_freq", "sliding_window_pattern") if name in config}
    text = {
        **words,
        "rope_scaling": config.get("rope_scaling") or 0,
        "sliding_window_size": config["sliding_window"],
        "kwargs": {"model_type": kind, **own},
    }
    return {"text_config": text, "vocab_size": text.pop("vocab_size"), "is_text_model": True}


def first_phi(config: dict[str, Any]) -> dict[str, Any]:
    known = words_of("phi", config)
    turns = round(known["partial_rotary_factor"] * known["head_dim"])
    words = {first: known[name] for first, name in FIRST_PHI.items()}
    theta = known["position_embedding_base"]
    return {**words, "model_type": "phi-msft", "n_positions": 2048, "rotary_dim": turns, "position_embedding_base": theta}
