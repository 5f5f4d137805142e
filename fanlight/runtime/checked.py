"""FANLIGHT_CHECK=2: a device that runs each launch on another one and in NumPy, and stops at the first that differs.

What the device should hold is kept here, byte by byte; only what a launch writes is read back. So a launch is judged by the
bytes that were there before it, whatever went wrong earlier, and a difference is its own; where something else wrote over
what it reads, the error says so. Everything waits for everything: this is for finding faults, not for speed."""

import math
import sys
from collections.abc import Awaitable, Iterator, Sequence
from importlib.util import find_spec

from fanlight.arrays import Array
from fanlight.compiler.program import Launch, Limits, Program, Slice, moved, shifts_of, unpack_results
from fanlight.driver import run
from fanlight.errors import DeviceError, KernelFailed
from fanlight.formats.source import Source
from fanlight.kernels import run_reference
from fanlight.kernels.agreement import Bytes, Difference, Run, find_difference
from fanlight.kernels.spec import MADE, Kernel
from fanlight.runtime.device import AdapterInfo, Copy, Device, LaunchTime, OnLoad


class CheckedDevice:
    """The device, checked. Steps and uploads are; launches outside steps (self-test, tuning) judge themselves."""

    is_checked = True  # Programs that were compiled elsewhere are of no use here

    def __init__(self, device: Device):
        if sys.platform == "emscripten" or find_spec("numpy") is None:
            raise DeviceError(
                "FANLIGHT_CHECK=2 compares with NumPy, which is not here",
                hint="FANLIGHT_CHECK=2 outside the browser, with NumPy",
            )
        if device.info.backend == "null":
            raise DeviceError(
                "FANLIGHT_CHECK=2 has nothing to check: the null device computes nothing", hint="FANLIGHT_DEVICE=native"
            )
        self.device = device
        self._results: dict[int, list[int]] = {}
        self._tickets = 0

    @property
    def info(self) -> AdapterInfo:
        return self.device.info

    @property
    def limits(self) -> Limits:
        return self.device.limits

    async def prepare(self, program: Program, wait: bool = True) -> None:
        import numpy as np

        if unknown := [kernel.name for kernel in program.kernels if kernel.wgsl not in MADE]:
            raise DeviceError(
                f"FANLIGHT_CHECK=2 knows no reference of {', '.join(unknown)}: this Program was not compiled in this process",
                where=program.name,
                hint="load the model anew, without a kept Program",
            )
        self._program = program
        self._kernels = {kernel.name: kernel for kernel in program.kernels}
        self._steps = {step.name: step for step in program.steps}
        self._held: dict[str, Array] = {b.name: np.zeros(b.size, np.uint8) for b in program.buffers}
        self._unknown: set[str] = set()  # buffers that something unchecked wrote to
        for constant in program.constants:
            self._hold(Slice(constant.buffer, constant.offset, len(constant.data)), np.frombuffer(constant.data, np.uint8))
        await self.device.prepare(program, wait)

    async def prepared(self) -> None:
        await self.device.prepared()

    async def load(self, sources: Sequence[Source], on_load: OnLoad) -> None:
        """A weight is compared once, after its last part."""
        uploads = self._program.uploads
        total, done = sum(upload.size for upload in uploads), 0
        last = {upload.launch.bindings[-1]: i for i, upload in enumerate(uploads)}
        begun: dict[Slice, Bytes] = {}
        for i, upload in enumerate(uploads):
            data = await sources[upload.file].read(upload.offset, upload.size)
            self.write("staging", 0, data + bytes(-len(data) % 4))
            self.write("upload_params", 0, b"".join(value.to_bytes(4, "little") for value in upload.params))
            launch, weight = upload.launch, upload.launch.bindings[-1]
            before = self._bytes_of(launch)
            expected = self._by_numpy(launch, before)
            self.device.launch([launch])
            begun.setdefault(weight, before)
            self._hold(weight, list(expected.values())[-1])
            if last[weight] == i:
                self._judge(launch, begun.pop(weight), expected, f"upload {i + 1} of {len(uploads)}")
            done += upload.size
            on_load(done, total)

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        import numpy as np

        self.device.write(buffer, offset, data)
        self._hold(Slice(buffer, offset, len(data)), np.frombuffer(data, np.uint8))

    def clear(self, buffer: str, offset: int, size: int) -> None:
        self.device.clear(buffer, offset, size)
        self._held[buffer][offset : offset + size] = 0

    def copy(self, copies: Sequence[Copy]) -> None:
        self.device.copy(copies)
        for to, source in copies:
            self._hold(to, self._known(source))

    def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
        self.write("inputs", 0, inputs)
        launches = self._steps[step].launches_for(*(["logprobs"] if with_logprobs else []))
        num_seqs = self._program.max_num_seqs
        for record in range(count):
            by = shifts_of(record, len(inputs) // count, num_seqs)
            for i, launch in enumerate(launches):
                at = f"step {step}, launch {i + 1} of {len(launches)}" + f", record {record + 1}" * (count > 1)
                self._run(moved(launch, by), at)
        logprobs = self._held["logprobs"].tobytes() if with_logprobs else b""
        self._tickets += 1
        self._results[self._tickets] = unpack_results(self._held["sampled"].tobytes(), logprobs, count, num_seqs)
        return self._tickets

    def launch(self, launches: Sequence[Launch], count: int = 1) -> None:
        self.device.launch(launches, count)
        self._unknown |= {place.buffer for launch in launches for _, place in self._outputs(launch)}

    async def result(self, ticket: int) -> list[int]:
        return self._results.pop(ticket)

    def read(self, buffer: str, offset: int, size: int) -> Awaitable[bytes]:
        return self.device.read(buffer, offset, size)

    async def timings(self, step: str, inputs: bytes) -> list[LaunchTime]:
        raise DeviceError("with FANLIGHT_CHECK=2 there is nothing to time", hint="FANLIGHT_CHECK=0")

    def close(self) -> None:
        self._held = {}
        self.device.close()

    # --- a launch ----------------------------------------------------------------------------------------------------
    def _run(self, launch: Launch, at: str) -> None:
        before = self._bytes_of(launch)
        expected = self._by_numpy(launch, before)
        self.device.launch([launch])
        self._judge(launch, before, expected, at)

    def _bytes_of(self, launch: Launch) -> Bytes:
        """What its bindings hold, not to be written to."""
        names = (binding.name for binding in self._kernel(launch).bindings)
        found = {name: self._known(place)[:] for name, place in zip(names, launch.bindings, strict=True)}
        for name, _ in self._outputs(launch):
            found[name] = found[name].copy()
        for array in found.values():
            array.flags.writeable = False
        return found

    def _by_numpy(self, launch: Launch, before: Bytes) -> Bytes:
        import numpy as np

        arrays = before | {name: before[name].copy() for name, _ in self._outputs(launch)}
        if math.prod(launch.grid):
            with np.errstate(all="ignore"):  # rows that the step does not have hold anything
                run_reference(self._kernels[launch.kernel].wgsl, list(arrays.values()), launch.grid)
        return arrays

    def _judge(self, launch: Launch, before: Bytes, expected: Bytes, at: str) -> None:
        """The launch has run: compares what it wrote, and keeps it. Raises KernelFailed."""
        got = {name: self._read(place) for name, place in self._outputs(launch)}
        if found := find_difference(Run(self._kernel(launch), before, expected, expected | got)):
            raise self._error(launch, found, at)
        for name, place in self._outputs(launch):
            self._hold(place, got[name])

    def _error(self, launch: Launch, found: Difference, at: str) -> KernelFailed:
        stem = self._kernel(launch).stem
        return KernelFailed(
            f"{found.binding}[{found.element}] expected {found.expected:.9g}, got {found.got:.9g};"
            f" {found.num_wrong} of {found.num_compared} elements differ from NumPy{self._overwritten(launch)}",
            where=f"{at}, {launch.kernel} ({launch.where})",
            hint=f"fanlight show passes MODEL, to see what it computes; fanlight kernel {stem}, to run it alone;"
            " FANLIGHT_DEVICE=reference, to run all in NumPy",
        )

    def _overwritten(self, launch: Launch) -> str:
        """What the launch reads that is not what was left there."""
        for spec, place in zip(self._kernel(launch).bindings, launch.bindings, strict=True):
            if spec.access == "read" and (self._read(place) != self._known(place)).any():
                return f"; but what it reads as {spec.name} was changed since by a launch that should not have ({place.buffer})"
        return ""

    def _kernel(self, launch: Launch) -> Kernel:
        return MADE[self._kernels[launch.kernel].wgsl]

    def _outputs(self, launch: Launch) -> Iterator[tuple[str, Slice]]:
        bindings = self._kernel(launch).bindings
        return ((b.name, place) for b, place in zip(bindings, launch.bindings, strict=True) if b.access == "read_write")

    # --- bytes -------------------------------------------------------------------------------------------------------
    def _known(self, place: Slice) -> Array:
        whole = self._held[place.buffer]
        if place.buffer in self._unknown:
            whole[:] = self._read(Slice(place.buffer, 0, len(whole)))
            self._unknown.discard(place.buffer)
        return whole[place.offset : place.offset + place.size]

    def _hold(self, place: Slice, data: Array) -> None:
        self._held[place.buffer][place.offset : place.offset + place.size] = data

    def _read(self, place: Slice) -> Array:
        import numpy as np

        return np.frombuffer(run(self.device.read(place.buffer, place.offset, place.size)), np.uint8)
