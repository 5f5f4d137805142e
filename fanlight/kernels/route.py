"""Which experts a row meets, and by what shares: the top_k largest of their scores, the lower number where two are equal.

route: f32 [T, 2*top_k], the experts' numbers, the best first, and then their shares. Scores p are a softmax of the router's
logits over all experts, or a sigmoid of each (https://arxiv.org/abs/2401.06066, https://arxiv.org/abs/2412.19437). A bias is
added for the choice only. With groups, experts compete in the top_groups groups of the highest score: the best of a group's,
or the sum of its two best where there is a bias. With gains, each share is multiplied by its expert's."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel, ceil_div, kernel

LARGEST_WORKGROUP = 256
CHOOSE = "lib/choose.wgsl"
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
    has_gain: bool = False

    def __post_init__(self) -> None:
        assert self.score in SCORES and self.experts % self.groups == 0 and self.top_groups <= self.groups, self
        assert self.top_k <= self.experts // self.groups * self.top_groups, self

    @property
    def is_by_logits(self) -> bool:
        """Whether logits say all: shares that add up to one number are a softmax of the chosen experts alone."""
        return self.score == "softmax" and self.normalize and not (self.eps or self.has_bias) and self.groups == 1


@lru_cache(maxsize=64)
def make(p: Route) -> Kernel:
    workgroup = max(64, min(LARGEST_WORKGROUP, 1 << (p.experts - 1).bit_length()))
    sizes = {"EXPERTS": p.experts, "TOP_K": p.top_k, "WORKGROUP": workgroup} | constants(p)
    return kernel("route", bindings(p), sizes, (CHOOSE, "route.wgsl"), problem=p, generated=generated(p))


# What a product that makes the choice as it begins has of it (lib/experts_chosen.wgsl), besides EXPERTS, TOP_K and WORKGROUP:
def bindings(p: Route) -> dict[str, str]:
    vectors = {name: "array<f32>" for name, is_there in (("bias", p.has_bias), ("gain", p.has_gain)) if is_there}
    return {"logits": "array<f32>"} | vectors | {"route": "+array<f32>"}


def constants(p: Route) -> dict[str, int | float]:
    sizes = {"ROUTE_STRIDE": p.stride, "ROUTE_GROUPS": p.groups, "ROUTE_TOP_GROUPS": p.top_groups}
    return sizes | {"ROUTE_SCALE": float(p.scale), "ROUTE_EPS": float(p.eps)}


def generated(p: Route) -> str:
    flags = {"IS_SOFTMAX": p.score == "softmax", "NORMALIZE_SHARES": p.normalize, "HAS_BIAS": p.has_bias}
    flags["IS_BY_LOGITS"] = p.is_by_logits
    made = "".join(f"const {name} = {str(value).lower()};\n" for name, value in flags.items())
    made += f"fn bias_at(e: u32) -> f32 {{ return {'bias[e]' if p.has_bias else '0.0'}; }}\n"
    return made + f"fn gain_at(e: u32) -> f32 {{ return {'gain[e]' if p.has_gain else '1.0'}; }}\n"


def workgroup_bytes(p: Route, threads: int) -> int:
    """Of workgroup memory that the choice takes, at most."""
    return 16 * ceil_div(p.experts, 4) + 4 * (threads + p.groups + 2 * p.top_k) + 5 * 16


def grid(rows: int) -> tuple[int, int, int]:
    return (rows, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    p: Route = kernel.problem
    write_route(p, arrays, grid[0])


def write_route(p: Route, arrays: dict[str, Array], rows: int) -> None:
    import numpy as np

    x = arrays["logits"].view(np.float32)[: rows * p.stride].reshape(rows, p.stride)[:, : p.experts]
    bias = arrays["bias"].view(np.float32)[: p.experts] if p.has_bias else None
    gain = arrays["gain"].view(np.float32)[: p.experts] if p.has_gain else None
    arrays["route"].view(np.float32)[: rows * 2 * p.top_k] = routed(p, x, bias, gain).reshape(-1)


def routed(p: Route, logits: Array, bias: Array | None, gain: Array | None = None) -> Array:
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
    shares = shares * p.scale * (1.0 if gain is None else gain.reshape(-1)[chosen])
    return np.concatenate([chosen, shares], axis=1)
