"""Older dense families, for tiny_architectures: their cases, and the shapes of their layers. Their files spell sizes their own
way; what stands in SHARED beside that says the same."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scripts.golden.tiny_models import draw_uniform
from scripts.golden.tiny_parts import Shapes, TinyArchitecture, Tree, family, linear, norms

MPT = family("Mpt", "mpt", layer_norm_epsilon=1e-5, no_bias=True, norm_type="low_precision_layernorm", expansion_ratio=4)
BLOOM = family("Bloom", "bloom", layer_norm_epsilon=1e-5, apply_residual_connection_post_layernorm=False)

OPT = family(
    "OPT", "opt", activation_function="relu", dropout=0.1, attention_dropout=0.0, layerdrop=0.0, word_embed_proj_dim=96
)
GPT_BIGCODE = family(
    "GPTBigCode", "gpt_bigcode", layer_norm_epsilon=1e-5, activation_function="gelu_pytorch_tanh", scale_attn_weights=True
)
GPTJ = family("GPTJ", "gptj", layer_norm_epsilon=1e-5, activation_function="gelu_new", tie_word_embeddings=False)
CODEGEN = family("CodeGen", "codegen", layer_norm_epsilon=1e-5, activation_function="gelu_new", tie_word_embeddings=False)


def gpt_sizes(hidden: int, num_heads: int, mlp: int) -> dict[str, Any]:
    sizes = {"n_embd": hidden, "n_head": num_heads, "n_layer": 3, "n_positions": 512}
    return {**sizes, "hidden_size": hidden, "intermediate_size": mlp, "num_attention_heads": num_heads}


def mpt_sizes(hidden: int, num_heads: int) -> dict[str, Any]:
    sizes = {"d_model": hidden, "n_heads": num_heads, "n_layers": 3, "max_seq_len": 512}
    return {**sizes, "hidden_size": hidden, "intermediate_size": 4 * hidden, "num_attention_heads": num_heads}


def bloom_sizes(hidden: int, num_heads: int) -> dict[str, Any]:
    sizes = {"n_embed": hidden, "n_layer": 3, "num_attention_heads": num_heads, "seq_length": 512}
    return {**sizes, "hidden_size": hidden, "intermediate_size": 4 * hidden}


CASES: dict[str, TinyArchitecture] = {
    "mpt-published": TinyArchitecture(
        {**MPT, **mpt_sizes(96, 4), "learned_pos_emb": True, "logit_scale": None, "embedding_fraction": 1.0, "verbose": 0}
        | {"attn_config": {"alibi": True, "alibi_bias_max": 8, "attn_impl": "torch", "attn_type": "multihead_attention"}
           | {"clip_qkv": None, "prefix_lm": False, "qk_ln": False, "softmax_scale": None, "attn_uses_sequence_id": False}}
        | {"init_config": {"init_std": None}, "tokenizer_name": "EleutherAI/gpt-neox-20b"},
        about="as the 7B: ALiBi; no word of tying",
    ),
    "mpt-clipped": TinyArchitecture(
        {**MPT, **mpt_sizes(96, 6), "tie_word_embeddings": False}
        | {"attn_config": {"alibi": True, "alibi_bias_max": 8, "clip_qkv": 1.4}},
        dtype="BF16",
        about="queries, keys and values are clipped; slopes of six heads; not tied",
    ),
    "mpt-scaled": TinyArchitecture(
        {**MPT, **mpt_sizes(96, 3), "attn_config": {"softmax_scale": 0.3}},
        about="a scale of its own; no word of ALiBi, which is there",
    ),
    "bloom-published": TinyArchitecture(
        {**BLOOM, **bloom_sizes(96, 4), "n_inner": None, "offset_alibi": 100, "pretraining_tp": 1, "skip_bias_add": True}
        | {"skip_bias_add_qkv": False, "slow_but_exact": False, "masked_softmax_fusion": True, "bias_dropout_fusion": True}
        | {"attention_softmax_in_fp32": True, "unk_token_id": 0},
        about="as the 560M: ALiBi; a norm of embeddings; q, k and v by heads; no word of tying",
    ),
    "bloom-heads": TinyArchitecture(
        {**BLOOM, **bloom_sizes(112, 7), "tie_word_embeddings": False},
        dtype="BF16",
        about="slopes of seven heads; not tied",
    ),
    "opt-published": TinyArchitecture(
        {**OPT, "num_attention_heads": 4, "ffn_dim": 160, "do_layer_norm_before": True, "_remove_final_layer_norm": False},
        about="as the 125M: positions from the third line on, biases everywhere, ReLU; no word of tying",
    ),
    "opt-after": TinyArchitecture(
        {**OPT, "num_attention_heads": 6, "ffn_dim": 160, "do_layer_norm_before": False, "word_embed_proj_dim": 64},
        about="as the 350M: norms after the branches, none at the end; narrow embeddings",
    ),
    "opt-plain": TinyArchitecture(
        {**OPT, "num_attention_heads": 3, "ffn_dim": 150, "enable_bias": False, "_remove_final_layer_norm": True}
        | {"tie_word_embeddings": False},
        dtype="BF16",
        about="as Galactica: no biases; no norm at the end; not tied",
    ),
    "gpt_bigcode-published": TinyArchitecture(
        {**GPT_BIGCODE, **gpt_sizes(96, 4, 160), "n_inner": 160, "multi_query": True, "attention_softmax_in_fp32": True}
        | {"scale_attention_softmax_in_fp32": True, "inference_runner": 0, "pad_key_length": True, "max_batch_size": None}
        | {"pre_allocate_kv_cache": False, "validate_runner_input": True, "summary_type": "cls_index"},
        about="as StarCoder: one key head; learned positions; no word of tying",
    ),
    "gpt_bigcode-heads": TinyArchitecture(
        {**GPT_BIGCODE, **gpt_sizes(96, 3, 384), "n_inner": None, "multi_query": False, "tie_word_embeddings": False},
        dtype="BF16",
        about="a key head to a query head, q, k and v by heads; the usual MLP; not tied",
    ),
    "gptj-published": TinyArchitecture(
        {**GPTJ, **gpt_sizes(96, 4, 384), "n_inner": None, "rotary": True, "rotary_dim": 16, "scale_attn_weights": True},
        about="neighbours turn, 16 of 24; one norm for both branches; a bias of the head",
    ),
    "codegen-published": TinyArchitecture(
        {**CODEGEN, **gpt_sizes(96, 4, 160), "n_inner": 160, "n_ctx": 512, "rotary_dim": 8, "scale_attn_weights": True},
        about="q, v and k in four shares of one matrix; 8 of 24 turn",
    ),
}  # fmt: skip


# ---- shapes


def mpt_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    yield from norms(hidden, "norm_1", "norm_2")
    yield from linear("attn.Wqkv", 3 * hidden, hidden)
    yield from linear("attn.out_proj", hidden, hidden)
    yield from linear("ffn.up_proj", mlp, hidden)
    yield from linear("ffn.down_proj", hidden, mlp)


def bloom_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    yield from norms(hidden, "input_layernorm", "post_attention_layernorm", has_bias=True)
    yield from linear("self_attention.query_key_value", 3 * hidden, hidden, True)
    yield from linear("self_attention.dense", hidden, hidden, True)
    yield from linear("mlp.dense_h_to_4h", mlp, hidden, True)
    yield from linear("mlp.dense_4h_to_h", hidden, mlp, True)


def opt_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp, has_bias = config["hidden_size"], config["ffn_dim"], config.get("enable_bias", True)
    yield from norms(hidden, "self_attn_layer_norm", "final_layer_norm", has_bias=True)
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        yield from linear(f"self_attn.{part}", hidden, hidden, has_bias)
    yield from linear("fc1", mlp, hidden, has_bias)
    yield from linear("fc2", hidden, mlp, has_bias)


def gpt_bigcode_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    keys = hidden // config["num_attention_heads"] if config["multi_query"] else hidden
    yield from norms(hidden, "ln_1", "ln_2", has_bias=True)
    yield from linear("attn.c_attn", hidden + 2 * keys, hidden, True)
    yield from linear("attn.c_proj", hidden, hidden, True)
    yield from linear("mlp.c_fc", mlp, hidden, True)
    yield from linear("mlp.c_proj", hidden, mlp, True)


def gptj_layer(config: dict[str, Any]) -> Shapes:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    yield from norms(hidden, "ln_1", has_bias=True)
    if config["model_type"] == "codegen":
        yield from linear("attn.qkv_proj", 3 * hidden, hidden)
    else:
        for part in ("q_proj", "k_proj", "v_proj"):
            yield from linear(f"attn.{part}", hidden, hidden)
    yield from linear("attn.out_proj", hidden, hidden)
    yield from linear("mlp.fc_in", mlp, hidden, True)
    yield from linear("mlp.fc_out", hidden, mlp, True)


def beside_layers(config: dict[str, Any]) -> Shapes:
    """Of OPT's narrow embeddings."""
    hidden, narrow = config["hidden_size"], config.get("word_embed_proj_dim", config["hidden_size"])
    if narrow != hidden:
        yield from linear("model.decoder.project_in", hidden, narrow)
        yield from linear("model.decoder.project_out", narrow, hidden)


