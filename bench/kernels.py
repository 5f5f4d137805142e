"""Times single kernels, natively and in headless Chromium: what a variant is worth before it enters the engine.

usage: python bench/kernels.py EXPERIMENTS.py [--native] [--chrome PATH [-- chromium flags ...]] [--only TEXT]
EXPERIMENTS.py defines `jobs() -> Iterable[Job]`. A kernel is dispatched again and again in one pass; its weights rotate among
copies that exceed the caches, and each dispatch waits for the one before it, as in a model. Per dispatch: the median over
rounds of (time of many - time of few) / their difference, so that submitting and waiting cancel out."""

import argparse
import base64
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fanlight.kernels.inputs import Row, Sample, pack_inputs
from fanlight.kernels.spec import Kernel, ceil_div, round_up

ROTATE_BYTES = 96 << 20  # of each read-only binding above ROTATE_ABOVE, in copies
ROTATE_ABOVE = 1 << 20
ROUNDS = [100, 1600, 5]  # dispatches of the few and of the many, and how often


@dataclass(frozen=True)
class Job:
    """sizes: bytes of each binding; data: contents where random bits will not do; num_bytes: what a launch must read."""

    name: str
    kernel: Kernel
    grid: tuple[int, int, int]
    sizes: dict[str, int]
    data: dict[str, bytes] = field(default_factory=dict)
    num_bytes: int = 0
    flops: int = 0

    def to_json(self) -> dict[str, Any]:
        bindings = [
            {
                "size": round_up(self.sizes[b.name], 256),
                "access": b.access,
                "copies": self.copies(b.name, b.access),
                "data": base64.b64encode(self.data[b.name]).decode() if b.name in self.data else None,
            }
            for b in self.kernel.bindings
        ]
        return {"name": self.name, "wgsl": self.kernel.wgsl(), "bindings": bindings, "grid": self.grid} | {
            "features": self.kernel.features,
            "rounds": ROUNDS,
        }

    def copies(self, name: str, access: str) -> int:
        size = self.sizes[name]
        return ceil_div(ROTATE_BYTES, size) if access == "read" and size >= ROTATE_ABOVE and name not in self.data else 1


def step_inputs(rows: int, position: int = 0) -> bytes:
    """The record of a step of one sequence."""
    return pack_inputs([Row(5, position + i, 0) for i in range(rows)], [Sample(rows - 1, 0)], 4)


def native(jobs: Iterable[Job]) -> Iterator[tuple[str, float | str]]:
    import wgpu

    adapter = wgpu.gpu.request_adapter_sync(power_preference="high-performance")
    names = ("max-buffer-size", "max-storage-buffer-binding-size", "max-compute-workgroup-storage-size")
    names += ("max-compute-invocations-per-workgroup", "max-storage-buffers-per-shader-stage")
    features = [f for f in ("subgroup", "shader-f16") if f in adapter.features]
    device = adapter.request_device_sync(required_features=features, required_limits={n: adapter.limits[n] for n in names})
    for job in jobs:
        try:
            yield job.name, _native_one(device, job.to_json())
        except Exception as error:
            yield job.name, repr(error)[:300]


def _native_one(device: Any, job: dict[str, Any]) -> float:
    import wgpu

    from fanlight.runtime.native import trusted_module

    usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.COPY_SRC
    kinds = {"read": "read-only-storage", "read_write": "storage"}
    entries = [
        {"binding": i, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": {"type": kinds[b["access"]]}}
        for i, b in enumerate(job["bindings"])
    ]
    layout = device.create_bind_group_layout(entries=entries)
    module = trusted_module(device, job["wgsl"])
    pipeline = device.create_compute_pipeline(
        layout=device.create_pipeline_layout(bind_group_layouts=[layout]), compute={"module": module, "entry_point": "main"}
    )
    buffers = [[device.create_buffer(size=b["size"], usage=usage) for _ in range(b["copies"])] for b in job["bindings"]]
    for made, b in zip(buffers, job["bindings"], strict=True):
        content = base64.b64decode(b["data"]) if b["data"] else random_bits(b["size"])
        for buffer in made:
            device.queue.write_buffer(buffer, 0, content)
    last = buffers[-1][0]
    groups = []
    for i in range(max(len(made) for made in buffers)):
        chosen = [made[i % len(made)] for made in buffers]
        resources = [{"binding": j, "resource": {"buffer": x, "offset": 0, "size": x.size}} for j, x in enumerate(chosen)]
        groups.append(device.create_bind_group(layout=layout, entries=resources))

    def once(count: int) -> float:
        encoder = device.create_command_encoder()
        compute = encoder.begin_compute_pass()
        compute.set_pipeline(pipeline)
        for i in range(count):
            compute.set_bind_group(0, groups[i % len(groups)])
            compute.dispatch_workgroups(*job["grid"])
        compute.end()
        commands = encoder.finish()
        began = time.perf_counter()
        device.queue.submit([commands])
        device.queue.read_buffer(last, 0, 16)
        return time.perf_counter() - began

    few, many, rounds = job["rounds"]
    once(few)
    found = statistics.median((once(many) - once(few)) / (many - few) for _ in range(rounds))
    for made in buffers:
        for buffer in made:
            buffer.destroy()
    return found * 1e6


def random_bits(size: int) -> bytes:
    """Random, and plausible as f16 scales: no infinities."""
    import numpy as np

    bits = np.random.default_rng(0).integers(0, 2**32, min(size, 1 << 20) // 4, np.uint32) & 0xB3FFB3FF
    return (bits.tobytes() * ceil_div(size, bits.nbytes))[:size]


def chromium(jobs: Iterable[Job], chrome: str, flags: list[str], timeout: float) -> dict[str, Any]:
    from bench.browser import in_page

    return in_page("kernels.html", json.dumps([job.to_json() for job in jobs]), chrome, flags, timeout)


def table(jobs: list[Job], found: dict[str, dict[str, float | str]]) -> str:
    lines = [f"{where}: {times[key]}" for where, times in found.items() for key in ("adapter", "error") if key in times]
    lines += [f"{'':44}" + "".join(f"{where:>12} us {'GB/s':>6} {'TFLOPS':>6}" for where in found)]
    for job in jobs:
        cells = []
        for times in found.values():
            us = times.get(job.name, "missing")
            if isinstance(us, str):
                cells.append(f"{us[:200]:>29}")
            else:
                cells.append(f"{us:15.2f} {job.num_bytes / us / 1e3:6.0f} {job.flops / us / 1e6:6.1f}")
        lines.append(f"{job.name:44}" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", type=Path)
    parser.add_argument("--native", action="store_true")
    parser.add_argument("--chrome")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, nargs=3, default=ROUNDS, metavar=("FEW", "MANY", "REPEATS"))
    parser.add_argument("--timeout", type=float, default=240)
    own = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    options = parser.parse_args(own)
    flags = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    ROUNDS[:] = options.rounds
    spec = importlib.util.spec_from_file_location("experiments", options.experiments)
    module = importlib.util.module_from_spec(spec)
    sys.modules["experiments"] = module
    spec.loader.exec_module(module)
    jobs = [job for job in module.jobs() if options.only in job.name]
    found: dict[str, dict[str, float | str]] = {}
    if options.native:
        found["native"] = dict(native(jobs))
    if options.chrome:
        found["chromium"] = chromium(jobs, options.chrome, flags, options.timeout)
    print(table(jobs, found))


if __name__ == "__main__":
    main()
