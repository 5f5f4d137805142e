"""Whether an adapter can run what was compiled for it.  Selection asks for a kernel where it has another; `check_program` asks
of the whole Program, so that none leaves the compiler that its adapter would refuse."""

from collections.abc import Iterator

from fanlight.compiler.program import KernelSpec, Launch, Limits, Program, Slice
from fanlight.errors import KernelFailed
from fanlight.kernels.spec import Kernel
from fanlight.kernels.wgsl import needs_of


def excess(wgsl: str, num_buffers: int, features: tuple[str, ...], limits: Limits) -> list[str]:
    """What a kernel needs beyond the limits, in words."""
    needs = needs_of(wgsl)
    asked = [
        ("storage buffers", num_buffers, limits.max_storage_buffers_per_shader_stage),
        ("bytes of workgroup memory", needs.workgroup_bytes, limits.max_compute_workgroup_storage_size),
        ("invocations in a workgroup", needs.num_invocations, limits.max_compute_invocations_per_workgroup),
    ]
    found = [f"{have:,} {what}, the adapter has {limit:,}" for what, have, limit in asked if have > limit]
    return found + [f"the feature {feature}" for feature in features if feature not in limits.features]


def fits(kernel: Kernel, limits: Limits) -> bool:
    return not excess(kernel.wgsl(), len(kernel.bindings), kernel.features, limits)


def check_program(program: Program, limits: Limits) -> None:
    """Raises KernelFailed with the first few things that the adapter would refuse."""
    found = [*_kernels(program.kernels, limits), *_launches(program, limits)]
    if found:
        raise KernelFailed(
            f"compiled for limits that this adapter does not have: {'; '.join(found[:3])}",
            where=program.name,
            hint="this is a bug of Fanlight: please report it with the output of fanlight doctor --json",
        )


def _kernels(kernels: tuple[KernelSpec, ...], limits: Limits) -> Iterator[str]:
    for kernel in kernels:
        for words in excess(kernel.wgsl, len(kernel.access), kernel.features, limits):
            yield f"{kernel.name} needs {words}"


def _launches(program: Program, limits: Limits) -> Iterator[str]:
    sizes = {buffer.name: buffer.size for buffer in program.buffers}
    for name, size in sizes.items():
        if size > limits.max_buffer_size:
            yield f"buffer {name} needs {size:,} bytes, the adapter has {limits.max_buffer_size:,}"
    seen: set[tuple[tuple[Slice, ...], tuple[int, int, int]]] = set()
    launches = [launch for step in program.every_step for launch in step.launches]
    for launch in [*launches, *(upload.launch for upload in program.uploads)]:
        key = (launch.bindings, launch.grid)
        if key not in seen:
            seen.add(key)
            yield from _launch(launch, sizes, limits)


def _launch(launch: Launch, sizes: dict[str, int], limits: Limits) -> Iterator[str]:
    where = f"{launch.kernel} for {launch.where}"
    if max(launch.grid) > limits.max_compute_workgroups_per_dimension:
        yield f"{where} dispatches {launch.grid}, the adapter has {limits.max_compute_workgroups_per_dimension:,} a dimension"
    for place in launch.bindings:
        if place.offset % limits.min_storage_buffer_offset_alignment:
            yield f"{where} binds {place.buffer} at {place.offset:,}, which the adapter's alignment forbids"
        if place.size > limits.max_storage_buffer_binding_size:
            yield f"{where} binds {place.size:,} bytes of {place.buffer}"
        if place.offset + place.size > sizes[place.buffer]:
            yield f"{where} binds {place.buffer} past its end"
