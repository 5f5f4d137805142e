"""Mamba-2's mixer, which stands in layers of several architectures in place of attention or beside it: they read a StateSpace
and call `mixer`.  https://arxiv.org/abs/2405.21060"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import FormatError
from fanlight.kernels.expressions import largest, silu, smallest, softplus
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.layers import columns, convolve, linear, pick, rms_norm, scan
from fanlight.models.weights import Weights

MIXER = "model.layers.{i}.mamba"
# Of a mixer: some of its tensors have no kind at the end of their names, and are asked for as the file spells them.
MIXER_NAMES = {
    MIXER: "blk.{i}",
    f"{MIXER}.dt_proj": "blk.{i}.ssm_dt",
    f"{MIXER}.in_proj": "blk.{i}.ssm_in",
    f"{MIXER}.conv1d": "blk.{i}.ssm_conv1d",
    f"{MIXER}.norm": "blk.{i}.ssm_norm",
    f"{MIXER}.out_proj": "blk.{i}.ssm_out",
}
BACKBONE_NAMES = {  # of a model of mixers
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers.{i}.input_layernorm": "blk.{i}.attn_norm",
}
BACKBONE_FOLDERS = {
    "model.embed_tokens": "backbone.embeddings",
    "model.norm": "backbone.norm_f",
    "model.layers.{i}.input_layernorm": "backbone.layers.{i}.norm",
    MIXER: "backbone.layers.{i}.mixer",
    **{
        f"{MIXER}.{part}": f"backbone.layers.{{i}}.mixer.{part}"
        for part in ("in_proj", "conv1d", "norm", "dt_proj", "out_proj")
    },
}
# Of one that has attention too, under Llama's names.
HYBRID_NAMES = {
    ours: theirs
    for ours, theirs in llama.GGUF_NAMES.items()
    if ".mlp." not in ours and not ours.endswith(("model.norm", "post_attention_layernorm"))
}
PREFIXED = {  # what some architectures call it
    "heads": "mamba_n_heads",
    "size": "mamba_d_head",
    "groups": "mamba_n_groups",
    "states": "mamba_d_state",
    "taps": "mamba_d_conv",
    "bias": "mamba_proj_bias",
    "conv_bias": "mamba_conv_bias",
}
MIXER_KEYS = {
    "heads": "ssm.time_step_rank",
    "groups": "ssm.group_count",
    "states": "ssm.state_size",
    "taps": "ssm.conv_kernel",
    "inner": "ssm.inner_size",
}
PREFIXED_KEYS = {PREFIXED.get(part, part): key for part, key in MIXER_KEYS.items()}
UNLIMITED = 1 << 20  # tokens: what GGUF files of such models call their context
# Of training, and of how others compute.
UNUSED: tuple[str, ...] = (
    "time_step_rank",
    "time_step_min",
    "time_step_max",
    "time_step_floor",
    "time_step_init_scheme",
    "time_step_scale",
)
UNUSED += ("chunk_size", "residual_in_fp32", "rescale_prenorm_residual", "norm_before_gate")


@dataclass(frozen=True, slots=True)
class StateSpace:
    """A mixer's numbers. size: channels of a head. states: numbers of a channel. limits: of the time steps. norm: epsilon of
    the norm of what is gated, each group by itself; None for no norm."""

    heads: int
    size: int
    groups: int
    states: int
    taps: int
    bias: bool | None  # None: as the file has it
    out_bias: bool | None
    conv_bias: bool | None
    limits: tuple[float, float]
    norm: float | None
    multipliers: tuple[float, ...] = (1.0,) * 5  # of z, x, B, C and dt

    @property
    def inner(self) -> int:
        return self.heads * self.size


def ignore_attention(keys: Keys) -> None:
    """What llama.cpp wants, or we assume, in files of models without attention."""
    if keys.is_gguf:
        keys.only("num_attention_heads", 0)
        keys.only("intermediate_size", 0)
        keys.ignore("rope_theta", "rope_scaling")


def read_mixer(
    keys: Keys,
    names: Mapping[str, str],
    defaults: tuple[int, int | None, int, int],
    inner: int | None,
    norm: float | None,
) -> StateSpace:
    """names: the keys of NAMES' parts. defaults: of the first four of them. inner: of a folder's model, how many channels there
    are by its other numbers; None for as many as heads have."""
    heads = keys.number(names["heads"], defaults[0])
    if keys.is_gguf:
        inner, size = keys.number("inner"), None
    elif keys.is_text(names["size"]):
        keys.only(names["size"], "auto")
        size = None
    else:
        size = keys.optional_number(names["size"], defaults[1])
    inner = inner or heads * (size or 0)
    if inner % heads or (size and heads * size != inner):
        message = f"{keys.name(names['heads'])} {heads} of {size or '?'} channels are not {inner}"
        raise FormatError(message, where=keys.file)
    bias, conv_bias = (None if keys.is_gguf else keys.flag(names[part], part == "conv_bias") for part in ("bias", "conv_bias"))
    return StateSpace(
        heads,
        inner // heads,
        keys.number(names["groups"], defaults[2]),
        keys.number(names["states"], defaults[3]),
        keys.number(names["taps"], 4),
        bias,
        bias,
        conv_bias,
        keys.limits("time_step_limit"),
        norm,
    )


def mixer(s: StateSpace, w: Weights, x: Node, i: int, finish: Any = None) -> Node:
    """finish: of (y, z, w), what is done to the scan's result y; None for gating by z, then the norm. [T, C] -> [T, C]"""
    inner, both = s.inner, s.groups * s.states  # both: B's, and C's
    sizes = inner, inner + 2 * both, s.heads
    z, xbc, dt = (linear(x, part, n) for part, n in zip(w["in_proj"].biased(s.bias).split(*sizes), sizes, strict=True))
    z, dt = scaled(z, s.multipliers[0]), scaled(dt, s.multipliers[4])
    dt_bias = w["dt_proj"].vector(s.heads, "bias") if w.is_gguf else w.vector(s.heads, "dt_bias")
    dt = within(softplus(dt + dt_bias), s.limits)  # [T, H]
    xs, bc = convolved(s, w["conv1d"].biased(s.conv_bias), xbc, i)  # [T, H*P], [T, 2*G*N]
    a, d = rates(w, s.heads), skips(w, s.heads)
    y = scan(xs, dt, bc, a, d, i, s.groups, is_log=not w.is_gguf)  # [T, H*P]
    y = finish(y, z, w["norm"]) if finish else group_norm(s, y * silu(z), w["norm"])
    return linear(y, w["out_proj"].biased(s.out_bias), x.shape[1])


