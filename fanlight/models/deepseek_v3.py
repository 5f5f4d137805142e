"""DeepSeek V3's shape: Moonlight.  https://arxiv.org/abs/2412.19437
DeepSeek V2, except: experts are chosen by a sigmoid of their scores and a bias."""

from fanlight.models.config import Keys
from fanlight.models.deepseek_v2 import DEFAULTS, GGUF_NAMES, PAIRED_IN, Config, forward, read, read_groups

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]


def read_config(keys: Keys) -> Config:
    keys.only("topk_method", "noaux_tc")
    keys.only("scoring_func", "sigmoid")
    routing = {"score": "sigmoid", "scale": keys.positive("routed_scaling_factor", 2.5), "eps": 1e-20}
    routing |= read_groups(keys, True, (8, 4))
    normalize = keys.flag("norm_topk_prob", True)
    return read(keys, DEFAULTS | {"first_k_dense_replace": 3}, (256, 8, 2048), 1, normalize, routing)
