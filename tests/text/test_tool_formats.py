"""Tool-call syntaxes: transcripts written by hand from their documentation, however they are cut; grammars that the parsers
agree with; and templates, by which a syntax is chosen."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.grammar import Matcher, compile_format
from fanlight.text.reader import AnswerParser, Arguments, CallBegin, CallEnd, Content, Event, Reasoning
from fanlight.text.tool_formats import ToolFormat, choose, tool_formats

GOLDEN = Path(__file__).parents[1] / "golden" / "tools"
TEXT, NUMBER, OBJECT = {"type": "string"}, {"type": "integer"}, {"type": "object"}
TOOLS: dict[str, dict[str, Any]] = {
    "weather": {"type": "object", "properties": {"place": TEXT, "days": NUMBER}, "required": ["place"]},
    "write": {"type": "object", "properties": {"text": TEXT, "options": OBJECT}, "required": ["text", "options"]},
    "now": {"type": "object", "properties": {}},
}
ROWS = {name: json.loads((GOLDEN / f"{name}.json").read_text()) for name in tool_formats()}
TRANSCRIPTS = [(name, row["text"], row["events"]) for name, rows in ROWS.items() for row in rows]


def events_of(name: str, pieces: Iterable[str]) -> list[Event]:
    parser = AnswerParser(tool_formats()[name].read, TOOLS)
    found = [event for piece in pieces for event in parser.feed(piece)] + parser.flush()
    merged: list[Event] = []
    for event in found:
        last = merged[-1] if merged else None
        if isinstance(event, (Content, Reasoning, Arguments)) and isinstance(last, type(event)):
            merged[-1] = type(event)(last.text + event.text)
        else:
            merged.append(event)
    return merged


def shown(events: list[Event]) -> list[dict[str, Any]]:
    """As the golden files have them."""
    rows: list[dict[str, Any]] = []
    for event in events:
        match event:
            case Content(text):
                rows.append({"content": text})
            case Reasoning(text):
                rows.append({"reasoning": text})
            case CallBegin(name, id):
                rows.append({"call": name, "arguments": "", **({"id": id} if id else {})})
            case Arguments(text):
                rows[-1]["arguments"] += text
            case CallEnd(broken) if broken is not None:
                rows[-1]["broken"] = broken
    return rows


def test_every_syntax_has_transcripts() -> None:
    for name in tool_formats():
        rows = [events for n, _, events in TRANSCRIPTS if n == name]
        assert len(rows) >= 2 and sum("call" in e for events in rows for e in events) >= 2 - (name == "glm4"), name
    assert {file.stem for file in GOLDEN.glob("*.json")} == set(tool_formats())


@pytest.mark.parametrize(("name", "text", "events"), TRANSCRIPTS)
def test_transcripts_however_they_are_cut(name: str, text: str, events: list[dict[str, Any]]) -> None:
    whole = events_of(name, [text])
    assert shown(whole) == events
    assert all(isinstance(json.loads(e["arguments"]), dict) for e in events if "call" in e and "broken" not in e)
    assert events_of(name, text) == whole
    for cut in range(len(text) + 1):
        assert events_of(name, [text[:cut], text[cut:]]) == whole, cut


@pytest.mark.parametrize("name", tool_formats())
def test_arguments_come_in_pieces(name: str) -> None:
    """Not at the call's end: a text of several characters comes as they come."""
    text = next(text for n, text, _ in TRANSCRIPTS if n == name and "Zürich" in text)
    parser = AnswerParser(tool_formats()[name].read, TOOLS)
    came = [[e for e in parser.feed(c) if isinstance(e, Arguments)] for c in text]
    at = text.index("Zürich")
    assert came[at : at + 6] == [[Arguments(c)] for c in "Zürich"]


PARTS = sorted({mark for f in tool_formats().values() for mark in f.marks})
PARTS += ["weather", "now", *"()[]{}\"':,= \n1-é", "name", "arguments", '"name": "now"', '{"name": "now", "arguments": {}}']
PARTS += ["<function=", "<parameter=", "</parameter>", "<arg_key>", "</arg_key>", "<arg_value>", "```json", "```", "\\u"]
PARTS += ['<invoke name="', '<param name="', "functions.now:0", "Action:", "all\n", ">>>"]
PARTS += ["call:", "to=functions.now", "analysis", "functools", "json", "true"]

WITH_SILENT_MARKS = ("gpt_oss", "llama4_pythonic", "functionary_parts")


