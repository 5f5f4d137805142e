"""A small Program for the null device, and the oracle: a request's tokens from its prompt alone."""

import struct
from collections import Counter

from fanlight.compiler.program import (
    WINDOW_TABLE,
    BufferSpec,
    Output,
    Program,
    Sample,
    Step,
    inputs_size,
    logprobs_size,
    sampled_size,
)
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams, Sequence
from fanlight.runtime.null import NullDevice, SlotCounts, next_token_id

SHAPES = ((1, 1), (2, 2), (4, 4), (8, 8), (32, 0), (32, 8))  # rows, samples of each step


def make_program(
    *,
    context_length: int = 64,
    vocab_size: int = 50,
    max_num_seqs: int = 4,
    block_size: int = 4,
    num_blocks: int = 64,
    shapes: tuple[tuple[int, int], ...] = SHAPES,
    with_logprobs: bool = True,
    window: int = 0,
    late_tokens: int = 64,
) -> Program:
    outputs = (Output("logprobs", "logprobs", "f32", (1,)),) if with_logprobs else ()
    max_rows = max(rows for rows, _ in shapes)
    sizes = {
        "inputs": inputs_size(max_num_seqs, max_rows) // 4,
        "sampled": sampled_size(max_num_seqs) // 4,
        "logprobs": logprobs_size(max_num_seqs) // 4,
        "next_token": max_num_seqs,
        "block_table": max_num_seqs * -(-context_length // block_size),
        "token_counts": max_num_seqs * vocab_size,
        "logit_bias": max_num_seqs * vocab_size,
    }
    own = -(-(window + late_tokens) // block_size) + 2
    num_window_blocks = max_num_seqs * own - (-max_rows // block_size) if window else 0
    sizes |= {WINDOW_TABLE: sizes["block_table"]} if window else {}
    return Program(
        name="tiny",
        context_length=context_length,
        vocab_size=vocab_size,
        max_num_seqs=max_num_seqs,
        block_size=block_size,
        num_blocks=num_blocks,
        max_rows=max_rows,
        window=window,
        num_window_blocks=num_window_blocks,
        buffers=tuple(BufferSpec(name, 4 * words, "io") for name, words in sizes.items()),
        kernels=(),
        steps=tuple(Step(f"rows{rows}x{samples}", rows, samples, (), (), outputs) for rows, samples in shapes),
    )


def make_engine(program: Program | None = None, device: NullDevice | None = None, **options) -> Engine:
    program, device = program or make_program(), device or NullDevice()
    run(device.prepare(program))
    return Engine(program, device, **options)


def expected(prompt: list[int], params: SamplingParams, seed: int, limit: int, vocab_size: int = 50) -> tuple[list[int], str]:
    """The generated ids and finish_reason: no blocks, no slots, no batch. `limit`: the context length. With sinks, each next
    token is that of a prompt of what is kept."""
    bias = b""
    if params.logit_bias:
        bias = struct.pack(f"<{vocab_size}f", *(params.logit_bias.get(t, 0.0) for t in range(vocab_size)))
    output: list[int] = []
    context = list(prompt)
    while True:
        if len(context) == limit:
            assert params.num_sinks is not None
            del context[params.num_sinks : params.num_sinks + (limit - params.num_sinks) // 2]
        sample = Sample(
            row=0,
            slot=0,
            temperature=params.temperature,
            top_k=params.top_k,
            top_p=params.top_p,
            min_p=params.min_p,
            frequency_penalty=params.frequency_penalty,
            presence_penalty=params.presence_penalty,
            repetition_penalty=params.repetition_penalty,
            seed=seed,
            counter=len(output),
        )
        counts = SlotCounts(Counter(prompt), Counter(output))
        output.append(next_token_id(context, counts, sample, bias, vocab_size))
        if output[-1] in params.stop_token_ids:
            return output, "stop"
        context.append(output[-1])
        if params.num_sinks is not None:
            if len(output) == (params.max_tokens or limit):
                return output, "length"
        elif len(output) == params.max_tokens or len(context) == limit:
            return output, "length"


def check(engine: Engine) -> None:
    """What must hold between any two steps."""
    scheduler = engine.scheduler
    engine.kv_cache.check(scheduler.running)
    slots = [s.slot for s in scheduler.running]
    assert len(set(slots)) == len(slots) and None not in slots
    assert sorted(slots + scheduler._free_slots) == list(range(engine.program.max_num_seqs))
    for s in scheduler.running:
        assert s.status == "running" and s.num_pending >= 0
        assert s.num_drawn <= s.max_new_tokens
    for s in scheduler.waiting:
        assert s.status == "waiting" and s.slot is None and not s.block_table
    for queue in (scheduler.running, scheduler.waiting):
        order = [s.arrived for s in queue]
        assert order == sorted(order)
    partly = [s for s in scheduler.running if s.num_computed_tokens < s.num_prefill_tokens]
    assert len(partly) <= 1


def finish_all(engine: Engine, sequences: list[Sequence]) -> list[list[int]]:
    """Run to the end, reading as a consumer does."""
    outputs: list[list[int]] = [[] for _ in sequences]
    while open_ := [s for s in sequences if not s.is_finished]:
        run(engine.wait(open_))
        check(engine)
        for output, sequence in zip(outputs, sequences, strict=True):
            output += sequence.take()
    for output, sequence in zip(outputs, sequences, strict=True):
        output += sequence.take()
        assert output == sequence.generated_token_ids
    return outputs
