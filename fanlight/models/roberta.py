"""RoBERTa and XLM-RoBERTa: BGE-M3, multilingual E5, BGE rerankers, Arctic-embed 2.  https://arxiv.org/abs/1911.02116
BERT, except: positions are counted from after the padding's, and the head of a classifier has a layer of its own."""

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import tanh
from fanlight.models import bert
from fanlight.models.bert import GGUF_KEYS, GGUF_NAMES, Config
from fanlight.models.config import Keys
from fanlight.models.layers import linear
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_NAMES", "PAIRED_IN", "Config", "encode", "read_config", "score"]

PAIRED_IN = ()


def read_config(keys: Keys) -> Config:
    return bert.read_encoder(keys, eps=1e-12, first_position=keys.count("pad_token_id", 1) + 1)


def encode(config: Config, weights: Weights, rows: int, context_length: int) -> Node:
    return bert.states(config, bert.root_of(weights, ("roberta", "")), rows)


def score(config: Config, weights: Weights, x: Node) -> Node:
    w = weights["classifier"]
    return linear(tanh(linear(x, w["dense"], config.hidden_size)), w["out_proj"], 1)