def convolved(s: StateSpace, w: Weights, xbc: Node, i: int) -> tuple[Node, Node]:
    """x, and B beside C. Multipliers of what is convolved are those of the result."""
    inner, both = s.inner, s.groups * s.states
    _, *scales, _ = s.multipliers
    y = convolve(xbc, w, i, s.taps)
    if len(set(scales)) == 1:
        y = scaled(y, scales[0])
        y = silu(y + w.vector(xbc.shape[1], "bias") if w.has("bias") else y)
        return columns(y, 0, inner), columns(y, inner, 2 * both)
    made = []
    for start, size, scale in zip((0, inner, inner + both), (inner, both, both), scales, strict=True):
        part = scaled(columns(y, start, size), scale)
        bias = w.rows([(start, size)], xbc.shape[1])
        made.append(silu(part + bias.vector(size, "bias") if w.has("bias") else part))
    return made[0], pick(made[1], range(2 * both), made[2])


def rates(w: Weights, count: int) -> Node:
    """A, by which a state fades; of folders its negative's logarithm. In GGUF [count] may be [H, 1] or [H, N]."""
    return w.vector(count, "ssm_a" if w.is_gguf else "A_log", [(count, 1)])


def skips(w: Weights, count: int) -> Node:
    return w.vector(count, "ssm_d" if w.is_gguf else "D", [(count, 1)])


def group_norm(s: StateSpace, y: Node, w: Weights) -> Node:
    if s.norm is None:
        return y
    return rms_norm(y, w.vector(s.inner, or_shape=[(s.groups, s.inner // s.groups)]), s.norm, s.groups)


def within(x: Node, limits: tuple[float, float]) -> Node:
    least, most = limits
    x = largest(x, least) if least > 0 else x
    return smallest(x, most) if most < math.inf else x


def scaled(x: Node, by: float) -> Node:
    return x if by == 1 else x * by
