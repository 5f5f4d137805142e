"""Programs from earlier loads, kept as text: a model that is loaded again on the same adapter is not compiled again.

A Program depends on the model's description, the adapter, the options and this code: all of them make its key. One text a
model, named by its files; the last key wins."""

from dataclasses import astuple, dataclass, replace
from hashlib import sha256

from fanlight.compiler import CompileOptions
from fanlight.compiler.program import Program
from fanlight.compiler.tuning import UNTUNED
from fanlight.models import Model
from fanlight.runtime.adapter_notes import AdapterNotes


@dataclass(frozen=True, slots=True)
class Key:
    note: str  # where the Program is; web/src/storage.ts makes the same name, to delete it with the model
    digest: str  # of all that the Program depends on


def key_of(model: Model, notes: AdapterNotes, options: CompileOptions, memory_bytes: int | None) -> Key:
    """notes.name stands for the adapter and its limits, but for what memory it has left."""
    checkpoint = model.weights.names.checkpoint
    files = [(source.name, source.size) for source in checkpoint.sources]
    tensors = sorted(astuple(tensor) for tensor in checkpoint.tensors.values())
    cuts = (options.tuning.start, sorted(options.tuning.found.items()))
    loras = [
        (lora.name, sorted(lora.scales.items()), sorted(astuple(t) for t in lora.tensors.values())) for lora in checkpoint.loras
    ]
    facts = [model.config, files, tensors, loras, notes.name, notes.code, replace(options, tuning=UNTUNED), cuts, memory_bytes]
    names = ",".join(name for name, _ in files)
    return Key(f"program-{_digest(names)[:16]}.json", _digest(repr(facts)))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


async def read_program(notes: AdapterNotes, key: Key) -> Program | None:
    digest, _, program = (await notes.store.read(key.note) or "").partition("\n")
    try:
        return Program.from_json(program) if digest == key.digest else None
    except (ValueError, KeyError, TypeError):
        return None  # cut short: compile it again


async def keep_program(notes: AdapterNotes, key: Key, program: Program) -> None:
    await notes.store.write(key.note, f"{key.digest}\n{program.to_json()}")
