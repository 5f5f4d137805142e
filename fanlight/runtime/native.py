"""The native device: wgpu-py (Vulkan, Metal, Direct3D 12).  The only file that imports wgpu.

Methods marked async block instead of suspending. Pipelines and bind groups are made once, by `prepare`; a step is one command
buffer with one pass. Its dispatches go to the C library directly: wgpu-py's wrapper costs 8 to 10 us for each, the call
itself under 1 us."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar

import wgpu
from wgpu.backends.wgpu_native import GPUShaderModule, ffi, lib
from wgpu.backends.wgpu_native._api import libf

from fanlight import driver
from fanlight.compiler.program import (
    BufferSpec,
    KernelSpec,
    Launch,
    Limits,
    Program,
    Slice,
    Upload,
    moved,
    shifts_of,
    unpack_results,
)
from fanlight.errors import DeviceError, DeviceLost, DoesNotFit, EngineClosed, KernelFailed, NoAdapter
from fanlight.formats.source import Source
from fanlight.runtime.adapter import Adapter
from fanlight.runtime.device import MAX_IN_FLIGHT, AdapterInfo, Copy, LaunchTime, OnLoad

USAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.COPY_SRC
FEATURES = {"shader-f16": "shader-f16", "subgroups": "subgroup", "timestamp-query": "timestamp-query"}  # WebGPU's -> wgpu's
LIMITS = (
    "max_buffer_size",
    "max_storage_buffer_binding_size",
    "max_storage_buffers_per_shader_stage",
    "max_compute_workgroup_storage_size",
    "max_compute_invocations_per_workgroup",
    "max_compute_workgroups_per_dimension",
    "min_storage_buffer_offset_alignment",
)
IS_LOST = re.compile(r"\bis lost\b|\bdevice lost\b", re.IGNORECASE)
T = TypeVar("T")
Handle = Any  # an object of wgpu-py or a pointer of its C library: neither has types


@dataclass(frozen=True, slots=True)
class _Bound:
    """A launch with its GPU handles."""

    pipeline: Handle
    bind_group: Handle
    launch: Launch


class _Readback:
    """A small buffer that results are read through, one step at a time.

    wgpu-py's map_sync waits for everything that was submitted; with several steps in flight only this one must be done."""

    def __init__(self, gpu: Handle, size: int):
        self.size = size
        self._used = size
        self.buffer = gpu.create_buffer(size=size, usage=wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST)
        self._device = gpu._internal
        self._status: int | None = None
        self._index = ffi.new("WGPUSubmissionIndex *")
        self._interrupt: BaseException | None = None
        kind = "void(WGPUMapAsyncStatus, WGPUStringView, void *, void *)"
        self._callback = ffi.callback(kind, self._on_mapped, onerror=self._on_interrupt)
        self._info = ffi.new("WGPUBufferMapCallbackInfo *")
        self._info.mode = lib.WGPUCallbackMode_AllowProcessEvents
        self._info.callback = self._callback

    def _on_mapped(self, status: int, message: Handle, _one: Handle, _two: Handle) -> None:
        self._status = status

    def _on_interrupt(self, kind: type, error: BaseException, traceback: TracebackType) -> None:
        """Ctrl-C came while `_on_mapped` began: it has what it was called with, and C has nowhere to raise."""
        self._status, self._interrupt = traceback.tb_frame.f_locals["status"], error

    def submit(self, queue: Handle, commands: Handle, used: int) -> None:
        """Submit what copies so many bytes to this buffer."""
        self._used = used
        self._index[0] = lib.wgpuQueueSubmitForIndex(queue._internal, 1, ffi.new("WGPUCommandBuffer[]", [commands._internal]))
        self._status = None
        lib.wgpuBufferMapAsync(self.buffer._internal, lib.WGPUMapMode_Read, 0, used, self._info[0])

    def read(self) -> bytes:
        """Wait for that submit, and for no later one. Raises DeviceLost, or an interrupt that the library's call back met; then
        it can be read again."""
        if self._status is None:
            lib.wgpuDevicePoll(self._device, True, self._index)
        while self._status is None:
            lib.wgpuDevicePoll(self._device, True, ffi.NULL)
        if self._interrupt is not None:
            interrupt, self._interrupt = self._interrupt, None
            raise interrupt
        if self._status != lib.WGPUMapAsyncStatus_Success:
            raise DeviceLost(f"the GPU stopped answering: mapping a result failed with status {self._status}")
        data = bytes(ffi.buffer(lib.wgpuBufferGetConstMappedRange(self.buffer._internal, 0, self._used), self._used))
        lib.wgpuBufferUnmap(self.buffer._internal)
        return data


