"""A GGUF file's metadata as the keys of a config.json, so that an architecture reads both alike.

Every `{arch}.*` key is translated, listed as harmless, or refused by name. What llama.cpp requires is required; where it has a
default, that one counts, not transformers'."""

import math
from collections.abc import Mapping
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.layout import TensorInfo
from fanlight.models.config import Keys

# general.architecture -> Hugging Face's model_type, where they differ
MODEL_TYPES = {
    "command-r": "cohere",
    "deepseek2": "deepseek_v2",
    "gemma-embedding": "gemma3_text",
    "gpt-oss": "gpt_oss",
    "falcon-h1": "falcon_h1",
    "glm4moe": "glm4_moe",
    "gptneox": "gpt_neox",
    "granitehybrid": "granitemoehybrid",
    "lfm2moe": "lfm2_moe",
    "minimax-m2": "minimax_m2",
    "hunyuan-dense": "hunyuan_v1_dense",
    "modern-bert": "modernbert",
    "nomic-bert": "nomic_bert",
    "nemotron_h_moe": "nemotron_h",
    "phi2": "phi",
    "starcoder": "gpt_bigcode",
    "ernie4_5-moe": "ernie4_5_moe",
    "qwen2moe": "qwen2_moe",
    "qwen2vl": "qwen2_5_vl",
    "qwen35": "qwen3_5",
    "qwen35moe": "qwen3_5_moe",
    "qwen3moe": "qwen3_moe",
    "qwen3next": "qwen3_next",
    "qwen3vl": "qwen3_vl",
}

GGUF_TYPES: Mapping[int, str | None] = {0: None, 1: "mean", 2: "cls", 3: "last"}  # of poolings

# config.json's key -> GGUF's, after the name of the architecture
GGUF_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "v_head_dim": "attention.value_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "layer_norm_eps": "attention.layer_norm_epsilon",
    "max_position_embeddings": "context_length",
    "sliding_window": "attention.sliding_window",
    "sliding_window_pattern": "attention.sliding_window_pattern",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "use_parallel_residual": "use_parallel_residual",
    "embedding_multiplier": "embedding_scale",
    "residual_multiplier": "residual_scale",
    "attention_multiplier": "attention.scale",
    "logit_scale": "logit_scale",
    "rope_theta": "rope.freq_base",
    "rope_local_base_freq": "rope.freq_base_swa",
    "rotary_dim": "rope.dimension_count",
}
# The numbers depend on these, and no default of anybody's is right for a given file.
REQUIRED = frozenset(
    "hidden_size intermediate_size num_hidden_layers num_attention_heads rms_norm_eps layer_norm_eps"
    " max_position_embeddings norm_eps conv_L_cache norm_epsilon local_attention global_rope_theta"
    " num_experts num_experts_per_tok n_routed_experts moe_intermediate_size"
    " linear_conv_kernel_dim linear_key_head_dim linear_num_key_heads linear_num_value_heads inner_size".split()
)
# RoPE's, read in `_rope_scaling`
SCALING_KEYS = (
    "rope.scaling.type rope.scaling.factor rope.scale_linear rope.scaling.original_context_length rope.scaling.attn_factor"
    " rope.scaling.yarn_log_multiplier rope.scaling.yarn_attn_factor rope.scaling.yarn_beta_fast rope.scaling.yarn_beta_slow"
    " rope.scaling.yarn_ext_factor"
).split()
HARMLESS = (  # or read elsewhere, or said by tensors too
    "tensor_data_layout rope.scaling.finetuned pooling_type classifier.output_labels"
    " dense_2_feat_in dense_2_feat_out dense_3_feat_in dense_3_feat_out"
).split()
# These change nothing while they have this value.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "attention.causal": (True,),
    "attention.clamp_kqv": (0,),
    "attention.max_alibi_bias": (0,),
    "attention.shared_kv_layers": (0,),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "expert_group_count": (0,),
    "nextn_predict_layers": (0,),
    "rope.dimension_sections": ([0, 0, 0, 0],),
    "rope.scaling.alpha": (0, 1),
}
# As llama.cpp: from other numbers, or as the tensors are.
OPTIONAL = ("head_dim", "num_key_value_heads", "attention_bias", "mlp_bias", "use_qkv_bias", "use_qk_norm", "qk_layernorm")


