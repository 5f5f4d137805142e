"""Graph -> Program.  Pure: no device, no files, no globals; `limits` is an argument, so any machine can compile for any other.

PASSES is the table of contents: each turns a graph into an equal graph (ops.py says what equal means, the tests check it);
then kernels are selected, memory is planned, and the Program is put together."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from fanlight.compiler.activations import quantize_activations
from fanlight.compiler.attention import rotate_in_attention, split_attention
from fanlight.compiler.experts import choose_in_products, mix_experts, order_experts, pair_experts, split_experts
from fanlight.compiler.fuse import finish_products, finish_rows, gather_in_products, start_deltas, start_products
from fanlight.compiler.graph import Graph, Node, Weight
from fanlight.compiler.maps import fuse_maps
from fanlight.compiler.memory import check_plan, largest_first, plan_arenas
from fanlight.compiler.ops import check_graph
from fanlight.compiler.parts import share_products, sum_in_norms, sum_in_rotation
from fanlight.compiler.products import weights_of
from fanlight.compiler.program import (
    LORA_SCALES,
    MAX_DECODE_ROWS,
    WINDOW_TABLE,
    BufferSpec,
    Constant,
    ImageStep,
    KernelSpec,
    Launch,
    Limits,
    Program,
    Slice,
    SoundStep,
    Step,
    Upload,
    inputs_size,
    logprobs_size,
    sampled_size,
)
from fanlight.compiler.rotation import rotate_in_products, rotate_with_append, scale_queries
from fanlight.compiler.sampled import copy_slices, finish_early, gather_early, prepare_logits
from fanlight.compiler.select import select_kernels
from fanlight.compiler.select_sound import LOUDEST, SOUND
from fanlight.compiler.selection import Draft, Selection
from fanlight.compiler.signature import SAMPLED, check_outputs, inputs_of, outputs_of, with_outputs
from fanlight.compiler.split import split_weights
from fanlight.compiler.stack import stack_siblings
from fanlight.compiler.states import check_heads, slot_states_of, states_of, with_windows
from fanlight.compiler.target import Target
from fanlight.compiler.tuning import UNTUNED, Tuning
from fanlight.compiler.uploads import params_buffer, place_weights, uploads_of, weight_buffers
from fanlight.compiler.verify import check_program
from fanlight.errors import DoesNotFit
from fanlight.kernels import gemm_int8, mel
from fanlight.kernels.gemv import MAX_COLUMNS
from fanlight.kernels.grammar import grammar_state_size, token_bytes_size
from fanlight.kernels.rotary import OF_TEXT
from fanlight.kernels.spec import MADE, Kernel, ceil_div, round_up

Pass = Callable[[Graph, Target], Graph]
Passes = tuple[tuple[str, Pass], ...]
OnPass = Callable[[str, Graph], None]

# What is computed together: the same for all steps of few rows, and for all of many.
FUSIONS: Passes = (
    ("finish early", finish_early),
    ("gather early", gather_early),
    ("fuse maps", fuse_maps),
    ("stack siblings", stack_siblings),
    ("pair experts", pair_experts),
    ("split weights", split_weights),
    ("split experts", split_experts),
    ("finish rows", finish_rows),
    ("rotate with append", rotate_with_append),
    ("scale queries", scale_queries),
    ("start deltas", start_deltas),
    ("start products", start_products),
    ("gather in products", gather_in_products),
    ("finish products", finish_products),
    ("copy slices", copy_slices),
    ("prepare logits", prepare_logits),
    ("rotate in products", rotate_in_products),
)
# How values lie, and how work is shared out.
LAYOUTS: Passes = (
    ("split attention", split_attention),
    ("mix experts", mix_experts),
    ("quantize activations", quantize_activations),
    ("order experts", order_experts),
    ("share products", share_products),
    ("sum in norms", sum_in_norms),
    ("sum in rotation", sum_in_rotation),
    ("choose in products", choose_in_products),
    ("rotate in attention", rotate_in_attention),
)
PASSES = FUSIONS + LAYOUTS

MAX_NUM_SEQS = 8
# Of what slots carry: few bytes in a convolution, tens of MiB in linear attention.
MOST_SNAPSHOTS, FEWEST_SNAPSHOTS, SNAPSHOT_BYTES = 64, 4, 64 << 20
GRAMMAR_BYTES = 4 << 20  # a schema of thirty properties takes a tenth of it
POOLED_STEPS = (32, 128, 512)  # rows of steps of an encoder, besides the largest


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """context_length: tokens a sequence may have. kv_tokens: tokens the KV cache holds for all sequences together (default: one
    whole context). kv_dtype: of keys and values, one of KV_TYPES (kernels/kv.py). activations: 'int8' quantises them where a
    product multiplies integers faster, 16 or 32 to a scale; 'f32' never does (docs/log.md has the difference). outputs: what
    steps give: 'sampled' always; 'logits' f32 [B, V] of the sampled rows as the model makes them, before penalties and
    temperature; 'hidden' f32 [B, C], the normalised states that its head reads. without: kernels and features that this
    adapter gets wrong (runtime/self_test.py). tuning: how it wants the others cut. grammar_bytes: what the grammars of answers
    that run at once may take together. num_snapshots: of what slots carry, so that a prompt that begins as another one need
    not be computed from its beginning (default: what about 64 MiB hold, and at least four). only_windows: layers that see a
    window keep no more than it, which only an engine knows to serve (engine/window_blocks.py)."""

    context_length: int = 4096
    max_num_seqs: int = MAX_NUM_SEQS
    kv_tokens: int | None = None
    kv_dtype: str = "f16"
    activations: str = "int8"
    outputs: tuple[str, ...] = (SAMPLED,)
    without: frozenset[str] = frozenset()
    tuning: Tuning = UNTUNED
    block_size: int = 16
    max_rows: int = 512
    grammar_bytes: int = GRAMMAR_BYTES
    num_snapshots: int | None = None
    only_windows: bool = False


class Config(Protocol):
    """What of a model's configuration the compiler asks."""

    @property
    def model_type(self) -> str: ...
    @property
    def vocab_size(self) -> int: ...


