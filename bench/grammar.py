"""What a grammar costs: decoding without one and with a JSON schema, any JSON and a long regular expression; the sampler's
launches by themselves where nearly every token is allowed; the CPU masks of llguidance and xgrammar for the same tokens, where
they are installed.  One line of JSON.  The model's weights are noise, its vocabulary is as large as Llama 3's."""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.make import WORK, make_gguf
from bench.native import Options
from fanlight.api.load import open_texts, open_vocabulary
from fanlight.compiler.program import Row, Sample, pack_inputs, pack_state
from fanlight.driver import run
from fanlight.engine.engine import Engine
from fanlight.engine.load import load_engine
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.sequence import Sequence
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.source import FileSource
from fanlight.grammar import Automaton, Matcher, compile_format
from fanlight.runtime import open_device
from fanlight.settings import settings
from fanlight.text.tokenizer import NativeEncoder

TEXT = {"type": "string"}
PROPERTIES = {f"field_{i}": [TEXT, {"type": "integer"}, {"enum": ["red", "green"]}][i % 3] for i in range(10)}
RECORD = {"type": "object", "properties": PROPERTIES, "required": list(PROPERTIES), "additionalProperties": False}
FORMATS: dict[str, dict[str, Any]] = {
    "schema": {"type": "json_schema", "json_schema": RECORD},
    "json": {"type": "json_schema", "json_schema": {"type": "object"}},
    "regex": {"type": "regex", "pattern": r"((the|a) ([a-z]+ly )?[a-z]{2,12} (sees|hears) [0-9]{1,6} [^.\n]{0,60}[.] )*"},
}
INSIDE = {"schema": b'{"field_0": "a', "json": b'{"a": "b', "regex": b"the cat sees 12 x"}  # where most tokens are allowed


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench grammar", description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="llama1b")
    parser.add_argument("--format", default="Q4_0")
    parser.add_argument("--tokens", type=int, default=256, help="of each answer")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    path = make_gguf(options.shape, options.format, WORK)
    checkpoint = run(open_checkpoint([FileSource(path)]))
    device = open_device(settings().device)
    engine = run(load_engine(checkpoint, device, Options(1024), lambda phase, done, total: None))
    tokenizer, template = open_texts(checkpoint, NativeEncoder)
    start = time.perf_counter()
    vocabulary = open_vocabulary(tokenizer, template)
    found: dict[str, Any] = {"model": path.stem, "adapter": device.info.device, "vocabulary_ms": ms_since(start)}
    engine.grammars.open_vocabulary = lambda: vocabulary
    automata: dict[str, Automaton] = {}
    for name, format in FORMATS.items():
        start = time.perf_counter()
        automata[name] = compile_format(format)
        found[name] = {"compile_ms": ms_since(start), "table_bytes": 4 * len(automata[name].words)}
    answers = decode(engine, automata, options.tokens, options.repeats, found)
    for name, automaton in automata.items():
        found[name]["launch_us"] = launches(engine, device, automaton, INSIDE[name])
        for oracle in (llguidance_masks, xgrammar_masks):
            found[name][oracle.__name__] = oracle(name, list(vocabulary.texts), sorted(vocabulary.ends), answers[name])
    engine.close()
    print(json.dumps(found))
    return 0


def ms_since(start: float) -> float:
    return round((time.perf_counter() - start) * 1e3, 2)


def decode(
    engine: Engine, automata: dict[str, Automaton], count: int, repeats: int, found: dict[str, Any]
) -> dict[str, list[int]]:
    """Microseconds of a token, the median of rounds in which each kind has its turn. The tokens of the last."""
    times: dict[str, list[float]] = {name: [] for name in ("none", *automata)}
    answers: dict[str, list[int]] = {}
    steps: dict[str, int] = {}
    for turn in range(repeats + 1):
        for name in times:
            params = SamplingParams(temperature=0, max_tokens=count, ignore_eos=True, grammar=automata.get(name))
            sequence = engine.submit([turn * 97 + i for i in range(300, 332)], params)
            before = engine.stats().num_steps
            run(finish(engine, sequence))
            steps[name] = engine.stats().num_steps - before  # those past the end of the answer too
            assert sequence.finished and sequence.first_token
            answers[name] = sequence.generated_token_ids
            if turn and len(answers[name]) > 1:
                times[name].append((sequence.finished - sequence.first_token) * 1e6 / (len(answers[name]) - 1))
    plain = statistics.median(times["none"])
    found["none"] = {"token_us": round(plain, 1), "decode_tps": round(1e6 / plain, 1)}
    for name in automata:
        typical = statistics.median(times[name])
        found[name] |= {"token_us": round(typical, 1), "decode_tps": round(1e6 / typical, 1), "tokens": len(answers[name])}
        found[name]["steps"] = steps[name]
        found[name]["cost"] = round(typical / plain - 1, 4)
    return answers