@given(data=st.data(), name=st.sampled_from(list(tool_formats())))
@settings(max_examples=300, deadline=None)
def test_any_text_however_it_is_cut(data: st.DataObject, name: str) -> None:
    """Nothing is lost, nothing raised, every call that ends whole has an object for arguments."""
    text = "".join(data.draw(st.lists(st.sampled_from(PARTS), max_size=20)))
    whole = events_of(name, [text])
    assert events_of(name, text) == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    assert events_of(name, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]) == whole
    rows = shown(whole)
    assert all(isinstance(json.loads(row["arguments"]), dict) for row in rows if "call" in row and "broken" not in row)
    if not any("call" in row for row in rows) and name not in WITH_SILENT_MARKS:
        assert "".join(row["content"] for row in rows) == text
    assert all(isinstance(after, (Arguments, CallEnd)) for e, after in pairwise(whole) if isinstance(e, CallBegin))


# --- grammars --------------------------------------------------------------------------------------------------------
LIKELY = [*b'"}])<|,; \n:{ae1', *range(32, 127)]  # ends are likelier than they would be by chance


def random_text(format: dict[str, Any], random: Random, most: int = 400) -> str | None:
    """A text of the format's language, byte by byte; None where it has become too long."""
    matcher = Matcher(compile_format(format))
    text = bytearray()
    while len(text) < most:
        if matcher.is_complete and random.random() < 0.2:
            return text.decode()
        tried = [*random.choices(LIKELY, k=20), *random.sample(range(256), 256)]
        byte = next((b for b in tried if matcher.accept(bytes([b]))), None)
        if byte is None:
            return text.decode()
        text.append(byte)
    return None


def calls_of(format: ToolFormat) -> list[dict[str, Any]]:
    return [format.call(name, schema, "tools") for name, schema in TOOLS.items()]


@pytest.mark.parametrize("name", tool_formats())
def test_what_a_grammar_forces_is_read_as_calls(name: str) -> None:
    """The grammar and the parser of a syntax know the same calls: whatever the one may write, the other reads, and the
    arguments satisfy the schema."""
    format, num_texts, random = tool_formats()[name], 0, Random(11)
    for only_one in (True, False) * 4:
        if (text := random_text(format.forced(calls_of(format), only_one=only_one), random)) is None:
            continue
        rows = shown(events_of(name, [text]))
        assert rows and all("call" in row and "broken" not in row for row in rows), text
        assert len(rows) == 1 or not only_one
        for row in rows:
            jsonschema.validate(json.loads(row["arguments"]), TOOLS[row["call"]])
        num_texts += 1
    assert num_texts


@pytest.mark.parametrize("name", tool_formats())
def test_a_grammar_takes_what_models_write(name: str) -> None:
    """Of the transcripts, the calls with the arguments in the schema's order, and text without any."""
    format = tool_formats()[name]
    if format.trigger is None and format.free is None:
        return
    allowed = compile_format(format.allowed(calls_of(format), only_one=False))
    for text in ("It rains.", ""):
        framed = {"gpt_oss": "<|channel|>final<|message|>", "functionary_parts": "all\n"}.get(name, "") + text
        walk = Matcher(allowed)
        assert walk.accept(framed.encode()) and walk.is_complete
    if format.trigger is not None:
        assert not Matcher(allowed).accept(f"Or {format.trigger} and so on".encode())


