"""Where a step's time goes: every launch measured on its own, then grouped by what it computes; largest first.

    python -m bench profile MODEL.gguf                         one decode step, with 512 tokens before it
    python -m bench profile MODEL.gguf --rows 512 --position 0 a prefill step
    python -m bench profile MODEL.gguf --rows 1 --position 64,512,4000 --context 4096
    python -m bench profile MODEL.gguf --chrome PATH           the same in a page: what the browser's compiler makes of it
    python -m bench profile MODEL.gguf --without               what the step would take without each of them, too

Bytes are weights, and of attention the keys and values that it reads; FLOP are those of products and of attention. The roof is
a stream read, measured here; every launch stands in a pass of its own, so their sum exceeds the step's time as the engine sees
it, which is measured too. A GPU whose clocks rest between launches makes those times too long by as much: then the time of
whole steps that leave a group out says what it costs (`saves`), and one whose launches have a single workgroup (`floor`) what
launches cost that compute next to nothing."""

import argparse
import json
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from bench.machine import now
from bench.page_device import PageDevice, add_device_arguments, open_chosen_device
from fanlight.api.load import LoadOptions
from fanlight.cli.measure import stream_gbps
from fanlight.compiler.program import MAX_RECORDS, WINDOW_TABLE, Launch, Program, Row, Sample, Step, pack_inputs, pack_records
from fanlight.driver import run
from fanlight.engine.load import load_engine
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.kernels.spec import MADE, Kernel
from fanlight.runtime.device import MAX_IN_FLIGHT, Device

TOKEN = 5  # any: what is computed does not depend on it
STEPS_IN_A_ROW = 24


@dataclass(frozen=True, slots=True)
class Group:
    """Launches that do the same in different layers. `us` is of all of them together."""

    kernel: str
    what: str
    count: int = 0
    us: float = 0.0
    bytes: int = 0
    flop: int = 0
    saves: float = 0.0  # us that a step without it is shorter by

    @property
    def gbps(self) -> float:
        return self.bytes / max(self.us, 1e-9) / 1e3

    @property
    def tflops(self) -> float:
        return self.flop / max(self.us, 1e-9) / 1e6


@dataclass(frozen=True, slots=True)
class Profile:
    step: str
    rows: int
    position: int
    groups: tuple[Group, ...]
    step_us: float  # as the engine runs it: one pass, several steps in flight
    floor_us: float | None = None  # likewise, with one workgroup a launch

    @property
    def sum_us(self) -> float:
        return sum(group.us for group in self.groups)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench profile", description=__doc__.splitlines()[0])
    numbers = lambda text: tuple(int(x) for x in text.split(","))  # noqa: E731
    parser.add_argument("model", help="a GGUF file, or built-in")
    parser.add_argument("--rows", type=numbers, default=(1,), help="tokens of the step, or several numbers")
    parser.add_argument("--position", type=numbers, default=(512,), help="tokens before it, or several numbers")
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--without", action="store_true", help="measure steps that leave a group out, too")
    add_device_arguments(parser)
    parser.add_argument("--json", metavar="FILE", help="append one line for each profile")
    options = parser.parse_args(arguments)
    device = open_chosen_device(options)
    checkpoint = run(open_checkpoint(run(resolve_model(options.model))))
    wanted = [(rows, at) for rows in options.rows for at in options.position if rows + at <= options.context]
    shorter = WithShorterSteps(device, options.rows if options.without else ())
    engine = run(load_engine(checkpoint, shorter, LoadOptions(options.context), lambda phase, done, total: None))
    found = [profile(engine.program, device, rows, at, options.repeats, options.without) for rows, at in wanted]
    info = asdict(device.info)
    roof = device.stream_gbps() if isinstance(device, PageDevice) else None
    engine.close()
    roof = roof or stream_gbps()
    for one in found:
        print(table(one, roof))
        if options.json:
            head = {"date": now(), "model": options.model, "adapter": info, "stream_gbps": roof}
            with open(options.json, "a") as file:
                file.write(json.dumps(head | asdict(one)) + "\n")
    return 0


