"""Tiny random checkpoints as Hugging Face folders, for comparing Fanlight with transformers.

Weights come from raw PCG64 bits alone, whose stream NumPy guarantees, so every machine builds the same bytes without PyTorch:
a test session writes them into a temporary folder, and only the answers (tests/golden/transformers) are committed.
Shapes are awkward on purpose: grouped heads 1, 3, 4 and 7, widths that are no multiple of 32 or even of 4, a prime vocabulary.
Knows nothing of Fanlight or of PyTorch.  File format: https://huggingface.co/docs/safetensors"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

EOS_TOKEN_ID = 2  # the recorder keeps to prompts whose greedy continuation never meets it

# What published configs hold and every case shares; a case's own keys come on top.
SHARED = {
    "vocab_size": 211,
    "hidden_size": 100,
    "intermediate_size": 150,
    "num_hidden_layers": 2,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": EOS_TOKEN_ID,
    "tie_word_embeddings": False,
    "use_cache": True,
}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "mlp_bias": False}
MISTRAL = {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
QWEN2 = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": False, "max_window_layers": 2}
QWEN3 = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "use_sliding_window": False, "max_window_layers": 2}

# The published factors, but an original context of 32 in place of 8192: with it the test's few positions see every band.
LLAMA3_ROPE = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}


def heads(query: int, key_value: int, head_dim: int | None = None) -> dict[str, int]:
    counts = {"num_attention_heads": query, "num_key_value_heads": key_value}
    return counts if head_dim is None else {**counts, "head_dim": head_dim}


@dataclass(frozen=True, slots=True)
class TinyModel:
    config: dict[str, Any]
    dtype: str = "F32"
    num_shards: int = 1
    prompt_length: int = 21
    has_inv_freq: bool = False  # the frequencies that checkpoints of 2023 carry as tensors, and nobody reads
    about: str = field(default="", kw_only=True)


CASES: dict[str, TinyModel] = {
    "llama-plain": TinyModel(
        {**LLAMA, **heads(3, 1), "hidden_size": 240, "intermediate_size": 100, "rope_theta": 10000.0},
        about="groups of 3; head_dim 80 follows from hidden_size / num_attention_heads",
    ),
    "llama-rope-llama3": TinyModel(
        {**LLAMA, **heads(8, 2, 64), "hidden_size": 104, "rope_theta": 500000.0, "tie_word_embeddings": True}
        | {"rope_scaling": {"rope_type": "llama3", **LLAMA3_ROPE}, "eos_token_id": [EOS_TOKEN_ID, 0]},
        about="groups of 4; Llama 3.x RoPE scaling as its config.json writes it; tied",
    ),
    "llama-rope-parameters": TinyModel(
        {**LLAMA, **heads(3, 3, 96), "hidden_size": 102}
        | {"rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, **LLAMA3_ROPE}},
        about="groups of 1; head_dim 96; RoPE as transformers 5 writes it",
    ),
    "llama-rope-linear": TinyModel(
        {**LLAMA, **heads(4, 2, 64), "rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 4.0}},
        has_inv_freq=True,
        about="linear RoPE scaling under its oldest key; carries rotary_emb.inv_freq tensors",
    ),
    "llama-bias": TinyModel(
        {**LLAMA, **heads(7, 1, 80), "hidden_size": 98, "rope_theta": 10000.0, "rms_norm_eps": 0.01}
        | {"attention_bias": True, "mlp_bias": True},
        about="groups of 7; biases everywhere; an epsilon that shows; hidden size no multiple of 4",
    ),
    "llama-head128": TinyModel(
        {
            **LLAMA,
            **heads(4, 1, 128),
            "rope_theta": 10000.0,
            "vocab_size": 97,
            "intermediate_size": 61,
            "tie_word_embeddings": True,
        },
        about="head_dim 128; odd intermediate size; small vocabulary; tied",
    ),
    "llama-f16": TinyModel({**LLAMA, **heads(6, 2, 64), "hidden_size": 102, "rope_theta": 10000.0}, dtype="F16"),
    "llama-bf16-sharded": TinyModel(
        {**LLAMA, **heads(6, 2, 64), "hidden_size": 102, "rope_theta": 10000.0},
        dtype="BF16",
        num_shards=3,
        about="BF16 in three files with an index",
    ),
    "llama-long": TinyModel(
        {**LLAMA, **heads(6, 2, 64), "hidden_size": 204, "intermediate_size": 150, "rope_theta": 10000.0},
        prompt_length=300,
        about="a prompt of several prefill chunks and KV blocks",
    ),
    "mistral-plain": TinyModel(
        {**MISTRAL, **heads(6, 2, 64), "hidden_size": 102, "rope_theta": 1000000.0, "sliding_window": None, "vocab_size": 257}
    ),
    "mistral-window": TinyModel(
        {**MISTRAL, **heads(4, 1, 96), "rope_theta": 10000.0, "sliding_window": 4096, "max_position_embeddings": 8192},
        about="a sliding window that the context never fills",
    ),
    "qwen2-tied": TinyModel(
        {**QWEN2, **heads(3, 1), "hidden_size": 240, "intermediate_size": 100, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6}
        | {"tie_word_embeddings": True, "sliding_window": 32768},
        about="biases on q, k and v; head_dim 80 from the hidden size; tied",
    ),
    "qwen2-groups7": TinyModel(
        {**QWEN2, **heads(14, 2, 64), "hidden_size": 98, "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "sliding_window": None},
        about="14 query heads on 2, as in Qwen2.5 0.5B",
    ),
    "qwen2-groups1": TinyModel(
        {**QWEN2, **heads(2, 2, 128), "rope_theta": 1000000.0, "rms_norm_eps": 1e-6, "vocab_size": 320, "sliding_window": None}
    ),
    "qwen3-tied": TinyModel(
        {**QWEN3, **heads(4, 1, 128), "rope_theta": 1000000.0, "rms_norm_eps": 1e-6, "attention_bias": False}
        | {"tie_word_embeddings": True, "sliding_window": None},
        about="q_norm and k_norm; heads wider than the hidden size; tied",
    ),
    "qwen3-groups1": TinyModel(
        {**QWEN3, **heads(3, 3, 96), "hidden_size": 204, "intermediate_size": 90, "rope_theta": 10000.0, "rms_norm_eps": 1e-6}
        | {"attention_bias": False, "sliding_window": None}
    ),
    "qwen3-bias": TinyModel(
        {**QWEN3, **heads(7, 1, 64), "hidden_size": 98, "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "attention_bias": True}
        | {"sliding_window": None},
        about="groups of 7; biases on q, k, v and o",
    ),
}


def config_of(name: str) -> dict[str, Any]:
    """What config.json of the case holds."""
    torch_names = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    return {**SHARED, **CASES[name].config, "torch_dtype": torch_names[CASES[name].dtype]}


# ---- numbers


def draw_words(key: str, count: int) -> np.ndarray:
    """u64 [count], a stream of its own for every key."""
    return np.random.PCG64(zlib.crc32(key.encode())).random_raw(count)


def draw_uniform(key: str, shape: tuple[int, ...], std: float) -> np.ndarray:
    """f32 of mean 0 and the given deviation; all 24 bits of the mantissa are in use."""
    words = draw_words(key, int(np.prod(shape))) >> np.uint64(40)
    unit = (words.astype(np.float32) - np.float32(1 << 23)) * np.float32(2.0**-23)  # exact, in [-1, 1)
    return (unit * np.float32(std * 3**0.5)).reshape(shape)


def draw_weight(key: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One tensor, scaled by its part so that every part shows in the logits and the logits spread over several units."""
    if name.endswith("norm.weight"):
        return np.float32(1.0) + draw_uniform(key, shape, 0.25)
    if name.endswith(".bias"):
        return draw_uniform(key, shape, 0.4)
    if "embed_tokens" in name or "lm_head" in name:
        return draw_uniform(key, shape, 0.2)
    return draw_uniform(key, shape, 1.4 / shape[1] ** 0.5)


