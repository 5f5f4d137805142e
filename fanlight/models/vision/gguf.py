"""The metadata of a vision encoder's GGUF file (mmproj), which stands beside the language model's, as keys of a config.json.

Every `clip.*` key is translated, listed as harmless, or refused by name."""

from collections.abc import Mapping
from typing import Any

from fanlight.errors import UnsupportedModel

# clip.projector_type -> the architecture that has it, and whose language model that is
PROJECTORS = {"idefics3": ("idefics3", ("llama",))}
NAMES = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "layer_norm_eps": "attention.layer_norm_epsilon",
    "image_size": "image_size",
    "patch_size": "patch_size",
    "scale_factor": "projector.scale_factor",
}
ELSEWHERE = ("image_mean", "image_std", "preproc_image_size", "projection_dim")  # images/preprocessor.py, or said by a tensor
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "clip.has_vision_encoder": (True,),
    "clip.has_audio_encoder": (False,),
    "clip.use_silu": (False,),
    "clip.vision.spatial_merge_size": (1,),
}


def keys_of_seeing(metadata: Mapping[str, Any], text: object, file: str) -> dict[str, Any]:
    """The model_type and vision_config of both together, where there is a vision encoder. text: the language model's type.
    Raises UnsupportedModel."""
    projector = metadata.get("clip.vision.projector_type") or metadata.get("clip.projector_type")
    if projector is None:
        return {}
    if projector not in PROJECTORS:
        raise UnsupportedModel(f"clip.projector_type is {projector!r}; known are {', '.join(PROJECTORS)}", where=file)
    name, texts = PROJECTORS[projector]
    if text not in texts:
        raise UnsupportedModel(f"a vision encoder of {name} beside a language model of {text}", where=file)
    return {"model_type": name, "vision_config": vision_config(metadata, file)}


def vision_config(metadata: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Under Hugging Face's names. GELU is ggml's, by tanh; without a word it is CLIP's."""
    known = {f"clip.vision.{key}" for key in (*NAMES.values(), *ELSEWHERE)}
    known |= {"clip.projector_type", "clip.vision.projector_type", "clip.use_gelu"}
    for name, value in metadata.items():
        if name.startswith("clip.") and name not in known and value not in NEUTRAL.get(name, ()):
            raise UnsupportedModel(f"{name} is {value!r:.80}, which nothing here reads", where=file)
    found = {ours: metadata[f"clip.vision.{key}"] for ours, key in NAMES.items() if f"clip.vision.{key}" in metadata}
    return {**found, "hidden_act": "gelu_pytorch_tanh" if metadata.get("clip.use_gelu") else "quick_gelu"}
