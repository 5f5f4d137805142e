"""What select.py makes: launches whose operands have no place yet, and the names of what they read and write.

Operands are names: `value:<n>` is a node's result, `weight:<n>` a packed weight, `constant:<n>` a table that was computed,
anything else a buffer of the Program."""

import struct
from dataclasses import dataclass, field

from fanlight.compiler.graph import Node, Weight
from fanlight.compiler.products import source, stride
from fanlight.compiler.program import MAX_DECODE_ROWS, WINDOW_TABLE
from fanlight.compiler.states import kv_buffer
from fanlight.compiler.target import Target
from fanlight.kernels import linear
from fanlight.kernels.spec import Kernel

Grid = tuple[int, int, int]
Operands = dict[str, str]  # binding -> operand


@dataclass(frozen=True, slots=True)
class Draft:
    """A launch whose operands have no place yet."""

    kernel: Kernel
    operands: Operands
    grid: Grid
    where: str
    only_for: str = ""  # program.Launch


@dataclass(slots=True)
class Selection:
    """The launches of one step in order, the bytes of its values, and what they read."""

    target: Target
    drafts: list[Draft] = field(default_factory=list)
    value_bytes: dict[str, int] = field(default_factory=dict)
    weights: dict[Weight, str] = field(default_factory=dict)
    constants: dict[bytes, str] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)

    def value(self, node: Node, part: str = "", num_bytes: int | None = None) -> str:
        """The operand of (a part of) the node's result. num_bytes: where it is made."""
        node, _ = source(node)
        if node.attrs.get("form") == "logits":
            return "logits"
        if node.op == "merge" or (node.op == "put_images" and not is_put(node)):
            return self.value(node["x"], part)
        if node.op == "part":
            return self.value(node["x"], part or node.attrs["which"])
        name = f"{self.names[node]}.{part}" if part else self.names[node]
        if num_bytes is not None:
            self.value_bytes[name] = num_bytes
        return name

    def result(self, node: Node) -> Operands:
        """A new f32 value, or the logits."""
        return {"y": self.value(node, "", None if node.attrs.get("form") == "logits" else 4 * node.shape[0] * stride(node))}

    def int8x32(self, node: Node, part: str = "") -> Operands:
        """A new value of integers, 32 to a scale."""
        rows, k = node.shape
        xq = self.value(node, f"{part}int8", rows * k)
        return {"xq": xq, "xd": self.value(node, f"{part}scales", rows * k // 8)}

    def read_int8x32(self, node: Node) -> Operands:
        part = "normed." if node.op == "part" else ""
        node = node["x"] if node.op == "part" else node
        return {"xq": self.value(node, f"{part}int8"), "xd": self.value(node, f"{part}scales")}

    def weight(self, node: Node) -> str:
        return self.weights.setdefault(node.attrs["weight"], f"weight:{len(self.weights)}")

    def packed(self, node: Node) -> Operands:
        """All that kernels read of a matrix."""
        name = self.weight(node)
        constants = linear.constant_contents(node.attrs["weight"].format)
        return {"w": name, "s": name} | {binding: self.constant(data) for binding, data in constants.items()}

    def constant(self, data: bytes) -> str:
        """The operand of a table, one for all that have the same content."""
        return self.constants.setdefault(data, f"constant:{len(self.constants)}")

    def table(self, values: tuple[float, ...]) -> str:
        """The operand of f32."""
        return self.constant(struct.pack(f"<{max(len(values), 1)}f", *(values or (0.0,))))

    def fused(self, node: Node, slot: str) -> Operands:
        """What a node's fused expression reads."""
        return {f"{slot}{i}": self.weight(n) if n.op == "weight" else self.value(n) for i, n in enumerate(node.list(slot))}

    def cache(self, node: Node) -> Operands:
        """Of the layer that the node keeps or reads."""
        layer = node.attrs["layer"]
        return {"kv": kv_buffer(layer), "block_table": WINDOW_TABLE if layer in self.target.windowed else "block_table"}

    def draft(self, node: Node, kernel: Kernel, operands: Operands, grid: Grid, only_for: str = "") -> None:
        """operands: at least those of the kernel's bindings."""
        operands = operands | {"inputs": "inputs"}
        operands = {binding.name: operands[binding.name] for binding in kernel.bindings}
        self.drafts.append(Draft(kernel, operands, grid, f"{node.name} {node.where}".strip(), only_for))


def is_put(node: Node) -> bool:
    """Whether a launch puts rows of pictures in: steps that decode have none."""
    return node.shape[0] > MAX_DECODE_ROWS or node["x"].op == "slice"
