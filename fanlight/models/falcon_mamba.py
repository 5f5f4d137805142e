"""Falcon Mamba.  https://arxiv.org/abs/2410.05355
Mamba, except: what time steps are made of, B and C are normalised. GGUF files of it call themselves mamba."""

from fanlight.models import mamba
from fanlight.models.config import Keys
from fanlight.models.mamba import FOLDER_NAMES, GGUF_KEYS, GGUF_NAMES, PAIRED_IN, Config, forward

__all__ = ["FOLDER_NAMES", "GGUF_KEYS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]


def read_config(keys: Keys) -> Config:
    return mamba.read(keys, keys.positive("mixer_rms_eps", 1e-6))
