"""More dense families, for tiny_architectures: their cases, and the shapes of their layers."""

from collections.abc import Callable
from typing import Any

from scripts.golden.tiny_models import heads
from scripts.golden.tiny_parts import (
    FULL,
    SILU,
    SLIDING,
    Shapes,
    TinyArchitecture,
    Tree,
    attention,
    default_rope,
    family,
    gated_mlp,
    norms,
    widths,
)

SEED_OSS = family("SeedOss", "seed_oss", rms_norm_eps=1e-6, tie_word_embeddings=False, **SILU)
ERNIE = family("Ernie4_5", "ernie4_5", rms_norm_eps=1e-5, **SILU)
HUNYUAN = family("HunYuanDenseV1", "hunyuan_v1_dense", rms_norm_eps=1e-5, tie_word_embeddings=True, **SILU)
EXAONE4 = family("Exaone4", "exaone4", rms_norm_eps=1e-5, **SILU)
OLMO3 = family("Olmo3", "olmo3", rms_norm_eps=1e-6, attention_bias=False, tie_word_embeddings=False, **SILU)
LLAMA3 = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}

CASES: dict[str, TinyArchitecture] = {
    "seed_oss-published": TinyArchitecture(
        {**SEED_OSS, **heads(4, 2, 24), "rope_theta": 700.0, "attention_bias": True, "attention_out_bias": False}
        | {"mlp_bias": False, "rope_scaling": {"rope_type": "default"}},
        about="biases on q, k and v",
    ),
    "seed_oss-bias": TinyArchitecture(
        {**SEED_OSS, **heads(3, 3, 40), "hidden_size": 100, **default_rope(900.0)}
        | {"attention_out_bias": True, "mlp_bias": True},
        about="no word of the first biases; the others too",
    ),
    "ernie4_5-published": TinyArchitecture(
        {**ERNIE, **heads(4, 1, 40), "rope_theta": 700.0, "use_bias": False, "use_rmsnorm": True},
        about="neighbours turn together in the folder already; no word of tying",
    ),
    "ernie4_5-bias": TinyArchitecture(
        {**ERNIE, **heads(3, 3, 24), "tie_word_embeddings": False, "use_bias": True, **default_rope(900.0)},
        about="biases everywhere; not tied",
    ),
    "hunyuan-published": TinyArchitecture(
        {**HUNYUAN, **heads(4, 2, 24), "rope_theta": 100.0, "use_qk_norm": True, "use_cla": False, "attention_head_dim": 24}
        | {
            "rope_scaling": {
                "type": "dynamic", "alpha": 50.0, "factor": 1.0, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0,
                "mscale_all_dim": 0.0,
            }
        },
        about="alpha makes theta greater; norms of heads after the rotation",
    ),
    "hunyuan-plain": TinyArchitecture(
        {**HUNYUAN, **heads(3, 3, 40), "hidden_size": 100, "tie_word_embeddings": False, **default_rope(900.0)}
        | {"attention_bias": True},
        about="no scaling; biases",
    ),
    "exaone4-published": TinyArchitecture(
        {**EXAONE4, **heads(4, 2), "tie_word_embeddings": True, "sliding_window": None, "sliding_window_pattern": None}
        | {"rope_theta": 10000.0, "rope_scaling": {**LLAMA3, "factor": 16.0}, "layer_types": [FULL] * 3},
        about="as the 1.2B: norms after the branches only, of heads before the rotation, all layers turn",
    ),
    "exaone4-window": TinyArchitecture(
        {**EXAONE4, **heads(3, 1), "num_hidden_layers": 5, "tie_word_embeddings": False, "sliding_window": 9}
        | {"layer_types": [SLIDING, FULL, SLIDING, SLIDING, FULL], **default_rope(300.0)},
        about="as the 32B: layers without a window do not turn",
    ),
    "olmo3-published": TinyArchitecture(
        {**OLMO3, **heads(4, 2), "num_hidden_layers": 5, "sliding_window": 9, "rope_theta": 500000.0}
        | {
            "rope_scaling": {
                "rope_type": "yarn", "factor": 8.0, "beta_fast": 32.0, "beta_slow": 1.0,
                "original_max_position_embeddings": 64,
            }
        }
        | {"layer_types": [SLIDING, FULL, SLIDING, FULL, FULL]},
        about="OLMo 2 with windows, and YaRN on the layers without one",
    ),
}  # fmt: skip


# ---- shapes


def llama_layer(config: dict[str, Any]) -> Shapes:
    """Of those that differ from Llama by biases and norms of heads."""
    yield from norms(config["hidden_size"], "input_layernorm", "post_attention_layernorm")
    match config["model_type"]:
        case "seed_oss":
            biases = config.get("attention_bias", True), config["attention_out_bias"], config["mlp_bias"]
        case "ernie4_5":
            biases = (config["use_bias"],) * 3
        case _:
            biases = config.get("attention_bias", False), config.get("attention_bias", False), False
    yield from attention(config, *biases[:2])
    yield from gated_mlp(config, biases[2])
    if config["model_type"] == "hunyuan_v1_dense":
        yield from norms(widths(config)[0], "self_attn.query_layernorm", "self_attn.key_layernorm")


def exaone4_layer(config: dict[str, Any]) -> Shapes:
    yield from norms(config["hidden_size"], "post_attention_layernorm", "post_feedforward_layernorm")
    yield from norms(widths(config)[0], "self_attn.q_norm", "self_attn.k_norm")
    yield from attention(config)
    yield from gated_mlp(config)


def olmo3_layer(config: dict[str, Any]) -> Shapes:
    _, query, key_value = widths(config)
    yield from norms(config["hidden_size"], "post_attention_layernorm", "post_feedforward_layernorm")
    yield from norms(query, "self_attn.q_norm")
    yield from norms(key_value, "self_attn.k_norm")
    yield from attention(config)
    yield from gated_mlp(config)


LAYERS: dict[str, Callable[[dict[str, Any]], Shapes]] = {
    **dict.fromkeys(("seed_oss", "ernie4_5", "hunyuan_v1_dense"), llama_layer),
    "exaone4": exaone4_layer,
    "olmo3": olmo3_layer,
}
TREES: dict[str, Tree] = {}
TIED_BY_DEFAULT = ("ernie4_5",)
