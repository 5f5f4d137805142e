"""GGUF files of encoders, as llama.cpp's converter writes them: its names, keys and formats, and what it does to vocabularies.

Of the checkpoints of tiny_encoders, and of any folder's tensors. Needs NumPy and the `gguf` package, whose own tables name the
tensors; knows nothing of Fanlight."""

import base64
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from scripts.golden import tiny_encoders, tiny_models
from scripts.golden.architectures_gguf import add_key

# No key says what BERT's MLP computes but for `gelu`, and the converter drops the pooler that BERT's own classifier needs.
CASES = (
    "bert-mean",
    "roberta-cls",
    "roberta-score",
    "nomic_bert-mean",
    "modernbert-cls",
    "modernbert-score",
    "qwen3-last",
    "gemma3-mean",
)
ARCHITECTURES = {
    "bert": "bert",
    "xlm-roberta": "bert",
    "nomic_bert": "nomic-bert",
    "modernbert": "modern-bert",
    "qwen3": "qwen3",
    "gemma3_text": "gemma-embedding",
}
POOLINGS = {"mean_tokens": gguf.PoolingType.MEAN, "cls_token": gguf.PoolingType.CLS, "lasttoken": gguf.PoolingType.LAST}
PREFIXES = ("roberta.", "bert.", "model.")
DROPPED = ("pooler.dense", "embeddings.position_ids")
F32_ALWAYS = ("position_embd.weight", "token_types.weight")

# ---- tensors


def renamed(model_type: str, tensors: dict[str, np.ndarray], pad_token_id: int) -> dict[str, np.ndarray]:
    number = next(n for n, name in gguf.MODEL_ARCH_NAMES.items() if name == ARCHITECTURES[model_type])
    names = gguf.get_tensor_name_map(number, 64)
    made = {}
    for name, values in tensors.items():
        bare = name
        for prefix in PREFIXES:
            bare = bare.removeprefix(prefix)
        if bare.startswith(DROPPED):
            continue
        if bare in ("classifier.weight", "classifier.bias"):
            bare = bare.replace("classifier", "classifier.out_proj")
        if bare.startswith("embeddings.position") and model_type == "xlm-roberta":
            values = values[pad_token_id + 1 :]
        if model_type == "gemma3_text" and bare.endswith("norm.weight"):
            values = values + np.float32(1)
        stem, kind = bare.rsplit(".", 1)
        found = names.get_name(stem) or names.get_name(f"model.{stem}")
        assert found, name
        made[f"{found}.{kind}"] = values
    return made


def stored(name: str, values: np.ndarray, weight_format: str) -> tuple[np.ndarray, gguf.GGMLQuantizationType]:
    kind = gguf.GGMLQuantizationType["F32" if values.ndim < 2 or name in F32_ALWAYS else weight_format]
    return gguf.quants.quantize(values.astype(np.float32), kind), kind


# ---- vocabularies


def vocabulary_of(spec: dict[str, Any], cls: str = "", sep: str = "") -> dict[str, Any]:
    """A tokenizer.json as GGUF metadata. cls, sep: of tokenizer_config.json."""
    model, controls = spec["model"], {t["content"] for t in spec["added_tokens"] if t["special"]}
    kind = model["type"]
    vocab = [token for token, _ in model["vocab"]] if kind == "Unigram" else sorted(model["vocab"], key=model["vocab"].get)
    ids = {token: i for i, token in enumerate(vocab)}
    unknown = model["unk_id"] if kind == "Unigram" else ids.get(model["unk_token"])
    types = [3 if token in controls else 1 for token in vocab]
    metadata: dict[str, Any] = {"tokenizer.ggml.pre": "default", "tokenizer.ggml.token_type": types}
    if kind == "WordPiece":
        normalizer = spec["normalizer"]
        metadata["tokenizer.ggml.model"] = "bert"
        metadata["tokenizer.ggml.normalizer.lowercase"] = normalizer["lowercase"]
        if normalizer["strip_accents"] is not None:
            metadata["tokenizer.ggml.normalizer.strip_accents"] = normalizer["strip_accents"]
        vocab = [phantom(token, token in controls) for token in vocab]
    elif kind == "Unigram":
        types[unknown] = 2
        metadata["tokenizer.ggml.model"] = "t5"
        metadata["tokenizer.ggml.scores"] = [score for _, score in model["vocab"]]
        metadata |= dict.fromkeys(("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"), True)
        metadata |= dict.fromkeys(("tokenizer.ggml.add_space_prefix", "tokenizer.ggml.remove_extra_whitespaces"), True)
        if charsmap := (spec["normalizer"] or {}).get("precompiled_charsmap"):
            metadata["tokenizer.ggml.precompiled_charsmap"] = base64.b64decode(charsmap)
    else:
        metadata["tokenizer.ggml.model"] = "gpt2"
        metadata["tokenizer.ggml.merges"] = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    named = {"bos": ids.get(cls), "cls": ids.get(cls), "seperator": ids.get(sep), "eos": ids.get(sep), "unknown": unknown}
    metadata |= {f"tokenizer.ggml.{name}_token_id": i for name, i in named.items() if i is not None}
    return {**metadata, "tokenizer.ggml.tokens": vocab}


