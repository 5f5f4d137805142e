"""`fanlight show`: every stage between a model's files and its launches, as text."""

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace

from rich.table import Table

from fanlight import driver
from fanlight.cli.model import (
    add_limits_argument,
    add_model_arguments,
    chosen_limits,
    compiled,
    describe,
    load_options,
    mib,
    output,
    read_checkpoint,
    shown,
    table,
)
from fanlight.compiler import run_passes, target_of
from fanlight.compiler.graph import Graph, print_graph
from fanlight.compiler.memory import memory_plan
from fanlight.compiler.program import Program
from fanlight.compiler.target import Target
from fanlight.engine.load import compile_options
from fanlight.errors import RequestError, UnsupportedModel
from fanlight.models import Model, open_model
from fanlight.text.chat_template import open_chat_template
from fanlight.text.tokenizer import open_tokenizer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=sorted(SHOW), metavar="WHAT", help=", ".join(SHOW))
    add_model_arguments(parser)
    add_limits_argument(parser)
    parser.add_argument("--prompt", default="Hello!", metavar="TEXT", help="prompt: what the user says (default: %(default)s)")
    parser.add_argument("--system", metavar="TEXT", help="prompt: the system message")
    parser.add_argument(
        "--rows", type=int, default=1, metavar="T", help="graph, passes: tokens of the step (default: %(default)s)"
    )
    parser.add_argument("--name", help="kernels: print the WGSL of this one")
    parser.add_argument("--all", action="store_true", help="passes: print the graph after each; memory: every buffer")


def run(options: argparse.Namespace) -> int:
    SHOW[options.what](options)
    return 0


def config(options: argparse.Namespace) -> None:
    """What the files say, then what the engine makes of it."""
    checkpoint = read_checkpoint(options)
    console = output()
    source = checkpoint.metadata if checkpoint.format == "gguf" else checkpoint.metadata["config"]
    said = table("key", "value", title=f"{checkpoint.sources[0].name} ({checkpoint.format})")
    for key, value in source.items():
        said.add_row(key, shown(value))
    console.print(said)
    try:
        model = driver.run(open_model(checkpoint))
    except UnsupportedModel as error:
        console.print(f"\n{error}", markup=False)
        return
    ours = table("config", "value", title="\nas Fanlight reads it")
    for key, value in asdict(model.config).items():
        ours.add_row(key, shown(value))
    console.print(ours)


def tensors(options: argparse.Namespace) -> None:
    checkpoint = read_checkpoint(options)
    made = table("tensor", "format", "shape", "bytes", "file", "offset", numbers=("bytes", "file", "offset"))
    totals: Counter[str] = Counter()
    for tensor in checkpoint.tensors.values():
        totals[tensor.format] += tensor.num_bytes
        shape = " x ".join(map(str, tensor.shape))
        made.add_row(tensor.name, tensor.format, shape, f"{tensor.num_bytes:,}", str(tensor.source), f"{tensor.offset:,}")
    console = output()
    console.print(made)
    parts = ", ".join(f"{name} {mib(size)} MiB" for name, size in totals.most_common())
    console.print(f"{len(checkpoint.tensors)} tensors, {mib(totals.total())} MiB: {parts}")


def prompt(options: argparse.Namespace) -> None:
    """The prompt's text as the model reads it, then its tokens."""
    checkpoint = read_checkpoint(options)
    tokenizer = open_tokenizer(checkpoint.format, checkpoint.metadata)
    template = open_chat_template(checkpoint.format, checkpoint.metadata, tokenizer.special.for_template())
    system = [{"role": "system", "content": options.system}] if options.system is not None else []
    messages = [*system, {"role": "user", "content": options.prompt}]
    text = options.prompt if template is None else template.render(messages)
    ids = driver.run(tokenizer.encode(text, add_special_tokens=template is None))
    console = output()
    if template is None:
        console.print("There is no chat template: the prompt as it is.\n")
    print(text)
    made = table("id", "token", "text", numbers=("id",), title=f"\n{len(ids)} tokens")
    for i in ids:
        special = " (special)" if i in tokenizer.special_ids else ""
        made.add_row(str(i), (tokenizer.token(i) or "").replace("[", "\\["), repr(tokenizer.token_bytes(i)) + special)
    console.print(made)
    ends = ", ".join(f"{tokenizer.token(i)} ({i})" for i in sorted(tokenizer.stop_token_ids))
    console.print(f"An answer ends with: {ends or 'nothing, it runs to its limit'}", markup=False)


