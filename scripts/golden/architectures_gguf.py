"""GGUF files of the checkpoints of tiny_architectures, as llama.cpp's converter writes them: its names, keys and orders, and
what it bakes into the weights.  llama.cpp hard-codes what no key says (Gemma's scale, the period of the windows, SmolLM3's
interval; norms of Command R's heads from 64 layers on), so only cases that keep to it are here.

Needs NumPy and the `gguf` package; knows nothing of Fanlight."""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from scripts.golden import as_known, experts_gguf, mamba_gguf, tiny_architectures, tiny_delta, tiny_gemma, tiny_moes, tiny_state
from scripts.golden.experts_gguf import (
    ernie_moe_keys,
    expert_keys,
    gpt_oss_keys,
    shared_expert_keys,
    split_latent,
    stacked_experts,
)
from scripts.golden.tiny_architectures import text_config_of, widths
from scripts.golden.tiny_models import EOS_TOKEN_ID, byte_characters

CASES = (
    "gemma-published",
    "gemma2-usual-scale",
    "gemma3-usual-scale",
    "phi3-short",
    "phi3-long",
    "phi3-blocks",
    "olmo2-groups4",
    "granite-published",
    "smollm3-published",
    "stablelm-sequential",
    "stablelm-parallel",
    "stablelm-blocks",
    "gpt_neox-parallel",
    "gpt_neox-blocks",
    "cohere-published",
    "cohere2-published",
    "glm4-published",
    "glm4-blocks",
    "llama-yarn",
    "seed_oss-published",
    "ernie4_5-published",
    "hunyuan-published",
    "exaone4-published",
    "olmo3-published",
    "ministral3-text",
    "nemotron-published",
    "starcoder2-published",
    "phi-published",
    "apertus-published",
    "qwen3_moe-published",
    "qwen2_moe-published",
    "ernie4_5_moe-published",
    "gpt_oss-plain",
    "deepseek_v2-queries",
    "deepseek_v3-published",
    "mixtral-published",
    "olmoe-published",
    "granitemoe-published",
    "exaone-published",
    "internlm2-published",
    "minicpm-published",
    "falcon-7b",
    "gpt2-published",
    "falcon-40b",
    "mpt-published",
    "mpt-clipped",
    "bloom-published",
    "bloom-heads",
    "gpt_bigcode-published",
    "bitnet-silu",
    "gemma4-per-layer",
    "gemma4-values",
    "gemma4-experts",
    "arcee-plain",
    "mistral-nemo",
    "glm4_moe_lite-published",
    "lfm2-published",
    "lfm2_moe-published",
    "qwen3_5-published",
    "qwen3_next-published",
    "qwen3_5_moe-published",
    *tiny_moes.GGUF_CASES,
    *mamba_gguf.CASES,
)
ARCHITECTURE_NAMES = {  # where GGUF's differs
    "gemma3_text": "gemma3",
    "lfm2_moe": "lfm2moe",
    "gpt_neox": "gptneox",
    "cohere": "command-r",
    "hunyuan_v1_dense": "hunyuan-dense",
    "olmo3": "olmo2",
    "ministral3": "mistral3",
    "phi": "phi2",
    "qwen2_moe": "qwen2moe",
    "gpt_oss": "gpt-oss",
    "deepseek_v2": "deepseek2",
    "deepseek_v3": "deepseek2",
    "qwen3_moe": "qwen3moe",
    "ernie4_5_moe": "ernie4_5-moe",
    "mixtral": "llama",
    "mistral": "llama",
    "glm4_moe_lite": "deepseek2",
    "gemma4_text": "gemma4",
    "gemma3n_text": "gemma3n",
    "gpt_bigcode": "starcoder",
    **tiny_delta.ARCHITECTURE_NAMES,
    **tiny_moes.ARCHITECTURE_NAMES,
}
LAYER_NORM = {  # whose normalisation it is -> the key of its epsilon
    **dict.fromkeys(("stablelm", "gpt_neox", "cohere", "cohere2", "phi"), "layer_norm_eps"),
    "nemotron": "norm_eps",
    **dict.fromkeys(("falcon", "gpt2", "mpt", "bloom", "gpt_bigcode"), "layer_norm_epsilon"),
    "starcoder2": "norm_epsilon",
}
ROUTERS = (
    "mlp.gate.weight",
    "block_sparse_moe.gate.weight",
    "router.layer.weight",
    "feed_forward.gate.weight",
)  # which stay F32
TAPS = ("conv.conv.weight", "conv1d.weight")
# Whose q and k rows the converter deals out for neighbouring pairs.
INTERLEAVED = (
    "granite",
    "granitemoe",
    "granitemoehybrid",
    "smollm3",
    "llama",
    "mixtral",
    "ministral3",
    "minicpm",
    "mistral",
    "arcee",
)

