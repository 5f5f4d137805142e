"""Jinja with a budget: what a chat template from an untrusted file may do, and how much of it.

transformers' environment for templates, in Jinja's own sandbox, whose every operation is charged to a Budget before it makes
anything large: steps (loop turns, calls, items looked at) and bytes made. Limits belong to operations, not to data: a string is
as long as the messages are, and a number is only a limit where it is a count. Knows no messages and no tokens.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.ext import Extension, LoopControlExtension
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import BlockReference, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from fanlight.text.template_budget import HOLDERS, Budget, TooMuch

MAX_SOURCE = 256 << 10  # characters of a template; the longest known has 17 thousand
MAX_PYTHON = 1 << 20  # characters of what Jinja makes of it
MAX_TREE = 100  # nodes within each other: what walks them needs a stack, and a browser's is small
MAX_NODES = 10_000  # of them: the time to compile them is not linear
MAX_EXPRESSION = 1000  # words of it
ENDS = ("block_end", "variable_end", "data")
MAX_COUNT = 100_000  # a width, a precision, a number of items: as large as Jinja's sandbox lets `range` be
MAX_INTEGER_BITS = 4096
SIMPLE = {str, int, float, bool, type(None)}
ITEM_BYTES = 64  # what an item of a list costs at least
# Filters whose work is worth a limit of its own, in characters.
SLOW = {"urlencode": 1 << 16, "wordwrap": 1 << 14, "striptags": 1 << 12, "title": 1 << 17, "wordcount": 1 << 17}
ABSENT = ("pprint", "urlize", "xmlattr")  # filters for web pages, whose work no length bounds
LISTING = ("list", "batch", "slice", "sort", "unique", "map", "select", "reject", "groupby", "join", "random", "min", "max")
SHALLOW = frozenset(  # filters that do not look into the items that they are given
    "length count first last default d items list map select reject selectattr rejectattr reverse batch slice attr random "
    "safe abs float int round".split()
)
AMPLIFIERS = ("replace", "join", "center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map", "translate")
SPLITTERS = ("split", "rsplit", "splitlines")
REFUSED = ("from_bytes", "to_bytes", "striptags", "maketrans")  # methods of no use here, whose work no length bounds


class RaisedByTemplate(jinja2.TemplateError):
    """The template called `raise_exception`."""


class Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["*", "**", "+", "%"])

    def __init__(self) -> None:
        # Not optimized: constant folding would compute a bomb while compiling.
        extensions: list[type[Extension]] = [LoopControlExtension, GenerationBlock]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions, optimized=False)
        self.code_generator_class = Generator
        self.budget = Budget()
        self.filters["tojson"] = to_json
        for name in ABSENT:
            del self.filters[name]
        self.filters = {name: self._charged_filter(name, f) for name, f in self.filters.items()}
        self.tests = {name: self._charged_test(f) for name, f in dict[str, Any](self.tests).items()}
        self.globals.update(raise_exception=raise_exception, strftime_now=strftime_now, namespace=TemplateNamespace)
        del self.globals["lipsum"]

    # --- while compiling
    def compiled(self, source: str) -> jinja2.Template:
        """Raises TooMuch, jinja2.TemplateSyntaxError, or whatever Python thinks of the source."""
        if len(source) > MAX_SOURCE:
            raise TooMuch(f"it has {len(source)} characters; at most {MAX_SOURCE} are read")
        self.budget = Budget()
        return self.from_string(source)

    def _tokenize(self, source: str, name: str | None, filename: str | None = None, state: str | None = None) -> TokenStream:
        stream = super()._tokenize(source, name, filename, state)
        return TokenStream(self._bounded(stream), name, filename)

    def _bounded(self, stream: Iterable[Token]) -> Iterator[Token]:
        """A tree that is as deep as an expression is long takes a stack to free."""
        length = 0
        for token in self.counted(stream):
            length = 0 if token.type in ENDS else length + 1
            if length > MAX_EXPRESSION:
                raise TooMuch(f"an expression of more than {MAX_EXPRESSION} words")
            yield token

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        _check_tree(template)
        return Charged().visit(template)

    # --- while rendering; the names that `Charged` writes into the template
    def step(self) -> None:
        self.budget.step()

    def spend(self, size: int) -> None:
        self.budget.spend(size)

    def counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.budget.step()
            yield item

    def printed(self, value: Any) -> Any:
        self.budget.spend(self.budget.weigh(value))
        return value

    def made(self, value: Any) -> Any:
        """A new list, tuple, dict or slice, of which only the outermost part is new."""
        self.budget.spend(_size(value) if isinstance(value, (str, bytes)) else ITEM_BYTES * (1 + _length(value)))
        return value

    def weighed(self, value: Any) -> Any:
        """A value that is about to be compared or hashed."""
        if type(value) not in SIMPLE:
            self.budget.step(1 + (self.budget.weigh(value) >> 10))
        return value

    def joined(self, *parts: Any) -> str:
        self.budget.spend(sum(map(self.budget.weigh, parts)))
        return "".join(map(str, parts))

    def call(self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        self.budget.step()
        if isinstance(__obj, (Macro, BlockReference, LoopContext)):
            with self.budget.within():
                return super().call(__context, __obj, *args, **kwargs)
        method = getattr(__obj, "__wrapped__", __obj)  # Jinja wraps str.format
        self._check_call(getattr(method, "__name__", ""), getattr(method, "__self__", None), args, kwargs)
        result = super().call(__context, __obj, *args, **kwargs)
        return self.made(result) if isinstance(result, (str, bytes, list, tuple, dict)) else result

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            self._check_printf(left, right)
        elif operator in ("*", "**"):
            self._check_power(operator, left, right)
        elif not isinstance(left, (int, float)):
            self.budget.spend(_size(left) + _size(right))
        return super().call_binop(context, operator, left, right)

    # --- what an operation will make, at most
    def _check_call(self, name: str, receiver: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        weigh, length = self.budget.weigh, _size(receiver)
        values = (*args, *kwargs.values())
        self.budget.step(1 + len(values) + (length >> 10) + (sum(map(weigh, values)) >> 10))
        if name in ("format", "format_map"):
            if isinstance(receiver, str) and LARGE_FIELD.search(receiver):
                raise TooMuch("a wide field in a format string")
            self.budget.spend(length + 2 * receiver.count("{") * max(map(weigh, values), default=0))
        elif name == "replace" and isinstance(receiver, (str, bytes)):
            self._check_replace(receiver, *map(str, values[:2]))
        elif name == "join":
            self._check_join(receiver, args[0] if args else ())
        elif name == "expandtabs":
            self.budget.spend(length + receiver.count("\t") * max(0, *map(_count, values), 8))
        elif name == "translate":
            longest = max(map(weigh, args[0].values()), default=1) if args and isinstance(args[0], dict) else 1
            self.budget.spend(length * max(1, longest))
        elif name in SPLITTERS and isinstance(receiver, (str, bytes)):
            has_separator = values and isinstance(values[0], type(receiver)) and values[0]
            parts = receiver.count(values[0]) if has_separator else len(receiver) // 2
            self.budget.spend(length + ITEM_BYTES * (1 + parts))
        elif name in REFUSED:
            raise TooMuch(f"the method {name}")
        elif name in AMPLIFIERS:
            self.budget.spend(length + sum(map(_count, values)))

    def _check_replace(self, text: Any, old: str = "", new: str = "") -> None:
        count = str(text).count(old) if len(new) > len(old) else 0
        self.budget.spend(len(text) + count * len(new))

    def _check_join(self, separator: Any, items: Any) -> None:
        if hasattr(items, "__len__"):
            self.budget.spend(self.budget.weigh(items) + _size(separator) * len(items))

    def _check_printf(self, pattern: str, values: Any) -> None:
        fields = PRINTF.findall(pattern)
        if any("*" in field or ((digits := DIGITS.findall(field)) and max(map(len, digits)) > 4) for field in fields):
            raise TooMuch("a wide field in a format string")
        times = len(fields) if isinstance(values, Mapping) else 1  # a mapping's value can be asked for again and again
        self.budget.spend(
            len(pattern) + 10_000 * sum(bool(DIGITS.search(f)) for f in fields) + times * self.budget.weigh(values)
        )

    def _check_power(self, operator: str, left: Any, right: Any) -> None:
        if operator == "**":
            bits = _bits(left) * abs(right) if isinstance(left, int) and isinstance(right, int) else 0
        else:
            bits = _bits(left) + _bits(right) if isinstance(left, int) and isinstance(right, int) else 0
            for value, count in ((left, right), (right, left)):
                if isinstance(value, (str, bytes, list, tuple)) and isinstance(count, int):
                    self.budget.spend(_size(value) * max(0, count))
        if bits > MAX_INTEGER_BITS:
            raise TooMuch(f"a number of {bits} bits")

    def _charged_filter(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        first = 1 if getattr(function, "jinja_pass_arg", None) else 0

        @wraps(function)
        def charged(*args: Any, **kwargs: Any) -> Any:
            value, values = args[first] if len(args) > first else None, (*args[first + 1 :], *kwargs.values())
            size = _size(value) >> 4 if name in SHALLOW else self.budget.weigh(value)
            self.budget.spend(size)
            if name in SLOW:
                self.budget.step(size >> 4)
                if size > SLOW[name]:
                    raise TooMuch(f"the filter {name} on {size} characters")
            if isinstance(value, range) or (isinstance(value, str) and name in LISTING):
                self.budget.spend(ITEM_BYTES * _length(value))
            if (check := CHECK_FILTERS.get(name)) is not None:
                check(self, value, values)
            result = function(*args, **kwargs)
            result = list(self.counted(result)) if isinstance(result, Iterator) else result
            return self.made(result) if isinstance(result, (str, bytes, list, tuple, dict)) else result

        return charged

    def _charged_test(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def charged(*args: Any, **kwargs: Any) -> Any:
            if len(args) > 1:
                for value in args:
                    self.weighed(value)
            self.budget.step()
            return function(*args, **kwargs)

        return charged


def _size(value: Any) -> int:
    """Bytes, of the outermost part only."""
    if isinstance(value, str):
        return len(value) * (1 if value.isascii() else 4)
    return len(value) * 8 if isinstance(value, (bytes, list, tuple, dict)) else 0


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (str, bytes, dict, range, *HOLDERS)) else 0


def _count(value: Any) -> int:
    """An argument that may be a number of characters or items."""
    if isinstance(value, int) and abs(value) > MAX_COUNT:
        raise TooMuch(f"the number {value:.6g} as a count")
    return abs(value) if isinstance(value, int) else _size(value)


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0


PRINTF = re.compile(r"%(?:\([^)]*\))?([-#0 +]*[\d*]*(?:\.[\d*]+)?)[hlL]?.", re.S)
DIGITS = re.compile(r"\d+")
LARGE_FIELD = re.compile(r"\d{5,}|\{[^{}]*\{")  # a wide field, or one whose width is itself a field


# --- filters that make more than they are given --------------------------------------------------------------------------
def _widths(sandbox: Sandbox, value: Any, values: Sequence[Any]) -> None:
    sandbox.budget.spend(sum(map(_count, values)))


def _indent(sandbox: Sandbox, value: Any, values: Sequence[Any]) -> None:
    width = _count(values[0]) if values else 4
    lines = str(value).count("\n") + 1 if isinstance(value, str) else 1
    sandbox.budget.spend(lines * width)


def _tojson(sandbox: Sandbox, value: Any, values: Sequence[Any]) -> None:
    depth = max((_count(v) for v in values if not isinstance(v, bool)), default=0)
    if depth:
        sandbox.budget.spend(
            sandbox.budget.weigh(value) // 8 * 8 * depth if depth > 16 else sandbox.budget.weigh(value) * depth
        )


def _replace(sandbox: Sandbox, value: Any, values: Sequence[Any]) -> None:
    sandbox._check_replace(str(value), *map(str, values[:2]))


def _join(sandbox: Sandbox, value: Any, values: Sequence[Any]) -> None:
    sandbox._check_join(values[0] if values else "", value)


def _sum(sandbox: Sandbox, value: Any, values: Sequence[Any]) -> None:
    if any(isinstance(v, (list, tuple)) for v in values):
        raise TooMuch("a sum of lists")


def _int(sandbox: Sandbox, value: Any, values: Sequence[Any]) -> None:
    if isinstance(value, str) and len(value) > MAX_INTEGER_BITS // 4:
        raise TooMuch(f"a number of {len(value)} digits")


def _format(sandbox: Sandbox, value: Any, values: Sequence[Any]) -> None:
    sandbox._check_printf(str(value), dict(enumerate(values)))


CHECK_FILTERS: dict[str, Callable[[Sandbox, Any, Sequence[Any]], None]] = {
    **dict.fromkeys(("center", "batch", "slice", "truncate", "wordwrap", "round"), _widths),
    "int": _int,
    "indent": _indent,
    "tojson": _tojson,
    "replace": _replace,
    "join": _join,
    "sum": _sum,
    "format": _format,
}


# --- the limits, written into a template ---------------------------------------------------------------------------------
class Charged(NodeTransformer):
    """Puts the budget's calls into a template's syntax tree."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _method("counted", [node.iter], node)
        return self._step(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        self.generic_visit(node)
        return self._step(node)

    visit_CallBlock = visit_Block = visit_Macro

    def visit_Output(self, node: nodes.Output) -> nodes.Node | list[nodes.Node]:
        self.generic_visit(node)
        written = sum(len(part.data) for part in node.nodes if isinstance(part, nodes.TemplateData))
        node.nodes = [part if isinstance(part, nodes.TemplateData) else _method("printed", [part], part) for part in node.nodes]
        charge = _method("spend", [nodes.Const(written).set_lineno(node.lineno)], node)
        return [nodes.ExprStmt(charge).set_lineno(node.lineno), node] if written else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _method("joined", node.nodes, node)

    def _made(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        return _method("made", [node], node) if node.items and getattr(node, "ctx", "load") == "load" else node

    visit_List = visit_Tuple = _made

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        for pair in node.items:
            pair.key, pair.value = _method("weighed", [self.visit(pair.key)], node), self.visit(pair.value)
        return _method("made", [node], node) if node.items else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            return _method("made", [node], node)
        if not isinstance(node.arg, nodes.Const):
            node.arg = _method("weighed", [node.arg], node)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.expr, nodes.Const):
            node.expr = _method("weighed", [node.expr], node)
        for operand in node.ops:
            if not isinstance(operand.expr, nodes.Const):
                operand.expr = _method("weighed", [operand.expr], node)
        return node

    def visit_Const(self, node: nodes.Const) -> nodes.Node:
        if _bits(node.value) > MAX_INTEGER_BITS:
            raise TooMuch(f"a number of {_bits(node.value)} bits")
        return node

    def _foreign(self, node: nodes.Node) -> nodes.Node:
        raise jinja2.TemplateSyntaxError("it takes in other files, and there are none", node.lineno)

    visit_Include = visit_Import = visit_FromImport = visit_Extends = _foreign

    def _step(self, node: Any) -> nodes.Node:
        node.body.insert(0, nodes.ExprStmt(_method("step", [], node)).set_lineno(node.lineno))
        return node


def _check_tree(template: nodes.Template) -> None:
    level: list[nodes.Node] = [template]
    count = 0
    for _ in range(MAX_TREE):
        level = [child for node in level for child in node.iter_child_nodes()]
        count += len(level)
        if count > MAX_NODES:
            raise TooMuch(f"it has more than {MAX_NODES} nodes")
        if not level:
            return
    raise RecursionError


def _method(name: str, arguments: Sequence[nodes.Node], at: nodes.Node) -> nodes.Call:
    call = nodes.Call(nodes.EnvironmentAttribute(name), arguments, [], None, None)
    assert at.environment is not None  # the parser sets it
    call.set_environment(at.environment)
    call.set_lineno(at.lineno)
    return call


class Generator(CodeGenerator):
    """Jinja's, on the budget of the compilation."""

    _written = 0

    def write(self, x: str) -> None:
        assert isinstance(self.environment, Sandbox)
        self._written += len(x)
        self.environment.budget.step()
        if self._written > MAX_PYTHON:
            raise TooMuch("it is too large to compile")
        super().write(x)

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:
        """The budget's own calls go straight to it."""
        if not isinstance(node.node, nodes.EnvironmentAttribute):
            super().visit_Call(node, frame, forward_caller=forward_caller)
            return
        self.write(f"environment.{node.node.name}(")
        for argument in node.args:
            self.visit(argument, frame)
            self.write(", ")
        self.write(")")


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

    def __repr__(self) -> str:
        return "<namespace>"  # what it holds may hold itself

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


def raise_exception(message: Any) -> None:
    raise RaisedByTemplate(str(message)[:1000])


def strftime_now(format: str) -> str:
    if len(format) > 256 or any(len(digits) > 2 for digits in DIGITS.findall(format)):
        raise TooMuch("a long time format")
    return datetime.now().strftime(format)
