"""`fanlight kernel`: one kernel's cases against its NumPy reference on this machine's device, then its time."""

import argparse
import time
from dataclasses import replace

from fanlight import driver
from fanlight.cli.model import output, steps, table
from fanlight.compiler.program import Program
from fanlight.errors import DeviceError, KernelFailed, RequestError
from fanlight.kernels import cases as kernel_cases
from fanlight.kernels.cases import Case
from fanlight.runtime import open_device
from fanlight.runtime.device import Device
from fanlight.settings import settings

INPUTS = bytes(16)  # the cases' own inputs are in buffers of other names
OK, NOT_RUN = "ok", "not run"
REPEATS = 64  # launches of a timed step: more than a submit costs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(kernel_cases.stems())}, or all")
    parser.add_argument("--case", metavar="TEXT", default="", help="only cases whose name has this in it")


def run(options: argparse.Namespace) -> int:
    names = kernel_cases.stems() if options.name == "all" else [options.name]
    if unknown := [name for name in names if name not in kernel_cases.CASES]:
        raise RequestError(f"there is no kernel {unknown[0]!r}; there are {', '.join(kernel_cases.stems())}", param="name")
    chosen = [(n, case) for n in names for case in kernel_cases.cases_of(n) if options.case in case.name]
    device = open_device(settings().device)
    made = table("kernel", "case", "result", "us", "GB/s", numbers=("us", "GB/s"))
    num_right = num_run = 0
    try:
        with steps("checking", len(chosen)) as advance:
            for name, case in chosen:
                result = check(device, case)
                num_run += not result.startswith(NOT_RUN)
                num_right += result == OK
                times = measure(device, case) if result == OK else ()
                made.add_row(name, case.name, result, *(f"{value:,.1f}" for value in times))
                advance()
    finally:
        device.close()
    output().print(made)
    left_out = f"; {len(chosen) - num_run} cannot run here" if num_run < len(chosen) else ""
    print(f"{num_right} of {num_run} cases agree with NumPy on {device.info.description or device.info.device}{left_out}")
    return 0 if num_right == num_run else 1


def check(device: Device, case: Case) -> str:
    """OK, NOT_RUN and why, or what differs from NumPy."""
    if missing := set(case.kernel.features) - device.limits.features:
        return f"{NOT_RUN}: the adapter has no {', '.join(sorted(missing))}"
    arrays = case.arrays()
    try:
        prepare(device, case, case.program())
    except KernelFailed as error:
        return error.message
    driver.run(device.result(device.submit("case", INPUTS)))
    got: dict[str, bytes] = {
        n: driver.run(device.read(kernel_cases.buffer_of(n), 0, arrays[n].nbytes)) for n in case.kernel.outputs
    }
    return "; ".join(kernel_cases.differences(case, got)) or OK


def prepare(device: Device, case: Case, program: Program) -> None:
    """With the case's contents in the buffers."""
    driver.run(device.prepare(program))
    for binding, array in case.arrays().items():
        device.write(kernel_cases.buffer_of(binding), 0, array.tobytes())


def measure(device: Device, case: Case) -> tuple[float, float]:
    """Microseconds of a launch, and what its bindings' bytes make of that: small cases measure the launch, not the memory."""
    program = case.program()
    step = program.steps[0]
    prepare(device, case, replace(program, steps=(replace(step, launches=step.launches * REPEATS),)))
    try:
        times = driver.run(device.timings("case", INPUTS))
        microseconds = sum(t.microseconds for t in times) / len(times)
    except DeviceError:  # no timestamps here
        driver.run(device.result(device.submit("case", INPUTS)))
        start = time.perf_counter()
        driver.run(device.result(device.submit("case", INPUTS)))
        microseconds = (time.perf_counter() - start) * 1e6 / REPEATS
    num_bytes = sum(array.nbytes for array in case.arrays().values())
    return microseconds, num_bytes / max(microseconds, 1e-3) / 1e3