def graph(options: argparse.Namespace) -> None:
    model, target = _model_and_target(options)
    print(print_graph(model.graph(options.rows, 1, target.context_length)))


def passes(options: argparse.Namespace) -> None:
    """How many nodes each pass leaves, and how many of which operation."""
    model, target = _model_and_target(options)
    start = model.graph(options.rows, 1, target.context_length)
    counts: list[tuple[str, Counter[str]]] = [("model", _ops(start))]

    def on_pass(name: str, result: Graph) -> None:
        counts.append((name, _ops(result)))
        if options.all:
            print(f"# after {name}\n{print_graph(result)}\n")

    run_passes(start, target, on_pass)
    made = table("after", "nodes", "change", numbers=("nodes",))
    before: Counter[str] = Counter()
    for name, ops in counts:
        change = " ".join(f"{op} {ops[op] - before[op]:+}" for op in sorted(ops | before) if ops[op] != before[op])
        made.add_row(name, str(ops.total()), change)
        before = ops
    output().print(made)


def _model_and_target(options: argparse.Namespace) -> tuple[Model, Target]:
    model, limits = describe(options).model, chosen_limits(options)
    return model, target_of(model, limits, compile_options(model, load_options(options)))


def _ops(graph: Graph) -> Counter[str]:
    return Counter(node.op for node in graph.nodes())


def kernels(options: argparse.Namespace) -> None:
    """The kernels of the Program, how often each step launches them; with --name one kernel's WGSL."""
    program, _ = compiled(options)
    if options.name is not None:
        found = [kernel for kernel in program.kernels if kernel.name == options.name]
        if not found:
            names = ", ".join(kernel.name for kernel in program.kernels)
            raise RequestError(f"there is no kernel {options.name!r}; there are {names}", param="name")
        print(found[0].wgsl)
        return
    made = table("kernel", "features", "WGSL lines", *(step.name for step in program.steps), numbers=("WGSL lines",))
    launches = [Counter(launch.kernel for launch in step.launches) for step in program.steps]
    for kernel in program.kernels:
        counts = [str(count[kernel.name] or "") for count in launches]
        made.add_row(kernel.name, " ".join(kernel.features), str(kernel.wgsl.count("\n")), *counts)
    made.add_row("all", "", "", *(str(count.total()) for count in launches))
    output().print(made)


def memory(options: argparse.Namespace) -> None:
    program, limits = compiled(options)
    plan = memory_plan(program.buffers)
    made = table("kind", "buffers", "MiB", numbers=("buffers", "MiB"), title=f"context of {program.context_length} tokens")
    for kind, size in plan.items():
        count = sum(buffer.kind == kind or kind == "total" for buffer in program.buffers)
        made.add_row(kind, str(count), mib(size))
    console = output()
    console.print(made)
    if program.states:
        console.print(_states(program))
    known = "unknown: WebGPU does not tell" if limits.memory_bytes is None else f"{mib(limits.memory_bytes)} MiB"
    console.print(f"The adapter's memory: {known}; largest buffer {mib(limits.max_buffer_size)} MiB")
    if options.all:
        every = table("buffer", "kind", "bytes", numbers=("bytes",))
        for buffer in sorted(program.buffers, key=lambda b: -b.size):
            every.add_row(buffer.name, buffer.kind, f"{buffer.size:,}")
        console.print(every)


NUMBERS = ("layers", "bytes", "tokens")


def _states(program: Program) -> Table:
    """What layers keep of each token, and of how many, one line for all that keep alike."""
    tokens = program.num_blocks * program.block_size
    title = f"\nkept of each of {tokens:,} tokens: {program.kv_bytes_per_token:,} bytes"
    made = table("layers", "heads", "keys", "values", "elements", "seen", "bytes", "tokens", numbers=NUMBERS, title=title)
    for kind, count in Counter(replace(state, name="", buffer="") for state in program.states).items():
        seen = ", ".join("all" if window is None else f"last {window:,}" for window in kind.windows)
        sizes = (str(size) for size in (kind.kv_heads, kind.head_dim, kind.v_head_dim))
        made.add_row(
            str(count),
            *sizes,
            kind.dtype,
            seen,
            f"{count * kind.bytes_per_token:,}",
            f"{program.blocks_of(kind) * program.block_size:,}",
        )
    return made


SHOW: dict[str, Callable[[argparse.Namespace], None]] = {
    "config": config,
    "tensors": tensors,
    "prompt": prompt,
    "graph": graph,
    "passes": passes,
    "kernels": kernels,
    "memory": memory,
}