def model_type_of(metadata: Mapping[str, Any]) -> object:
    """Hugging Face's. Mixtral calls itself llama, and has experts."""
    arch = metadata.get("general.architecture")
    if arch == "llama" and metadata.get("llama.expert_count"):
        return "mixtral"
    return MODEL_TYPES.get(str(arch), arch)


def config_from_gguf(
    metadata: Mapping[str, Any],
    tensors: Mapping[str, TensorInfo],
    factors: Mapping[str, tuple[float, ...]],
    own_keys: Mapping[str, str],
    file: str,
    lists: tuple[str, ...] = (),
    seen: Mapping[str, Any] | None = None,
) -> Keys:
    """factors: the file's tensors of RoPE factors by their names. own_keys: GGUF's names of keys that only this architecture
    has, or has elsewhere. lists: those of which it has one for each layer, which are then under NAME_of_layers; NAME is
    the first that is not 0. seen: keys of a model that has a vision encoder beside it (vision/gguf.py)."""
    arch = str(metadata.get("general.architecture"))
    common = {ours: key for ours, key in GGUF_KEYS.items() if key not in own_keys.values()}
    names = {ours: f"{arch}.{key}" for ours, key in {**common, **own_keys}.items()}
    _refuse_unknown(metadata, arch, set(names.values()), file)
    names["rope_scaling"] = f"{arch}.rope.scaling"
    layers = metadata.get(names["num_hidden_layers"])
    of_layers = {ours: metadata[names[ours]] for ours in lists if isinstance(metadata.get(names[ours]), list)}
    metadata = {**metadata, **{names[ours]: next((v for v in value if v), 0) for ours, value in of_layers.items()}}
    values = {
        ours: metadata[name] if name.endswith("sliding_window_pattern") else _uniform(metadata[name], name, layers, file)
        for ours, name in names.items()
        if name in metadata
    }
    values |= {f"{ours}_of_layers": value for ours, value in of_layers.items()}
    drafts = values.get("num_nextn_predict_layers")
    if isinstance(drafts, int) and isinstance(layers, int):  # which are among the layers of a file, and in no config.json
        values["num_hidden_layers"] = layers - drafts
    values |= {key: value for key, value in metadata.items() if key.startswith("xielu.")}  # without an architecture's name
    for optional in OPTIONAL:
        values.setdefault(optional, None)
    if values["head_dim"] is None:
        _check_head_width(values, tensors, file)
    if values.get("sliding_window") == 0:
        values["sliding_window"] = None
    if "rope_theta" in names:
        values.setdefault("rope_theta", 10000.0)
    values["model_type"] = model_type_of(metadata)
    if arch == "modern-bert":  # llama.cpp's default is not transformers'
        number = values.get("classifier_pooling", 1)
        values["classifier_pooling"] = GGUF_TYPES.get(number, str(number))
    if arch == "gemma-embedding":
        values["use_bidirectional_attention"] = True
    values["tie_word_embeddings"] = "output.weight" not in tensors
    if "token_embd.weight" in tensors:
        values.setdefault("vocab_size", tensors["token_embd.weight"].shape[0])
    if "position_embd.weight" in tensors:  # of RoBERTa's without the padding's
        values["max_position_embeddings"] = tensors["position_embd.weight"].shape[0]
    if "token_types.weight" in tensors or "position_embd.weight" in tensors:  # DistilBERT's is a `bert` without
        values["type_vocab_size"] = tensors["token_types.weight"].shape[0] if "token_types.weight" in tensors else 0
    values |= seen or {}
    values["rope_scaling"] = _rope_scaling(metadata, arch, factors, file)
    return Keys(values, file, spelled=names, required=REQUIRED, is_gguf=True)


def _check_head_width(values: Mapping[str, Any], tensors: Mapping[str, TensorInfo], file: str) -> None:
    """Where no key says how wide a head is, the keys of the first layer do."""
    info, hidden, heads = tensors.get("blk.0.attn_k.weight"), values.get("hidden_size"), values.get("num_attention_heads")
    kv_heads = values.get("num_key_value_heads") or heads
    if info and isinstance(hidden, int) and isinstance(heads, int) and isinstance(kv_heads, int) and heads:
        expected = hidden // heads * kv_heads
        if info.shape[0] != expected:
            message = f"{info.name} is {list(info.shape)}; expected {expected} rows: {kv_heads} heads of {hidden} / {heads}"
            raise FormatError(message, where=file, hint="fanlight show config MODEL")