def phantom(token: str, is_control: bool) -> str:
    """A word's first piece begins with a space that no text has, and the others lose their mark."""
    if is_control:
        return token
    return token[2:] if token.startswith("##") else f"▁{token}"


# ---- files


def keys_of(config: dict[str, Any]) -> dict[str, Any]:
    """After the name of the architecture; a float is one in the file."""
    model_type = config["model_type"]
    if model_type == "nomic_bert":
        names = {"n_embd": "hidden_size", "n_inner": "intermediate_size", "n_layer": "num_hidden_layers"}
        names |= {"n_head": "num_attention_heads", "n_positions": "max_position_embeddings"}
        config = {**config, **{ours: config[theirs] for theirs, ours in names.items()}}
    dropped = config["pad_token_id"] + 1 if model_type == "xlm-roberta" else 0
    keys = {
        "context_length": config["max_position_embeddings"] - dropped,
        "embedding_length": config["hidden_size"],
        "feed_forward_length": config["intermediate_size"],
        "block_count": config["num_hidden_layers"],
        "attention.head_count": config["num_attention_heads"],
    }
    eps = next(config[name] for name in ("layer_norm_eps", "layer_norm_epsilon", "rms_norm_eps") if name in config)
    if model_type in ("qwen3", "gemma3_text"):
        head = {"attention.key_length": config["head_dim"], "attention.value_length": config["head_dim"]}
        keys |= {"attention.head_count_kv": config["num_key_value_heads"], "attention.layer_norm_rms_epsilon": eps, **head}
        keys["rope.freq_base"] = config["rope_theta"]
    else:
        keys |= {"attention.layer_norm_epsilon": eps, "attention.causal": False}
    if model_type == "nomic_bert":
        keys["rope.freq_base"] = float(config["rotary_emb_base"])
    if model_type == "modernbert":
        keys |= {"rope.freq_base": config["global_rope_theta"], "rope.freq_base_swa": config["local_rope_theta"]}
        keys |= {"attention.sliding_window": config["local_attention"], "rope.scaling.type": "none"}
        keys |= {"attention.sliding_window_pattern": config["global_attn_every_n_layers"], "vocab_size": config["vocab_size"]}
        keys["hidden_activation"] = config["hidden_activation"]
        if pooling := config.get("classifier_pooling"):
            keys["classifier.pooling_type"] = int(POOLINGS[f"{pooling}_tokens" if pooling == "mean" else f"{pooling}_token"])
    if model_type == "gemma3_text":
        keys |= {"rope.freq_base_swa": config["rope_local_base_freq"], "attention.sliding_window": config["sliding_window"]}
        keys["attention.sliding_window_pattern"] = config["sliding_window_pattern"]
    return keys


def write(
    path: Path,
    config: dict[str, Any],
    tensors: dict[str, np.ndarray],
    pooling: str,
    vocabulary: dict[str, Any],
    weight_format: str = "F32",
    more: dict[str, np.ndarray] | None = None,
) -> Path:
    """config, tensors: a folder's. pooling: a flag of 1_Pooling/config.json; '' of a cross-encoder. more: of dense layers, as
    the file names them."""
    arch = ARCHITECTURES[config["model_type"]]
    writer = gguf.GGUFWriter(path, arch)
    metadata = {f"{arch}.{key}": value for key, value in keys_of(config).items()} | vocabulary
    if pooling:
        metadata[f"{arch}.pooling_type"] = int(POOLINGS[pooling])
    elif config["model_type"] != "modernbert":  # both ways stand in files
        metadata[f"{arch}.pooling_type"] = int(gguf.PoolingType.RANK)
    if "type_vocab_size" in config:
        metadata["tokenizer.ggml.token_type_count"] = config["type_vocab_size"]
    for name, values in (more or {}).items():
        part = name.removesuffix(".weight")
        metadata |= {f"{arch}.{part}_feat_out": values.shape[0], f"{arch}.{part}_feat_in": values.shape[1]}
    for key, value in metadata.items():
        add_key(writer, key, value)
    made = renamed(config["model_type"], tensors, config.get("pad_token_id", 0)) | (more or {})
    for name, values in made.items():
        data, kind = stored(name, values, weight_format)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def make_gguf(name: str, path: Path, weight_format: str = "F32") -> Path:
    """Writes the case of tiny_encoders."""
    case = tiny_encoders.CASES[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = tiny_models.tokenizer_json(case.config["vocab_size"])
    spec["model"]["merges"] = [["t", "h"]]  # a file has some; this one makes no token
    dense = {f"dense_{i + 2}.weight": tiny_encoders.dense_tensors(name, i)["linear.weight"] for i in range(len(case.dense))}
    vocabulary = vocabulary_of(spec, "<s>", "</s>")
    return write(path, case.config, tiny_encoders.make_tensors(name), case.pooling, vocabulary, weight_format, dense)


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, Any]]:
    """config.json, the tensors and the vocabulary of a folder with one file of weights."""
    from safetensors.numpy import load_file

    config, spec, named = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("config", "tokenizer", "tokenizer_config")
    )
    return config, load_file(folder / "model.safetensors"), vocabulary_of(spec, named["cls_token"], named["sep_token"])
