"""Finds, at the first load on an adapter, how it wants its products cut: compiler/tuning.py's candidates against the clock.

Each kind of product in a Program is a contest. Its candidates run in turn, in batches long enough for a browser's coarse clock,
their weights rotating through more memory than most caches hold; medians of a few rounds are compared, and a gain that is not
larger than the spread is none. Who is fastest must give known answers before it wins. All this happens in a small Program of
its own while weights are on their way, and is remembered (adapter_notes.py)."""

import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from statistics import median
from types import ModuleType

from fanlight.compiler.program import BufferSpec, KernelSpec, Launch, Limits, Program, Slice
from fanlight.compiler.tuning import Tuning, module_of, product_key, shape_candidates, tile_candidates
from fanlight.errors import DoesNotFit, KernelFailed
from fanlight.kernels import gemv, gemv_int8
from fanlight.kernels.gemm_int8 import Tile
from fanlight.kernels.gemv_int8 import Shape
from fanlight.kernels.inputs import Row, pack_inputs
from fanlight.kernels.known import places
from fanlight.kernels.known_kernels import known_of
from fanlight.kernels.linear import Linear, packing_of
from fanlight.kernels.spec import MADE, Kernel, round_up
from fanlight.runtime.device import AdapterInfo, Device
from fanlight.runtime.self_test import check_launch

BUDGET_S = 2.0  # at most
SMALLEST_BUDGET_S = 0.3
DOWNLOAD_BYTES_PER_S = 1e9  # that no download exceeds: tuning takes no longer than weights do
BATCH_S = 0.003  # of one candidate's launches, at least
ROUNDS = 5
SMALLEST_GAIN = 0.02
WEIGHT_BYTES = 64 << 20  # that a contest's weights rotate through
MOST_COPIES = 8
GEMM_ROWS = 128  # a whole step's would take slow GPUs too long
MARGIN = 64 << 10  # bytes behind every buffer's end
PROBE = "sampled"  # what is read to wait
SOFTWARE = ("swiftshader", "llvmpipe", "software", "basic render")  # adapters that are processors: not worth the time


@dataclass(frozen=True, slots=True)
class Candidate:
    cut: Shape | Tile
    kernel: Kernel
    grid: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Contest:
    """One kind of product. cost: bytes that it reads for a token, by which contests are ordered."""

    key: str
    problem: Linear
    candidates: tuple[Candidate, ...]  # the first is what is used without tuning
    cost: int


def budget_of(program: Program) -> float:
    """Seconds that are hidden behind the weights' way here; 0 where they are too few."""
    seconds = min(BUDGET_S, sum(upload.size for upload in program.uploads) / DOWNLOAD_BYTES_PER_S)
    return seconds if seconds >= SMALLEST_BUDGET_S else 0.0


def is_software(info: AdapterInfo) -> bool:
    words = f"{info.vendor} {info.architecture} {info.device} {info.description}".lower()
    return any(name in words for name in SOFTWARE)


def contests_of(program: Program, tuning: Tuning, limits: Limits) -> list[Contest]:
    """What there is to find out about this Program's products, most important first."""
    texts = {spec.name: spec.wgsl for spec in program.kernels}
    found: dict[str, Contest] = {}
    for step in program.steps:
        for launch in step.launches:
            kernel = MADE.get(texts[launch.kernel])
            if kernel is None or kernel.stem not in ("gemv_int8", "gemm_int8", "gemm_f16"):
                continue
            p: Linear = kernel.problem
            if p.experts or product_key(p) in tuning.found or 1 < p.rows <= gemv.MAX_COLUMNS:
                continue
            cost = packing_of(p.format, p.n, p.k).size
            before = found.get(product_key(p))
            if p.rows > 1 and before and before.cost >= cost:
                continue
            if before is None or p.rows > 1:
                found[product_key(p)] = _contest(p, tuning, limits, cost)
            else:
                found[product_key(p)] = replace(before, cost=before.cost + cost)
    return sorted((c for c in found.values() if len(c.candidates) > 1), key=lambda c: -c.cost)


def _contest(p: Linear, tuning: Tuning, limits: Limits, cost: int) -> Contest:
    cuts: list[tuple[Shape | Tile, ModuleType]]
    if p.rows > gemv.MAX_COLUMNS:
        small = replace(p, rows=min(p.rows, GEMM_ROWS))
        cuts = [(tile, module_of(tile)) for tile in tile_candidates(p, tuning.tile_of(p, limits), limits)]
    else:
        most = min(WEIGHT_BYTES, limits.max_storage_buffer_binding_size, limits.max_buffer_size)
        rows = p.n if cost <= most else int(p.n * most / cost) // 64 * 64
        small = replace(p, n=rows)
        cuts = [(shape, gemv_int8) for shape in shape_candidates(p, tuning.shape_of(p, limits), limits)]
    made = (Candidate(cut, module.make(small, cut), module.grid(small, cut)) for cut, module in cuts)
    return Contest(product_key(p), small, tuple(made), cost)


async def autotune(contests: Sequence[Contest], device: Device, budget_s: float = BUDGET_S) -> dict[str, tuple[int, ...]]:
    """By product_key, the fields of the cut to use: the table's where time or room do not suffice for anything else."""
    found = {contest.key: astuple(contest.candidates[0].cut) for contest in contests}
    start = time.perf_counter()
    for i, contest in enumerate(contests):
        share = (budget_s - (time.perf_counter() - start)) / (len(contests) - i)
        if share <= 0:
            break
        try:
            winner = await _hold(contest, device, share)
        except (KernelFailed, DoesNotFit):
            continue
        if winner is not None:
            found[contest.key] = astuple(winner.cut)
    return found


