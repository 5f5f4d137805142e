"""What a schema costs to compile, of one kind after another, in CPU time: ours, and those of the peers that are installed.

    python -m bench compile [--json]

Each figure is the best of seven, our automata not cached. llguidance builds lazily: its figure has a first mask in it."""

import json
import sys
import time
from collections.abc import Callable
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


def best(run: Callable[[], Any], times: int = 7) -> tuple[float, Any]:
    """Milliseconds of CPU, and what came out."""
    spent, result = [], None
    for _ in range(times):
        started = time.process_time()
        result = run()
        spent.append(1000 * (time.process_time() - started))
    return min(spent), result


def ours(schema: dict[str, Any]) -> Automaton:
    formats._compile.cache_clear()
    return formats.compile_format({"type": "json_schema", "json_schema": schema})


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
    others, rows = peers(), []
    for name, schema in schemas().items():
        spent, automaton = best(lambda schema=schema: ours(schema))  # type: ignore[misc]
        row: dict[str, Any] = {"schema": name, "fanlight_ms": round(spent, 1), "states": automaton.num_states}
        row |= {"classes": automaton.num_classes, "kib": len(automaton.words) >> 8}
        for peer, compile_schema in others.items():
            row[f"{peer}_ms"] = round(best(lambda run=compile_schema, schema=schema: run(schema))[0], 1)  # type: ignore[misc]
        rows.append(row)
    if "--json" in arguments:
        print(json.dumps(rows))
        return 0
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
