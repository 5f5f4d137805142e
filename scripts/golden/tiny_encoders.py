"""Tiny random checkpoints of models that give vectors or scores: encoders, decoders with a pooling, cross-encoders.

Drawn and written as tiny_models does, with the files of sentence-transformers beside them. Texts are token ids, of lengths that
end on both sides of a window; some are pairs."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import tiny_architectures, tiny_models
from scripts.golden.tiny_models import draw_uniform, draw_words, heads

Shapes = Iterator[tuple[str, tuple[int, ...]]]
LENGTHS = (1, 2, 7, 40, 23, 3)
SHARED = {"vocab_size": 211, "hidden_size": 96, "intermediate_size": 152, "num_hidden_layers": 3, "num_attention_heads": 4}
SHARED |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"}
BERT = {**SHARED, "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12}
BERT |= {"max_position_embeddings": 64, "type_vocab_size": 2, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
ROBERTA = {**BERT, "model_type": "xlm-roberta", "pad_token_id": 1, "layer_norm_eps": 1e-5, "type_vocab_size": 1}
NOMIC = {  # as its makers publish it
    "architectures": ["NomicBertModel"],
    "model_type": "nomic_bert",
    "activation_function": "swiglu",
    "vocab_size": 211,
    "n_embd": 96,
    "n_inner": 152,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 64,
    "rotary_emb_base": 70,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "layer_norm_epsilon": 1e-12,
    "type_vocab_size": 2,
    "qkv_proj_bias": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "prenorm": False,
    "causal": False,
    "pad_token_id": 0,
    "eos_token_id": 2,
}
MODERN = {**SHARED, "architectures": ["ModernBertModel"], "model_type": "modernbert", "hidden_activation": "gelu"}
MODERN |= {"max_position_embeddings": 64, "local_attention": 10, "global_attn_every_n_layers": 3, "num_hidden_layers": 4}
MODERN |= {"norm_eps": 1e-5, "global_rope_theta": 300.0, "local_rope_theta": 40.0, "layer_norm_eps": 1e-5}
QWEN3 = {**tiny_architectures.QWEN3, **SHARED, **heads(4, 2, 24), "architectures": ["Qwen3Model"], "rope_theta": 500.0}
QWEN3 |= {"use_sliding_window": False, "max_position_embeddings": 64, "tie_word_embeddings": True}
GEMMA3 = {**tiny_architectures.GEMMA3, **SHARED, **heads(4, 2, 24), "architectures": ["Gemma3TextModel"]}
GEMMA3 |= {"rope_theta": 800.0, "rope_local_base_freq": 50.0, "sliding_window": 10, "sliding_window_pattern": 3}
GEMMA3 |= {"query_pre_attn_scalar": 24, "use_bidirectional_attention": True, "max_position_embeddings": 64}
ONE_LABEL = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}


@dataclass(frozen=True, slots=True)
class Dense:
    in_features: int
    out_features: int
    bias: bool
    function: str  # PyTorch's name of it, after torch.nn.modules


@dataclass(frozen=True, slots=True)
class TinyEncoder:
    """pooling: a flag of 1_Pooling/config.json; '' of a cross-encoder."""

    config: dict[str, Any]
    pooling: str
    dense: tuple[Dense, ...] = ()
    normalize: bool = True

    @property
    def is_pair(self) -> bool:
        return not self.pooling


CASES: dict[str, TinyEncoder] = {
    "bert-mean": TinyEncoder(BERT, "mean_tokens"),
    "bert-cls": TinyEncoder({**BERT, "layer_norm_eps": 1e-3, "hidden_act": "gelu_new"}, "cls_token", normalize=False),
    "bert-dense": TinyEncoder(BERT, "mean_tokens", (Dense(96, 60, True, "activation.Tanh"),)),
    "bert-score": TinyEncoder({**BERT, **ONE_LABEL, "architectures": ["BertForSequenceClassification"]}, ""),
    "roberta-cls": TinyEncoder({**ROBERTA, "architectures": ["XLMRobertaModel"]}, "cls_token"),
    "roberta-score": TinyEncoder({**ROBERTA, **ONE_LABEL, "architectures": ["XLMRobertaForSequenceClassification"]}, ""),
    "nomic_bert-mean": TinyEncoder(NOMIC, "mean_tokens"),
    "modernbert-cls": TinyEncoder(MODERN, "cls_token"),
    "modernbert-score": TinyEncoder(
        {**MODERN, **ONE_LABEL, "architectures": ["ModernBertForSequenceClassification"], "classifier_pooling": "mean"}, ""
    ),
    "qwen3-last": TinyEncoder(QWEN3, "lasttoken"),
    "gemma3-mean": TinyEncoder(
        GEMMA3, "mean_tokens", (Dense(96, 120, False, "linear.Identity"), Dense(120, 48, False, "linear.Identity"))
    ),
}


def texts_of(name: str) -> list[list[int]]:
    vocab = CASES[name].config["vocab_size"]
    drawn = (draw_words(f"text {i} of {name}", length) for i, length in enumerate(LENGTHS))
    return [[int(word) for word in 3 + (words >> np.uint64(33)) % np.uint64(vocab - 3)] for words in drawn]


def second_of(name: str, text: list[int]) -> int | None:
    """Where the second text of a pair begins, for who tells them apart."""
    case = CASES[name]
    return len(text) // 3 if case.is_pair and case.config.get("type_vocab_size") == 2 and len(text) >= 3 else None


# ---- tensors


def normed(name: str, size: int) -> Shapes:
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)


def biased(name: str, rows: int, cols: int) -> Shapes:
    yield f"{name}.weight", (rows, cols)
    yield f"{name}.bias", (rows,)


def bert_shapes(config: dict[str, Any]) -> Shapes:
    size, inner, is_roberta = config["hidden_size"], config["intermediate_size"], config["model_type"] != "bert"
    is_scorer = config["architectures"][0].endswith("Classification")
    prefix = ("roberta." if is_roberta else "bert.") if is_scorer else ""
    yield f"{prefix}embeddings.word_embeddings.weight", (config["vocab_size"], size)
    yield f"{prefix}embeddings.position_embeddings.weight", (config["max_position_embeddings"], size)
    yield f"{prefix}embeddings.token_type_embeddings.weight", (config["type_vocab_size"], size)
    yield from normed(f"{prefix}embeddings.LayerNorm", size)
    for i in range(config["num_hidden_layers"]):
        layer = f"{prefix}encoder.layer.{i}"
        for part in ("query", "key", "value"):
            yield from biased(f"{layer}.attention.self.{part}", size, size)
        yield from biased(f"{layer}.attention.output.dense", size, size)
        yield from normed(f"{layer}.attention.output.LayerNorm", size)
        yield from biased(f"{layer}.intermediate.dense", inner, size)
        yield from biased(f"{layer}.output.dense", size, inner)
        yield from normed(f"{layer}.output.LayerNorm", size)
    if not is_roberta:
        yield from biased(f"{prefix}pooler.dense", size, size)
    if is_scorer:
        if is_roberta:
            yield from biased("classifier.dense", size, size)
        yield from biased("classifier.out_proj" if is_roberta else "classifier", 1, size)


def nomic_shapes(config: dict[str, Any]) -> Shapes:
    size, inner = config["n_embd"], config["n_inner"]
    yield "embeddings.word_embeddings.weight", (config["vocab_size"], size)
    yield "embeddings.token_type_embeddings.weight", (config["type_vocab_size"], size)
    yield from normed("emb_ln", size)
    for i in range(config["n_layer"]):
        layer = f"encoder.layers.{i}"
        yield f"{layer}.attn.Wqkv.weight", (3 * size, size)
        yield f"{layer}.attn.out_proj.weight", (size, size)
        yield from normed(f"{layer}.norm1", size)
        yield f"{layer}.mlp.fc11.weight", (inner, size)
        yield f"{layer}.mlp.fc12.weight", (inner, size)
        yield f"{layer}.mlp.fc2.weight", (size, inner)
        yield from normed(f"{layer}.norm2", size)


def modern_shapes(config: dict[str, Any]) -> Shapes:
    size, inner = config["hidden_size"], config["intermediate_size"]
    is_scorer = config["architectures"][0].endswith("Classification")
    prefix = "model." if is_scorer else ""
    yield f"{prefix}embeddings.tok_embeddings.weight", (config["vocab_size"], size)
    yield f"{prefix}embeddings.norm.weight", (size,)
    for i in range(config["num_hidden_layers"]):
        layer = f"{prefix}layers.{i}"
        if i:
            yield f"{layer}.attn_norm.weight", (size,)
        yield f"{layer}.attn.Wqkv.weight", (3 * size, size)
        yield f"{layer}.attn.Wo.weight", (size, size)
        yield f"{layer}.mlp_norm.weight", (size,)
        yield f"{layer}.mlp.Wi.weight", (2 * inner, size)
        yield f"{layer}.mlp.Wo.weight", (size, inner)
    yield f"{prefix}final_norm.weight", (size,)
    if is_scorer:
        yield "head.dense.weight", (size, size)
        yield "head.norm.weight", (size,)
        yield from biased("classifier", 1, size)


def decoder_shapes(config: dict[str, Any]) -> Shapes:
    """As saved without the head."""
    size, inner, head_dim = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    q, kv = (config[name] * head_dim for name in ("num_attention_heads", "num_key_value_heads"))
    yield "embed_tokens.weight", (config["vocab_size"], size)
    for i in range(config["num_hidden_layers"]):
        layer = f"layers.{i}"
        for name, rows in (("q_proj", q), ("k_proj", kv), ("v_proj", kv)):
            yield f"{layer}.self_attn.{name}.weight", (rows, size)
        yield f"{layer}.self_attn.o_proj.weight", (size, q)
        yield f"{layer}.self_attn.q_norm.weight", (head_dim,)
        yield f"{layer}.self_attn.k_norm.weight", (head_dim,)
        for name, shape in (("gate_proj", (inner, size)), ("up_proj", (inner, size)), ("down_proj", (size, inner))):
            yield f"{layer}.mlp.{name}.weight", shape
        yield f"{layer}.input_layernorm.weight", (size,)
        yield f"{layer}.post_attention_layernorm.weight", (size,)
        if config["model_type"] == "gemma3_text":
            yield f"{layer}.pre_feedforward_layernorm.weight", (size,)
            yield f"{layer}.post_feedforward_layernorm.weight", (size,)
    yield "norm.weight", (size,)


SHAPES: dict[str, Callable[[dict[str, Any]], Shapes]] = {
    "bert": bert_shapes,
    "xlm-roberta": bert_shapes,
    "nomic_bert": nomic_shapes,
    "modernbert": modern_shapes,
    "qwen3": decoder_shapes,
    "gemma3_text": decoder_shapes,
}


def draw(key: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Scaled by its part so that every part shows in the vectors."""
    if name.endswith(".bias"):
        return draw_uniform(key, shape, 0.4)
    if len(shape) == 1:
        return np.float32(1.0) + draw_uniform(key, shape, 0.25)
    if "embed" in name:
        return draw_uniform(key, shape, 0.5)
    return draw_uniform(key, shape, 1.4 / shape[1] ** 0.5)


