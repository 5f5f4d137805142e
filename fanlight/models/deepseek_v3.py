"""DeepSeek V3's shape: Moonlight.  https://arxiv.org/abs/2412.19437
DeepSeek V2, except: experts are chosen by a sigmoid of their scores and a bias."""

from typing import Any

from fanlight.models import deepseek_v2, routed
from fanlight.models.config import Keys
from fanlight.models.deepseek_v2 import GGUF_NAMES, PAIRED_IN, Config, forward, is_unused

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config"]


def read_config(keys: Keys) -> Config:
    routing = read_routing(keys, 2.5, (8, 4))
    defaults = deepseek_v2.DEFAULTS | {"first_k_dense_replace": 3, "max_position_embeddings": 4096}
    return deepseek_v2.read(keys, defaults, (256, 8, 2048), 1, keys.flag("norm_topk_prob", True), routing)


def read_routing(keys: Keys, scale: float, groups: tuple[int, int]) -> dict[str, Any]:
    """scale, groups: where the file has none."""
    keys.only("topk_method", "noaux_tc")
    keys.only("scoring_func", "sigmoid")
    scale = keys.positive("routed_scaling_factor", scale)
    return {"score": "sigmoid", "scale": scale, "eps": 1e-20, **routed.read_groups(keys, True, groups)}
