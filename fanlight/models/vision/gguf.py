"""The metadata of a vision encoder's GGUF file (mmproj), which stands beside the language model's, as keys of a config.json.

Every `clip.*` key is translated, listed as harmless, or refused by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fanlight.errors import UnsupportedModel
from fanlight.formats.layout import TensorInfo

SIGLIP = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "layer_norm_eps": "attention.layer_norm_epsilon",
    "image_size": "image_size",
    "patch_size": "patch_size",
    "scale_factor": "projector.scale_factor",
}
SIGLIP2 = {
    **{ours: key for ours, key in SIGLIP.items() if ours not in ("image_size", "scale_factor")},
    "downsample_factor": "projector.scale_factor",
}
QWEN = {
    "depth": "block_count",
    "num_heads": "attention.head_count",
    "patch_size": "patch_size",
    "spatial_merge_size": "spatial_merge_size",
}
QWEN2 = {**QWEN, "embed_dim": "embedding_length", "hidden_size": "projection_dim"}
QWEN3 = {
    **QWEN,
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "out_hidden_size": "projection_dim",
}
CLIP = {ours: key for ours, key in SIGLIP.items() if ours != "scale_factor"}
PIXTRAL = {
    **CLIP,
    "spatial_merge_size": "spatial_merge_size",
}
# Read by images/preprocessor.py, or said by a tensor. Of Qwen's the epsilon that is written is the language model's.
SIGLIP_ELSEWHERE = ("image_mean", "image_std", "preproc_image_size", "projection_dim")
QWEN_ELSEWHERE = (
    "image_mean",
    "image_std",
    "image_size",
    "image_min_pixels",
    "image_max_pixels",
    "attention.layer_norm_epsilon",
)
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "clip.has_vision_encoder": (True,),
    "clip.has_audio_encoder": (False,),
    "clip.has_text_encoder": (False,),  # this and the next two stand in files of the first converters
    "clip.has_llava_projector": (True, False),  # projector_type says which
    "clip.has_qwen2vl_merger": (True,),
    "clip.vision.mm_patch_merge_type": ("flat",),  # this and the next in LLaVA's
    "clip.vision.mm_projector_type": ("mlp2x_gelu",),
    "clip.vision.spatial_merge_size": (1,),
    "clip.vision.window_size": (112,),
    "clip.rope.freq_base": (10000.0,),  # of Pixtral's that Mistral's own files became
}
HINT = "without this file the model reads text alone: of a repository or a folder name the language model's file itself"
ACTS = {"clip.use_gelu": "gelu_pytorch_tanh", "clip.use_silu": "silu"}  # GELU is ggml's, by tanh


@dataclass(frozen=True, slots=True)
class Projector:
    """texts: the language model's type -> the type of both together. names: config.json's key -> GGUF's, after clip.vision.
    computed: likewise, of those that are read in `vision_config` one by one."""

    texts: Mapping[str, str]
    names: Mapping[str, str]
    elsewhere: tuple[str, ...]
    computed: tuple[str, ...] = ()


PROJECTORS = {  # clip.projector_type
    "gemma3": Projector({"gemma3": "gemma3"}, SIGLIP, SIGLIP_ELSEWHERE),
    "idefics3": Projector({"llama": "idefics3"}, SIGLIP, SIGLIP_ELSEWHERE),
    "lfm2": Projector({"lfm2": "lfm2_vl"}, SIGLIP2, (*SIGLIP_ELSEWHERE, "image_size"), ("projection_dim",)),
    "mlp": Projector({"llama": "llava"}, CLIP, SIGLIP_ELSEWHERE, ("feature_layer",)),
    "pixtral": Projector({"llama": "llava", "mistral3": "mistral3"}, PIXTRAL, SIGLIP_ELSEWHERE),
    "qwen2vl_merger": Projector({"qwen2_5_vl": "qwen2_vl"}, QWEN2, QWEN_ELSEWHERE, ("feed_forward_length",)),
    "qwen2.5vl_merger": Projector({"qwen2_5_vl": "qwen2_5_vl"}, QWEN3, QWEN_ELSEWHERE, ("n_wa_pattern",)),
    "qwen3vl_merger": Projector(
        {name: name for name in ("qwen3_vl", "qwen3_5", "qwen3_5_moe")}, QWEN3, QWEN_ELSEWHERE, ("is_deepstack_layers",)
    ),
}


def keys_of_seeing(metadata: Mapping[str, Any], tensors: Mapping[str, TensorInfo], text: object, file: str) -> dict[str, Any]:
    """The model_type and vision_config of both together, where there is a vision encoder. text: the language model's type.
    Raises UnsupportedModel."""
    kind = metadata.get("clip.vision.projector_type") or metadata.get("clip.projector_type")
    if kind is None:
        return {}
    if kind not in PROJECTORS:
        message = f"clip.projector_type is {kind!r}; known are {', '.join(PROJECTORS)}"
        raise UnsupportedModel(message, where=file, hint=HINT)
    projector = PROJECTORS[kind]
    if text not in projector.texts:
        message = f"a vision encoder of {kind} beside a language model of {text}; expected {', '.join(projector.texts)}"
        raise UnsupportedModel(message, where=file, hint=HINT)
    return {"model_type": projector.texts[str(text)], "vision_config": vision_config(projector, metadata, tensors, file)}


def vision_config(
    projector: Projector, metadata: Mapping[str, Any], tensors: Mapping[str, TensorInfo], file: str
) -> dict[str, Any]:
    """Under Hugging Face's names."""
    known = {f"clip.vision.{key}" for key in (*projector.names.values(), *projector.elsewhere, *projector.computed)}
    known |= {"clip.projector_type", "clip.vision.projector_type", *ACTS}
    for name, value in metadata.items():
        if name.startswith("clip.") and name not in known and value not in NEUTRAL.get(name, ()):
            raise UnsupportedModel(f"{name} is {value!r:.80}, which nothing here reads", where=file, hint=HINT)
    given = {key: metadata[f"clip.vision.{key}"] for key in projector.computed if f"clip.vision.{key}" in metadata}
    found = {ours: metadata[f"clip.vision.{key}"] for ours, key in projector.names.items() if f"clip.vision.{key}" in metadata}
    up = tensors.get("v.blk.0.ffn_up.weight")
    if found.get("intermediate_size") == 0 and up:  # as the first converters wrote of Qwen's
        found["intermediate_size"] = up.shape[0]
    return {**found, **_computed(projector, given, found, tensors, file), "hidden_act": _act(metadata, file)}


