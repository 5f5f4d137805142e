"""Runs a Program with NumPy, each launch by its kernel's `reference`.  Slow and right; needs no GPU.

A launch knows only its kernel's WGSL, and text does not say what it means: the Program must have been compiled in this process
(kernels.run_reference)."""

import math
from collections.abc import Awaitable, Sequence

from fanlight.compiler.program import Launch, Limits, Program, moved, shifts_of, unpack_results
from fanlight.errors import DeviceError
from fanlight.formats.source import Source
from fanlight.kernels import run_reference
from fanlight.runtime.adapter import Adapter
from fanlight.runtime.device import AdapterInfo, Copy, LaunchTime, OnLoad

LARGE = Limits(max_buffer_size=1 << 40, max_storage_buffer_binding_size=1 << 40)


class ReferenceAdapter(Adapter):
    """NumPy in place of a GPU."""

    def __init__(self, limits: Limits | None = None):
        super().__init__(AdapterInfo(vendor="numpy", description="NumPy reference, no GPU"), limits or LARGE)

    def device(self) -> "ReferenceDevice":
        return ReferenceDevice(adapter=self)


class ReferenceDevice:
    def __init__(self, limits: Limits | None = None, adapter: Adapter | None = None):
        """limits: of an adapter of its own."""
        self.adapter = adapter or ReferenceAdapter(limits)
        self.adapter.add(self)
        self._results: dict[int, list[int]] = {}
        self._tickets = 0

    @property
    def info(self) -> AdapterInfo:
        return self.adapter.info

    @property
    def limits(self) -> Limits:
        return self.adapter.limits_beside(self)

    async def prepare(self, program: Program, wait: bool = True) -> None:
        import numpy as np

        self.adapter.take(self, program)
        self.program = program
        self.memory = {b.name: np.zeros(b.size, np.uint8) for b in program.buffers}
        self._kernels = {k.name: k for k in program.kernels}
        self._steps = {s.name: s for s in program.steps}
        for constant in program.constants:
            self.write(constant.buffer, constant.offset, constant.data)

    async def prepared(self) -> None:
        """Nothing is left for later."""

    async def load(self, sources: Sequence[Source], on_load: OnLoad) -> None:
        total, done = sum(u.size for u in self.program.uploads), 0
        for upload in self.program.uploads:
            self.write("staging", 0, await sources[upload.file].read(upload.offset, upload.size))
            self.write("upload_params", 0, b"".join(v.to_bytes(4, "little") for v in upload.params))
            self._run(upload.launch)
            done += upload.size
            on_load(done, total)

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        import numpy as np

        self.memory[buffer][offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def clear(self, buffer: str, offset: int, size: int) -> None:
        self.memory[buffer][offset : offset + size] = 0

    def copy(self, copies: Sequence[Copy]) -> None:
        for to, source in copies:
            found = self.memory[source.buffer][source.offset : source.offset + source.size]
            self.memory[to.buffer][to.offset : to.offset + to.size] = found

    def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
        self.write("inputs", 0, inputs)
        for i in range(count):
            by = shifts_of(i, len(inputs) // count, self.program.max_num_seqs)
            for launch in self._steps[step].launches_for(*(["logprobs"] if with_logprobs else [])):
                self._run(moved(launch, by))
        logprobs = self.memory["logprobs"].tobytes() if with_logprobs else b""
        self._tickets += 1
        found = unpack_results(self.memory["sampled"].tobytes(), logprobs, count, self.program.max_num_seqs)
        self._results[self._tickets] = found
        return self._tickets

    def launch(self, launches: Sequence[Launch], count: int = 1) -> None:
        for launch in [*launches] * count:
            self._run(launch)

    async def result(self, ticket: int) -> list[int]:
        return self._results.pop(ticket)

    def read(self, buffer: str, offset: int, size: int) -> Awaitable[bytes]:
        return _done(self.memory[buffer][offset : offset + size].tobytes())

    async def timings(self, step: str, inputs: bytes) -> list[LaunchTime]:
        raise DeviceError("the reference device is not for timing", hint="FANLIGHT_DEVICE=native")

    def close(self) -> None:
        self.adapter.give_back(self)
        self.memory = {}

    def _run(self, launch: Launch) -> None:
        spec = self._kernels[launch.kernel]
        views = [self.memory[s.buffer][s.offset : s.offset + s.size] for s in launch.bindings]
        if math.prod(launch.grid):
            run_reference(spec.wgsl, views, launch.grid)


async def _done(data: bytes) -> bytes:
    return data