def make_tensors(name: str) -> dict[str, np.ndarray]:
    config = CASES[name].config
    return {part: draw(f"{name} {part}", part, shape) for part, shape in SHAPES[config["model_type"]](config)}


def dense_tensors(name: str, i: int) -> dict[str, np.ndarray]:
    dense = CASES[name].dense[i]
    tensors = {"linear.weight": draw_uniform(f"{name} dense {i}", (dense.out_features, dense.in_features), 0.2)}
    return tensors | ({"linear.bias": draw_uniform(f"{name} bias {i}", (dense.out_features,), 0.4)} if dense.bias else {})


# ---- files


def make_checkpoint(name: str, folder: str | Path) -> Path:
    """Writes the case as a folder of sentence-transformers, which is made if missing, and returns it."""
    case, folder = CASES[name], Path(folder)
    tensors = make_tensors(name)
    tiny_models.write_folder(folder, case.config, case.config["vocab_size"], tensors, dict.fromkeys(tensors, "F32"))
    if case.is_pair:
        return folder
    modules = [("", "Transformer", None), ("1_Pooling", "Pooling", {f"pooling_mode_{case.pooling}": True})]
    for i, dense in enumerate(case.dense):
        config = {"in_features": dense.in_features, "out_features": dense.out_features, "bias": dense.bias}
        config["activation_function"] = f"torch.nn.modules.{dense.function}"
        modules.append((f"{i + 2}_Dense", "Dense", config))
    if case.normalize:
        modules.append((f"{len(modules)}_Normalize", "Normalize", None))
    for i, (path, _, config) in enumerate(modules):
        if config is not None:
            (folder / path).mkdir(exist_ok=True)
            (folder / path / "config.json").write_text(json.dumps(config))
        if path.endswith("_Dense"):
            weights = dense_tensors(name, i - 2)
            tiny_models.write_safetensors(folder / path / "model.safetensors", weights, dict.fromkeys(weights, "F32"))
    listing = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind, _) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listing))
    return folder
