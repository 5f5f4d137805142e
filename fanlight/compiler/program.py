"""What a Device runs: a Program, complete and serialisable.  Made by the compiler, cached, replayed natively and in a browser.

A Program holds buffers (allocated once), kernels (WGSL), uploads (how model files become weight buffers) and steps. A step
processes up to `rows` tokens: a flat list of launches on fixed buffers with fixed grids. What changes from step to step is
one small record (`pack_inputs`), written to the buffer `inputs` before the launches. This file knows no model, no GPU and no
NumPy.

Shape letters: T rows (tokens) of a step, B samples of a step, S slots (sequences that can be resident), V vocabulary.
"""

import base64
import json
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from fanlight.kernels.grammar import MAX_RETURNS, NO_TOKEN, STATE_WORDS, pack_state, pack_vocabulary
from fanlight.kernels.inputs import (
    AHEAD_SHIFT,
    AXES,
    FROM_SLOT,
    HEADER_WORDS,
    IMAGE_ROW_SHIFT,
    LOGPROB_WORDS,
    LOGPROBS_OF_DRAW,
    MAX_LOGPROBS,
    MAX_RECORDS,
    MAY_END,
    RECORD_ALIGN,
    ROW_IS_IMAGE,
    ROW_IS_OUTPUT,
    ROW_IS_SECOND,
    ROW_WORDS,
    SAMPLE_WORDS,
    STATE_ROWS,
    TURNS_AT,
    Row,
    Sample,
    image_record,
    image_words,
    inputs_size,
    logprobs_size,
    pack_inputs,
    pack_records,
    pack_words,
    read_logprobs,
    read_rows,
    record_size,
    rows_word,
    sampled_size,
    shifts_of,
    sound_record,
    unpack_results,
    words_of,
)
from fanlight.kernels.kv import KV_TYPES

__all__ = [
    "AHEAD_SHIFT",
    "AXES",
    "FROM_SLOT",
    "HEADER_WORDS",
    "IMAGE_ROW_SHIFT",
    "KV_TYPES",
    "LOGPROBS_OF_DRAW",
    "LOGPROB_WORDS",
    "MAX_DECODE_ROWS",
    "MAX_LOGPROBS",
    "MAX_RECORDS",
    "MAX_RETURNS",
    "MAY_END",
    "NO_TOKEN",
    "RECORD_ALIGN",
    "ROW_IS_IMAGE",
    "ROW_IS_OUTPUT",
    "ROW_IS_SECOND",
    "ROW_WORDS",
    "SAMPLE_WORDS",
    "STATE_ROWS",
    "STATE_WORDS",
    "TURNS_AT",
    "WINDOW_TABLE",
    "BufferSpec",
    "Constant",
    "ImageStep",
    "KVState",
    "KernelSpec",
    "Launch",
    "Limits",
    "Output",
    "Program",
    "Row",
    "Sample",
    "Slice",
    "SlotState",
    "SoundStep",
    "Step",
    "Upload",
    "image_record",
    "image_words",
    "inputs_size",
    "logprobs_size",
    "moved",
    "pack_inputs",
    "pack_records",
    "pack_state",
    "pack_vocabulary",
    "pack_words",
    "read_logprobs",
    "read_rows",
    "record_size",
    "rows_word",
    "sampled_size",
    "shifts_of",
    "sound_record",
    "unpack_results",
    "words_of",
]

WINDOW_TABLE = "block_table.window"  # beside `block_table`: of layers that keep no more than their window
FORMAT_VERSION = 4
MAX_DECODE_ROWS = 4  # of a step that decodes; those of more rows compute prompts
INPUTS = (
    "tokens",
    "positions",
    "slots",
    "samples",
    "images",  # rows of pictures among the tokens
)  # of a record (kernels/inputs.py); with tokens, whether they were generated


@dataclass(frozen=True, slots=True)
class Limits:
    """What the compiler must respect, under WebGPU's names; the defaults are what every WebGPU adapter offers."""

    max_buffer_size: int = 256 << 20
    max_storage_buffer_binding_size: int = 128 << 20
    max_storage_buffers_per_shader_stage: int = 8
    max_compute_workgroup_storage_size: int = 16 << 10
    max_compute_invocations_per_workgroup: int = 256
    max_compute_workgroups_per_dimension: int = 65535
    min_storage_buffer_offset_alignment: int = 256
    features: frozenset[str] = frozenset()
    memory_bytes: int | None = None  # what may be allocated in all, where it is known: WebGPU does not tell

    @property
    def largest_buffer(self) -> int:
        """Bytes of a buffer that can be bound whole."""
        return min(self.max_buffer_size, self.max_storage_buffer_binding_size)


