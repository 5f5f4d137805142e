"""The null device refuses what a GPU would silently read: the engine's tests lean on that."""

import struct

import pytest

from fanlight.compiler.program import FROM_SLOT, Row, Sample, pack_inputs
from fanlight.driver import run
from fanlight.errors import DeviceError
from fanlight.runtime.device import MAX_IN_FLIGHT
from fanlight.runtime.null import NullDevice, unpack_inputs
from tests.engine.workload import make_program

PROGRAM = make_program(block_size=4, max_num_seqs=2)


@pytest.fixture
def device() -> NullDevice:
    device = NullDevice()
    run(device.prepare(PROGRAM))
    device.write("block_table", 0, struct.pack("<2I", 3, 1))
    return device


def submit(device: NullDevice, rows: list[Row], samples: list[Sample], step: str = "rows8x8") -> list[int]:
    return run(device.result(device.submit(step, pack_inputs(rows, samples, PROGRAM.max_num_seqs))))


def test_inputs_come_back_as_they_were_packed() -> None:
    rows = [Row(5, 0, 1), Row(FROM_SLOT, 7, 0, True)]
    samples = [Sample(1, 0, 0.5, 3, 0.25, 0.125, 0.5, -0.5, 1.5, True, 2**64 - 2, 9)]
    assert unpack_inputs(pack_inputs(rows, samples, 2), 2) == (rows, samples)


def test_the_next_token_depends_on_every_token_before(device: NullDevice) -> None:
    def after(tokens: list[int]) -> int:
        return submit(device, [Row(t, i, 0) for i, t in enumerate(tokens)], [Sample(len(tokens) - 1, 0)])[0]

    first = after([1, 2, 3, 4, 5, 6])
    assert after([1, 2, 3, 4, 5, 6]) == first
    assert len({after([1, 2, t, 4, 5, 6]) for t in range(20)}) > 5
    # Chunks give what the whole prompt gives, and the slot feeds its own token back.
    submit(device, [Row(t, i, 0) for i, t in enumerate([1, 2, 3, 4, 5])], [])
    assert submit(device, [Row(6, 5, 0)], [Sample(0, 0)])[0] == first
    fed = submit(device, [Row(FROM_SLOT, 6, 0)], [Sample(0, 0)])[0]
    assert fed == after([1, 2, 3, 4, 5, 6, first])


@pytest.mark.parametrize(
    "rows, samples, message",
    [
        ([], [], "0 rows"),
        ([Row(1, i, 0) for i in range(9)], [], "9 rows"),
        ([Row(50, 0, 0)], [], "token id 50"),
        ([Row(FROM_SLOT, 0, 0)], [], "no sampled token"),
        ([Row(1, 64, 0)], [], "position 64"),
        ([Row(1, 0, 2)], [], "slot 2"),
        ([Row(1, 0, 0), Row(1, 2, 0)], [], "position 2 after 0"),
        ([Row(1, 0, 0), Row(1, 0, 1), Row(1, 1, 0)], [], "not consecutive"),
        ([Row(1, 0, 0)], [Sample(1, 0)], "sample of row 1"),
        ([Row(1, 0, 0)], [Sample(0, 1)], "sample for slot 1"),
        ([Row(1, 0, 0), Row(1, 1, 0)], [Sample(0, 0), Sample(1, 0)], "sampled twice"),
        ([Row(1, 3, 0)], [Sample(0, 0)], "no row wrote"),
    ],
)
def test_wrong_inputs_are_refused(device: NullDevice, rows: list[Row], samples: list[Sample], message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        submit(device, rows, samples)


def test_wrong_calls_are_refused(device: NullDevice) -> None:
    for call, message in [
        (lambda: device.write("nothing", 0, b"1234"), "no buffer"),
        (lambda: device.write("block_table", 2, b"1234"), "multiples of 4"),
        (lambda: device.write("sampled", 0, bytes(2000)), "> 1024"),
        (lambda: device.clear("token_counts", 4, 4), "part of a row"),
        (lambda: device.submit("nothing", b""), "no step"),
        (lambda: run(device.result(7)), "not open"),
        (lambda: NullDevice().submit("rows1x1", b""), "before `prepare`"),
    ]:
        with pytest.raises(DeviceError, match=message):
            call()
    device.write("block_table", 0, struct.pack("<I", 64))
    with pytest.raises(DeviceError, match="block 64"):
        submit(device, [Row(1, 0, 0)], [])


def test_only_so_many_steps_may_be_open(device: NullDevice) -> None:
    inputs = pack_inputs([Row(1, 0, 0)], [], PROGRAM.max_num_seqs)
    tickets = [device.submit("rows1x1", inputs) for _ in range(MAX_IN_FLIGHT)]
    with pytest.raises(DeviceError, match="in flight"):
        device.submit("rows1x1", inputs)
    run(device.result(tickets[0]))
    device.submit("rows1x1", inputs)
