"""From an open checkpoint to an engine: compile, judge the memory, load.  No weights are downloaded until the plan fits."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import Protocol

from fanlight.compiler import GRAMMAR_BYTES, CompileOptions, compile
from fanlight.compiler.memory import memory_plan
from fanlight.compiler.program import Limits, Program
from fanlight.compiler.tuning import UNTUNED, Tuning, start_of
from fanlight.driver import in_thread
from fanlight.engine.embedder import Embedder
from fanlight.engine.engine import MAX_WAITING, Engine
from fanlight.engine.processing import LogitProcessor, ProcessingEngine
from fanlight.engine.program_cache import Key, keep_program, key_of, read_program
from fanlight.engine.transcriber import Transcriber
from fanlight.errors import DoesNotFit, RequestError
from fanlight.formats.checkpoint import Checkpoint
from fanlight.models import Model, check_tensors, open_model
from fanlight.runtime.adapter_notes import AdapterNotes
from fanlight.runtime.autotune import autotune, budget_of, contests_of, is_software
from fanlight.runtime.device import Device
from fanlight.runtime.self_test import prepare_and_check, replacements

# phase ('header', of who opens the checkpoint; 'compile', 'pipelines', 'tune', 'check', 'replace', 'weights', 'ready'), done,
# of how many
OnProgress = Callable[[str, int, int], None]
OnPlan = Callable[[dict[str, int], int], None]  # bytes by kind (compiler/memory.py), tokens of context
DEFAULT_CONTEXT = 4096
SMALLEST_CONTEXT = 256
MAX_ROWS = 512  # of a step
DEFAULT_POOLED_CONTEXT = 2048  # of a model that gives vectors, where its makers do not say; a text is in one step
POOLED_ROWS, POOLED_SEQS = 2048, 64  # of its steps: at least so many, of so many texts


class Options(Protocol):
    """None: computed from the model and the adapter."""

    @property
    def context_length(self) -> int | None: ...
    @property
    def max_num_seqs(self) -> int: ...


async def load_engine(
    checkpoint: Checkpoint,
    device: Device,
    options: Options,
    on_progress: OnProgress,
    on_plan: OnPlan | None = None,
    notes: AdapterNotes | None = None,
    meanwhile: Callable[[], None] | None = None,
    processor: LogitProcessor | None = None,
) -> Engine | Embedder | Transcriber:
    """`on_plan` is told what the device will hold before anything but headers is read. With notes of the adapter, kernels that
    are new to it are tested. meanwhile: what else there is to do, best while the GPU's compiler works.
    Raises UnsupportedModel, SourceError, DoesNotFit or DeviceError."""
    on_progress("compile", 0, 1)
    model = await open_model(checkpoint, check=False)  # `_compile` does; a kept Program stands for tensors that were checked
    once = [meanwhile] if meanwhile else []
    loading = _Loading(model, device, options, on_progress, on_plan or _ignore, lambda: once.pop()() if once else None)
    program = await (loading.prepare_with(notes) if notes else loading.prepare())
    if processor and program.is_recurrent:
        raise RequestError(
            f"{program.name} carries a state from token to token, and a logit processor computes each token twice",
            param="logit_processor",
            hint="logit_bias, or a grammar",
        )
    await device.load(checkpoint.sources, lambda done, total: on_progress("weights", done, total))
    on_progress("ready", 1, 1)
    if model.pooling:
        return Embedder(program, device, model.pooling)
    if model.hearing:
        return Transcriber(program, device, model.hearing)
    make = partial(ProcessingEngine, processor=processor) if processor else Engine
    return make(program, device, max_waiting=getattr(options, "max_waiting", MAX_WAITING))


def _ignore(plan: dict[str, int], context_length: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class _Loading:
    """From a model to a prepared Program."""

    model: Model
    device: Device
    options: Options
    on_progress: OnProgress
    on_plan: OnPlan
    meanwhile: Callable[[], None]

    async def prepare(self) -> Program:
        program = await self._compile(Tuning(start_of(*astuple(self.device.info))))
        self._planned(program)
        await self.device.prepare(program, wait=False)
        self.meanwhile()
        return program

    async def prepare_with(self, notes: AdapterNotes) -> Program:
        """As earlier loads noted it, where they did; else compiled, tuned and checked, and noted."""
        tuning = Tuning(start_of(*astuple(self.device.info)), notes.cuts)
        is_settled = tuning.start.is_measured or is_software(self.device.info)
        tunes = not is_settled and getattr(self.options, "tune", False)
        keeps = bool(notes.code) and (is_settled or tunes)
        # Without verdicts a kept Program's kernels would go untested: their answers are known of compiled ones only.
        kept = await read_program(notes, self._key(notes, tuning)) if keeps and notes.verdicts else None
        program = kept or await self._compile(tuning)
        self._planned(program)
        if tunes and not kept:
            program, tuning = await self._tune(program, tuning, notes)
        program = await self._check(program, tuning, notes)
        if keeps and program is not kept and not notes.without:
            await keep_program(notes, self._key(notes, tuning), program)
        return program

    async def _compile(self, tuning: Tuning, without: frozenset[str] = frozenset()) -> Program:
        def work() -> Program:
            program = compile_model(self.model, self.device.limits, self.options, tuning, without)
            check_tensors(self.model)
            return program

        return await in_thread(work)  # beside the answers of models that are loaded already

    def _planned(self, program: Program) -> None:
        self.on_plan(memory_plan(program.buffers), program.context_length)
        self.on_progress("pipelines", 0, len(program.kernels))

    def _key(self, notes: AdapterNotes, tuning: Tuning) -> Key:
        options = compile_options(self.model, self.options, tuning)
        return key_of(self.model, notes, options, self.device.limits.memory_bytes)

    async def _tune(self, program: Program, tuning: Tuning, notes: AdapterNotes) -> tuple[Program, Tuning]:
        """The program as the adapter wants its products cut, which is found out where it is not known yet."""
        budget_s = budget_of(program)
        contests = contests_of(program, tuning, self.device.limits) if budget_s else []
        if not contests:
            return program, tuning
        self.on_progress("tune", 0, len(contests))
        notes.cuts |= await autotune(contests, self.device, budget_s)
        await notes.save()
        tuning = replace(tuning, found=notes.cuts)
        return await self._compile(tuning), tuning

    async def _check(self, program: Program, tuning: Tuning, notes: AdapterNotes) -> Program:
        """Prepares the program, or another that does without the kernels that this adapter computes wrongly."""
        without: frozenset[str] = frozenset()
        is_new = False
        while True:
            avoid = replacements(program, notes.verdicts, without)
            if avoid == without:
                self.on_progress("check", 0, len(program.kernels))
                found = await prepare_and_check(program, self.device, notes.verdicts, self.meanwhile)
                is_new = is_new or bool(found)
                notes.verdicts |= found
                avoid = replacements(program, notes.verdicts, without)
            if avoid == without:
                break
            without = avoid
            self.on_progress("replace", 0, len(without))
            program = await self._compile(tuning, without)
        notes.without = without
        if is_new:
            await notes.save()
        return program


def compile_model(
    model: Model, limits: Limits, options: Options, tuning: Tuning = UNTUNED, without: frozenset[str] = frozenset()
) -> Program:
    """The Program for this adapter. A context that was asked for is kept or refused; else it is what fits, up to
    DEFAULT_CONTEXT. without: kernels and features not to use."""
    wanted = compile_options(model, options, tuning, without)
    program = compile(model, limits, wanted)
    largest = largest_context(program, limits)
    if largest >= wanted.context_length:
        return program
    if options.context_length is None and largest >= SMALLEST_CONTEXT:
        return compile(model, limits, replace(wanted, context_length=largest))
    assert limits.memory_bytes is not None  # where it is not known, all contexts fit
    plan = memory_plan(program.buffers)
    parts = ", ".join(f"{kind} {size >> 20} MiB" for kind, size in plan.items() if kind != "total")
    hint = f"a context of {largest}" if largest >= SMALLEST_CONTEXT else "a smaller model, or a smaller quantisation of it"
    raise DoesNotFit(
        f"a context of {wanted.context_length} needs {plan['total'] >> 20} MiB ({parts});"
        f" this adapter may use {limits.memory_bytes >> 20} MiB",
        where=program.name,
        hint=hint,
    )


def compile_options(
    model: Model, options: Options, tuning: Tuning = UNTUNED, without: frozenset[str] = frozenset()
) -> CompileOptions:
    pooling, hears = model.pooling, model.hearing is not None
    usual = (pooling.longest or DEFAULT_POOLED_CONTEXT) if pooling else DEFAULT_CONTEXT
    most = model.config.max_position_embeddings
    if options.context_length is not None and options.context_length > most:
        raise RequestError(
            f"a context of {options.context_length} tokens was asked for; the model was made for {most}",
            param="context_length",
            hint=f"{most}, or less",
        )
    context = min(options.context_length or usual, most)
    max_rows = max(POOLED_ROWS, context) if pooling else min(MAX_ROWS, max(32, context))
    most_seqs = max(POOLED_SEQS, options.max_num_seqs) if pooling else options.max_num_seqs
    return CompileOptions(
        context_length=context,
        max_num_seqs=1 if hears else most_seqs,  # windows take turns
        num_snapshots=0 if hears else None,
        kv_dtype=getattr(options, "kv_dtype", "f16"),
        activations=getattr(options, "activations", None) or ("f32" if pooling or hears else "int8"),
        without=without,
        tuning=tuning,
        max_rows=max_rows,
        only_windows=True,
        grammar_bytes=max(256, 0 if hears else getattr(options, "grammar_bytes", GRAMMAR_BYTES) // 256 * 256),
    )


def largest_context(program: Program, limits: Limits) -> int:
    """Tokens of context with which the program would fit the adapter's memory: its own, or fewer in multiples of 128."""
    plan = memory_plan(program.buffers)
    if limits.memory_bytes is None or plan["total"] <= limits.memory_bytes:
        return program.context_length
    room = limits.memory_bytes - (plan["total"] - plan["kv"])
    most = max(0, room) // program.kv_bytes_per_token // 128 * 128 if program.states else 0
    if (
        program.window
    ):  # layers that keep no more take the same whatever the context is, until it is so short that they keep all
        windows = sum(program.buffer(state.buffer).size for state in program.states if state.is_windowed)
        growing = sum(state.bytes_per_token for state in program.states if not state.is_windowed)
        longer = max(0, room - windows) // growing // 128 * 128 if growing else 0
        most = max(most, longer if longer >= 2 * program.num_window_blocks * program.block_size else 0)
    return min(program.context_length, most)
