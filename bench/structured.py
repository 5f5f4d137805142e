"""Structured output on a CPU beside xgrammar and llguidance, where they are installed, at a vocabulary as large as Llama 3's:
what a schema costs to compile, what a token's mask costs, and whether the schemas of a file are kept.

    python -m bench structured [--cases schemas.json] [--vocabulary 128256] [--json]

Our masks are made by the GPU within the step (`python -m bench grammar` measures them there); here only the walk is timed that
follows on the CPU. The file is a list of [name, schema, valid text, violating text]. The vocabulary is an invented one. Peers
are asked for what the schema says: xgrammar without its strict mode, which forbids properties that are not listed."""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.compile import NAMES, schemas
from bench.vocabulary import byte_characters, make_vocabulary
from fanlight.errors import RequestError
from fanlight.grammar import Matcher, formats

SCHEMAS = ("30 properties, all required", "any JSON")
VALUES = ["the quick brown fox jumps", -12345, 3.25, True, ["lorem ipsum", "dolor"], "green", None]
VALUES += [{"a": "one of them", "b": "another"}, 77, "2024-02-29"]
Step = Callable[[int], bool]  # makes a mask where there is one, takes the token; whether it was allowed


class Fanlight:
    def __init__(self, tokens: list[bytes], end: int) -> None:
        self.tokens = tokens

    def compile(self, schema: Any) -> Any:
        formats.kept.clear()
        return formats.compile_format({"type": "json_schema", "json_schema": schema})

    def walk(self, compiled: Any) -> tuple[Step, Callable[[], bool]]:
        matcher = Matcher(compiled)
        return lambda token: matcher.accept(self.tokens[token]), lambda: matcher.is_complete


class LLGuidance:
    def __init__(self, tokens: list[bytes], end: int) -> None:
        import llguidance

        class Plain:
            eos_token_id, bos_token_id, special_token_ids = end, None, [end]

            def __call__(self, text: str) -> list[int]:
                return [self.tokens.index(bytes([byte])) for byte in text.encode()]

        Plain.tokens = tokens  # type: ignore[attr-defined]
        self.matcher = llguidance.LLMatcher
        self.tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Plain()))

    def compile(self, schema: Any) -> Any:
        """Lazily: the first mask is a part of it."""
        matcher = self.matcher(self.tokenizer, self.matcher.grammar_from_json_schema(schema))
        if error := matcher.get_error():
            raise ValueError(error)
        matcher.compute_bitmask()
        return matcher

    def walk(self, compiled: Any) -> tuple[Step, Callable[[], bool]]:
        matcher = compiled.deep_copy()

        def step(token: int) -> bool:
            matcher.compute_bitmask()
            return bool(matcher.try_consume_tokens([token]))

        return step, matcher.is_accepting


class XGrammar:
    def __init__(self, tokens: list[bytes], end: int) -> None:
        import xgrammar

        self.xgrammar = xgrammar
        info = xgrammar.TokenizerInfo(tokens, xgrammar.VocabType.RAW, vocab_size=len(tokens), stop_token_ids=[end])
        self.compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        self.mask = xgrammar.allocate_token_bitmask(1, len(tokens))

    def compile(self, schema: Any) -> Any:
        return self.compiler.compile_json_schema(json.dumps(schema), strict_mode=False)

    def walk(self, compiled: Any) -> tuple[Step, Callable[[], bool]]:
        matcher = self.xgrammar.GrammarMatcher(compiled, terminate_without_stop_token=True)

        def step(token: int) -> bool:
            matcher.fill_next_token_bitmask(self.mask)
            return bool(matcher.accept_token(token))

        return step, matcher.is_completed


def engines(tokens: list[bytes], end: int) -> dict[str, Any]:
    found = {}
    for kind in (Fanlight, LLGuidance, XGrammar):
        try:
            found[kind.__name__.lower()] = kind(tokens, end)
        except ImportError as error:
            print(f"{kind.__name__} is not here: {error}", file=sys.stderr)
    return found


