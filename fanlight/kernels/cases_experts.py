"""Cases of experts: of what chooses them, of products by their weights, and of what adds those up."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from fanlight.arrays import Array
from fanlight.kernels import gemm, gemm_f16, gemv_int8, linear, mix, order, route
from fanlight.kernels.case import Case, Random, random_inputs, random_weight
from fanlight.kernels.cases_rows import random_operands
from fanlight.kernels.expressions import Fused, Operand, argument, silu
from fanlight.kernels.linear import Experts, Linear
from fanlight.kernels.route import Route
from fanlight.kernels.spec import round_up

A, B, C, D = (argument(i) for i in range(4))
SWIGLU = Fused(silu(A) * B, (), 2)


def random_route(rng: Random, rows: int, experts: int, top_k: int) -> Array:
    """f32 [rows, 2*top_k]; a row's experts differ."""
    import numpy as np

    chosen = np.stack([rng.permutation(experts)[:top_k] for _ in range(rows)])
    shares = rng.uniform(0.1, 1.0, (rows, top_k))
    return np.concatenate([chosen, shares], axis=1).astype(np.float32)


def _case(rng: Random, module: ModuleType, name: str, rows: int, e: Experts, *cut: Any, **fields: Any) -> Case:
    """rows: of the step, which may have fewer than the problem."""
    import numpy as np

    n, k = fields["n"], fields["k"]
    x_stride = round_up(k if e.form == "each" else k * e.top_k, 4)
    columns = n // 2 if "epilogue" in fields and fields["epilogue"].values == 2 else n
    y_stride = columns * (1 if e.form == "sum" else e.top_k)
    p = Linear(**({"format": "Q8_0", "rows": rows, "x_stride": x_stride, "y_stride": y_stride, "experts": e} | fields))
    kernel, size = module.make(p, *cut), p.rows * y_stride
    weight = np.frombuffer(random_weight(rng, p.format, n * e.count, k), np.uint8)
    after = linear.after(p) if e.form == "sum" else linear.after_of_experts(p)
    chosen = random_route(rng, p.rows, e.of, e.top_k)
    contents: dict[str, Array] = {
        "w": weight,
        "s": weight,
        "x": rng.normal(size=p.rows * x_stride).astype(np.float32),
        "route": chosen,
        "inputs": random_inputs(rng, [(0, i) for i in range(rows)]),
        **random_operands(rng, linear.before(p), p.rows),
        **random_operands(rng, after, p.rows),
        "y": np.zeros(size, np.float32),
        "yq": np.zeros(size, np.int8),
        "yd": np.zeros(size // 32, np.float32),
    }
    if e.choice:
        contents |= _logits(rng, e.choice, p.rows)
    if p.gives_int8:
        contents |= {"y": np.zeros(size, np.int8), "y_scales": np.zeros(size // 8, np.float32)}
    quantized = rng.integers(-127, 128, (p.rows * x_stride // 16, 16)).astype(np.int8)
    scales = rng.uniform(0.001, 0.03, len(quantized)).astype(np.float32)
    if p.is_int8:
        contents |= {"x": quantized, "x_scales": np.stack([scales, scales * quantized.sum(axis=1)], axis=1).astype(np.float32)}
    if is_tiled := kernel.stem.startswith("gemm"):
        contents |= {"xq": quantized, "xd": scales[::2], "order": _order(kernel.constants, p, chosen)}
    names = {binding.name for binding in kernel.bindings}
    rounding = 2e-5 if module is not gemm_f16 else 1e-3
    rounding = 1 / 126 if p.is_paired and is_tiled else rounding
    dtypes = (("y", "int8"),) if p.gives_int8 else (("yq", "int8"),) if is_tiled else ()
    return Case(name, kernel, module.grid(p, *cut), {n: v for n, v in contents.items() if n in names}, rounding, dtypes)


def _order(constants: tuple[tuple[str, Any], ...], p: Linear, route: Array) -> Array:
    """Of all rows of the problem, whose tiles those of a step with fewer are not told from."""
    import numpy as np

    e, height = p.experts, dict(constants).get("TILE_M", gemm.TILE)
    assert e
    kernel = order.make(p.rows, e.of, e.top_k, height)
    made = {"route": route.reshape(-1).view(np.uint8), "inputs": np.array([p.rows, 0, 0, 0], np.uint32).view(np.uint8)}
    made["order"] = np.zeros(order.size(p.rows * e.top_k, e.of, height), np.uint8)
    order.reference(kernel, made, order.grid())
    return made["order"].view(np.uint32)


CHOICES = {
    "softmax": Route(12, 3, stride=12),
    "softmax of all": Route(9, 2, normalize=False, stride=12),
    "softmax bias": Route(16, 4, has_bias=True, stride=16),
    "gain": Route(12, 3, stride=12, has_gain=True),
    "sigmoid": Route(6, 6, "sigmoid", scale=2.5, eps=1e-20, stride=8),
    "groups": Route(24, 4, "softmax", False, 16.0, 0.0, 6, 2, stride=24),
    "groups bias": Route(64, 8, "sigmoid", True, 2.5, 1e-20, 8, 4, True, 64),
}


def _chosen_cases(rng: Random, module: ModuleType) -> Iterator[Case]:
    """Of products that make the choice as they begin."""
    for name, choice in CHOICES.items():
        e = Experts(choice.experts, choice.experts, choice.top_k, choice=choice)
        yield _case(rng, module, f"experts {name}", 3, e, n=32, k=64)
    norm: dict[str, Any] = {"norm_eps": 1e-5, "prologue": Fused(A * B, (Operand("column"),)), "epilogue": SWIGLU}
    e = Experts(128, 128, 8, choice=Route(128, 8, stride=128))
    yield _case(rng, module, "experts of 128", 1, e, format="Q4_0", n=192, k=64, **norm, gives_int8=module is gemv_int8)


def few_cases(rng: Random, module: ModuleType) -> Iterator[Case]:
    """Of gemv.py and gemv_int8.py."""
    for format in ("Q4_K", "Q6_K", "Q4_0") if module is gemv_int8 else ("Q4_K", "BF16", "F32"):
        yield _case(rng, module, f"experts {format}", 2, Experts(5, 5, 3), format=format, n=40, k=256)
    norm: dict[str, Any] = {"norm_eps": 1e-5, "prologue": Fused(A * B, (Operand("column"),))}
    yield _case(rng, module, "experts norm", 3, Experts(6, 6, 2), n=32, k=96, **norm)
    yield _case(rng, module, "experts part", 3, Experts(3, 8, 4, 2), n=36, k=64)
    yield _case(rng, module, "experts halves", 2, Experts(5, 5, 2), n=64, k=64, **norm, epilogue=SWIGLU)
    bias = Fused(silu(A + C) * (B + D), (Operand("column", 0, 160), Operand("column", 0, 160)), 2)
    yield _case(rng, module, "experts halves bias", 2, Experts(5, 5, 2), n=64, k=64, epilogue=bias)
    yield _case(rng, module, "experts own", 2, Experts(3, 5, 4, 1, "own"), n=36, k=64)
    residual = Fused(A + B, (Operand("element", stride=40),))
    yield _case(rng, module, "experts sum", 3, Experts(5, 5, 3, 0, "sum"), n=40, k=64, epilogue=residual)
    if module is gemv_int8:
        quantized: dict[str, Any] = {"format": "Q4_0", "n": 192, "k": 64, "epilogue": SWIGLU, "gives_int8": True}
        yield _case(rng, module, "experts halves int8", 2, Experts(5, 5, 2), **quantized)
        yield _case(rng, module, "experts sum of int8", 2, Experts(5, 5, 4, 0, "sum"), n=36, k=96, is_int8=True)
    yield _case(rng, module, "experts sum 8", 8, Experts(9, 9, 8, 0, "sum"), format="Q4_0", n=33, k=288)
    yield from _chosen_cases(rng, module)


def tiled_cases(rng: Random, module: ModuleType, *cut: Any) -> Iterator[Case]:
    """Of gemm.py, gemm_int8.py and gemm_f16.py."""
    for format in ("Q4_K", "Q6_K", "Q4_0") if module is not gemm else ("Q4_K", "BF16"):
        yield _case(rng, module, f"experts {format}", 70, Experts(5, 5, 3), *cut, format=format, n=72, k=256)
    yield _case(rng, module, "experts part", 21, Experts(3, 8, 4, 2), *cut, n=36, k=64)
    yield _case(rng, module, "experts own", 40, Experts(7, 7, 4, 0, "own"), *cut, n=36, k=64)
    bias = Fused(A + B, (Operand("column", 0, 5 * 40),))
    yield _case(rng, module, "experts bias", 30, Experts(5, 5, 2), *cut, n=40, k=96, epilogue=bias)
    if module is not gemm:
        yield _case(rng, module, "experts halves", 50, Experts(5, 5, 2), *cut, n=192, k=64, epilogue=SWIGLU)


def _route(rng: Random) -> Iterator[Case]:
    problems = {
        "softmax": Route(8, 2, stride=8),
        "one": Route(1, 1, "sigmoid", False, stride=4),
        "all": Route(20, 20, stride=20),
        "softmax 128": Route(128, 8, stride=128),
        "not normalised": Route(60, 4, normalize=False, scale=1.5, stride=60),
        "sigmoid": Route(37, 5, "sigmoid", scale=2.5, eps=1e-20, stride=40),
        "bias": Route(32, 4, "sigmoid", has_bias=True, stride=32),
        "gain": Route(37, 5, scale=0.5, stride=40, has_gain=True),
        "groups": Route(24, 4, "softmax", False, 16.0, 0.0, 6, 2, stride=24),
        "groups bias": Route(256, 8, "sigmoid", True, 2.5, 1e-20, 8, 4, True, 256),
    }
    for name, p in problems.items():
        yield Case(name, route.make(p), route.grid(5), _logits(rng, p, 5), 1e-5)


def _logits(rng: Random, p: Route, rows: int) -> dict[str, Array]:
    import numpy as np

    logits = rng.normal(size=(rows, p.stride)).astype(np.float32) * 2
    logits[rows - 1] = np.round(logits[rows - 1])  # many are equal
    made = {"logits": logits, "route": np.zeros(rows * 2 * p.top_k, np.float32)}
    made |= {"gain": rng.normal(size=p.experts).astype(np.float32)} if p.has_gain else {}
    return made | ({"bias": rng.normal(size=p.experts).astype(np.float32) / 4} if p.has_bias else {})


def _order_cases(rng: Random) -> Iterator[Case]:
    import numpy as np

    for rows, experts, top_k, height, count in ((64, 5, 2, 32, 64), (70, 128, 8, 64, 33), (600, 300, 8, 32, 600)):
        kernel = order.make(rows, experts, top_k, height)
        contents = {
            "route": random_route(rng, rows, experts, top_k),
            "inputs": random_inputs(rng, [(0, i) for i in range(count)]),
            "order": np.zeros(order.size(rows * top_k, experts, height) // 4, np.uint32),
        }
        yield Case(f"{rows} of {experts}", kernel, order.grid(), contents, 0, (("order", "uint32"),))


def _mix(rng: Random) -> Iterator[Case]:
    import numpy as np

    trees = {"alone": None, "residual": Fused(A + B, (Operand("element", stride=76),))}
    for name, tree in trees.items():
        contents = {
            "x": rng.normal(size=(3, 4, 76)).astype(np.float32),
            "route": random_route(rng, 3, 9, 4),
            "inputs": random_inputs(rng, [(0, 0), (0, 1)]),
            **random_operands(rng, mix.site_of(76, tree), 3),
            "y": np.zeros(3 * 76, np.float32),
        }
        yield Case(name, mix.make(76, 4, 76, tree), mix.grid(76, 3), contents)
        yield Case(f"{name} of one", mix.make(74, 1, 76, tree, 76), mix.grid(74, 3), contents)


EXPERT_CASES: dict[str, Callable[[Random], Iterator[Case]]] = {"mix": _mix, "order": _order_cases, "route": _route}
