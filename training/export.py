"""The trained model to GGUF (Q8_0, norms F32) with tokenizer and chat template, and back to PyTorch for checks.

GGUF's `llama` keeps the rows of q and k so that RoPE turns neighbours (2i, 2i+1), where Hugging Face turns (i, i + D/2):
`interleave` and `half_split` go between the two.
"""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from training.model import Config, Llama
from training.tokenizer import PATH

TEMPLATE = Path(__file__).parent / "chat_template.jinja"


def interleave(weight: np.ndarray, head_dim: int) -> np.ndarray:
    return weight.reshape(-1, 2, head_dim // 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def half_split(weight: np.ndarray, head_dim: int) -> np.ndarray:
    return weight.reshape(-1, head_dim // 2, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def tensors_of(model: Llama) -> dict[str, np.ndarray]:
    """GGUF names to float32 arrays, outermost dimension first."""
    c = model.config
    state = {k: v.detach().float().cpu().numpy() for k, v in model.state_dict().items()}
    tensors = {"token_embd.weight": state["embed.weight"], "output_norm.weight": state["norm.weight"]}
    for i in range(c.num_layers):
        q, k, v = np.split(state[f"layers.{i}.qkv.weight"], (c.q_size, c.q_size + c.kv_size))
        gate, up = np.split(state[f"layers.{i}.gate_up.weight"], 2)
        tensors |= {
            f"blk.{i}.attn_norm.weight": state[f"layers.{i}.attn_norm.weight"],
            f"blk.{i}.attn_q.weight": interleave(q, c.head_dim),
            f"blk.{i}.attn_k.weight": interleave(k, c.head_dim),
            f"blk.{i}.attn_v.weight": v,
            f"blk.{i}.attn_output.weight": state[f"layers.{i}.o.weight"],
            f"blk.{i}.ffn_norm.weight": state[f"layers.{i}.ffn_norm.weight"],
            f"blk.{i}.ffn_gate.weight": gate,
            f"blk.{i}.ffn_up.weight": up,
            f"blk.{i}.ffn_down.weight": state[f"layers.{i}.down.weight"],
        }
    return tensors


def add_card(writer: gguf.GGUFWriter) -> None:
    writer.add_name("Fanlight demo")
    writer.add_description("Small demonstration and test model of the Fanlight project, trained on generated dialogues only")
    writer.add_license("Apache-2.0")
    writer.add_author("The Fanlight project")
    writer.add_version("1")
    writer.add_languages(["en"])
    writer.add_size_label("14M")


def add_shape(writer: gguf.GGUFWriter, c: Config, file_type: gguf.LlamaFileType) -> None:
    writer.add_context_length(c.context)
    writer.add_embedding_length(c.hidden_size)
    writer.add_block_count(c.num_layers)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_heads)
    writer.add_head_count_kv(c.num_kv_heads)
    writer.add_key_length(c.head_dim)
    writer.add_value_length(c.head_dim)
    writer.add_rope_dimension_count(c.head_dim)
    writer.add_rope_freq_base(c.rope_theta)
    writer.add_layer_norm_rms_eps(c.norm_eps)
    writer.add_vocab_size(c.vocab_size)
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def add_vocabulary(writer: gguf.GGUFWriter, tokenizer: dict[str, Any]) -> dict[str, int]:
    """`tokenizer`: a tokenizer.json. The ids by token; `<|endoftext|>` stands between texts."""
    ids: dict[str, int] = tokenizer["model"]["vocab"] | {t["content"]: t["id"] for t in tokenizer["added_tokens"]}
    tokens = sorted(ids, key=ids.__getitem__)
    types = [gguf.TokenType.NORMAL] * len(tokens)
    for token in tokenizer["added_tokens"]:
        types[token["id"]] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(ids["<|endoftext|>"])
    writer.add_pad_token_id(ids["<|endoftext|>"])
    writer.add_add_bos_token(False)
    return ids


def write_gguf(model: Llama, path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    add_card(writer)
    add_shape(writer, model.config, gguf.LlamaFileType.MOSTLY_Q8_0)
    ids = add_vocabulary(writer, json.loads(PATH.read_text(encoding="utf-8")))
    writer.add_eos_token_id(ids["<|im_end|>"])
    writer.add_chat_template(TEMPLATE.read_text(encoding="utf-8").rstrip("\n"))
    write_tensors(writer, model, gguf.GGMLQuantizationType.Q8_0)


def write_tensors(writer: gguf.GGUFWriter, model: Llama, layers: gguf.GGMLQuantizationType) -> None:
    """`layers`: the format of their matrices; the embedding is Q8_0, norms are F32. Closes the writer."""
    for name, array in tensors_of(model).items():
        if array.ndim == 2:
            format = gguf.GGMLQuantizationType.Q8_0 if name.startswith("token_embd") else layers
            writer.add_tensor(name, gguf.quants.quantize(array, format), raw_dtype=format)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Dequantised tensors of a GGUF file, float32."""
    reader = gguf.GGUFReader(path)
    return {t.name: np.asarray(gguf.quants.dequantize(t.data, t.tensor_type), dtype=np.float32) for t in reader.tensors}


def read_gguf(path: Path) -> Llama:
    """The model with the weights that the file really holds."""
    tensors, model = read_tensors(path), Llama(Config())
    c = model.config
    state = {"embed.weight": tensors["token_embd.weight"], "norm.weight": tensors["output_norm.weight"]}
    for i in range(c.num_layers):
        part = {n: tensors[f"blk.{i}.{n}.weight"] for n in ("attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up")}
        q, k = half_split(part["attn_q"], c.head_dim), half_split(part["attn_k"], c.head_dim)
        state |= {
            f"layers.{i}.attn_norm.weight": tensors[f"blk.{i}.attn_norm.weight"],
            f"layers.{i}.qkv.weight": np.concatenate((q, k, part["attn_v"])),
            f"layers.{i}.o.weight": tensors[f"blk.{i}.attn_output.weight"],
            f"layers.{i}.ffn_norm.weight": tensors[f"blk.{i}.ffn_norm.weight"],
            f"layers.{i}.gate_up.weight": np.concatenate((part["ffn_gate"], part["ffn_up"])),
            f"layers.{i}.down.weight": tensors[f"blk.{i}.ffn_down.weight"],
        }
    model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()})
    return model
