"""Tiny models of Qwen's that see, for tiny_vision."""

from typing import Any

from scripts.golden import tiny_architectures, tiny_delta
from scripts.golden.tiny_models import heads
from scripts.golden.tiny_parts import SHARED, SILU, Shapes, default_rope, linear, norms, text_shapes


def qwen2_5_vl_shapes(config: dict[str, Any]) -> Shapes:
    text, vision = config["text_config"], config["vision_config"]
    yield from text_shapes(text, "model.language_model", has_bias=True)
    size, mlp, patch = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    yield "model.visual.patch_embed.proj.weight", (size, 3, vision["temporal_patch_size"], patch, patch)
    for layer in range(vision["depth"]):
        inside = f"model.visual.blocks.{layer}"
        yield from norms(size, f"{inside}.norm1", f"{inside}.norm2")
        yield from linear(f"{inside}.attn.qkv", 3 * size, size, True)
        yield from linear(f"{inside}.attn.proj", size, size, True)
        for name in ("gate_proj", "up_proj"):
            yield from linear(f"{inside}.mlp.{name}", mlp, size, True)
        yield from linear(f"{inside}.mlp.down_proj", size, mlp, True)
    merged = size * vision["spatial_merge_size"] ** 2
    yield from norms(size, "model.visual.merger.ln_q")
    yield from linear("model.visual.merger.mlp.0", merged, merged, True)
    yield from linear("model.visual.merger.mlp.2", text["hidden_size"], merged, True)


QWEN2_5_VL = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "model_type": "qwen2_5_vl",
    "image_token_id": 200,
    "video_token_id": 201,
    "tie_word_embeddings": False,
    "eos_token_id": SHARED["eos_token_id"],
    "text_config": {
        **SHARED,
        "vocab_size": 211,
        "model_type": "qwen2_5_vl_text",
        "rms_norm_eps": 1e-5,
        **heads(6, 2, 16),
        **SILU,
        **default_rope(10000.0, mrope_section=[2, 3, 3]),
    },
    "vision_config": {
        "model_type": "qwen2_5_vl_vision",
        "depth": 3,
        "hidden_size": 64,
        "intermediate_size": 90,
        "num_heads": 4,
        "patch_size": 4,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "window_size": 16,
        "fullatt_block_indexes": [1],
        "out_hidden_size": SHARED["hidden_size"],
        "hidden_act": "silu",
    },
}


def qwen2_vl_shapes(config: dict[str, Any]) -> Shapes:
    text, vision = config["text_config"], config["vision_config"]
    yield from text_shapes(text, "model.language_model", has_bias=True)
    size, patch = vision["embed_dim"], vision["patch_size"]
    yield "model.visual.patch_embed.proj.weight", (size, 3, vision["temporal_patch_size"], patch, patch)
    for layer in range(vision["depth"]):
        inside = f"model.visual.blocks.{layer}"
        yield from norms(size, f"{inside}.norm1", f"{inside}.norm2", has_bias=True)
        yield from linear(f"{inside}.attn.qkv", 3 * size, size, True)
        yield from linear(f"{inside}.attn.proj", size, size, True)
        yield from linear(f"{inside}.mlp.fc1", vision["mlp_ratio"] * size, size, True)
        yield from linear(f"{inside}.mlp.fc2", size, vision["mlp_ratio"] * size, True)
    merged = size * vision["spatial_merge_size"] ** 2
    yield from norms(size, "model.visual.merger.ln_q", has_bias=True)
    yield from linear("model.visual.merger.mlp.0", merged, merged, True)
    yield from linear("model.visual.merger.mlp.2", vision["hidden_size"], merged, True)


