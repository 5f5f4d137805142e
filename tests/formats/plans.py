"""The compiler's memory plan of a model of a catalogue, made from its numbers alone: tensors that are nowhere, under their
Hugging Face names, in the formats that llama.cpp's quantisations give them."""

import re
from copy import deepcopy
from dataclasses import asdict, replace
from math import isqrt, prod
from typing import Any

from fanlight import driver
from fanlight.api.load import LoadOptions
from fanlight.compiler.memory import memory_plan
from fanlight.compiler.program import Limits
from fanlight.engine.load import compile_model
from fanlight.formats.catalogue import CatalogueModel
from fanlight.formats.checkpoint import Checkpoint
from fanlight.formats.layout import TensorInfo
from fanlight.formats.quant import QUANT_TYPES
from fanlight.models import open_model
from scripts.golden import tiny_architectures, tiny_encoders, tiny_vision

LIMITS = Limits(max_buffer_size=2 << 30, max_storage_buffer_binding_size=2 << 30)
# What the numbers of a catalogue do not say, and memory does not depend on.
OWN_KEYS: dict[str, dict[str, Any]] = {
    "gemma2": {"sliding_window": 4096, "query_pre_attn_scalar": 256, "hidden_act": "gelu_pytorch_tanh"}
    | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
    "gemma3": {"sliding_window": 512, "sliding_window_pattern": 6, "query_pre_attn_scalar": 256, "rope_local_base_freq": 1e4}
    | {"hidden_activation": "gelu_pytorch_tanh"},
    "granite": {"embedding_multiplier": 12.0, "residual_multiplier": 0.22, "attention_multiplier": 0.02, "logits_scaling": 8.0},
    "stablelm": {"use_qkv_bias": False, "qk_layernorm": False, "use_parallel_residual": False, "partial_rotary_factor": 0.25},
    "cohere": {"logit_scale": 0.125},
    "cohere2": {"logit_scale": 0.125, "sliding_window": 4096, "sliding_window_pattern": 4},
    "glm4": {"partial_rotary_factor": 0.5, "attention_bias": True},
    "smollm3": {"no_rope_layer_interval": 4},
    "qwen3_5": {"linear_num_key_heads": 16, "linear_key_head_dim": 128, "linear_value_head_dim": 128}
    | {"linear_conv_kernel_dim": 4, "full_attention_interval": 4},
    "phi3": {"original_max_position_embeddings": 4096, "sliding_window": None},
}
SEES = re.compile(r"vision|visual|connector|projector")
LAYER_NORM = ("stablelm", "cohere", "cohere2")
POOLING = [
    {"path": "", "type": "models.Transformer", "config": {}},
    {"path": "1_Pooling", "type": "models.Pooling", "config": {"pooling_mode_mean_tokens": True}},
]


def plan_of(model: CatalogueModel, context_length: int | None = None) -> dict[str, int]:
    """Bytes by kind, and `file`: of all tensors."""
    assert model.config is not None
    checkpoint = seeing(model) if model.config.vision else encoder(model) if model.pooled else decoder(model)
    program = compile_model(driver.run(open_model(checkpoint)), LIMITS, LoadOptions(context_length))
    return memory_plan(program.buffers) | {"file": sum(tensor.num_bytes for tensor in checkpoint.tensors.values())}


def decoder(model: CatalogueModel) -> Checkpoint:
    assert model.config is not None
    norm = "layer_norm_eps" if model.architecture in LAYER_NORM else "rms_norm_eps"
    keys = {norm: 1e-5, "hidden_act": "silu", "rope_theta": 1e4, "max_position_embeddings": model.context_length}
    model_type = {"gemma3": "gemma3_text", "qwen3_5": "qwen3_5_text"}.get(model.architecture, model.architecture)
    config = {"model_type": model_type, **asdict(model.config), **keys, **OWN_KEYS.get(model.architecture, {})}
    if model.architecture == "qwen3_5":
        config["linear_num_value_heads"] = 2 * model.config.num_attention_heads  # as published
    if model.architecture in ("stablelm", "phi3"):
        del config["head_dim"]
    return written(model, config, tiny_architectures.text_shapes(config))


