"""What a model's chat template says of its answers: how calls and reasoning are written, and what can be switched.

`ChatSyntax.prompt` makes the prompt with that; `parser` and `grammar` are for the answer to it. Knows no request and no engine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fanlight.text.chat_template import ChatTemplate
from fanlight.text.control_tokens import ControlTokens, PromptText
from fanlight.text.reader import AnswerParser
from fanlight.text.reasoning import Marks, after_thinking, find_marks, grammar_after_thinking, is_open, plain, without_thinking
from fanlight.text.structure import Format
from fanlight.text.tokenizer import Tokenizer
from fanlight.text.tool_formats import ToolFormat, choose, plain_json

THINKING = ("enable_thinking", "thinking")  # what templates call the switch
Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ChatSyntax:
    template: ChatTemplate
    format: ToolFormat
    marks: Marks | None  # of the reasoning; None where the format reads its own, or nothing is known of any

    @property
    def is_framed(self) -> bool:
        return self.format.frame is not None

    @property
    def reads_tools(self) -> bool:
        return "tools" in self.template.variables or self.format.prepare is not None

    @property
    def guesses_calls(self) -> bool:
        """Whether the model was told of tools by its own template, which does not show how it calls them."""
        return self.reads_tools and self.format.name == "plain_json"

    def prompt(
        self,
        controls: ControlTokens,
        messages: Messages,
        tools: list[dict[str, Any]] | None,
        variables: Mapping[str, Any],
        thinking: bool | None,
        continues: bool = False,
    ) -> PromptText:
        """`thinking`: None leaves it to the template. `continues`: the last message is the beginning of the answer."""
        write = partial(self._write_and_begin if continues else self._write, thinking=thinking)
        return controls.prompt(write, messages, tools, variables)

    def _write_and_begin(
        self, messages: Messages, tools: list[dict[str, Any]] | None, variables: Mapping[str, Any], thinking: bool | None
    ) -> str:
        prompt = self.opening(messages, tools, variables, thinking)
        return prompt + self._beginning(prompt, *said_so_far(messages[-1]))

    def opening(
        self, messages: Messages, tools: list[dict[str, Any]] | None, variables: Mapping[str, Any], thinking: bool | None
    ) -> str:
        """The prompt of the answer whose beginning is the last message."""
        reasoning, content = said_so_far(messages[-1])
        if thinking is None and content and not reasoning:
            thinking = False  # it was answered without
        return self._write(messages[:-1], tools, variables, thinking)

    def _beginning(self, prompt: str, reasoning: str, content: str) -> str:
        """What the model wrote of an answer that says this."""
        text = content
        if content and self.marks is not None and self.marks.around:
            text = self.marks.around[0] + content
        elif content:
            text = self.format.begin_text + content
        if not reasoning:
            return text
        if self.marks is None:
            begin = self.format.begin_thought
        else:
            begin = "" if is_open(prompt, self.marks) else f"{self.marks.open.rstrip()}\n"
        return begin + reasoning + ((self.end_of_thinking or "") + text if content else "")

    def _write(
        self, messages: Messages, tools: list[dict[str, Any]] | None, variables: Mapping[str, Any], thinking: bool | None
    ) -> str:
        shaped = [dict(message) for message in messages]
        if tools and self.format.prepare is not None:
            shaped = self.format.prepare(shaped, tools)
        elif tools and not self.reads_tools:
            shaped, tools = plain_json.describe(shaped, tools), None
        switches = {} if thinking is None else {name: thinking for name in THINKING if name in self.template.variables}
        text = self.template.render(shaped, tools=tools, **{**switches, **variables})
        return text if thinking is not False or switches else self._without_thinking(text)

    def _without_thinking(self, prompt: str) -> str:
        if self.marks is None:
            return prompt + self.format.no_thought
        thinks = self.marks.close in self.template.source_with_tools or is_open(prompt, self.marks)
        return without_thinking(prompt, self.marks) if thinks else prompt

    @property
    def end_of_thinking(self) -> str | None:
        """What ends the reasoning before its time."""
        if self.marks is not None:
            return f"\n{self.marks.close}\n\n"
        return self.format.end_thought or None

    def is_inside(self, prompt: str) -> bool:
        return self.marks is not None and is_open(prompt, self.marks)

    def parser(self, is_inside: bool, tools: list[dict[str, Any]] | None) -> AnswerParser:
        schemas = {t["function"]["name"]: t["function"].get("parameters") or {} for t in tools or ()}
        answer = self.format.read if tools or self.is_framed else plain
        return AnswerParser(after_thinking(self.marks, is_inside, answer), schemas)

    def visible(self, has_tools: bool) -> tuple[str, ...]:
        """Special tokens that the parser has to see."""
        marks = () if self.marks is None else self.marks.all
        return (*marks, *self.format.marks) if has_tools or self.is_framed else marks

    def grammar(self, answer: Format, is_inside: bool, *, is_text: bool) -> Format:
        """What the whole answer may be, of which `answer` comes after the reasoning. `is_text`: it is no call."""
        if self.format.frame is not None:
            return self.format.frame(answer, is_text)
        return answer if self.marks is None else grammar_after_thinking(self.marks, is_inside, answer)


def said_so_far(message: Mapping[str, Any]) -> tuple[str, str]:
    """The reasoning and the content of an answer that is to go on."""
    content = message.get("content") or ""
    text = content if isinstance(content, str) else "\n".join(part["text"] for part in content)
    reasoning = next((message[name] for name in ("reasoning_content", "reasoning", "thinking") if message.get(name)), "")
    return reasoning.rstrip() if not text else reasoning, text


def chat_syntax(template: ChatTemplate, tokenizer: Tokenizer) -> ChatSyntax:
    format = choose(template.source_with_tools)
    if format.frame is not None:
        return ChatSyntax(template, format, None)

    def is_token(text: str) -> bool:
        return tokenizer.token_to_id(text) is not None

    return ChatSyntax(template, format, find_marks(template.source_with_tools, is_token))