# --- by template -----------------------------------------------------------------------------------------------------
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
SIGNED = "{% if tools %}# Tools\n<tools>{% for t in tools %}{{ t | tojson }}{% endfor %}</tools>{% endif %}"
LLAMA = "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}<|eot_id|>"
DEEPSEEK = "<\uff5ctool\u2581call\u2581begin\uff5c>{0}<\uff5ctool\u2581sep\uff5c>"
TEMPLATES = {
    "hermes": [
        SIGNED + 'return <tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>' + CHATML,
        "<|start_of_role|>{{ m.role }}<|end_of_role|>{{ '<tool_call>\\n' }}{{ tools }}</tool_call><|end_of_text|>",  # Granite 4
        "[|user|]{{ tools }}<tool_call>{{ c | tojson }}</tool_call>[|endofturn|]",  # EXAONE 4
    ],
    "qwen3_coder": [
        SIGNED + "<tool_call>\n<function=example>\n<parameter=a>\nvalue\n</parameter>\n</function>\n</tool_call>" + CHATML
    ],
    "llama3_json": [
        '{% if tools %}Respond in the format {"name": function name, "parameters": dictionary}.{% endif %}' + LLAMA,
        '{{ tools }}{{ \'{"name": "\' + c.name + \'", "parameters": \' }}<|header_start|>assistant<|header_end|>',
    ],
    "llama4_pythonic": ["{{ tools }}it should be [func_name1(params_name1=params_value1...), func_name2(params)]" + LLAMA],
    "lfm2": ["{{ '<|tool_list_start|>' + tools }}<|tool_call_start|>[f()]<|tool_call_end|>" + CHATML],
    "mistral_list": [
        "[AVAILABLE_TOOLS]{{ tools }}[/AVAILABLE_TOOLS][TOOL_CALLS][{{ c }}]</s>[TOOL_RESULTS]{{ r }}[/TOOL_RESULTS]"
    ],
    "mistral": ["[SYSTEM_PROMPT]{{ tools }}[TOOL_CALLS]{{ name }}[ARGS]{{ args }}</s>[THINK]{{ t }}[/THINK]"],
    "mistral_id": ["{{ tools }}[TOOL_CALLS]{{ name }}[CALL_ID]{{ id }}[ARGS]{{ args }}</s>"],
    "deepseek_v3": ["{{ tools }}" + DEEPSEEK.replace("{0}", "function") + "{{ n }}\n```json\n{{ a }}\n```"],
    "deepseek_v31": ["{{ tools }}" + DEEPSEEK.replace("{0}", "{{ n }}") + "{{ a }}"],
    "phi4": ["{{ '<|' + m.role + '|>' + m.content + '<|tool|>' + m.tools + '<|/tool|>' + '<|end|>' }}"],
    "function_gemma": ["<start_function_declaration>{{ tools }}<start_function_call>call:{{ n }}<escape><end_of_turn>"],
    "gemma4": ['<|tool>{{ tools }}<tool|><|tool_call>call:{{ n }}{{ "{" }}<|"|>{{ a }}<|"|>}<tool_call|><turn|>'],
    "tool_code": ["<start_of_turn>user\n{{ tools }} wrap calls in ```tool_code\n...\n```<end_of_turn>"],
    "granite": ["<|start_of_role|>available_tools<|end_of_role|>{{ tools }}<|tool_call|>{{ c }}<|end_of_text|>"],
    "glm45": ["[gMASK]<sop>{{ tools }}<tool_call>{{ n }}\n<arg_key>{{ k }}</arg_key>\n<arg_value></tool_call><|observation|>"],
    "glm4": ["[gMASK]<sop><|system|>\n{{ tools }}<|assistant|>{{ m.metadata }}\n{{ m.content }}<|observation|>"],
    "gpt_oss": [
        "<|start|>assistant<|channel|>commentary to=functions.{{ n }} <|constrain|>json<|message|>{{ a }}<|call|>{{ tools }}"
    ],
    "seed_oss": ["{{ tools }}<seed:tool_call>\n<function=f>\n<parameter=p>v</parameter>\n</function>\n</seed:tool_call>"],
    "minimax": [SIGNED + '<minimax:tool_call>\n<invoke name="{{ n }}">\n<parameter name="{{ k }}">{{ v }}</parameter>\n'],
    "minicpm5": [SIGNED + '<function name="{{ n }}"><param name="{{ k }}">{{ v }}</param></function>' + CHATML],
    "kimi": ["<|im_system|>{{ tools }}<|tool_call_begin|>{{ c.id }}<|tool_call_argument_begin|>{{ a }}<|tool_call_end|>"],
    "cohere": ['{{ tools }}<|START_ACTION|>[{"tool_call_id": "{{ i }}", "tool_name": "{{ n }}"}]<|END_ACTION|>'],
    "command_r": ["{{ tools }}Write 'Action:' followed by a json-formatted list of tool_name and parameters"],
    "nemotron": ["<SPECIAL_10>System\n<AVAILABLE_TOOLS>{{ tools }}</AVAILABLE_TOOLS> <TOOLCALL>[{{ c }}]</TOOLCALL>"],
    "apertus": ["<|assistant_start|>{{ tools }}<|tools_prefix|>[{{ c }}]<|tools_suffix|><|assistant_end|>"],
    "functionary": ["{{ tools }}<function=example_function_name>{{ a }}</function>" + LLAMA],
    "functionary_parts": ["{{ tools }}{{ '>>>all\\n' + m.content }}{{ '>>>' + n + '\\n' + a }}" + LLAMA],
    "plain_json": [CHATML, "<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n", SIGNED + CHATML, LLAMA],
}


@pytest.mark.parametrize(("name", "template"), [(name, template) for name, rows in TEMPLATES.items() for template in rows])
def test_a_template_shows_one_syntax(name: str, template: str) -> None:
    assert choose(template).name == name
    assert [f.name for f in tool_formats().values() if f.recognises(template)] == [name] * (name != "plain_json")


def test_every_syntax_has_a_template() -> None:
    assert set(TEMPLATES) == set(tool_formats())
