"""Names and keys of GGUF files are those that the `gguf` package knows."""

import re

import gguf
import pytest

from fanlight.models.config import ARCHITECTURES, load_architecture
from fanlight.models.gguf_config import GGUF_KEYS, HARMLESS, MODEL_TYPES, NEUTRAL, SCALING_KEYS
from scripts.golden import tiny_architectures, tiny_models

GGUF_ARCHITECTURES = {v: k for k, v in MODEL_TYPES.items()} | {
    "deepseek_v3": "deepseek2",
    "falcon_mamba": "mamba",
    "glm4_moe_lite": "deepseek2",
    "youtu": "deepseek2",
    "mellum": "dots1",  # whose names they are; the package's next version knows it
    "mistral": "llama",
    "gemma3_text": "gemma3",
    "gemma3n_text": "gemma3n",
    "gemma4_text": "gemma4",
    "gemma4_unified_text": "gemma4",
    "olmo3": "olmo2",
    "ministral3": "mistral3",
    "mixtral": "llama",
    "qwen3_5_moe_text": "qwen35moe",
    "qwen3_5_text": "qwen35",
}
KNOWN_KEYS = {
    value.removeprefix("{arch}.")
    for group in vars(gguf.Keys).values()
    if isinstance(group, type)
    for value in vars(group).values()
    if isinstance(value, str) and value.startswith("{arch}.")
}
OLD_KEYS = {"rope.scale_linear"}  # of files from before the package's time
NEW_KEYS = {"hidden_activation", "classifier.pooling_type", "attention.recurrent_layers"}  # of the package's next version
NEW_KEYS |= {f"dense_{i}_feat_{end}" for i in (2, 3) for end in ("in", "out")}


def cases() -> dict[str, tuple[str, list[str]]]:
    """By case: the architecture and its tensors' names."""
    found = {
        name: (case.config["model_type"], list(tiny_models.rounded_tensors(name))) for name, case in tiny_models.CASES.items()
    }
    for name in tiny_architectures.CASES:
        config = tiny_architectures.text_config_of(name)
        if not load_architecture(config["model_type"], "").GGUF_NAMES:
            continue  # which llama.cpp does not know
        parts = [part for part, _ in tiny_architectures.text_shapes(config)]
        parts = [re.sub("(layer_scalar|correct_output_scale)$", r"\1.weight", part) for part in parts]
        found[name] = config["model_type"], [part for part in parts if ".act_fn." not in part and ".wqkv." not in part]
    return found


@pytest.mark.parametrize(("model_type", "tensors"), cases().values(), ids=cases())
def test_tensors_have_gguf_pys_names(model_type, tensors) -> None:
    arch = GGUF_ARCHITECTURES.get(model_type, model_type)
    number = next(n for n, name in gguf.MODEL_ARCH_NAMES.items() if name == arch)
    module = load_architecture(model_type, "")
    theirs, ours = gguf.get_tensor_name_map(number, 32), module.GGUF_NAMES
    usual = {name: ours for ours, name in getattr(module, "FOLDER_NAMES", {}).items()}
    for name in tensors:
        name = name.replace("_correction_bias", "_correction.bias").replace(".dt_bias", ".dt_proj.bias")
        stacked = r"\.norms\.\d+|(?<=\.experts)\.\d+|(?<=jections)\.\d+"  # by the converter
        stem = re.sub(stacked, "", name).rpartition(".")[0]
        if stem.endswith((".input_linear", ".mlp.experts", ".linear_attn", ".mamba", ".mixer")):
            continue  # which the converter takes apart; a tensor of no module
        if model_type == "falcon_h1" and stem.endswith(".pre_ff_layernorm"):
            continue  # known with its kind, which it loses
        if stem.endswith("_sub_norm"):
            continue  # which the package knows by the names of the first BitNets
        layer = re.search(r"\.(\d+)\.", stem)
        template = re.sub(r"\.\d+\.", ".{i}.", stem, count=1)
        template = usual.get(template, template)
        template = template if template in ours else f"{template}.norms"
        found = ours.get(template, "").replace("{i}", layer[1] if layer else "")  # qwen2moe has no dense layers
        names = (stem, stem.removeprefix("model."), stem.removeprefix("transformer."))
        assert found == next(filter(None, map(theirs.get_name, names)), ""), name


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_no_two_weights_have_one_name(model_type) -> None:
    """But where an architecture leaves one out that it took over from Llama."""
    names = load_architecture(model_type, "").GGUF_NAMES
    twice = {ours for ours, theirs in names.items() if list(names.values()).count(theirs) > 1}
    allowed = {"model.layers.{i}.mlp.up_proj", "model.layers.{i}.mlp.gate_up_proj"}  # one or the other, never both
    allowed |= {"transformer.h.{i}.input_layernorm", "transformer.h.{i}.ln_mlp"}
    encoders = ("vision_tower.", "multi_modal_projector.", "model.multi_modal_projector.")  # LLaVA's, of which a file has one
    assert {name for name in twice if model_type != "llava" or not name.startswith(encoders)} <= allowed


def test_keys_are_gguf_pys() -> None:
    own = [key for name in ARCHITECTURES for key in getattr(load_architecture(name, ""), "GGUF_KEYS", {}).values()]
    assert {*GGUF_KEYS.values(), *SCALING_KEYS, *HARMLESS, *NEUTRAL, *own} - KNOWN_KEYS - NEW_KEYS == OLD_KEYS
