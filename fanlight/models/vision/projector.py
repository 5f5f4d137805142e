"""What stands between a tower and the language model in LLaVA and in what is built as it: two products, of the states behind
one of the tower's layers; in Mistral's before them one of squares of patches.  https://arxiv.org/abs/2310.03744"""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import Keys
from fanlight.models.layers import linear, merged, pick, rms_norm
from fanlight.models.weights import Weights

NAMES = ("model.multi_modal_projector", "multi_modal_projector")  # transformers 5, 4


@dataclass(frozen=True, slots=True)
class Projector:
    """layers: of the tower, that are computed. has_bias: both products; None: as the file has it."""

    hidden_act: str
    has_bias: bool | None
    layers: int


def read_projector(keys: Keys, layers: int, layer: int, has_bias: bool) -> Projector:
    """layers: that the tower has. layer, has_bias: of files that do not say. GGUF files say neither."""
    if keys.is_gguf:
        return Projector("gelu", None, layers)
    act = keys.choice("projector_hidden_act", ACTIVATIONS, "gelu")
    has_bias = keys.flag("multimodal_projector_bias", has_bias)
    return Projector(act, has_bias, keys.state("vision_feature_layer", layers, layer))


def merge_patches(w: Weights, x: Node, area: int, eps: float) -> Node:
    """Of `area` patches that stand side by side a row, as wide as one of them. [T/area, C]"""
    size = x.shape[1]
    x = merged(rms_norm(x, w["norm"].vector(size), eps), area)
    x = pick(x, [size * place + column for column in range(size) for place in range(area)])  # as the weight has its columns
    return linear(x, w["patch_merger.merging_layer"], size)


def project(config: Projector, w: Weights, x: Node, size: int) -> Node:
    """size: of the language model's rows. [R, C]"""
    one, two = (w[name].biased(config.has_bias) for name in ("linear_1", "linear_2"))
    return linear(ACTIVATIONS[config.hidden_act](linear(x, one, size)), two, size)