@contextmanager
def _without_a_desktop() -> Iterator[None]:
    """The Vulkan loader looks for a desktop, and complains on stderr where no folder is named in which it would be."""
    if "XDG_RUNTIME_DIR" in os.environ:
        yield
        return
    os.environ["XDG_RUNTIME_DIR"] = "/nonexistent"
    try:
        yield
    finally:
        os.environ.pop("XDG_RUNTIME_DIR", None)


class NativeAdapter(Adapter):
    """The computer's fastest, and a wgpu device on it, which all Programs share."""

    def __init__(self, limits: Limits | None = None):
        """limits: use no more of it than this (FANLIGHT_ADAPTER=file.json). Raises NoAdapter."""
        found = _find()
        facts = ("vendor", "architecture", "device", "description", "backend_type")
        super().__init__(AdapterInfo(*(found.info[name] for name in facts)), limits or adapter_limits(found))
        self.gpu = self._open(found)
        self.is_lost = False

    def _open(self, found: Handle) -> Handle:
        features = [FEATURES[f] for f in self.limits.features if FEATURES[f] in found.features]
        wanted = {name.replace("_", "-"): getattr(self.limits, name) for name in LIMITS}
        return found.request_device_sync(required_features=features, required_limits=wanted)

    def device(self) -> "NativeDevice":
        """On another wgpu device where the one there was is lost."""
        if self.is_lost:
            self.gpu, self.is_lost = self._open(_find()), False
        return NativeDevice(adapter=self)


def _find() -> Handle:
    try:
        with _without_a_desktop():
            return wgpu.gpu.request_adapter_sync(power_preference="high-performance")
    except RuntimeError as error:
        raise NoAdapter(
            f"no WebGPU adapter: {error}", hint="a Vulkan driver (mesa-vulkan-drivers), or FANLIGHT_DEVICE=reference"
        ) from None