def draw_weight(key: str, part: str, shape: tuple[int, ...], config: dict[str, Any]) -> np.ndarray | None:
    """What would outweigh the rest: biases, and BLOOM's embeddings, if the head had them as a norm makes them."""
    if part.endswith("word_embeddings_layernorm.weight"):
        return draw_uniform(key, shape, 1.0)
    if (config["model_type"] in ("opt", "bloom") or config.get("alibi")) and part.endswith("bias"):
        return draw_uniform(key, shape, 0.1)
    return None


LAYERS: dict[str, Callable[[dict[str, Any]], Shapes]] = {
    "mpt": mpt_layer,
    "bloom": bloom_layer,
    "opt": opt_layer,
    "gpt_bigcode": gpt_bigcode_layer,
    **dict.fromkeys(("gptj", "codegen"), gptj_layer),
}
TREES: dict[str, Tree] = {
    "mpt": Tree("transformer.blocks", "transformer.wte", "transformer.norm_f"),
    "bloom": Tree(
        "transformer.h",
        "transformer.word_embeddings",
        "transformer.ln_f",
        embedding_norm="transformer.word_embeddings_layernorm",
        norm_has_bias=True,
    ),
    "opt": Tree(
        "model.decoder.layers",
        "model.decoder.embed_tokens",
        "model.decoder.final_layer_norm",
        positions="model.decoder.embed_positions",
        norm_has_bias=True,
    ),
    "gpt_bigcode": Tree(
        "transformer.h", "transformer.wte", "transformer.ln_f", positions="transformer.wpe", norm_has_bias=True
    ),
    **dict.fromkeys(
        ("gptj", "codegen"),
        Tree("transformer.h", "transformer.wte", "transformer.ln_f", norm_has_bias=True, head_has_bias=True),
    ),
}
TIED_BY_DEFAULT = ("mpt", "bloom", "opt", "gpt_bigcode")
