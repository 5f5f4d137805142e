"""Steps that go to the GPU in one submit draw what they draw one by one."""

import struct

import pytest

from fanlight.api.load import LoadOptions
from fanlight.compiler.program import FROM_SLOT, MAX_RECORDS, Program, Row, Sample, pack_inputs, pack_records
from fanlight.driver import run
from fanlight.engine.load import load_engine
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.runtime.device import Device
from fanlight.runtime.native import NativeDevice

PROMPTS = ([11, 22, 33, 44, 55], [66, 77, 88])


@pytest.fixture(scope="module")
def loaded() -> tuple[Program, Device]:
    device = NativeDevice()
    checkpoint = run(open_checkpoint(run(resolve_model("built-in"))))
    engine = run(load_engine(checkpoint, device, LoadOptions(64), lambda phase, done, total: None))
    yield engine.program, device
    engine.close()


def draw(program: Program, device: Device, together: int) -> list[list[int]]:
    """Tokens after PROMPTS, in slots 0 and 1: as many as a submit may draw, `together` in each."""
    table = [slot * program.max_blocks_per_seq + i for slot in (0, 1) for i in range(program.max_blocks_per_seq)]
    device.write("block_table", 0, struct.pack(f"<{len(table)}I", *table))
    for slot, prompt in enumerate(PROMPTS):
        rows = [Row(token, position, slot) for position, token in enumerate(prompt)]
        inputs = pack_inputs(rows, [Sample(len(rows) - 1, slot)], program.max_num_seqs)
        run(device.result(device.submit(program.step_for(len(rows), 1).name, inputs)))
    drawn = []
    for first in range(0, MAX_RECORDS, together):
        records = [
            pack_inputs(
                [Row(FROM_SLOT, len(prompt) + first + i, slot, True) for slot, prompt in enumerate(PROMPTS)],
                [Sample(0, 0), Sample(1, 1, temperature=1.0, seed=5, counter=first + i)],
                program.max_num_seqs,
            )
            for i in range(together)
        ]
        found = run(device.result(device.submit(program.step_for(2, 2).name, pack_records(records), together)))
        assert len(found) == together * program.max_num_seqs
        drawn += [found[i * program.max_num_seqs :][:2] for i in range(together)]
    return drawn


@pytest.mark.parametrize("together", [2, MAX_RECORDS])
def test_together_is_as_one_by_one(loaded: tuple[Program, Device], together: int) -> None:
    alone = draw(*loaded, 1)
    assert len({tuple(tokens) for tokens in alone}) > 1
    assert draw(*loaded, together) == alone
