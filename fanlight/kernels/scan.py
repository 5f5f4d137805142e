"""The recurrence of state space models.  https://arxiv.org/abs/2312.00752, https://arxiv.org/abs/2405.21060

Each channel c of a head h keeps N numbers s of its sequence. Row by row, where B and C [N] are those of the head's group:
    s = exp(dt_h * A) s + dt_h x_c B        y_c = sum(s C) + D_h x_c
A is one number of a head (Mamba-2), or N of them (Mamba-1, whose heads are single channels).

What is kept lies by slot: f32 [S, H*P, N]. A sequence that begins (position 0) reads nothing of it. Within a step each run of
rows is computed one row after the other, its state in registers; channels are spread over workgroups."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.inputs import read_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 128
MOST_LANES = 32
KEPT = 8  # numbers a thread should keep


@dataclass(frozen=True, slots=True)
class Scan:
    """size: channels of a head; states: N. is_own: each of a channel's numbers decays by its own A. is_log: what stands for A
    is log(-A). Strides and offsets count f32 elements."""

    heads: int
    size: int
    groups: int
    states: int
    is_own: bool
    is_log: bool
    x_stride: int
    x_offset: int
    dt_stride: int
    dt_offset: int
    bc_stride: int
    bc_offset: int
    y_stride: int
    rows_at: int

    def __post_init__(self) -> None:
        if self.heads % self.groups:
            raise ValueError(f"{self.heads} heads of a scan in {self.groups} groups: they do not go together")

    @property
    def channels(self) -> int:
        return self.heads * self.size

    @property
    def lanes(self) -> int:
        """Threads to a channel; a power of 2."""
        lanes = 1
        while lanes < MOST_LANES and lanes * KEPT < self.states:
            lanes *= 2
        return lanes


@lru_cache(maxsize=64)
def make(p: Scan) -> Kernel:
    """x [rows, H*P], dt [rows, H], bc [rows, 2*G*N] (B, then C), a [H] or [H, N], d [H] -> y [rows, H*P], and state"""
    bindings = dict.fromkeys(("x", "dt", "bc", "a", "d"), "array<f32>") | {"inputs": "array<u32>"}
    constants = {
        "HEADS": p.heads,
        "SIZE": p.size,
        "GROUPS": p.groups,
        "STATES": p.states,
        "RATES": p.states if p.is_own else 1,
        "IS_LOG": int(p.is_log),
        "X_STRIDE": p.x_stride,
        "X_OFFSET": p.x_offset,
        "DT_STRIDE": p.dt_stride,
        "DT_OFFSET": p.dt_offset,
        "BC_STRIDE": p.bc_stride,
        "BC_OFFSET": p.bc_offset,
        "Y_STRIDE": p.y_stride,
        "ROWS_AT": p.rows_at,
        "LANES": p.lanes,
        "WORKGROUP": WORKGROUP,
    }
    files = ("lib/row.wgsl", "lib/run.wgsl", "scan.wgsl")
    return kernel("scan", bindings | dict.fromkeys(("state", "y"), "+array<f32>"), constants, files, problem=p)


def grid(p: Scan, rows: int, max_num_seqs: int) -> tuple[int, int, int]:
    """A step has a run of each sequence at most."""
    return (ceil_div(p.channels, WORKGROUP // p.lanes), min(rows, max_num_seqs), 1)


def state_bytes(channels: int, states: int) -> int:
    """Of a slot."""
    return 4 * channels * states


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Scan = kernel.problem
    group = p.groups * p.states
    x, dt, bc, a, d, y, state = (arrays[name].view(np.float32) for name in ("x", "dt", "bc", "a", "d", "y", "state"))
    a = a[: p.heads * (p.states if p.is_own else 1)].reshape(p.heads, 1, -1).astype(np.float64)
    a = -np.exp(a) if p.is_log else a
    kept: dict[int, Array] = {}
    for row, (_, position, slot, _) in enumerate(read_rows(arrays["inputs"].view(np.uint32), p.rows_at)):
        place = slice(slot * p.channels * p.states, (slot + 1) * p.channels * p.states)
        before = kept.get(slot, state[place].reshape(p.heads, p.size, p.states)) if position else np.zeros(())
        inputs = x[row * p.x_stride + p.x_offset :][: p.channels].reshape(p.heads, -1, 1).astype(np.float64)
        step = dt[row * p.dt_stride + p.dt_offset :][: p.heads].reshape(p.heads, 1, 1).astype(np.float64)
        both = bc[row * p.bc_stride + p.bc_offset :][: 2 * group].reshape(2, p.groups, 1, p.states)
        b, c = both.repeat(p.heads // p.groups, axis=1).astype(np.float64)
        kept[slot] = np.exp(step * a) * before + step * inputs * b
        result = (kept[slot] * c).sum(axis=2, keepdims=True) + d[: p.heads].reshape(-1, 1, 1) * inputs
        y[row * p.y_stride :][: p.channels] = result.reshape(-1)
        state[place] = kept[slot].reshape(-1)
