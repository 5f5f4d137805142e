"""Tiny models with a projector as LLaVA's, for tiny_vision: Pixtral's tower with Mistral's language models, CLIP's with
Llama."""

from typing import Any

from scripts.golden.tiny_dense import MINISTRAL_YARN
from scripts.golden.tiny_models import heads
from scripts.golden.tiny_parts import FIRST_PICTURE_TOKEN, SHARED, SILU, VOCAB, Shapes, default_rope, linear, norms, text_shapes

PIXTRAL_TOKENS = ("[IMG]", "[IMG_BREAK]", "[IMG_END]")
IMG = FIRST_PICTURE_TOKEN


def pixtral_shapes(config: dict[str, Any], stem: str) -> Shapes:
    size, mlp, patch = config["hidden_size"], config["intermediate_size"], config["patch_size"]
    yield f"{stem}.patch_conv.weight", (size, 3, patch, patch)
    yield from norms(size, f"{stem}.ln_pre")
    for layer in range(config["num_hidden_layers"]):
        inside = f"{stem}.transformer.layers.{layer}"
        yield from norms(size, f"{inside}.attention_norm", f"{inside}.ffn_norm")
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield from linear(f"{inside}.attention.{name}", size, size)
        for name, rows, columns in (("gate_proj", mlp, size), ("up_proj", mlp, size), ("down_proj", size, mlp)):
            yield from linear(f"{inside}.feed_forward.{name}", rows, columns)


def projector_shapes(config: dict[str, Any], stem: str) -> Shapes:
    size, has_bias = config["text_config"]["hidden_size"], config["multimodal_projector_bias"]
    yield from linear(f"{stem}.linear_1", size, config["vision_config"]["hidden_size"], has_bias)
    yield from linear(f"{stem}.linear_2", size, size, has_bias)


def mistral3_shapes(config: dict[str, Any]) -> Shapes:
    vision, stem = config["vision_config"], "model.multi_modal_projector"
    yield from text_shapes(config["text_config"], "model.language_model")
    yield from pixtral_shapes(vision, "model.vision_tower")
    yield from norms(vision["hidden_size"], f"{stem}.norm")
    merged = vision["hidden_size"] * config["spatial_merge_size"] ** 2
    yield from linear(f"{stem}.patch_merger.merging_layer", vision["hidden_size"], merged)
    yield from projector_shapes(config, stem)


def llava_shapes(config: dict[str, Any]) -> Shapes:
    """With the names of transformers 4, as published."""
    yield from text_shapes(config["text_config"], "language_model.model", "language_model.lm_head")
    if config["vision_config"]["model_type"] == "pixtral":
        yield from pixtral_shapes(config["vision_config"], "vision_tower")
    else:
        yield from clip_shapes(config["vision_config"], "vision_tower.vision_model")
    yield from projector_shapes(config, "multi_modal_projector")


def clip_shapes(config: dict[str, Any], stem: str) -> Shapes:
    size, patch = config["hidden_size"], config["patch_size"]
    yield f"{stem}.embeddings.class_embedding", (size,)
    yield f"{stem}.embeddings.patch_embedding.weight", (size, 3, patch, patch)
    yield f"{stem}.embeddings.position_embedding.weight", ((config["image_size"] // patch) ** 2 + 1, size)
    yield from norms(size, f"{stem}.pre_layrnorm", f"{stem}.post_layernorm", has_bias=True)
    for layer in range(config["num_hidden_layers"]):
        yield from siglip_block(config, f"{stem}.encoder.layers.{layer}")


def siglip_block(config: dict[str, Any], stem: str) -> Shapes:
    size, mlp = config["hidden_size"], config["intermediate_size"]
    yield from norms(size, f"{stem}.layer_norm1", f"{stem}.layer_norm2", has_bias=True)
    for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
        yield from linear(f"{stem}.self_attn.{name}", size, size, True)
    yield from linear(f"{stem}.mlp.fc1", mlp, size, True)
    yield from linear(f"{stem}.mlp.fc2", size, mlp, True)


PIXTRAL_TOWER = {
    "model_type": "pixtral",
    "hidden_size": 48,
    "head_dim": 12,
    "intermediate_size": 90,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 64,
    "patch_size": 4,
    "hidden_act": "silu",
}
MISTRAL3 = {
    "architectures": ["Mistral3ForConditionalGeneration"],
    "model_type": "mistral3",
    "image_token_index": IMG,
    "multimodal_projector_bias": False,
    "projector_hidden_act": "gelu",
    "spatial_merge_size": 2,
    "tie_word_embeddings": False,
    "vision_feature_layer": -1,
    "eos_token_id": SHARED["eos_token_id"],
    "text_config": {
        **SHARED,
        "vocab_size": VOCAB,
        "model_type": "ministral3",
        "rms_norm_eps": 1e-5,
        **heads(6, 2, 16),
        **SILU,
        "rope_parameters": MINISTRAL_YARN,
        "tie_word_embeddings": False,
    },
    "vision_config": {**PIXTRAL_TOWER, "rope_parameters": {"rope_theta": 100.0, "rope_type": "default"}},
}


PIXTRAL = {
    "architectures": ["LlavaForConditionalGeneration"],
    "model_type": "llava",
    "image_token_index": IMG,
    "image_seq_length": 1,
    "ignore_index": -100,
    "multimodal_projector_bias": True,
    "projector_hidden_act": "gelu",
    "vision_feature_layer": -1,
    "vision_feature_select_strategy": "full",
    "eos_token_id": SHARED["eos_token_id"],
    "text_config": {
        **SHARED,
        "vocab_size": VOCAB,
        "model_type": "mistral",
        "is_composition": True,
        "rms_norm_eps": 1e-5,
        "sliding_window": None,
        "rope_theta": 1e6,
        **heads(4, 2, 16),
    },
    "vision_config": {**PIXTRAL_TOWER, "patch_size": 8, "rope_theta": 10000.0, "is_composition": True},
}
LLAVA = {
    **PIXTRAL,
    "image_seq_length": 16,
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "text_config": {
        **SHARED,
        "vocab_size": VOCAB,
        "model_type": "llama",
        "rms_norm_eps": 1e-5,
        **heads(6, 6),
        **SILU,
        **default_rope(10000.0),
    },
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": 48,
        "intermediate_size": 90,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": 56,
        "patch_size": 14,
        "projection_dim": 32,
        "vocab_size": 32000,
    },
}
CLIP_PROCESSOR: dict[str, dict[str, Any]] = {
    "preprocessor": {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 56},
        "crop_size": {"height": 56, "width": 56},
        "do_center_crop": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
    "processor": {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1},
}


MISTRAL3_PUBLISHED = {**MISTRAL3, "vision_config": {**PIXTRAL_TOWER, "rope_theta": 10000.0}}


def pixtral_processor(patch: int, merge: int = 1, longest: int = 64) -> dict[str, dict[str, Any]]:
    """preprocessor, processor."""
    image = {
        "image_processor_type": "PixtralImageProcessor",
        "patch_size": {"height": patch, "width": patch},
        "size": {"longest_edge": longest},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    return {"preprocessor": image, "processor": {"patch_size": patch, "spatial_merge_size": merge}}
