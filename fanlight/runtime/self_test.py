"""Self-test: every kernel of a prepared Program on its own adapter against known answers, before weights arrive.

Drivers miscompile. So at the first load on an adapter each kernel runs once, with its own pipeline, buffers and grid, on inputs
whose results are known (kernels/known.py). What is wrong is compiled without (SAFE); verdicts are remembered by the kernel's
text. All that was written is undone."""

from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import prod

from fanlight.compiler.program import KernelSpec, Launch, Program, Slice
from fanlight.errors import KernelFailed
from fanlight.kernels.gemm_matrix import MATRICES
from fanlight.kernels.known import Answer, Known, found_value, is_right, places
from fanlight.kernels.known_kernels import known_of
from fanlight.kernels.spec import MADE
from fanlight.runtime.device import Device

GAP = 64 << 10  # bytes: places that are nearer are read together
Spot = tuple[str, int, int]  # binding, offset, bytes

# kernel -> what to compile without when it is wrong; the others have nothing to be replaced by
SAFE = {
    "add_parts": "gemm_matrix",
    "add_parts_norm": "gemm_matrix",
    "add_parts_rope": "gemm_matrix",
    "attention_append": "attention_append",
    "attention_decode": "attention_decode",
    "attention_prefill": "attention_prefill",
    "attention_reduce": "attention_decode",
    "gemm_int8": "gemm_int8",
    "gemv_int8": "gemv_int8",
    "quantize": "gemm_int8",
    "norm_int8": "gemm_int8",
}


@dataclass(frozen=True, slots=True)
class Check:
    """A launch of one kernel, and what it must find."""

    hash: str
    launch: Launch
    slices: dict[str, Slice]
    known: Known
    outputs: tuple[str, ...]


def kernel_hash(kernel: KernelSpec) -> str:
    return sha256(kernel.wgsl.encode()).hexdigest()[:16]


async def prepare_and_check(
    program: Program, device: Device, is_known: Collection[str] = (), meanwhile: Callable[[], None] | None = None
) -> dict[str, str]:
    """`check_kernels` after `prepare`, which is not waited for where nothing is left to check. A kernel that does not compile
    has a verdict too. meanwhile: what can be done while pipelines compile."""
    try:
        await device.prepare(program, wait=False)
        if meanwhile:
            meanwhile()
        if checks := checks_of(program, is_known):
            await device.prepared()
    except KernelFailed as error:
        failed = [spec for spec in program.kernels if spec.name == error.where]
        if not failed:
            raise
        return {kernel_hash(failed[0]): error.message}
    return await check_kernels(program, device, checks) if checks else {}


def checks_of(program: Program, is_known: Collection[str] = ()) -> list[Check]:
    """Left out: kernels whose hashes are in `is_known`, and those of which no answer is known."""
    launches, found = _largest_launches(program), []
    for spec in program.kernels:
        launch, kernel = launches.get(spec.name), MADE.get(spec.wgsl)
        if kernel_hash(spec) in is_known or launch is None or kernel is None:
            continue
        known = known_of(kernel, launch.grid)
        slices = dict(zip((binding.name for binding in kernel.bindings), launch.bindings, strict=True))
        if known is not None and _fits(known, slices) and not _clashes(known, slices):
            found.append(Check(kernel_hash(spec), launch, slices, known, kernel.outputs))
    return found


async def check_kernels(program: Program, device: Device, checks: Collection[Check]) -> dict[str, str]:
    """By kernel_hash: '' where the kernel is right, else what is wrong. All are queued before the first is waited for."""
    begun = {check.hash: check_launch(device, check.known, check.launch, check.slices, check.outputs) for check in checks}
    verdicts = {name: await verdict for name, verdict in begun.items()}
    _undo(program, device, {place for check in checks for place in check.launch.bindings})
    return verdicts


def _largest_launches(program: Program) -> dict[str, Launch]:
    """Of each kernel: of a step the one with most workgroups, of an upload the one to the largest weight."""
    found: dict[str, Launch] = {}
    for launch in (launch for step in program.every_step for launch in step.launches):
        if launch.kernel not in found or prod(launch.grid) > prod(found[launch.kernel].grid):
            found[launch.kernel] = launch
    uploads = sorted((u.launch for u in program.uploads), key=lambda launch: launch.bindings[-1].size)
    return found | {launch.kernel: launch for launch in uploads}


