"""How a step that decodes takes other cuts of its kernels: whole steps, each with one kind of product or its attention cut
otherwise, are measured in turns, as steps of one Program, so that all have the same weights and the same minute.

    python -m bench cuts MODEL                                  512 tokens before the step
    python -m bench cuts MODEL --position 512,4000 --context 4096
    python -m bench cuts MODEL --chrome PATH                    as the browser's compiler has it

A kernel by itself is another matter: its clocks rest, its weights lie in a cache, and no barrier stands before it."""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from unittest.mock import patch

from bench.page_device import add_device_arguments, open_chosen_device
from bench.profile import TOKEN, fill_block_tables, step_time
from fanlight.api.load import LoadOptions
from fanlight.compiler.program import MAX_RECORDS, Limits, Program, Row, Sample, pack_inputs
from fanlight.compiler.tuning import Tuning, product_key, shape_candidates, start_of
from fanlight.driver import run
from fanlight.engine.load import compile_model
from fanlight.formats.checkpoint import Checkpoint, open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.kernels import attention_decode
from fanlight.kernels.spec import MADE
from fanlight.models import Model, open_model
from fanlight.runtime.device import Device

TILES = (64, 128, 256)  # positions that attention scores at a time


@dataclass(frozen=True, slots=True)
class Variant:
    """A program whose step of one row is cut otherwise. what: which of its kernels; cut: how."""

    what: str
    cut: str
    program: Program


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench cuts", description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a GGUF file, or built-in")
    numbers = lambda text: tuple(int(x) for x in text.split(","))  # noqa: E731
    parser.add_argument("--position", type=numbers, default=(512,), help="tokens before the step, or several numbers")
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    add_device_arguments(parser)
    options = parser.parse_args(arguments)
    device = open_chosen_device(options)
    checkpoint = run(open_checkpoint(run(resolve_model(options.model))))
    model, tuning = run(open_model(checkpoint)), Tuning(start_of(*astuple(device.info)))
    variants = list(variants_of(model, device.limits, LoadOptions(options.context), tuning))
    prepare(device, checkpoint, variants)
    for position in options.position:
        print(table(variants, times(device, variants, position, options.rounds), position))
    device.close()
    return 0


def variants_of(model: Model, limits: Limits, options: LoadOptions, tuning: Tuning) -> Iterator[Variant]:
    """What is usual first; then others of each kind of product, and of attention."""
    usual = compile_model(model, limits, options, tuning)
    yield Variant("as usual", "", usual)
    texts = {kernel.name: kernel.wgsl for kernel in usual.kernels}
    kernels = [MADE[texts[launch.kernel]] for launch in usual.step_for(1, 1).launches_for()]
    for key, p in {product_key(k.problem): k.problem for k in kernels if k.stem == "gemv_int8"}.items():
        for shape in shape_candidates(p, tuning.shape_of(p, limits), limits)[1:]:
            cut = str(shape).removeprefix("Shape(").partition(", memory")[0]
            yield Variant(key, cut, compile_model(model, limits, options, replace(tuning, found={key: astuple(shape)})))
    for tile in TILES:
        with patch.object(attention_decode, "default_shape", lambda p, tile=tile: attention_decode.Shape(256, tile, 1)):
            yield Variant("attention", f"tile={tile}", compile_model(model, limits, options, tuning))


def prepare(device: Device, checkpoint: Checkpoint, variants: Sequence[Variant]) -> None:
    program = beside(variants)
    run(device.prepare(program))
    run(device.prepared())
    run(device.load(checkpoint.sources, lambda done, total: None))
    fill_block_tables(program, device)


def beside(variants: Sequence[Variant]) -> Program:
    """The first one's program with all of their steps, each under its number, and every buffer as large as any wants it."""
    first = variants[0].program
    names, kernels = {k.wgsl: k.name for k in first.kernels}, list(first.kernels)
    sizes = {buffer.name: buffer for buffer in first.buffers}
    steps = list(first.steps)
    for number, variant in enumerate(variants):
        for buffer in variant.program.buffers:
            sizes[buffer.name] = max(sizes.get(buffer.name, buffer), buffer, key=lambda b: b.size)
        own = {kernel.name: kernel for kernel in variant.program.kernels}
        step = variant.program.step_for(1, 1)
        for kernel in (own[launch.kernel] for launch in step.launches):
            if kernel.wgsl not in names:
                names[kernel.wgsl] = f"{kernel.name} {number}"
                kernels.append(replace(kernel, name=names[kernel.wgsl]))
        launches = [replace(launch, kernel=names[own[launch.kernel].wgsl]) for launch in step.launches]
        steps.append(replace(step, name=str(number), launches=tuple(launches)))
    return replace(first, steps=tuple(steps), kernels=tuple(kernels), buffers=tuple(sizes.values()))


def times(device: Device, variants: Sequence[Variant], position: int, rounds: int) -> list[float]:
    """Microseconds of a step of each: medians."""
    inputs = pack_inputs([Row(TOKEN, position, 0)], [Sample(0, 0)], variants[0].program.max_num_seqs)
    step_time(device, "0", inputs, MAX_RECORDS, rounds)  # until clocks are up
    found: list[list[float]] = [[] for _ in variants]
    for _ in range(rounds):
        for number, own in enumerate(found):
            own.append(step_time(device, str(number), inputs, MAX_RECORDS, 1))
    return [statistics.median(own) for own in found]


def table(variants: Sequence[Variant], found: Sequence[float], position: int) -> str:
    """Markdown: of each kind the fastest first."""
    lines = [f"a step after {position} tokens: {found[0]:,.1f} us", "", "| kernel | cut | us | change |", "|---|---|---:|---:|"]
    kinds = list(dict.fromkeys(variant.what for variant in variants[1:]))
    rows = sorted(zip(variants[1:], found[1:], strict=True), key=lambda row: (kinds.index(row[0].what), row[1]))
    lines += [f"| {v.what} | {v.cut} | {us:,.1f} | {us - found[0]:+,.1f} |" for v, us in rows]
    return "\n".join([*lines, ""])