def _refuse_unknown(metadata: Mapping[str, Any], arch: str, known: set[str], file: str) -> None:
    harmless = {f"{arch}.{key}" for key in (*SCALING_KEYS, *HARMLESS)}
    for name, value in metadata.items():
        key = name.removeprefix(f"{arch}.")
        if key == name or name in known or name in harmless or value in NEUTRAL.get(key, ()):
            continue
        raise UnsupportedModel(
            f"{name} is {value!r:.80}, which nothing here reads, and it may change what the model computes",
            where=file,
            hint="fanlight show config MODEL",
        )


def _uniform(value: Any, name: str, layers: Any, file: str) -> Any:
    """A list with the same for each layer is that one value."""
    if not isinstance(value, list):
        return value
    if len(value) != layers:
        raise FormatError(f"{name} is {value!r:.80}, expected one number, or {layers}: one for each layer", where=file)
    if any(v != value[0] for v in value):
        raise UnsupportedModel(f"{name} is {value!r:.80}; only the same for all layers can run", where=file)
    return value[0]


def _mscale(factor: float) -> float:
    """What YaRN multiplies cosines and sines by, where nothing is said."""
    return 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0


def _rope_scaling(
    metadata: Mapping[str, Any], arch: str, factors: Mapping[str, tuple[float, ...]], file: str
) -> dict[str, Any]:
    """As llama.cpp: a factor without a type is linear, a factor of 0 is none, and `scale_linear` is the factor's old name."""
    prefix = f"{arch}.rope.scaling."
    given = Keys({k.removeprefix(prefix): v for k, v in metadata.items()}, file, prefix)
    kind = given.choice("type", ("none", "linear", "yarn", "longrope"), "linear")
    old = Keys(metadata, file)
    factor = given.nonnegative("factor", old.nonnegative(f"{arch}.rope.scale_linear", 0.0)) or 1.0
    scaling: dict[str, Any] = {"rope_type": kind, "factor": factor, "attn_factor": given.positive("attn_factor", 1.0)}
    scaling["original_max_position_embeddings"] = given.optional_number("original_context_length")
    if kind == "none" or (kind == "linear" and factor == 1.0):
        scaling["rope_type"] = "default"
    if kind == "yarn":
        # The converters write what differs from these, and llama.cpp does not apply it: whom to follow, nobody can say.
        if arch == "mistral3":  # for which llama.cpp applies them
            for key in ("beta_fast", "beta_slow"):
                scaling[key] = given.optional_positive(f"yarn_{key}")
            of_all = given.nonnegative("yarn_log_multiplier", 0.0)
            scaling |= {"mscale": 1.0, "mscale_all_dim": of_all} if of_all else {}
        else:
            is_deepseek = arch == "deepseek2"  # a tenth of what config.json has, for the softmax's scale alone
            of_all = 10 * given.nonnegative("yarn_log_multiplier", 0.0) if is_deepseek else 0.0
            scaling |= {"mscale": of_all, "mscale_all_dim": of_all} if of_all else {}
            for key, usual in (("beta_fast", 32), ("beta_slow", 1), *([] if is_deepseek else [("log_multiplier", 0)])):
                given.only(f"yarn_{key}", usual)
        given.only("yarn_ext_factor", 1)
        if not math.isclose(given.positive("yarn_attn_factor", _mscale(factor)), _mscale(factor), rel_tol=1e-4):
            given.only("yarn_attn_factor", None)
    if "rope_freqs.weight" in factors:
        scaling["freq_factors"] = factors["rope_freqs.weight"]
    elif "rope_factors_long.weight" in factors:
        if factor != 1.0:
            raise UnsupportedModel(f"{prefix}factor is {factor} beside rope_factors_long; expected none", where=file)
        # What longrope's formula would give is in attn_factor already.
        long, short = (factors.get(f"rope_factors_{length}.weight", ()) for length in ("long", "short"))
        scaling |= {"rope_type": "longrope", "long_factor": long, "short_factor": short, "attention_factor": 1.0}
    return scaling
