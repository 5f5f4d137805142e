"""GGUF files of the checkpoints of tiny_hearing: the language model's, and its encoder of sound's (mmproj), as llama.cpp's
converter writes them: its names, keys, shapes and orders.

Needs NumPy and the `gguf` package; knows nothing of Fanlight."""

import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from scripts.golden import tiny_hearing, tiny_vision

CASES = ("voxtral", "qwen2_audio")
TEXT = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
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
    "audio_tower.conv1": "a.conv1d.1",
    "audio_tower.conv2": "a.conv1d.2",
    "audio_tower.embed_positions": "a.position_embd",
    "audio_tower.layer_norm": "a.post_ln",
    "multi_modal_projector.linear": "mm.a.fc",
    "multi_modal_projector.linear_1": "mm.a.mlp.1",
    "multi_modal_projector.linear_2": "mm.a.mlp.2",
    "self_attn_layer_norm": "ln1",
    "final_layer_norm": "ln2",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.out_proj": "attn_out",
    "fc1": "ffn_up",
    "fc2": "ffn_down",
}


def make_files(name: str, folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return make_text(name, folder / f"{name}.gguf"), make_tower(name, folder / f"mmproj-{name}.gguf")


def make_text(name: str, path: Path) -> Path:
    case = tiny_hearing.CASES[name]
    config = case.config["text_config"]
    is_llama = config["model_type"] == "llama"
    writer = gguf.GGUFWriter(path, config["model_type"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    if is_llama:
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    spec = tiny_vision.tokenizer_of(tiny_hearing.VOCAB, tiny_hearing.TOKENS)
    tokens = sorted(spec["model"]["vocab"], key=spec["model"]["vocab"].__getitem__)
    special = {token["content"] for token in spec["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges(["a b"])  # there is no such token; an empty list would not be written
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(case.template)
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for part, values in parts_of(name, is_text=True).items():
        count = next((count for end, count in heads.items() if end in part and is_llama), None)
        writer.add_tensor(renamed(part, TEXT, "blk"), values if count is None else interleaved(values, count))
    return written(writer, path)


def make_tower(name: str, path: Path) -> Path:
    case = tiny_hearing.CASES[name]
    config = case.config["audio_config"]
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    theirs = ("d_model", "encoder_ffn_dim", "encoder_layers", "encoder_attention_heads")
    size, inner, layers, heads = (config.get(a) or config[b] for a, b in zip(names, theirs, strict=True))
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_clip_has_audio_encoder(True)
    is_voxtral = case.config["model_type"] == "voxtral"
    writer.add_clip_projector_type(getattr(gguf.VisionProjectorType, "VOXTRAL" if is_voxtral else "QWEN2A"))
    writer.add_audio_projection_dim(case.config["text_config"]["hidden_size"])
    writer.add_audio_embedding_length(size)
    writer.add_audio_feed_forward_length(inner)
    writer.add_audio_block_count(layers)
    writer.add_audio_head_count(heads)
    writer.add_audio_attention_layernorm_eps(1e-5)
    writer.add_audio_num_mel_bins(config["num_mel_bins"])
    if is_voxtral:
        writer.add_audio_stack_factor(inner // size)
    for part, values in parts_of(name, is_text=False).items():
        is_bias = part.endswith(("conv1.bias", "conv2.bias"))
        writer.add_tensor(renamed(part, TOWER, "a.blk"), np.ascontiguousarray(values[:, None]) if is_bias else values)
    return written(writer, path)


def parts_of(name: str, is_text: bool) -> dict[str, np.ndarray]:
    """Of the language model, or of the rest, by their names in it alone."""
    starts = ("language_model.model.", "model.language_model.", "language_model.", "lm_head.")
    found = {part: values for part, values in tiny_hearing.tensors_of(name).items() if part.startswith(starts) == is_text}
    if not is_text:
        return {part.removeprefix("model."): values for part, values in found.items()}
    as_model = {part.replace(starts[0], "model.").replace(starts[1], "model."): values for part, values in found.items()}
    return {part.removeprefix("language_model."): values for part, values in as_model.items()}


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