class WithShorterSteps:
    """A device that also prepares steps which leave something out: see `shorter_steps`."""

    def __init__(self, device: Device, rows: Sequence[int]) -> None:
        self._device, self._rows = device, rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    async def prepare(self, program: Program, wait: bool = True) -> None:
        steps = {step.name: step for rows in self._rows for step in shorter_steps(program.step_for(rows, 1))}
        await self._device.prepare(replace(program, steps=(*program.steps, *steps.values())), wait)


def shorter_steps(step: Step) -> Iterator[Step]:
    """The step without each of its groups, and with one workgroup a launch."""
    for group in dict.fromkeys(map(group_of, step.launches_for())):
        left = tuple([launch for launch in step.launches if group_of(launch) != group])
        yield replace(step, name=name_without(step, *group), launches=left)
    yield replace(step, name=name_of_floor(step), launches=tuple([replace(launch, grid=(1, 1, 1)) for launch in step.launches]))


def name_without(step: Step, kernel: str, what: str) -> str:
    return f"{step.name} without {kernel} {what}"


def name_of_floor(step: Step) -> str:
    return f"{step.name} floor"


def group_of(launch: Launch) -> tuple[str, str]:
    """Kernel, and what it computes, whatever the layer."""
    return launch.kernel.split(".")[0], re.sub(r"\.\d+\.", ".*.", re.sub(r"\.\d+$", ".*", launch.where))


def profile(program: Program, device: Device, rows: int, position: int, repeats: int, without: bool = False) -> Profile:
    fill_block_tables(program, device)
    step = program.step_for(rows, 1)
    tokens = [Row(TOKEN, position + i, 0) for i in range(rows)]
    inputs = pack_inputs(tokens, [Sample(rows - 1, 0)], program.max_num_seqs)
    runs = [run(device.timings(step.name, inputs)) for _ in range(repeats + 1)][1:]
    times = [statistics.median(r[i].microseconds for r in runs) for i in range(len(step.launches_for()))]
    groups = tuple(sorted(grouped(program, step, times, rows, position), key=lambda group: -group.us))
    took = partial(step_time, device, inputs=inputs, together=MAX_RECORDS if rows == 1 else 1, repeats=repeats)
    whole = took(step.name)
    if not without:
        return Profile(step.name, rows, position, groups, whole)
    shorter = [took(name_without(step, group.kernel, group.what)) for group in groups]
    whole = statistics.median([whole, took(step.name), took(step.name)])
    groups = tuple([replace(group, saves=whole - left) for group, left in zip(groups, shorter, strict=True)])
    return Profile(step.name, rows, position, groups, whole, took(name_of_floor(step)))


def fill_block_tables(program: Program, device: Device) -> None:
    """Of the first slot, whose sequence has blocks one after the other."""
    for table, count in (("block_table", program.num_blocks), (WINDOW_TABLE, program.num_window_blocks)):
        if count:
            device.write(table, 0, b"".join((i % count).to_bytes(4, "little") for i in range(program.max_blocks_per_seq)))


