"""Mixtral 8x7B and 8x22B.  https://arxiv.org/abs/2401.04088
Mistral, except: every layer's MLP is routed experts. GGUF files of it call themselves llama, and say how many experts."""

from dataclasses import dataclass
from functools import partial

from fanlight.compiler.graph import Node
from fanlight.models import llama, mistral, moe
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.moe import Moe
from fanlight.models.rope import read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ("gguf",)

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    "model.layers.{i}.block_sparse_moe.gate": "blk.{i}.ffn_gate_inp",
    "model.layers.{i}.block_sparse_moe.experts.w1": "blk.{i}.ffn_gate_exps",
    "model.layers.{i}.block_sparse_moe.experts.w3": "blk.{i}.ffn_up_exps",
    "model.layers.{i}.block_sparse_moe.experts.w2": "blk.{i}.ffn_down_exps",
}
GGUF_KEYS = moe.COUNTS


@dataclass(frozen=True, slots=True)
class Config(mistral.Config):
    moe: Moe


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=131072, kv_heads=8, rope=partial(read_rope, theta=1e6))
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-5),
        sliding_window=None if keys.is_gguf else keys.optional_number("sliding_window"),
        moe=moe.read_moe(keys, fields["num_hidden_layers"], True, (8, 2, 14336), "intermediate_size"),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, mistral.self_attention, mlp, "block_sparse_moe")


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    return moe.mlp(config, config.moe, w, x, names=("w1", "w3", "w2"))
