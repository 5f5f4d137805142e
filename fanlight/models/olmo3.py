"""OLMo 3.  https://arxiv.org/abs/2512.13961
OLMo 2, except: a sliding window on three layers of four, and RoPE frequencies are rescaled in the fourth only."""

from functools import partial

from fanlight.models import gemma3
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder, sliding_in_turns, windows
from fanlight.models.olmo2 import GGUF_NAMES, Config, forward

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ()


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=2048, rope=partial(gemma3.read_rope, theta=500000.0))
    theta = keys.positive("rope_theta", 500000.0)
    is_sliding = sliding_in_turns(keys, fields["num_hidden_layers"], 4)
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-5),
        windows=windows(is_sliding, keys.number("sliding_window", 4096)),
        sliding_rope=gemma3.read_sliding_rope(keys, fields["head_dim"], fields["max_position_embeddings"], theta),
    )
