"""A Device owns GPU handles and runs one Program; an adapter has as many Devices as are wanted (adapter.py).  Four kinds:
native (wgpu), browser (the page's WebGPU through a TypeScript replayer), reference (NumPy, launch by launch), null (computes
nothing); checked (FANLIGHT_CHECK=2) compares another one with NumPy.  A device is asked for, never fallen back to."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fanlight.compiler.program import Launch, Limits, Program, Slice
from fanlight.formats.source import Source

OnLoad = Callable[[int, int], None]  # bytes of weights on the GPU so far, bytes in all
Copy = tuple[Slice, Slice]  # to, from: as many bytes, in different buffers


@dataclass(frozen=True, slots=True)
class AdapterInfo:
    vendor: str = ""
    architecture: str = ""
    device: str = ""
    description: str = ""
    backend: str = ""


@dataclass(frozen=True, slots=True)
class LaunchTime:
    kernel: str
    where: str
    microseconds: float


class Device(Protocol):
    @property
    def info(self) -> AdapterInfo: ...

    @property
    def limits(self) -> Limits:
        """memory_bytes: what the Programs of the adapter's other Devices leave, where the whole is known."""

    async def prepare(self, program: Program, wait: bool = True) -> None:
        """Allocate the buffers (zeroed) in place of an earlier Program's, compile the pipelines, make the bind groups, write
        the constants. Without `wait` a device may go on with the pipelines: nothing but `load` may be asked of it before they
        are `prepared`."""

    async def prepared(self) -> None:
        """Waits for what `prepare` left for later."""

    async def load(self, sources: Sequence[Source], on_load: OnLoad) -> None:
        """Run the program's uploads: stream the model files into the weight buffers."""

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        """Queue a write; it takes effect between the submits before and after it. Length and offset are multiples of 4."""

    def clear(self, buffer: str, offset: int, size: int) -> None:
        """Queue zeros."""

    def copy(self, copies: Sequence[Copy]) -> None:
        """Queue copies on the GPU, which take effect between the submits before and after them."""

    def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
        """Queue a step: write `inputs`, run the launches, copy `sampled` aside. With a `count` above 1 (at most MAX_RECORDS,
        of no more rows than sequences) it runs so many times in one submit, each run on a record of its own
        (`pack_records`). with_logprobs: run what makes `logprobs` too, and copy it aside. Returns a ticket for `result`; at
        most MAX_IN_FLIGHT tickets may be open. The step's other outputs (program.Output) stay in their buffers, of the last
        run, until the next one: `read` them before it is submitted."""

    def launch(self, launches: Sequence[Launch], count: int = 1) -> None:
        """Queue launches of the program's kernels outside any step, all of them `count` times: for self-test and tuning. Read
        something to wait for them."""

    def result(self, ticket: int) -> Awaitable[list[int]]:
        """`sampled` as it was after each run of that step: u32[count * max_num_seqs]; then, with_logprobs, `logprobs` likewise:
        the words of f32[count * max_num_seqs, LOGPROB_WORDS]. Closes the ticket. A device that suspends must let what it
        returns be awaited again after its waiter was cancelled, and end it when it is closed."""

    def read(self, buffer: str, offset: int, size: int) -> Awaitable[bytes]:
        """The bytes after everything that is queued when it is called; several may be on their way. For tests and tools, not
        for the token loop."""

    async def timings(self, step: str, inputs: bytes) -> list[LaunchTime]:
        """Run one step with a measurement around each launch."""

    def close(self) -> None:
        """Frees what it has of the adapter, which others may go on using."""


MAX_IN_FLIGHT = 16
