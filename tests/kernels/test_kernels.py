"""Every kernel against its NumPy reference, natively and in Chromium: there every other case of a kernel that has many, and the
rest with minutes."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from fanlight.driver import run
from fanlight.kernels import cases as kernel_cases
from fanlight.kernels.wgsl import needs_of
from fanlight.runtime import open_device
from fanlight.runtime.device import Device
from tests.web.browser import Served, run_program, serve

ALL = [(stem, case.name) for stem in kernel_cases.stems() if stem in kernel_cases.CASES for case in kernel_cases.cases_of(stem)]


def in_chromium() -> list[Any]:
    """The cases; of a kernel of more than four every other one takes no minutes."""
    names_of = {stem: [name for of, name in ALL if of == stem] for stem, _ in ALL}
    quick = {(stem, name) for stem, names in names_of.items() for name in names[:: 2 if len(names) > 4 else 1]}
    marks = {True: [], False: [pytest.mark.minutes]}
    return [pytest.param(*case, id="-".join(case), marks=marks[case in quick]) for case in ALL]


@lru_cache(maxsize=1)  # tests go from kernel to kernel
def cases_by_name(stem: str) -> dict[str, kernel_cases.Case]:
    return {case.name: case for case in kernel_cases.cases_of(stem)}


def find(stem: str, name: str) -> kernel_cases.Case:
    return cases_by_name(stem)[name]


@pytest.fixture(scope="module")
def device() -> Device:
    device = open_device("native")
    yield device
    device.close()


def test_every_kernel_has_cases_and_a_reference():
    assert set(kernel_cases.stems()) == set(kernel_cases.CASES)


@pytest.mark.parametrize(("stem", "name"), ALL, ids=[f"{stem}-{name}" for stem, name in ALL])
def test_native_equals_numpy(device, stem, name):
    case = find(stem, name)
    if missing := set(case.kernel.features) - device.limits.features:
        pytest.skip(f"this adapter has no {missing}")
    run(device.prepare(case.program()))
    for binding, array in case.arrays().items():
        device.write(kernel_cases.buffer_of(binding), 0, array.tobytes())
    run(device.result(device.submit("case", bytes(16))))
    got = {name: run(device.read(kernel_cases.buffer_of(name), 0, case.arrays()[name].nbytes)) for name in case.kernel.outputs}
    assert not kernel_cases.differences(case, got)


OFFERED = """
async () => {
  const { openGpu } = await import("/fanlight/replay.js");
  const { features, limits } = (globalThis.fanlightGpu ??= await openGpu());
  return [features, limits.maxComputeWorkgroupStorageSize];
}
"""


@pytest.fixture(scope="module")
def kernel_page(chromium, assets):
    """One page for all cases."""
    served = Served({"/pages/": Path(__file__).parents[1] / "web" / "pages", "/": assets})
    with serve(served) as url:
        page = chromium.new_page()
        page.goto(f"{url}/pages/blank.html")
        yield page
        page.close()


@pytest.mark.browser
@pytest.mark.parametrize(("stem", "name"), in_chromium())
def test_chromium_equals_numpy(kernel_page, stem, name):
    case = find(stem, name)
    features, workgroup_bytes = kernel_page.evaluate(OFFERED)
    if set(case.kernel.features) - set(features) or needs_of(case.kernel.wgsl()).workgroup_bytes > workgroup_bytes:
        pytest.skip("this adapter cannot run it")
    arrays = case.arrays()
    writes = [(kernel_cases.buffer_of(binding), 0, array.tobytes()) for binding, array in arrays.items()]
    reads = [(kernel_cases.buffer_of(output), 0, arrays[output].nbytes) for output in case.kernel.outputs]
    found = run_program(kernel_page, case.program().to_json(), writes, "case", None, reads)
    assert not kernel_cases.differences(case, dict(zip(case.kernel.outputs, found, strict=True)))
