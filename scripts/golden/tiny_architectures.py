"""Tiny random checkpoints of the architectures beyond Llama's own, and of windows and RoPE scalings that tiny_models lacks.

Drawn and written as tiny_models does.  Each config is written either as transformers 5 writes it or with the older keys of the
published files, whose gaps a reader has to fill with the architecture's defaults.  What could be forgotten is made to show:
windows end inside the prompt, multipliers are far from 1, softcaps are small, norm weights and biases are random, and
layers outnumber the period of their pattern."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import (
    tiny_bitnet,
    tiny_delta,
    tiny_dense,
    tiny_experts,
    tiny_gemma,
    tiny_mamba,
    tiny_models,
    tiny_moes,
    tiny_older,
    tiny_state,
)
from scripts.golden.llamacpp_rounding import round_to_q8_0
from scripts.golden.tiny_models import EOS_TOKEN_ID, draw_uniform, heads
from scripts.golden.tiny_parts import (
    FULL,
    GELU,
    SHARED,
    SILU,
    SLIDING,
    Shapes,
    TinyArchitecture,
    Tree,
    attention,
    default_rope,
    family,
    fused_mlp,
    gated_mlp,
    linear,
    norms,
    olmo2_layer,
    rising,
    widths,
)

LLAMA = family("Llama", "llama", rms_norm_eps=1e-5, tie_word_embeddings=False, **SILU)
MISTRAL = family("Mistral", "mistral", rms_norm_eps=1e-5, tie_word_embeddings=False, **SILU)
QWEN2 = family("Qwen2", "qwen2", rms_norm_eps=1e-6, tie_word_embeddings=False, use_sliding_window=True, **SILU)
QWEN3 = family("Qwen3", "qwen3", rms_norm_eps=1e-6, tie_word_embeddings=False, use_sliding_window=True, **SILU)
GEMMA = family("Gemma", "gemma", rms_norm_eps=1e-6, attention_bias=False)
GEMMA2 = family("Gemma2", "gemma2", rms_norm_eps=1e-6, attention_bias=False, cache_implementation="hybrid", **GELU)
GEMMA3 = family("Gemma3", "gemma3_text", rms_norm_eps=1e-6, attention_bias=False, **GELU)
PHI3 = family("Phi3", "phi3", rms_norm_eps=1e-5, attention_bias=False, **SILU)
OLMO2 = family("Olmo2", "olmo2", rms_norm_eps=1e-6, attention_bias=False, tie_word_embeddings=False, **SILU)
GRANITE = family("Granite", "granite", rms_norm_eps=1e-5, **SILU)
SMOLLM3 = family("SmolLM3", "smollm3", rms_norm_eps=1e-6, attention_bias=False, mlp_bias=False, **SILU)
STABLELM = family("StableLm", "stablelm", layer_norm_eps=1e-5, tie_word_embeddings=False, **SILU)
GPT_NEOX = family("GPTNeoX", "gpt_neox", layer_norm_eps=1e-5, tie_word_embeddings=False, hidden_act="gelu")
ARCEE = family("Arcee", "arcee", rms_norm_eps=1e-5, tie_word_embeddings=False, hidden_act="relu2")
COHERE = family("Cohere", "cohere", layer_norm_eps=1e-5, attention_bias=False, **SILU)
COHERE2 = family("Cohere2", "cohere2", layer_norm_eps=1e-5, attention_bias=False, **SILU)
GLM4 = family("Glm4", "glm4", rms_norm_eps=1e-5, tie_word_embeddings=False, **SILU)


# What google/gemma-3-4b-it's text_config leaves out: the reader must know it.
GEMMA3_DEFAULTS = {
    **heads(8, 4, 256),
    "rms_norm_eps": 1e-6,
    "query_pre_attn_scalar": 256,
    "attention_bias": False,
    "tie_word_embeddings": True,
}
VISION = {
    "model_type": "siglip_vision_model",
    "hidden_size": 8,
    "image_size": 16,
    "intermediate_size": 12,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "patch_size": 8,
    "vision_use_head": False,
}
GEMMA3_WRAPPER = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "model_type": "gemma3",
    "boi_token_index": 268,
    "eoi_token_index": 269,
    "image_token_index": 270,
    "mm_tokens_per_image": 4,
    "initializer_range": 0.02,
    "eos_token_id": [EOS_TOKEN_ID, 0],
    "vision_config": VISION,
}

CASES: dict[str, TinyArchitecture] = {
    "gemma-published": TinyArchitecture(
        {**GEMMA, **heads(3, 1, 40), "hidden_size": 98, "vocab_size": 257, "hidden_act": "gelu"}
        | {"rope_theta": 10000.0, "rope_scaling": None},
        about="the first release's keys: gelu means its tanh form, no word of tying; one key head",
    ),
    "gemma-groups1": TinyArchitecture(
        {**GEMMA, **heads(4, 4, 24), "hidden_size": 102, "intermediate_size": 61, "hidden_act": "gelu_pytorch_tanh"}
        | {"tie_word_embeddings": True, **default_rope(1234.0)},
        about="groups of 1; an odd intermediate size; a theta that shows",
    ),
    "gemma2-published": TinyArchitecture(
        {**GEMMA2, **heads(4, 2, 24), "hidden_size": 100, "num_hidden_layers": 4, "hidden_act": "gelu_pytorch_tanh"}
        | {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 11}
        | {"sliding_window": 9, "rope_theta": 10000.0},
        about="both softcaps; windows of 9 on the even layers, which no key says",
    ),
    "gemma2-layer-types": TinyArchitecture(
        {**GEMMA2, **heads(6, 1, 32), "hidden_size": 102, "num_hidden_layers": 5, "tie_word_embeddings": True}
        | {"attn_logit_softcapping": None, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 40, "sliding_window": 6}
        | {"layer_types": [FULL, SLIDING, SLIDING, FULL, SLIDING], **default_rope(500.0)},
        dtype="BF16",
        about="windows by layer_types, against the usual order; no attention softcap; BF16",
    ),
    "gemma2-usual-scale": TinyArchitecture(
        {**GEMMA2, **heads(4, 1, 24), "num_hidden_layers": 3, "hidden_act": "gelu_pytorch_tanh", "rope_theta": 10000.0}
        | {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 24, "sliding_window": 7},
        about="the scale of the 2B and the 9B, which a GGUF file does not carry",
    ),
    "gemma3-published": TinyArchitecture(
        {**GEMMA3, **heads(4, 1, 24), "hidden_size": 100, "intermediate_size": 90, "num_hidden_layers": 7}
        | {"attn_logit_softcapping": None, "final_logit_softcapping": None, "query_pre_attn_scalar": 11}
        | {"sliding_window": 9, "sliding_window_pattern": 6, "cache_implementation": "hybrid"}
        | {"rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "rope_scaling": None, "eos_token_id": [EOS_TOKEN_ID, 0]},
        about="as the 1B: windows by sliding_window_pattern, two thetas",
    ),
    "gemma3-rope-parameters": TinyArchitecture(
        {**GEMMA3, **heads(6, 2, 32), "hidden_size": 102, "num_hidden_layers": 4, "tie_word_embeddings": True}
        | {"query_pre_attn_scalar": 40, "sliding_window": 12, "_sliding_window_pattern": 3}
        | {"layer_types": [SLIDING, SLIDING, FULL, SLIDING], "use_bidirectional_attention": False}
        | {
            "rope_parameters": {
                FULL: {"rope_type": "linear", "factor": 8.0, "rope_theta": 5000.0},
                SLIDING: {"rope_type": "default", "rope_theta": 300.0},
            }
        },
        about="RoPE by kind of layer, linear scaling on the full ones only",
    ),
    "gemma3-usual-scale": TinyArchitecture(
        {**GEMMA3, **heads(4, 2, 24), "hidden_size": 64, "intermediate_size": 90, "num_hidden_layers": 7}
        | {"query_pre_attn_scalar": 24, "sliding_window": 9, "sliding_window_pattern": 6}
        | {"rope_theta": 50000.0, "rope_local_base_freq": 1000.0, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}},
        about="linear scaling by the older key; the scale that a GGUF file does not carry",
    ),
    "gemma3-wrapper-published": TinyArchitecture(
        {
            **GEMMA3_WRAPPER,
            "text_config": {"model_type": "gemma3_text", "vocab_size": 271, "hidden_size": 40, "intermediate_size": 61}
            | {"num_hidden_layers": 6, "sliding_window": 9, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}},
        },
        dtype="BF16",
        about="as the 4B: a vision model beside the text model, whose config says no more than differs from the defaults",
    ),
    "gemma3-wrapper": TinyArchitecture(
        {
            **GEMMA3_WRAPPER,
            "tie_word_embeddings": True,
            "text_config": {**SHARED, **GEMMA3, **heads(2, 1, 40), "vocab_size": 271, "num_hidden_layers": 3}
            | {"query_pre_attn_scalar": 20, "sliding_window": 9, "tie_word_embeddings": True}
            | {"layer_types": [SLIDING, FULL, SLIDING]}
            | {
                "rope_parameters": {
                    FULL: {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
                    SLIDING: {"rope_type": "default", "rope_theta": 10000.0},
                }
            },
        },
        about="the same nesting as transformers 5 has it: names under model.language_model",
    ),
    "phi3-short": TinyArchitecture(
        {**PHI3, **heads(3, 1), "num_hidden_layers": 2, "original_max_position_embeddings": 256, "rope_theta": 10000.0}
        | {"rope_scaling": {"type": "longrope", "short_factor": rising(16, 1.0, 0.15), "long_factor": rising(16, 2.0, 0.7)}}
        | {"sliding_window": 262144, "tie_word_embeddings": False, "max_position_embeddings": 1024},
        about="all stays within the original context: short factors, but longrope's scale on cos and sin",
    ),
    "phi3-long": TinyArchitecture(
        {**PHI3, **heads(2, 2), "num_hidden_layers": 2, "original_max_position_embeddings": 32, "rope_theta": 10000.0}
        | {
            "rope_scaling": {
                "rope_type": "longrope",
                "short_factor": rising(24, 1.0, 0.15),
                "long_factor": rising(24, 1.3, 0.4),
            }
        }
        | {"hidden_size": 96, "sliding_window": None, "tie_word_embeddings": False},
        prompt_length=61,
        first_position=32,
        about="a prompt beyond the original context: long factors from its first token on",
    ),
    "phi3-mini4": TinyArchitecture(
        {**PHI3, **heads(3, 1), "hidden_size": 120, "original_max_position_embeddings": 128, "max_position_embeddings": 4096}
        | {"partial_rotary_factor": 0.75, "tie_word_embeddings": True, "sliding_window": 262144, "vocab_size": 257}
        | {
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.75,
                "original_max_position_embeddings": 128,
                "short_factor": rising(15, 1.0, 0.2),
                "long_factor": rising(15, 1.5, 0.6),
            }
        },
        about="as Phi-4-mini: 30 of 40 elements turn; tied",
    ),
    "phi3-blocks": TinyArchitecture(
        {**PHI3, **heads(3, 1), "intermediate_size": 160, "partial_rotary_factor": 0.75, "tie_word_embeddings": True}
        | {"rope_scaling": {"type": "longrope", "short_factor": rising(12, 1.0, 0.2), "long_factor": rising(12, 1.5, 0.6)}}
        | {"original_max_position_embeddings": 256, "max_position_embeddings": 1024, "rope_theta": 10000.0}
        | {"sliding_window": None},
        in_blocks=True,
    ),
    "phi3-window": TinyArchitecture(
        {**PHI3, **heads(4, 2), "rope_scaling": None, "rope_theta": 10000.0, "sliding_window": 9}
        | {"original_max_position_embeddings": 512, "tie_word_embeddings": False},
        about="as Phi-3-mini-4k: no factors, a window on every layer",
    ),
    "olmo2-groups1": TinyArchitecture(
        {**OLMO2, **heads(3, 3), "rope_theta": 500000.0, "rope_scaling": None},
        about="norms after the branches; q and k normalised over all heads at once",
    ),
    "olmo2-groups4": TinyArchitecture({**OLMO2, **heads(4, 1), "hidden_size": 160, **default_rope(3000.0)}, dtype="BF16"),
    "granite-published": TinyArchitecture(
        {**GRANITE, **heads(4, 1), "rope_theta": 10000.0, "rope_scaling": None, "tie_word_embeddings": True}
        | {"embedding_multiplier": 3.0, "residual_multiplier": 0.45, "attention_multiplier": 0.35, "logits_scaling": 4.0}
        | {"attention_bias": False, "mlp_bias": False},
        about="the four multipliers; tied",
    ),
    "granite-bias": TinyArchitecture(
        {**GRANITE, **heads(3, 3, 40), "hidden_size": 102, **default_rope(700.0), "tie_word_embeddings": False}
        | {"embedding_multiplier": 5.0, "residual_multiplier": 1.3, "attention_multiplier": 0.08, "logits_scaling": 0.5}
        | {"attention_bias": True, "mlp_bias": True},
        about="biases everywhere; multipliers on the other side of 1",
    ),
    "arcee-plain": TinyArchitecture(
        {**ARCEE, **heads(4, 2, 24), "hidden_size": 100, **default_rope(700.0), "attention_bias": False, "mlp_bias": False},
        about="an MLP without a gate, of squared ReLU",
    ),
    "smollm3-published": TinyArchitecture(
        {**SMOLLM3, **heads(4, 1), "num_hidden_layers": 5, "rope_theta": 50000.0, "rope_scaling": None}
        | {"no_rope_layers": [1, 1, 1, 0, 1], "no_rope_layer_interval": 4, "layer_types": [FULL] * 5}
        | {"sliding_window": None, "use_sliding_window": False, "max_window_layers": 28},
        about="the fourth layer does not turn; no word of tying",
    ),
    "smollm3-interval": TinyArchitecture(
        {**SMOLLM3, **heads(3, 3, 40), "hidden_size": 102, "num_hidden_layers": 4, "no_rope_layer_interval": 3}
        | {"tie_word_embeddings": False, **default_rope(2000.0)},
        about="unturned layers by their interval alone",
    ),
    "smollm3-list": TinyArchitecture(
        {**SMOLLM3, **heads(6, 2, 24), "num_hidden_layers": 3, "no_rope_layers": [0, 1, 0], "no_rope_layer_interval": 4}
        | {"tie_word_embeddings": True, **default_rope(2000000.0)},
        about="the list against the interval",
    ),
    "stablelm-sequential": TinyArchitecture(
        {**STABLELM, **heads(3, 3), "hidden_size": 120, "rope_theta": 10000.0, "partial_rotary_factor": 0.25}
        | {"use_qkv_bias": True, "qk_layernorm": False, "use_parallel_residual": False, "rope_scaling": None},
        about="as StableLM 2 1.6B: 10 of 40 elements turn; biases on q, k, v",
    ),
    "stablelm-parallel": TinyArchitecture(
        {**STABLELM, **heads(4, 2), "use_qkv_bias": False, "qk_layernorm": True, "use_parallel_residual": True}
        | default_rope(10000.0, partial_rotary_factor=0.5),
        about="as the 12B: one norm for both branches, a LayerNorm of its own for each head",
    ),
    "stablelm-blocks": TinyArchitecture(
        {**STABLELM, **heads(4, 2), "intermediate_size": 160, "rope_theta": 10000.0, "partial_rotary_factor": 0.25}
        | {"use_qkv_bias": True, "qk_layernorm": False, "use_parallel_residual": False, "rope_scaling": None},
        in_blocks=True,
    ),
    "gpt_neox-parallel": TinyArchitecture(
        {**GPT_NEOX, "num_attention_heads": 4, "rotary_pct": 0.25, "rotary_emb_base": 10000, "use_parallel_residual": True},
        about="as Pythia: 6 of 24 elements turn; buffers among the tensors",
    ),
    "gpt_neox-sequential": TinyArchitecture(
        {**GPT_NEOX, "num_attention_heads": 3, "hidden_size": 120, "intermediate_size": 61, "use_parallel_residual": False}
        | {"attention_bias": True, **default_rope(3000.0, partial_rotary_factor=1.0)},
        about="as RedPajama: the branches in turn, the whole head turns",
    ),
    "gpt_neox-blocks": TinyArchitecture(
        {**GPT_NEOX, "num_attention_heads": 4, "intermediate_size": 160, "use_parallel_residual": False}
        | {"rotary_pct": 0.25, "rotary_emb_base": 10000},
        in_blocks=True,
    ),
    "cohere-published": TinyArchitecture(
        {**COHERE, **heads(6, 2), "hidden_size": 144, "rope_theta": 8000.0, "logit_scale": 0.25, "use_qk_norm": False},
        about="LayerNorm without bias, parallel branches, neighbours turn together; no word of tying",
    ),
    "cohere-qk-norm": TinyArchitecture(
        {**COHERE, **heads(4, 1), "logit_scale": 3.0, "use_qk_norm": True, "tie_word_embeddings": True, **default_rope(900.0)},
        about="as Command R+: a LayerNorm of its own for each head",
    ),
    "cohere2-published": TinyArchitecture(
        {**COHERE2, **heads(4, 2, 24), "num_hidden_layers": 5, "rope_theta": 5000.0, "logit_scale": 0.25}
        | {
            "sliding_window": 9,
            "sliding_window_pattern": 4,
            "rotary_pct": 1.0,
            "order_of_interleaved_layers": "local_attn_first",
        }
        | {"position_embedding_type": "rope_gptj", "use_embedding_sharing": True, "use_gated_activation": True}
        | {"use_parallel_block": True, "use_parallel_embedding": True, "cache_implementation": "hybrid"},
        about="windows with RoPE on three layers, then a full one without",
    ),
    "cohere2-layer-types": TinyArchitecture(
        {**COHERE2, **heads(3, 1), "num_hidden_layers": 3, "logit_scale": 2.0, "tie_word_embeddings": True}
        | {"sliding_window": 14, "layer_types": [FULL, SLIDING, FULL], **default_rope(600.0)},
        about="the kinds of layers by layer_types",
    ),
    "glm4-published": TinyArchitecture(
        {**GLM4, **heads(4, 2, 40), "rope_theta": 10000.0, "rope_scaling": None, "partial_rotary_factor": 0.5}
        | {"attention_bias": True, "eos_token_id": [EOS_TOKEN_ID, 0]},
        about="norms before and after the branches; neighbours turn together, 20 of 40; gate and up in one matrix",
    ),
    "glm4-plain": TinyArchitecture(
        {**GLM4, **heads(3, 3, 24), "hidden_size": 98, "intermediate_size": 61, "attention_bias": False}
        | default_rope(700.0, partial_rotary_factor=1.0),
        about="as the 32B, without biases; an odd intermediate size; the whole head turns",
    ),
    "glm4-blocks": TinyArchitecture(
        {**GLM4, **heads(4, 2, 40), "intermediate_size": 160, "rope_theta": 10000.0, "rope_scaling": None}
        | {"partial_rotary_factor": 0.5, "attention_bias": True},
        in_blocks=True,
    ),
    "mistral-window-short": TinyArchitecture(
        {**MISTRAL, **heads(3, 1, 40), "hidden_size": 102, "rope_theta": 10000.0, "sliding_window": 9},
        about="a window that ends inside the prompt, on every layer",
    ),
    "mistral-nemo": TinyArchitecture(
        {**MISTRAL, **heads(4, 2, 32), "hidden_size": 100, "rope_theta": 1000000.0, "sliding_window": None},
        about="heads that are wider than their share of the hidden size; no window",
    ),
    "mistral-window-blocks": TinyArchitecture(
        {**MISTRAL, **heads(4, 2, 24), "num_hidden_layers": 2, **default_rope(1000.0), "sliding_window": 70},
        prompt_length=200,
        about="a window and a prompt of several KV blocks and prefill chunks",
    ),
    "qwen2-max-window-layers": TinyArchitecture(
        {**QWEN2, **heads(4, 1), "num_hidden_layers": 3, "rope_theta": 1000000.0, "sliding_window": 9, "max_window_layers": 1},
        about="the first max_window_layers layers are full, the others have windows",
    ),
    "qwen2-layer-types": TinyArchitecture(
        {**QWEN2, **heads(6, 2), "sliding_window": 13, "max_window_layers": 28, "layer_types": [SLIDING, FULL, SLIDING]}
        | default_rope(2000.0),
        about="layer_types outweigh max_window_layers",
    ),
    "qwen3-max-window-layers": TinyArchitecture(
        {**QWEN3, **heads(3, 1, 40), "rope_theta": 1000000.0, "sliding_window": 9, "max_window_layers": 2}
        | {"attention_bias": False},
    ),
    "qwen3-layer-types": TinyArchitecture(
        {**QWEN3, **heads(4, 2, 32), "sliding_window": 13, "layer_types": [FULL, SLIDING, FULL], "attention_bias": False}
        | {"max_window_layers": 28, **default_rope(2000.0)},
    ),
    "llama-yarn": TinyArchitecture(
        {**LLAMA, **heads(4, 2, 64), "num_hidden_layers": 2, "rope_theta": 10000.0, "max_position_embeddings": 128}
        | {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}},
        about="YaRN with nothing but its factor",
    ),
    "llama-yarn-betas": TinyArchitecture(
        {**LLAMA, **heads(3, 1, 64), "num_hidden_layers": 2, "rope_theta": 10000.0, "max_position_embeddings": 4096}
        | {
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 16.0,
                "original_max_position_embeddings": 256,
                "beta_fast": 8.0,
                "beta_slow": 0.5,
                "attention_factor": 0.8,
            }
        },
        about="other betas; a scale of its own",
    ),
    "llama-yarn-mscale": TinyArchitecture(
        {**LLAMA, **heads(4, 1, 64), "num_hidden_layers": 2, "max_position_embeddings": 4096}
        | {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 10000.0,
                "factor": 16.0,
                "original_max_position_embeddings": 256,
                "beta_fast": 8.0,
                "beta_slow": 0.5,
                "mscale": 1.0,
                "mscale_all_dim": 0.5,
            }
        },
        about="the scale on cos and sin from a quotient; other betas",
    ),
    "llama-yarn-exact": TinyArchitecture(
        {**LLAMA, **heads(2, 2, 64), "num_hidden_layers": 2, "rope_theta": 1000.0, "max_position_embeddings": 256}
        | {
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 8.0,
                "original_max_position_embeddings": 32,
                "attention_factor": 0.8,
                "truncate": False,
            }
        },
        about="the ramp between unrounded ends; a scale of its own",
    ),
    **tiny_dense.CASES,
    **tiny_older.CASES,
    **tiny_bitnet.CASES,
    **tiny_experts.CASES,
    **tiny_moes.CASES,
    **tiny_gemma.CASES,
    **tiny_state.CASES,
    **tiny_delta.CASES,
    **tiny_mamba.CASES,
}


def config_of(name: str) -> dict[str, Any]:
    """What config.json of the case holds."""
    case = CASES[name]
    shared = {} if "text_config" in case.config else SHARED
    torch_names = {"F32": "float32", "BF16": "bfloat16"}
    dtype_key = "dtype" if "rope_parameters" in case.config else "torch_dtype"
    return {**shared, **case.config, dtype_key: torch_names[case.dtype]}


def text_config_of(name: str) -> dict[str, Any]:
    """What the language model goes by, with the defaults that the file may leave out."""
    config = config_of(name)
    defaults = GEMMA3_DEFAULTS if config["model_type"] == "gemma3" else {}
    return {**defaults, **config["text_config"]} if "text_config" in config else config


def num_text_ids(name: str) -> int:
    """How many ids mean text: those from there on are the marks of images."""
    return config_of(name).get("boi_token_index", text_config_of(name)["vocab_size"])


# ---- shapes


def llama_layer(config: dict[str, Any]) -> Shapes:
    attention_bias = config.get("attention_bias", False)
    yield from norms(config["hidden_size"], "input_layernorm", "post_attention_layernorm")
    yield from attention(config, attention_bias or config["model_type"] == "qwen2", attention_bias)
    yield from gated_mlp(config, config.get("mlp_bias", False))
    if config["model_type"] == "qwen3":
        yield from norms(widths(config)[0], "self_attn.q_norm", "self_attn.k_norm")


def arcee_layer(config: dict[str, Any]) -> Shapes:
    yield from (part for part in llama_layer(config) if "gate_proj" not in part[0])


def gemma2_layer(config: dict[str, Any]) -> Shapes:
    around_mlp = ("pre_feedforward_layernorm", "post_feedforward_layernorm")
    yield from norms(config["hidden_size"], "input_layernorm", "post_attention_layernorm", *around_mlp)
    yield from attention(config)
    yield from gated_mlp(config)
    if config["model_type"] == "gemma3_text":
        yield from norms(widths(config)[0], "self_attn.q_norm", "self_attn.k_norm")


def phi3_layer(config: dict[str, Any]) -> Shapes:
    hidden, (_, query, key_value) = config["hidden_size"], widths(config)
    yield from norms(hidden, "input_layernorm", "post_attention_layernorm")
    yield from linear("self_attn.qkv_proj", query + 2 * key_value, hidden)
    yield from linear("self_attn.o_proj", hidden, query)
    yield from fused_mlp(config)


def stablelm_layer(config: dict[str, Any]) -> Shapes:
    hidden, head_dim = config["hidden_size"], widths(config)[0]
    yield from norms(hidden, "input_layernorm", has_bias=True)
    if not config["use_parallel_residual"]:
        yield from norms(hidden, "post_attention_layernorm", has_bias=True)
    yield from attention(config, config["use_qkv_bias"])
    yield from gated_mlp(config)
    if config["qk_layernorm"]:
        for side, count in (("q", config["num_attention_heads"]), ("k", config["num_key_value_heads"])):
            yield from norms(head_dim, *(f"self_attn.{side}_layernorm.norms.{head}" for head in range(count)))


def gpt_neox_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    yield from norms(hidden, "input_layernorm", "post_attention_layernorm", has_bias=True)
    yield from linear("attention.query_key_value", 3 * hidden, hidden, True)
    yield from linear("attention.dense", hidden, hidden, True)
    yield from linear("mlp.dense_h_to_4h", mlp, hidden, True)
    yield from linear("mlp.dense_4h_to_h", hidden, mlp, True)


def cohere_layer(config: dict[str, Any]) -> Shapes:
    yield from norms(config["hidden_size"], "input_layernorm")
    yield from attention(config)
    yield from gated_mlp(config)
    if config.get("use_qk_norm"):
        head_dim = widths(config)[0]
        yield "self_attn.q_norm.weight", (config["num_attention_heads"], head_dim)
        yield "self_attn.k_norm.weight", (config["num_key_value_heads"], head_dim)


def glm4_layer(config: dict[str, Any]) -> Shapes:
    after = ("post_self_attn_layernorm", "post_mlp_layernorm")
    yield from norms(config["hidden_size"], "input_layernorm", "post_attention_layernorm", *after)
    yield from attention(config, config["attention_bias"])
    yield from fused_mlp(config)


LAYERS: dict[str, Callable[[dict[str, Any]], Shapes]] = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "granite", "smollm3"), llama_layer),
    **dict.fromkeys(("gemma2", "gemma3_text"), gemma2_layer),
    "arcee": arcee_layer,
    "phi3": phi3_layer,
    "olmo2": olmo2_layer,
    "stablelm": stablelm_layer,
    "gpt_neox": gpt_neox_layer,
    **dict.fromkeys(("cohere", "cohere2"), cohere_layer),
    "glm4": glm4_layer,
    **tiny_dense.LAYERS,
    **tiny_older.LAYERS,
    "bitnet": tiny_bitnet.layer,
    **tiny_experts.LAYERS,
    **tiny_moes.LAYERS,
    **tiny_gemma.LAYERS,
    **tiny_state.LAYERS,
    **tiny_delta.LAYERS,
    **tiny_mamba.LAYERS,
}
TIED_BY_DEFAULT = ("gemma", "gemma2", "gemma3_text", "cohere", "cohere2", "smollm3")
TIED_BY_DEFAULT += (
    *tiny_dense.TIED_BY_DEFAULT,
    *tiny_older.TIED_BY_DEFAULT,
    *tiny_state.TIED_BY_DEFAULT,
    *tiny_mamba.TIED_BY_DEFAULT,
    *tiny_gemma.PLAIN_NORMS,
)


def is_tied(config: dict[str, Any]) -> bool:
    return config.get("tie_word_embeddings", config["model_type"] in TIED_BY_DEFAULT)


TREES = {
    "stablelm": Tree(norm_has_bias=True),
    "gpt_neox": Tree("gpt_neox.layers", "gpt_neox.embed_in", "gpt_neox.final_layer_norm", "embed_out", norm_has_bias=True),
    **tiny_dense.TREES,
    **tiny_older.TREES,
    **tiny_state.TREES,
    **tiny_mamba.TREES,
}


def text_shapes(config: dict[str, Any]) -> Shapes:
    """Every tensor of the language model under its Hugging Face name."""
    hidden, vocab, tree = config["hidden_size"], config["vocab_size"], TREES.get(config["model_type"], Tree())
    yield f"{tree.embedding}.weight", (vocab, config.get("word_embed_proj_dim", hidden))
    if tree.positions:
        yield f"{tree.positions}.weight", (config["max_position_embeddings"] + 2 * (config["model_type"] == "opt"), hidden)
    yield from norms(hidden, *filter(None, [tree.embedding_norm]), has_bias=True)
    for layer in range(config["num_hidden_layers"]):
        for part, shape in LAYERS[config["model_type"]]({**config, "layer": layer}):
            yield f"{tree.layers}.{layer}.{part}", shape
    yield from tiny_gemma.beside_layers(config)
    yield from tiny_older.beside_layers(config)
    if config.get("do_layer_norm_before", True) and not config.get("_remove_final_layer_norm"):
        yield from norms(hidden, tree.norm, has_bias=tree.norm_has_bias)
    if not is_tied(config):
        yield from linear(tree.head, vocab, hidden, tree.head_has_bias)


# ---- numbers


# Peaked attention makes the next token hang on the whole prompt, not on the last token alone: else greedy ids run in circles.
PEAKED = ("q_proj", "k_proj", "q_b_proj", "kv_b_proj", "qkv_proj", "query_key_value", "wqkv", "c_attn", "Wqkv")


def norm_centre(part: str, config: dict[str, Any]) -> float:
    is_gemma = config["model_type"].startswith("gemma") and config["model_type"] not in tiny_gemma.PLAIN_NORMS
    centre = 0.0 if is_gemma or config["model_type"] == "nemotron" else 1.0  # these multiply by 1 + weight
    if part.split("self_attn.")[-1].startswith(("q_", "k_", "query_", "key_")):
        return centre + 0.7
    if is_gemma and part == "model.norm.weight":
        return 2.0 if config.get("final_logit_softcapping") else 4.0
    return centre


def embedding_std(config: dict[str, Any]) -> float:
    """Small where it is tied or multiplied, lest a token's embedding outweigh the layers and the model repeat it."""
    if config["model_type"].startswith("gemma"):
        return 0.03
    if config["model_type"] in ("gpt2", "opt") or config.get("alibi"):
        return 0.06 if config.get("do_layer_norm_before", True) else 0.6
    return 0.16 / config.get("embedding_multiplier", 1.0) ** 0.5 if is_tied(config) else 0.2