def _fits(known: Known, slices: dict[str, Slice]) -> bool:
    """Whether a tiny model's buffers hold it."""
    ends = [(binding, offset + len(data)) for binding, offset, data in known.writes]
    ends += [(binding, at + size) for answer in known.answers for binding, at, size in places(answer)]
    return all(end <= slices[binding].size for binding, end in ends)


def check_launch(
    device: Device, known: Known, launch: Launch, slices: dict[str, Slice], outputs: tuple[str, ...]
) -> Awaitable[str]:
    """'' where the launch finds what is known, else what is wrong; queued when this returns."""
    for name in outputs:
        device.clear(slices[name].buffer, slices[name].offset, slices[name].size)
    for binding, offset, data in known.writes:
        device.write(slices[binding].buffer, slices[binding].offset + offset, data)
    device.launch([launch])
    spots = {spot for answer in known.answers for spot in places(answer)}
    reads = [
        (binding, start, device.read(slices[binding].buffer, slices[binding].offset + start, end - start))
        for binding, start, end in _ranges(spots)
    ]
    return _verdict(known, spots, reads)


def _clashes(known: Known, slices: dict[str, Slice]) -> bool:
    """Whether two inputs that are one value here (y = W x + x) would each need bytes of its own."""
    written: dict[str, list[tuple[str, int, bytes]]] = {}  # by buffer: binding, offset, bytes
    for binding, offset, data in known.writes:
        place = slices[binding]
        earlier = written.setdefault(place.buffer, [])
        start = place.offset + offset
        for other, at, there in earlier:
            first, last = max(start, at), min(start + len(data), at + len(there))
            if other != binding and first < last and data[first - start : last - start] != there[first - at : last - at]:
                return True
        earlier.append((binding, start, data))
    return False


async def _verdict(known: Known, spots: set[Spot], reads: list[tuple[str, int, Awaitable[bytes]]]) -> str:
    parts: dict[Spot, bytes] = {}
    for binding, start, read in reads:
        data = await read
        parts |= {
            (b, at, n): data[at - start : at - start + n] for b, at, n in spots if b == binding and 0 <= at - start < len(data)
        }
    wrong = [words for answer in known.answers if (words := _judge(answer, parts))]
    return f"{wrong[0]}; {len(wrong)} of {len(known.answers)} answers are wrong" if wrong else ""


def _ranges(spots: Collection[Spot]) -> Iterator[tuple[str, int, int]]:
    """(binding, start, end) of what to read."""
    binding, start, end = "", 0, 0
    for name, at, size in sorted(spots):
        if name == binding and at - end < GAP:
            end = max(end, at + size)
            continue
        if binding:
            yield binding, start, end
        binding, start, end = name, at, at + size
    if binding:
        yield binding, start, end


def _judge(answer: Answer, parts: dict[Spot, bytes]) -> str:
    found, rounding = found_value(answer, [parts[spot] for spot in places(answer)])
    if is_right(answer, found, rounding):
        return ""
    return f"{answer.binding}[{answer.index}] expected {answer.value:.6g}, got {found:.6g}"


def _undo(program: Program, device: Device, touched: Collection[Slice]) -> None:
    """Zeros, as `prepare` left them, and constants."""
    for place in touched:
        device.clear(place.buffer, place.offset, place.size)
    for constant in program.constants:
        device.write(constant.buffer, constant.offset, constant.data)


def replacements(program: Program, verdicts: dict[str, str], without: frozenset[str]) -> frozenset[str]:
    """What to compile without, so that no kernel with a bad verdict is used. Raises KernelFailed where nothing replaces one."""
    avoid = set(without)
    for spec in program.kernels:
        words = verdicts.get(kernel_hash(spec))
        if not words:
            continue
        stem = spec.name.split(".")[0]
        if features := set(spec.features) - without:
            avoid |= {MATRICES} & features or features
        elif stem in SAFE and SAFE[stem] not in without:
            avoid.add(SAFE[stem])
        else:
            raise KernelFailed(
                f"this adapter does not compute {stem} as it should, and there is no other kernel for it: {words}",
                where=spec.name,
                hint="a newer graphics driver or browser; please report this with the output of fanlight doctor --json",
            )
    return frozenset(avoid)