BASE_NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.q_layernorm": "attn_q_norm",
    "self_attn.k_layernorm": "attn_k_norm",
    "self_attn.query_layernorm": "attn_q_norm",
    "self_attn.key_layernorm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    **dict.fromkeys(("mlp.gate", "block_sparse_moe.gate", "block_sparse_moe.router.layer", "mlp.router"), "ffn_gate_inp"),
    **dict.fromkeys(("mlp.experts.gate_proj", "block_sparse_moe.experts.w1"), "ffn_gate_exps"),
    **dict.fromkeys(("mlp.experts.up_proj", "block_sparse_moe.experts.w3"), "ffn_up_exps"),
    **dict.fromkeys(("mlp.experts.down_proj", "block_sparse_moe.experts.w2"), "ffn_down_exps"),
    "block_sparse_moe.output_linear": "ffn_down_exps",
    "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
    "mlp.moe_statics": "exp_probs_b",
    "self_attn.sinks": "attn_sinks",
    **{f"self_attn.{name}": gguf_name for name, gguf_name in experts_gguf.MLA.items()},
    **{f"mlp.shared_expert{s}.{p}_proj": f"ffn_{p}_shexp" for s in ("", "s") for p in ("gate", "up", "down")},
}
PER_LAYER_NAMES = {
    "embed_tokens_per_layer": "per_layer_token_embd",
    "per_layer_model_projection": "per_layer_model_proj",
    "per_layer_projection_norm": "per_layer_proj_norm",
    "per_layer_input_gate": "inp_gate",
    "per_layer_projection": "proj",
    "post_per_layer_input_norm": "post_norm",
    "layer_scalar": "layer_output_scale",
    **tiny_gemma.STREAM_NAMES,
}
SANDWICH_NAMES = {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
GPT2_NAMES = {
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "ln_1": "attn_norm",
    "ln_2": "ffn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
OWN_NAMES = {
    **dict.fromkeys(
        ("gemma2", "gemma3_text", *tiny_gemma.PLAIN_NORMS, "olmo2", "olmo3", "exaone4", "seed_oss"), SANDWICH_NAMES
    ),
    "exaone": {
        "transformer.wte": "token_embd",
        "transformer.ln_f": "output_norm",
        "ln_1": "attn_norm",
        "ln_2": "ffn_norm",
        **{f"attn.attention.{letter}_proj": f"attn_{letter}" for letter in "qkv"},
        "attn.attention.out_proj": "attn_output",
        "mlp.c_fc_0": "ffn_gate",
        "mlp.c_fc_1": "ffn_up",
        "mlp.c_proj": "ffn_down",
    },
    **dict.fromkeys(("gpt2", "gpt_bigcode"), GPT2_NAMES),
    "bitnet": {"self_attn.attn_sub_norm": "attn_sub_norm", "mlp.ffn_sub_norm": "ffn_sub_norm"},
    "mpt": {
        "transformer.wte": "token_embd",
        "transformer.norm_f": "output_norm",
        "norm_1": "attn_norm",
        "norm_2": "ffn_norm",
        "attn.Wqkv": "attn_qkv",
        "attn.out_proj": "attn_output",
        "ffn.up_proj": "ffn_up",
        "ffn.down_proj": "ffn_down",
    },
    "bloom": {
        "transformer.word_embeddings": "token_embd",
        "transformer.word_embeddings_layernorm": "token_embd_norm",
        "transformer.ln_f": "output_norm",
        "self_attention.query_key_value": "attn_qkv",
        "self_attention.dense": "attn_output",
        "mlp.dense_h_to_4h": "ffn_up",
        "mlp.dense_4h_to_h": "ffn_down",
    },
    "falcon": {
        "transformer.word_embeddings": "token_embd",
        "transformer.ln_f": "output_norm",
        "input_layernorm": "attn_norm",
        "ln_mlp": "attn_norm",
        "ln_attn": "attn_norm_2",
        "self_attention.query_key_value": "attn_qkv",
        "self_attention.dense": "attn_output",
        "mlp.dense_h_to_4h": "ffn_up",
        "mlp.dense_4h_to_h": "ffn_down",
    },
    "starcoder2": {"mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"},
    "phi": {"final_layernorm": "output_norm", "self_attn.dense": "attn_output", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down"},
    "apertus": {"attention_layernorm": "attn_norm", "feedforward_layernorm": "ffn_norm"},
    "gpt_oss": {"post_attention_layernorm": "post_attention_norm"},
    "lfm2": tiny_state.LFM2_NAMES,
    "lfm2_moe": tiny_state.LFM2_MOE_NAMES,
    **dict.fromkeys(tiny_delta.FAMILIES, tiny_delta.NAMES),
    **tiny_moes.NAMES,
    "glm4": {"post_self_attn_layernorm": "post_attention_norm", "post_mlp_layernorm": "post_ffw_norm"},
    "gpt_neox": {
        "embed_in": "token_embd",
        "final_layer_norm": "output_norm",
        "embed_out": "output",
        "attention.query_key_value": "attn_qkv",
        "attention.dense": "attn_output",
        "mlp.dense_h_to_4h": "ffn_up",
        "mlp.dense_4h_to_h": "ffn_down",
    },
}


# ---- tensors


def gguf_name(part: str, model_type: str) -> str:
    """Of a tensor's Hugging Face name."""
    part = part + ".weight" if part.endswith((".layer_scalar", ".correct_output_scale")) else part
    if part.startswith(("blk.", "token_embd", "output", "altup_")):
        return part
    names = {**BASE_NAMES, **PER_LAYER_NAMES, **OWN_NAMES.get(model_type, {})}
    part = part.replace(".mlp.gate.e_score_correction_bias", ".mlp.moe_statics.bias")
    part = part.replace(".e_score_correction_bias", ".bias").replace(".expert_bias", ".exp_probs_b.bias")
    part = part.replace("transformer.h.", "layers.").replace("transformer.blocks.", "layers.")
    stem, kind = part.removeprefix("model.").removeprefix("gpt_neox.").rsplit(".", 1)
    if stem.startswith("layers."):
        _, layer, stem = stem.split(".", 2)
        return f"blk.{layer}.{names[stem]}.{kind}".removesuffix(".A_log")
    return f"{names[stem]}.{kind}"


def stacked_heads(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """StableLM's norms of single heads [D] as one [H, D]."""
    stacked: dict[str, Any] = {}
    for part, values in tensors.items():
        if ".norms." in part:
            stacked.setdefault(part.split(".norms.")[0] + ".weight", []).append(values)
        else:
            stacked[part] = values
    return {part: np.stack(values) if isinstance(values, list) else values for part, values in stacked.items()}


def for_neighbours(rows: np.ndarray, head_dim: int) -> np.ndarray:
    """From pairs (i, i + D / 2) to pairs (2i, 2i + 1) within each head."""
    heads = rows.reshape(-1, 2, head_dim // 2, *rows.shape[1:])
    return heads.swapaxes(1, 2).reshape(rows.shape)


def by_role(rows: np.ndarray, num_heads: int) -> np.ndarray:
    """From q, k and v of each head in turn to all q, all k, all v."""
    heads = rows.reshape(num_heads, 3, -1, *rows.shape[1:])
    return heads.swapaxes(0, 1).reshape(rows.shape)


def as_converted(part: str, values: np.ndarray, config: dict[str, Any]) -> np.ndarray:
    model_type = config["model_type"]
    has_sums = model_type == "nemotron" or (model_type.startswith("gemma") and model_type not in tiny_gemma.PLAIN_NORMS)
    if has_sums and part.endswith("norm.weight"):
        return values + np.float32(1)
    if model_type in INTERLEAVED and part.endswith(("q_proj.weight", "k_proj.weight", "attn_q.weight", "attn_k.weight")):
        return for_neighbours(values, widths(config)[0])
    if part.endswith(("shared_expert_gate.weight", "e_score_correction_bias")):
        return values.reshape(-1)
    if model_type == "gpt2" and part.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return values.T
    if "query_key_value" in part and model_type == "falcon":
        kv_heads = config["num_kv_heads"] if config["new_decoder_architecture"] else 1
        groups = values.reshape(kv_heads, config["num_attention_heads"] // kv_heads + 2, -1, *values.shape[1:])
        return np.concatenate([x.reshape(-1, *values.shape[1:]) for x in (groups[:, :-2], groups[:, -2], groups[:, -1])])
    if part.endswith("conv.conv.weight"):
        return values.squeeze(1)
    if "query_key_value" in part:
        return by_role(values, config["num_attention_heads"])
    return values


def rope_factors(config: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    for length in ("long", "short"):
        if f"{length}_factor" in scaling:
            yield f"rope_factors_{length}.weight", np.array(scaling[f"{length}_factor"], np.float32)
    if config["model_type"] == "gemma4_text":
        turned = (
            np.arange(config["global_head_dim"] // 2)
            < config["global_head_dim"] * full_rope(config)["partial_rotary_factor"] // 2
        )
        yield "rope_freqs.weight", np.where(turned, 1.0, 1e30).astype(np.float32)
    if scaling.get("rope_type") == "llama3":
        yield "rope_freqs.weight", llama3_factors(scaling, scaling.get("rope_theta") or config["rope_theta"], widths(config)[0])


def llama3_factors(scaling: dict[str, Any], theta: float, head_dim: int) -> np.ndarray:
    """What Llama 3's scaling divides each frequency by, f32 [D / 2]."""
    turns = scaling["original_max_position_embeddings"] * theta ** (-np.arange(0, head_dim, 2) / head_dim) / (2 * np.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    kept = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / (kept + (1 - kept) / scaling["factor"])).astype(np.float32)


def make_tensors(name: str) -> dict[str, tuple[gguf.GGMLQuantizationType, np.ndarray]]:
    """GGUF name -> format and stored values."""
    config = text_config_of(name)
    matrices = gguf.GGMLQuantizationType.Q8_0 if tiny_architectures.CASES[name].in_blocks else gguf.GGMLQuantizationType.F32
    tensors = {}
    parts = tiny_delta.as_converted(config, tiny_architectures.rounded_tensors(name))
    parts = tiny_gemma.as_converted(config, parts)
    if config["model_type"] in mamba_gguf.KEYS:
        parts = mamba_gguf.converted(config, parts)
    parts = stacked_experts(split_latent(config, stacked_heads(parts)))
    if config["model_type"] == "internlm2":  # converted to the usual names
        config, parts = as_known.internlm2(config, parts)
    for part, values in parts.items():
        if ".act_fn." in part:  # which are keys
            continue
        values = np.ascontiguousarray(as_converted(part, values, config))
        is_matrix = values.ndim >= 2 and "norm" not in part and not part.endswith((*ROUTERS, *TAPS))
        weight_format = matrices if is_matrix else gguf.GGMLQuantizationType.F32
        tensors[gguf_name(part, config["model_type"])] = weight_format, gguf.quants.quantize(values, weight_format)
    return tensors | {factor: (gguf.GGMLQuantizationType.F32, values) for factor, values in rope_factors(config)}


def digest_of(name: str) -> str:
    """SHA-256 over keys and tensors, whatever the writer's version puts around them."""
    digest = hashlib.sha256(repr(sorted(metadata_of(name).items())).encode())
    for tensor, (weight_format, stored) in make_tensors(name).items():
        digest.update(f"{tensor} {weight_format.name} {stored.shape}\n".encode() + stored.tobytes())
    return digest.hexdigest()


# ---- keys


def shape_keys(config: dict[str, Any]) -> dict[str, Any]:
    norm = "layer_norm" if config["model_type"] in LAYER_NORM else "layer_norm_rms"
    usual = {"exaone": "layer_norm_epsilon", "lfm2": "norm_eps", "lfm2_moe": "norm_eps", **mamba_gguf.EPSILONS}.get(
        config["model_type"], "rms_norm_eps"
    )
    return {
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"],
        "feed_forward_length": config["intermediate_size"] or 0,
        "attention.head_count": config.get("num_attention_heads", 0),
        f"attention.{norm}_epsilon": config[LAYER_NORM.get(config["model_type"], usual)],
    }


def key_heads(config: dict[str, Any]) -> dict[str, Any]:
    return {"attention.head_count_kv": config["num_key_value_heads"]}


def head_lengths(config: dict[str, Any]) -> dict[str, Any]:
    return (
        {"attention.key_length": config["head_dim"], "attention.value_length": config["head_dim"]}
        if "head_dim" in config
        else {}
    )


def rope_base(config: dict[str, Any]) -> dict[str, Any]:
    return {"rope.freq_base": float((config.get("rope_parameters") or config)["rope_theta"])}


def raised_base(config: dict[str, Any]) -> dict[str, Any]:
    head_dim = widths(config)[0]
    return {"rope.freq_base": config["rope_theta"] * config["rope_scaling"]["alpha"] ** (head_dim / (head_dim - 2))}


def rotated(config: dict[str, Any], default: float) -> dict[str, Any]:
    parameters = config.get("rope_parameters", {})
    share = parameters.get("partial_rotary_factor") or config.get("partial_rotary_factor") or config.get("rotary_pct", default)
    return {"rope.dimension_count": int(widths(config)[0] * share)}


def gemma2_keys(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "attn_logit_softcapping": config["attn_logit_softcapping"],
        "final_logit_softcapping": config["final_logit_softcapping"],
        "attention.sliding_window": config["sliding_window"],
    }


def gemma3_keys(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "rope.freq_base_swa": config["rope_local_base_freq"],
        "attention.sliding_window": config["sliding_window"],
        "rope.scaling.type": config["rope_scaling"]["rope_type"],
        "rope.scaling.factor": config["rope_scaling"]["factor"],
    }


def full_rope(config: dict[str, Any]) -> dict[str, Any]:
    return config["rope_parameters"]["full_attention"]


def gemma4_keys(config: dict[str, Any]) -> dict[str, Any]:
    is_sliding = [kind == "sliding_attention" for kind in config["layer_types"]]
    wide, narrow, first = config["global_head_dim"], config["head_dim"], tiny_gemma.first_shared(config)
    widths_of = [config["intermediate_size"] * (1 + (i >= first)) for i in range(len(is_sliding))]
    kv_heads = [config["num_key_value_heads"] if s else config.get("num_global_key_value_heads") for s in is_sliding]
    return {
        "attention.key_length": wide,
        "attention.value_length": wide,
        "attention.key_length_swa": narrow,
        "attention.value_length_swa": narrow,
        "rope.dimension_count": wide,
        "rope.dimension_count_swa": narrow,
        "rope.freq_base": full_rope(config)["rope_theta"],
        "rope.freq_base_swa": config["rope_parameters"]["sliding_attention"]["rope_theta"],
        "attention.sliding_window": config["sliding_window"],
        "attention.sliding_window_pattern": is_sliding,
        "attention.shared_kv_layers": config.get("num_kv_shared_layers", 0),
        "embedding_length_per_layer_input": config["hidden_size_per_layer_input"],
        "attention.head_count_kv": kv_heads if kv_heads[-1] else config["num_key_value_heads"],
        **({"feed_forward_length": widths_of} if config.get("use_double_wide_mlp") else {}),
        **({"final_logit_softcapping": cap} if (cap := config.get("final_logit_softcapping")) else {}),
    }


def phi3_keys(config: dict[str, Any]) -> dict[str, Any]:
    original = config["original_max_position_embeddings"]
    return {
        "rope.scaling.original_context_length": original,
        "rope.scaling.attn_factor": math.sqrt(1 + math.log(config["max_position_embeddings"] / original) / math.log(original)),
        "attention.sliding_window": config["sliding_window"] or 0,
    }


def granite_keys(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "attention.scale": config["attention_multiplier"],
        "embedding_scale": config["embedding_multiplier"],
        "residual_scale": config["residual_multiplier"],
        "logit_scale": config["logits_scaling"],
    }


def yarn_keys(config: dict[str, Any]) -> dict[str, Any]:
    """Of plain YaRN: other betas and a scale of its own are written as well, but llama.cpp does not read them for Llama."""
    scaling = config["rope_scaling"]
    return {
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": scaling["factor"],
        "rope.scaling.original_context_length": scaling["original_max_position_embeddings"],
    }


def ministral_keys(config: dict[str, Any]) -> dict[str, Any]:
    scaling = config["rope_parameters"]
    return {
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": scaling["factor"],
        "rope.scaling.original_context_length": scaling["original_max_position_embeddings"],
        "rope.scaling.yarn_beta_fast": scaling["beta_fast"],
        "rope.scaling.yarn_beta_slow": scaling["beta_slow"],
        "rope.scaling.yarn_log_multiplier": scaling["mscale_all_dim"],
        "attention.temperature_scale": scaling["llama_4_scaling_beta"],
    }


def delta_keys(config: dict[str, Any]) -> dict[str, Any]:
    keys = key_heads(config) | head_lengths(config) | rope_base(config) | rotated(config, 0.25)
    return keys | tiny_delta.keys_of(config)


def own_keys(config: dict[str, Any]) -> dict[str, Any]:
    if config["model_type"] in mamba_gguf.KEYS:
        return mamba_gguf.KEYS[config["model_type"]](config)
    if config["model_type"] in tiny_moes.KEYS:
        return tiny_moes.KEYS[config["model_type"]](config)
    match config["model_type"]:
        case "llama":
            return key_heads(config) | head_lengths(config) | rope_base(config) | rotated(config, 1.0) | yarn_keys(config)
        case "gemma":
            return key_heads(config) | head_lengths(config)
        case "gemma2":
            return key_heads(config) | head_lengths(config) | gemma2_keys(config)
        case "gemma3_text":
            return key_heads(config) | head_lengths(config) | rope_base(config) | gemma3_keys(config)
        case "gemma3n_text":
            return tiny_gemma.gemma3n_keys(config)
        case "gemma4_text":
            return gemma4_keys(config) | tiny_gemma.expert_keys(config)
        case "phi3":
            return key_heads(config) | rope_base(config) | rotated(config, 1.0) | phi3_keys(config)
        case "olmo2":
            return key_heads(config) | rope_base(config)
        case "granite":
            return key_heads(config) | rope_base(config) | rotated(config, 1.0) | granite_keys(config)
        case "smollm3":
            return key_heads(config) | rope_base(config) | rotated(config, 1.0)
        case "stablelm":
            is_parallel = {"use_parallel_residual": config["use_parallel_residual"]}
            return key_heads(config) | rotated(config, 0.25) | is_parallel
        case "gpt_neox":
            return rotated(config, 0.25) | {"use_parallel_residual": config["use_parallel_residual"]}
        case "cohere":
            unscaled = {"logit_scale": config["logit_scale"], "rope.scaling.type": "none"}
            return key_heads(config) | rope_base(config) | unscaled
        case "cohere2":
            unscaled = {"logit_scale": config["logit_scale"], "rope.scaling.type": "none"}
            window = {"attention.sliding_window": config["sliding_window"]}
            return key_heads(config) | head_lengths(config) | rope_base(config) | rotated(config, 1.0) | unscaled | window
        case "glm4":
            return key_heads(config) | head_lengths(config) | rope_base(config) | rotated(config, 0.5)
        case "nemotron" | "phi":
            return key_heads(config) | rope_base(config) | rotated(config, 0.5) | {"rope.scaling.type": "none"}
        case "gpt2":
            return {}
        case "bitnet":
            return key_heads(config) | rope_base(config) | {"rope.scaling.type": "linear", "rope.scaling.factor": 1.0}
        case "mpt":
            of = config["attn_config"]
            clip = {"attention.clamp_kqv": of["clip_qkv"]} if of.get("clip_qkv") else {}
            return {"attention.max_alibi_bias": float(of["alibi_bias_max"]), **clip}
        case "bloom" | "gpt_bigcode":
            return {"attention.head_count_kv": 1 if config.get("multi_query") else config["num_attention_heads"]}
        case "exaone":
            return key_heads(config) | head_lengths(config) | rope_base(config) | rotated(config, 1.0)
        case "internlm2":
            return key_heads(config) | rope_base(config)
        case "minicpm":
            scaled = as_known.minicpm(config, {})[0]
            multipliers = {
                "embedding_scale": float(scaled["embedding_multiplier"]),
                "residual_scale": scaled["residual_multiplier"],
                "logit_scale": scaled["logits_scaling"],
            }
            return key_heads(config) | rope_base(config) | rotated(config, 1.0) | multipliers
        case "falcon":
            kv_heads = config["num_kv_heads"] if config["new_decoder_architecture"] else 1
            return {"attention.head_count_kv": kv_heads, "tensor_data_layout": "jploski"} | rope_base(config)
        case "starcoder2":
            return key_heads(config) | rope_base(config)
        case "qwen3_moe":
            size = {"expert_feed_forward_length": config["moe_intermediate_size"]}
            return key_heads(config) | head_lengths(config) | rope_base(config) | expert_keys(config) | size
        case "qwen2_moe":
            return key_heads(config) | rope_base(config) | expert_keys(config) | shared_expert_keys(config)
        case "gpt_oss":
            return key_heads(config) | head_lengths(config) | rope_base(config) | gpt_oss_keys(config)
        case "deepseek_v2" | "deepseek_v3" | "glm4_moe_lite":
            return experts_gguf.deepseek_keys(config)
        case "ernie4_5_moe":
            return key_heads(config) | rope_base(config) | ernie_moe_keys(config)
        case "mixtral":
            return key_heads(config) | head_lengths(config) | rope_base(config) | rotated(config, 1.0) | expert_keys(config)
        case "olmoe":
            return key_heads(config) | rope_base(config) | expert_keys(config)
        case "granitemoe":
            keys = key_heads(config) | rope_base(config) | rotated(config, 1.0) | granite_keys(config)
            return keys | expert_keys(config)
        case "qwen3_5_text":
            return delta_keys(config)
        case "qwen3_5_moe_text" | "qwen3_next":
            return delta_keys(config) | expert_keys(config) | shared_expert_keys(config)
        case "lfm2_moe":
            return rope_base(config) | tiny_state.lfm2_moe_keys(config)
        case "lfm2":
            return rope_base(config) | tiny_state.lfm2_keys(config)
        case "seed_oss" | "ernie4_5" | "exaone4" | "apertus" | "arcee" | "mistral":
            return key_heads(config) | head_lengths(config) | rope_base(config) | rotated(config, 1.0)
        case "ministral3":
            return key_heads(config) | head_lengths(config) | rope_base(config) | rotated(config, 1.0) | ministral_keys(config)
        case "hunyuan_v1_dense":
            return key_heads(config) | head_lengths(config) | raised_base(config) | {"rope.scaling.type": "none"}
        case "olmo3":
            yarn = yarn_keys(config) | {"rope.scaling.yarn_attn_factor": 0.1 * math.log(config["rope_scaling"]["factor"]) + 1}
            pattern = [kind == "sliding_attention" for kind in config["layer_types"]]
            window = {"attention.sliding_window": config["sliding_window"], "attention.sliding_window_pattern": pattern}
            return key_heads(config) | rope_base(config) | yarn | window
        case other:
            raise ValueError(f"no keys for {other!r}")


def metadata_of(name: str) -> dict[str, Any]:
    """The architecture's keys without its name in front."""
    config = text_config_of(name)
    keys = shape_keys(config) | {"vocab_size": config["vocab_size"]} | own_keys(config)
    for part, values in tiny_architectures.rounded_tensors(name).items():
        if ".act_fn." in part:
            keys.setdefault(f"xielu.{part.rpartition('.')[2]}", []).append(float(values.reshape(())))
    return keys


# ---- files


def add_key(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def add_vocabulary(writer: gguf.GGUFWriter, vocab_size: int) -> None:
    """Specials, bytes as far as they fit, and one merged pair, without which llama.cpp does not load."""
    tokens = ["<unk>", "<s>", "</s>", *byte_characters()][: vocab_size - 1]
    tokens += [f"<|spare_{i}|>" for i in range(len(tokens), vocab_size - 1)] + ["th"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (vocab_size - 3))
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(EOS_TOKEN_ID)
    writer.add_add_bos_token(False)


def make_gguf(name: str, path: str | Path) -> Path:
    """Writes the case as a GGUF file at `path` and returns it."""
    config, path = text_config_of(name), Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    architecture = ARCHITECTURE_NAMES.get(config["model_type"]) or mamba_gguf.architecture_of(config)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")  # by a name with phi3 in it llama.cpp looks for certain tokens
    for key, value in metadata_of(name).items():
        add_key(writer, key if key.startswith("xielu.") else f"{architecture}.{key}", value)
    add_vocabulary(writer, config["vocab_size"])
    for tensor, (weight_format, stored) in make_tensors(name).items():
        writer.add_tensor(tensor, stored, raw_dtype=weight_format)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
