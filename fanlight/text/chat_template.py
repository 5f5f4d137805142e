"""Messages to prompt text, through the model's own chat template.

Templates are Jinja, as transformers' `apply_chat_template` renders them, and come from untrusted files: they run in Jinja's
sandbox, with a budget of loop turns and macro calls, bounded strings and bounded output. Knows no tokens and no HTTP.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import jinja2
import jinja2.meta
from jinja2 import nodes
from jinja2.ext import Extension, LoopControlExtension
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from fanlight.errors import RequestError, UnsupportedModel

MAX_STEPS = 200_000  # loop turns and macro calls of one rendering; seconds at most
MAX_TEXT = 4 << 20  # characters of any one string that a template computes
MAX_OUTPUT = 16 << 20  # characters of the prompt
MAX_INTEGER_ARGUMENT = 100_000  # widths, counts: as large as Jinja's sandbox lets `range` be
MAX_INTEGER_BITS = 4096
LARGE_NUMBER = re.compile(r"\d{5,}|\*")  # a width in a format string

Message = Mapping[str, Any]


class TooMuch(Exception):
    """The template asks for more work or memory than any real one does."""


class RaisedByTemplate(jinja2.TemplateError):
    """The template called `raise_exception`."""


class ChatTemplate:
    """One model's template. `special` are the special tokens that it may name: bos_token, eos_token, ..."""

    def __init__(self, source: str, special: Mapping[str, str], *, with_tools: str | None = None) -> None:
        self.source = source
        self.source_with_tools = source if with_tools is None else with_tools
        self._special = dict(special)
        self._environment = Sandbox()
        self._plain = self._compile(source)
        self._with_tools = self._plain if with_tools is None else self._compile(with_tools)

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> str:
        """The prompt. Raises RequestError where the template cannot take these messages."""
        template = self._with_tools if tools else self._plain
        context = {
            **self._special,
            "documents": None,
            **variables,
            "messages": [template_message(m) for m in messages],
            "tools": list(tools) if tools else None,
            "add_generation_prompt": add_generation_prompt,
        }
        self._environment.steps = 0
        try:
            return "".join(_bounded(template.generate(context)))
        except RaisedByTemplate as error:
            raise RequestError(f"the model's chat template refuses: {error.message}", param="messages") from None
        except (TooMuch, RecursionError, MemoryError) as error:
            what = str(error) or type(error).__name__
            raise UnsupportedModel(f"the chat template is out of hand: {what}", where=_line(error), hint=COMPLETIONS) from None
        except Exception as error:  # whatever untrusted code comes upon, with its line
            what = f"{type(error).__name__}: {error}"
            raise RequestError(
                f"the chat template fails on these messages: {what}", where=_line(error), param="messages"
            ) from error

    @cached_property
    def variables(self) -> frozenset[str]:
        """What the template with tools reads from outside; `tools`, `enable_thinking`, ..."""
        parsed = self._environment.parse(self.source_with_tools)
        return frozenset(jinja2.meta.find_undeclared_variables(parsed))

    def _compile(self, source: str) -> jinja2.Template:
        try:
            return self._environment.from_string(source)
        except jinja2.TemplateSyntaxError as error:
            where = f"chat template, line {error.lineno}"
            raise UnsupportedModel(f"the chat template is no Jinja: {error.message}", where=where, hint=COMPLETIONS) from None
        except RecursionError:
            raise UnsupportedModel("the chat template is nested too deeply", where="chat template", hint=COMPLETIONS) from None


COMPLETIONS = "completions (/v1/completions), which take the prompt as it is"


def open_chat_template(format: str, metadata: Mapping[str, Any], special: Mapping[str, str]) -> ChatTemplate | None:
    """A checkpoint's chat template, if it has one. `format` and `metadata` are the Checkpoint's."""
    named = TEMPLATES[format](metadata)
    default = named.get("default")
    return None if default is None else ChatTemplate(default, special, with_tools=named.get("tool_use"))


def _gguf_templates(metadata: Mapping[str, Any]) -> dict[str, str]:
    names = {"default": "tokenizer.chat_template", "tool_use": "tokenizer.chat_template.tool_use"}
    return {name: text for name, key in names.items() if isinstance(text := metadata.get(key), str)}


def _folder_templates(metadata: Mapping[str, Any]) -> dict[str, str]:
    """chat_template.jinja wins over tokenizer_config.json, where it is a text or a list of named texts."""
    found = metadata.get("chat_template") or (metadata.get("tokenizer_config") or {}).get("chat_template")
    if isinstance(found, list):
        return {entry["name"]: entry["template"] for entry in found}
    return {"default": found} if isinstance(found, str) else {}


TEMPLATES = {"gguf": _gguf_templates, "safetensors": _folder_templates}
ROLES = {"developer": "system"}  # OpenAI's newer word, which templates do not know


def template_message(message: Message) -> dict[str, Any]:
    """An OpenAI message as templates expect it: text content as one string, arguments of tool calls as objects."""
    plain = dict(message)
    plain["role"] = ROLES.get(plain.get("role", ""), plain.get("role"))
    content = plain.get("content")
    if isinstance(content, list):
        plain["content"] = "\n".join(part["text"] for part in content)
    elif content is None:
        plain["content"] = ""  # many templates would print None
    if calls := plain.pop("tool_calls", None):  # templates ask whether there is the key
        plain["tool_calls"] = [_template_tool_call(call) for call in calls]
    return plain


