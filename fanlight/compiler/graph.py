"""The graph of one step: nodes with operations and shapes, no storage and no kernels.

A Node is immutable; a Graph is its root (everything else hangs on `inputs`), so a pass is a function from root to root.
Shapes are concrete: a graph is built for T rows and B samples. Rows are tokens; what sequence and position a row has is known
only when the step runs (kernels/inputs.py). Every node keeps the file and line of the model code that made it. Python's
operators on nodes make `map` nodes, which hold an expression (kernels/expressions.py)."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fanlight.formats.layout import Part
from fanlight.kernels.expressions import Arithmetic, Expr, argument

NO_ATTRS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Node(Arithmetic):
    """One operation. `slots` names the inputs ('x', 'weight', ...); `shape` is the result's, rows first. A vector of a
    model's (a norm's weight, a bias) has the shape (size, 1)."""

    op: str
    slots: tuple[str, ...]
    inputs: tuple["Node", ...]
    shape: tuple[int, ...]
    attrs: Mapping[str, Any] = field(default_factory=lambda: NO_ATTRS)
    name: str = ""  # 'model.layers.3.mlp.down_proj'
    where: str = ""  # 'llama.py:41'

    @staticmethod
    def combined(op: str, *args: Any) -> "Node":
        nodes = tuple(dict.fromkeys(arg for arg in args if isinstance(arg, Node)))
        expr = Expr.combined(op, *(argument(nodes.index(arg)) if isinstance(arg, Node) else arg for arg in args))
        return make_map(expr, nodes)

    @property
    def is_vector(self) -> bool:
        """Whether this is a vector of the model's, or made of such alone."""
        return self.shape[1:] == (1,) and (self.op == "weight" or (self.op == "map" and all(n.is_vector for n in self.inputs)))

    def list(self, slot: str) -> tuple["Node", ...]:
        """The inputs in slot0, slot1, ..."""
        return tuple(n for s, n in zip(self.slots, self.inputs, strict=True) if s.rstrip("0123456789") == slot and s != slot)

    def get(self, slot: str) -> "Node | None":
        return self.inputs[self.slots.index(slot)] if slot in self.slots else None

    def __getitem__(self, slot: str) -> "Node":
        return self.inputs[self.slots.index(slot)]

    def reading(self, inputs: tuple["Node", ...]) -> "Node":
        """A copy with other inputs in the same slots."""
        return Node(self.op, self.slots, inputs, self.shape, self.attrs, self.name, self.where)

    def with_(self, inputs: Mapping[str, "Node"] | None = None, **changes: Any) -> "Node":
        """A copy with inputs added or replaced, and fields or attributes (`attrs={...}` is merged) changed."""
        merged = dict(zip(self.slots, self.inputs, strict=True)) | dict(inputs or {})
        attrs = MappingProxyType({**self.attrs, **changes.pop("attrs", {})})
        made = Node(self.op, tuple(merged), tuple(merged.values()), self.shape, attrs, self.name, self.where)
        return replace(made, **changes) if changes else made


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a weight as they lie in a model file, possibly to be reordered."""

    source: int  # index of the file
    offset: int  # bytes, absolute in it
    rows: int
    format: str
    head_dim: int = 0  # where rotary pairs are to lie side by side: within each head ...
    rotary: int = 0  # ... row c*R/2+i of the file becomes row 2i+c, of the first R; those after them stay
    parts: tuple[Part, ...] = ()  # where the fields of its blocks lie apart; then it begins at row ...
    first: int = 0
    file_rows: int = 0  # ... of so many
    step: int = 1  # from a row to the next in the file

    def some(self, first: int, rows: int, row_bytes: int) -> "Piece":
        """Rows from the first-th on."""
        first *= self.step
        if self.parts:
            return replace(self, rows=rows, first=self.first + first)
        return replace(self, rows=rows, offset=self.offset + first * row_bytes)


@dataclass(frozen=True, slots=True)
class Weight:
    """A matrix [rows, cols] in one of the formats of formats/quant.py, or a vector [rows, 1] that becomes F32; pieces stacked
    by rows. A matrix's pieces all have its format."""

    name: str
    format: str
    rows: int
    cols: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    root: Node
    rows: int
    samples: int

    def __repr__(self) -> str:
        return f"Graph of {self.rows} rows and {self.samples} samples:\n{print_graph(self)}"

    def nodes(self) -> tuple[Node, ...]:
        """Inputs before users, the order in which the model made them."""
        return _in_order(self.root)

    def users(self) -> dict[Node, list[Node]]:
        """By node; once for each input that it is."""
        users: dict[Node, list[Node]] = {node: [] for node in self.nodes()}
        for node in users:
            for source in node.inputs:
                users[source].append(node)
        return users

    def resized(self, rows: int, samples: int) -> "Graph":
        """The same for other numbers of rows."""
        if (rows, samples) == (self.rows, self.samples):
            return self
        heights = {0: 0, self.samples: samples, self.rows: rows}  # (`finish` has none)

        def rule(node: Node, old: Node) -> Node:
            if node.op == "weight" or node.is_vector:
                return node
            shape = (heights[node.shape[0]], *node.shape[1:])
            return Node(node.op, node.slots, node.inputs, shape, node.attrs, node.name, node.where)

        return replace(rewrite(self, rule), rows=rows, samples=samples)

    def has(self, *ops: str) -> bool:
        return not _ops(self.root).isdisjoint(ops)


