"""What a schema costs to compile, of one kind after another, in CPU time: ours, natively or in Pyodide, and those of the peers
that are installed.

    python -m bench compile [--pyodide] [--rounds 5] [--json]

Each round compiles in a process of its own, seven times. `first_ms` is the first time, with what later schemas share (JSON's
numbers, formats of strings) and, in Pyodide, with code that V8 has not optimised yet; `fanlight_ms` is the least. Both are
medians of the rounds. No automaton is cached; in Pyodide, a page's memory snapshot holds what schemas share. llguidance builds
lazily: its figure has a first mask in it."""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fanlight.grammar import formats
from fanlight.grammar.automaton import Automaton

NAMES = (
    "customer_id first_name last_name email phone street city region postal_code country created_at updated_at total tax"
    " discount currency status priority notes tags is_active is_deleted rating score quantity unit_price sku category vendor"
    " warehouse"
).split()
KINDS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "integer"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "array", "items": {"type": "string"}},
    {"type": "string", "enum": ["red", "green", "blue"]},
    {"type": ["string", "null"]},
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"]},
    {"type": "integer", "minimum": 0, "maximum": 150},
    {"type": "string", "format": "date"},
]


def schemas() -> dict[str, dict[str, Any]]:
    properties = {name: KINDS[i % len(KINDS)] for i, name in enumerate(NAMES)}
    base = {"type": "object", "properties": properties}
    nested: dict[str, Any] = {"type": "string"}
    for _ in range(5):
        names = {"x": nested} | {f"y{i}": {"type": "string"} for i in range(5)}
        nested = {"type": "object", "properties": names, "required": ["x"], "additionalProperties": False}
    return {
        "30 properties, all required": {**base, "required": NAMES, "additionalProperties": False},
        "30 properties, optional": {**base, "additionalProperties": False},
        "30 properties, open": {**base, "required": NAMES[::2]},
        "5 objects deep": nested,
        "any JSON": {"type": "object"},
        "enum of 300": {"enum": [f"value {i * 7919 % 100003}" for i in range(300)]},
    }


def compile_times(
    run: Callable[[], Any], clock: Callable[[], float] = time.process_time, times: int = 7
) -> tuple[list[float], Any]:
    """Milliseconds, and what came out."""
    spent, result = [], None
    for _ in range(times):
        started = clock()
        result = run()
        spent.append(1000 * (clock() - started))
    return spent, result


def ours(schema: dict[str, Any]) -> Automaton:
    formats.kept.clear()
    return formats.compile_format({"type": "json_schema", "json_schema": schema})


def measured(name: str, clock: Callable[[], float] = time.process_time) -> str:
    """One round of one schema, as JSON; `clock` gives seconds."""
    schema = schemas()[name]
    spent, automaton = compile_times(lambda: ours(schema), clock)
    row = {"first_ms": spent[0], "fanlight_ms": min(spent), "states": automaton.num_states, "classes": automaton.num_classes}
    return json.dumps(row | {"kib": len(automaton.words) >> 8})


def rounds(name: str, command: list[str], count: int) -> dict[str, Any]:
    """Medians of rounds, each in a process of its own."""
    found = [json.loads(subprocess.check_output([*command, name], text=True)) for _ in range(count)]
    return {key: round(statistics.median(row[key] for row in found), 1) for key in found[0]}


def peers() -> dict[str, Callable[[dict[str, Any]], Any]]:
    found: dict[str, Callable[[dict[str, Any]], Any]] = {}
    try:
        import llguidance

        tokens = llguidance.LLTokenizer("byte")
        matcher = llguidance.LLMatcher
        found["llguidance"] = lambda schema: matcher(tokens, matcher.grammar_from_json_schema(schema)).compute_bitmask()
    except ImportError:
        pass
    try:
        import xgrammar

        info = xgrammar.TokenizerInfo([bytes([b]) for b in range(256)] + ["</s>"], stop_token_ids=[256])
        compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        found["xgrammar"] = lambda schema: compiler.compile_json_schema(json.dumps(schema))
    except ImportError:
        pass
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench compile", description=__doc__.splitlines()[0])
    parser.add_argument("--pyodide", action="store_true", help="in Pyodide, under node; needs `make web`")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    options = parser.parse_args(arguments)
    native = [sys.executable, "-c", "import sys; from bench.compile import measured; print(measured(sys.argv[1]))"]
    command = ["node", str(Path(__file__).with_suffix(".mjs"))] if options.pyodide else native
    others, rows = {} if options.pyodide else peers(), []
    for name, schema in schemas().items():
        row: dict[str, Any] = {"schema": name, **rounds(name, command, options.rounds)}
        for peer, compile_schema in others.items():
            row[f"{peer}_ms"] = round(min(compile_times(lambda run=compile_schema, schema=schema: run(schema))[0]), 1)  # type: ignore[misc]
        rows.append(row)
    if options.json:
        print(json.dumps(rows))
        return 0
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
