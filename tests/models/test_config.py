"""Configurations: what is read, what counts where nothing is said, what is refused by name."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.layout import TensorInfo
from fanlight.models import NO_WEIGHTS
from fanlight.models.config import ARCHITECTURES, load_architecture, read_config
from fanlight.models.gemma4 import is_unused
from fanlight.models.gguf_config import config_from_gguf
from fanlight.models.moe import Moe
from fanlight.models.rope import LongRope
from scripts.golden.tiny_siglip import LFM2_VL

SIZES = {
    "vocab_size": 273,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 256,
}


def read(model_type: str = "llama", drop: tuple[str, ...] = (), **keys: Any) -> Any:
    config = {"model_type": model_type, **SIZES, **keys}
    return read_config({k: v for k, v in config.items() if k not in drop}, "config.json")


def refused(error: type[Exception], *words: str, **keys: Any) -> str:
    with pytest.raises(error) as caught:
        read(**keys)
    message = str(caught.value)
    assert type(caught.value) is error and message.startswith("config.json: ")
    for word in words:
        assert word in message, message
    return message


# --- keys that nothing reads -----------------------------------------------------------------------------------------
CHANGES_THE_NUMBERS = {
    "attn_logit_softcapping": 50.0,
    "residual_multiplier": 0.22,
    "embedding_multiplier": 12.0,
    "logits_scaling": 8.0,
    "layer_types": ["sliding_attention", "full_attention"],
    "partial_rotary_factor": 0.5,
    "num_experts": 8,
    "num_local_experts": 8,
    "quantization_config": {"quant_method": "fp8"},
    "use_qk_norm": True,
    "clip_qkv": 8.0,
    "alibi": True,
    "some_new_key": 3,
    "scale_attn_by_inverse_layer_idx": True,
    "is_encoder_decoder": True,
    "use_bidirectional_attention": True,
    "sliding_window": 8,
    "use_sliding_window": True,
    "logit_scale": 1 << 1,
    "rope_interleaved": True,
}


@pytest.mark.parametrize("key", CHANGES_THE_NUMBERS)
def test_a_key_that_changes_the_numbers_and_is_not_read_is_named(key) -> None:
    refused(UnsupportedModel, key, **{key: CHANGES_THE_NUMBERS[key]})


@pytest.mark.parametrize("key", CHANGES_THE_NUMBERS)
def test_null_is_as_good_as_not_there(key) -> None:
    if key != "partial_rotary_factor":
        assert read(**{key: None}) == read()


@pytest.mark.parametrize("inside", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize(("key", "value"), [("mrope_section", [1, 2, 3]), ("partial_rotary_factor", 0.5), ("alpha", 1000.0)])
def test_keys_inside_are_read_or_named(inside, key, value) -> None:
    refused(UnsupportedModel, f"{inside}.{key}", **{inside: {"rope_type": "default", key: value}})


def test_what_is_harmless_passes() -> None:
    """Keys of published files that say nothing of the numbers."""
    harmless = {
        "architectures": ["LlamaForCausalLM"],
        "_name_or_path": "x",
        "auto_map": {"AutoModel": "y"},
        "attention_dropout": 0.1,
        "bos_token_id": 1,
        "dtype": "bfloat16",
        "eos_token_id": [1, 2],
        "initializer_range": 0.02,
        "pretraining_tp": 2,
        "torch_dtype": "float16",
        "transformers_version": "4.40.0",
        "unsloth_fixed": True,
        "use_cache": True,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "rope_interleaved": False,
        "partial_rotary_factor": 1.0,
        "residual_multiplier": 1.0,
        "attn_logit_softcapping": None,
        "quantization_config": None,
        "layer_types": ["full_attention", "full_attention"],
        "num_experts": 0,
        "id2label": {"0": "LABEL_0"},
        "temperature": 0.7,
        "image_token_index": 5,
    }
    assert read(**harmless) == read()


# The configurations of the released models, as far as they bear on what is read.
RELEASED = {
    "Llama-3.2-1B": {
        "model_type": "llama", "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
        "attention_bias": False, "mlp_bias": False, "pretraining_tp": 1, "rope_theta": 500000.0, "tie_word_embeddings": True,
        "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "rope_type": "llama3",
                         "original_max_position_embeddings": 8192},
    },
    "SmolLM2-135M": {"model_type": "llama", "rope_interleaved": False, "is_llama_config": True, "rope_theta": 100000,
                     "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}}, "rope_scaling": None},
    "Qwen2.5-7B": {"model_type": "qwen2", "max_window_layers": 28, "sliding_window": 131072, "use_sliding_window": False,
                   "use_mrope": False, "rope_theta": 1000000.0},
    "Qwen3-0.6B": {"model_type": "qwen3", "max_window_layers": 28, "sliding_window": None, "use_sliding_window": False,
                   "attention_bias": False, "rope_scaling": None, "rope_theta": 1000000},
    "Qwen3-30B-A3B": {"model_type": "qwen3_moe", "decoder_sparse_step": 1, "max_window_layers": 48, "mlp_only_layers": [],
                      "norm_topk_prob": True, "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768,
                      "output_router_logits": False, "router_aux_loss_coef": 0.001, "use_sliding_window": False},
    "Qwen1.5-MoE-A2.7B": {"model_type": "qwen2_moe", "decoder_sparse_step": 1, "max_window_layers": 21, "num_experts": 60,
                          "num_experts_per_tok": 4, "shared_expert_intermediate_size": 5632, "sliding_window": 32768,
                          "use_sliding_window": False, "norm_topk_prob": False, "moe_intermediate_size": 1408},
    "OLMoE-1B-7B": {"model_type": "olmoe", "clip_qkv": None, "norm_topk_prob": False, "num_experts": 64,
                    "num_experts_per_tok": 8, "router_aux_loss_coef": 0.01},
    "Phi-4-mini": {
        "model_type": "phi3", "hidden_size": 64, "num_attention_heads": 2, "head_dim": None, "attention_bias": False,
        "embd_pdrop": 0.0, "resid_pdrop": 0.0, "full_attn_mod": 1, "interpolate_factor": 1, "lm_head_bias": False,
        "mlp_bias": False, "original_max_position_embeddings": 4096, "partial_rotary_factor": 0.75, "sliding_window": 262144,
        "rope_scaling": {"type": "longrope", "long_factor": [1.5] * 12, "short_factor": [1.0] * 12},
    },
    "gemma-2-2b": {"model_type": "gemma2", "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
                   "cache_implementation": "hybrid", "hidden_act": "gelu_pytorch_tanh", "query_pre_attn_scalar": 256,
                   "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 4096},
    "gemma-4-E2B, inside": {
        "model_type": "gemma4_text", "attention_k_eq_v": False, "enable_moe_block": False, "global_head_dim": 32,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size_per_layer_input": 8, "num_experts": None,
        "layer_types": ["sliding_attention", "full_attention"], "moe_intermediate_size": None, "num_kv_shared_layers": 0,
        "num_global_key_value_heads": None, "top_k_experts": None, "use_bidirectional_attention": None,
        "use_double_wide_mlp": True, "vocab_size_per_layer_input": 273,
    },
    "gemma-3n-E4B, inside": {
        "model_type": "gemma3n_text", "activation_sparsity_pattern": [0.95, 0.0], "altup_active_idx": 0,
        "altup_coef_clip": 120.0, "altup_correct_scale": True, "altup_num_inputs": 4, "final_logit_softcapping": 30.0,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size_per_layer_input": 256, "intermediate_size": [48, 48],
        "laurel_rank": 64, "layer_types": ["sliding_attention", "full_attention"], "num_kv_shared_layers": 0,
        "query_pre_attn_scalar": 256, "rope_local_base_freq": 10000.0, "rope_scaling": None, "rope_theta": 1000000.0,
        "sliding_window": 512, "vocab_size_per_layer_input": 273,
    },
    "c4ai-command-r7b": {"model_type": "cohere2", "layer_switch": 4, "logit_scale": 0.25, "sliding_window": 4096,
                         "order_of_interleaved_layers": "local_attn_first", "position_embedding_type": "rope_gptj",
                         "rotary_pct": 1.0, "sliding_window_pattern": 4, "use_embedding_sharing": True,
                         "use_gated_activation": True, "use_parallel_block": True, "use_parallel_embedding": True},
    "pythia-70m": {"model_type": "gpt_neox", "rotary_emb_base": 10000, "rotary_pct": 0.5, "use_parallel_residual": True,
                   "head_dim": None, "num_key_value_heads": None},
    "ERNIE-4.5-0.3B": {"model_type": "ernie4_5", "use_bias": False, "use_rmsnorm": True, "rope_theta": 500000,
                       "compression_ratio": 1.0, "dtype": "bfloat16"},
    "LFM2-1.2B": {
        "model_type": "lfm2", "block_auto_adjust_ff_dim": True, "block_dim": 32, "block_ff_dim": 96, "block_multiple_of": 256,
        "block_ffn_dim_multiplier": 1.0, "block_mlp_init_scale": 1.0, "block_norm_eps": 1e-05, "block_out_init_scale": 1.0,
        "block_use_swiglu": True, "block_use_xavier_init": True, "conv_L_cache": 3, "conv_bias": False, "conv_dim": 32,
        "conv_dim_out": 32, "conv_use_xavier_init": True, "full_attn_idxs": [1], "norm_eps": 1e-05, "num_heads": 2,
        "rope_theta": 1000000.0, "use_pos_enc": True, "theta": 1000000.0,
    },
    "Hunyuan-1.8B": {
        "model_type": "hunyuan_v1_dense", "attention_head_dim": 16, "cla_share_factor": 2, "eod_token_id": 127967,
        "im_end_id": 6, "im_newline_id": 12, "im_start_id": 5, "mask_init_id": 13, "norm_type": "rms", "num_experts": 1,
        "org_vocab_size": 120818, "pad_id": 127961, "position_embedding_xdrope": False, "rope_theta": 10000.0,
        "text_end_id": 8, "text_start_id": 7, "use_cla": False, "use_qk_norm": True, "use_rotary_pos_emb": True,
        "rope_scaling": {"alpha": 1000.0, "beta_fast": 32, "beta_slow": 1, "factor": 1.0, "mscale": 1.0,
                         "mscale_all_dim": 0.0, "type": "dynamic"},
    },
    "EXAONE-4.0-32B": {"model_type": "exaone4", "sliding_window": 4096, "sliding_window_pattern": "LLLG",
                       "layer_types": ["sliding_attention", "full_attention"], "rope_theta": 1000000,
                       "rope_scaling": {"factor": 16.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                                        "original_max_position_embeddings": 8192, "rope_type": "llama3"}},
    "Olmo-3-7B": {"model_type": "olmo3", "sliding_window": 4096, "rope_theta": 500000, "attention_bias": False,
                  "layer_types": ["sliding_attention", "full_attention"],
                  "rope_scaling": {"attention_factor": 1.2079441541679836, "beta_fast": 32.0, "beta_slow": 1.0,
                                   "factor": 8.0, "original_max_position_embeddings": 8192, "rope_type": "yarn"}},
    "Minitron-4B": {"model_type": "nemotron", "hidden_act": "relu2", "norm_eps": 1e-05, "partial_rotary_factor": 0.5,
                    "rope_theta": 10000.0, "attention_bias": False, "mlp_bias": False},
    "starcoder2-3b": {"model_type": "starcoder2", "embedding_dropout": 0.1, "hidden_act": "gelu_pytorch_tanh",
                      "mlp_type": "default", "norm_epsilon": 1e-05, "norm_type": "layer_norm", "residual_dropout": 0.1,
                      "rope_theta": 999999.4420358813, "sliding_window": 4096, "use_bias": True, "head_dim": None},
    "phi-2": {"model_type": "phi", "embd_pdrop": 0.0, "hidden_act": "gelu_new", "layer_norm_eps": 1e-05, "head_dim": None,
              "partial_rotary_factor": 0.5, "qk_layernorm": False, "resid_pdrop": 0.1, "rope_scaling": None},
    "Apertus-8B": {
        "model_type": "apertus", "hidden_act": "xielu", "mlp_bias": False, "post_norm": False, "qk_norm": True,
        "rope_theta": 12000000, "rope_scaling": {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                                                 "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    },
    "EXAONE-3.5-2.4B": {"model_type": "exaone", "activation_function": "silu", "embed_dropout": 0.0, "head_dim": 16,
                        "layer_norm_epsilon": 1e-05, "num_layers": 2, "rope_theta": 1000000.0,
                        "rope_scaling": {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                                         "original_max_position_embeddings": 8192, "rope_type": "llama3"}},
    "internlm2_5-7b": {"model_type": "internlm2", "attn_implementation": "eager", "bias": False, "head_dim": None,
                       "pretraining_tp": 1, "rope_scaling": {"type": "dynamic", "factor": 2.0}, "rope_theta": 1000000},
    "MiniCPM-2B": {"model_type": "minicpm", "dim_model_base": 256, "rope_scaling": None, "scale_depth": 1.4, "scale_emb": 12},
    "gpt2": {"model_type": "gpt2", "activation_function": "gelu_new", "attn_pdrop": 0.1, "embd_pdrop": 0.1, "head_dim": None,
             "n_ctx": 1024, "n_embd": 32, "n_head": 2, "n_layer": 2, "n_positions": 1024, "n_inner": None,
             "num_key_value_heads": None, "layer_norm_epsilon": 1e-05, "resid_pdrop": 0.1, "summary_activation": None,
             "summary_first_dropout": 0.1, "summary_proj_to_labels": True, "summary_type": "cls_index"},
    "falcon-7b": {"model_type": "falcon", "alibi": False, "apply_residual_connection_post_layernorm": False, "bias": False,
                  "hidden_dropout": 0.0, "layer_norm_epsilon": 1e-05, "multi_query": True, "parallel_attn": True,
                  "new_decoder_architecture": False, "head_dim": None, "num_key_value_heads": None},
    "stablelm-2-1_6b": {"model_type": "stablelm", "use_qkv_bias": True, "partial_rotary_factor": 0.25, "rope_theta": 10000,
                        "hidden_size": 64, "head_dim": None, "norm_eps": None},
}  # fmt: skip


@pytest.mark.parametrize("name", RELEASED)
def test_released_configurations_are_read(name) -> None:
    read(**RELEASED[name])


TURBO = {
    "model_type": "whisper",
    "d_model": 1280,
    "encoder_layers": 32,
    "decoder_layers": 4,
    "encoder_attention_heads": 20,
    "decoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "decoder_ffn_dim": 5120,
    "num_hidden_layers": 32,
    "num_mel_bins": 128,
    "max_source_positions": 1500,
    "max_target_positions": 448,
    "activation_function": "gelu",
    "is_encoder_decoder": True,
    "scale_embedding": False,
    "use_weighted_layer_sum": False,
    "apply_spec_augment": False,
    "mask_time_prob": 0.05,
    "mask_time_length": 10,
    "median_filter_width": 7,
    "classifier_proj_size": 256,
    "dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "forced_decoder_ids": [[1, 50259]],
    "begin_suppress_tokens": [220, 50257],
    "init_std": 0.02,
    "vocab_size": 51866,
}


def test_a_released_configuration_of_a_model_that_hears_is_read() -> None:
    assert read_config(TURBO, "config.json").decoder_layers == 4
    with pytest.raises(UnsupportedModel, match="num_hidden_layers is 4; expected 32"):
        read_config({**TURBO, "num_hidden_layers": 4}, "config.json")
    with pytest.raises(UnsupportedModel, match="encoder_norm"):
        read_config({**TURBO, "encoder_norm": "rms"}, "config.json")


QWEN2_5_VL = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "attention_dropout": 0.0,
    "vision_start_token_id": 151652,
    "vision_token_id": 151654,
    "image_token_id": 151655,
    "video_token_id": 151656,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "max_position_embeddings": 128000,
    "max_window_layers": 70,
    "model_type": "qwen2_5_vl",
    "num_attention_heads": 16,
    "num_hidden_layers": 36,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "vision_config": {
        "depth": 32,
        "hidden_act": "silu",
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "in_chans": 3,
        "out_hidden_size": 2048,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "spatial_patch_size": 14,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
        "temporal_patch_size": 2,
    },
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vocab_size": 151936,
}


def test_a_released_configuration_of_a_model_that_sees_is_read() -> None:
    """As of Qwen2.5-VL-3B, whose language model's keys stand beside the encoder's."""
    config = read_config(QWEN2_5_VL, "config.json")
    assert (config.vision.side, config.vision.merge, config.vision.whole) == (8, 2, (7, 15, 23, 31))
    assert [config.rope.axes.count(axis) for axis in range(3)] == [16, 24, 24]
    changes = (("window_size", 20), ("in_chans", 4), ("temporal_patch_size", 1), ("more", 3))
    for key, value in changes:
        with pytest.raises(UnsupportedModel, match="windows" if key == "window_size" else key):
            read_config({**QWEN2_5_VL, "vision_config": {**QWEN2_5_VL["vision_config"], key: value}}, "config.json")
    with pytest.raises(FormatError, match="mrope_section is of 60 pairs"):
        read_config({**QWEN2_5_VL, "rope_scaling": {"type": "mrope", "mrope_section": [12, 24, 24]}}, "config.json")


def test_lfm2_vl_reads_published_configurations() -> None:
    """Which have the processor's numbers beside the model's."""
    more = {
        "tile_size": 512,
        "encoder_patch_size": 16,
        "max_num_patches": 1024,
        "use_thumbnail": True,
        "image_token_index": 259,
    }
    given = {**LFM2_VL, **more, "use_image_special_tokens": True, "vision_feature_layer": -1}
    config = read_config(given, "config.json")
    assert (config.vision.grid, config.vision.places, config.tie_word_embeddings) == ((32, 32), 8, True)
    assert not read_config({**given, "tie_embedding": False}, "config.json").tie_word_embeddings
    for key, value in (("vision_feature_layer", -2), ("use_image_special_tokens", False), ("more", 3)):
        with pytest.raises(UnsupportedModel, match=key):
            read_config({**given, key: value}, "config.json")
    with pytest.raises(UnsupportedModel, match="model_type is 'lfm2_moe'"):
        read_config({**given, "text_config": {**LFM2_VL["text_config"], "model_type": "lfm2_moe"}}, "config.json")
    for key, value, words in (
        ("model_type", "siglip", "siglip"),
        ("num_channels", 1, "num_channels"),
        ("num_patches", 60, "60 places"),
        ("more", 3, "more"),
    ):
        with pytest.raises(UnsupportedModel, match=words):
            read_config({**given, "vision_config": {**LFM2_VL["vision_config"], key: value}}, "config.json")


# --- what counts where the file says nothing -------------------------------------------------------------------------
ENCODERS = {
    "bert": "bert",
    "modernbert": "modernbert",
    "nomic_bert": "nomic_bert",
    "roberta": "roberta",
    "xlm-roberta": "roberta",
}
# What those with a state space cannot do without, beside or instead of SIZES: None.
NO_ATTENTION: dict[str, Any] = dict.fromkeys(("num_attention_heads", "num_key_value_heads", "intermediate_size", "head_dim"))
MIXERS: dict[str, dict[str, Any]] = {
    "mamba2": NO_ATTENTION | {"num_heads": 4, "head_dim": 16},
    "mamba": NO_ATTENTION | {"intermediate_size": 64},
    "falcon_mamba": NO_ATTENTION | {"intermediate_size": 64},
    "jamba": {},
    "granitemoehybrid": {"mamba_n_heads": 4, "mamba_d_head": 16},
    "falcon_h1": {},
    "nemotron_h": {"hybrid_override_pattern": "M*"},
    "gemma3n": {"num_kv_shared_layers": 0},
    "gemma3n_text": {"num_kv_shared_layers": 0},
}
IN_FILES = {"rwkv7": "rwkv7"}  # of which no folders are read: tests/models/test_rwkv.py
HEARING = {"whisper": "whisper"}  # whose published configurations say all
SEEING = {
    "lfm2_vl": "lfm2_vl",
    "idefics3": "idefics3",
    "llava": "llava",
    "smolvlm": "idefics3",
    "qwen2_vl": "qwen2_vl",
    "qwen2_5_vl": "qwen2_5_vl",
    "qwen3_vl": "qwen3_vl",
    "qwen2_audio": "qwen2_audio",
    "voxtral": "voxtral",
}  # which nest others
DECODERS = {name: file for name, file in ARCHITECTURES.items() if name not in ENCODERS | HEARING | SEEING | IN_FILES}


def test_defaults_are_transformers() -> None:
    """Compared with its configuration classes: what an architecture may leave out has their value here."""
    transformers = pytest.importorskip("transformers")
    names = ("tie_word_embeddings", "rms_norm_eps", "layer_norm_eps", "logit_scale", "query_pre_attn_scalar", "hidden_act")
    names += ("attn_logit_softcapping", "final_logit_softcapping", "attention_multiplier", "use_parallel_residual")
    # They nest others; transformers has no class, or takes no head_dim or no RoPE.
    nesting = {"gemma3", "gemma3n", "gemma4", "gemma4_unified", "mistral3", "qwen3_5", "qwen3_5_moe"}
    nesting |= {*MIXERS} - {"granitemoehybrid", "falcon_h1", "gemma3n_text"}
    nesting |= {"mpt", "bloom", "opt", "gpt_bigcode", "gptj", "codegen"}  # test_older_configs.py
    for model_type in set(DECODERS) - nesting - {"internlm2", "minicpm", "falcon", "gpt2"}:
        given = {k: v for k, v in SIZES.items() if k != "max_position_embeddings"}
        if model_type in ("deepseek_v2", "deepseek_v3", "glm4_moe_lite", "youtu"):
            del given["head_dim"]  # which is qk_rope_head_dim
        given |= MIXERS.get(model_type, {})
        ours = read_config({"model_type": model_type, **given}, "config.json")
        theirs = transformers.AutoConfig.for_model(model_type, **given)
        assert ours.max_position_embeddings == theirs.max_position_embeddings
        for name in names:
            if hasattr(ours, name) and hasattr(theirs, name):
                assert getattr(ours, name) == getattr(theirs, name), (model_type, name)
        parameters = theirs.rope_parameters or {}
        rope = parameters.get("full_attention", parameters)
        width = 512 if model_type.startswith("gemma4") else int(16 * rope.get("partial_rotary_factor", 1.0))
        assert ours.rope.rotary == getattr(theirs, "qk_rope_head_dim", width), model_type
        assert ours.inv_freq[1] == pytest.approx(rope["rope_theta"] ** (-2 / ours.rope.rotary)), model_type
        if hasattr(ours, "windows") and hasattr(theirs, "layer_types"):
            slides = [kind == "sliding_attention" for kind in theirs.layer_types]
            assert ours.windows == tuple(theirs.sliding_window if s else None for s in slides), model_type


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"])
def test_sizes_are_not_guessed(key) -> None:
    refused(FormatError, f"{key} is missing", drop=(key,))


def test_heads_follow_from_other_sizes() -> None:
    config = read(drop=("num_key_value_heads", "head_dim"))
    assert (config.num_key_value_heads, config.head_dim) == (2, 16)
    assert read(num_key_value_heads=None, head_dim=None) == config


# --- mistyped --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("rms_norm_eps", None, "a number above 0"),
        ("rms_norm_eps", [1e-5], "a number above 0"),
        ("rms_norm_eps", 0, "a number above 0"),
        ("rms_norm_eps", float("nan"), "a number above 0"),
        ("rms_norm_eps", True, "a number above 0"),
        ("hidden_size", "32", "a positive whole number"),
        ("hidden_size", 32.5, "a positive whole number"),
        ("num_hidden_layers", 0, "a positive whole number"),
        ("num_attention_heads", -2, "a positive whole number"),
        ("vocab_size", True, "a positive whole number"),
        ("tie_word_embeddings", "false", "true or false"),
        ("tie_word_embeddings", 0, "true or false"),
        ("rope_theta", "x", "a number above 0"),
        ("rope_theta", [1], "a number above 0"),
        ("rope_scaling", "linear", "an object"),
        ("hidden_act", ["silu"], "one of"),
        ("max_position_embeddings", "4k", "a positive whole number"),
    ],
)
def test_a_mistyped_value_is_named(key, value, expected) -> None:
    refused(FormatError, key, expected, **{key: value})


@pytest.mark.parametrize(
    ("rope", "word"),
    [
        ({"rope_type": "linear", "factor": "4"}, "factor"),
        ({"rope_type": "linear", "factor": 0}, "factor"),
        ({"rope_type": "linear", "factor": None}, "factor"),
        ({"rope_type": "linear"}, "factor is missing"),
        ({"rope_type": ["linear"]}, "rope_type"),
        ({"rope_type": "yarn", "factor": "x"}, "factor"),
        ({"rope_type": "yarn", "factor": 4.0, "truncate": 1}, "truncate"),
        ({"rope_type": "yarn", "factor": 4.0, "rope_theta": 1.0}, "no frequencies"),
        ({"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 1}, "low_freq_factor"),
        ({"rope_type": "llama3", "factor": 8, "low_freq_factor": 1}, "high_freq_factor is missing"),
        ({"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [1.0] * 7}, "long_factor has 7"),
        ({"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": 3}, "long_factor"),
    ],
)
def test_mistyped_rope_is_named(rope, word) -> None:
    refused(FormatError, word, rope_parameters=rope)


@pytest.mark.parametrize("kind", ["dynamic", "proportional", "mrope", "new"])
def test_rope_kinds_that_are_not_known_are_named(kind) -> None:
    refused(UnsupportedModel, repr(kind), "yarn", rope_scaling={"type": kind, "factor": 2.0})


@pytest.mark.parametrize("value", [[4], "8", -1, 0, True])
def test_a_mistyped_window_is_named(value) -> None:
    refused(FormatError, "sliding_window", model_type="mistral", sliding_window=value)


@pytest.mark.parametrize("head_dim", [12, 264, 4])
def test_head_widths_that_no_kernel_has_are_named(head_dim) -> None:
    refused(UnsupportedModel, "head_dim", head_dim=head_dim)


def test_heads_in_no_whole_groups_are_named() -> None:
    refused(FormatError, "num_attention_heads 4", "num_key_value_heads 3", num_attention_heads=4, num_key_value_heads=3)


@pytest.mark.parametrize(
    ("kinds", "error"),
    [(["full_attention"], FormatError), ("full_attention", FormatError), (["full_attention", "conv"], UnsupportedModel)],
)
def test_layer_types_that_do_not_fit_are_named(kinds, error) -> None:
    refused(error, "layer_types", model_type="qwen2", layer_types=kinds)


# --- RoPE, old keys and new ------------------------------------------------------------------------------------------
def test_the_new_theta_outweighs_the_old() -> None:
    both = read(rope_theta=10000.0, rope_parameters={"rope_type": "default", "rope_theta": 500000.0})
    assert both.inv_freq == read(rope_theta=500000.0).inv_freq != read().inv_freq


def test_rope_scaling_outweighs_rope_parameters() -> None:
    linear = {"rope_type": "linear", "factor": 4.0}
    both = read(rope_scaling=linear, rope_parameters={"rope_type": "default", "rope_theta": 10000.0})
    assert both.inv_freq == read(rope_scaling=linear).inv_freq


def test_the_original_length_beside_outweighs_the_one_inside() -> None:
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    beside = read(rope_scaling={**llama3, "original_max_position_embeddings": 64}, original_max_position_embeddings=32)
    assert beside.inv_freq == read(rope_scaling={**llama3, "original_max_position_embeddings": 32}).inv_freq
    assert read(rope_scaling=llama3).inv_freq == read(rope_scaling={**llama3, "original_max_position_embeddings": 256}).inv_freq


def test_partial_rotation_is_for_those_that_have_it() -> None:
    assert read("stablelm", partial_rotary_factor=0.5).rope.rotary == 8
    assert read("stablelm", rope_parameters={"rope_type": "default", "partial_rotary_factor": 0.75}).rope.rotary == 12
    assert read("glm4").rope.rotary == 8
    refused(UnsupportedModel, "elements of a head turn", model_type="glm4", partial_rotary_factor=0.2)


def test_gemma3_has_two_tables() -> None:
    nested = {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default"},
    }
    new = read("gemma3_text", rope_parameters=nested)
    old = read("gemma3_text", rope_scaling={"rope_type": "linear", "factor": 8.0})
    assert new.rope == old.rope and new.sliding_rope == old.sliding_rope
    assert new.rope.inv_freq[0] == 1 / 8 and new.sliding_rope.inv_freq[0] == 1
    refused(UnsupportedModel, "rope_parameters.rope_type", model_type="gemma3_text", rope_parameters={"rope_type": "linear"})


# --- GGUF ------------------------------------------------------------------------------------------------------------
def gguf(
    arch: str = "llama", factors: dict[str, tuple[float, ...]] | None = None, drop: tuple[str, ...] = (), **keys: Any
) -> Any:
    """keys: '__' for '.'."""
    metadata = {
        "context_length": 256,
        "embedding_length": 32,
        "block_count": 2,
        "feed_forward_length": 48,
        "attention.head_count": 2,
        "attention.head_count_kv": 1,
        "attention.key_length": 16,
        "attention.value_length": 16,
        "rope.dimension_count": 16,
        "rope.freq_base": 10000.0,
        "attention.layer_norm_rms_epsilon": 1e-5,
        **{key.replace("__", "."): value for key, value in keys.items()},
    }
    named = {f"{arch}.{key}": value for key, value in metadata.items() if key not in drop}
    tensors = {"token_embd.weight": TensorInfo("token_embd.weight", "F32", (273, 32), 0, 0, 273 * 128)}
    module = load_architecture({"gptneox": "gpt_neox", "command-r": "cohere"}.get(arch, arch), "m.gguf")
    read_keys = config_from_gguf(
        {"general.architecture": arch, "general.name": "x", "tokenizer.ggml.model": "gpt2", **named},
        tensors,
        factors or {},
        getattr(module, "GGUF_KEYS", {}),
        "m.gguf",
        getattr(module, "GGUF_LISTS", ()),
    )
    return read_config(read_keys, "m.gguf")


def gguf_refused(error: type[Exception], *words: str, **options: Any) -> None:
    with pytest.raises(error) as caught:
        gguf(**options)
    for word in words:
        assert word in str(caught.value), caught.value


def test_gguf_keys_are_config_jsons() -> None:
    assert gguf() == read(rms_norm_eps=1e-5, tie_word_embeddings=True, attention_bias=None, mlp_bias=None)


@pytest.mark.parametrize(
    "key",
    [
        "attention.layer_norm_rms_epsilon", "context_length", "block_count", "attention.head_count", "embedding_length",
        "feed_forward_length",
    ],
)  # fmt: skip
def test_gguf_keys_are_required(key) -> None:
    gguf_refused(FormatError, f"llama.{key} is missing", drop=(key,))


@pytest.mark.parametrize(
    ("arch", "keys"),
    [
        ("granite", {"logit_scale": 2.0}),
        ("cohere2", {"attention__sliding_window": 9, "logit_scale": 0.5, "attention__layer_norm_epsilon": 1e-5}),
        ("gptneox", {"use_parallel_residual": False, "attention__layer_norm_epsilon": 1e-5}),
    ],
)
def test_gguf_keys_of_an_architecture_are_required(arch, keys) -> None:
    """As in llama.cpp: transformers' default is none of a GGUF file's."""
    others = () if arch == "granite" else ("attention.layer_norm_rms_epsilon", "attention.head_count_kv")
    assert gguf(arch, drop=others, **keys)
    for name in keys:
        key = name.replace("__", ".")
        gguf_refused(FormatError, f"{arch}.{key} is missing", arch=arch, drop=(*others, key), **keys)


def test_what_llamacpp_derives_is_derived() -> None:
    optional = (
        "attention.head_count_kv",
        "attention.key_length",
        "attention.value_length",
        "rope.freq_base",
        "rope.dimension_count",
    )
    config = gguf(drop=optional)
    assert (config.num_key_value_heads, config.head_dim, config.inv_freq) == (2, 16, gguf().inv_freq)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("expert_count", 8), ("expert_used_count", 2), ("attention.scale", 0.5), ("attn_logit_softcapping", 50.0),
        ("logit_scale", 0.25), ("residual_scale", 0.2), ("attention.sliding_window", 64), ("attention.causal", False),
        ("attention.value_length", 8), ("rope.dimension_count", 8), ("rope.dimension_sections", [1, 2, 3, 0]),
        ("attention.temperature_scale", 0.1), ("rope.scaling.alpha", 1000.0), ("some_new_key", 3),
        ("feed_forward_length", [48, 32]), ("attention.head_count_kv", [1, 2]), ("rope.freq_base_swa", 500.0),
    ],
)  # fmt: skip
def test_gguf_keys_that_nothing_reads_are_named(key, value) -> None:
    gguf_refused(UnsupportedModel, f"llama.{key}", **{key.replace(".", "__"): value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("expert_count", 0),
        ("vocab_size", 273),
        ("attention.sliding_window", 0),
        ("rope.scaling.finetuned", True),
        ("logit_scale", 1.0),
    ],
)
def test_gguf_keys_that_change_nothing_pass(key, value) -> None:
    assert gguf(**{key.replace(".", "__"): value}) == gguf()


@pytest.mark.parametrize(
    ("key", "value"), [("attention.head_count", [2, 2]), ("attention.head_count_kv", [1, 1]), ("feed_forward_length", [48, 48])]
)
def test_equal_numbers_for_each_layer_are_that_number(key, value) -> None:
    assert gguf(**{key.replace(".", "__"): value}) == gguf()
    gguf_refused(FormatError, key, **{key.replace(".", "__"): [*value, value[0]]})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rope.freq_base", [1.0, 2.0, 3.0]),
        ("rope.freq_base", "x"),
        ("rope.scaling.factor", -1.0),
        ("rope.scaling.type", 3),
        ("block_count", 2.0),
    ],
)
def test_mistyped_gguf_values_are_named(key, value) -> None:
    gguf_refused(FormatError, f"llama.{key}", **{key.replace(".", "__"): value})


QUARTER = {"rope__scaling__type": "linear", "rope__scaling__factor": 4.0}
YARN = {"rope__scaling__type": "yarn", "rope__scaling__factor": 4.0, "rope__scaling__original_context_length": 64}


def test_gguf_rope_scaling_is_llamacpps() -> None:
    quarter = gguf(**QUARTER)
    assert quarter.inv_freq == read(rope_scaling={"type": "linear", "factor": 4.0}).inv_freq
    assert gguf(rope__scale_linear=4.0) == gguf(rope__scaling__factor=4.0) == quarter
    assert gguf(rope__scaling__type="linear", rope__scaling__factor=0.0) == gguf()
    assert gguf(rope__scaling__type="none", rope__scaling__factor=4.0) == gguf()
    assert gguf(rope__scaling__factor=2.0, rope__scale_linear=4.0).inv_freq == gguf(rope__scaling__factor=2.0).inv_freq


def test_gguf_yarn_is_config_jsons() -> None:
    yarn = gguf(**YARN)
    like = read(rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64})
    assert (yarn.inv_freq, yarn.rope_scale) == (like.inv_freq, like.rope_scale)
    assert gguf(**YARN, rope__scaling__attn_factor=0.5).rope_scale == pytest.approx(like.rope_scale / 2)
    assert gguf(**YARN, rope__scaling__yarn_beta_fast=32.0, rope__scaling__yarn_beta_slow=1.0) == yarn


@pytest.mark.parametrize("key", ["beta_fast", "beta_slow", "ext_factor", "log_multiplier", "attn_factor"])
def test_yarn_keys_that_programs_read_differently_are_named(key) -> None:
    gguf_refused(UnsupportedModel, f"yarn_{key}", **YARN, **{f"rope__scaling__yarn_{key}": 8.0})


def test_rope_factors_divide() -> None:
    factors = tuple(float(i + 1) for i in range(8))
    divided = gguf(factors={"rope_freqs.weight": factors})
    assert divided.inv_freq == pytest.approx([f / g for f, g in zip(gguf().inv_freq, factors, strict=True)])
    gguf_refused(FormatError, "freq_factors", factors={"rope_freqs.weight": factors[:7]})
    gguf_refused(FormatError, "freq_factors", factors={"rope_freqs.weight": (0.0,) * 8})


def test_gguf_longrope() -> None:
    factors = {"rope_factors_long.weight": (4.0,) * 8, "rope_factors_short.weight": (2.0,) * 8}
    keys = {"rope__scaling__attn_factor": 1.19, "rope__scaling__original_context_length": 64}
    rope = gguf("phi3", factors=factors, **keys).rope
    assert isinstance(rope, LongRope)
    assert (rope.at(64).inv_freq[0], rope.at(65).inv_freq[0], rope.at(65).scale) == (0.5, 0.25, 1.19)


def test_gguf_partial_rotation() -> None:
    assert gguf("phi3", rope__dimension_count=12).rope.rotary == 12
    assert gguf("glm4", rope__dimension_count=8).rope.rotary == 8
    assert gguf("glm4", drop=("rope.dimension_count",)).rope.rotary == 16  # as llama.cpp: no default of the architecture


def test_gguf_gemma3() -> None:
    config = gguf("gemma3", attention__sliding_window=9, rope__freq_base=1e6, block_count=7, **QUARTER)
    assert config.windows == (9, 9, 9, 9, 9, None, 9)
    assert (config.rope.inv_freq[0], config.sliding_rope.inv_freq[0]) == (0.25, 1.0)
    assert gguf("gemma3").windows == (None, None)
    gguf_refused(UnsupportedModel, "gemma3.attn_logit_softcapping", arch="gemma3", attn_logit_softcapping=50.0)
    gguf_refused(UnsupportedModel, "gemma3.rope.scaling.attn_factor", arch="gemma3", rope__scaling__attn_factor=1.7)
    assert gguf("gemma2", attention__sliding_window=9, attention__sliding_window_pattern=[False, True]).windows == (None, 9)


def test_gguf_yarns_own_scale_is_none() -> None:
    """What YaRN has by itself, converters write as well."""
    assert gguf(**YARN, rope__scaling__yarn_attn_factor=1.138629) == gguf(**YARN)


def test_gguf_olmo3_calls_itself_olmo2() -> None:
    config = gguf("olmo2", attention__sliding_window=9, block_count=5, **YARN)
    assert config.windows == (9, 9, 9, None, 9)
    assert config.sliding_rope.inv_freq == gguf("olmo2").inv_freq != config.inv_freq
    pattern = [False, True, True, False, True]
    config = gguf("olmo2", attention__sliding_window=9, attention__sliding_window_pattern=pattern, block_count=5)
    assert config.windows == (None, 9, 9, None, 9)


def test_alpha_raises_the_base_of_dynamic_rope_alone() -> None:
    raised = read("hunyuan_v1_dense", rope_scaling={"type": "dynamic", "alpha": 50.0})
    assert raised.inv_freq == pytest.approx(read(rope_theta=10000.0 * 50.0 ** (16 / 14)).inv_freq)
    refused(UnsupportedModel, "dynamic", model_type="hunyuan_v1_dense", rope_scaling={"type": "dynamic", "factor": 2.0})
    refused(UnsupportedModel, "'yarn'", model_type="hunyuan_v1_dense", rope_scaling={"type": "yarn", "alpha": 50.0})


def test_gemma4s_layers_share_with_their_kind() -> None:
    kinds = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
    options = {"model_type": "gemma4_text", "num_hidden_layers": 4, "layer_types": kinds}
    config = read(
        **options, num_kv_shared_layers=2, use_double_wide_mlp=True, attention_k_eq_v=True, num_global_key_value_heads=2
    )
    assert config.mlp_sizes == (48, 48, 96, 96) and (config.num_key_value_heads, config.global_kv_heads) == (1, 2)
    assert sum(f > 0 for f in config.rope.inv_freq) == 64 and len(config.rope.inv_freq) == 256
    refused(FormatError, "num_kv_shared_layers", **options, num_kv_shared_layers=3)
    refused(FormatError, "num_experts is missing", **options, enable_moe_block=True)
    experts = {"enable_moe_block": True, "num_experts": 8, "top_k_experts": 2, "moe_intermediate_size": 64}
    assert read(**options, **experts).moe == Moe(8, 2, 64, True, (True,) * 4) and config.moe is None
    refused(UnsupportedModel, "use_bidirectional_attention", **options, use_bidirectional_attention="all")
    refused(UnsupportedModel, "global_head_dim", **options, global_head_dim=520)


def test_gemma3ns_gates_are_cut_by_deviations() -> None:
    """Of a normal distribution, as transformers has them; a GGUF file has the deviations themselves, none as minus infinity."""
    options = {"model_type": "gemma3n_text", "num_kv_shared_layers": 0}
    read_cuts = lambda *shares: read(**options, activation_sparsity_pattern=list(shares)).cuts  # noqa: E731
    assert read_cuts(0.95, 0.0) == (pytest.approx(1.6448533535), None)
    assert read(**options, num_hidden_layers=12).cuts == (pytest.approx(1.6448536),) * 10 + (None,) * 2
    assert read(**options).cuts == (None, None)
    refused(FormatError, "shares below 1", **options, activation_sparsity_pattern=[1.0, 0.0])
    refused(FormatError, "one for each layer", **options, activation_sparsity_pattern=[0.95])
    own = {"attention__sliding_window": 9, "embedding_length_per_layer_input": 8}
    assert gguf("gemma3n", **own, activation_sparsity_scale=[1.5, -math.inf]).cuts == (1.5, None)
    assert gguf("gemma3n", **own, block_count=24).num_kv_shared_layers == 4  # llama.cpp's


def test_gemma3ns_streams() -> None:
    options = {"model_type": "gemma3n_text", "num_kv_shared_layers": 0}
    assert (read(**options).streams, read(**options).active, read(**options).has_output_scale) == (4, 0, True)
    assert read(**options, intermediate_size=[48, 96]).mlp_sizes == (48, 96)
    refused(UnsupportedModel, "altup_num_inputs", **options, altup_num_inputs=1)
    refused(FormatError, "altup_active_idx", **options, altup_active_idx=4)


def test_what_of_gemma4_no_text_meets() -> None:
    """Keys of layers that attend to others', and what stands beside the language model."""
    kinds = ["sliding_attention", "full_attention"] * 2
    config = read("gemma4_text", num_hidden_layers=4, num_kv_shared_layers=2, layer_types=kinds)
    for name in ("model.language_model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_k_norm.weight"):
        assert [is_unused(config, name.format(i)) for i in range(4)] == [False, False, True, True]
    assert not is_unused(config, "blk.3.attn_q.weight")
    assert NO_WEIGHTS.search("model.embed_vision.embedding_projection.weight")