def draw_weight(key: str, part: str, shape: tuple[int, ...], config: dict[str, Any]) -> np.ndarray:
    """One tensor, scaled by its part so that every part shows in the logits and the logits spread over several units."""
    if (
        config["model_type"] in tiny_gemma.PLAIN_NORMS
        and (drawn := tiny_gemma.draw_weight(key, part, shape, config)) is not None
    ):
        return drawn
    if config["model_type"] in tiny_delta.FAMILIES and (drawn := tiny_delta.draw_weight(key, part, shape)) is not None:
        return drawn
    if config["model_type"] in tiny_mamba.LAYERS and (drawn := tiny_mamba.draw_weight(key, part, shape)) is not None:
        return drawn
    if (drawn := tiny_older.draw_weight(key, part, shape, config)) is not None:
        return drawn
    if ("norm" in part or ".ln_" in part) and part.endswith(".weight"):
        return np.float32(norm_centre(part, config)) + draw_uniform(key, shape, 0.25)
    if part.endswith(("_blocks", "_scales")):
        drawn = tiny_models.draw_words(key, math.prod(shape)).reshape(shape) >> np.uint64(33)
        return (drawn % np.uint64(256) if part.endswith("_blocks") else 122 + drawn % np.uint64(2)).astype(np.float32)
    if part.endswith("sinks"):
        return draw_uniform(key, shape, 2.0)
    if part.endswith(("correction_bias", "expert_bias")):
        return draw_uniform(key, shape, 0.15)
    if part.endswith("bias"):
        return draw_uniform(key, shape, 0.4)
    if ".act_fn." in part:
        return np.float32(tiny_dense.XIELU[part.rpartition(".")[2]]) + draw_uniform(key, shape, 0.1)
    if any(word in part for word in ("embed", "lm_head", ".wte.", ".wpe.")) or part == "output.weight":
        return draw_uniform(key, shape, embedding_std(config))
    if tiny_bitnet.is_packed(config, part):
        return tiny_bitnet.draw_ternary(key, shape)
    gain = 2.0 if part.split(".")[-2] in PEAKED else 1.4
    if config["model_type"] == "gpt2":  # transposed
        return draw_uniform(key, shape, 2 * gain / shape[0] ** 0.5)
    return draw_uniform(key, shape, gain / shape[-1] ** 0.5)


