"""Families with experts, for tiny_architectures: their cases, and the shapes of their layers."""

from collections.abc import Callable
from typing import Any

from scripts.golden.tiny_models import heads
from scripts.golden.tiny_parts import (
    FULL,
    SILU,
    SLIDING,
    Shapes,
    TinyArchitecture,
    attention,
    default_rope,
    family,
    gated_mlp,
    linear,
    norms,
    widths,
)

QWEN3_MOE = family("Qwen3Moe", "qwen3_moe", rms_norm_eps=1e-6, tie_word_embeddings=False, attention_bias=False, **SILU)
MIXTRAL = family("Mixtral", "mixtral", rms_norm_eps=1e-5, tie_word_embeddings=False, **SILU)
OLMOE = family("Olmoe", "olmoe", rms_norm_eps=1e-5, tie_word_embeddings=False, attention_bias=False, **SILU)
GRANITE_MOE = family("GraniteMoe", "granitemoe", rms_norm_eps=1e-6, attention_bias=False, **SILU)
QWEN2_MOE = family("Qwen2Moe", "qwen2_moe", rms_norm_eps=1e-6, tie_word_embeddings=False, **SILU)
ERNIE_MOE = family("Ernie4_5_Moe", "ernie4_5_moe", rms_norm_eps=1e-5, **SILU)
GPT_OSS = family("GptOss", "gpt_oss", rms_norm_eps=1e-5, tie_word_embeddings=False, attention_bias=True, **SILU)
MXFP4 = {"quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}}
DEEPSEEK_V2 = family("DeepseekV2", "deepseek_v2", rms_norm_eps=1e-6, tie_word_embeddings=False, attention_bias=False, **SILU)
DEEPSEEK_V3 = family("DeepseekV3", "deepseek_v3", rms_norm_eps=1e-6, tie_word_embeddings=False, attention_bias=False, **SILU)
MLA = {"kv_lora_rank": 64, "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "v_head_dim": 64, "moe_layer_freq": 1}
GLM_LITE = family("Glm4MoeLite", "glm4_moe_lite", tie_word_embeddings=False, attention_bias=False, **SILU)
SMALL = {"moe_intermediate_size": 64}

CASES: dict[str, TinyArchitecture] = {
    "qwen3_moe-published": TinyArchitecture(
        {**QWEN3_MOE, **heads(4, 2, 32), **SMALL, "num_experts": 5, "num_experts_per_tok": 2, "norm_topk_prob": True}
        | {"decoder_sparse_step": 1, "mlp_only_layers": [], "use_sliding_window": False}
        | {"sliding_window": None, "rope_theta": 1000000.0, "rope_scaling": None, "router_aux_loss_coef": 0.001},
        about="experts in every layer, whose shares add up to 1",
    ),
    "qwen3_moe-shares": TinyArchitecture(
        {**QWEN3_MOE, **heads(3, 1, 40), **SMALL, "hidden_size": 100, "num_local_experts": 7, "num_experts_per_tok": 3}
        | {"norm_topk_prob": False, **default_rope(2000.0)},
        about="shares that do not; the key that transformers 5 writes; rows of no whole groups",
    ),
    "qwen2_moe-published": TinyArchitecture(
        {**QWEN2_MOE, **heads(4, 2), **SMALL, "num_hidden_layers": 2, "num_experts": 6, "num_experts_per_tok": 3}
        | {"shared_expert_intermediate_size": 90, "norm_topk_prob": False, "decoder_sparse_step": 1, "qkv_bias": True}
        | {"use_sliding_window": False, "sliding_window": 32768, "rope_theta": 1000000.0}
        | {"router_aux_loss_coef": 0.001},
        about="an MLP that every token meets, times a number for each; biases on q, k, v",
    ),
    "qwen2_moe-dense": TinyArchitecture(
        {**QWEN2_MOE, **heads(3, 1, 40), **SMALL, "hidden_size": 100, "num_hidden_layers": 4, "num_experts": 4}
        | {"num_experts_per_tok": 2, "shared_expert_intermediate_size": 62, "norm_topk_prob": True, "decoder_sparse_step": 2}
        | {"mlp_only_layers": [3], "qkv_bias": False, **default_rope(2000.0)},
        about="experts in the second layer only, no whole groups; shares that add up to 1",
    ),
    "ernie4_5_moe-published": TinyArchitecture(
        {**ERNIE_MOE, **heads(4, 2), "moe_intermediate_size": 64, "moe_num_experts": 6, "moe_k": 3, "use_bias": False}
        | {"moe_num_shared_experts": 2, "moe_layer_start_index": 1, "moe_layer_end_index": 2, "moe_layer_interval": 1}
        | {"moe_use_aux_free": True, "moe_capacity": [64, 64, 64], "rope_theta": 500000.0, "tie_word_embeddings": True},
        about="a dense layer first; a bias for the choice; an MLP of two experts' width beside them",
    ),
    "gpt_oss-published": TinyArchitecture(
        {**GPT_OSS, **MXFP4, **heads(4, 2, 64), "intermediate_size": 64, "num_local_experts": 5, "num_experts_per_tok": 2}
        | {"sliding_window": 9, "layer_types": [FULL, SLIDING, SLIDING], "swiglu_limit": 0.8, "rope_theta": 1000.0}
        | {"initial_context_length": 32, "experts_per_token": 2, "max_position_embeddings": 256}
        | {
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 8.0,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "original_max_position_embeddings": 32,
                "truncate": False,
            }
        },
        about="experts in MXFP4, gates and ups row by row in turn, clamped; sinks; windows; YaRN between unrounded ends",
    ),
    "gpt_oss-plain": TinyArchitecture(
        {**GPT_OSS, **MXFP4, **heads(4, 1, 32), "num_hidden_layers": 2, "intermediate_size": 96, "num_local_experts": 4}
        | {"num_experts_per_tok": 3, "sliding_window": 9, **default_rope(2000.0)},
        about="what a GGUF file can say: usual clamps, no scaling of RoPE",
    ),
    "gpt_oss-bf16": TinyArchitecture(
        {**GPT_OSS, **heads(4, 2, 32), "num_hidden_layers": 2, "intermediate_size": 96, "num_local_experts": 5}
        | {"num_experts_per_tok": 2, "sliding_window": 9, **default_rope(2000.0)},
        dtype="BF16",
        about="experts as fine-tunes publish them: BF16, transposed, gates and ups column by column in turn",
    ),
    "deepseek_v2-published": TinyArchitecture(
        {**DEEPSEEK_V2, **heads(4, 4), **MLA, **SMALL, "num_hidden_layers": 2, "q_lora_rank": None, "n_routed_experts": 6}
        | {"n_shared_experts": 2, "num_experts_per_tok": 3, "first_k_dense_replace": 1, "norm_topk_prob": False}
        | {"n_group": 1, "topk_group": 1, "topk_method": "greedy", "scoring_func": "softmax", "seq_aux": True, "ep_size": 1}
        | {"routed_scaling_factor": 1.5, "aux_loss_alpha": 0.001, "rope_theta": 10000.0, "max_position_embeddings": 256}
        | {
            "rope_scaling": {
                "type": "yarn",
                "factor": 8.0,
                "beta_fast": 32,
                "beta_slow": 1,
                "mscale": 0.707,
                "mscale_all_dim": 0.707,
                "original_max_position_embeddings": 32,
            }
        },
        about="as V2-Lite: MLA, values wider than keys, a dense layer first, YaRN that scales scores",
    ),
    "deepseek_v2-queries": TinyArchitecture(
        {**DEEPSEEK_V2, **heads(3, 3), **MLA, **SMALL, "num_hidden_layers": 2, "q_lora_rank": 40, "n_routed_experts": 5}
        | {"n_shared_experts": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1, "norm_topk_prob": False}
        | {"topk_method": "greedy", "scoring_func": "softmax", "routed_scaling_factor": 2.0, "n_group": 1, "topk_group": 1}
        | {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "mscale": 0.5,
                "mscale_all_dim": 0.5,
                "original_max_position_embeddings": 64,
            }
        },
        about="as V2: queries of a short vector too, which llama.cpp asks for",
    ),
    "glm4_moe_lite-published": TinyArchitecture(
        {**GLM_LITE, **heads(4, 4), **MLA, **SMALL, "num_hidden_layers": 2, "q_lora_rank": 40, "n_routed_experts": 6}
        | {"n_shared_experts": 1, "num_experts_per_tok": 3, "first_k_dense_replace": 1, "norm_topk_prob": True}
        | {"n_group": 1, "topk_group": 1, "topk_method": "noaux_tc", "routed_scaling_factor": 1.8, "partial_rotary_factor": 1.0}
        | {"rms_norm_eps": 1e-5, "num_nextn_predict_layers": 0, "rope_theta": 1000000.0, "rope_scaling": None},
        about="as GLM-4.7-Flash, whose first layer is dense",
    ),
    "deepseek_v3-published": TinyArchitecture(
        {**DEEPSEEK_V3, **heads(4, 4), **MLA, **SMALL, "hidden_size": 100, "num_hidden_layers": 2, "q_lora_rank": 40}
        | {"n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 3, "first_k_dense_replace": 1}
        | {"norm_topk_prob": True, "n_group": 4, "topk_group": 2, "topk_method": "noaux_tc", "scoring_func": "sigmoid"}
        | {"routed_scaling_factor": 2.5, "num_nextn_predict_layers": 0, "rope_theta": 5000.0, "rope_scaling": None},
        about="queries of a short vector too; experts by a sigmoid and a bias, in groups",
    ),
    "mixtral-published": TinyArchitecture(
        {**MIXTRAL, **heads(4, 1, 24), "intermediate_size": 160, "num_local_experts": 4, "num_experts_per_tok": 2}
        | {"rope_theta": 1000000.0, "sliding_window": None, "router_jitter_noise": 0.0},
        about="wide experts, as many as fit",
    ),
    "mixtral-blocks": TinyArchitecture(
        {**MIXTRAL, **heads(4, 2, 32), "num_hidden_layers": 2, "intermediate_size": 96, "num_local_experts": 8}
        | {"num_experts_per_tok": 2, **default_rope(1000.0)},
        prompt_length=150,
        in_blocks=True,
        about="a prompt of several tiles; Q8_0 in GGUF",
    ),
    "olmoe-published": TinyArchitecture(
        {**OLMOE, **heads(4, 4), "intermediate_size": 64, "num_experts": 8, "num_experts_per_tok": 4}
        | {"norm_topk_prob": False, "clip_qkv": None, "rope_theta": 10000.0},
        about="norms over all heads at once, shares that do not add up to 1",
    ),
    "granitemoe-published": TinyArchitecture(
        {**GRANITE_MOE, **heads(4, 2), "intermediate_size": 96, "num_local_experts": 6, "num_experts_per_tok": 3}
        | {"embedding_multiplier": 4.0, "residual_multiplier": 0.4, "attention_multiplier": 0.1, "logits_scaling": 2.0}
        | {"tie_word_embeddings": True, "rope_theta": 10000.0},
        about="four multipliers; gates and ups are one tensor",
    ),
}


# ---- shapes


def decoder(config: dict[str, Any]) -> Shapes:
    """But for the MLP."""
    yield from norms(config["hidden_size"], "input_layernorm", "post_attention_layernorm")
    yield from attention(config)
    head_dim, query, key_value = widths(config)
    if config["model_type"] == "qwen3_moe":
        yield from norms(head_dim, "self_attn.q_norm", "self_attn.k_norm")
    if config["model_type"] == "olmoe":
        yield from norms(query, "self_attn.q_norm")
        yield from norms(key_value, "self_attn.k_norm")


def count_of(config: dict[str, Any]) -> int:
    return config.get("num_experts") or config["num_local_experts"]


def moe_layer(config: dict[str, Any]) -> Shapes:
    is_mixtral = config["model_type"] == "mixtral"
    inside, names = ("block_sparse_moe", ("w1", "w3", "w2")) if is_mixtral else ("mlp", ("gate_proj", "up_proj", "down_proj"))
    yield from decoder(config)
    yield from experts_of(config, inside, names)


def experts_of(
    config: dict[str, Any], inside: str = "mlp", names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
) -> Shapes:
    hidden, size = config["hidden_size"], config.get("moe_intermediate_size") or config["intermediate_size"]
    yield from linear(f"{inside}.gate", count_of(config), hidden)
    for expert in range(count_of(config)):
        gate, up, down = (f"{inside}.experts.{expert}.{name}" for name in names)
        yield from linear(gate, size, hidden)
        yield from linear(up, size, hidden)
        yield from linear(down, hidden, size)


def granitemoe_layer(config: dict[str, Any]) -> Shapes:
    hidden, size, count = config["hidden_size"], config["intermediate_size"], count_of(config)
    yield from decoder(config)
    yield from linear("block_sparse_moe.router.layer", count, hidden)
    yield "block_sparse_moe.input_linear.weight", (count, 2 * size, hidden)
    yield "block_sparse_moe.output_linear.weight", (count, hidden, size)


def qwen2_moe_layer(config: dict[str, Any]) -> Shapes:
    is_sparse = (config["layer"] + 1) % config["decoder_sparse_step"] == 0
    if not is_sparse or config["layer"] in config.get("mlp_only_layers", ()):
        yield from norms(config["hidden_size"], "input_layernorm", "post_attention_layernorm")
        yield from attention(config, config["qkv_bias"])
        return (yield from gated_mlp(config))
    biases = attention(config, config["qkv_bias"]) if config["qkv_bias"] else ()
    yield from (part for part in biases if part[0].endswith("bias"))
    yield from moe_layer(config)
    shared = {**config, "intermediate_size": config["shared_expert_intermediate_size"]}
    yield from ((name.replace("mlp", "mlp.shared_expert"), shape) for name, shape in gated_mlp(shared))
    yield "mlp.shared_expert_gate.weight", (1, config["hidden_size"])


def gpt_oss_layer(config: dict[str, Any]) -> Shapes:
    hidden, size, count = config["hidden_size"], config["intermediate_size"], count_of(config)
    yield from norms(hidden, "input_layernorm", "post_attention_layernorm")
    yield from attention(config, True, True)
    yield "self_attn.sinks", (config["num_attention_heads"],)
    yield from linear("mlp.router", count, hidden, True)
    for name, rows, cols in (("gate_up_proj", 2 * size, hidden), ("down_proj", hidden, size)):
        if "quantization_config" in config:
            yield f"mlp.experts.{name}_blocks", (count, rows, cols // 32, 16)
            yield f"mlp.experts.{name}_scales", (count, rows, cols // 32)
        else:
            yield f"mlp.experts.{name}", (count, cols, rows)
        yield f"mlp.experts.{name}_bias", (count, rows)


def deepseek_layer(config: dict[str, Any]) -> Shapes:
    hidden, count, rank = config["hidden_size"], config["num_attention_heads"], config["kv_lora_rank"]
    nope, turning, value = (config[key] for key in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    yield from norms(hidden, "input_layernorm", "post_attention_layernorm")
    if config["q_lora_rank"]:
        yield from linear("self_attn.q_a_proj", config["q_lora_rank"], hidden)
        yield from norms(config["q_lora_rank"], "self_attn.q_a_layernorm")
        yield from linear("self_attn.q_b_proj", count * (nope + turning), config["q_lora_rank"])
    else:
        yield from linear("self_attn.q_proj", count * (nope + turning), hidden)
    yield from linear("self_attn.kv_a_proj_with_mqa", rank + turning, hidden)
    yield from norms(rank, "self_attn.kv_a_layernorm")
    yield from linear("self_attn.kv_b_proj", count * (nope + value), rank)
    yield from linear("self_attn.o_proj", hidden, count * value)
    if config["layer"] < config["first_k_dense_replace"]:
        return (yield from gated_mlp(config))
    yield from experts_of({**config, "num_local_experts": config["n_routed_experts"]})
    yield from shared_experts(config)
    if config["model_type"] != "deepseek_v2":
        yield "mlp.gate.e_score_correction_bias", (config["n_routed_experts"],)


def shared_experts(config: dict[str, Any]) -> Shapes:
    shared = {**config, "intermediate_size": config["moe_intermediate_size"] * config["n_shared_experts"]}
    yield from ((name.replace("mlp", "mlp.shared_experts"), shape) for name, shape in gated_mlp(shared))


def ernie4_5_moe_layer(config: dict[str, Any]) -> Shapes:
    if config["layer"] < config["moe_layer_start_index"]:
        yield from decoder(config)
        return (yield from gated_mlp(config))
    yield from moe_layer({**config, "num_local_experts": config["moe_num_experts"]})
    yield "mlp.moe_statics.e_score_correction_bias", (1, config["moe_num_experts"])
    shared = {**config, "intermediate_size": config["moe_intermediate_size"] * config["moe_num_shared_experts"]}
    yield from ((name.replace("mlp", "mlp.shared_experts"), shape) for name, shape in gated_mlp(shared))


LAYERS: dict[str, Callable[[dict[str, Any]], Shapes]] = {
    **dict.fromkeys(("qwen3_moe", "mixtral", "olmoe"), moe_layer),
    "qwen2_moe": qwen2_moe_layer,
    **dict.fromkeys(("deepseek_v2", "deepseek_v3", "glm4_moe_lite"), deepseek_layer),
    "gpt_oss": gpt_oss_layer,
    "ernie4_5_moe": ernie4_5_moe_layer,
    "granitemoe": granitemoe_layer,
}
