"""Calling tools from a list in the prompt: which one, with which arguments, or none; then answering with the result."""

import json
import random
from dataclasses import dataclass
from typing import Any

from training import words
from training.dialogue import Dialogue, Message, assistant, tool_calls, tool_result, user, wording
from training.skills import about_fanlight, small_talk, style, sums
from training.skills.toolbox import KINDS, OPTIONAL, SUMS, Kind, draw_values, fill, odd_tool, tool_request

SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant with tools.",
    "Use the tools when they help.",
    "You can call tools.",
)


@dataclass(frozen=True, slots=True)
class Offered:
    """One tool as the prompt of this dialogue lists it."""

    kind: Kind
    name: str
    argument_names: dict[str, str]
    schema: dict[str, Any]


def offer(rng: random.Random, kind: Kind) -> Offered:
    name = rng.choice(kind.names)
    argument_names = {slot: rng.choice(a.names) for slot, a in kind.arguments.items()}
    properties = {argument_names[slot]: {"type": a.type} for slot, a in kind.arguments.items()}
    required = list(properties)
    if rng.random() < 0.3:
        for extra in rng.sample(list(OPTIONAL), rng.choice((1, 1, 2))):
            properties.setdefault(extra, {"type": OPTIONAL[extra]})
    function = {
        "name": name,
        "description": rng.choice(kind.descriptions),
        "parameters": {"type": "object", "properties": properties, "required": required},
    }
    return Offered(kind, name, argument_names, {"type": "function", "function": function})


def toolset(rng: random.Random) -> list[Offered]:
    kinds = rng.sample(KINDS, rng.choice((1, 1, 2, 2, 3, 4, 5)))
    if sum(k.names[0] in SUMS for k in kinds) > 1:  # which of them a sum would need is not decided
        return toolset(rng)
    if rng.random() < 0.35:
        kinds[rng.randrange(len(kinds))] = odd_tool(rng)
    return [offer(rng, kind) for kind in kinds]


def call_of(tool: Offered, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return tool.name, {tool.argument_names[slot]: value for slot, value in values.items()}


def key_of(call: tuple[str, dict[str, Any]]) -> str:
    return f"call {json.dumps(call)}"


def called(rng: random.Random, tool: Offered) -> tuple[list[Message], list[str]]:
    values = draw_values(rng, tool.kind)
    call = call_of(tool, values)
    messages = [user(fill(wording(rng, rng.choice(tool.kind.requests)), values)), tool_calls([call])]
    keys = [key_of(call), "values " + " ".join(map(str, values.values()))]
    if rng.random() < 0.5:
        messages += reported(rng, tool, values)
    return messages, keys


def reported(rng: random.Random, tool: Offered, values: dict[str, Any]) -> list[Message]:
    """The tool's result and what the model says about it; now and then a result of a form nobody announced."""
    draw = rng.random()
    if draw < 0.12:
        text = rng.choice((words.sentence(rng), rng.choice(words.PHRASES), f"{rng.randrange(100)} {words.made_up(rng)}"))
        return [{"role": "tool", "content": text}, assistant(f"The tool says: {text}")]
    if draw < 0.24:
        pool = (words.made_up(rng), rng.randrange(1000), rng.choice(words.CONDITIONS), words.place(rng))
        outcome = {rng.choice(words.THINGS): v for v in rng.sample(pool, rng.randrange(1, 4))}
        return [tool_result(outcome), assistant("The tool says: " + ", ".join(f"{k} {v}" for k, v in outcome.items()))]
    outcome = tool.kind.result(rng, values)
    return [tool_result(outcome), assistant(fill(fill(tool.kind.answer, outcome), values))]


def called_twice(rng: random.Random, tool: Offered) -> tuple[list[Message], list[str]]:
    """Two calls in one answer, then both results."""
    first, second = draw_values(rng, tool.kind), draw_values(rng, tool.kind)
    while first["x"] == second["x"]:
        second = draw_values(rng, tool.kind)
    calls = [call_of(tool, first), call_of(tool, second)]
    request = wording(rng, tool.kind.parallel).replace("{x1}", str(first["x"])).replace("{x2}", str(second["x"]))
    messages = [user(request), tool_calls(calls)]
    if rng.random() < 0.4:
        outcomes = [tool.kind.result(rng, v) for v in (first, second)]
        messages += [tool_result(o) for o in outcomes]
        texts = [fill(fill(tool.kind.answer, o), v) for o, v in zip(outcomes, (first, second), strict=True)]
        messages.append(assistant(" ".join(texts)))
    return messages, [key_of(c) for c in calls]


def not_called(rng: random.Random, tools: list[Offered]) -> tuple[list[Message], list[str]]:
    """No tool of the list fits: an ordinary answer."""
    if rng.random() < 0.3:
        absent = rng.choice([k for k in KINDS if all(k is not t.kind for t in tools) and k.names[0] not in SUMS])
        text = tool_request(rng, absent)
        return [user(text), assistant(small_talk.NO_TOOL)], [f"absent {text}"]
    makers = [small_talk.fixed, small_talk.fixed, small_talk.make, small_talk.know, about_fanlight.make, style.make]
    if not any(t.kind.names[0] in SUMS for t in tools):
        makers.append(sums.make)
    elif rng.random() < 0.5:
        makers = makers[:1]
    dialogue = rng.choice(makers)(rng)
    if dialogue.messages[0]["role"] == "system" or any("absent" in k for k in dialogue.keys):
        return not_called(rng, tools)
    return list(dialogue.messages), list(dialogue.keys)


def make(rng: random.Random) -> Dialogue:
    tools = toolset(rng)
    messages: list[Message] = [{"role": "system", "content": rng.choice(SYSTEMS)}] if rng.random() < 0.3 else []
    keys: list[str] = []
    for _ in range(1 if rng.random() < 0.8 else 2):
        tool = rng.choice(tools)
        draw = rng.random()
        if draw < 0.3:
            more, new_keys = not_called(rng, tools)
        elif draw < 0.38 and tool.kind.parallel:
            more, new_keys = called_twice(rng, tool)
        else:
            more, new_keys = called(rng, tool)
        messages += more
        keys += new_keys
    return Dialogue("tools", tuple(messages), tuple(keys), tuple(t.schema for t in tools))
