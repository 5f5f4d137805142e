"""`system_fingerprint`: a short name for what decides what a seed draws: weights as they lie on the GPU, and the kernels, the
sampler's among them.  On another adapter, or with other code, it is another name."""

from hashlib import sha256

from fanlight.compiler.program import Program
from fanlight.runtime.device import Device

NUM_SAMPLES = 32  # places of the weights that are read back: reading all of them takes as long as loading
SAMPLE_BYTES = 64


async def fingerprint(program: Program, device: Device) -> str:
    weights = [spec for spec in program.buffers if spec.kind == "weight" and spec.size >= SAMPLE_BYTES]
    found = sha256(repr((program.name, *program.loras, [(spec.name, spec.size) for spec in weights])).encode())
    for kernel in program.kernels:
        found.update(kernel.wgsl.encode())
    each = -(-NUM_SAMPLES // max(len(weights), 1))
    places = [(spec, (spec.size - SAMPLE_BYTES) * (2 * i + 1) // (2 * each)) for spec in weights for i in range(each)]
    chosen = places[:: -(-len(places) // NUM_SAMPLES) or 1]
    readings = [device.read(spec.name, at // 4 * 4, SAMPLE_BYTES) for spec, at in chosen]
    for reading in readings:
        found.update(await reading)
    return f"fp_{found.hexdigest()[:10]}"
