"""Youtu-LLM.  https://huggingface.co/tencent/Youtu-LLM-2B
DeepSeek V3's attention to latent vectors, and Llama's MLPs. GGUF files of it call themselves deepseek2."""

from fanlight.models import deepseek_v2
from fanlight.models.config import Keys
from fanlight.models.deepseek_v2 import GGUF_NAMES, PAIRED_IN, Config, forward

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]


def read_config(keys: Keys) -> Config:
    keys.ignore("embedding_initializer_range")
    defaults = deepseek_v2.DEFAULTS | {"max_position_embeddings": 131072}
    return deepseek_v2.read(keys, defaults, None, 0, False, {}, is_tied=True)
