"""More dense families, for tiny_architectures: their cases, and the shapes of their layers."""

from collections.abc import Callable
from typing import Any

from scripts.golden.tiny_models import EOS_TOKEN_ID, heads
from scripts.golden.tiny_parts import (
    FULL,
    SHARED,
    SILU,
    SLIDING,
    Shapes,
    TinyArchitecture,
    Tree,
    attention,
    default_rope,
    family,
    gated_mlp,
    linear,
    norms,
    olmo2_layer,
    widths,
)

SEED_OSS = family("SeedOss", "seed_oss", rms_norm_eps=1e-6, tie_word_embeddings=False, **SILU)
ERNIE = family("Ernie4_5", "ernie4_5", rms_norm_eps=1e-5, **SILU)
HUNYUAN = family("HunYuanDenseV1", "hunyuan_v1_dense", rms_norm_eps=1e-5, tie_word_embeddings=True, **SILU)
EXAONE4 = family("Exaone4", "exaone4", rms_norm_eps=1e-5, **SILU)
OLMO3 = family("Olmo3", "olmo3", rms_norm_eps=1e-6, attention_bias=False, tie_word_embeddings=False, **SILU)
MINISTRAL3 = family("Ministral3", "ministral3", rms_norm_eps=1e-5, **SILU)
MINISTRAL_YARN = {
    "rope_type": "yarn", "type": "yarn", "rope_theta": 1000.0, "factor": 8.0, "original_max_position_embeddings": 16,
    "beta_fast": 32.0, "beta_slow": 0.5, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.4,
}  # fmt: skip
PIXTRAL = {
    "model_type": "pixtral",
    "hidden_size": 8,
    "head_dim": 4,
    "image_size": 16,
    "intermediate_size": 12,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "patch_size": 8,
}
MISTRAL3_WRAPPER = {
    "architectures": ["Mistral3ForConditionalGeneration"],
    "model_type": "mistral3",
    "eos_token_id": EOS_TOKEN_ID,
    "image_token_index": 210,
    "multimodal_projector_bias": False,
    "projector_hidden_act": "gelu",
    "spatial_merge_size": 2,
    "vision_feature_layer": -1,
    "vision_config": PIXTRAL,
}
NEMOTRON = family("Nemotron", "nemotron", norm_eps=1e-5, tie_word_embeddings=False, hidden_act="relu2")
STARCODER2 = family("Starcoder2", "starcoder2", norm_epsilon=1e-5, hidden_act="gelu_pytorch_tanh")
PHI = family("Phi", "phi", layer_norm_eps=1e-5, tie_word_embeddings=False, hidden_act="gelu_new")
APERTUS = family("Apertus", "apertus", rms_norm_eps=1e-5, tie_word_embeddings=False, hidden_act="xielu", qk_norm=True)
XIELU = {"alpha_p": 0.3, "alpha_n": 0.2, "beta": 0.5, "eps": -0.3}  # about what is drawn; an eps that shows
EXAONE = family("Exaone", "exaone", layer_norm_epsilon=1e-5, activation_function="silu")
INTERNLM2 = family("InternLM2", "internlm2", rms_norm_eps=1e-5, tie_word_embeddings=False, **SILU)
MINICPM = family("MiniCPM", "minicpm", rms_norm_eps=1e-5, **SILU)
FALCON = family("Falcon", "falcon", layer_norm_epsilon=1e-5, alibi=False, ffn_hidden_size=150, activation="gelu")
GPT2 = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
}
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
    "ministral3-text": TinyArchitecture(
        {**MINISTRAL3, **heads(4, 2, 24), "tie_word_embeddings": True, "rope_parameters": {**MINISTRAL_YARN}},
        about="queries grow twice within the prompt; YaRN",
    ),
    "ministral3-wrapper": TinyArchitecture(
        {
            **MISTRAL3_WRAPPER,
            "tie_word_embeddings": False,
            "text_config": {**SHARED, **MINISTRAL3, **heads(3, 1, 40), "tie_word_embeddings": False}
            | {"rope_parameters": {**MINISTRAL_YARN, "mscale_all_dim": 0.5}},
        },
        about="beside a vision model; a head of its own; a scale on cos and sin",
    ),
    "mistral3-published": TinyArchitecture(
        {
            **MISTRAL3_WRAPPER,
            "text_config": {**SHARED, "model_type": "mistral", "rms_norm_eps": 1e-5, "rope_theta": 900.0}
            | {"sliding_window": None, "hidden_act": "silu", **heads(4, 1, 24)},
        },
        about="as Mistral Small 3.1: a Mistral inside, names of transformers 4; a head of its own, of which no key tells",
    ),
    "nemotron-published": TinyArchitecture(
        {**NEMOTRON, **heads(4, 2, 24), "rope_theta": 700.0, "partial_rotary_factor": 0.5}
        | {"attention_bias": False, "mlp_bias": False},
        about="LayerNorm by 1 + weight; half of each head turns; squared ReLU without a gate",
    ),
    "starcoder2-published": TinyArchitecture(
        {**STARCODER2, **heads(4, 2), "rope_theta": 700.0, "use_bias": True, "sliding_window": None, "mlp_type": "default"}
        | {"norm_type": "layer_norm"},
        about="biases everywhere; no word of tying",
    ),
    "starcoder2-window": TinyArchitecture(
        {**STARCODER2, **heads(3, 3), "tie_word_embeddings": False, **default_rope(900.0)}
        | {"use_bias": False, "sliding_window": 9},
        about="a window on every layer; no biases; not tied",
    ),
    "phi-published": TinyArchitecture(
        {**PHI, **heads(4, 4), "rope_theta": 700.0, "partial_rotary_factor": 0.5, "qk_layernorm": False},
        about="one LayerNorm for both branches; half of each head turns; a bias of the head",
    ),
    "phi-groups": TinyArchitecture(
        {**PHI, **heads(6, 2), "hidden_size": 240, **default_rope(900.0, partial_rotary_factor=0.4)},
        about="groups of 3; as Phi-2, 0.4 of a head turn",
    ),
    "apertus-published": TinyArchitecture(
        {**APERTUS, **heads(4, 2), "rope_theta": 10000.0, "rope_scaling": {**LLAMA3, "factor": 8.0}, "mlp_bias": False},
        about="xIELU, whose numbers lie among the tensors",
    ),
    "exaone-published": TinyArchitecture(
        {**EXAONE, **heads(4, 2, 24), "num_layers": 3, "tie_word_embeddings": True, "rope_theta": 10000.0}
        | {"rope_scaling": {**LLAMA3, "factor": 8.0}, "embed_dropout": 0.0},
        about="Llama by other names",
    ),
    "internlm2-published": TinyArchitecture(
        {**INTERNLM2, **heads(4, 2), "bias": False, "rope_theta": 700.0, "rope_scaling": {"type": "dynamic", "factor": 2.0}},
        about="q, k and v in one matrix, by key heads; names of its own",
    ),
    "minicpm-published": TinyArchitecture(
        {**MINICPM, **heads(4, 2), "scale_emb": 5, "scale_depth": 1.4, "dim_model_base": 24, "rope_theta": 700.0}
        | {"tie_word_embeddings": True, "rope_scaling": None},
        about="three multipliers",
    ),
    "falcon-7b": TinyArchitecture(
        {**FALCON, "num_attention_heads": 4, "num_kv_heads": 4, "multi_query": True, "parallel_attn": True, "bias": False}
        | {"new_decoder_architecture": False, "rope_theta": 700.0},
        about="one LayerNorm for both branches, one key head, whatever num_kv_heads says",
    ),
    "falcon-40b": TinyArchitecture(
        {**FALCON, "num_attention_heads": 6, "num_kv_heads": 2, "new_decoder_architecture": True, "bias": False}
        | {"hidden_size": 144, "tie_word_embeddings": False, **default_rope(900.0)},
        about="a LayerNorm for each branch; groups of 3; not tied",
    ),
    "falcon-rw": TinyArchitecture(
        {**FALCON, "num_attention_heads": 16, "multi_query": False, "parallel_attn": False, "bias": True, "alibi": True}
        | {"hidden_size": 256, "new_decoder_architecture": False},
        prompt_length=90,
        about="as RW-1B: branches one after the other, biases, ALiBi of sixteen heads in numbers of BF16",
    ),
    "gpt2-published": TinyArchitecture(
        {**GPT2, **heads(4, 4), "intermediate_size": 160, "n_embd": 96, "n_inner": 160, "n_layer": 3, "n_head": 4}
        | {"n_positions": 512, "n_ctx": 512, "attn_pdrop": 0.1, "summary_type": "cls_index"},
        about="learned positions; matrices transposed; no word of tying",
    ),
    "gpt2-bf16": TinyArchitecture(
        {**GPT2, **heads(3, 3), "intermediate_size": 384, "n_embd": 96, "n_inner": None, "n_layer": 3, "n_head": 3}
        | {"n_positions": 512, "tie_word_embeddings": False, "scale_attn_weights": True},
        dtype="BF16",
        about="numbers of 16 bits, transposed; the usual MLP; not tied",
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


def starcoder2_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp, has_bias = config["hidden_size"], config["intermediate_size"], config["use_bias"]
    yield from norms(hidden, "input_layernorm", "post_attention_layernorm", has_bias=True)
    yield from attention(config, has_bias, has_bias)
    yield from linear("mlp.c_fc", mlp, hidden, has_bias)
    yield from linear("mlp.c_proj", hidden, mlp, has_bias)


def nemotron_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    yield from norms(hidden, "input_layernorm", "post_attention_layernorm", has_bias=True)
    yield from attention(config)
    yield from linear("mlp.up_proj", mlp, hidden)
    yield from linear("mlp.down_proj", hidden, mlp)


def phi_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    yield from norms(hidden, "input_layernorm", has_bias=True)
    for part, shape in attention(config, True, True):
        yield part.replace("o_proj", "dense"), shape
    yield from linear("mlp.fc1", mlp, hidden, True)
    yield from linear("mlp.fc2", hidden, mlp, True)


def apertus_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    yield from norms(hidden, "attention_layernorm", "feedforward_layernorm")
    yield from norms(widths(config)[0], "self_attn.q_norm", "self_attn.k_norm")
    yield from attention(config)
    yield from linear("mlp.up_proj", mlp, hidden)
    yield from linear("mlp.down_proj", hidden, mlp)
    yield "mlp.act_fn.alpha_p", (1,)
    yield "mlp.act_fn.alpha_n", (1,)
    yield "mlp.act_fn.beta", ()
    yield "mlp.act_fn.eps", ()


def exaone_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp, (_, query, key_value) = config["hidden_size"], config["intermediate_size"], widths(config)
    yield from norms(hidden, "ln_1", "ln_2")
    for letter, rows in (("q", query), ("k", key_value), ("v", key_value)):
        yield from linear(f"attn.attention.{letter}_proj", rows, hidden)
    yield from linear("attn.attention.out_proj", hidden, query)
    yield from linear("mlp.c_fc_0", mlp, hidden)
    yield from linear("mlp.c_fc_1", mlp, hidden)
    yield from linear("mlp.c_proj", hidden, mlp)


def internlm2_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp, (_, query, key_value) = config["hidden_size"], config["intermediate_size"], widths(config)
    yield from norms(hidden, "attention_norm", "ffn_norm")
    yield from linear("attention.wqkv", query + 2 * key_value, hidden)
    yield from linear("attention.wo", hidden, query)
    yield from linear("feed_forward.w1", mlp, hidden)
    yield from linear("feed_forward.w3", mlp, hidden)
    yield from linear("feed_forward.w2", hidden, mlp)


def falcon_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp, is_new, has_bias = config["hidden_size"], 150, config["new_decoder_architecture"], config["bias"]
    kv_heads = config["num_kv_heads"] if is_new else 1 if config["multi_query"] else config["num_attention_heads"]
    head_dim = hidden // config["num_attention_heads"]
    yield from norms(hidden, *(("ln_attn", "ln_mlp") if is_new else ("input_layernorm",)), has_bias=True)
    if not is_new and not config["parallel_attn"]:
        yield from norms(hidden, "post_attention_layernorm", has_bias=True)
    yield from linear("self_attention.query_key_value", hidden + 2 * kv_heads * head_dim, hidden, has_bias)
    yield from linear("self_attention.dense", hidden, hidden, has_bias)
    yield from linear("mlp.dense_h_to_4h", mlp, hidden, has_bias)
    yield from linear("mlp.dense_4h_to_h", hidden, mlp, has_bias)


def gpt2_layer(config: dict[str, Any]) -> Shapes:
    """Its matrices are [in, out]."""
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    yield from norms(hidden, "ln_1", "ln_2", has_bias=True)
    for part, rows, columns in (
        *(("attn.c_attn", 3 * hidden, hidden), ("attn.c_proj", hidden, hidden)),
        *(("mlp.c_fc", mlp, hidden), ("mlp.c_proj", hidden, mlp)),
    ):
        yield f"{part}.weight", (columns, rows)
        yield f"{part}.bias", (rows,)


def exaone4_layer(config: dict[str, Any]) -> Shapes:
    yield from norms(config["hidden_size"], "post_attention_layernorm", "post_feedforward_layernorm")
    yield from norms(widths(config)[0], "self_attn.q_norm", "self_attn.k_norm")
    yield from attention(config)
    yield from gated_mlp(config)


def pixtral_shapes(config: dict[str, Any]) -> Shapes:
    """Of Pixtral and the projector behind it, which no text ever meets."""
    vision, text_hidden = config["vision_config"], config["text_config"]["hidden_size"]
    hidden, inner, patch = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    layer = "vision_tower.transformer.layers.0"
    yield "vision_tower.patch_conv.weight", (hidden, 3, patch, patch)
    yield from norms(hidden, "vision_tower.ln_pre", f"{layer}.attention_norm", f"{layer}.ffn_norm")
    for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
        yield from linear(f"{layer}.attention.{part}", hidden, hidden)
    for part, rows, columns in (("gate_proj", inner, hidden), ("up_proj", inner, hidden), ("down_proj", hidden, inner)):
        yield from linear(f"{layer}.feed_forward.{part}", rows, columns)
    yield from norms(hidden, "multi_modal_projector.norm")
    yield from linear("multi_modal_projector.patch_merger.merging_layer", hidden, hidden * config["spatial_merge_size"] ** 2)
    yield from linear("multi_modal_projector.linear_1", text_hidden, hidden)
    yield from linear("multi_modal_projector.linear_2", text_hidden, text_hidden)


LAYERS: dict[str, Callable[[dict[str, Any]], Shapes]] = {
    **dict.fromkeys(("seed_oss", "ernie4_5", "hunyuan_v1_dense", "ministral3", "minicpm"), llama_layer),
    "exaone": exaone_layer,
    "internlm2": internlm2_layer,
    "falcon": falcon_layer,
    "gpt2": gpt2_layer,
    "exaone4": exaone4_layer,
    "olmo3": olmo2_layer,
    "nemotron": nemotron_layer,
    "starcoder2": starcoder2_layer,
    "phi": phi_layer,
    "apertus": apertus_layer,
}
TREES: dict[str, Tree] = {
    "exaone": Tree("transformer.h", "transformer.wte", "transformer.ln_f"),
    "internlm2": Tree(embedding="model.tok_embeddings", head="output"),
    "gpt2": Tree("transformer.h", "transformer.wte", "transformer.ln_f", positions="transformer.wpe", norm_has_bias=True),
    "falcon": Tree("transformer.h", "transformer.word_embeddings", "transformer.ln_f", norm_has_bias=True),
    **dict.fromkeys(("nemotron", "starcoder2"), Tree(norm_has_bias=True)),
    "phi": Tree(norm="model.final_layernorm", norm_has_bias=True, head_has_bias=True),
}
TIED_BY_DEFAULT = ("ernie4_5", "falcon", "gpt2", "starcoder2")
