"""gpt-oss' harmony: messages in channels, of which analysis is reasoning, commentary to a function a call, the rest content.

    <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json
    <|message|>{"a": 1}<|call|>

(without the line end). The recipient may stand in the role's header. <|end|> ends a message, not the turn.
"""

import re
from typing import Any

from fanlight.text.reader import Reader, Steps, attempt
from fanlight.text.structure import Format, any_text, const, optional, schema, sequence, tag
from fanlight.text.tool_formats import ToolFormat
from fanlight.text.values import read_value

START, CHANNEL, MESSAGE, CONSTRAIN = "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"
ENDS = ("<|end|>", "<|return|>", "<|call|>")
END_ANALYSIS = f"{ENDS[0]}{START}assistant"
RECIPIENT = re.compile(r"to=([^\s<]+)")
PEOPLE = ("user", "assistant", "all")


def recognises(template: str) -> bool:
    return CHANNEL in template and MESSAGE in template


def read(reader: Reader) -> Steps:
    """The prompt ends with the role's header."""
    while not (yield from reader.is_over()):
        yield from _read_message(reader)


def _read_message(reader: Reader) -> Steps:
    header = MESSAGE
    if (yield from reader.stands(START, CHANNEL, " to=")):
        reader.mark_start("")
        header = yield from reader.until(MESSAGE)
    recipient = RECIPIENT.search(header)
    if recipient and recipient[1] not in PEOPLE:
        name = recipient[1].removeprefix("functions.")
        yield from attempt(reader, f"{header}{MESSAGE}", _read_call(reader, name))
        yield from _read_body(reader, reader.content)
    else:
        reader.forget_start()
        reader.is_thinking = f"{CHANNEL}analysis" in header
        yield from _read_body(reader, reader.reasoning if reader.is_thinking else reader.content)
        reader.is_thinking = False


def _read_call(reader: Reader, name: str) -> Steps:
    reader.begin_call(name)
    yield from reader.skip_spaces()
    if (yield from reader.stands(*ENDS)) or (yield from reader.is_over()):
        reader.arguments("{}")
    else:
        yield from read_value(reader, reader.arguments)
    yield from reader.skip_spaces()
    reader.end_call()


def _read_body(reader: Reader, found: Any) -> Steps:
    while not (yield from reader.take(*ENDS)):
        if (yield from reader.stands(START)) or not (c := (yield from reader.next())):
            return
        found(c)


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f"{CHANNEL}commentary to=functions.{name} {CONSTRAIN}json{MESSAGE}", schema(parameters), "")


def frame(answer: Format, is_text: bool) -> Format:
    """After some analysis, or none."""
    analysis = tag(f"{CHANNEL}analysis{MESSAGE}", any_text(), END_ANALYSIS)
    return sequence(optional(analysis), sequence(const(f"{CHANNEL}final{MESSAGE}"), answer) if is_text else answer)


FORMATS = (
    ToolFormat(
        "gpt_oss",
        recognises,
        read,
        call,
        marks=(START, CHANNEL, MESSAGE, CONSTRAIN, *ENDS),
        no_stops=ENDS[:1],
        free=sequence(const(f"{CHANNEL}final{MESSAGE}"), any_text()),
        is_single=True,
        frame=frame,
        no_thought=f"{CHANNEL}analysis{MESSAGE}{END_ANALYSIS}",
        end_thought=END_ANALYSIS,
        begin_thought=f"{CHANNEL}analysis{MESSAGE}",
        begin_text=f"{CHANNEL}final{MESSAGE}",
    ),
)
