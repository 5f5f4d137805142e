"""Configurations of models with gated delta nets: as published, and as GGUF files have them."""

from typing import Any

import pytest

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.layout import TensorInfo
from fanlight.models import load_architecture, read_config
from fanlight.models.gguf_config import config_from_gguf, model_type_of

LINEAR, FULL = "linear_attention", "full_attention"
DELTA = {"linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_num_key_heads": 16}
MARKS = {"image_token_id": 248056, "video_token_id": 248057, "vision_start_token_id": 248053, "vision_end_token_id": 248054}
VISION = {"model_type": "qwen3_5", "depth": 12, "hidden_size": 768, "deepstack_visual_indexes": [], "out_hidden_size": 1024}


def text_of(model_type: str, layers: int, **keys: Any) -> dict[str, Any]:
    """As the files of Qwen3.5 have it."""
    mrope = {"mrope_interleaved": True, "mrope_section": [11, 11, 10]}
    return {
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attn_output_gate": True,
        "dtype": "bfloat16",
        "eos_token_id": 248044,
        "full_attention_interval": 4,
        "head_dim": 256,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "layer_types": [FULL if i % 4 == 3 else LINEAR for i in range(layers)],
        "linear_num_value_heads": 32,
        **DELTA,
        "mamba_ssm_dtype": "float32",
        "max_position_embeddings": 262144,
        "mlp_only_layers": [],
        "model_type": model_type,
        "mtp_num_hidden_layers": 1,
        "mtp_use_dedicated_embeddings": False,
        "num_attention_heads": 16,
        "num_hidden_layers": layers,
        "partial_rotary_factor": 0.25,
        "rms_norm_eps": 1e-06,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000000, "partial_rotary_factor": 0.25, **mrope},
        "use_cache": True,
        "vocab_size": 248320,
        **keys,
    }


def nested(model_type: str, is_tied: bool, text: dict[str, Any]) -> dict[str, Any]:
    return {"model_type": model_type, "tie_word_embeddings": is_tied, "text_config": text, "vision_config": VISION, **MARKS}


def dense(hidden: int, mlp: int, layers: int, kv_heads: int, **keys: Any) -> dict[str, Any]:
    sizes = {"hidden_size": hidden, "intermediate_size": mlp, "num_key_value_heads": kv_heads}
    return text_of("qwen3_5_text", layers, **sizes, **keys)


EXPERTS = {"hidden_size": 2048, "num_key_value_heads": 2, "num_experts": 256, "num_experts_per_tok": 8}
EXPERTS |= {"moe_intermediate_size": 512, "shared_expert_intermediate_size": 512, "router_aux_loss_coef": 0.001}
SMALL_HEADS = {"num_attention_heads": 8, "linear_num_value_heads": 16}
RELEASED = {
    "Qwen3.5-0.8B": nested("qwen3_5", True, dense(1024, 3584, 24, 2, **SMALL_HEADS, tie_word_embeddings=True)),
    "Qwen3.5-4B": nested("qwen3_5", True, dense(2560, 9216, 32, 4)),
    "Qwen3.5-9B": nested("qwen3_5", False, dense(4096, 12288, 32, 4)),
    "Qwen3.6-27B": nested(
        "qwen3_5", False, dense(5120, 17408, 64, 4, linear_num_value_heads=48, num_attention_heads=24, output_gate_type="swish")
    ),
    "Qwen3.5-35B-A3B": nested("qwen3_5_moe", False, text_of("qwen3_5_moe_text", 40, **EXPERTS)),
    "Qwen3-Next-80B-A3B": {
        "model_type": "qwen3_next",
        "decoder_sparse_step": 1,
        "full_attention_interval": 4,
        "head_dim": 256,
        "hidden_size": 2048,
        "intermediate_size": 5120,
        **DELTA,
        "linear_num_value_heads": 32,
        "max_position_embeddings": 262144,
        "mlp_only_layers": [],
        "moe_intermediate_size": 512,
        "norm_topk_prob": True,
        "num_attention_heads": 16,
        "num_experts": 512,
        "num_experts_per_tok": 10,
        "num_hidden_layers": 48,
        "num_key_value_heads": 2,
        "output_router_logits": False,
        "partial_rotary_factor": 0.25,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 10000000,
        "router_aux_loss_coef": 0.001,
        "shared_expert_intermediate_size": 512,
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "vocab_size": 151936,
    },
}


