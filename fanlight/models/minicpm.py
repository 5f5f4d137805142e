"""MiniCPM.  https://arxiv.org/abs/2404.06395
Granite, except: the multipliers are said otherwise, and attention has the usual scale."""

from functools import partial

from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.granite import Config, forward
from fanlight.models.llama import GGUF_NAMES
from fanlight.models.rope import read_rope

__all__ = ["GGUF_KEYS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ("gguf",)

GGUF_KEYS = {"logits_scaling": "logit_scale"}


def read_config(keys: Keys) -> Config:
    """A GGUF file without multipliers is of the first models, whose they are known."""
    fields = read_decoder(keys, longest=2048, is_tied=True, rope=partial(read_rope, aliases={"su": "longrope"}))
    layers, width = fields["num_hidden_layers"], fields["hidden_size"]
    if keys.is_gguf:
        embedding, residual = (
            keys.positive("embedding_multiplier", 12.0),
            keys.positive("residual_multiplier", 1.4 / layers**0.5),
        )
        logits = keys.positive("logits_scaling", width / 256)
    else:
        embedding, residual = keys.positive("scale_emb", 1.0), keys.positive("scale_depth", 1.0) / layers**0.5
        logits = width / keys.number("dim_model_base", 1)
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-6),
        embedding_multiplier=embedding,
        residual_multiplier=residual,
        attention_multiplier=fields["head_dim"] ** -0.5,
        logits_scaling=logits,
    )