async def finish(engine: Engine, sequence: Sequence) -> None:
    while not sequence.is_finished:
        sequence.take()
        await engine.wait([sequence])


def launches(engine: Engine, device: Any, automaton: Automaton, text: bytes) -> dict[str, float]:
    """Microseconds of the two launches that know of grammars, without and with one, after `text`."""
    program, grammars = engine.program, engine.grammars
    matcher, made = Matcher(automaton), {}
    assert matcher.accept(text)
    device.write("grammar", 0, automaton.words.tobytes())
    step = program.step_for(1, 1)
    assert grammars.vocabulary
    for name, grammar in (("none", 0), ("with", 1)):
        inputs = pack_inputs([Row(300, 40, 0)], [Sample(0, 0, grammar=grammar)], program.max_num_seqs)
        runs = []
        for _ in range(8):
            device.write("grammar_state", 0, pack_state(matcher.state, matcher.stack))
            runs.append([t for t in run(device.timings(step.name, inputs)) if t.kernel.split(".")[0] in ("logits", "sample")])
        for i, launch in enumerate(runs[0]):
            made[f"{launch.kernel.split('.')[0]}_{name}"] = round(statistics.median(r[i].microseconds for r in runs[2:]), 2)
    return made


# --- masks on the CPU ------------------------------------------------------------------------------------------------
def summary(times: list[float]) -> dict[str, float]:
    times = sorted(times)
    return {"median_us": round(statistics.median(times), 1), "p90_us": round(times[len(times) * 9 // 10], 1)}


def timed(masks: Callable[[int], None], tokens: list[int]) -> dict[str, float]:
    """masks: makes a mask, takes the token."""
    times = []
    for token in tokens:
        start = time.perf_counter()
        masks(token)
        times.append((time.perf_counter() - start) * 1e6)
    return summary(times)


def llguidance_masks(name: str, texts: list[bytes], ends: list[int], tokens: list[int]) -> dict[str, Any] | None:
    try:
        import llguidance
    except ImportError:
        return None

    class Plain:
        eos_token_id, bos_token_id, special_token_ids = ends[0], None, ends
        tokens = texts

        def __call__(self, text: str) -> list[int]:
            return [self.tokens.index(bytes([byte])) for byte in text.encode()]

    tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Plain()))
    start = time.perf_counter()
    if name == "regex":
        grammar = llguidance.LLMatcher.grammar_from_regex(FORMATS[name]["pattern"])
    else:
        grammar = llguidance.LLMatcher.grammar_from_json_schema(FORMATS[name]["json_schema"])
    matcher = llguidance.LLMatcher(tokenizer, grammar)
    compiled = ms_since(start)

    def step(token: int) -> None:
        matcher.compute_bitmask()
        matcher.consume_token(token)

    return {"compile_ms": compiled, **timed(step, tokens), "error": matcher.get_error()}


def xgrammar_masks(name: str, texts: list[bytes], ends: list[int], tokens: list[int]) -> dict[str, Any] | None:
    try:
        import xgrammar
    except ImportError:
        return None
    info = xgrammar.TokenizerInfo(texts, xgrammar.VocabType.RAW, vocab_size=len(texts), stop_token_ids=ends)
    compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
    start = time.perf_counter()
    if name == "regex":
        compiled = compiler.compile_regex(FORMATS[name]["pattern"])
    else:
        compiled = compiler.compile_json_schema(json.dumps(FORMATS[name]["json_schema"]), strict_mode=False)
    took, matcher = ms_since(start), xgrammar.GrammarMatcher(compiled)
    mask = xgrammar.allocate_token_bitmask(1, len(texts))

    def step(token: int) -> None:
        matcher.fill_next_token_bitmask(mask)
        matcher.accept_token(token)

    return {"compile_ms": took, **timed(step, tokens)}
