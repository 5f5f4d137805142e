"""`fanlight bench`: prefill and decode of a model, measured on the token engine; a table, then one JSON line last.

Prefill is limited by arithmetic: all prompt tokens go through a layer together. Decode is limited by memory: every token reads
all weights once, so tokens/s times the bytes of the weights is the bandwidth that the engine reaches.
"""

import argparse
import json
import random
import statistics
import time

from fanlight import driver
from fanlight.api.generation import Face
from fanlight.cli.model import add_model_arguments, opened, output, steps, table
from fanlight.compiler.memory import memory_plan
from fanlight.compiler.program import BufferSpec, KernelSpec, Launch, Program, Slice, Step
from fanlight.engine.engine import Engine
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.sequence import Sequence
from fanlight.errors import DeviceError
from fanlight.kernels import stream
from fanlight.runtime import open_device
from fanlight.settings import settings

STREAM_BYTES = 512 << 20  # far more than any cache


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument(
        "--prompt-tokens", type=int, default=512, metavar="N", help="(default: %(default)s, or half the context)"
    )
    parser.add_argument(
        "--decode-tokens", type=int, default=128, metavar="N", help="(default: %(default)s, or half the context)"
    )
    parser.add_argument(
        "--num-seqs", type=int, default=1, metavar="N", help="sequences that decode together (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs, after one to warm up (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    start = time.perf_counter()
    with opened(options) as face:
        load_s = time.perf_counter() - start
        half = face.engine.context_length // 2
        num_prompt, num_decode = min(options.prompt_tokens, half), min(options.decode_tokens, half)
        runs = []
        with steps("measuring", options.repeats + 1) as advance:
            for _ in range(options.repeats + 1):
                runs.append(measure(face, num_prompt, num_decode, options.num_seqs))
                advance()
        shape = {"prompt_tokens": num_prompt, "decode_tokens": num_decode, "num_seqs": options.num_seqs}
        report(face, runs[1:], shape, load_s, stream_gbps())
    return 0


def stream_gbps() -> float | None:
    """What reading memory reaches at best here, measured: the roof of decode. None where the adapter has no clock."""
    device = open_device(settings().device)
    try:
        size = min(STREAM_BYTES, device.limits.max_storage_buffer_binding_size, device.limits.max_buffer_size) // 16 * 16
        kernel = stream.make(size // 16)
        places = (Slice("x", 0, size), Slice("y", 0, 4 * stream.WORKGROUP * stream.GROUPS))
        step = Step("stream", 1, 1, (Launch("stream", places, stream.grid()),) * 6)
        buffers = (
            *(BufferSpec(s.buffer, s.size, "io") for s in places),
            *(BufferSpec(n, 16, "io") for n in ("inputs", "sampled")),
        )
        spec = KernelSpec("stream", kernel.wgsl(), ("read", "read_write"))
        driver.run(device.prepare(Program("stream", 1, 1, 1, 1, 1, 1, buffers, (spec,), (step,))))
        noise = random.randbytes(1 << 20)  # zeros may be read faster than memory gives them
        for offset in range(0, size - len(noise) + 1, len(noise)):
            device.write("x", offset, noise)
        times = [launch.microseconds for launch in driver.run(device.timings("stream", bytes(16)))]
        typical = statistics.median(times[1:])
        return size / typical / 1e3 if typical else None
    except DeviceError:
        return None
    finally:
        device.close()


def measure(face: Face, num_prompt: int, num_decode: int, num_seqs: int) -> dict[str, float]:
    """Random prompts, so that no prefix is cached."""
    engine = face.engine
    assert isinstance(engine, Engine)
    params = SamplingParams(temperature=0, max_tokens=num_decode, ignore_eos=True)
    vocab_size = engine.program.vocab_size
    started = time.perf_counter()
    sequences = [engine.submit([random.randrange(vocab_size) for _ in range(num_prompt)], params) for _ in range(num_seqs)]
    driver.run(_finish(engine, sequences))
    firsts = [s.first_token for s in sequences if s.first_token is not None]
    ends = [s.finished for s in sequences if s.finished is not None]
    decode_s = max(max(ends) - max(firsts), 1e-9)
    return {
        "ttft_ms": (min(firsts) - started) * 1e3,
        "prefill_tps": num_prompt * num_seqs / max(max(firsts) - started, 1e-9),
        "decode_tps": num_seqs * (num_decode - 1) / decode_s if num_decode > 1 else 0.0,
    }


async def _finish(engine: Engine, sequences: list[Sequence]) -> None:
    while unfinished := [s for s in sequences if not s.is_finished]:
        for sequence in unfinished:
            sequence.take()
        await engine.wait(unfinished)


def report(face: Face, runs: list[dict[str, float]], shape: dict[str, int], load_s: float, stream_gbps: float | None) -> None:
    engine = face.engine
    assert isinstance(engine, Engine)
    program, plan = engine.program, memory_plan(engine.program.buffers)
    numbers = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    numbers["bandwidth_gbps"] = numbers["decode_tps"] / shape["num_seqs"] * plan["weight"] / 1e9
    made = table("", "median", "least", "most", numbers=("median", "least", "most"), title=f"{face.model_name} {shape}")
    for name in ("ttft_ms", "prefill_tps", "decode_tps"):
        values = [run[name] for run in runs]
        made.add_row(name, f"{numbers[name]:,.2f}", f"{min(values):,.2f}", f"{max(values):,.2f}")
    made.add_row("bandwidth_gbps", f"{numbers['bandwidth_gbps']:,.2f}", "", "")
    if stream_gbps:
        share = numbers["bandwidth_gbps"] / stream_gbps
        made.add_row("share of a stream read", f"{share:.1%}", "", f"{stream_gbps:,.0f} GB/s")
    output().print(made)
    step = program.step_for(shape["num_seqs"], shape["num_seqs"])
    facts = {
        "model": face.model_name,
        **shape,
        **{name: round(value, 3) for name, value in numbers.items()},
        "stream_gbps": stream_gbps and round(stream_gbps, 1),
        "load_s": round(load_s, 3),
        "dispatches_per_token": len(step.launches),
        "memory_bytes": plan["total"],
        "weight_bytes": plan["weight"],
        "context_length": engine.context_length,
        "adapter": face.info.get("adapter"),
    }
    print(json.dumps(facts))