def _act(metadata: Mapping[str, Any], file: str) -> str:
    """Without a word it is CLIP's."""
    named = [act for key, act in ACTS.items() if metadata.get(key)]
    if len(named) > 1:
        raise UnsupportedModel(f"{' and '.join(ACTS)} are both true; expected one of them", where=file)
    return named[0] if named else "quick_gelu"


def _computed(
    projector: Projector,
    given: Mapping[str, Any],
    found: Mapping[str, Any],
    tensors: Mapping[str, TensorInfo],
    file: str,
) -> dict[str, Any]:
    """What keys say otherwise than config.json does, and what no key says."""
    if "feed_forward_length" in projector.computed:  # Qwen2-VL's, of which the converter writes another number
        up, size = tensors.get("v.blk.0.ffn_up.weight"), found.get("embed_dim")
        if not (up and size) or up.shape[0] % size:
            raise UnsupportedModel(f"v.blk.0.ffn_up.weight is not a multiple of {size} rows, or not there", where=file)
        return {"mlp_ratio": up.shape[0] // size}
    if "n_wa_pattern" in projector.computed:
        turn, depth = given.get("n_wa_pattern"), found.get("depth")
        if not isinstance(turn, int) or not isinstance(depth, int) or not turn > 0:
            message = f"clip.vision.n_wa_pattern is {turn!r} and block_count {depth!r}; expected whole numbers above 0"
            raise UnsupportedModel(message, where=file)
        return {"fullatt_block_indexes": [i for i in range(depth) if (i + 1) % turn == 0]}
    if "is_deepstack_layers" in projector.computed:
        places = tensors.get("v.position_embd.weight")
        deep = [i for i, flag in enumerate(given.get("is_deepstack_layers") or ()) if flag]
        return {"deepstack_visual_indexes": deep} | ({"num_position_embeddings": places.shape[0]} if places else {})
    if "feature_layer" in projector.computed:  # LLaVA's: the converter leaves out the blocks behind it
        layer, count = given.get("feature_layer"), found.get("num_hidden_layers")
        if layer not in (None, [count]):
            message = f"clip.vision.feature_layer is {layer} of {count} blocks; expected one layer, the last that is there"
            raise UnsupportedModel(message, where=file, hint=HINT)
        return {"model_type": "clip_vision_model"}
    if "projection_dim" in projector.computed:  # LFM2-VL's
        places, first = (tensors.get(f"{name}.weight") for name in ("v.position_embd", "mm.1"))
        if not (places and first):
            raise UnsupportedModel("v.position_embd.weight or mm.1.weight is not there", where=file)
        has = {"norm": "mm.input_norm.weight" in tensors, "bias": "mm.1.bias" in tensors}
        sizes = {"num_patches": places.shape[0], "projector_hidden_size": first.shape[0]}
        return {**sizes, "projector_use_layernorm": has["norm"], "projector_bias": has["bias"]}
    return {}


def unswapped(tensors: dict[str, TensorInfo], width: object) -> dict[str, TensorInfo]:
    """Files of the first converters have each other's names for the two products of an MLP, which their shapes tell.
    width: of the encoder's rows."""
    down = tensors.get("v.blk.0.ffn_down.weight")
    if down is None or len(down.shape) != 2 or down.shape[1] != width or down.shape[0] == width:
        return tensors
    other = {"up": "down", "down": "up"}
    turn = re.compile(r"(?<=^v\.blk\.)(\d+\.ffn_)(up|down)(?=\.)")
    return {turn.sub(lambda found: found[1] + other[found[2]], name): info for name, info in tensors.items()}