class NativeDevice:
    def __init__(self, limits: Limits | None = None, adapter: NativeAdapter | None = None):
        """limits: of an adapter of its own. Raises NoAdapter."""
        self.adapter = adapter or NativeAdapter(limits)
        self.adapter.add(self)
        self._gpu = self.adapter.gpu
        self._queue = self._gpu.queue
        self._buffers: dict[str, Handle] = {}
        self._groups: dict[tuple[str, tuple[Slice, ...]], Handle] = {}
        self._tickets = 0
        self._open: dict[int, tuple[_Readback, int]] = {}  # by ticket: and how many runs it is of
        self._free: list[_Readback] = []
        self._thread = ThreadPoolExecutor(1, "fanlight-device")
        self._last: Future[None] | None = None  # that was given to the thread
        self._fault: Exception | None = None  # that came up there
        self._reading: set[_Readback] = set()  # held until they are read: the library calls back into them

    @property
    def info(self) -> AdapterInfo:
        return self.adapter.info

    @property
    def limits(self) -> Limits:
        return self.adapter.limits_beside(self)

    async def prepare(self, program: Program, wait: bool = True) -> None:
        self.settle()
        self._release()
        self.adapter.take(self, program)
        self._program = program
        for spec in program.buffers:
            self._buffers[spec.name] = self._allocate(spec)
        self._pipelines = self._compile(program.kernels)
        self._named = {step.name: step for step in program.steps}
        self._steps = {(s.name, 0, False): [self._bind(launch) for launch in s.launches_for()] for s in program.steps}
        sizes = {b.name: b.size for b in program.buffers}
        self._results = {name: sizes[name] for name in ("sampled", "logprobs") if name in sizes}
        self._free = [_Readback(self._gpu, sum(self._results.values())) for _ in range(MAX_IN_FLIGHT if self._results else 0)]
        for constant in program.constants:
            self.write(constant.buffer, constant.offset, constant.data)

    async def prepared(self) -> None:
        """Nothing is left for later."""

    def _allocate(self, spec: BufferSpec) -> Handle:
        try:
            return self._gpu.create_buffer(size=spec.size, usage=USAGE)
        except wgpu.GPUError as error:
            raise DoesNotFit(
                f"the GPU has no {spec.size >> 20} MiB for {spec.name}: {error}",
                where=spec.name,
                hint="a shorter context, or a smaller quantisation of the model",
            ) from None

    def _compile(self, kernels: Sequence[KernelSpec]) -> dict[str, Handle]:
        """Several at a time: drivers take tenths of a second for a large one."""
        try:
            with ThreadPoolExecutor(min(len(kernels) or 1, os.cpu_count() or 1)) as pool:
                return dict(zip((k.name for k in kernels), pool.map(self._pipeline, kernels), strict=True))
        except KernelFailed:  # whose it is, wgpu-py does not know of several
            return {k.name: self._pipeline(k) for k in kernels}

    def _pipeline(self, kernel: KernelSpec) -> Handle:
        types = {"read": "read-only-storage", "read_write": "storage"}
        entries = [
            {"binding": i, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": {"type": types[access]}}
            for i, access in enumerate(kernel.access)
        ]
        try:
            layout = self._gpu.create_pipeline_layout(bind_group_layouts=[self._gpu.create_bind_group_layout(entries=entries)])
            module = trusted_module(self._gpu, kernel.wgsl)
            return self._gpu.create_compute_pipeline(layout=layout, compute={"module": module, "entry_point": "main"})
        except wgpu.GPUError as error:
            raise KernelFailed(
                f"{kernel.name} did not compile: {error}", where=kernel.name, hint="fanlight show kernels MODEL --name NAME"
            ) from None

    def _bind(self, launch: Launch) -> _Bound:
        pipeline = self._pipelines[launch.kernel]
        key = (launch.kernel, launch.bindings)
        if key not in self._groups:
            entries = [{"binding": i, "resource": self._resource(s)} for i, s in enumerate(launch.bindings)]
            self._groups[key] = self._gpu.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)
        return _Bound(pipeline, self._groups[key], launch)

    def _resource(self, place: Slice) -> dict[str, Any]:
        return {"buffer": self._buffers[place.buffer], "offset": place.offset, "size": place.size}

    async def load(self, sources: Sequence[Source], on_load: OnLoad) -> None:
        total, done = sum(u.size for u in self._program.uploads), 0
        for upload in self._program.uploads:
            data = await sources[upload.file].read(upload.offset, upload.size)
            await _Waiting(self, partial(self._upload, upload, data))
            done += upload.size
            on_load(done, total)

    def _upload(self, upload: Upload, data: bytes) -> None:
        self._queue.write_buffer(self._buffers["staging"], 0, data + bytes(-len(data) % 4))
        self._queue.write_buffer(self._buffers["upload_params"], 0, b"".join(v.to_bytes(4, "little") for v in upload.params))
        self._submit([self._bind(upload.launch)])

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        self._do(self._queue.write_buffer, self._buffers[buffer], offset, data)

    def clear(self, buffer: str, offset: int, size: int) -> None:
        self._do(self._clear, buffer, offset, size)

    def _clear(self, buffer: str, offset: int, size: int) -> None:
        encoder = self._gpu.create_command_encoder()
        encoder.clear_buffer(self._buffers[buffer], offset, size)
        self._queue.submit([encoder.finish()])

    def copy(self, copies: Sequence[Copy]) -> None:
        self._do(self._copy_all, copies)

    def _copy_all(self, copies: Sequence[Copy]) -> None:
        encoder = self._gpu.create_command_encoder()
        for to, source in copies:
            buffers = self._buffers[source.buffer], self._buffers[to.buffer]
            encoder.copy_buffer_to_buffer(buffers[0], source.offset, buffers[1], to.offset, to.size)
        self._queue.submit([encoder.finish()])

    def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
        if not self._free:
            raise DeviceError(f"{MAX_IN_FLIGHT} steps are in flight, no more fit")
        self._tickets += 1
        self._open[self._tickets] = self._free.pop(), count
        self._do(self._submit_step, step, inputs, *self._open[self._tickets], with_logprobs)
        return self._tickets

    def _submit_step(self, step: str, inputs: bytes, readback: _Readback, count: int, with_logprobs: bool) -> None:
        self._queue.write_buffer(self._buffers["inputs"], 0, inputs)
        runs = (self._run_of(step, i, len(inputs) // count, with_logprobs) for i in range(count))
        self._submit([bound for run in runs for bound in run], readback, with_logprobs)

    def _run_of(self, step: str, i: int, record_bytes: int, with_logprobs: bool) -> list[_Bound]:
        """The step's launches on the i-th record of `inputs`, leaving what they give in those of `sampled` and `logprobs`."""
        key = step, i * record_bytes, with_logprobs
        if key not in self._steps:
            by = shifts_of(i, record_bytes, self._program.max_num_seqs)
            launches = self._named[step].launches_for(*(["logprobs"] if with_logprobs else []))
            self._steps[key] = [self._bind(moved(launch, by)) for launch in launches]
        return self._steps[key]

    def launch(self, launches: Sequence[Launch], count: int = 1) -> None:
        self._do(self._submit, [self._bind(launch) for launch in launches] * count)

    def _submit(self, launches: Sequence[_Bound], readback: _Readback | None = None, with_logprobs: bool = False) -> None:
        encoder = self._gpu.create_command_encoder()
        compute = encoder.begin_compute_pass()
        handle, pipeline = compute._internal, None
        for bound in launches:
            if bound.pipeline is not pipeline:
                pipeline = bound.pipeline
                lib.wgpuComputePassEncoderSetPipeline(handle, pipeline._internal)
            lib.wgpuComputePassEncoderSetBindGroup(handle, 0, bound.bind_group._internal, 0, ffi.NULL)
            lib.wgpuComputePassEncoderDispatchWorkgroups(handle, *bound.launch.grid)
        compute.end()
        if readback is None:
            self._queue.submit([encoder.finish()])
            return
        at = 0
        for name, size in list(self._results.items())[: 1 + with_logprobs]:
            encoder.copy_buffer_to_buffer(self._buffers[name], 0, readback.buffer, at, size)
            at += size
        readback.submit(self._queue, encoder.finish(), at)

    def result(self, ticket: int) -> Awaitable[list[int]]:
        return _Waiting(self, partial(self._read_result, ticket))

    def _read_result(self, ticket: int) -> list[int]:
        """Blocks. May be called again where it was interrupted."""
        readback, count = self._open[ticket]
        data, size = readback.read(), self._results["sampled"]
        del self._open[ticket]
        self._free.append(readback)
        return unpack_results(data[:size], data[size:], count, self._program.max_num_seqs)

    def read(self, buffer: str, offset: int, size: int) -> Awaitable[bytes]:
        readback = _Readback(self._gpu, size)
        self._do(self._copy, buffer, offset, readback)
        self._reading.add(readback)
        return _Waiting(self, partial(self._read, readback))

    def _copy(self, buffer: str, offset: int, readback: _Readback) -> None:
        encoder = self._gpu.create_command_encoder()
        encoder.copy_buffer_to_buffer(self._buffers[buffer], offset, readback.buffer, 0, readback.size)
        readback.submit(self._queue, encoder.finish(), readback.size)

    def _read(self, readback: _Readback) -> bytes:
        try:
            return readback.read()
        finally:
            self._reading.discard(readback)

    # --- its thread --------------------------------------------------------------------------------------------------
    def _do(self, work: Callable[..., None], *args: Any) -> None:
        """Now; where an event loop has others to run, in this device's thread: a driver may block in any call. Either way in
        order."""
        if driver.device_may_block():
            self.settle()
            with self.noticing_loss():
                work(*args)
        else:
            self._last = self.in_thread(partial(work, *args))

    def in_thread(self, work: Callable[[], T]) -> "Future[T]":
        """After all that was given to it before; what failed there fails whatever comes later."""

        def after() -> T:
            if self._fault is not None:
                raise self._fault
            try:
                with self.noticing_loss():
                    return work()
            except Exception as error:
                self._fault = error
                raise

        return self._thread.submit(after)

    @contextmanager
    def noticing_loss(self) -> Iterator[None]:
        """The library has no error of its own for a device that is lost."""
        try:
            yield
        except DeviceLost:
            self.adapter.is_lost = True
            raise
        except wgpu.GPUError as error:
            if not IS_LOST.search(str(error)):
                raise
            self.adapter.is_lost = True
            raise DeviceLost(f"the graphics adapter went away: {error}") from None

    def settle(self) -> None:
        """Waits for what is given to the thread."""
        if self._last is not None:
            last, self._last = self._last, None
            last.result()

    async def timings(self, step: str, inputs: bytes) -> list[LaunchTime]:
        launches = self._run_of(step, 0, 0, False)
        if "timestamp-query" not in self._gpu.features:
            raise DeviceError("this adapter has no timestamp-query", hint="fanlight doctor")
        self.settle()
        self._queue.write_buffer(self._buffers["inputs"], 0, inputs)
        queries = self._gpu.create_query_set(type="timestamp", count=2 * len(launches))
        resolved = self._gpu.create_buffer(
            size=16 * len(launches), usage=wgpu.BufferUsage.QUERY_RESOLVE | wgpu.BufferUsage.COPY_SRC
        )
        encoder = self._gpu.create_command_encoder()
        for i, bound in enumerate(launches):
            writes = {"query_set": queries, "beginning_of_pass_write_index": 2 * i, "end_of_pass_write_index": 2 * i + 1}
            compute = encoder.begin_compute_pass(timestamp_writes=writes)
            compute.set_pipeline(bound.pipeline)
            compute.set_bind_group(0, bound.bind_group)
            compute.dispatch_workgroups(*bound.launch.grid)
            compute.end()
        encoder.resolve_query_set(queries, 0, 2 * len(launches), resolved, 0)
        self._queue.submit([encoder.finish()])
        return list(self._times(launches, self._queue.read_buffer(resolved).cast("Q").tolist()))

    def _times(self, launches: Sequence[_Bound], stamps: list[int]) -> Iterator[LaunchTime]:
        for i, bound in enumerate(launches):
            yield LaunchTime(bound.launch.kernel, bound.launch.where, (stamps[2 * i + 1] - stamps[2 * i]) / 1000)

    def close(self) -> None:
        """Frees the GPU's memory now, not when Python forgets the object."""
        self._fault = self._fault or EngineClosed("the device was closed")
        self._thread.shutdown()
        self._release()

    def _release(self) -> None:
        for buffer in self._buffers.values():
            buffer.destroy()
        self._buffers, self._steps, self._groups, self._pipelines = {}, {}, {}, {}
        self.adapter.give_back(self)


class _Waiting(Generic[T]):
    """For the GPU: here, or where an event loop has others to run, in the device's thread. A waiter that is cancelled, or
    interrupted, leaves what comes to the next one."""

    def __init__(self, device: NativeDevice, read: Callable[[], T]) -> None:
        self._device, self._read = device, read
        self._reading: Future[T] | None = None

    def __await__(self) -> Generator[Any, None, T]:
        if driver.device_may_block():
            self._device.settle()
            with self._device.noticing_loss():
                return self._reading.result() if self._reading else self._read()
        self._reading = self._reading or self._device.in_thread(self._read)
        return (yield from asyncio.shield(asyncio.wrap_future(self._reading)).__await__())


def trusted_module(gpu: Handle, wgsl: str) -> GPUShaderModule:
    """A shader without the bounds checks and loop limits that naga adds: the kernels are ours, and their indices are checked
    where they are made."""
    text = wgsl.encode()
    held = ffi.new("char[]", text)
    source = ffi.new("WGPUShaderSourceWGSL *")
    source.chain.sType = lib.WGPUSType_ShaderSourceWGSL
    source.code.data, source.code.length = held, len(text)
    descriptor = ffi.new("WGPUShaderModuleDescriptor *")
    descriptor.nextInChain = ffi.cast("WGPUChainedStruct *", source)
    handle = libf.wgpuDeviceCreateShaderModuleTrusted(gpu._internal, descriptor, lib.WGPUShaderRuntimeChecks_None)
    return GPUShaderModule("", handle, gpu)


def adapter_limits(adapter: Handle) -> Limits:
    """All that the adapter offers."""
    values = {name: int(adapter.limits[name.replace("_", "-")]) for name in LIMITS}
    return Limits(**values, features=frozenset(ours for ours, theirs in FEATURES.items() if theirs in adapter.features))
