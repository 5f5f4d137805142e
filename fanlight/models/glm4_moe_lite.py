"""GLM-4.7-Flash.  https://arxiv.org/abs/2508.06471
DeepSeek V3's shape with sizes of its own. GGUF files of it call themselves deepseek2."""

from fanlight.models import deepseek_v2, deepseek_v3
from fanlight.models.config import Keys
from fanlight.models.deepseek_v2 import GGUF_NAMES, PAIRED_IN, Config, forward, is_unused

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config"]

SIZES = {"kv_lora_rank": 512, "qk_nope_head_dim": 192, "qk_rope_head_dim": 64, "v_head_dim": 256, "q_lora_rank": 768}


def read_config(keys: Keys) -> Config:
    routing = deepseek_v3.read_routing(keys, 1.8, (1, 1))
    defaults = deepseek_v2.DEFAULTS | SIZES | {"first_k_dense_replace": 1, "max_position_embeddings": 202752}
    return deepseek_v2.read(keys, defaults, (64, 4, 1536), 1, keys.flag("norm_topk_prob", True), routing, eps=1e-5)
