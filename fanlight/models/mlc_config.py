"""MLC's checkpoints (formats/mlc.py) under Hugging Face's names: keys of its configuration, and tensors that it has stacked."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.checkpoint import Checkpoint
from fanlight.formats.layout import TensorInfo
from fanlight.formats.mlc import CONFIG

QKV, GATE_UP = ("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj")
LLAMA = {"self_attn.qkv_proj": QKV, "mlp.gate_up_proj": GATE_UP}
QWEN = {"self_attn.c_attn": QKV, "mlp.gate_up_proj": GATE_UP}
# model_type -> what it has stacked by rows, and what that is a stack of
STACKED: dict[str, dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("llama", "mistral", "ministral3", "gemma", "gemma2", "olmo2", "stablelm"), LLAMA),
    **dict.fromkeys(("qwen2", "qwen3", "qwen3_5", "qwen3_5_text"), QWEN),
    **{kind: {"mlp.gate_up_proj": GATE_UP} for kind in ("gemma3", "gemma3_text")},
    **{kind: {} for kind in ("phi", "phi-msft", "phi3", "phi3_v", "gpt_neox")},
}
PHI3 = {
    "transformer.embd.": "model.embed_tokens.",
    "transformer.norm.": "model.norm.",
    "transformer.h.": "model.layers.",
    ".ln.": ".input_layernorm.",
    ".mixer.out_proj.": ".self_attn.o_proj.",
    ".mixer.qkv_proj.": ".self_attn.qkv_proj.",
}
PHI = {
    "lm_head.ln.": "model.final_layernorm.",
    "lm_head.linear.": "lm_head.",
    **PHI3,
    ".mixer.out_proj.": ".self_attn.dense.",
    ".mixer.Wqkv.": ".self_attn.Wqkv.",
}
PHI3_V = {theirs.replace("transformer.", "model."): ours for theirs, ours in PHI3.items()}
# model_type -> what it calls otherwise than Hugging Face, to be replaced in this order
RENAMED = {"phi3": PHI3, "phi3_v": PHI3_V, "phi": PHI, "phi-msft": PHI}
BLIND = {"phi3_v": "phi3"}  # whose encoder of pictures does not run here -> its language model
# Of Phi-2's first release.
PHI_KEYS = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_inner": "intermediate_size",
    "n_head": "num_attention_heads",
    "n_head_kv": "num_key_value_heads",
    "layer_norm_epsilon": "layer_norm_eps",
}
KEYS = {
    "position_embedding_base": "rope_theta",
    "context_window_size": "max_position_embeddings",
    "sliding_window_size": "sliding_window",
}
# How MLC runs a model, which is our own business.
OURS = set(
    "prefill_chunk_size tensor_parallel_shards pipeline_parallel_stages max_batch_size disaggregation dtype kwargs"
    " attention_sink_size ffn_out_dtype weight_block_size modules_to_not_convert is_text_model".split()
)
TOWER = {"vision_config", "img_processor"}  # which no text meets


def as_folder(checkpoint: Checkpoint) -> Checkpoint:
    """The same tensors, as a Hugging Face folder would have them. Raises UnsupportedModel."""
    config = checkpoint.metadata["config"]
    kind, where = str(config["model_type"]), checkpoint.sources[0].name
    if kind not in STACKED:
        known = ", ".join(STACKED)
        hint = "a GGUF file of the same model"
        raise UnsupportedModel(f"MLC's shards of {kind!r} are not read; of these they are: {known}", where=where, hint=hint)
    if config.get("tensor_parallel_shards", 1) != 1:
        raise UnsupportedModel(f"the weights are cut for {config['tensor_parallel_shards']} GPUs; expected 1", where=where)
    config = _configuration(config)
    tensors = {t.name: t for info in checkpoint.tensors.values() for t in _apart(_renamed(info, kind), kind, config)}
    return replace(checkpoint, metadata={**checkpoint.metadata, "config": config}, tensors=tensors)


def _configuration(given: dict[str, Any]) -> dict[str, Any]:
    """Zero, and minus one, is MLC's word for what is not there."""
    kind = BLIND.get(given["model_type"], given["model_type"])
    if isinstance(text := given.get("text_config"), dict):  # Gemma 3's, with what MLC has no word for
        given = {**(text.get("kwargs") or {}), **text, **given}
        kind = "gemma3_text"
    elif kind == "phi-msft":
        given, kind = _phi(given), "phi"
    dropped = OURS | TOWER | KEYS.keys() | {"text_config", "model_type"}
    config = {key: value for key, value in given.items() if key not in dropped}
    for ours, theirs in KEYS.items():
        if (value := given.get(ours)) not in (None, 0, -1):
            config.setdefault(theirs, value)
    if kind == "mistral":
        config.setdefault("sliding_window", None)
    if kind == "gpt_neox" and "rope_theta" in config:
        config["rotary_emb_base"] = config.pop("rope_theta")
    if isinstance(scaling := config.get("rope_scaling"), dict):  # of Phi-3's, to which MLC adds what stands beside it
        longest = ("max_position_embeddings", given.get("max_position_embeddings"))
        config["rope_scaling"] = {key: value for key, value in scaling.items() if (key, value) != longest}
    absent = {"head_dim": 0, "num_key_value_heads": 0, "rope_scaling": 0}
    return {"model_type": kind, **{key: value for key, value in config.items() if key not in absent or value != absent[key]}}


def _phi(given: dict[str, Any]) -> dict[str, Any]:
    """By the names of today. Raises FormatError."""
    config = {PHI_KEYS.get(key, key): value for key, value in given.items() if key not in ("n_positions", "rotary_dim")}
    turns, width, heads = given.get("rotary_dim"), given.get("n_embd"), given.get("n_head")
    sizes = [n for n in (turns, width, heads) if type(n) is int and n > 0]
    if len(sizes) < 3 or sizes[1] % sizes[2]:
        raise FormatError(f"expected rotary_dim, n_embd and n_head, got {turns!r}, {width!r} and {heads!r}", where=CONFIG)
    return {**config, "partial_rotary_factor": sizes[0] * sizes[2] / sizes[1]}


def _renamed(info: TensorInfo, kind: str) -> TensorInfo:
    name = info.name
    for theirs, ours in RENAMED.get(kind, {}).items():
        name = name.replace(theirs, ours)
    return replace(info, name=name)


def _apart(info: TensorInfo, kind: str, config: dict[str, Any]) -> Iterator[TensorInfo]:
    for stack, parts in STACKED[kind].items():
        if f".{stack}." in info.name:
            first = 0
            for part, rows in zip(parts, _rows(info, parts, config), strict=True):
                name = info.name.replace(f".{stack}.", f".{stack.split('.')[0]}.{part}.")
                yield info.rows(first, rows, name)
                first += rows
            return
    yield info


def _rows(info: TensorInfo, parts: tuple[str, ...], config: dict[str, Any]) -> list[int]:
    """Of each part. A configuration that does not fit the stack is found out where the parts are asked for, by their shapes."""
    rows = info.shape[0]
    if parts == GATE_UP:
        return [rows // 2, rows - rows // 2]
    heads = config.get("num_attention_heads")
    heads = heads if type(heads) is int and heads > 0 else 1
    kv_heads = config.get("num_key_value_heads") or heads
    kv_heads = kv_heads if type(kv_heads) is int and kv_heads > 0 else 1
    queries = 2 * heads if config["model_type"].startswith("qwen3_5") else heads  # with gates
    each = rows // (queries + 2 * kv_heads)
    return [rows - 2 * kv_heads * each, kv_heads * each, kv_heads * each]
