"""The routed experts that stand beside each MLP of Gemma 4's 26B-A4B (gemma4.py)."""

from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import moe
from fanlight.models.layers import linear, rms_norm, route
from fanlight.models.moe import Moe
from fanlight.models.weights import Weights


def beside_experts(config: Any, of: Moe, w: Weights, x: Node, y: Node) -> Node:
    """What the layer's experts make of x, and y, which its MLP made of it; each by a norm of its own. [T, C]"""
    router = w["router"]
    scale = (router["proj"] if w.is_gguf else router).vector(config.hidden_size, "scale")
    scaled = rms_norm(x, scale, config.rms_norm_eps) * config.hidden_size**-0.5
    chosen = route(linear(scaled, router["proj"], of.num_experts), of.num_experts_per_tok, gain=gains(of, w))  # [T, 2k]
    before, after, of_y = (
        w[f"{name}_feedforward_layernorm_{n}"].vector(config.hidden_size) for name, n in (("pre", 2), ("post", 2), ("post", 1))
    )
    made = moe.gated(config, of, chosen, rms_norm(x, before, config.rms_norm_eps), *matrices(of, w["experts"]))
    return rms_norm(y, of_y, config.rms_norm_eps) + rms_norm(made, after, config.rms_norm_eps)


def matrices(of: Moe, w: Weights) -> tuple[Weights, Weights, Weights]:
    """Gates, ups, downs: the first two are one tensor, or each by itself."""
    gate, up, down = (w[f"{name}_proj"] for name in ("gate", "up", "down"))
    both = w["gate_up_proj"] if w.is_gguf else w.called("gate_up_proj")
    if both.has(both.kind):
        gate, up = both.split(of.intermediate_size, of.intermediate_size)
    return gate, up, w.called("down_proj") if w.has("down_proj") else down


def gains(of: Moe, w: Weights) -> Node | None:
    """What each expert's share is multiplied with; GGUF files have it beside the matrices that give results. [E]"""
    if not w.is_gguf:
        return w["router"].vector(of.num_experts, "per_expert_scale")
    down = w["experts"]["down_proj"]
    return down.vector(of.num_experts, "scale") if down.has("scale") else None
