"""The metadata of a GGUF file of an encoder of sound (mmproj), which stands beside the language model's, as keys of a
config.json; and its tensors' names.

Every `clip.*` key is translated, listed as harmless, or refused by name."""

from collections.abc import Mapping
from typing import Any

from fanlight.errors import UnsupportedModel
from fanlight.formats.layout import TensorInfo
from fanlight.models.sound.whisper import EPS

# clip.projector_type -> the architecture that has it, and whose language model that is
PROJECTORS = {"qwen2a": ("qwen2_audio", ("qwen2",)), "voxtral": ("voxtral", ("llama",))}
PLACES = "a.position_embd.weight"
NAMES = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_mel_bins": "num_mel_bins",
    "merge": "projector.stack_factor",
}
EPSILON = "clip.audio.attention.layer_norm_epsilon"
KNOWN = {"clip.projector_type", "clip.audio.projector_type", "clip.audio.projection_dim", EPSILON}
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "clip.has_vision_encoder": (False,),
    "clip.has_audio_encoder": (True,),
    "clip.use_gelu": (True,),
    "clip.use_silu": (False,),
}
INSIDE = {  # of GGUF files
    "model.audio_tower.conv1": "a.conv1d.1",
    "model.audio_tower.conv2": "a.conv1d.2",
    "model.audio_tower.embed_positions": "a.position_embd",
    "model.audio_tower.layers.{i}.self_attn_layer_norm": "a.blk.{i}.ln1",
    "model.audio_tower.layers.{i}.final_layer_norm": "a.blk.{i}.ln2",
    "model.audio_tower.layers.{i}.self_attn.q_proj": "a.blk.{i}.attn_q",
    "model.audio_tower.layers.{i}.self_attn.k_proj": "a.blk.{i}.attn_k",
    "model.audio_tower.layers.{i}.self_attn.v_proj": "a.blk.{i}.attn_v",
    "model.audio_tower.layers.{i}.self_attn.out_proj": "a.blk.{i}.attn_out",
    "model.audio_tower.layers.{i}.fc1": "a.blk.{i}.ffn_up",
    "model.audio_tower.layers.{i}.fc2": "a.blk.{i}.ffn_down",
    "model.audio_tower.layer_norm": "a.post_ln",
}


def keys_of_hearing(
    metadata: Mapping[str, Any], tensors: Mapping[str, TensorInfo], text: object, file: str
) -> dict[str, Any] | None:
    """The model_type and audio_config of both together; None where there is no encoder of sound. text: the language model's
    type. Raises UnsupportedModel."""
    if not metadata.get("clip.has_audio_encoder"):
        return None
    projector = metadata.get("clip.audio.projector_type") or metadata.get("clip.projector_type")
    if projector not in PROJECTORS:
        raise UnsupportedModel(f"clip.projector_type is {projector!r}; known of sounds are {', '.join(PROJECTORS)}", where=file)
    name, texts = PROJECTORS[projector]
    if text not in texts:
        raise UnsupportedModel(f"an encoder of sound of {name} beside a language model of {text}", where=file)
    known = KNOWN | {f"clip.audio.{key}" for key in NAMES.values()}
    for key, value in metadata.items():
        if key.startswith("clip.") and key not in known and value not in NEUTRAL.get(key, ()):
            raise UnsupportedModel(f"{key} is {value!r:.80}, which nothing here reads", where=file)
    if abs(metadata.get(EPSILON, EPS) - EPS) > 1e-3 * EPS:
        raise UnsupportedModel(f"{EPSILON} is {metadata[EPSILON]}; expected {EPS}", where=file)
    found = {ours: metadata[f"clip.audio.{key}"] for ours, key in NAMES.items() if f"clip.audio.{key}" in metadata}
    rows = {"max_source_positions": tensors[PLACES].shape[0]} if PLACES in tensors else {}
    return {"model_type": name, "audio_config": {**found, **rows}}