def _plain(value: Any) -> object:
    """For json: a dataclass of this file, or bytes."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return {name: getattr(value, name) for name in value.__slots__}


# --- the program -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class BufferSpec:
    """A GPU buffer, allocated once. kind: weight, kv, state (by slot), arena (activations), io (inputs, logits, sampler state),
    staging."""

    name: str
    size: int  # bytes, a multiple of 4
    kind: str


@dataclass(frozen=True, slots=True)
class KVState:
    """Keys and values that a layer keeps of every token of a sequence, in pages of `block_size` tokens of its buffer
    (kernels/kv.py), which `block_table` finds. Other layers may read it too."""

    name: str  # 'model.layers.3.self_attn'
    buffer: str
    kv_heads: int
    head_dim: int  # of keys
    v_head_dim: int
    dtype: str  # one of KV_TYPES
    windows: tuple[int | None, ...]  # of those that read it: a token sees itself and so many - 1 before it; None: all
    block_size: int
    kind: str = "kv"
    is_windowed: bool = False  # its pages are those of `block_table.window`, which come and go with the window

    @property
    def bytes_per_token(self) -> int:
        return sum(self.regions)

    @property
    def regions(self) -> tuple[int, ...]:
        """Bytes per token of each region of the buffer, in order: keys, values, and their scales where elements share some."""
        return tuple(self.kv_heads * size for size in KV_TYPES[self.dtype].place_bytes(self.head_dim, self.v_head_dim))

    @staticmethod
    def from_dict(d: dict[str, Any]) -> "KVState":
        if d["kind"] != "kv":
            raise ValueError(f"a state of kind {d['kind']!r}, which this Fanlight does not know: compile it again")
        return KVState(**{**d, "windows": tuple(d["windows"])})


LORA_SCALES = "lora_scales"  # the buffer: f32 [S, LoRAs], how much of each a slot's sequence wants


@dataclass(frozen=True, slots=True)
class SlotState:
    """What a layer carries from token to token of a sequence: a part of its buffer for each slot. Steps change it in place, so
    it is that of the last token that was computed, and a sequence can go on from there or begin anew; or go back to a snapshot:
    a copy of such a part in another buffer."""

    name: str  # 'model.layers.3.conv'
    buffer: str
    bytes_per_slot: int  # a multiple of 4

    @property
    def snapshots(self) -> str:
        """The buffer of copies."""
        return f"{self.buffer}.snapshots"


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """A compute pipeline: WGSL whose entry point is `main` and whose bindings are @group(0) @binding(i), i as in `access`."""

    name: str
    wgsl: str
    access: tuple[str, ...]  # 'read' or 'read_write' per binding; all are storage buffers
    features: tuple[str, ...] = ()  # 'shader-f16', 'subgroups'


@dataclass(frozen=True, slots=True)
class Slice:
    """A byte range of a buffer, aligned to the adapter's storage offset alignment."""

    buffer: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Launch:
    """One dispatch."""

    kernel: str
    bindings: tuple[Slice, ...]
    grid: tuple[int, int, int]
    where: str = ""  # what of the model it computes: 'layers.3.mlp.down_proj', and the line that made it
    only_for: str = ""  # the output that alone needs it: left out where a submit does not ask for that


def moved(launch: Launch, by: dict[str, int]) -> Launch:
    """The launch on later parts of some buffers, so many bytes on."""
    shifts = [(place, by.get(place.buffer, 0)) for place in launch.bindings]
    return replace(launch, bindings=tuple(Slice(p.buffer, p.offset + shift, p.size - shift) for p, shift in shifts))


@dataclass(frozen=True, slots=True)
class Output:
    """What a step leaves from the start of a buffer. Rows of `shape` beyond those of the record hold anything."""

    name: str
    buffer: str
    dtype: str  # 'u32' or 'f32'
    shape: tuple[int, ...]  # B samples first

    @property
    def size(self) -> int:
        return 4 * prod(self.shape)


