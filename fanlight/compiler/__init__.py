"""Graph -> Program.  Pure: no device, no files, no globals; `limits` is an argument, so any machine can compile for any other.

PASSES is the table of contents: each turns a graph into an equal graph (ops.py says what equal means, the tests check it);
then kernels are selected, memory is planned, and the Program is put together."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from fanlight.compiler.fuse import fuse_attention, fuse_gather, fuse_glu, fuse_norm, fuse_residual
from fanlight.compiler.graph import Graph, Weight
from fanlight.compiler.memory import check_plan, largest_first, plan_arenas
from fanlight.compiler.program import (
    BufferSpec,
    Constant,
    KernelSpec,
    Launch,
    Limits,
    Program,
    Slice,
    Step,
    Upload,
    inputs_size,
    sampled_size,
)
from fanlight.compiler.sampled import finish_early, gather_early
from fanlight.compiler.select import Draft, Selection, StepShape, select_kernels
from fanlight.compiler.split import split_weights
from fanlight.compiler.stack import stack_siblings
from fanlight.compiler.tuning import UNTUNED, Tuning
from fanlight.compiler.uploads import PARAMS, place_weights, uploads_of, weight_buffers
from fanlight.compiler.verify import check_program
from fanlight.errors import DoesNotFit
from fanlight.kernels import gemm_int8
from fanlight.kernels.kv import KVLayout
from fanlight.kernels.spec import Kernel, ceil_div, round_up

Pass = Callable[[Graph, Limits], Graph]
OnPass = Callable[[str, Graph], None]

PASSES: tuple[tuple[str, Pass], ...] = (
    ("finish early", finish_early),
    ("gather early", gather_early),
    ("stack siblings", stack_siblings),
    ("split weights", split_weights),
    ("fuse attention", fuse_attention),
    ("fuse norm", fuse_norm),
    ("fuse gather", fuse_gather),
    ("fuse glu", fuse_glu),
    ("fuse residual", fuse_residual),
)

MAX_NUM_SEQS = 8


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """context_length: tokens a sequence may have. kv_tokens: tokens the KV cache holds for all sequences together (default: one
    whole context). kv_dtype: 'f16' or 'f32'. activations: 'int8' quantises them where a product multiplies integers faster, 16
    or 32 to a scale; 'f32' never does (docs/log.md has the difference). without: kernels and features that this adapter gets
    wrong (runtime/self_test.py). tuning: how it wants the others cut."""

    context_length: int = 4096
    max_num_seqs: int = MAX_NUM_SEQS
    kv_tokens: int | None = None
    kv_dtype: str = "f16"
    activations: str = "int8"
    without: frozenset[str] = frozenset()
    tuning: Tuning = UNTUNED
    block_size: int = 16
    max_rows: int = 512


def compile(model: "object", limits: Limits, options: CompileOptions, on_pass: OnPass | None = None) -> Program:
    """model: models.Model. Raises DoesNotFit where one buffer alone exceeds the adapter; `memory_plan` judges the sum."""
    limits = replace(limits, features=limits.features - options.without)
    options = replace(options, max_rows=min(options.max_rows, rows_that_fit(model.config, limits)))
    program = _Emitter(model, limits, options).run(on_pass)
    check_program(program, limits)
    return program


def rows_that_fit(config: "object", limits: Limits) -> int:
    """Rows of a step whose widest activations one binding holds."""
    heads = config.num_attention_heads + 2 * config.num_key_value_heads
    widest = round_up(max(2 * config.intermediate_size, heads * config.head_dim, config.hidden_size), 4)
    largest = min(limits.max_buffer_size, limits.max_storage_buffer_binding_size)
    return max(1, largest // 256 * 64 // widest)


def step_shapes(options: CompileOptions) -> list[tuple[int, int]]:
    """(rows, samples) of every step: few rows may sample after each, many after up to max_num_seqs. A step serves any number
    of rows up to its own: workgroups beyond them end at once. Each step more costs time to compile."""
    few = [n for n in (1, 2, 4, 8) if n <= max(options.max_num_seqs, 1)]
    many = [n for n in (gemm_int8.FEW_ROWS,) if few[-1] < n < options.max_rows] + [options.max_rows]
    return [(n, n) for n in few] + [(n, options.max_num_seqs) for n in many if n > few[-1]]


def run_passes(graph: Graph, limits: Limits, on_pass: OnPass | None = None) -> Graph:
    for name, run in PASSES:
        graph = run(graph, limits)
        if on_pass:
            on_pass(name, graph)
    return graph


class _Emitter:
    """Puts a Program together."""

    def __init__(self, model: "object", limits: Limits, options: CompileOptions):
        self.model, self.limits, self.options = model, limits, options
        config = model.config
        blocks_per_seq = ceil_div(options.context_length, options.block_size)
        kv_tokens = options.kv_tokens or options.context_length
        kv = KVLayout(
            config.num_key_value_heads,
            config.head_dim,
            options.block_size,
            ceil_div(kv_tokens, options.block_size),
            blocks_per_seq,
            options.kv_dtype,
        )
        choices = (options.activations, options.without, options.tuning)
        self.shape = StepShape(kv, options.context_length, config.vocab_size, options.max_num_seqs, *choices)
        self.kernels: dict[str, KernelSpec] = {}  # by WGSL
        self.kernel_names: dict[Kernel, str] = {}
        self.arenas: list[int] = []

    def run(self, on_pass: OnPass | None) -> Program:
        shapes = step_shapes(self.options)
        graphs = [run_passes(self.model.graph(*s), self.limits, on_pass if i == 0 else None) for i, s in enumerate(shapes)]
        selections = [select_kernels(graph, self.limits, self.shape) for graph in graphs]
        plans: dict[int, dict[str, int]] = {}
        for i in largest_first([sum(s.value_bytes.values()) for s in selections]):
            plans[i] = plan_arenas(selections[i].drafts, selections[i].value_bytes, self.arenas)
            check_plan(plans[i], selections[i].drafts)
        weights = {name: weight for selection in selections for name, weight in selection.weights.items()}
        self.places = place_weights(weights, self.limits)
        uploads = tuple(self._uploads(weights))
        buffers = tuple(self._buffers(selections, uploads))
        self._check_buffers(buffers)
        sizes = {b.name: b.size for b in buffers}
        steps = tuple(
            Step(
                f"rows{rows}" + ("" if samples == rows else f"_samples{samples}"),
                rows,
                samples,
                tuple(self._launch(draft, plans[i], sizes) for draft in selections[i].drafts),
            )
            for i, (rows, samples) in enumerate(shapes)
        )
        inv_freq = struct.pack(f"<{len(self.model.config.inv_freq)}f", *self.model.config.inv_freq)
        return Program(
            name=self.model.config.model_type,
            context_length=self.options.context_length,
            vocab_size=self.shape.vocab_size,
            max_num_seqs=self.options.max_num_seqs,
            block_size=self.shape.kv.block_size,
            num_blocks=self.shape.kv.num_blocks,
            max_rows=max(rows for rows, _ in shapes),
            buffers=buffers,
            kernels=tuple(self.kernels.values()),
            steps=steps,
            uploads=uploads,
            constants=(Constant("inv_freq", 0, inv_freq),),
        )

    def _kernel(self, kernel: Kernel) -> str:
        if kernel not in self.kernel_names:
            wgsl = kernel.wgsl()
            if wgsl not in self.kernels:
                access = tuple(b.access for b in kernel.bindings)
                self.kernels[wgsl] = KernelSpec(f"{kernel.stem}.{len(self.kernels)}", wgsl, access, kernel.features)
            self.kernel_names[kernel] = self.kernels[wgsl].name
        return self.kernel_names[kernel]

    def _uploads(self, weights: dict[str, Weight]) -> Iterator[Upload]:
        made = [pair for weight in weights.values() for pair in uploads_of(weight, self.places[weight.name], self.limits)]
        for upload, kernel in sorted(made, key=lambda pair: (pair[0].file, pair[0].offset)):
            yield replace(upload, launch=replace(upload.launch, kernel=self._kernel(kernel)))

    def _launch(self, draft: Draft, plan: dict[str, int], sizes: dict[str, int]) -> Launch:
        def slice_of(operand: str) -> Slice:
            kind, _, rest = operand.partition(":")
            if kind == "weight":
                return self.places[rest]
            buffer = f"arena.{plan[operand]}" if kind == "value" else operand
            return Slice(buffer, 0, sizes[buffer])

        bindings = tuple(slice_of(draft.operands[binding.name]) for binding in draft.kernel.bindings)
        return Launch(self._kernel(draft.kernel), bindings, draft.grid, draft.where)

    def _buffers(self, selections: list[Selection], uploads: tuple[Upload, ...]) -> Iterator[BufferSpec]:
        o, v = self.options, self.shape.vocab_size
        seqs = o.max_num_seqs
        yield from weight_buffers(self.places.values())
        layers = {layer for selection in selections for layer in selection.kv_layers}
        yield from (BufferSpec(f"kv.{layer}", round_up(self.shape.kv.size, 256), "kv") for layer in sorted(layers))
        yield from (BufferSpec(f"arena.{i}", round_up(size, 256), "arena") for i, size in enumerate(self.arenas))
        words = {
            "inputs": inputs_size(seqs, max(rows for rows, _ in step_shapes(o))) // 4,
            "sampled": sampled_size(seqs) // 4,
            "next_token": seqs,
            "logits": seqs * v,
            "block_table": seqs * self.shape.kv.max_blocks_per_seq,
            "token_counts": seqs * v,
            "logit_bias": seqs * v,
            "inv_freq": len(self.model.config.inv_freq),
        }
        yield from (BufferSpec(name, round_up(4 * count, 256), "io") for name, count in words.items())
        yield BufferSpec("staging", round_up(max([u.size for u in uploads], default=4), 256), "staging")
        yield PARAMS

    def _check_buffers(self, buffers: tuple[BufferSpec, ...]) -> None:
        """No buffer, and no weight in one, is larger than what may be bound."""
        largest = min(self.limits.max_buffer_size, self.limits.max_storage_buffer_binding_size)
        sizes = {b.name: b.size for b in buffers if b.kind != "weight"} | {n: place.size for n, place in self.places.items()}
        for name, size in sizes.items():
            if size > largest:
                raise DoesNotFit(
                    f"{name} needs {size >> 20} MiB, and this adapter binds at most {largest >> 20} MiB",
                    where=name,
                    hint="a shorter context" if name.startswith("kv.") else "a smaller quantisation of the model",
                )
