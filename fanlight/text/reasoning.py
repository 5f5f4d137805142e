"""Reasoning before an answer: which marks a model puts around it, and the answer read with them.  Knows no tool syntax.

Some templates open the reasoning in the prompt, so that only its end is in the answer. Harmony, whose reasoning is a channel of
its own, is read by `tool_formats/gpt_oss.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fanlight.text.reader import Reader, Steps, Syntax, content_and_calls
from fanlight.text.structure import Format, any_text, optional, regex, sequence, tag


@dataclass(frozen=True, slots=True)
class Marks:
    """`around`: what some models put around the answer itself."""

    open: str
    close: str
    around: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (self.open.rstrip(), self.close, *self.around)


RESPONSE = ("<response>", "</response>")
KNOWN = (
    Marks("<think>", "</think>"),
    Marks("[THINK]", "[/THINK]"),  # Magistral, Ministral 3
    Marks("<seed:think>", "</seed:think>"),
    Marks("<|START_THINKING|>", "<|END_THINKING|>", ("<|START_RESPONSE|>", "<|END_RESPONSE|>")),  # Command A
    Marks("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    Marks("<|channel>thought\n", "<channel|>"),  # Gemma 4
)


def find_marks(template: str, is_token: Callable[[str], bool]) -> Marks | None:
    """A model's marks: those that its template names, or that are tokens of their own."""
    for marks in KNOWN:
        if marks.close in template or (marks.open in template and is_token(marks.close)) or is_token(marks.open):
            return Marks(marks.open, marks.close, RESPONSE) if RESPONSE[0] in template else marks
    return None


def is_open(prompt: str, marks: Marks) -> bool:
    """Whether the prompt ends within the reasoning."""
    return prompt.rstrip().endswith(marks.open.rstrip())


def without_thinking(prompt: str, marks: Marks) -> str:
    """The prompt of an answer that begins after the reasoning, which is empty."""
    if prompt.rstrip().endswith(marks.close):
        return prompt  # the template did it
    if is_open(prompt, marks):
        return f"{prompt.rstrip()}\n\n{marks.close}\n\n"
    return f"{prompt}{marks.open}\n\n{marks.close}\n\n"


def after_thinking(marks: Marks | None, is_inside: bool, answer: Syntax) -> Syntax:
    """The syntax of an answer with reasoning before it, if there is some."""

    def read(reader: Reader) -> Steps:
        if marks is not None:
            reader.silent = (*reader.silent, *marks.around)
            yield from _read_thought(reader, marks, is_inside)
        yield from answer(reader)

    return read


def _read_thought(reader: Reader, marks: Marks, is_inside: bool) -> Steps:
    spaces = yield from reader.skip_spaces()
    if not (yield from reader.take(marks.open)) and not is_inside:
        reader.content(spaces)
        return
    spaces, reader.is_thinking = "", True
    yield from reader.skip_spaces()
    while not (yield from reader.take(marks.close)):
        text = reader.run(marks.close[0]) or (yield from reader.next())
        if not text:
            return
        said = text.rstrip()
        if said:
            reader.reasoning(spaces + said)
            spaces = ""
        spaces += text[len(said) :]
    reader.is_thinking = False
    yield from reader.skip_spaces()


def plain(reader: Reader) -> Steps:
    return content_and_calls(reader)


def grammar_after_thinking(marks: Marks, is_inside: bool, answer: Format) -> Format:
    """The answer's grammar, which holds from the end of the reasoning on."""
    thought = tag("" if is_inside else marks.open, any_text(), marks.close)
    space = regex(r"\s{0,8}")
    if is_inside:
        return sequence(thought, space, answer)
    return sequence(optional(sequence(thought, space)), answer)
