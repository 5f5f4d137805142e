"""One answer to a chat in the making: text in, OpenAI's deltas out, and the whole message at the end."""

from collections.abc import Callable
from dataclasses import dataclass, field

from fanlight.api.types import Delta, FinishReason, ResponseMessage, ToolCall
from fanlight.text.reader import AnswerParser, Arguments, CallBegin, CallEnd, Content, Event, Reasoning


@dataclass(slots=True)
class Answer:
    """`calls` are those that are whole or open: what turned out to be none becomes content again. (A stream has sent it by
    then; it goes on with the rest of the text, and does not finish with `tool_calls` for it.)"""

    parser: AnswerParser
    new_id: Callable[[], str]
    only_one: bool = False
    content: str = ""
    reasoning: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    num_begun: int = 0
    is_over: bool = False  # by itself: only one call was wanted, and it is there
    withheld: str = ""  # of what the request says was written: the parser gives it with what comes next

    @property
    def is_thinking(self) -> bool:
        return self.parser.is_thinking

    @property
    def has_begun(self) -> bool:
        return bool(self.content or self.reasoning or self.num_begun or self.is_thinking)

    def resume(self, written: str, content: str) -> None:
        """The model wrote that already, which says `content`; the answer is what it goes on with."""
        self.feed(written, False)
        read, known = self.content.lstrip(), content.lstrip()
        self.withheld = known.removeprefix(read) if known.startswith(read) else ""
        self.content = self.reasoning = ""
        self.calls, self.num_begun = [], 0

    def feed(self, text: str, is_last: bool) -> list[Delta]:
        events = self.parser.feed(text)
        if is_last:
            events += self.parser.flush()
        deltas: list[Delta] = []
        for event in events:
            if not self.is_over:
                deltas += self._add(event)
        return deltas

    def _add(self, event: Event) -> list[Delta]:
        match event:
            case Content(text):
                text = self._unsaid(text)
                self.content += text
                return [{"content": text}] if text else []
            case Reasoning(text):
                self.reasoning += text
                return [{"reasoning_content": text}]
            case CallBegin(name, id):
                return [self._begin(name, id or self.new_id())]
            case Arguments(text):
                self.calls[-1]["function"]["arguments"] += text
                return [{"tool_calls": [{"index": self.num_begun - 1, "function": {"arguments": text}}]}]
            case CallEnd(broken):
                self._end(broken)
        return []

    def _unsaid(self, text: str) -> str:
        known = self.withheld[: len(text)]
        if not text.startswith(known):
            known = self.withheld = ""
        self.withheld = self.withheld[len(known) :]
        return text[len(known) :]

    def _begin(self, name: str, id: str) -> Delta:
        self.num_begun += 1
        self.calls.append({"id": id, "type": "function", "function": {"name": name, "arguments": ""}})
        index = self.num_begun - 1
        return {"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]}

    def _end(self, broken: str | None) -> None:
        if broken is not None:
            self.calls.pop()
            self.content += broken
        elif self.only_one:
            self.is_over = True

    def finish_reason(self, reason: FinishReason) -> FinishReason:
        return "tool_calls" if self.calls and reason == "stop" else reason

    def message(self) -> ResponseMessage:
        content = self.content if self.content or not self.calls else None
        message: ResponseMessage = {"role": "assistant", "content": content, "refusal": None}
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if self.calls:
            message["tool_calls"] = self.calls
        return message
