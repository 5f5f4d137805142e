"""Weights by their Hugging Face names, whatever file they come from.  Makes graph nodes; reads no bytes.

A GGUF file's names are translated here, by the architecture's GGUF_NAMES; behind this border there is one spelling. Rotary
weights are delivered with rotary pairs side by side (row 2i turns with row 2i+1 of a head): GGUF's llama files already are
so, all others are reordered while they are uploaded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fanlight.compiler.graph import Node, Piece, Weight, make
from fanlight.errors import FormatError, MissingWeight
from fanlight.formats.checkpoint import Checkpoint, TensorInfo
from fanlight.formats.quant import QUANT_TYPES

ROTARY = {"q_proj", "k_proj", "q_norm", "k_norm"}


@dataclass(frozen=True, slots=True)
class Names:
    """How an architecture's Hugging Face names read in this checkpoint."""

    checkpoint: Checkpoint
    gguf_names: Mapping[str, str]  # 'model.layers.{i}.mlp.up_proj' -> 'blk.{i}.ffn_up'
    interleaved: bool  # the file's rotary rows are already pair by pair
    head_dim: int

    def in_file(self, name: str) -> str:
        """The file's name of 'model.layers.3.mlp.up_proj.weight'."""
        if self.checkpoint.format != "gguf":
            return name
        stem, _, kind = name.rpartition(".")
        layer = re.search(r"\.(\d+)\.", stem)
        template = re.sub(r"\.\d+\.", ".{i}.", stem, count=1)
        gguf = self.gguf_names.get(template)
        return f"{gguf.replace('{i}', layer[1] if layer else '')}.{kind}" if gguf else f"(no GGUF name for {template})"

    def find(self, name: str) -> TensorInfo | None:
        return self.checkpoint.tensors.get(self.in_file(name))


@dataclass(frozen=True, slots=True)
class Weights:
    """A point in the tree of names: `w['self_attn']['q_proj']`."""

    names: Names
    nodes: dict[str, Node]  # made so far: the same weight is the same node
    name: str = ""

    def __getitem__(self, part: str) -> "Weights":
        return Weights(self.names, self.nodes, f"{self.name}.{part}" if self.name else part)

    def layers(self, count: int) -> list["Weights"]:
        return [self[f"layers.{i}"] for i in range(count)]

    def has(self, kind: str = "weight") -> bool:
        return self.names.find(f"{self.name}.{kind}") is not None

    def weight(self) -> Node:
        """The matrix [rows, cols] under this name."""
        info = self._info("weight")
        if len(info.shape) != 2:
            raise FormatError(f"{info.name} has shape {list(info.shape)}, expected two dimensions", where=self._file(info))
        rows, cols = info.shape
        return self._node(f"{self.name}.weight", Weight(self.name, info.format, rows, cols, (self._piece(info, rows),)))

    def vector(self, kind: str) -> Node:
        """The vector under this name: a norm's weight or a bias. One row a value, so that it is reordered as a matrix is."""
        info = self._info(kind)
        if len(info.shape) != 1 or QUANT_TYPES[info.format].block_elems != 1:
            raise FormatError(
                f"{info.name} is {info.format} {list(info.shape)}, expected an F32, F16 or BF16 vector", where=self._file(info)
            )
        size = info.shape[0]
        return self._node(f"{self.name}.{kind}", Weight(f"{self.name}.{kind}", "F32", size, 1, (self._piece(info, size),)))

    def _info(self, kind: str) -> TensorInfo:
        name = f"{self.name}.{kind}"
        info = self.names.find(name)
        if info is None:
            checkpoint = self.names.checkpoint
            stem = self.name.rpartition(".")[2]
            found = sum(stem in other for other in checkpoint.tensors)
            raise MissingWeight(
                f"the architecture needs '{name}' (in this file '{self.names.in_file(name)}'), which is not there; the file has"
                f" {len(checkpoint.tensors)} tensors, {found} with '{stem}' in their name",
                where=checkpoint.sources[0].name,
                hint="fanlight show tensors MODEL",
            )
        if info.format not in QUANT_TYPES:
            raise FormatError(f"{info.name} has the unsupported format {info.format}", where=self._file(info))
        return info

    def _piece(self, info: TensorInfo, rows: int) -> Piece:
        rotary = self.name.rpartition(".")[2] in ROTARY and not self.names.interleaved
        return Piece(info.source, info.offset, rows, info.format, self.names.head_dim if rotary else 0)

    def _node(self, key: str, weight: Weight) -> Node:
        if key not in self.nodes:
            shape = (weight.rows, weight.cols)
            self.nodes[key] = make("weight", {}, shape, key, weight=weight)
        return self.nodes[key]

    def _file(self, info: TensorInfo) -> str:
        return self.names.checkpoint.sources[info.source].name
