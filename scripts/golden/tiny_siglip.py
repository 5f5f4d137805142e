"""SigLIP's tower, and SigLIP 2's with LFM2-VL around it, for tiny_vision."""

from typing import Any

from scripts.golden import tiny_architectures, tiny_llava
from scripts.golden.tiny_models import heads
from scripts.golden.tiny_parts import FIRST_PICTURE_TOKEN, FULL, SHARED, VOCAB, Shapes, default_rope, linear, norms
from scripts.golden.tiny_state import CONV, LFM2

SIGLIP = {
    "hidden_size": 48,
    "intermediate_size": 90,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
}


def siglip_shapes(config: dict[str, Any], stem: str) -> Shapes:
    size, patch = config["hidden_size"], config["patch_size"]
    yield f"{stem}.embeddings.patch_embedding.weight", (size, 3, patch, patch)
    yield f"{stem}.embeddings.patch_embedding.bias", (size,)
    yield f"{stem}.embeddings.position_embedding.weight", ((config["image_size"] // patch) ** 2, size)
    for layer in range(config["num_hidden_layers"]):
        yield from tiny_llava.siglip_block(config, f"{stem}.encoder.layers.{layer}")
    yield from norms(size, f"{stem}.post_layernorm", has_bias=True)


# --- LFM2-VL -----------------------------------------------------------------------------------------------------------
LFM2_VL_TOKENS = (
    "<image>",
    "<|image_start|>",
    "<|image_end|>",
    "<|img_thumbnail|>",
    *(f"<|img_row_{row}_col_{column}|>" for row in (1, 2) for column in (1, 2)),
    "<end_of_utterance>",
)


def lfm2_vl_shapes(config: dict[str, Any]) -> Shapes:
    text, vision, stem = config["text_config"], config["vision_config"], "model.multi_modal_projector"
    for part, shape in tiny_architectures.text_shapes(text):
        yield part.replace("model.", "model.language_model."), shape
    size, pixels = vision["hidden_size"], 3 * vision["patch_size"] ** 2
    own = {"patch_embedding.weight": (size, pixels), "position_embedding.weight": (vision["num_patches"], size)}
    for part, shape in siglip_shapes({**vision, "image_size": vision["patch_size"]}, "model.vision_tower"):
        yield part, own.get(part.partition(".embeddings.")[2], shape)
    merged, middle = size * config["downsample_factor"] ** 2, config["projector_hidden_size"]
    if config.get("projector_use_layernorm", True):
        yield from norms(merged, f"{stem}.layer_norm", has_bias=True)
    yield from linear(f"{stem}.linear_1", middle, merged, config["projector_bias"])
    yield from linear(f"{stem}.linear_2", text["hidden_size"], middle, config["projector_bias"])


LFM2_VL = {
    "architectures": ["Lfm2VlForConditionalGeneration"],
    "model_type": "lfm2_vl",
    "image_token_id": FIRST_PICTURE_TOKEN,
    "downsample_factor": 2,
    "projector_hidden_size": 72,
    "projector_hidden_act": "gelu",
    "projector_bias": True,
    "tie_word_embeddings": True,
    "eos_token_id": SHARED["eos_token_id"],
    "text_config": {
        **SHARED,
        **LFM2,
        **heads(4, 2),
        "vocab_size": VOCAB,
        "num_hidden_layers": 4,
        "layer_types": [FULL, CONV, FULL, FULL],
        "intermediate_size": 240,
        "block_auto_adjust_ff_dim": False,
        "block_ffn_dim_multiplier": 1.0,
        "block_multiple_of": 256,
        "conv_L_cache": 3,
        "conv_bias": False,
        "tie_word_embeddings": True,
        **default_rope(10000.0),
    },
    "vision_config": {
        "model_type": "siglip2_vision_model",
        **{name: value for name, value in SIGLIP.items() if name != "image_size"},
        "patch_size": 16,
        "num_patches": 64,
        "layer_norm_eps": 1e-6,
        "vision_use_head": False,
    },
}
LFM2_VL_LATER = {
    **LFM2_VL,
    "projector_use_layernorm": False,
    "projector_bias": False,
    "tie_word_embeddings": False,
    "text_config": {**LFM2_VL["text_config"], "tie_word_embeddings": False},
    "vision_config": {**LFM2_VL["vision_config"], "patch_size": 4, "num_patches": 25},
}
LFM2_VL_PICTURES = {
    "image_processor_type": "Lfm2VlImageProcessor",
    "tile_size": 64,
    "encoder_patch_size": 16,
    "downsample_factor": 2,
    "min_tiles": 2,
    "max_tiles": 4,
    "min_image_tokens": 1,
    "max_image_tokens": 4,
    "max_pixels_tolerance": 1.0,
    "use_thumbnail": True,
    "do_image_splitting": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
