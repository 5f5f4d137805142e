"""CodeGen.  https://arxiv.org/abs/2203.13474
GPT-J, except: queries, values and keys are one matrix, a quarter of each at a time. CodeGen 2 calls itself so too, and has
eighths; that it brings its own program (`auto_map`) tells it."""

from fanlight.compiler.graph import Node
from fanlight.models import gptj
from fanlight.models.config import Keys
from fanlight.models.gptj import GGUF_NAMES, PAIRED_IN, Config
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

SHARES = 4  # as many processors trained it


def read_config(keys: Keys) -> Config:
    keys.only("auto_map", None)
    return gptj.read_config(keys)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return gptj.decoder(config, weights, rows, samples, config.rope.at(context_length), qkv_of)


def qkv_of(config: Config, w: Weights) -> list[Weights]:
    size = config.hidden_size
    share, qkv = size // SHARES, w["qkv_proj"].biased(False)
    starts = range(0, 3 * size, 3 * share)
    return [qkv.rows([(start + place * share, share) for start in starts], 3 * size) for place in (0, 2, 1)]