class Model(Protocol):
    """models.Model"""

    @property
    def config(self) -> Config: ...
    def graph(self, rows: int, samples: int, context_length: int) -> Graph: ...
    def image_graph(self) -> Graph | None:
        """Of the step that takes a picture in, a patch a row; None of a model that does not see."""

    def sound_graph(self) -> Graph | None:
        """Of the step that takes a window of sound in, 20 ms a row; None of a model that does not hear."""


def compile(model: Model, limits: Limits, options: CompileOptions, on_pass: OnPass | None = None) -> Program:
    """Raises DoesNotFit where one buffer alone exceeds the adapter; `memory_plan` judges the sum."""
    check_outputs(options.outputs)
    limits = replace(limits, features=limits.features - options.without)
    with _without_collector():
        program = _Emitter(model, target_of(model, limits, options), options).run(on_pass)
    check_program(program, limits)
    return program


@contextmanager
def _without_collector() -> Iterator[None]:
    """Graphs are many small objects, and all of them live: looking for garbage took an eighth of the time and found none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def target_of(model: Model, limits: Limits, options: CompileOptions) -> Target:
    return Target(
        limits,
        options.context_length,
        model.config.vocab_size,
        options.max_num_seqs,
        options.block_size,
        ceil_div(options.kv_tokens or options.context_length, options.block_size),
        options.kv_dtype,
        options.activations,
        options.without,
        options.tuning,
    )


def rows_that_fit(graph: Graph, limits: Limits) -> int:
    """Rows of a step whose widest activations one binding holds. graph: of few rows, fused."""
    widest = max(_columns(node) for node in graph.nodes() if len(node.shape) == 2 and node.attrs.get("form") != "logits")
    largest = limits.largest_buffer
    return max(1, largest // 256 * 64 // round_up(widest, 4))


def _columns(node: Node) -> int:
    """Of the node's value, and of a product's before its halves are joined."""
    made = sum(w.shape[0] for w in weights_of(node)) if node.op in ("linear", "linear_rotate") else 0
    return max(made, 0 if node.op == "weight" else node.shape[1])


def step_shapes(options: CompileOptions, is_pooled: bool = False) -> list[tuple[int, int]]:
    """(rows, samples) of every step: those that decode may sample after each row, those that compute prompts after up to
    max_num_seqs. A step serves any number of rows up to its own: workgroups beyond them end at once. Each step more costs time
    to compile; decoding eight sequences by four at a time is faster than all at once (docs/log.md). is_pooled: of an encoder,
    whose steps take whole texts."""
    if is_pooled:
        rows = [n for n in POOLED_STEPS if n < options.max_rows] + [options.max_rows]
        return [(n, min(n, options.max_num_seqs)) for n in rows]
    few = [n for n in (1, 2, MAX_DECODE_ROWS) if n <= max(options.max_num_seqs, 1)]
    many = [n for n in (gemm_int8.FEW_ROWS,) if few[-1] < n < options.max_rows] + [options.max_rows]
    return [(n, n) for n in few] + [(n, options.max_num_seqs) for n in many if n > few[-1]]


def run_passes(graph: Graph, target: Target, on_pass: OnPass | None = None, passes: Passes = PASSES) -> Graph:
    """Raises ValueError where a pass left what an operation does not declare."""
    for name, run in passes:
        graph = run(graph, target)
        check_graph(graph, name)
        if on_pass:
            on_pass(name, graph)
    return graph


class _Emitter:
    """Puts a Program together."""

    def __init__(self, model: Model, target: Target, options: CompileOptions):
        self.model, self.target, self.options = model, target, options
        self.kernels: dict[str, KernelSpec] = {}  # by WGSL
        self.widest: dict[str, Kernel] = {}  # likewise, of those that have the same
        self.named: dict[int, tuple[Kernel, str]] = {}  # by id: what a kernel consists of takes long to hash
        self.arenas: list[int] = []

    def run(self, on_pass: OnPass | None) -> Program:
        target = self.target
        few = self._fused(1, 1, on_pass)
        most = min(self.options.max_rows, rows_that_fit(few, target.limits))
        self.options = replace(self.options, max_rows=most)
        if self.options.only_windows:
            target = self.target = with_windows(few, target, most)
        self.states, self.slot_states = states_of(few, target), slot_states_of(few)
        self.loras: tuple[str, ...] = next((n.attrs["names"] for n in few.nodes() if n.op == "lora_scale"), ())
        self.turns = any(node.attrs.get("by") == OF_TEXT for node in few.nodes())
        is_pooled = few.root.op == "output"
        if is_pooled:  # a text is in one step
            target = self.target = replace(target, context_length=min(target.context_length, most))
        shapes = step_shapes(self.options, is_pooled)
        many = self._fused(*shapes[-1]) if shapes[-1][0] > MAX_COLUMNS else few
        graphs = []
        for i, (rows, samples) in enumerate(shapes):
            graph = (few if rows <= MAX_COLUMNS else many).resized(rows, samples)
            graphs.append(run_passes(graph, target, None if i else on_pass, LAYOUTS))
        self.images = self.model.image_graph()
        if self.images:
            graphs.append(self._whole_graph(self.images))
        self.sound = self.model.sound_graph()
        if self.sound:
            graphs.append(self._whole_graph(self.sound))
        selections = [select_kernels(graph, target) for graph in graphs]
        self.outputs = outputs_of(graphs[len(shapes) - 1])
        plans: dict[int, dict[str, int]] = {}
        for i in largest_first([sum(s.value_bytes.values()) for s in selections]):
            plans[i] = plan_arenas(selections[i].drafts, selections[i].value_bytes, self.arenas)
            check_plan(plans[i], selections[i].drafts)
        weights = list({weight: None for selection in selections for weight in selection.weights})
        self.places = place_weights(weights, target.limits)
        self.tables = _place_tables({data: None for selection in selections for data in selection.constants})
        uploads = tuple(self._uploads(weights))
        buffers = tuple(self._buffers(uploads))
        self._check_buffers(buffers)
        sizes = {b.name: b.size for b in buffers}
        names = [f"rows{rows}" + ("" if samples == rows else f"_samples{samples}") for rows, samples in shapes]
        names += ["image"] * bool(self.images) + ["sound"] * bool(self.sound)
        steps = tuple(
            Step(
                name,
                graph.rows,
                graph.samples,
                tuple(self._launches(selection, plans[i], sizes)),
                inputs_of(graph),
                outputs_of(graph),
            )
            for i, (name, graph, selection) in enumerate(zip(names, graphs, selections, strict=True))
        )
        return Program(
            name=self.model.config.model_type,
            context_length=target.context_length,
            vocab_size=target.vocab_size,
            max_num_seqs=target.max_num_seqs,
            block_size=target.block_size,
            num_blocks=target.num_blocks,
            max_rows=max(rows for rows, _ in shapes),
            buffers=buffers,
            kernels=tuple(self.kernels.values()),
            steps=steps[: len(shapes)],
            uploads=uploads,
            constants=tuple(Constant(place.buffer, place.offset, data) for data, place in self.tables.items()),
            states=self.states,
            slot_states=self.slot_states,
            turns=self.turns,
            window=target.window,
            num_window_blocks=target.num_window_blocks,
            num_snapshots=self._num_snapshots(),
            loras=self.loras,
            image_step=self._image_step(steps[len(shapes)]) if self.images else None,
            sound_step=self._sound_step(steps[-1]) if self.sound else None,
        )

    def _num_snapshots(self) -> int:
        per_snapshot = sum(state.bytes_per_slot for state in self.slot_states)
        if not per_snapshot or self.options.num_snapshots is not None:
            return self.options.num_snapshots or 0 if per_snapshot else 0
        held = self.target.limits.largest_buffer // round_up(max(state.bytes_per_slot for state in self.slot_states), 256)
        return min(MOST_SNAPSHOTS, held, max(FEWEST_SNAPSHOTS, SNAPSHOT_BYTES // per_snapshot))

    def _fused(self, rows: int, samples: int, on_pass: OnPass | None = None) -> Graph:
        graph = with_outputs(self.model.graph(rows, samples, self.target.context_length), self.options.outputs)
        check_graph(graph, "the model")
        check_heads(graph, self.target)
        return run_passes(graph, self.target, on_pass, FUSIONS)

    # --- pictures ---
    def _whole_graph(self, graph: Graph) -> Graph:
        check_graph(graph, "the model's tower")
        return run_passes(graph, self.target, None, PASSES)

    def _room(self, graph: Graph) -> int:
        """Rows of `images`: of the pictures, or windows of sound, that the rows of one step may be of, the first and the last
        of the largest ones perhaps in part. Of more, smaller ones a step takes fewer (engine/taken.py). graph: of the step that
        makes them, whose row of no patch is not kept."""
        rows = graph.root.shape[0] - any(node.attrs.get("has_class", False) for node in graph.nodes())
        return (ceil_div(self.options.max_rows, rows) + 2) * rows

    def _image_step(self, step: Step) -> ImageStep:
        assert self.images
        a = next(node.attrs for node in self.images.nodes() if node.op == "patches")
        height, width = a["grid"]
        facts = height, width, a["has_class"], self._room(self.images), a.get("side", 0), a.get("both_ways", False)
        return ImageStep(step, a["patch"], a["merge"], *facts)

    def _sound_step(self, step: Step) -> SoundStep:
        assert self.sound
        if self.sound.root.op != "keep_images":
            return SoundStep(step)
        a = next(node.attrs for node in self.sound.nodes() if node.op == "mel")
        merge = step.rows // self.sound.root.shape[0]
        return SoundStep(step, merge, self._room(self.sound), a.get("windows", 0), a.get("ends", False))

    def _taken_words(self) -> dict[str, int]:
        """Of the buffers by which pictures and sounds are taken in."""
        words = {SOUND: mel.num_samples(self.sound.rows), LOUDEST: 1} if self.sound else {}
        if self.images:
            nodes = self.images.nodes()
            (height, width), patch = next((n.attrs["grid"], n.attrs["patch"]) for n in nodes if n.op == "patches")
            words["pixels"] = ceil_div(3 * height * width * patch**2, 4)
        for graph in (self.images, self.sound):
            if graph and graph.root.op == "keep_images":
                words["images"] = self._room(graph) * graph.root.shape[1]
        return words

    def _kernel(self, kernel: Kernel) -> str:
        if id(kernel) not in self.named:
            wgsl = kernel.wgsl()
            self.widest[wgsl] = MADE[wgsl] = max(self.widest.get(wgsl, kernel), kernel, key=lambda made: made.rows)
            if wgsl not in self.kernels:
                access = tuple(b.access for b in kernel.bindings)
                self.kernels[wgsl] = KernelSpec(f"{kernel.stem}.{len(self.kernels)}", wgsl, access, kernel.features)
            self.named[id(kernel)] = kernel, self.kernels[wgsl].name
        return self.named[id(kernel)][1]

    def _uploads(self, weights: list[Weight]) -> Iterator[Upload]:
        made = [pair for weight in weights for pair in uploads_of(weight, self.places[weight], self.target.limits)]
        for upload, kernel in sorted(made, key=lambda pair: (pair[0].file, pair[0].offset)):
            yield replace(upload, launch=replace(upload.launch, kernel=self._kernel(kernel)))

    def _launches(self, selection: Selection, plan: dict[str, int], sizes: dict[str, int]) -> Iterator[Launch]:
        placed = {name: self.places[weight] for weight, name in selection.weights.items()}
        placed |= {name: self.tables[data] for data, name in selection.constants.items()}
        for draft in selection.drafts:
            bindings = _bindings(draft, placed, plan, sizes)
            yield Launch(self._kernel(draft.kernel), bindings, draft.grid, draft.where, draft.only_for)

    def _buffers(self, uploads: tuple[Upload, ...]) -> Iterator[BufferSpec]:
        seqs, v, size = self.target.max_num_seqs, self.target.vocab_size, self.target.block_size
        yield from weight_buffers(self.places.values())
        tokens = {False: self.target.num_blocks * size, True: self.target.num_window_blocks * size}
        made = ((s.buffer, tokens[s.is_windowed] * s.bytes_per_token) for s in self.states)
        yield from (BufferSpec(name, round_up(num_bytes, 256), "kv") for name, num_bytes in made)
        yield from (BufferSpec(s.buffer, round_up(seqs * s.bytes_per_slot, 256), "state") for s in self.slot_states)
        if snapshots := self._num_snapshots():
            sizes = ((s.snapshots, round_up(snapshots * s.bytes_per_slot, 256)) for s in self.slot_states)
            yield from (BufferSpec(name, size, "state") for name, size in sizes)
        yield from (BufferSpec(f"arena.{i}", round_up(size, 256), "arena") for i, size in enumerate(self.arenas))
        encoders = [graph.rows for graph in (self.images, self.sound) if graph]
        words = {
            "inputs": inputs_size(seqs, max([self.options.max_rows, *encoders]), self.turns) // 4,
            "sampled": sampled_size(seqs) // 4,
        }
        sampler = {
            "logprobs": logprobs_size(seqs) // 4,
            "next_token": seqs,
            "logits": seqs * v,
            "block_table": seqs * ceil_div(self.target.context_length, self.target.block_size),
            "token_counts": seqs * v,
            "logit_bias": seqs * v,
            "token_bytes": token_bytes_size(v) // 4,
            "grammar": min(self.options.grammar_bytes, self.target.limits.largest_buffer) // 4,
            "grammar_state": grammar_state_size(seqs) // 4,
        }
        words |= {LORA_SCALES: seqs * len(self.loras)} if self.loras else {}
        if self.target.windowed:
            sampler[WINDOW_TABLE] = sampler["block_table"]
        words |= sampler if any(output.name == SAMPLED for output in self.outputs) else {}
        words |= self._taken_words()
        words |= {output.buffer: output.size // 4 for output in self.outputs if output.buffer not in words}
        yield from (BufferSpec(name, round_up(4 * count, 256), "io") for name, count in words.items())
        if self.tables:
            yield BufferSpec(TABLES, max(place.offset + round_up(place.size, 256) for place in self.tables.values()), "io")
        yield BufferSpec("staging", round_up(max([u.size for u in uploads], default=4), 256), "staging")
        yield params_buffer(uploads)

    def _check_buffers(self, buffers: tuple[BufferSpec, ...]) -> None:
        """No buffer, and no weight in one, is larger than what may be bound."""
        largest = self.target.limits.largest_buffer
        sizes = {b.name: b.size for b in buffers if b.kind != "weight"}
        sizes |= {weight.name: place.size for weight, place in self.places.items()}
        for name, size in sizes.items():
            if size > largest:
                raise DoesNotFit(
                    f"{name} needs {size >> 20} MiB, and this adapter binds at most {largest >> 20} MiB",
                    where=name,
                    hint="a shorter context" if name.startswith("kv.") else "a smaller quantisation of the model",
                )


TABLES = "constants"  # the buffer of what was computed: frequencies of rotations


def _place_tables(tables: dict[bytes, None]) -> dict[bytes, Slice]:
    places, end = {}, 0
    for data in tables:
        places[data] = Slice(TABLES, end, len(data))
        end = round_up(end + len(data), 256)
    return places


def _bindings(draft: Draft, placed: dict[str, Slice], plan: dict[str, int], sizes: dict[str, int]) -> tuple[Slice, ...]:
    def slice_of(operand: str) -> Slice:
        if operand in placed:
            return placed[operand]
        buffer = f"arena.{plan[operand]}" if operand in plan else operand
        return Slice(buffer, 0, sizes[buffer])

    return tuple(slice_of(draft.operands[binding.name]) for binding in draft.kernel.bindings)
