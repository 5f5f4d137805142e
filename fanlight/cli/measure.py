"""The measurements behind `fanlight bench` and the repository's bench/: a stream read, and prompts through a token engine."""

import random
import statistics
import time

from fanlight import driver
from fanlight.compiler.program import BufferSpec, KernelSpec, Launch, Program, Slice, Step
from fanlight.engine.engine import Engine
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.sequence import Sequence
from fanlight.errors import DeviceError
from fanlight.kernels import stream
from fanlight.runtime import open_device
from fanlight.settings import settings

STREAM_BYTES = 512 << 20  # far more than any cache


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


def measure(engine: Engine, num_prompt: int, num_decode: int, num_seqs: int = 1) -> dict[str, float]:
    """Random prompts, so that no prefix is cached."""
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