QWEN2_VL = {
    **QWEN2_5_VL,
    "architectures": ["Qwen2VLForConditionalGeneration"],
    "model_type": "qwen2_vl",
    "text_config": {**QWEN2_5_VL["text_config"], "model_type": "qwen2_vl_text"},
    "vision_config": {
        "model_type": "qwen2_vl_vision",
        "depth": 3,
        "embed_dim": 64,
        "hidden_size": SHARED["hidden_size"],
        "hidden_act": "quick_gelu",
        "mlp_ratio": 2,
        "num_heads": 4,
        "in_channels": 3,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}


def qwen3_vl_shapes(config: dict[str, Any]) -> Shapes:
    yield from text_shapes(config["text_config"], "model.language_model", of_heads=True)
    yield from qwen3_tower(config, len(config["vision_config"]["deepstack_visual_indexes"]))


def qwen3_5_shapes(config: dict[str, Any]) -> Shapes:
    for part, shape in tiny_architectures.text_shapes(config["text_config"]):
        yield part.replace("model.", "model.language_model."), shape
    yield from qwen3_tower(config, 0)


def qwen3_tower(config: dict[str, Any], deep: int) -> Shapes:
    text, vision = config["text_config"], config["vision_config"]
    size, mlp, patch = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    yield "model.visual.patch_embed.proj.weight", (size, 3, vision["temporal_patch_size"], patch, patch)
    yield "model.visual.patch_embed.proj.bias", (size,)
    yield "model.visual.pos_embed.weight", (vision["num_position_embeddings"], size)
    for layer in range(vision["depth"]):
        inside = f"model.visual.blocks.{layer}"
        yield from norms(size, f"{inside}.norm1", f"{inside}.norm2", has_bias=True)
        yield from linear(f"{inside}.attn.qkv", 3 * size, size, True)
        yield from linear(f"{inside}.attn.proj", size, size, True)
        yield from linear(f"{inside}.mlp.linear_fc1", mlp, size, True)
        yield from linear(f"{inside}.mlp.linear_fc2", size, mlp, True)
    merged = size * vision["spatial_merge_size"] ** 2
    for i, stem in enumerate(["merger", *(f"deepstack_merger_list.{i}" for i in range(deep))]):
        yield from norms(merged if i else size, f"model.visual.{stem}.norm", has_bias=True)
        yield from linear(f"model.visual.{stem}.linear_fc1", merged, merged, True)
        yield from linear(f"model.visual.{stem}.linear_fc2", text["hidden_size"], merged, True)


QWEN3_VL = {
    **QWEN2_5_VL,
    "architectures": ["Qwen3VLForConditionalGeneration"],
    "model_type": "qwen3_vl",
    "text_config": {
        **SHARED,
        "vocab_size": 211,
        "model_type": "qwen3_vl_text",
        "rms_norm_eps": 1e-6,
        **heads(6, 2, 16),
        "head_dim": 16,
        **SILU,
        **default_rope(10000.0, mrope_section=[4, 2, 2], mrope_interleaved=True),
    },
    "vision_config": {
        "model_type": "qwen3_vl_vision",
        "depth": 3,
        "hidden_size": 64,
        "intermediate_size": 90,
        "num_heads": 4,
        "patch_size": 4,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "num_position_embeddings": 25,
        "deepstack_visual_indexes": [0, 2],
        "out_hidden_size": SHARED["hidden_size"],
        "hidden_act": "gelu_pytorch_tanh",
    },
}


QWEN3_5 = {
    **QWEN2_5_VL,
    "architectures": ["Qwen3_5ForConditionalGeneration"],
    "model_type": "qwen3_5",
    "text_config": {
        **SHARED,
        **tiny_delta.QWEN3_5,
        **heads(4, 2, 32),
        **tiny_delta.delta_heads(2, 6, 16, 16),
        "vocab_size": 211,
        "num_hidden_layers": 4,
        "layer_types": [tiny_delta.FULL, tiny_delta.LINEAR, tiny_delta.LINEAR, tiny_delta.FULL],
        "tie_word_embeddings": False,
        **default_rope(10000.0, partial_rotary_factor=0.5, mrope_interleaved=True, mrope_section=[3, 3, 2]),
    },
    "vision_config": {
        **{key: value for key, value in QWEN3_VL["vision_config"].items() if key != "deepstack_visual_indexes"},
        "model_type": "qwen3_5_vision",
    },
}


# As published files, of which GGUF's do not say otherwise: every second or fourth layer attends; windows of 112 pixels.
QWEN3_5_PUBLISHED = {
    **QWEN3_5,
    "text_config": {
        **QWEN3_5["text_config"],
        "layer_types": [tiny_delta.LINEAR, tiny_delta.FULL] * 2,
        "full_attention_interval": 2,
    },
}
QWEN2_5_VL_PUBLISHED = {**QWEN2_5_VL, "vision_config": {**QWEN2_5_VL["vision_config"], "patch_size": 14, "window_size": 112}}