def token_bytes(size: int) -> tuple[list[bytes], int]:
    """The bytes of each token, and which ends an answer."""
    vocabulary, codes = make_vocabulary(size), {c: i for i, c in enumerate(byte_characters())}
    plain = [bytes(map(codes.__getitem__, text)) for text in vocabulary.tokens[: vocabulary.num_plain]]
    return plain + [text.encode() for text in vocabulary.tokens[vocabulary.num_plain :]], vocabulary.eos


def encoded(text: bytes, ids: dict[bytes, int]) -> list[int]:
    """The longest token that fits, again and again."""
    found, at = [], 0
    while at < len(text):
        length = next(n for n in range(min(8, len(text) - at), 0, -1) if text[at : at + n] in ids)
        found.append(ids[text[at : at + length]])
        at += length
    return found


def milliseconds(run: Callable[[], Any], times: int = 5) -> float:
    spent = []
    for _ in range(times):
        started = time.process_time()
        run()
        spent.append(1000 * (time.process_time() - started))
    return round(min(spent), 1)


def masks(engine: Any, schema: Any, tokens: list[int], rounds: int = 5) -> dict[str, float]:
    """Microseconds of a token, of the whole text."""
    compiled, times = engine.compile(schema), []
    for _ in range(rounds):
        step, is_whole = engine.walk(compiled)
        for token in tokens:
            started = time.perf_counter()
            taken = step(token)
            times.append((time.perf_counter() - started) * 1e6)
            assert taken, f"{type(engine).__name__} does not allow token {token}"
        assert is_whole()
    times.sort()
    return {"median_us": round(statistics.median(times), 1), "p99_us": round(times[len(times) * 99 // 100], 1)}


def judged(engine: Any, schema: Any, valid: list[int], violating: list[int]) -> str:
    """What becomes of a schema with its two texts."""
    try:
        compiled = engine.compile(schema)
    except (RequestError, ValueError, RuntimeError):
        return "refused"
    taken = []
    for tokens in (valid, violating):
        step, is_whole = engine.walk(compiled)
        taken.append(all(map(step, tokens)) and is_whole())
    return "takes the violating text" if taken[1] else "kept" if taken[0] else "does not take the valid text"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench structured", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=Path, help="JSON: a list of [name, schema, valid text, violating text]")
    parser.add_argument("--vocabulary", type=int, default=128_256)
    parser.add_argument("--json", action="store_true", help="print JSON, not tables")
    options = parser.parse_args(arguments)
    tokens, end = token_bytes(options.vocabulary)
    ids = {text: i for i, text in reversed(list(enumerate(tokens))) if text and i != end}
    record = {name: VALUES[i % len(VALUES)] for i, name in enumerate(NAMES)}
    text = encoded(json.dumps(record, separators=(",", ":")).encode(), ids)
    cases = json.loads(options.cases.read_text()) if options.cases else []
    found: dict[str, Any] = {"vocabulary": len(tokens), "tokens": len(text)}
    for name, engine in engines(tokens, end).items():
        row: dict[str, Any] = {}
        for schema in SCHEMAS:
            document = schemas()[schema]
            row[schema] = {
                "compile_ms": milliseconds(lambda e=engine, d=document: e.compile(d)),
                **masks(engine, document, text),
            }
        verdicts = {}
        spent = time.process_time()
        for case, schema, valid, violating in cases:
            verdicts[case] = judged(engine, schema, encoded(valid.encode(), ids), encoded(violating.encode(), ids))
        row["cases_ms"] = round(1000 * (time.process_time() - spent), 1)
        row["cases"] = {verdict: [c for c in verdicts if verdicts[c] == verdict] for verdict in sorted(set(verdicts.values()))}
        found[name] = row
    print(json.dumps(found) if options.json else table(found))
    return 0


def table(found: dict[str, Any]) -> str:
    rows = [("", "schema", "compile, ms", "token, us: median", "p99")]
    lines = []
    for name, row in found.items():
        if isinstance(row, dict):
            rows += [(name, s, row[s]["compile_ms"], row[s]["median_us"], row[s]["p99_us"]) for s in SCHEMAS]
            lines += [f"{name}: {len(cases)} {verdict}: {', '.join(cases)}" for verdict, cases in row["cases"].items()]
            lines += [f"{name}: all of them in {row['cases_ms']} ms"] if row["cases"] else []
    head, *rest = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *rest, *lines])