def test_gguf_granite_divides_its_logits() -> None:
    assert gguf("granite", logit_scale=8.0, embedding_scale=12.0).logits_scaling == 8.0
    gguf_refused(UnsupportedModel, "granite.rope.scaling.finetuned", arch="granite", rope__scaling__finetuned=False)


# --- architectures ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("model_type", "near"), [("qwen4_moe", "qwen3"), ("gemma5", "gemma"), ("phi4", "phi"), ("lama", "llama")]
)
def test_an_unknown_architecture_is_told_the_nearest(model_type, near) -> None:
    assert f"nearest known is '{near}" in refused(UnsupportedModel, model_type, model_type=model_type)


def test_a_file_is_an_architecture() -> None:
    names = (
        "apertus arcee cohere cohere2 deepseek_v2 deepseek_v3 ernie4_5 ernie4_5_moe exaone exaone4 falcon gemma gemma2"
        " gemma3 gemma3n gemma4 glm4 glm4_moe_lite gpt2 gpt_neox gpt_oss granite granitemoe hunyuan_v1_dense internlm2 lfm2"
        " falcon_h1 falcon_mamba granitemoehybrid jamba mamba mamba2 nemotron_h bitnet bloom codegen gpt_bigcode gptj mpt opt"
        " lfm2_moe llama minicpm ministral3 mistral mixtral nemotron olmo2 olmo3 olmoe phi phi3 qwen2 qwen2_moe qwen3"
        " qwen3_5 qwen3_5_moe qwen3_moe qwen3_next seed_oss smollm3 stablelm starcoder2 youtu mellum"
        " afmoe glm4_moe minimax_m2"
    )
    others = "gemma3_text gemma3n_text gemma4_text gemma4_unified gemma4_unified_text mistral3 qwen3_5_moe_text qwen3_5_text"
    assert set(DECODERS) == {*names.split(), *others.split()}
    assert {name: ARCHITECTURES[name] for name in ENCODERS} == ENCODERS  # tests/models/test_encoders.py
    assert {name: ARCHITECTURES[name] for name in IN_FILES} == IN_FILES
    assert {name: ARCHITECTURES[name] for name in HEARING} == HEARING  # tests/models/test_whisper.py
    assert {name: ARCHITECTURES[name] for name in SEEING} == SEEING  # tests/models/test_vision.py
    for name in ARCHITECTURES:
        module = load_architecture(name, "")
        words = ("Config", "read_config", *(("encode",) if name in ENCODERS else ("forward", "GGUF_NAMES", "PAIRED_IN")))
        assert all(hasattr(module, word) for word in words), name


@pytest.mark.parametrize("model_type", [None, 3, ["llama"], "../llama", "config"])
def test_no_architecture_at_all(model_type) -> None:
    refused(UnsupportedModel, "unknown architecture", model_type=model_type)


def test_each_architecture_is_one_small_file() -> None:
    folder = Path(load_architecture("llama", "").__file__).parent
    for name in set(ARCHITECTURES.values()):
        most = 150 if name in ENCODERS | IN_FILES else 130  # an encoder has a head of its own, RWKV two mixings
        most = 150 if hasattr(load_architecture(name, ""), "see") else most
        most = 170 if name in HEARING else most  # which are two models
        assert len((folder / f"{name}.py").read_text().splitlines()) <= most, name


def test_configurations_are_data(tmp_path) -> None:
    """What `show config` and the keys of kept Programs rely on."""
    from dataclasses import asdict

    for model_type in DECODERS:
        config = read(model_type, **MIXERS.get(model_type, {}))
        json.dumps(asdict(config))
        assert config.model_type and config.vocab_size == 273 and config.max_position_embeddings == 256
        assert repr(config) == repr(read(model_type, **MIXERS.get(model_type, {})))