@pytest.mark.parametrize("name", RELEASED)
def test_released_configurations_are_read(name: str) -> None:
    given = RELEASED[name]
    config = read_config(given, "config.json")
    assert config.attends == tuple(i % 4 == 3 for i in range(config.num_hidden_layers))
    assert config.rope.rotary == 64
    assert config.net.keys == 2048
    assert config.tie_word_embeddings == given["tie_word_embeddings"]


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"attn_output_gate": False}, "attn_output_gate"),
        ({"output_gate_type": "sigmoid"}, "output_gate_type"),
        ({"linear_num_value_heads": 24}, "no multiple"),
        ({"layer_types": [LINEAR, "sliding_attention"] * 2}, "sliding_attention"),
        ({"linear_scale": 2.0}, "linear_scale"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings"),
    ],
)
def test_what_is_not_understood_is_named(changed: dict[str, Any], word: str) -> None:
    with pytest.raises((FormatError, UnsupportedModel), match=word):
        read_config(
            nested("qwen3_5", False, text_of("qwen3_5_text", 4, hidden_size=64, intermediate_size=96) | changed), "c.json"
        )


# --- GGUF ------------------------------------------------------------------------------------------------------------
def gguf(arch: str, drop: tuple[str, ...] = (), **keys: Any) -> Any:
    """keys: '__' for '.'."""
    given = {
        "context_length": 262144,
        "embedding_length": 2560,
        "feed_forward_length": 9216,
        "block_count": 33,
        "nextn_predict_layers": 1,
        "attention.head_count": 16,
        "attention.head_count_kv": 4,
        "attention.key_length": 256,
        "attention.value_length": 256,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.freq_base": 1e7,
        "rope.dimension_count": 64,
        "rope.dimension_sections": [11, 11, 10, 0],
        "full_attention_interval": 4,
        "ssm.conv_kernel": 4,
        "ssm.state_size": 128,
        "ssm.group_count": 16,
        "ssm.time_step_rank": 32,
        "ssm.inner_size": 4096,
        **{key.replace("__", "."): value for key, value in keys.items()},
    }
    metadata = {"general.architecture": arch, **{f"{arch}.{key}": value for key, value in given.items() if key not in drop}}
    tensors = {"token_embd.weight": TensorInfo("token_embd.weight", "F32", (248320, 2560), 0, 0, 0)}
    module = load_architecture(model_type_of(metadata), "m.gguf")
    return read_config(config_from_gguf(metadata, tensors, {}, module.GGUF_KEYS, "m.gguf", module.GGUF_LISTS), "m.gguf")


def test_layers_that_only_predict_ahead_are_none_of_the_models() -> None:
    config = gguf("qwen35")
    assert config.attends == tuple(i % 4 == 3 for i in range(32))
    assert config.num_hidden_layers == 32
    is_unused = load_architecture("qwen3_5", "").is_unused
    assert is_unused(config, "blk.32.nextn.eh_proj.weight")
    assert not is_unused(config, "blk.31.attn_q.weight")
    assert not is_unused(config, "blk.33.attn_q.weight")


def test_layers_are_as_their_list_says() -> None:
    recurrent = [True, False] * 2 + [False]
    config = gguf("qwen35", block_count=5, attention__recurrent_layers=recurrent)
    assert config.attends == (False, True, False, True)


@pytest.mark.parametrize(
    "key", ["ssm.conv_kernel", "ssm.state_size", "ssm.group_count", "ssm.time_step_rank", "ssm.inner_size"]
)
def test_what_llamacpp_requires_is_required(key: str) -> None:
    with pytest.raises(FormatError, match=key):
        gguf("qwen35", drop=(key,))


def test_files_with_experts_have_no_width_of_a_dense_mlp() -> None:
    sizes = {"expert_count": 256, "expert_used_count": 8, "expert_feed_forward_length": 512}
    config = gguf("qwen35moe", drop=("feed_forward_length",), **sizes)
    assert (config.moe.intermediate_size, config.shared_size) == (512, 512)