def seeing(model: CatalogueModel) -> Checkpoint:
    """One with an encoder of pictures: the tiny one of its family, in its sizes."""
    n, case = model.config, deepcopy(tiny_vision.CASES[{"idefics3": "smolvlm"}.get(model.architecture, model.architecture)])
    assert n is not None and n.vision is not None
    v, config, heads = n.vision, case.config, {"num_attention_heads": 16, "num_heads": 16}
    own = OWN_KEYS.get(model.architecture, {})
    sizes = {name: value for name, value in asdict(n).items() if name != "vision"}
    text, sections = config["text_config"], (n.head_dim // 8, 3 * n.head_dim // 16, 3 * n.head_dim // 16)
    text |= {**sizes, "max_position_embeddings": model.context_length, **own}
    text.pop("layer_types", None)
    if "mrope_section" in text.get("rope_parameters", ()):
        text["rope_parameters"]["mrope_section"] = list(sections)
    config["tie_word_embeddings"] = n.tie_word_embeddings
    layers = {"num_hidden_layers": v.num_hidden_layers, "depth": v.num_hidden_layers, **heads}
    side, vision = isqrt(v.patches), config["vision_config"]
    layers |= {"hidden_size": v.hidden_size, "intermediate_size": v.intermediate_size, "out_hidden_size": n.hidden_size}
    vision |= {name: value for name, value in layers.items() if name in vision}
    if "deepstack_visual_indexes" in vision:
        vision |= {"deepstack_visual_indexes": [5, 11, 17], "num_position_embeddings": 2304}
    if "image_size" in vision:
        vision["image_size"] = side * vision["patch_size"]
        config |= (
            {"mm_tokens_per_image": v.rows} if model.architecture == "gemma3" else {"scale_factor": isqrt(v.patches // v.rows)}
        )
    shapes = [(name, shape) for name, shape in case.shapes(config) if not (n.tie_word_embeddings and "lm_head" in name)]
    return replace(written(model, config, shapes), metadata={"config": config, "preprocessor_config": case.preprocessor})


def encoder(model: CatalogueModel) -> Checkpoint:
    n = model.config
    assert n is not None
    case = {"bert": "BERT", "roberta": "ROBERTA", "nomic_bert": "NOMIC", "qwen3": "QWEN3", "gemma3": "GEMMA3"}
    own = {
        "n_embd": n.hidden_size,
        "n_inner": n.intermediate_size,
        "n_layer": n.num_hidden_layers,
        "n_head": n.num_attention_heads,
    }
    own |= {"n_positions": model.context_length, "vocab_size": n.vocab_size}
    keys = own if model.architecture == "nomic_bert" else {**asdict(n), "max_position_embeddings": model.context_length}
    if model.architecture in ("bert", "roberta"):
        keys = {name: keys[name] for name in keys if name not in ("num_key_value_heads", "head_dim", "tie_word_embeddings")}
    config = {**getattr(tiny_encoders, case[model.architecture]), **keys}
    shapes = [
        (name, shape) for name, shape in tiny_encoders.SHAPES[config["model_type"]](config) if not name.startswith("pooler")
    ]
    return written(model, config, shapes)


def written(model: CatalogueModel, config: dict[str, Any], shapes: Any) -> Checkpoint:
    tensors: dict[str, TensorInfo] = {}
    end = 0
    for name, shape in shapes:
        kind = format_of(model, name, shape)
        size = QUANT_TYPES[kind].num_bytes(prod(shape))
        tensors[name] = TensorInfo(name, kind, tuple(shape), 0, end, size)
        end += size
    modules = POOLING if model.pooled else None
    return Checkpoint("safetensors", {"config": config, "modules": modules}, tensors, (Nowhere(),))


def format_of(model: CatalogueModel, name: str, shape: tuple[int, ...]) -> str:
    """As llama.cpp's quantize chooses it."""
    if SEES.search(name):
        assert model.config is not None and model.config.vision is not None
        is_table = len(shape) < 2 or "norm" in name or "pos" in name
        kind = model.config.vision.quantization
        return "F32" if is_table else "F16" if len(shape) > 2 or (kind == "Q8_0" and shape[-1] % 32) else kind
    if len(shape) < 2 or "norm" in name.lower() or "conv1d" in name:
        return "F32"
    kind = model.quantization
    if kind in ("F32", "F16", "Q8_0"):
        return kind
    assert kind in ("Q4_0", "Q4_K_M") and model.config is not None
    is_embedding = "embed_tokens" in name
    kind = kind.removesuffix("_M")
    if "lm_head" in name or (is_embedding and model.config.tie_word_embeddings):
        kind = "Q6_K"
    elif kind == "Q4_K" and ("qkv_proj" in name or "in_proj_qkv" in name):
        kind = "Q5_K"
    elif kind == "Q4_K" and ("v_proj" in name or "down_proj" in name):
        layer, layers = int(name.split(".layers.")[1].split(".")[0]), model.config.num_hidden_layers
        first = layers // 8
        kind = "Q6_K" if layer < first or layer >= 7 * layers // 8 or (layer - first) % 3 == 2 else kind
    return {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}.get(kind, kind) if shape[1] % 256 else kind


class Nowhere:
    """A file of which nothing but its name is needed; the head that is read to compare is zeros."""

    name, size = "model.safetensors", 1 << 60

    async def read(self, offset: int, size: int) -> bytes:
        return bytes(size)
