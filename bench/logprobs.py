"""What log-probabilities cost: a decode step without them and with them, as the engine submits steps, one after the other.

    python -m bench logprobs MODEL.gguf               of 1 and of 4 sequences, 512 tokens into them

Without them a step is what it was before there were any: the two kernels are not in it (Step.launches_for)."""

import argparse
import statistics
import time

from fanlight.api.load import LoadOptions
from fanlight.compiler.program import MAX_RECORDS, Row, Sample, pack_inputs, pack_records
from fanlight.driver import run
from fanlight.engine.load import load_engine
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.runtime import open_device
from fanlight.runtime.device import MAX_IN_FLIGHT, Device

STEPS = 96
POSITION = 512


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench logprobs", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args(arguments)
    device = open_device("native")
    checkpoint = run(open_checkpoint(run(resolve_model(options.model))))
    engine = run(load_engine(checkpoint, device, LoadOptions(1024, 4), lambda phase, done, total: None))
    program = engine.program
    device.write("block_table", 0, b"".join(i.to_bytes(4, "little") for i in range(program.max_blocks_per_seq)) * 4)
    for count in (1, 4):
        step = program.step_for(count, count).name
        rows = [Row(5, POSITION, slot) for slot in range(count)]
        record = pack_inputs(rows, [Sample(slot, slot) for slot in range(count)], program.max_num_seqs)
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(options.repeats + 1):  # in turns: a clock that changes changes both
            for asked, found in times.items():
                found.append(step_time(device, step, record, asked))
        without, with_them = (statistics.median(found[1:]) for found in times.values())
        print(f"{count} sequences: {without:.1f} us without, {with_them:.1f} us with, {with_them / without - 1:+.1%}")
    engine.close()
    return 0


def step_time(device: Device, step: str, record: bytes, with_logprobs: bool) -> float:
    """Microseconds."""
    inputs = pack_records([record] * MAX_RECORDS)
    start, tickets = time.perf_counter(), []
    for _ in range(STEPS // MAX_RECORDS):
        if len(tickets) == MAX_IN_FLIGHT // MAX_RECORDS:
            run(device.result(tickets.pop(0)))
        tickets.append(device.submit(step, inputs, MAX_RECORDS, with_logprobs))
    for ticket in tickets:
        run(device.result(ticket))
    return (time.perf_counter() - start) * 1e6 / STEPS