@lru_cache(maxsize=32)
def _in_order(root: Node) -> tuple[Node, ...]:
    return tuple(_walk(root))


@lru_cache(maxsize=32)
def _ops(root: Node) -> frozenset[str]:
    return frozenset(node.op for node in _in_order(root))


def _walk(root: Node) -> Iterator[Node]:
    # An explicit stack: a model of 80 layers is deeper than Python's recursion limit.
    seen = {root}
    stack = [(root, iter(root.inputs))]
    while stack:
        node, waiting = stack[-1]
        for source in waiting:
            if source not in seen:
                seen.add(source)
                stack.append((source, iter(source.inputs)))
                break
        else:
            stack.pop()
            yield node


def make(op: str, inputs: Mapping[str, Node], shape: tuple[int, ...], name: str = "", **attrs: Any) -> Node:
    return Node(op, tuple(inputs), tuple(inputs.values()), shape, MappingProxyType(attrs), name, _model_line())


def make_map(expr: Expr, nodes: tuple[Node, ...]) -> Node:
    """The expression over nodes of one shape and over vectors: a value to a column, again and again where there are more
    columns."""
    shapes = [n.shape for n in nodes if not n.is_vector] or [n.shape for n in nodes]
    is_vector = all(n.is_vector for n in nodes)
    kinds = tuple("column" if n.is_vector and not is_vector else "element" for n in nodes)
    columns = shapes[0][1]
    if len(set(shapes)) != 1 or any(k == "column" and columns % n.shape[0] for k, n in zip(kinds, nodes, strict=True)):
        raise ValueError(f"{expr} of the shapes {[n.shape for n in nodes]}: they do not go together")
    return make("map", {f"in{i}": n for i, n in enumerate(nodes)}, shapes[0], expr=expr, kinds=kinds)


def part(node: Node, which: str, shape: tuple[int, ...], **attrs: str) -> Node:
    """One of a node's several results."""
    return replace(make("part", {"x": node}, shape, node.name, which=which, **attrs), where=node.where)


def _model_line() -> str:
    """The nearest caller outside this file and the words of models: the line of the model."""
    frame = sys._getframe(2)
    while frame.f_back and _file_name(frame.f_code.co_filename) in ("graph.py", "layers.py", "expressions.py"):
        frame = frame.f_back
    return f"{_file_name(frame.f_code.co_filename)}:{frame.f_lineno}"


@lru_cache(maxsize=256)
def _file_name(path: str) -> str:
    return Path(path).name


def rewrite(graph: Graph, rule: Callable[[Node, Node], Node], *ops: str) -> Graph:
    """The graph with `rule(node, old)` applied to every node, or to those of some operations, inputs first: `old` stands in the
    graph, `node` is it with what became of its inputs. Nodes that nothing changed stay the same objects."""
    if ops and not graph.has(*ops):
        return graph
    new: dict[Node, Node] = {}
    changed = False
    for old in graph.nodes():
        node = old
        if changed and old.inputs:
            inputs = tuple([new[source] for source in old.inputs])
            node = old if inputs == old.inputs else old.reading(inputs)
        if not ops or old.op in ops:
            node = rule(node, old)
        new[old] = node
        changed = changed or node is not old
    return replace(graph, root=new[graph.root])


def print_graph(graph: Graph) -> str:
    """One line a node, as `fanlight show graph` prints it."""
    names = {id(node): f"%{i}" for i, node in enumerate(graph.nodes())}
    lines = []
    for node in graph.nodes():
        inputs = " ".join(f"{s}={names[id(n)]}" for s, n in zip(node.slots, node.inputs, strict=True))
        attrs = " ".join(f"{k}={_show(v)}" for k, v in node.attrs.items())
        shape = "x".join(map(str, node.shape))
        lines.append(f"{names[id(node)]:>5} {node.op:<10} [{shape}] {inputs} {attrs}  # {node.name} {node.where}".rstrip())
    return "\n".join(lines)


def _show(value: object) -> str:
    if isinstance(value, Weight):
        return f"{value.format}[{value.rows},{value.cols}]"
    if isinstance(value, tuple) and len(value) > 6:
        return f"({len(value)} values)"
    return str(value)