@dataclass(frozen=True, slots=True)
class Step:
    """Up to `rows` tokens in, up to `samples` sampled ids out, and what else was asked for."""

    name: str
    rows: int
    samples: int
    launches: tuple[Launch, ...]
    inputs: tuple[str, ...] = ()  # names out of INPUTS: what it reads of its record
    outputs: tuple[Output, ...] = ()

    def launches_for(self, *asked: str) -> tuple[Launch, ...]:
        """Those that run where these outputs are asked for, beside what every submit gives."""
        return tuple([launch for launch in self.launches if not launch.only_for or launch.only_for in asked])

    def output(self, name: str) -> Output:
        return next(output for output in self.outputs if output.name == name)


@dataclass(frozen=True, slots=True)
class ImageStep:
    """How a program takes pictures in, one at a time: `step`, of a patch a row, makes of the buffer `pixels`
    (kernels/patches.py) rows of the buffer `images` (f32 [room, C]). Its launches run outside of submits, on a record of
    kernels/inputs.py's `image_record`."""

    step: Step
    patch: int  # pixels to a side
    merge: int  # merge x merge patches become a row of `images`
    height: int  # patches of the largest picture, ...
    width: int  # ... or of every one
    has_class: bool  # whether the tower has a row beside those of patches
    room: int  # rows that `images` has
    side: int = 0  # patches to a side of the windows that the step's rows are ordered by; 0: none
    both_ways: bool = False  # whether a picture's rows see each other, as text does not

    @property
    def most_rows(self) -> int:
        """Of `images`, that a picture takes."""
        return self.height * self.width // self.merge**2


@dataclass(frozen=True, slots=True)
class SoundStep:
    """How a program takes sound in, a window at a time: `step`, 20 ms a row, of the buffers `sound` (kernels/mel.py) and
    `loudest` (kernels/level.py), outside of submits. Its layers keep what it makes of them; or it makes rows of the buffer
    `images` (f32 [room, C]), on a record of kernels/inputs.py's `sound_record`."""

    step: Step
    merge: int = 0  # of its rows become one of `images`; 0: none do
    room: int = 0  # rows that `images` has
    windows: int = 0  # of a sound, at most; 0: any number
    ends: bool = False  # whether rows beyond the sound's end are seen by none, and become nothing

    @property
    def most_rows(self) -> int:
        """Of `images`, that a window takes."""
        return self.step.rows // self.merge

    @property
    def leveling(self) -> tuple[Launch, ...]:
        """The first of its launches, which find how loud a window is."""
        last = next(i for i, launch in enumerate(self.step.launches) if launch.kernel.split(".")[0] == "level")
        return self.step.launches[: last + 1]


@dataclass(frozen=True, slots=True)
class Upload:
    """Copy `size` bytes at `offset` of model file `file` to the buffer `staging` (zero-padded to 4), write `params` (u32) to
    the buffer `upload_params`, run `launch`. Uploads are independent of each other; one staging buffer is reused."""

    file: int
    offset: int
    size: int
    params: tuple[int, ...]
    launch: Launch