def _template_tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = dict(call["function"])
    if isinstance(function.get("arguments"), str):
        try:
            function["arguments"] = json.loads(function["arguments"] or "{}")
        except ValueError as error:
            raise RequestError(f"tool call arguments are no JSON: {error}", param="messages") from None
    return {**call, "function": function}


def _bounded(pieces: Iterable[str]) -> Iterator[str]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > MAX_OUTPUT:
            raise TooMuch(f"more than {MAX_OUTPUT} characters of prompt")
        yield piece


def _line(error: BaseException) -> str:
    """Jinja rewrites tracebacks so that the template's frames carry the template's lines."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return "chat template" if line is None else f"chat template, line {line}"


# --- the sandbox -----------------------------------------------------------------------------------------------------
class Sandbox(ImmutableSandboxedEnvironment):
    """transformers' environment for templates, and limits."""

    intercepted_binops = frozenset(["*", "**", "+", "%"])

    def __init__(self) -> None:
        # Not optimized: constant folding would compute a bomb while compiling, outside the limits.
        extensions: list[type[Extension]] = [LoopControlExtension, GenerationBlock]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions, optimized=False)
        self.steps = 0
        self.filters["tojson"] = to_json
        self.globals.update(raise_exception=raise_exception, strftime_now=strftime_now, namespace=TemplateNamespace)
        del self.globals["lipsum"]

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return Counted().visit(super()._parse(source, name, filename))

    def step(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TooMuch(f"more than {MAX_STEPS} loop turns and macro calls")

    def counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.step()
            yield item

    def joined(self, *parts: Any) -> str:
        texts = [str(p) for p in parts]
        _check_size(sum(map(len, texts)))
        return "".join(texts)

    def small(self, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > MAX_INTEGER_ARGUMENT:
            raise TooMuch(f"the number {value} as an argument")
        return value

    def call(self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            self.small(value)
        receiver = getattr(__obj, "__self__", None)
        if isinstance(receiver, str) and LARGE_NUMBER.search(receiver) and __obj.__name__ in ("format", "format_map"):
            raise TooMuch("a wide field in a format string")
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        CHECK_OPERANDS[operator](left, right)
        return super().call_binop(context, operator, left, right)


class Counted(NodeTransformer):
    """Puts the limits into a template's syntax tree."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _method("counted", [node.iter], node)
        return self._step(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        self.generic_visit(node)
        return self._step(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _method("joined", node.nodes, node)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:
        self.generic_visit(node)
        node.args = [_method("small", [argument], node) for argument in node.args]
        for keyword in node.kwargs:
            keyword.value = _method("small", [keyword.value], node)
        return node

    def _step(self, node: nodes.For | nodes.Macro) -> nodes.Node:
        node.body.insert(0, nodes.ExprStmt(_method("step", [], node)).set_lineno(node.lineno))
        return node


def _method(name: str, arguments: Sequence[nodes.Node], at: nodes.Node) -> nodes.Call:
    call = nodes.Call(nodes.EnvironmentAttribute(name), arguments, [], None, None)
    assert at.environment is not None  # the parser sets it
    call.set_environment(at.environment)
    call.set_lineno(at.lineno)
    return call


def _check_size(size: int) -> None:
    if size > MAX_TEXT:
        raise TooMuch(f"a value of {size} characters or items")


def _check_product(left: Any, right: Any) -> None:
    for value, count in ((left, right), (right, left)):
        if isinstance(value, (str, list, tuple)) and isinstance(count, int):
            _check_size(len(value) * count)
    _check_bits(_bits(left) + _bits(right))


def _check_power(left: Any, right: Any) -> None:
    if isinstance(right, int):
        _check_bits(_bits(left) * abs(right))


def _check_sum(left: Any, right: Any) -> None:
    if isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
        _check_size(len(left) + len(right))


def _check_format(left: Any, right: Any) -> None:
    if isinstance(left, str) and LARGE_NUMBER.search(left):
        raise TooMuch("a wide field in a format string")


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0


def _check_bits(bits: int) -> None:
    if bits > MAX_INTEGER_BITS:
        raise TooMuch(f"a number of {bits} bits")


CHECK_OPERANDS = {"*": _check_product, "**": _check_power, "+": _check_sum, "%": _check_format}


class GenerationBlock(Extension):
    """transformers' `{% generation %}...{% endgeneration %}`, which marks the assistant's text; rendered as what it holds."""

    tags = {"generation"}  # noqa: RUF012  Jinja says it is a set

    def parse(self, parser: jinja2.parser.Parser) -> nodes.Node:
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(lineno)


class TemplateNamespace(Namespace):
    """Jinja's namespace without names that begin with an underscore, which could lead to Python's internals."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *rest = args
        for name in dict(*rest, **kwargs):
            TemplateNamespace._check(name)
        Namespace.__init__(self, *rest, **kwargs)

    def __setitem__(self, name: str, value: Any) -> None:
        TemplateNamespace._check(name)
        Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check(name: Any) -> None:
        if str(name).startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace attribute named {name!r}")


def to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own `tojson` escapes for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message: str) -> None:
    raise RaisedByTemplate(message)


def strftime_now(format: str) -> str:
    _check_format(format, None)
    return datetime.now().strftime(format)
