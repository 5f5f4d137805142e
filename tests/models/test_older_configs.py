"""Configurations of released models of older families, whole: nothing in them is refused, and they mean what they say."""

from typing import Any

import pytest

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.layout import TensorInfo
from fanlight.models import load_architecture
from fanlight.models.config import read_config
from fanlight.models.gguf_config import config_from_gguf
from fanlight.models.pooling import as_encoder
from scripts.golden import tiny_architectures
from tests.models.test_graphs import opened

ATTENTION = {
    "alibi": True,
    "alibi_bias_max": 16,
    "attn_impl": "torch",
    "attn_pdrop": 0,
    "attn_type": "multihead_attention",
    "attn_uses_sequence_id": False,
    "clip_qkv": 6,
    "prefix_lm": False,
    "qk_ln": False,
    "softmax_scale": None,
}
RELEASED: dict[str, dict[str, Any]] = {
    "mpt-7b-storywriter": {
        "architectures": ["MPTForCausalLM"], "attn_config": ATTENTION, "d_model": 4096, "emb_pdrop": 0,
        "embedding_fraction": 1.0, "expansion_ratio": 4, "init_config": {"init_std": None, "name": "kaiming_normal_"},
        "init_device": "cpu", "learned_pos_emb": True, "logit_scale": None, "max_seq_len": 65536, "model_type": "mpt",
        "n_heads": 32, "n_layers": 32, "no_bias": True, "norm_type": "low_precision_layernorm", "resid_pdrop": 0,
        "tokenizer_name": "EleutherAI/gpt-neox-20b", "torch_dtype": "bfloat16", "use_cache": False, "verbose": 0,
        "vocab_size": 50432,
    },
    "bloom-560m": {
        "apply_residual_connection_post_layernorm": False, "attention_dropout": 0.0, "attention_softmax_in_fp32": True,
        "architectures": ["BloomForCausalLM"], "bias_dropout_fusion": True, "bos_token_id": 1, "eos_token_id": 2,
        "hidden_dropout": 0.0, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "masked_softmax_fusion": True,
        "model_type": "bloom", "n_embed": 1024, "n_inner": None, "n_layer": 24, "num_attention_heads": 16, "offset_alibi": 100,
        "pad_token_id": 3, "pretraining_tp": 1, "skip_bias_add": True, "skip_bias_add_qkv": False, "slow_but_exact": False,
        "unk_token_id": 0, "use_cache": True, "vocab_size": 250880, "seq_length": 2048,
    },
    "falcon-rw-1b": {
        "alibi": True, "apply_residual_connection_post_layernorm": False, "architectures": ["FalconForCausalLM"],
        "attention_dropout": 0.0, "bias": True, "bos_token_id": 1, "eos_token_id": 2, "hidden_dropout": 0.0,
        "hidden_size": 2048, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "falcon",
        "multi_query": False, "new_decoder_architecture": False, "num_attention_heads": 32, "num_hidden_layers": 24,
        "parallel_attn": False, "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 50304,
    },
    "starcoder": {
        "activation_function": "gelu", "architectures": ["GPTBigCodeForCausalLM"], "attention_softmax_in_fp32": True,
        "attn_pdrop": 0.1, "bos_token_id": 0, "embd_pdrop": 0.1, "eos_token_id": 0, "inference_runner": 0,
        "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "max_batch_size": None, "max_sequence_length": None,
        "model_type": "gpt_bigcode", "multi_query": True, "n_embd": 6144, "n_head": 48, "n_inner": 24576, "n_layer": 40,
        "n_positions": 8192, "pad_key_length": True, "pre_allocate_kv_cache": False, "resid_pdrop": 0.1,
        "scale_attention_softmax_in_fp32": True, "scale_attn_weights": True, "summary_activation": None,
        "summary_first_dropout": 0.1, "summary_proj_to_labels": True, "summary_type": "cls_index", "use_cache": True,
        "validate_runner_input": True, "vocab_size": 49152,
    },
    "opt-350m": {
        "activation_dropout": 0.0, "activation_function": "relu", "architectures": ["OPTForCausalLM"], "attention_dropout": 0.0,
        "bos_token_id": 2, "do_layer_norm_before": False, "dropout": 0.1, "eos_token_id": 2, "ffn_dim": 4096,
        "hidden_size": 1024, "init_std": 0.02, "layerdrop": 0.0, "max_position_embeddings": 2048, "model_type": "opt",
        "num_attention_heads": 16, "num_hidden_layers": 24, "pad_token_id": 1, "prefix": "</s>", "torch_dtype": "float16",
        "use_cache": True, "vocab_size": 50272, "word_embed_proj_dim": 512,
    },
    "gpt-j-6b": {
        "activation_function": "gelu_new", "architectures": ["GPTJForCausalLM"], "attn_pdrop": 0.0, "bos_token_id": 50256,
        "embd_pdrop": 0.0, "eos_token_id": 50256, "gradient_checkpointing": False, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": "gptj", "n_embd": 4096, "n_head": 16, "n_inner": None, "n_layer": 28,
        "n_positions": 2048, "resid_pdrop": 0.0, "rotary": True, "rotary_dim": 64, "scale_attn_weights": True,
        "summary_activation": None, "summary_type": "cls_index", "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True}}, "tie_word_embeddings": False,
        "tokenizer_class": "GPT2Tokenizer", "use_cache": True, "vocab_size": 50400,
    },
    "codegen-350M-mono": {
        "activation_function": "gelu_new", "architectures": ["CodeGenForCausalLM"], "attn_pdrop": 0.0, "bos_token_id": 1,
        "embd_pdrop": 0.0, "eos_token_id": 50256, "gradient_checkpointing": False, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": "codegen", "n_ctx": 2048, "n_embd": 1024, "n_head": 16, "n_inner": None,
        "n_layer": 20, "n_positions": 2048, "resid_pdrop": 0.0, "rotary_dim": 32, "scale_attn_weights": True,
        "summary_type": "cls_index", "tie_word_embeddings": False, "torch_dtype": "float16", "use_cache": True,
        "vocab_size": 51200,
    },
    "bitnet-b1.58-2B-4T": {
        "architectures": ["BitNetForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 128000,
        "eos_token_id": 128001, "hidden_act": "relu2", "hidden_size": 2560, "initializer_range": 0.02,
        "intermediate_size": 6912, "max_position_embeddings": 4096, "model_type": "bitnet", "num_attention_heads": 20,
        "num_hidden_layers": 30, "num_key_value_heads": 5, "rms_norm_eps": 1e-05, "rope_theta": 500000.0,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 128256,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", RELEASED)
def test_released_configurations_are_read(name) -> None:
    assert read_config(RELEASED[name], "config.json").model_type == RELEASED[name]["model_type"]


@pytest.mark.parametrize("model_type", ["mpt", "bloom", "opt", "gpt_bigcode", "gptj", "codegen"])
def test_defaults_are_transformers(model_type) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoConfig.for_model(model_type)
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
    sizes = {name: getattr(theirs, name) for name in names} | {"intermediate_size": 4 * theirs.hidden_size}
    ours = read_config({"model_type": model_type, **sizes}, "config.json")
    assert ours.tie_word_embeddings == theirs.tie_word_embeddings
    assert ours.layer_norm_eps == getattr(theirs, "layer_norm_epsilon", 1e-5)
    longest = {"mpt": "max_seq_len", "bloom": ""}.get(model_type, "max_position_embeddings")
    assert ours.max_position_embeddings == getattr(theirs, longest, 2048)
    assert ours.hidden_act == getattr(theirs, "activation_function", {"mpt": "gelu", "bloom": "gelu_new"}.get(model_type))
    assert ours.rope.rotary == getattr(theirs, "rotary_dim", 0)


def test_they_mean_what_they_say() -> None:
    mpt = read_config(RELEASED["mpt-7b-storywriter"], "config.json")
    assert (mpt.alibi_bias_max, mpt.clip_qkv, mpt.intermediate_size, mpt.max_position_embeddings) == (16, 6, 16384, 65536)
    bloom = read_config(RELEASED["bloom-560m"], "config.json")
    assert (bloom.hidden_size, bloom.head_dim, bloom.max_position_embeddings) == (1024, 64, 2048)
    falcon = read_config(RELEASED["falcon-rw-1b"], "config.json")
    assert falcon.alibi and not falcon.parallel_attn and (falcon.num_key_value_heads, falcon.attention_bias) == (32, True)
    assert read_config(RELEASED["starcoder"], "config.json").num_key_value_heads == 1
    opt = read_config(RELEASED["opt-350m"], "config.json")
    assert (opt.word_embed_proj_dim, opt.do_layer_norm_before, opt.has_final_norm) == (512, False, False)
    assert read_config(RELEASED["gpt-j-6b"], "config.json").rope.rotary == 64
    assert read_config(RELEASED["bitnet-b1.58-2B-4T"], "config.json").head_dim == 128


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("mpt-7b-storywriter", {"attn_config": {**ATTENTION, "alibi": False}}, "attn_config.alibi is False; expected True"),
        ("mpt-7b-storywriter", {"attn_config": {**ATTENTION, "qk_ln": True}}, "attn_config.qk_ln is True"),
        ("mpt-7b-storywriter", {"attn_config": {**ATTENTION, "kv_n_heads": 4}}, "attn_config.kv_n_heads is 4"),
        ("mpt-7b-storywriter", {"logit_scale": "inv_sqrt_d_model"}, "logit_scale is 'inv_sqrt_d_model'"),
        ("mpt-7b-storywriter", {"no_bias": False}, "no_bias is False"),
        ("mpt-7b-storywriter", {"expansion_ratio": 3}, "expansion_ratio is 3"),
        ("mpt-7b-storywriter", {"norm_type": "rmsnorm"}, "norm_type is 'rmsnorm'"),
        ("bloom-560m", {"apply_residual_connection_post_layernorm": True}, "apply_residual_connection_post_layernorm is True"),
        ("starcoder", {"scale_attn_weights": False}, "scale_attn_weights is False"),
        ("opt-350m", {"layer_norm_elementwise_affine": False}, "layer_norm_elementwise_affine is False"),
        (
            "codegen-350M-mono",
            {"auto_map": {"AutoConfig": "configuration_codegen.CodeGenConfig"}},
            "auto_map is .*nothing here",
        ),
        ("bitnet-b1.58-2B-4T", {"head_dim": 64}, "head_dim is 64; expected 128"),
    ],
)
def test_what_would_change_the_numbers_is_named(name, change, words) -> None:
    with pytest.raises(UnsupportedModel, match=words):
        read_config({**RELEASED[name], **change}, "config.json")


def test_a_gguf_file_of_mpt_says_its_greatest_exponent_and_what_clips() -> None:
    keys = {"context_length": 256, "embedding_length": 32, "block_count": 2, "feed_forward_length": 128}
    keys |= {"attention.head_count": 2, "attention.layer_norm_epsilon": 1e-5}
    keys |= {"attention.max_alibi_bias": 16.0, "attention.clamp_kqv": 6.0}
    metadata = {"general.architecture": "mpt", **{f"mpt.{key}": value for key, value in keys.items()}}
    tensors = {"token_embd.weight": TensorInfo("token_embd.weight", "F32", (273, 32), 0, 0, 273 * 128)}
    own_keys = load_architecture("mpt", "m.gguf").GGUF_KEYS
    config = read_config(config_from_gguf(metadata, tensors, {}, own_keys, "m.gguf"), "m.gguf")
    assert (config.alibi_bias_max, config.clip_qkv) == (16, 6)
    metadata["mpt.attention.max_alibi_bias"] = 0.0  # positions are learned, then
    with pytest.raises(FormatError, match=r"mpt.attention.max_alibi_bias is 0.0, expected a number above 0"):
        read_config(config_from_gguf(metadata, tensors, {}, own_keys, "m.gguf"), "m.gguf")


def test_alibi_is_not_made_an_encoders(tmp_path) -> None:
    _, model = opened(tiny_architectures.make_checkpoint("mpt-published", tmp_path / "mpt"))
    with pytest.raises(UnsupportedModel, match="attention with ALiBi is not made one of an encoder"):
        as_encoder(model.graph(2, 2, 64).root, 2, is_causal=True)
