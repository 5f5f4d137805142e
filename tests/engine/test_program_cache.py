"""A Program that was kept is used again, gives the same tokens, and is compiled anew when what it depends on changed."""

import pytest

from fanlight.api.load import LoadOptions, load_model
from fanlight.compiler.program import Program
from fanlight.driver import run
from fanlight.engine import SamplingParams, load
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.runtime import open_adapter
from fanlight.runtime.adapter_notes import open_notes
from fanlight.runtime.notes import MemoryNotes
from scripts.golden import tiny_gguf
from tests.models.records import read_record

NAME = "llama-Q4_K_M"
RECORD = read_record("llamacpp", NAME)
CONTEXT = len(RECORD.prompt) + len(RECORD.greedy) + 1


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tiny_gguf.make_gguf(NAME, tmp_path_factory.mktemp("models") / f"{NAME}.gguf")


@pytest.fixture
def compiled(monkeypatch) -> list[Program]:
    """What was compiled since."""
    programs, compile_model = [], load.compile_model
    monkeypatch.setattr(load, "compile_model", lambda *facts: programs.append(compile_model(*facts)) or programs[-1])
    return programs


def answer(path, store, code="build 1", context=CONTEXT, memory_bytes=None) -> None:
    device = open_adapter("native", memory_bytes=memory_bytes).device()
    notes = run(open_notes(store, device, "a browser", code))
    options = LoadOptions(context_length=context)
    loaded = run(
        load_model(run(open_checkpoint(run(resolve_model(path)))), device, options, lambda *progress: None, notes=notes)
    )
    sequence = loaded.engine.submit(
        RECORD.prompt, SamplingParams(temperature=0, max_tokens=len(RECORD.greedy), ignore_eos=True)
    )
    while not sequence.is_finished:
        run(loaded.engine.wait([sequence]))
        sequence.take()
    loaded.close()
    assert sequence.generated_token_ids == RECORD.greedy


def program_note(store: MemoryNotes) -> str:
    return next(name for name in store.texts if name.startswith("program-"))


def test_a_kept_program_gives_the_same_tokens(path, compiled):
    store = MemoryNotes()
    answer(path, store)
    answer(path, store)
    assert len(compiled) == 1
    text = store.texts[program_note(store)].partition("\n")[2]
    assert Program.from_json(text) == compiled[0]


@pytest.mark.parametrize("change", [{"code": "build 2"}, {"context": CONTEXT + 16}, {"memory_bytes": 1 << 30}])
def test_what_it_depends_on_compiles_it_anew(path, compiled, change):
    store = MemoryNotes()
    answer(path, store)
    answer(path, store, **change)
    assert len(compiled) == 2
    assert sum(name.startswith("adapter-") for name in store.texts) == 1  # but what is known of the adapter holds


@pytest.mark.parametrize("keep", [0, 70, 500])
def test_a_text_that_was_cut_short_costs_time_only(path, compiled, keep):
    store = MemoryNotes()
    answer(path, store)
    store.texts[program_note(store)] = store.texts[program_note(store)][:keep]
    answer(path, store)
    assert len(compiled) == 2


def test_without_the_adapters_verdicts_it_is_compiled_and_tested(path, compiled):
    store = MemoryNotes()
    answer(path, store)
    store.texts = {name: text for name, text in store.texts.items() if name.startswith("program-")}
    answer(path, store)
    assert len(compiled) == 2 and any(name.startswith("adapter-") for name in store.texts)


def test_without_a_known_build_nothing_is_kept(path, compiled):
    store = MemoryNotes()
    answer(path, store, code="")
    assert not any(name.startswith("program-") for name in store.texts)