def make_text_tensors(name: str) -> dict[str, np.ndarray]:
    """The language model's weights as f32, before they are rounded to the case's dtype."""
    config = text_config_of(name)
    tensors = {part: draw_weight(f"{name}/{part}", part, shape, config) for part, shape in text_shapes(config)}
    if CASES[name].in_blocks:
        return {part: in_blocks(values) if values.ndim >= 2 else values for part, values in tensors.items()}
    return tensors


def in_blocks(matrix: np.ndarray) -> np.ndarray:
    return round_to_q8_0(matrix.reshape(-1, matrix.shape[-1])).astype(np.float32).reshape(matrix.shape)


def rounded_tensors(name: str) -> dict[str, np.ndarray]:
    """The same as a reader of the checkpoint gets them."""
    stored, widened = tiny_models.STORED[CASES[name].dtype], tiny_models.WIDENED[CASES[name].dtype]
    return {part: widened(stored(values)) for part, values in make_text_tensors(name).items()}


# ---- files


def vision_shapes(config: dict[str, Any]) -> Shapes:
    """Of SigLIP and the projector behind it, which no text ever meets."""
    vision, text_hidden = config["vision_config"], config["text_config"]["hidden_size"]
    hidden, patches = vision["hidden_size"], (vision["image_size"] // vision["patch_size"]) ** 2
    stem, layer = "vision_tower.vision_model", "vision_tower.vision_model.encoder.layers.0"
    yield f"{stem}.embeddings.patch_embedding.weight", (hidden, 3, vision["patch_size"], vision["patch_size"])
    yield f"{stem}.embeddings.patch_embedding.bias", (hidden,)
    yield f"{stem}.embeddings.position_embedding.weight", (patches, hidden)
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        yield from linear(f"{layer}.self_attn.{part}", hidden, hidden, True)
    yield from linear(f"{layer}.mlp.fc1", vision["intermediate_size"], hidden, True)
    yield from linear(f"{layer}.mlp.fc2", hidden, vision["intermediate_size"], True)
    yield from norms(hidden, f"{layer}.layer_norm1", f"{layer}.layer_norm2", f"{stem}.post_layernorm", has_bias=True)
    yield "multi_modal_projector.mm_input_projection_weight", (hidden, text_hidden)
    yield from norms(hidden, "multi_modal_projector.mm_soft_emb_norm")


VISION_SHAPES: dict[str, Callable[[dict[str, Any]], Shapes]] = {
    "gemma3": vision_shapes,
    "mistral3": tiny_dense.pixtral_shapes,
    **tiny_delta.VISION_SHAPES,
    **dict.fromkeys(("gemma4", "gemma4_unified"), lambda config: iter(())),
    "gemma3n": tiny_gemma.tower_shapes,
}


def wrapped(name: str, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Beside a vision model, under the names of either generation."""
    config = config_of(name)
    shapes = VISION_SHAPES[config["model_type"]]
    vision = {part: draw_uniform(f"{name}/{part}", shape, 0.2) for part, shape in shapes(config)}
    if "rope_parameters" not in config["text_config"]:
        return vision | {f"language_model.{part}": values for part, values in tensors.items()}
    text = {part.replace("model.", "model.language_model.", 1): values for part, values in tensors.items()}
    names = {part: part if part.startswith("mtp.") else f"model.{part.replace('.vision_model', '')}" for part in vision}
    beside = {names[part]: values for part, values in vision.items()}
    return text | beside


def neox_buffers(config: dict[str, Any]) -> dict[str, tuple[str, np.ndarray]]:
    """What Pythia's files carry beside their weights, and nobody reads."""
    buffers: dict[str, tuple[str, np.ndarray]] = {}
    for layer in range(config["num_hidden_layers"]):
        name = f"gpt_neox.layers.{layer}.attention"
        buffers[f"{name}.bias"] = "BOOL", np.tri(8, dtype=np.uint8).reshape(1, 1, 8, 8)
        buffers[f"{name}.masked_bias"] = "F32", np.array(-1e9, np.float32)
        buffers[f"{name}.rotary_emb.inv_freq"] = "F32", np.full(3, 7.0, np.float32)
    return buffers


def make_checkpoint(name: str, folder: str | Path) -> Path:
    """Writes the case as a Hugging Face folder at `folder`, which is made if missing, and returns it."""
    case, config = CASES[name], config_of(name)
    tensors = make_text_tensors(name)
    if "vision_config" in config:
        tensors = wrapped(name, tensors)
    dtypes = {part: "U8" if part.endswith(("_blocks", "_scales")) else case.dtype for part in tensors}
    if tiny_bitnet.is_packed(config):
        tensors, dtypes = tiny_bitnet.stored(config, tensors, dtypes)
    stored = {**tiny_models.STORED, "U8": lambda values: values.astype(np.uint8)}
    tensors = {part: stored[dtypes[part]](values) for part, values in tensors.items()}
    if name == "gpt_neox-parallel":
        for part, (dtype, values) in neox_buffers(config).items():
            dtypes[part], tensors[part] = dtype, values
    return tiny_models.write_folder(folder, config, text_config_of(name)["vocab_size"], tensors, dtypes)
