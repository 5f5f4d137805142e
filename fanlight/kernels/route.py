"""Which experts a row meets, and by what shares: the top_k largest of their scores, the lower number where two are equal.

route: f32 [T, 2*top_k], the experts' numbers, the best first, and then their shares. Scores p are a softmax of the router's
logits over all experts, or a sigmoid of each (https://arxiv.org/abs/2401.06066, https://arxiv.org/abs/2412.19437). A bias is
added for the choice only. With groups, experts compete in the top_groups groups of the highest score: the best of a group's,
or the sum of its two best where there is a bias."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel, kernel

LARGEST_WORKGROUP = 256
SCORES = ("softmax", "sigmoid")


@dataclass(frozen=True, slots=True)
class Route:
    """normalize: shares add up to `scale`, with `eps` in the denominator; else they are the scores times `scale`."""

    experts: int
    top_k: int
    score: str = "softmax"
    normalize: bool = True
    scale: float = 1.0
    eps: float = 0.0
    groups: int = 1
    top_groups: int = 1
    has_bias: bool = False
    stride: int = 0  # of the logits

    def __post_init__(self) -> None:
        assert self.score in SCORES and self.experts % self.groups == 0 and self.top_groups <= self.groups, self
        assert self.top_k <= self.experts // self.groups * self.top_groups, self

    @property
    def is_by_logits(self) -> bool:
        """Whether logits say all: shares that add up to one number are a softmax of the chosen experts alone."""
        return self.score == "softmax" and self.normalize and not (self.eps or self.has_bias) and self.groups == 1


@lru_cache(maxsize=64)
def make(p: Route) -> Kernel:
    constants: dict[str, int | float] = {
        "EXPERTS": p.experts,
        "STRIDE": p.stride,
        "TOP_K": p.top_k,
        "GROUPS": p.groups,
        "TOP_GROUPS": p.top_groups,
        "SCALE": p.scale,
        "EPS": p.eps,
        "WORKGROUP": max(64, min(LARGEST_WORKGROUP, 1 << (p.experts - 1).bit_length())),
    }
    bias = {"bias": "array<f32>"} if p.has_bias else {}
    bindings = {"x": "array<f32>"} | bias | {"inputs": "array<u32>", "y": "+array<f32>"}
    flags = {"IS_SOFTMAX": p.score == "softmax", "NORMALIZE": p.normalize, "HAS_BIAS": p.has_bias}
    flags["IS_BY_LOGITS"] = p.is_by_logits
    generated = "".join(f"const {name} = {str(value).lower()};\n" for name, value in flags.items())
    generated += f"fn bias_at(e: u32) -> f32 {{ return {'bias[e]' if p.has_bias else '0.0'}; }}\n"
    return kernel("route", bindings, constants, ("route.wgsl",), problem=p, generated=generated)


def grid(rows: int) -> tuple[int, int, int]:
    return (rows, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Route = kernel.problem
    x = arrays["x"].view(np.float32)[: grid[0] * p.stride].reshape(grid[0], p.stride)[:, : p.experts]
    bias = arrays["bias"].view(np.float32)[: p.experts] if p.has_bias else None
    arrays["y"].view(np.float32)[: grid[0] * 2 * p.top_k] = routed(p, x, bias).reshape(-1)


def routed(p: Route, logits: Array, bias: Array | None) -> Array:
    """logits [T, E] -> route [T, 2*top_k]. (NumPy)"""
    import numpy as np

    x = logits.astype(np.float64)
    if p.score == "softmax":
        exp = np.exp(x - x.max(axis=1, keepdims=True))
        scores = exp / exp.sum(axis=1, keepdims=True)
    else:
        scores = 1 / (1 + np.exp(-x))
    choice = scores if bias is None else scores + bias.reshape(-1)
    grouped = np.sort(choice.reshape(len(x), p.groups, -1), axis=2)[:, :, ::-1]
    of_group = grouped[:, :, 0] if bias is None else grouped[:, :, :2].sum(axis=2)
    best = np.argsort(-of_group, axis=1, kind="stable")[:, : p.top_groups]
    allowed = np.zeros((len(x), p.groups), bool)
    np.put_along_axis(allowed, best, True, axis=1)
    choice = np.where(allowed.repeat(p.experts // p.groups, axis=1), choice, -np.inf)
    chosen = np.argsort(-choice, axis=1, kind="stable")[:, : p.top_k]
    shares = np.take_along_axis(scores, chosen, axis=1)
    shares = shares / (shares.sum(axis=1, keepdims=True) + p.eps) if p.normalize else shares
    return np.concatenate([chosen, shares * p.scale], axis=1)
