"""An answer's text as it comes, and what is found in it: content, reasoning, calls.  Knows no syntax, no tokens and no model.

Syntaxes (`tool_formats/`, `reasoning.py`) are generators that ask a Reader for characters and wait, by a bare `yield`, where
there are none so far. They see one character after another however the text was cut, so that the events cannot depend on it.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Content:
    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    text: str


@dataclass(frozen=True, slots=True)
class CallBegin:
    name: str
    id: str | None = None  # where the model chose one


@dataclass(frozen=True, slots=True)
class Arguments:
    """A piece of the open call's arguments, which are JSON when they are whole."""

    text: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """`broken`: None where the arguments are whole; else all that the model wrote of this call, for whoever has sent none of it
    yet and can still give it back as the text that it is."""

    broken: str | None = None


Event = Content | Reasoning | CallBegin | Arguments | CallEnd
Steps = Generator[None, None, None]
Asking = Generator[None, None, str]


Tools = Mapping[str, Mapping[str, Any]]  # a function's name -> the schema of its parameters


class NotThis(Exception):
    """What is read is no call, or none any more."""


class Reader:
    """The text from `start` on, which is where a call that may turn out to be none began, and the events found so far."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.silent: tuple[str, ...] = ()  # marks around the content that are none of it
        self._text = ""
        self._at = 0
        self._settled = 0  # nobody goes back behind it
        self._start: int | None = None
        self._ended = False
        self._events: list[Event] = []
        self._spaces = ""  # after text: they belong to the call that follows, if one does
        self._is_open = False  # a call has begun and not ended
        self._before = ""  # the spaces before the open call
        self.is_thinking = False
        self.num_calls = 0
        self.follows_call = False  # nothing but whitespace came since a call

    # --- for who feeds it
    def add(self, text: str) -> None:
        kept = self._settled if self._start is None else min(self._settled, self._start)
        self._text = self._text[kept:] + text
        self._at -= kept
        self._settled -= kept
        if self._start is not None:
            self._start -= kept

    def end(self) -> None:
        self._ended = True

    def events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    # --- for a syntax: characters
    def next(self) -> Asking:
        """The next character; nothing at the end."""
        while self._at == len(self._text):
            if self._ended:
                return ""
            yield
        self._at += 1
        return self._text[self._at - 1]

    def run(self, stops: str) -> str:
        """What is there before any of the characters `stops`; one after another would take many times as long."""
        end = len(self._text)
        for stop in stops:
            found = self._text.find(stop, self._at, end)
            end = end if found < 0 else found
        text, self._at = self._text[self._at : end], end
        return text

    def back(self, text: str) -> None:
        """`text`, which was the last read, is to be read again."""
        self._at -= len(text)

    def take(self, *marks: str) -> Asking:
        """The first of the marks that stands here, which is then read; nothing where none does, and then nothing is read. Of
        two marks of which one begins the other, the longer comes first."""
        for mark in marks:
            read = ""
            while read != mark:
                c = yield from self.next()
                read += c
                if not c or not mark.startswith(read):
                    break
            if read == mark:
                return mark
            self.back(read)
        return ""

    def skip_spaces(self) -> Asking:
        spaces = ""
        while c := (yield from self.next()):
            if not c.isspace():
                self.back(c)
                break
            spaces += c
        return spaces

    def until(self, *marks: str) -> Asking:
        """The text before the first mark that comes, which is read, too; all the rest where none does."""
        found = ""
        while not (yield from self.take(*marks)):
            if not (c := (yield from self.next())):
                break
            found += c
        return found

    def stands(self, *marks: str) -> Asking:
        """As `take`, and nothing is read."""
        found = yield from self.take(*marks)
        self.back(found)
        return found

    def is_over(self) -> Generator[None, None, bool]:
        c = yield from self.next()
        self.back(c)
        return not c

    def name(self) -> Asking:
        """As long as there are letters, digits and what else names of functions have."""
        found = ""
        while c := (yield from self.next()):
            if not (c.isalnum() or c in "_-."):
                self.back(c)
                break
            found += c
        return found

    # --- for a syntax: what was found
    def content(self, text: str) -> None:
        """Whitespace around calls belongs to them."""
        self._settled = self._at
        said = text.rstrip()
        if not said:
            self._spaces += text
            return
        spaces, self._spaces = self._spaces, text[len(said) :]
        if self.follows_call:
            spaces, said, self.follows_call = "", said.lstrip(), False
        self._emit(Content(spaces + said))

    def reasoning(self, text: str) -> None:
        self._settled = self._at
        if text:
            self._emit(Reasoning(text))

    def mark_start(self, mark: str) -> None:
        """A call may begin here, with `mark`, which was just read."""
        self._start = self._at - len(mark)

    def forget_start(self) -> None:
        self._start = None

    def begin_call(self, name: str, id: str | None = None) -> None:
        self._before, self._spaces, self._is_open = self._spaces, "", True
        self._emit(CallBegin(name, id))

    def arguments(self, text: str) -> None:
        if text:
            self._emit(Arguments(text))

    def end_call(self) -> None:
        self._emit(CallEnd())
        self.num_calls += 1
        self._is_open, self.follows_call = False, True
        self._settled, self._start = self._at, None

    def give_up(self) -> None:
        """What began at `mark_start` is no call, or goes on as none."""
        written, self._start = self._since_start(), None
        if self._is_open:
            self._is_open = False
            self._emit(CallEnd(broken=self._before + written))
        else:
            self.content(written)

    def finish(self) -> None:
        """The answer is over: whitespace at its end counts, unless a call came before."""
        if self._spaces and not self.num_calls:
            self._emit(Content(self._spaces))
        self._spaces = ""

    def _since_start(self) -> str:
        return "" if self._start is None else self._text[self._start : self._at]

    def _emit(self, event: Event) -> None:
        last = self._events[-1] if self._events else None
        if isinstance(event, (Content, Reasoning, Arguments)) and isinstance(last, type(event)):
            self._events[-1] = type(event)(last.text + event.text)
        else:
            self._events.append(event)


Syntax = Callable[[Reader], Steps]


class AnswerParser:
    """A syntax, driven by pieces of text."""

    def __init__(self, syntax: Syntax, tools: Tools) -> None:
        self._reader = Reader(tools)
        self._steps = syntax(self._reader)
        self._is_over = False
        self._run()

    def feed(self, text: str) -> list[Event]:
        """What became certain."""
        if text:
            self._reader.add(text)
            self._run()
        return self._reader.events()

    def flush(self) -> list[Event]:
        """What is held back, when the answer ends here: models may leave out the last mark."""
        self._reader.end()
        self._run()
        self._reader.finish()
        return self._reader.events()

    @property
    def is_thinking(self) -> bool:
        """Whether the answer so far ends within the reasoning."""
        return self._reader.is_thinking

    def _run(self) -> None:
        if not self._is_over:
            self._is_over = next(self._steps, self) is self


Calls = Callable[[Reader, str], Steps]  # the mark that was read -> reads the calls behind it


def content_and_calls(reader: Reader, marks: tuple[str, ...] = (), calls: Calls | None = None) -> Steps:
    """Content, in which each of `marks` may begin what `calls` reads, to its end or to a NotThis."""
    stops = "".join({mark[0] for mark in (*marks, *reader.silent)})
    while True:
        if text := reader.run(stops):
            reader.content(text)
        elif calls and (mark := (yield from reader.take(*marks))):
            yield from attempt(reader, mark, calls(reader, mark))
        elif (yield from reader.take(*reader.silent)):
            continue
        elif c := (yield from reader.next()):
            reader.content(c)
        else:
            return


def attempt(reader: Reader, mark: str, calls: Steps) -> Asking:
    """Calls that begin with `mark`, which was just read. Says "calls" where they were read to their end."""
    reader.mark_start(mark)
    try:
        yield from calls
    except NotThis:
        reader.give_up()
        return ""
    reader.forget_start()
    return "calls"
