"""What a shader's text asks of an adapter: threads of a workgroup and bytes of workgroup memory.

Sizes in our kernels are constant expressions of their own constants, so a small evaluator suffices. Every workgroup variable of
the text is counted; WGSL counts those that `main` uses, which may be fewer.  https://www.w3.org/TR/WGSL/#alignment-and-size"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

Number = int | float
Size = tuple[int, int]  # bytes, alignment

CONST = re.compile(r"^\s*const\s+(\w+)\s*(?::[^=]*)?=\s*(.+?);", re.M)
ALIAS = re.compile(r"^\s*alias\s+(\w+)\s*=\s*(.+?);", re.M)
STRUCT = re.compile(r"^\s*struct\s+(\w+)\s*\{(.*?)\}", re.M | re.S)
VARIABLE = re.compile(r"\bvar<workgroup>\s+\w+\s*:\s*(.+?);")
WORKGROUP_SIZE = re.compile(r"@workgroup_size\(([^)]*)\)")
COMMENT = re.compile(r"//[^\n]*")
SUFFIX = re.compile(r"\b(0x[0-9a-fA-F]+|\d+)[ui]\b|\b([\d.]+)[fh]\b")

SCALARS = {"f32": 4, "u32": 4, "i32": 4, "f16": 2, "bool": 4}
SHORT = {"f": "f32", "u": "u32", "i": "i32", "h": "f16"}  # vec4f
BINARY = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: a // b if isinstance(a, int) and isinstance(b, int) else a / b,
    ast.Mod: operator.mod,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
COMPARE = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
CALLS: dict[str, Callable[..., Number]] = {
    "min": min,
    "max": max,
    "u32": int,
    "i32": int,
    "f32": float,
    "select": lambda no, yes, which: yes if which else no,
}


@dataclass(frozen=True, slots=True)
class Needs:
    """Of one shader."""

    workgroup_size: tuple[int, int, int]
    workgroup_bytes: int

    @property
    def num_invocations(self) -> int:
        x, y, z = self.workgroup_size
        return x * y * z


@cache
def needs_of(wgsl: str) -> Needs:
    """Raises ValueError where a size is not understood."""
    text = COMMENT.sub("", wgsl)
    constants = _constants(text)
    types = _Types(text, constants)
    sizes = WORKGROUP_SIZE.search(text)
    if sizes is None:
        raise ValueError("no @workgroup_size")
    x, y, z, *_ = (*(int(_evaluate(part, constants)) for part in sizes[1].split(",") if part.strip()), 1, 1, 1)
    num_bytes = sum(_round_up(types.size(type)[0], 16) for type in VARIABLE.findall(text))
    return Needs((x, y, z), num_bytes)


def _constants(text: str) -> dict[str, Number]:
    """Those that are numbers; in any order, as WGSL has it."""
    waiting: dict[str, str] = dict(CONST.findall(text))
    found: dict[str, Number] = {}
    while waiting:
        known = {}
        for name, expression in waiting.items():
            try:
                known[name] = _evaluate(expression, found)
            except ValueError:
                continue
        if not known:
            return found
        found |= known
        waiting = {name: e for name, e in waiting.items() if name not in known}
    return found


def _evaluate(expression: str, constants: Mapping[str, Number]) -> Number:
    python = SUFFIX.sub(lambda m: m[1] or m[2], expression).replace("true", "True").replace("false", "False")
    try:
        return _value(ast.parse(python.strip(), mode="eval").body, constants)
    except (SyntaxError, KeyError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"not a constant that is understood: {expression} ({error})") from None


def _value(node: ast.expr, constants: Mapping[str, Number]) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name):
            return constants[name]
        case ast.BinOp(left=left, op=op, right=right):
            return BINARY[type(op)](_value(left, constants), _value(right, constants))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, constants)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return COMPARE[type(op)](_value(left, constants), _value(right, constants))
        case ast.Call(func=ast.Name(id=name), args=args):
            return CALLS[name](*(_value(arg, constants) for arg in args))
    raise KeyError(ast.dump(node))


class _Types:
    """Sizes of a text's types."""

    def __init__(self, text: str, constants: Mapping[str, Number]):
        self.constants = constants
        self.aliases = dict(ALIAS.findall(text))
        self.structs = dict(STRUCT.findall(text))

    def size(self, type: str) -> Size:
        type = type.strip()
        name, _, rest = type.partition("<")
        inner = _arguments(rest.removesuffix(">")) if rest else []
        if type in SCALARS:
            return SCALARS[type], SCALARS[type]
        if name == "buffer":
            return int(_evaluate(inner[0], self.constants)), 16
        if name == "atomic":
            return self.size(inner[0])
        if name == "array":
            return self._array(inner[0], int(_evaluate(inner[1], self.constants)))
        if shape := re.fullmatch(r"vec([234])([fuih]?)", name):
            return self._vector(int(shape[1]), SHORT.get(shape[2]) or inner[0])
        if shape := re.fullmatch(r"mat([234])x([234])([fh]?)", name):
            column = f"vec{shape[2]}<{SHORT.get(shape[3]) or inner[0]}>"
            return self._array(column, int(shape[1]))
        if type in self.aliases:
            return self.size(self.aliases[type])
        if type in self.structs:
            return self._struct(self.structs[type])
        raise ValueError(f"unknown type {type}")

    def _vector(self, count: int, scalar: str) -> Size:
        size = self.size(scalar)[0]
        return count * size, size * (2 if count == 2 else 4)

    def _array(self, element: str, count: int) -> Size:
        size, align = self.size(element)
        return count * _round_up(size, align), align

    def _struct(self, members: str) -> Size:
        end, widest = 0, 1
        for member in _arguments(members):
            size, align = self.size(member.partition(":")[2])
            end, widest = _round_up(end, align) + size, max(widest, align)
        return _round_up(end, widest), widest


def _arguments(text: str) -> list[str]:
    """Parts between commas that no bracket encloses."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def _round_up(a: int, multiple: int) -> int:
    return -(-a // multiple) * multiple
