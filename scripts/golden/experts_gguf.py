"""Models with experts, for architectures_gguf: their keys, and how their tensors are stacked."""

from typing import Any

import numpy as np

MLA = {
    "q_a_proj": "attn_q_a",
    "q_a_layernorm": "attn_q_a_norm",
    "q_b_proj": "attn_q_b",
    "kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "kv_a_layernorm": "attn_kv_a_norm",
    "k_b_proj": "attn_k_b",
    "v_b_proj": "attn_v_b",
}
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def stacked_experts(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each expert's matrices as one [E, rows, columns]; Granite's gates and ups, which are one, as two."""
    stacked: dict[str, Any] = {}
    for part, values in split_blocks(tensors).items():
        before, _, after = part.partition(".experts.")
        if after and after[0].isdigit():
            stacked.setdefault(f"{before}.experts.{after.partition('.')[2]}", []).append(values)
        elif part.endswith("input_linear.weight"):
            stem = part.removesuffix("input_linear.weight")
            stacked[f"{stem}experts.w1.weight"], stacked[f"{stem}experts.w3.weight"] = np.split(values, 2, axis=1)
        else:
            stacked[part] = values
    return {part: np.stack(values) if isinstance(values, list) else values for part, values in stacked.items()}


def split_blocks(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """gpt-oss' MXFP4 of folders as numbers, its gates and ups, which come in turn, as two."""
    made: dict[str, np.ndarray] = {}
    for part, values in tensors.items():
        if part.endswith("_scales"):
            continue
        if part.endswith("_blocks"):
            codes = values.astype(np.uint8)
            scales = np.exp2(tensors[part.replace("_blocks", "_scales")] - 127)[..., None]
            rows = (E2M1[np.stack([codes & 15, codes >> 4], axis=-1)].reshape(*codes.shape[:3], 32) * scales).astype(np.float32)
            part, values = part.replace("_blocks", ".weight"), rows.reshape(*codes.shape[:2], -1)
        part = part.replace(".sinks", ".sinks.weight").replace("_proj_bias", "_proj.bias")
        if "gate_up_proj" in part and "experts" in part:
            for i, name in enumerate(("gate_proj", "up_proj")):
                made[part.replace("gate_up_proj", name)] = values[:, i::2]
        else:
            made[part] = values
    return made


def expert_keys(config: dict[str, Any]) -> dict[str, Any]:
    count = config.get("num_experts") or config["num_local_experts"]
    return {"expert_count": count, "expert_used_count": config["num_experts_per_tok"]}


def shared_expert_keys(config: dict[str, Any]) -> dict[str, Any]:
    size = config.get("shared_expert_intermediate_size")
    return {
        "expert_feed_forward_length": config["moe_intermediate_size"],
        "expert_shared_feed_forward_length": size or config["moe_num_shared_experts"] * config["moe_intermediate_size"],
    }


def ernie_moe_keys(config: dict[str, Any]) -> dict[str, Any]:
    return shared_expert_keys(config) | {
        "expert_count": config["moe_num_experts"],
        "expert_used_count": config["moe_k"],
        "expert_shared_count": config["moe_num_shared_experts"],
        "leading_dense_block_count": config["moe_layer_start_index"],
        "interleave_moe_layer_step": config["moe_layer_interval"],
    }


def split_latent(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """DeepSeek's matrix of keys and values as one of each for each head, that of keys transposed."""
    made: dict[str, np.ndarray] = {}
    for part, values in tensors.items():
        if not part.endswith("kv_b_proj.weight"):
            made[part] = values
            continue
        heads = values.reshape(config["num_attention_heads"], -1, values.shape[1])
        k, v = np.split(heads, [config["qk_nope_head_dim"]], axis=1)
        made[part.replace("kv_b_proj", "k_b_proj")] = k.swapaxes(1, 2)
        made[part.replace("kv_b_proj", "v_b_proj")] = v
    return made


def mla_keys(config: dict[str, Any]) -> dict[str, Any]:
    rank, turning = config["kv_lora_rank"], config["qk_rope_head_dim"]
    keys = {
        "attention.head_count_kv": 1,
        "attention.key_length": rank + turning,
        "attention.value_length": rank,
        "attention.key_length_mla": config["qk_nope_head_dim"] + turning,
        "attention.value_length_mla": config["v_head_dim"],
        "attention.kv_lora_rank": rank,
        "rope.dimension_count": turning,
    }
    parameters = config.get("rope_parameters") or config
    keys |= {"rope.freq_base": float(parameters["rope_theta"])}
    return keys | ({"attention.q_lora_rank": config["q_lora_rank"]} if config["q_lora_rank"] else {})


def routed_keys(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "leading_dense_block_count": config["first_k_dense_replace"],
        "expert_count": config["n_routed_experts"],
        "expert_used_count": config["num_experts_per_tok"],
        "expert_shared_count": config["n_shared_experts"],
        "expert_feed_forward_length": config["moe_intermediate_size"],
        "expert_weights_scale": config["routed_scaling_factor"],
        "expert_weights_norm": config["norm_topk_prob"],
        "expert_group_count": config["n_group"],
        "expert_group_used_count": config["topk_group"],
    }


def deepseek_keys(config: dict[str, Any]) -> dict[str, Any]:
    keys = mla_keys(config) | routed_keys(config)
    keys |= {"expert_gating_func": 2 if config.get("scoring_func", "sigmoid") == "sigmoid" else 1}
    if scaling := config.get("rope_parameters") or config["rope_scaling"]:
        keys |= {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": scaling["factor"],
            "rope.scaling.original_context_length": scaling["original_max_position_embeddings"],
            "rope.scaling.yarn_log_multiplier": 0.1 * scaling["mscale_all_dim"],
        }
    return keys


def gpt_oss_keys(config: dict[str, Any]) -> dict[str, Any]:
    window = {"attention.sliding_window": config["sliding_window"]}
    return expert_keys(config) | window | {"expert_feed_forward_length": config["intermediate_size"]}