def step_time(device: Device, step: str, inputs: bytes, together: int, repeats: int) -> float:
    """Microseconds of one of several steps that follow each other as in decoding."""
    inputs = pack_records([inputs] * together)
    most = MAX_IN_FLIGHT // together
    if isinstance(device, PageDevice):
        return statistics.median([device.steps(step, inputs, together, STEPS_IN_A_ROW, most) for _ in range(repeats + 1)][1:])
    times = []
    for _ in range(repeats + 1):
        start, tickets = time.perf_counter(), []
        for _ in range(STEPS_IN_A_ROW // together):
            if len(tickets) == most:
                run(device.result(tickets.pop(0)))
            tickets.append(device.submit(step, inputs, together))
        for ticket in tickets:
            run(device.result(ticket))
        times.append((time.perf_counter() - start) * 1e6 / STEPS_IN_A_ROW)
    return statistics.median(times[1:])


def grouped(program: Program, step: Step, times: Sequence[float], rows: int, position: int) -> Iterator[Group]:
    groups: dict[tuple[str, str], Group] = {}
    sources = {kernel.name: kernel.wgsl for kernel in program.kernels}
    for launch, us in zip(step.launches_for(), times, strict=True):
        key = group_of(launch)
        group = groups.get(key) or Group(*key)
        made = MADE[sources[launch.kernel]]
        groups[key] = replace(
            group,
            count=group.count + 1,
            us=group.us + us,
            bytes=group.bytes + bytes_of(program, launch, rows + position),
            flop=group.flop + flop_of(program, made, launch, rows, position),
        )
    yield from groups.values()


def bytes_of(program: Program, launch: Launch, length: int) -> int:
    """Of weights, and of the part of the KV cache that `length` tokens fill, where it is read."""
    kinds = {buffer.name: buffer.kind for buffer in program.buffers}
    places = set(launch.bindings)  # quants and scales are two views of one buffer
    weights = sum(s.size for s in places if kinds[s.buffer] == "weight" and not is_table(launch))
    if not is_attention(launch):
        return weights
    cache = sum(s.size for s in places if kinds[s.buffer] == "kv")
    return weights + cache * length // (program.num_blocks * program.block_size)


def flop_of(program: Program, kernel: Kernel, launch: Launch, rows: int, position: int) -> int:
    n, k = (getattr(kernel.problem, name, 0) for name in ("n", "k"))
    if n and k:
        return (
            2 * n * k * min(rows, getattr(kernel.problem, "rows", rows))
        )  # the last layer and the head take sampled rows only
    if not is_attention(launch):
        return 0
    constants = dict(kernel.constants)
    width = int(constants.get("HEADS", 0)) * int(constants.get("HEAD_DIM", constants.get("D", 0)))
    return 4 * width * sum(position + i + 1 for i in range(rows))


def is_attention(launch: Launch) -> bool:
    return launch.kernel.startswith("attention") and not launch.kernel.startswith("attention_reduce")


def is_table(launch: Launch) -> bool:
    """An embedding is looked up, not read through."""
    return launch.kernel.startswith("embed")


# --- the table -------------------------------------------------------------------------------------------------------
def table(found: Profile, roof: float | None) -> str:
    """Markdown."""
    count = sum(group.count for group in found.groups)
    against = f"; a stream read reaches {roof:,.0f} GB/s" if roof else ""
    floor = f", {found.floor_us:,.0f} us with one workgroup a launch" if found.floor_us is not None else ""
    lines = [
        f"step {found.step}: {found.rows} rows after {found.position}; {count} launches take {found.sum_us:,.0f} us one by one,"
        f" {found.step_us:,.0f} us as a step{floor}{against}",
        "",
        "| kernel | what | launches | us each | us | share | GB/s | of roof | TFLOPS | saves |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    total = Group("", "all", count, found.sum_us, *(sum(getattr(g, name) for g in found.groups) for name in ("bytes", "flop")))
    lines += [line(group, found.sum_us, roof) for group in (*found.groups, total)]
    return "\n".join([*lines, ""])


def line(group: Group, sum_us: float, roof: float | None) -> str:
    cells: list[Any] = [group.kernel, group.what, group.count, f"{group.us / group.count:,.1f}", f"{group.us:,.0f}"]
    cells.append(f"{group.us / max(sum_us, 1e-9):.1%}")
    cells.append(f"{group.gbps:,.0f}" if group.bytes else "")
    cells.append(f"{group.gbps / roof:.1%}" if group.bytes and roof else "")
    cells.append(f"{group.tflops:,.2f}" if group.flop else "")
    cells.append(f"{group.saves:,.0f}" if group.saves else "")
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