async def _hold(contest: Contest, device: Device, seconds: float) -> Candidate | None:
    arena = _Arena(contest, device.limits)
    await device.prepare(arena.program)
    deadline = time.perf_counter() + seconds
    device.write("inputs", 0, pack_inputs([Row(0, i, 0) for i in range(contest.problem.rows)], [], 1))
    idle = median([await _seconds(device, [], 0) for _ in range(3)])
    for candidate in contest.candidates:  # the first launch of each may compile
        await _seconds(device, arena.launches(candidate)[:1], 1)
    first = arena.launches(contest.candidates[0])
    once = max(await _seconds(device, first, 1) - idle, 1e-5)
    count = max(1, min(200, round(BATCH_S / once)))
    times: list[list[float]] = [[] for _ in contest.candidates]
    for _ in range(ROUNDS):
        for candidate, taken in zip(contest.candidates, times, strict=True):
            taken.append(await _seconds(device, arena.launches(candidate), count) - idle)
        if time.perf_counter() > deadline:
            break
    return await _winner(contest, times, arena, device)


async def _seconds(device: Device, launches: Sequence[Launch], count: int) -> float:
    start = time.perf_counter()
    if launches:
        device.launch(launches, count)
    await device.read(PROBE, 0, 16)
    return time.perf_counter() - start


async def _winner(contest: Contest, times: list[list[float]], arena: "_Arena", device: Device) -> Candidate | None:
    """The fastest that is faster by more than chance, and right. None where too little was measured, or nothing is right."""
    if len(times[0]) < 3:
        return None
    ranked = sorted(range(len(times)), key=lambda i: median(times[i]))
    usual = median(times[0])
    for i in ranked:
        gain = usual - median(times[i])
        if i and gain <= max(SMALLEST_GAIN * usual, _spread(times[i]), _spread(times[0])):
            continue
        candidate = contest.candidates[i]
        known = known_of(candidate.kernel, candidate.grid)
        launch = arena.launches(candidate)[0]
        slices = arena.slices(candidate.kernel)
        if known and not await check_launch(device, known, launch, slices, candidate.kernel.outputs):
            return candidate
    return None


def _spread(taken: list[float]) -> float:
    """Half of where the middle of the measurements lies."""
    ordered = sorted(taken)
    return (ordered[-2] - ordered[1]) / 2 if len(ordered) > 3 else (ordered[-1] - ordered[0]) / 2


class _Arena:
    """A contest's Program: a buffer for each binding, weights several times over."""

    def __init__(self, contest: Contest, limits: Limits):
        p = contest.problem
        self.weight_bytes = round_up(packing_of(p.format, p.n, p.k).size, 256)
        most = min(WEIGHT_BYTES, limits.max_buffer_size)
        self.copies = max(1, min(MOST_COPIES, most // self.weight_bytes))
        self.sizes = _sizes(contest)
        self.names = {candidate: f"{candidate.kernel.stem}.{i}" for i, candidate in enumerate(contest.candidates)}
        buffers = {"weight": self.weight_bytes * self.copies, "inputs": MARGIN, PROBE: 256}
        buffers |= {f"tune.{name}": size for name, size in self.sizes.items()}
        specs = tuple(
            KernelSpec(name, c.kernel.wgsl(), tuple(b.access for b in c.kernel.bindings), c.kernel.features)
            for c, name in self.names.items()
        )
        made = tuple(BufferSpec(name, size, "arena") for name, size in buffers.items())
        self.program = Program("tuning", 1, 1, 1, 1, 1, p.rows, made, specs, ())

    def slices(self, kernel: Kernel, copy: int = 0) -> dict[str, Slice]:
        weight = Slice("weight", copy * self.weight_bytes, self.weight_bytes)
        found = {"w": weight, "s": weight, "inputs": Slice("inputs", 0, MARGIN)}
        return {b.name: found.get(b.name) or Slice(f"tune.{b.name}", 0, self.sizes[b.name]) for b in kernel.bindings}

    def launches(self, candidate: Candidate) -> list[Launch]:
        """One for each copy of the weights."""
        name = self.names[candidate]
        made = (tuple(self.slices(candidate.kernel, copy).values()) for copy in range(self.copies))
        return [Launch(name, bindings, candidate.grid, "tuning") for bindings in made]


def _sizes(contest: Contest) -> dict[str, int]:
    """Bytes of each binding but weights and inputs."""
    p, rows = contest.problem, contest.problem.rows
    x, y, kv = rows * p.x_stride * p.splits, rows * p.y_stride + p.row_offset, p.rope.kv if p.rope else None
    sizes = {"x": 4 * x, "x_scales": x, "x_state": x, "xq": x, "xd": x, "y": 4 * y, "y_scales": y, "yq": y, "yd": y}
    sizes |= {f"prologue{i}": 4 * p.k for i in range(len(p.prologue.operands) if p.prologue else 0)}
    after = p.epilogue.operands if p.epilogue else ()
    sizes |= {f"epilogue{i}": 4 * (o.start + o.size + rows * o.stride + p.row_offset + p.n) for i, o in enumerate(after)}
    if kv:
        sizes |= {"kv": kv.size, "q": 4 * y, "inv_freq": 4 * kv.head_dim, "block_table": MARGIN}
    names = {b.name for candidate in contest.candidates for b in candidate.kernel.bindings} - {"w", "s", "inputs"}
    for candidate in contest.candidates:
        known = known_of(candidate.kernel, candidate.grid)
        ends = [(binding, at + len(data)) for binding, at, data in known.writes] if known else []
        ends += [(b, at + size) for answer in known.answers for b, at, size in places(answer)] if known else []
        for name, end in ends:
            sizes[name] = max(sizes.get(name, 0), end)
    return {name: round_up(sizes.get(name, 0) + MARGIN, 256) for name in names}
