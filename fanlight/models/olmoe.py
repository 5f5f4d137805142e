"""OLMoE.  https://arxiv.org/abs/2409.02060
Llama, except: queries and keys are normalised over all heads at once, as in OLMo 2, and every layer's MLP is routed experts,
whose shares do not add up to 1."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import llama, moe, olmo2
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.moe import Moe
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    **moe.GGUF_NAMES,
    "model.layers.{i}.self_attn.q_norm": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.k_norm": "blk.{i}.attn_k_norm",
}
GGUF_KEYS = moe.COUNTS


@dataclass(frozen=True, slots=True)
class Config(olmo2.Config):
    moe: Moe


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=4096)
    keys.only("clip_qkv", None)
    normalize = not keys.is_gguf and keys.flag("norm_topk_prob", False)
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-5),
        windows=(None,) * fields["num_hidden_layers"],
        sliding_rope=fields["rope"],
        moe=moe.read_moe(keys, fields["num_hidden_layers"], normalize, (64, 8, 2048), "intermediate_size"),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, olmo2.self_attention, mlp)


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    return moe.mlp(config, config.moe, w, x)
