"""Where a step's time goes: every launch measured on its own, then summed by what it computes. A table, largest first.

usage: python bench/profile.py MODEL.gguf [--rows 1] [--position 512] [--repeats 5]
Each launch stands in a pass of its own here, so sums exceed a step's real time by the passes' cost."""

import argparse
import re
import statistics
from collections import defaultdict

from fanlight.api.load import LoadOptions
from fanlight.api.python import open_face
from fanlight.compiler.program import Row, Sample, pack_inputs
from fanlight.driver import run
from fanlight.engine.engine import Engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    for name, value in (("rows", 1), ("position", 512), ("repeats", 5), ("context", 1024)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    face = run(open_face(options.model, LoadOptions(options.context, 4)))
    engine = face.engine
    assert isinstance(engine, Engine)
    profile(engine, options.rows, options.position, options.repeats)
    face.close()


def profile(engine: Engine, rows: int, position: int, repeats: int) -> None:
    program, device = engine.program, engine._device
    blocks = b"".join(i.to_bytes(4, "little") for i in range(program.max_blocks_per_seq))
    device.write("block_table", 0, blocks)
    step = program.step_for(rows, 1)
    inputs = pack_inputs([Row(5, position + i, 0) for i in range(rows)], [Sample(rows - 1, 0)], program.max_num_seqs)
    sizes = {s.buffer: s.size for launch in step.launches for s in launch.bindings}
    runs = [run(device.timings(step.name, inputs)) for _ in range(repeats + 1)][1:]
    times, counts, weights = defaultdict(float), defaultdict(int), defaultdict(int)
    for i, launch in enumerate(step.launches):
        what = re.sub(r"\.\d+\.", ".*.", launch.where.split(" ")[0])
        key = f"{launch.kernel.split('.')[0]:18} {what}"
        times[key] += statistics.median(r[i].microseconds for r in runs)
        counts[key] += 1
        weights[key] += max([sizes[s.buffer] for s in launch.bindings if s.buffer.startswith("weight.")], default=0)
    print(
        f"step {step.name}, {rows} rows from position {position}: {sum(times.values()):.0f} us in {len(step.launches)} launches"
    )
    for key, time in sorted(times.items(), key=lambda item: -item[1]):
        each = time / counts[key]
        print(f"{time:9.1f} us  {counts[key]:3} x {each:8.1f} us  {weights[key] / max(time, 1e-9) / 1e3:8.1f} GB/s  {key}")


if __name__ == "__main__":
    main()
