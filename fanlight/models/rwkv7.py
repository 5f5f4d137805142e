"""RWKV-7, "Goose".  https://arxiv.org/abs/2503.14456

No attention and no positions: every row is mixed with the one before it, and a head's matrix carries what came earlier. Files
are llama.cpp's, and `forward` uses their names."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.kernels.expressions import exp, relu, sigmoid, tanh
from fanlight.models.config import Keys
from fanlight.models.layers import (
    columns,
    embed,
    finish_rows,
    layer_norm,
    linear,
    pick,
    rms_norm,
    sample,
    sampled_rows,
    shift,
    wkv,
)
from fanlight.models.weights import Weights

PAIRED_IN = ()

LERPS = ("r", "w", "k", "v", "a", "g")
PARTS = [f"time_mix_{part}" for part in ("w0", "w1", "w2", "a0", "a1", "a2", "v0", "v1", "v2", "g1", "g2")]
PARTS += [f"time_mix_{part}" for part in ("k_k", "k_a", "r_k", "lerp_fused", "ln", "key", "value", "receptance", "output")]
PARTS += ["attn_norm", "attn_norm_2", "channel_mix_lerp_k", "channel_mix_key", "channel_mix_value"]
GGUF_NAMES = {
    "embed_tokens": "token_embd",
    "embed_norm": "token_embd_norm",
    "norm": "output_norm",
    "lm_head": "output",
    **{f"layers.{{i}}.{part}": f"blk.{{i}}.{part}" for part in PARTS},
}
RANKS = {"decay": "decay", "rate": "iclr", "value": "value_residual_mix", "gate": "gate"}
GGUF_KEYS = {
    "head_size": "wkv.head_size",
    "token_shift_count": "token_shift_count",
    **{f"{ours}_rank": f"attention.{theirs}_lora_rank" for ours, theirs in RANKS.items()},
}
DECAY = -0.606531  # -exp(-0.5): what is forgotten at most
GROUP_EPS = 64e-5  # of a head's norm
LENGTH_EPS = 1e-24  # beside squared lengths


@dataclass(frozen=True, slots=True)
class Config:
    """ranks: of what makes decays, rates, shares of the first layer's values, and gates."""

    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    head_size: int
    max_position_embeddings: int
    tie_word_embeddings: bool
    layer_norm_eps: float
    ranks: dict[str, int]

    @property
    def heads(self) -> int:
        return self.hidden_size // self.head_size


def read_config(keys: Keys) -> Config:
    if not keys.is_gguf:
        raise UnsupportedModel(
            "RWKV-7 of a folder is not read", where=keys.file, hint="its GGUF file, by llama.cpp's converter"
        )
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "head_size", "max_position_embeddings")
    numbers = {name: keys.number(name) for name in names}
    if numbers["hidden_size"] % numbers["head_size"]:
        given = f"{keys.name('hidden_size')} {numbers['hidden_size']}, {keys.name('head_size')} {numbers['head_size']}"
        raise UnsupportedModel(f"{given}: heads do not fill a row", where=keys.file)
    keys.only("token_shift_count", 2)
    keys.ignore("num_attention_heads", "num_key_value_heads", "head_dim", "rope_theta", "rope_scaling")  # it has none
    return Config(
        **numbers,
        model_type=str(keys.model_type),
        tie_word_embeddings=keys.flag("tie_word_embeddings", False),
        layer_norm_eps=keys.positive("layer_norm_eps", 1e-5),
        ranks={name: keys.number(f"{name}_rank") for name in RANKS},
    )


def is_unused(config: Config, name: str) -> bool:
    """What stands for the first layer's share of its own values."""
    return name in {f"blk.0.time_mix_v{i}.weight" for i in range(3)}


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    x = embed(weights["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    x, first = norm(config, weights["embed_norm"], x), None
    for i, layer in enumerate(weights.layers(config.num_hidden_layers)):
        y, first = time_mix(config, layer, norm(config, layer["attn_norm"], x), first, i)
        x = x + y
        x = x + channel_mix(config, layer, norm(config, layer["attn_norm_2"], x), i)
    if not samples:
        return finish_rows(x)
    x = norm(config, weights["norm"], sampled_rows(x, samples))  # [B, C]
    head = weights["embed_tokens" if config.tie_word_embeddings else "lm_head"]
    return sample(linear(x, head, config.vocab_size))


def norm(config: Config, w: Weights, x: Node) -> Node:
    return layer_norm(x, w.vector(config.hidden_size), w.vector(config.hidden_size, "bias"), config.layer_norm_eps)


def time_mix(config: Config, w: Weights, x: Node, first: Node | None, i: int) -> tuple[Node, Node]:
    """first: the first layer's values, which are the second result."""
    size, heads = config.hidden_size, config.heads
    change = shift(x, 2 * i) - x
    lerps = w["time_mix_lerp_fused"].split(*[size] * len(LERPS))
    mixed = (x + change * lerp.vector(size, or_shape=[(len(LERPS), 1, 1, size)]) for lerp in lerps)
    xr, xw, xk, xv, xa, xg = mixed  # [T, C] each
    r, k, v = (linear(y, w[f"time_mix_{n}"], size) for y, n in ((xr, "receptance"), (xk, "key"), (xv, "value")))
    decay = linear(tanh(linear(xw, w["time_mix_w1"], config.ranks["decay"])), w["time_mix_w2"], size)
    decay = exp(sigmoid(decay + w["time_mix_w0"].vector(size)) * DECAY)
    rate = linear(linear(xa, w["time_mix_a1"], config.ranks["rate"]), w["time_mix_a2"], size)
    rate = sigmoid(rate + w["time_mix_a0"].vector(size))
    gate = linear(sigmoid(linear(xg, w["time_mix_g1"], config.ranks["gate"])), w["time_mix_g2"], size)
    if first is None:
        first = v
    else:
        share = linear(linear(xv, w["time_mix_v1"], config.ranks["value"]), w["time_mix_v2"], size)
        v = v + (first - v) * sigmoid(share + w["time_mix_v0"].vector(size))
    kappa = rms_norm(k * w["time_mix_k_k"].vector(size), None, LENGTH_EPS, heads) * config.head_size**-0.5
    k = k * ((rate - 1.0) * w["time_mix_k_a"].vector(size) + 1.0)
    rb, ka = beside(r, r * w["time_mix_r_k"].vector(size)), beside(kappa, rate)
    both = wkv(rb, decay, k, v, ka, i, heads)  # [T, 2*C]
    ln = w["time_mix_ln"]
    y = layer_norm(columns(both, 0, size), ln.vector(size), ln.vector(size, "bias"), GROUP_EPS, heads)
    return linear((y + columns(both, size, size)) * gate, w["time_mix_output"], size), first


def beside(x: Node, y: Node) -> Node:
    return pick(x, range(2 * x.shape[1]), also=y)


def channel_mix(config: Config, w: Weights, x: Node, i: int) -> Node:
    size = config.hidden_size
    lerp = w["channel_mix_lerp_k"].vector(size, or_shape=[(1, 1, size)])
    k = relu(linear(x + (shift(x, 2 * i + 1) - x) * lerp, w["channel_mix_key"], config.intermediate_size))  # [T, F]
    return linear(k * k, w["channel_mix_value"], size)
