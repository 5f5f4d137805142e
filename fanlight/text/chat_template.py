"""Messages to prompt text, through the model's own chat template.

Templates are Jinja, as transformers' `apply_chat_template` renders them, and come from untrusted files: they run in a sandbox
with a budget (sandbox.py). Messages are shaped to what the template reads (message_shape.py), and what they say is kept apart
from the template's own words (control_tokens.py). Knows no tokenizer and no HTTP.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import Any

import jinja2
import jinja2.meta

from fanlight.errors import RequestError, UnsupportedModel
from fanlight.text.control_tokens import texts_of
from fanlight.text.conv_template import jinja_of
from fanlight.text.message_shape import Message, MessageShape
from fanlight.text.sandbox import RaisedByTemplate, Sandbox
from fanlight.text.template_budget import Budget, TooMuch

COMPLETIONS = "completions (/v1/completions), which take the prompt as it is"
PROBE_SHARE = 0.2  # of the budget, for a message of one word
MAX_ERROR = 500  # characters of what went wrong: a template can put anything there


class ChatTemplate:
    """One model's template. `special` are the special tokens that it may name: bos_token, eos_token, ...; `named` are
    templates for requests with tools (`tool_use`) or documents (`rag`). Threads may render at the same time: they take
    turns."""

    def __init__(self, source: str, special: Mapping[str, str], named: Mapping[str, str] | None = None) -> None:
        self.source = source
        self._special = dict(special)
        self._environment = Sandbox()
        self._lock = Lock()
        self._out_of_hand: set[str] = set()
        sources = {"default": source, **(named or {})}
        self.source_with_tools = sources.get("tool_use", source)
        self._named = {name: self._compile(text) for name, text in sources.items()}
        self._shapes = {name: MessageShape(text, self._prober(name)) for name, text in sources.items()}

    def render(
        self,
        messages: Sequence[Message],
        /,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> str:
        """The prompt's text. Raises RequestError where the template cannot take these messages."""
        name = self._choose(tools, variables)
        context = {
            **self._special,
            "documents": None,
            **variables,
            "messages": [self._shapes[name].shaped(m) for m in messages],
            "tools": list(tools) if tools else None,
            "add_generation_prompt": add_generation_prompt,
        }
        with self._lock:
            return self._checked(name, context)

    def _choose(self, tools: Any, variables: Mapping[str, Any]) -> str:
        name = "tool_use" if tools else "rag" if variables.get("documents") else "default"
        return name if name in self._named else "default"

    def _checked(self, name: str, context: Mapping[str, Any]) -> str:
        try:
            return self._run(name, context, Budget(_num_bytes(context)))
        except RaisedByTemplate as error:
            raise RequestError(f"the model's chat template refuses: {_short(error.message)}", param="messages") from None
        except (TooMuch, RecursionError, MemoryError) as error:
            raise self._blamed(name, error) from None
        except Exception as error:  # whatever untrusted code comes upon, with its line
            what = f"{type(error).__name__}: {_short(error)}"
            raise RequestError(
                f"the chat template fails on these messages: {what}", where=_line(error), param="messages"
            ) from error

    def _run(self, name: str, context: Mapping[str, Any], budget: Budget) -> str:
        self._environment.budget = budget
        return "".join(self._named[name].generate(context))

    def _blamed(self, name: str, error: BaseException) -> UnsupportedModel | RequestError:
        """A template that cannot take one word is at fault; else the messages are too much for it."""
        what, where = _short(error) or type(error).__name__, _line(error)
        if self._probe(name, [{"role": "user", "content": "Hello"}]) is TOO_MUCH:
            return UnsupportedModel(f"the chat template is out of hand: {what}", where=where, hint=COMPLETIONS)
        return RequestError(f"these messages are too much for the chat template: {what}", where=where, param="messages")

    def _prober(self, name: str) -> Callable[[list[dict[str, Any]]], str | None]:
        def probe(messages: list[dict[str, Any]]) -> str | None:
            with self._lock:
                text = self._probe(name, messages)
            return text if isinstance(text, str) else None

        return probe

    def _probe(self, name: str, messages: list[dict[str, Any]]) -> Any:
        """What the template makes of messages of ours; None where it refuses them, TOO_MUCH where it is out of hand, for
        good."""
        if name in self._out_of_hand:
            return TOO_MUCH
        context = {**self._special, "documents": None, "messages": messages, "tools": None, "add_generation_prompt": False}
        try:
            return self._run(name, context, Budget(share=PROBE_SHARE))
        except (TooMuch, RecursionError, MemoryError):
            self._out_of_hand.add(name)
            return TOO_MUCH
        except Exception:
            return None

    @cached_property
    def variables(self) -> frozenset[str]:
        """What the template with tools reads from outside; `tools`, `enable_thinking`, ..."""
        parsed = self._environment.parse(self.source_with_tools)
        return frozenset(jinja2.meta.find_undeclared_variables(parsed))

    def _compile(self, source: str) -> jinja2.Template:
        try:
            return self._environment.compiled(source)
        except jinja2.TemplateSyntaxError as error:
            where = f"chat template, line {error.lineno}"
            message = f"the chat template is no Jinja: {_short(error.message)}"
        except TooMuch as error:
            where, message = "chat template", f"the chat template is out of hand: {error}"
        except (RecursionError, MemoryError, SyntaxError):
            where, message = "chat template", "the chat template is nested too deeply"
        except Exception as error:  # Python's own limits on what Jinja makes of it
            where, message = "chat template", f"the chat template cannot be compiled: {type(error).__name__}: {_short(error)}"
        raise UnsupportedModel(message, where=where, hint=COMPLETIONS)


TOO_MUCH = object()


def open_chat_template(format: str, metadata: Mapping[str, Any], special: Mapping[str, str]) -> ChatTemplate | None:
    """A checkpoint's chat template, if it has one. `format` and `metadata` are the Checkpoint's."""
    named = TEMPLATES[format](metadata)
    default = named.pop("default", None)
    return None if default is None else ChatTemplate(default, special, named)


def _gguf_templates(metadata: Mapping[str, Any]) -> dict[str, str]:
    prefix = "tokenizer.chat_template"
    named = {k.removeprefix(f"{prefix}."): text for k, text in metadata.items() if k.startswith(f"{prefix}.")}
    named["default"] = metadata.get(prefix)
    # A name of llama.cpp's own, which converters wrote in a template's place: it would be what any conversation is.
    return {name: text for name, text in named.items() if isinstance(text, str) and text != "rwkv-world"}


def _folder_templates(metadata: Mapping[str, Any]) -> dict[str, str]:
    default = metadata.get("chat_template")
    return {**(metadata.get("chat_templates") or {}), **({"default": default} if default else {})}


def _mlc_templates(metadata: Mapping[str, Any]) -> dict[str, str]:
    """MLC's own way of saying it counts where the files have no Jinja."""
    conv_template = metadata.get("conv_template")
    return _folder_templates(metadata) or ({"default": jinja_of(conv_template)} if conv_template else {})


TEMPLATES = {"gguf": _gguf_templates, "safetensors": _folder_templates, "mlc": _mlc_templates}


def _num_bytes(context: Any) -> int:
    return sum(len(text) * (1 if text.isascii() else 4) + 64 for text in texts_of(context))


def _short(error: Any) -> str:
    return str(error)[:MAX_ERROR]


def _line(error: BaseException) -> str:
    """Jinja rewrites tracebacks so that the template's frames carry the template's lines."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return "chat template" if line is None else f"chat template, line {line}"
