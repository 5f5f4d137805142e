"""Models with experts, for architectures_gguf: their keys, and how their tensors are stacked."""

from typing import Any

import numpy as np

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


def gpt_oss_keys(config: dict[str, Any]) -> dict[str, Any]:
    window = {"attention.sliding_window": config["sliding_window"]}
    return expert_keys(config) | window | {"expert_feed_forward_length": config["intermediate_size"]}
