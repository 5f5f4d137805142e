"""`fanlight bench`: prefill and decode of a model, measured on the token engine; a table, then one JSON line last.

Prefill is limited by arithmetic: all prompt tokens go through a layer together. Decode is limited by memory: every token reads
all weights once, so tokens/s times the bytes of the weights is the bandwidth that the engine reaches.
"""

import argparse
import json
import statistics
import time

from fanlight.api.generation import LoadedModel
from fanlight.cli.measure import measure, stream_gbps
from fanlight.cli.model import add_model_arguments, opened, output, steps, table
from fanlight.compiler.memory import memory_plan
from fanlight.engine.engine import Engine


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
    with opened(options) as loaded:
        load_s = time.perf_counter() - start
        engine = loaded.engine
        assert isinstance(engine, Engine)
        half = engine.context_length // 2
        num_prompt, num_decode = min(options.prompt_tokens, half), min(options.decode_tokens, half)
        runs = []
        with steps("measuring", options.repeats + 1) as advance:
            for _ in range(options.repeats + 1):
                runs.append(measure(engine, num_prompt, num_decode, options.num_seqs))
                advance()
        shape = {"prompt_tokens": num_prompt, "decode_tokens": num_decode, "num_seqs": options.num_seqs}
        report(loaded, runs[1:], shape, load_s, stream_gbps())
    return 0


def report(
    loaded: LoadedModel, runs: list[dict[str, float]], shape: dict[str, int], load_s: float, stream_gbps: float | None
) -> None:
    engine = loaded.engine
    assert isinstance(engine, Engine)
    program, plan = engine.program, memory_plan(engine.program.buffers)
    numbers = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    numbers["bandwidth_gbps"] = numbers["decode_tps"] / shape["num_seqs"] * plan["weight"] / 1e9
    made = table("", "median", "least", "most", numbers=("median", "least", "most"), title=f"{loaded.model_name} {shape}")
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
        "model": loaded.model_name,
        **shape,
        **{name: round(value, 3) for name, value in numbers.items()},
        "stream_gbps": stream_gbps and round(stream_gbps, 1),
        "load_s": round(load_s, 3),
        "dispatches_per_token": len(step.launches_for()),
        "memory_bytes": plan["total"],
        "weight_bytes": plan["weight"],
        "context_length": engine.context_length,
        "adapter": loaded.info.get("adapter"),
    }
    print(json.dumps(facts))