@dataclass(frozen=True, slots=True)
class Constant:
    """Bytes that the compiler computed, for `buffer` at `offset`."""

    buffer: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Program:
    """Reserved buffer names: inputs, pixels, images, sound, loudest, sampled u32[B] (by sample), logprobs
    f32[B, LOGPROB_WORDS], next_token u32[S] (by slot), logits f32[B,V], block_table u32[S, max_blocks_per_seq], token_counts
    u32[S,V], logit_bias f32[S,V], token_bytes, grammar and grammar_state (kernels/grammar.py), staging,
    upload_params, output.*."""

    name: str
    context_length: int
    vocab_size: int
    max_num_seqs: int  # S
    block_size: int  # tokens per KV block
    num_blocks: int
    max_rows: int  # T of the largest step
    buffers: tuple[BufferSpec, ...]
    kernels: tuple[KernelSpec, ...]
    steps: tuple[Step, ...]
    uploads: tuple[Upload, ...] = ()
    constants: tuple[Constant, ...] = ()
    states: tuple[KVState, ...] = ()  # what sequences keep from step to step, by layer
    slot_states: tuple[SlotState, ...] = ()
    image_step: ImageStep | None = None  # of a model that sees
    turns: bool = False  # whether rows may turn by positions of their own on several axes (kernels/inputs.py)
    window: int = 0  # of layers that keep no more than it, the widest
    num_window_blocks: int = 0  # that these layers have
    num_snapshots: int = 0  # that each of these states' buffers of copies holds
    loras: tuple[str, ...] = ()  # by name; the buffer lora_scales has a number for each slot and each of them
    sound_step: SoundStep | None = None  # of one that hears
    version: int = FORMAT_VERSION

    @property
    def max_blocks_per_seq(self) -> int:
        return -(-self.context_length // self.block_size)

    def blocks_of(self, state: KVState) -> int:
        """How many its buffer has."""
        return self.num_window_blocks if state.is_windowed else self.num_blocks

    @property
    def kv_bytes_per_token(self) -> int:
        """What a token of a sequence takes in all layers' caches."""
        return sum(state.bytes_per_token for state in self.states)

    @property
    def is_recurrent(self) -> bool:
        """Whether what a sequence has computed cannot be taken back, or shared, token by token."""
        return bool(self.slot_states)

    def buffer(self, name: str) -> BufferSpec:
        return next(b for b in self.buffers if b.name == name)

    @property
    def every_step(self) -> tuple[Step, ...]:
        """With those that take pictures or sound in."""
        return (
            *self.steps,
            *([self.image_step.step] if self.image_step else []),
            *([self.sound_step.step] if self.sound_step else []),
        )

    @property
    def decode_steps(self) -> tuple[Step, ...]:
        return tuple(s for s in self.steps if s.rows <= MAX_DECODE_ROWS)

    @property
    def prefill_steps(self) -> tuple[Step, ...]:
        wide = tuple(s for s in self.steps if s.rows > MAX_DECODE_ROWS)
        return wide if any(s.samples for s in wide) else self.steps

    def step_for(self, num_rows: int, num_samples: int, is_prefill: bool = False) -> Step:
        """The cheapest step that takes so many rows and samples; of a prompt's rows one that computes prompts, however few they
        are: what is left of them must not depend on how they were cut."""
        steps = self.prefill_steps if is_prefill else self.steps
        fits = [s for s in steps if s.rows >= num_rows and s.samples >= num_samples]
        if not fits:
            raise ValueError(f"no step takes {num_rows} rows and {num_samples} samples")
        return min(fits, key=lambda s: (s.rows, s.samples))

    def to_json(self) -> str:
        return json.dumps(self, default=_plain)

    @staticmethod
    def from_json(text: str) -> "Program":
        d = json.loads(text)
        if d["version"] != FORMAT_VERSION:
            raise ValueError(f"program format {d['version']}, this Fanlight reads {FORMAT_VERSION}: compile it again")

        def launch(x: dict[str, Any]) -> Launch:
            return Launch(x["kernel"], tuple(Slice(**s) for s in x["bindings"]), tuple(x["grid"]), x["where"], x["only_for"])

        def step(s: dict[str, Any]) -> Step:
            launches, outputs = tuple(launch(x) for x in s["launches"]), s["outputs"]
            given = tuple(Output(o["name"], o["buffer"], o["dtype"], tuple(o["shape"])) for o in outputs)
            return Step(s["name"], s["rows"], s["samples"], launches, tuple(s["inputs"]), given)

        image, sound = d.get("image_step"), d.get("sound_step")
        return Program(
            **{
                **d,
                "buffers": tuple(BufferSpec(**b) for b in d["buffers"]),
                "kernels": tuple(
                    KernelSpec(k["name"], k["wgsl"], tuple(k["access"]), tuple(k["features"])) for k in d["kernels"]
                ),
                "steps": tuple(map(step, d["steps"])),
                "sound_step": SoundStep(**{**sound, "step": step(sound["step"])}) if sound else None,
                "image_step": ImageStep(**{**image, "step": step(image["step"])}) if image else None,
                "uploads": tuple(
                    Upload(u["file"], u["offset"], u["size"], tuple(u["params"]), launch(u["launch"])) for u in d["uploads"]
                ),
                "constants": tuple(Constant(c["buffer"], c["offset"], base64.b64decode(c["data"])) for c in d["constants"]),
                "states": tuple(KVState.from_dict(s) for s in d["states"]),
                "slot_states": tuple(SlotState(**s) for s in d.get("slot_states", ())),
                "loras": tuple(d.get("loras", ())),
            }
        )