# ---- tensors


def tensor_shapes(config: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor of the checkpoint under its Hugging Face name."""
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    yield "model.embed_tokens.weight", (vocab, hidden)
    for layer in range(config["num_hidden_layers"]):
        for part, shape in layer_shapes(config):
            yield f"model.layers.{layer}.{part}", shape
    yield "model.norm.weight", (hidden,)
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", (vocab, hidden)


def layer_shapes(config: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    head_dim = config.get("head_dim", hidden // config["num_attention_heads"])
    query, key_value = config["num_attention_heads"] * head_dim, config["num_key_value_heads"] * head_dim
    attention_bias, model_type = config.get("attention_bias", False), config["model_type"]
    linears = [
        ("self_attn.q_proj", query, hidden, attention_bias or model_type == "qwen2"),
        ("self_attn.k_proj", key_value, hidden, attention_bias or model_type == "qwen2"),
        ("self_attn.v_proj", key_value, hidden, attention_bias or model_type == "qwen2"),
        ("self_attn.o_proj", hidden, query, attention_bias),
        ("mlp.gate_proj", mlp, hidden, config.get("mlp_bias", False)),
        ("mlp.up_proj", mlp, hidden, config.get("mlp_bias", False)),
        ("mlp.down_proj", hidden, mlp, config.get("mlp_bias", False)),
    ]
    yield "input_layernorm.weight", (hidden,)
    yield "post_attention_layernorm.weight", (hidden,)
    for part, rows, columns, has_bias in linears:
        yield f"{part}.weight", (rows, columns)
        if has_bias:
            yield f"{part}.bias", (rows,)
    if model_type == "qwen3":
        yield "self_attn.q_norm.weight", (head_dim,)
        yield "self_attn.k_norm.weight", (head_dim,)


def make_tensors(name: str) -> dict[str, np.ndarray]:
    """The case's weights as f32, before they are rounded to its dtype."""
    return {part: draw_weight(f"{name}/{part}", part, shape) for part, shape in tensor_shapes(config_of(name))}


def round_to_bf16(values: np.ndarray) -> np.ndarray:
    """u16, to nearest, ties to even."""
    bits = values.view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def widen_bf16(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


STORED = {"F32": lambda values: values, "F16": lambda values: values.astype(np.float16), "BF16": round_to_bf16}
WIDENED = {"F32": lambda values: values, "F16": lambda values: values.astype(np.float32), "BF16": widen_bf16}


def rounded_tensors(name: str) -> dict[str, np.ndarray]:
    """The case's weights as f32, after rounding to its dtype: what a reader of the checkpoint gets."""
    dtype = CASES[name].dtype
    return {part: WIDENED[dtype](STORED[dtype](values)) for part, values in make_tensors(name).items()}


# ---- files


def write_safetensors(path: Path, tensors: dict[str, np.ndarray], dtypes: dict[str, str]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, values in tensors.items():
        header[name] = {"dtype": dtypes[name], "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(values.tobytes() for values in tensors.values()))


def write_shards(folder: Path, tensors: dict[str, np.ndarray], dtypes: dict[str, str], num_shards: int) -> None:
    names = list(tensors)
    weight_map = {}
    for shard in range(num_shards):
        file = f"model-{shard + 1:05d}-of-{num_shards:05d}.safetensors"
        members = {name: tensors[name] for name in names[shard::num_shards]}  # dealt round: a layer spans several files
        write_safetensors(folder / file, members, dtypes)
        weight_map |= dict.fromkeys(members, file)
    total_size = sum(values.nbytes for values in tensors.values())
    index = {"metadata": {"total_size": total_size}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def byte_characters() -> list[str]:
    """The 256 printable characters of byte-level BPE, in the order of their bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [table[byte] for byte in range(256)]


def tokenizer_json(vocab_size: int) -> dict[str, Any]:
    """Byte-level BPE without merges; a vocabulary below 259 lacks the last bytes, a larger one has spare tokens."""
    tokens = ["<unk>", "<s>", "</s>", *byte_characters()][:vocab_size]
    tokens += [f"<|spare_{i}|>" for i in range(len(tokens), vocab_size)]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": content, **flags} for i, content in enumerate(tokens[:3])],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [],
        },
    }


TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "clean_up_tokenization_spaces": False,
    "model_max_length": 512,
    "chat_template": "{% for message in messages %}<s>{{ message['role'] }}: {{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}",
}


def make_checkpoint(name: str, folder: str | Path) -> Path:
    """Writes the case as a Hugging Face folder at `folder`, which is made if missing, and returns it."""
    case, config = CASES[name], config_of(name)
    tensors = {part: STORED[case.dtype](values) for part, values in make_tensors(name).items()}
    dtypes = dict.fromkeys(tensors, case.dtype)
    if case.has_inv_freq:
        for layer in range(config["num_hidden_layers"]):
            part = f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"
            tensors[part], dtypes[part] = np.full(config["head_dim"] // 2, 7.0, np.float32), "F32"  # wrong on purpose
    return write_folder(folder, config, config["vocab_size"], tensors, dtypes, case.num_shards)


def write_folder(
    folder: str | Path,
    config: dict[str, Any],
    vocab_size: int,
    tensors: dict[str, np.ndarray],
    dtypes: dict[str, str],
    num_shards: int = 1,
) -> Path:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if num_shards == 1:
        write_safetensors(folder / "model.safetensors", tensors, dtypes)
    else:
        write_shards(folder, tensors, dtypes, num_shards)
    documents = {
        "config.json": config,
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": config["eos_token_id"]},
        "tokenizer.json": tokenizer_json(vocab_size),
        "tokenizer_config.json": TOKENIZER_CONFIG,
    }
    return write_documents(folder, documents)


def write_documents(folder: Path, documents: dict[str, Any]) -> Path:
    """By the names of their files, over what is there."""
    for file, document in documents.items():
        (folder / file).write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
    return folder
