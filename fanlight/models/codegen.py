"""CodeGen.  https://arxiv.org/abs/2203.13474
GPT-J, except: queries, values and keys are one matrix, a quarter of each at a time."""

from fanlight.compiler.graph import Node
from fanlight.models import gptj
from fanlight.models.gptj import GGUF_NAMES, PAIRED_IN, Config, read_config
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

SHARES = 4  # as many processors trained it


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return gptj.decoder(config, weights, rows, samples, config.rope.at(context_length), qkv_of)


def qkv_of(config: Config, w: Weights) -> list[Weights]:
    size = config.hidden_size
    share = size // SHARES
    starts = range(0, 3 * size, 3 * share)
    places = {"q": 0, "k": 2, "v": 1}
    qkv = w["qkv_proj"].biased(False)
    return [qkv.rows([(start + place * share, share) for start in starts], 3 * size) for place in places.values()]
