"""GGUF files of the checkpoints of tiny_vision: the language model's, and its vision encoder's (mmproj), as llama.cpp's
converter writes them: its names, keys and orders.

Needs NumPy and the `gguf` package; knows nothing of Fanlight."""

import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from scripts.golden import tiny_models, tiny_vision

CASES = ("idefics3",)
ARCHITECTURES = {"qwen2_5_vl": "qwen2vl", "qwen3_vl": "qwen3vl"}  # of other language models than Llama
TEXT = {
    "model.language_model.embed_tokens": "token_embd",
    "model.language_model.norm": "output_norm",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "model.text_model.embed_tokens": "token_embd",
    "model.text_model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOWER = {
    "model.vision_model.embeddings.patch_embedding": "v.patch_embd",
    "model.vision_model.embeddings.position_embedding": "v.position_embd",
    "model.vision_model.post_layernorm": "v.post_ln",
    "model.connector.modality_projection.proj": "mm.model.fc",
    "layer_norm1": "ln1",
    "layer_norm2": "ln2",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.out_proj": "attn_out",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
}


def make_files(name: str, folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return make_text(name, folder / f"{name}.gguf"), make_tower(name, folder / f"mmproj-{name}.gguf")


def make_text(name: str, path: Path) -> Path:
    config, whole = tiny_vision.CASES[name].config["text_config"], tiny_vision.CASES[name].config
    architecture = ARCHITECTURES.get(whole["model_type"], "llama")
    writer = gguf.GGUFWriter(path, architecture)
    if architecture != "llama":
        writer.add_rope_dimension_sections([*config["rope_parameters"]["mrope_section"], 0])
    if deep := whole["vision_config"].get("deepstack_visual_indexes"):
        writer.add_num_deepstack_layers(len(deep))
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    of = tiny_vision.tokenizer_of if config["vocab_size"] >= tiny_vision.VOCAB else tiny_models.tokenizer_json
    spec = of(config["vocab_size"])
    tokens = sorted(spec["model"]["vocab"], key=spec["model"]["vocab"].__getitem__)
    special = {token["content"] for token in spec["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges(["a b"])  # there is no such token; an empty list would not be written
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(tiny_vision.TEMPLATE.replace("MARK", tiny_vision.CASES[name].mark))
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for part, values in tiny_vision.tensors_of(name).items():
        if "vision_model" in part or "connector" in part or ".visual." in part:
            continue
        count = None if architecture != "llama" else next((count for end, count in heads.items() if end in part), None)
        writer.add_tensor(renamed(part, TEXT, "blk"), values if count is None else interleaved(values, count))
    return written(writer, path)


def make_tower(name: str, path: Path) -> Path:
    case, config = tiny_vision.CASES[name], tiny_vision.CASES[name].config["vision_config"]
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(gguf.VisionProjectorType.IDEFICS3)
    writer.add_vision_projection_dim(case.config["text_config"]["hidden_size"])
    writer.add_vision_image_size(config["image_size"])
    writer.add_vision_patch_size(config["patch_size"])
    writer.add_vision_embedding_length(config["hidden_size"])
    writer.add_vision_feed_forward_length(config["intermediate_size"])
    writer.add_vision_block_count(config["num_hidden_layers"])
    writer.add_vision_head_count(config["num_attention_heads"])
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_image_mean([case.mean] * 3)
    writer.add_vision_image_std([case.std] * 3)
    writer.add_vision_projector_scale_factor(case.config["scale_factor"])
    writer.add_vision_use_gelu(True)
    writer.add_uint32("clip.vision.preproc_image_size", case.preprocessor["size"]["longest_edge"])
    for part, values in tiny_vision.tensors_of(name).items():
        if "vision_model" in part or "connector" in part:
            writer.add_tensor(renamed(part, TOWER, "v.blk"), values)
    return written(writer, path)


def renamed(part: str, names: dict[str, str], block: str) -> str:
    stem, _, kind = part.rpartition(".")
    layer = re.search(r"\.layers\.(\d+)\.(.+)", stem)
    return f"{block}.{layer[1]}.{names[layer[2]]}.{kind}" if layer else f"{names[stem]}.{kind}"


def interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head pair by pair."""
    return values.reshape(heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def written(writer: Any, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
