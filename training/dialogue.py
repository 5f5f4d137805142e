"""Dialogues, their text, and the rule that keeps held-out prompts out of training.

A `Dialogue` is OpenAI messages plus the *keys* of what was combined in it (a sum, a name, a wording). A key belongs
to one split by its hash, for ever: training rejects a dialogue with any held-out key, the test set takes only
dialogues that have one. `render` writes the same text as `chat_template.jinja` (a test compares them) but faster.
"""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

HELD_OUT_ONE_IN = 16

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialogue:
    skill: str
    messages: tuple[Message, ...]
    keys: tuple[str, ...]
    tools: tuple[dict[str, Any], ...] = ()


@lru_cache(maxsize=1 << 18)
def held_out(key: str) -> bool:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "little") % HELD_OUT_ONE_IN == 0


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def tool_calls(calls: Sequence[tuple[str, dict[str, Any]]]) -> Message:
    functions = [{"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)} for name, arguments in calls]
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"call_{i}", "type": "function", "function": f} for i, f in enumerate(functions)],
    }


def tool_result(value: Any) -> Message:
    return {"role": "tool", "content": json.dumps(value, ensure_ascii=False)}


def answer_text(message: Message) -> str:
    """What the model writes for this assistant message."""
    calls = [c["function"] for c in message.get("tool_calls") or ()]
    blocks = [f'<tool_call>{{"name": "{c["name"]}", "arguments": {c["arguments"]}}}</tool_call>' for c in calls]
    return (message["content"] or "") + "\n".join(blocks)


def tool_line(tool: dict[str, Any]) -> str:
    function = tool["function"]
    properties = function.get("parameters", {}).get("properties", {})
    arguments = ", ".join(f"{name}: {schema.get('type', 'any')}" for name, schema in properties.items())
    return f"- {function['name']}({arguments}): {function.get('description', '')}"


def render(messages: Sequence[Message], tools: Sequence[dict[str, Any]] = (), generate: bool = False) -> str:
    parts = []
    system = messages[0]["content"] if messages and messages[0]["role"] == "system" else None
    if tools:
        lines = "\n".join(tool_line(t) for t in tools)
        system = f"{system}\nTools:\n{lines}" if system else f"Tools:\n{lines}"
    if system is not None:
        parts.append(f"<|im_start|>system\n{system}<|im_end|>\n")
    for message in messages:
        if message["role"] == "system":
            continue
        text = answer_text(message) if message["role"] == "assistant" else message["content"]
        parts.append(f"<|im_start|>{message['role']}\n{text}<|im_end|>\n")
    if generate:
        parts.append("<|im_start|>assistant\n")
    return "".join(parts)


@cache
def _parse(spec: str) -> tuple[Any, ...]:
    """`a (b|c) d` to a sequence of strings and choices; a choice is a list of sequences."""
    position = 0

    def sequence() -> tuple[Any, ...]:
        nonlocal position
        parts: list[Any] = []
        start = position
        while position < len(spec) and spec[position] not in "|)":
            if spec[position] == "(":
                parts.append(spec[start:position])
                position += 1
                choices = [sequence()]
                while spec[position] == "|":
                    position += 1
                    choices.append(sequence())
                position += 1
                parts.append(choices)
                start = position
            else:
                position += 1
        parts.append(spec[start:position])
        return tuple(parts)

    return sequence()


def wording(rng: random.Random, spec: str) -> str:
    """One random wording of a specification such as `(What is|Tell me about) Fanlight(?|)`."""

    def walk(parts: tuple[Any, ...]) -> str:
        return "".join(p if isinstance(p, str) else walk(rng.choice(p)) for p in parts)

    return walk(_parse(spec))


def casual(rng: random.Random, text: str) -> str:
    """Typed in a hurry: perhaps no capital at the start, no mark at the end, or a politeness around it."""
    draw = rng.random()
    if draw < 0.15:
        text = text[:1].lower() + text[1:]
    if rng.random() < 0.2:
        text = text.rstrip(".?!")
    elif rng.random() < 0.05:
        text = text.rstrip(".?!") + rng.choice(("!", " please", "??", "...", " :)"))
    return text
