"""Configurations of released models with state space mixers, whole: nothing in them is refused, and they mean what they say."""

from typing import Any

import pytest

from fanlight.errors import FanlightError, FormatError, UnsupportedModel
from fanlight.models.config import read_config

TRAINING = {"time_step_floor": 0.0001, "time_step_max": 0.1, "time_step_min": 0.001, "rescale_prenorm_residual": False}
USUAL = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "initializer_range": 0.1, "torch_dtype": "bfloat16"}
USUAL |= {"transformers_version": "4.56.0", "use_cache": True, "hidden_act": "silu"}
ATTENTION = {"attention_bias": False, "attention_dropout": 0.0, "rope_scaling": None, "rms_norm_eps": 1e-05}
PREFIXED = {"mamba_chunk_size": 256, "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_proj_bias": False}
GRANITE = {
    **USUAL,
    **ATTENTION,
    **PREFIXED,
    "architectures": ["GraniteMoeHybridForCausalLM"],
    "attention_multiplier": 0.015625,
    "embedding_multiplier": 12,
    "init_method": "mup",
    "mamba_d_head": 64,
    "mamba_d_state": 128,
    "mamba_n_groups": 1,
    "max_position_embeddings": 131072,
    "model_type": "granitemoehybrid",
    "normalization_function": "rmsnorm",
    "num_hidden_layers": 40,
    "output_router_logits": False,
    "position_embedding_type": "nope",
    "residual_multiplier": 0.22,
    "rope_theta": 10000,
    "router_aux_loss_coef": 0.01,
    "tie_word_embeddings": True,
    "vocab_size": 100352,
}
KINDS = ["attention" if i in (5, 15, 25, 35) else "mamba" for i in range(40)]
NEMOTRON = {
    **USUAL,
    **TRAINING,
    "architectures": ["NemotronHForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "auto_map": {"AutoConfig": "configuration_nemotron_h.NemotronHConfig"},
    "chunk_size": 128,
    "conv_kernel": 4,
    "expand": 2,
    "head_dim": 128,
    "hidden_dropout": 0.0,
    "layer_norm_epsilon": 1e-05,
    "mamba_hidden_act": "silu",
    "mamba_proj_bias": False,
    "mlp_bias": False,
    "mlp_hidden_act": "relu2",
    "model_type": "nemotron_h",
    "n_groups": 8,
    "num_logits_to_keep": 1,
    "residual_in_fp32": False,
    "ssm_state_size": 128,
    "time_step_limit": [0.0, float("inf")],
    "tie_word_embeddings": False,
    "use_bias": False,
    "use_conv_bias": True,
    "use_mamba_kernels": True,
    "vocab_size": 131072,
}
RELEASED: dict[str, dict[str, Any]] = {
    "granite-4.0-h-micro": GRANITE
    | {"hidden_size": 2048, "intermediate_size": 8192, "shared_intermediate_size": 8192, "num_attention_heads": 32}
    | {"num_key_value_heads": 8, "num_local_experts": 0, "num_experts_per_tok": 0, "logits_scaling": 8}
    | {"mamba_n_heads": 64, "layer_types": KINDS},
    "granite-4.0-h-tiny": GRANITE
    | {"hidden_size": 1536, "intermediate_size": 512, "shared_intermediate_size": 1024, "num_attention_heads": 12}
    | {"num_key_value_heads": 4, "num_local_experts": 64, "num_experts_per_tok": 6, "logits_scaling": 6}
    | {"mamba_n_heads": 48, "layer_types": KINDS},
    "granite-4.0-1b": GRANITE
    | {"hidden_size": 2048, "intermediate_size": 4096, "shared_intermediate_size": 4096, "num_attention_heads": 16}
    | {"num_key_value_heads": 4, "num_local_experts": 0, "num_experts_per_tok": 0, "logits_scaling": 8}
    | {"mamba_n_heads": 128, "mamba_d_head": 32, "mamba_d_state": 256, "layer_types": ["attention"] * 40}
    | {"position_embedding_type": "rope", "rope_theta": 10000000},
    "Falcon-H1-0.5B": USUAL
    | ATTENTION
    | PREFIXED
    | {"architectures": ["FalconH1ForCausalLM"], "model_type": "falcon_h1", "attention_in_multiplier": 1.0}
    | {"attention_out_multiplier": 0.9375, "attn_layer_indices": None, "embedding_multiplier": 5.656854249492381}
    | {"head_dim": 64, "hidden_size": 1024, "intermediate_size": 2048, "key_multiplier": 0.39062499999999994}
    | {"lm_head_multiplier": 0.0390625, "mamba_d_head": 64, "mamba_d_ssm": 1536, "mamba_d_state": 128, "mamba_n_groups": 1}
    | {"mamba_n_heads": 24, "mamba_norm_before_gate": False, "mamba_rms_norm": False, "mamba_use_mlp": True}
    | {"max_position_embeddings": 16384, "mlp_bias": False, "mlp_expansion_factor": 8, "num_attention_heads": 8}
    | {"mlp_multipliers": [0.8838834764831844, 0.5859375], "num_hidden_layers": 36, "num_key_value_heads": 2}
    | {"num_logits_to_keep": 1, "projectors_bias": False, "rope_theta": 100000000000.0, "ssm_in_multiplier": 1.25}
    | {"ssm_multipliers": [0.3535533905932738, 0.25, 0.3535533905932738, 0.5, 0.3535533905932738]}
    | {"ssm_out_multiplier": 0.23570226039551587, "tie_word_embeddings": False, "time_step_floor": 0.0001}
    | {"time_step_max": 0.1, "time_step_min": 0.001, "time_step_rank": "auto", "vocab_size": 32784},
    "Nemotron-Nano-9B-v2": NEMOTRON
    | {"hidden_size": 4480, "intermediate_size": 15680, "mamba_head_dim": 80, "mamba_num_heads": 128}
    | {"hybrid_override_pattern": "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-", "num_hidden_layers": 56}
    | {"max_position_embeddings": 131072, "num_attention_heads": 40, "num_key_value_heads": 8, "rms_norm_eps": 1e-05}
    | {"sliding_window": None, "time_step_rank": 256},
    "Nemotron-3-Nano-30B-A3B": NEMOTRON
    | {"hidden_size": 2688, "intermediate_size": 1856, "mamba_head_dim": 64, "mamba_num_heads": 64, "norm_eps": 1e-05}
    | {"hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME", "num_hidden_layers": 52}
    | {"max_position_embeddings": 262144, "num_attention_heads": 32, "num_key_value_heads": 2, "sliding_window": None}
    | {"mamba_ssm_cache_dtype": "float32", "moe_intermediate_size": 1856, "moe_shared_expert_intermediate_size": 3712}
    | {"n_group": 1, "n_routed_experts": 128, "n_shared_experts": 1, "norm_topk_prob": True, "num_experts_per_tok": 6}
    | {"partial_rotary_factor": 1.0, "rope_theta": 10000, "routed_scaling_factor": 2.5, "topk_group": 1},
    "mamba2-130m": USUAL
    | TRAINING
    | {"architectures": ["Mamba2ForCausalLM"], "model_type": "mamba2", "chunk_size": 256, "conv_kernel": 4, "expand": 2}
    | {"head_dim": 64, "hidden_size": 768, "layer_norm_epsilon": 1e-05, "n_groups": 1, "norm_before_gate": True}
    | {"num_heads": 24, "num_hidden_layers": 24, "residual_in_fp32": True, "rms_norm": True, "state_size": 128}
    | {"tie_word_embeddings": True, "time_step_limit": [0.0, {"__float__": "Infinity"}], "time_step_rank": 48}
    | {"use_bias": False, "use_conv_bias": True, "vocab_size": 50288},
    "mamba-130m-hf": USUAL
    | TRAINING
    | {"architectures": ["MambaForCausalLM"], "model_type": "mamba", "conv_kernel": 4, "d_inner": 1536, "d_model": 768}
    | {"expand": 2, "fused_add_norm": True, "hidden_size": 768, "intermediate_size": 1536, "layer_norm_epsilon": 1e-05}
    | {"n_layer": 24, "num_hidden_layers": 24, "pad_vocab_size_multiple": 8, "residual_in_fp32": True, "rms_norm": True}
    | {"ssm_cfg": {}, "state_size": 16, "time_step_init_scheme": "random", "time_step_rank": 48, "time_step_scale": 1.0}
    | {"use_bias": False, "use_conv_bias": True, "vocab_size": 50280},
    "falcon-mamba-7b": USUAL
    | TRAINING
    | {"architectures": ["FalconMambaForCausalLM"], "model_type": "falcon_mamba", "conv_kernel": 4, "expand": 16}
    | {"hidden_size": 4096, "intermediate_size": 8192, "layer_norm_epsilon": 1e-05, "mixer_rms_eps": 1e-06}
    | {"num_hidden_layers": 64, "residual_in_fp32": True, "state_size": 16, "tie_word_embeddings": False}
    | {"time_step_init_scheme": "random", "time_step_rank": 256, "time_step_scale": 1.0, "use_bias": False}
    | {"use_conv_bias": True, "use_mambapy": False, "vocab_size": 65024},
    "AI21-Jamba-Reasoning-3B": USUAL
    | {"architectures": ["JambaForCausalLM"], "model_type": "jamba", "attention_dropout": 0.0, "attn_layer_offset": 7}
    | {"attn_layer_period": 14, "expert_layer_offset": 1, "expert_layer_period": 2, "hidden_size": 2560}
    | {"intermediate_size": 8192, "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_state": 16, "mamba_dt_rank": 160}
    | {"mamba_expand": 2, "mamba_inner_layernorms": True, "mamba_proj_bias": False, "max_position_embeddings": 262144}
    | {"num_attention_heads": 20, "num_experts": 1, "num_experts_per_tok": 1, "num_hidden_layers": 28}
    | {"num_key_value_heads": 1, "num_logits_to_keep": 1, "output_router_logits": False, "rms_norm_eps": 1e-06}
    | {"router_aux_loss_coef": 0.001, "sliding_window": None, "tie_word_embeddings": True, "use_mamba_kernels": True}
    | {"vocab_size": 65536},
}


@pytest.mark.parametrize("name", RELEASED)
def test_released_configurations_are_read(name: str) -> None:
    config = read_config(RELEASED[name], "config.json")
    assert config.hidden_size == RELEASED[name]["hidden_size"]
    widths = {"Nemotron-Nano-9B-v2": 10240, "Nemotron-3-Nano-30B-A3B": 4096, "Falcon-H1-0.5B": 1536}
    assert config.mixer.inner == widths.get(name, 2 * config.hidden_size)


def test_layers_are_what_is_said() -> None:
    granite = read_config(RELEASED["granite-4.0-h-tiny"], "config.json")
    assert [i for i, attends in enumerate(granite.attends) if attends] == [5, 15, 25, 35]
    assert granite.moe.num_experts == 64 and not granite.turns
    assert read_config(RELEASED["granite-4.0-1b"], "config.json").turns
    nemotron = read_config(RELEASED["Nemotron-Nano-9B-v2"], "config.json")
    assert [nemotron.kinds.count(kind) for kind in ("linear_attention", "full_attention", "mlp")] == [27, 4, 25]
    assert nemotron.mixer.limits[0] == 0.001
    jamba = read_config(RELEASED["AI21-Jamba-Reasoning-3B"], "config.json")
    assert [i for i, attends in enumerate(jamba.attends) if attends] == [7, 21] and jamba.moe is None


WRONG: tuple[tuple[str, str, Any, type[FanlightError], str], ...] = (
    ("granite-4.0-h-micro", "mamba_n_heads", 63, FormatError, "mamba_n_heads"),
    ("granite-4.0-h-micro", "normalization_function", "layernorm", UnsupportedModel, "normalization_function"),
    ("granite-4.0-h-micro", "layer_types", ["mamba"] * 39 + ["conv"], UnsupportedModel, "conv"),
    ("Falcon-H1-0.5B", "ssm_multipliers", [1.0, 1.0], FormatError, "ssm_multipliers"),
    ("Falcon-H1-0.5B", "mamba_use_mlp", False, UnsupportedModel, "mamba_use_mlp"),
    ("Nemotron-Nano-9B-v2", "hybrid_override_pattern", "M-X", UnsupportedModel, "'X'"),
    ("Nemotron-Nano-9B-v2", "num_hidden_layers", 55, FormatError, "56 layers"),
    ("Nemotron-3-Nano-30B-A3B", "moe_latent_size", 64, UnsupportedModel, "moe_latent_size"),
    ("mamba2-130m", "num_heads", 23, FormatError, "num_heads"),
    ("mamba2-130m", "time_step_limit", [0.1, -1], FormatError, "time_step_limit"),
    ("mamba2-130m", "rms_norm", False, UnsupportedModel, "rms_norm"),
    ("mamba-130m-hf", "d_inner", 1000, UnsupportedModel, "d_inner"),
    ("mamba-130m-hf", "ssm_cfg", {"layer": "Mamba2"}, UnsupportedModel, "ssm_cfg"),
    ("AI21-Jamba-Reasoning-3B", "mamba_inner_layernorms", False, UnsupportedModel, "mamba_inner_layernorms"),
)


@pytest.mark.parametrize(("name", "key", "value", "error", "words"), WRONG)
def test_what_is_not_understood_is_named(name: str, key: str, value: Any, error: type[FanlightError], words: str) -> None:
    with pytest.raises(error, match=words):
        read_config(RELEASED[name] | {key: value}, "config.json")
