"""Weights by their Hugging Face names, whatever file they come from.  Makes graph nodes; reads no bytes.

A GGUF file's names are translated here, by the architecture's GGUF_NAMES; behind this border there is one spelling. What a
model asks for says its shape, and a tensor of another shape is an error. The same rows of a file, treated alike, are the same
node, under whatever name they are asked for."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fanlight.compiler.graph import Node, Piece, Weight, make
from fanlight.errors import FormatError, MissingWeight, UnsupportedModel
from fanlight.formats.checkpoint import Checkpoint, TensorInfo
from fanlight.formats.layout import Part
from fanlight.formats.quant import QUANT_TYPES

TURNED = {"F32": "turned32", "F16": "turned16", "BF16": "turned16"}


@dataclass(frozen=True, slots=True)
class Names:
    """How an architecture's Hugging Face names read in this checkpoint."""

    checkpoint: Checkpoint
    gguf_names: Mapping[str, str]  # 'model.layers.{i}.mlp.up_proj' -> 'blk.{i}.ffn_up'
    is_paired: bool  # the file's rotary rows are already pair by pair
    folder_names: Mapping[str, str] = field(default_factory=dict)  # likewise, where folders spell them otherwise
    loras: "tuple[LoraNames, ...]" = ()

    @property
    def lora_names(self) -> tuple[str, ...]:
        return tuple(lora.name for lora in self.checkpoint.loras)

    def in_file(self, name: str) -> str:
        """The file's name of 'model.layers.3.mlp.up_proj.weight'."""
        is_gguf = self.checkpoint.format == "gguf"
        if is_gguf and name in self.gguf_names:  # of a tensor that is all of its kind
            return self.gguf_names[name]
        stem, _, kind = name.rpartition(".")
        layer = re.search(r"\.(\d+)\.", stem)
        template = re.sub(r"\.\d+\.", ".{i}.", stem, count=1)
        expert = re.search(r"(?<=\.experts\.)\d+(?=\.)", template)
        template = template.replace(f".experts.{expert[0]}.", ".experts.{e}.") if expert else template
        theirs = (self.gguf_names if is_gguf else self.folder_names).get(template)
        if theirs:
            theirs = theirs.replace("{i}", layer[1] if layer else "").replace("{e}", expert[0] if expert else "")
            other = f"{theirs}.{kind}"
            return name if not is_gguf and name in self.checkpoint.tensors else other
        if not is_gguf:
            if name not in self.checkpoint.tensors and f"{stem}_{kind}" in self.checkpoint.tensors:
                return f"{stem}_{kind}"  # a parameter of the module itself
            bare = name.removeprefix("model.").removeprefix("transformer.")  # of a model that was saved without its head
            return bare if bare in self.checkpoint.tensors and name not in self.checkpoint.tensors else name
        return f"(no GGUF name for {template})"

    def find(self, name: str) -> TensorInfo | None:
        return self.checkpoint.tensors.get(self.in_file(name))

    def file_of(self, info: TensorInfo) -> str:
        return self.checkpoint.sources[info.source].name


@dataclass(frozen=True, slots=True)
class LoraNames:
    """How they read in a LoRA; and what a product of it is multiplied with, by its own names of modules."""

    names: Names
    scales: Mapping[str, float]

    def scale_of(self, name: str) -> float:
        return self.scales[self.names.in_file(f"{name}.lora_a").removesuffix(".lora_a")]


@dataclass(slots=True)
class Made:
    """What was asked for so far: nodes by their content, and the file's names of the tensors behind them."""

    nodes: dict[tuple[Any, ...], Node] = field(default_factory=dict)
    tensors: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Weights:
    """A point in the tree of names: `w['self_attn']['q_proj']`; perhaps some of its rows only, or in another order."""

    names: Names
    made: Made
    name: str = ""
    ranges: tuple[tuple[int, int], ...] = ()  # (first, count) of the tensor's rows; none for all of them
    rows_in_file: int = 0  # where there are ranges
    head_dim: int = 0  # rotary pairs are to lie side by side within each head of so many rows ...
    rotary: int = 0  # ... of which the first so many turn
    has_bias: bool | None = None  # what the configuration says
    phase: int | None = None  # of experts' rows every other, from 0 or 1 on
    is_turned: bool = False  # the file has the matrix transposed
    kind: str = "weight"  # the end of the name of experts' matrices
    folded: tuple[int, ...] = ()  # the sizes that its columns have in the file

    def __getitem__(self, part: str) -> "Weights":
        return Weights(self.names, self.made, f"{self.name}.{part}" if self.name else part)

    def layers(self, count: int, name: str = "layers") -> "list[Weights]":
        return [self[f"{name}.{i}"] for i in range(count)]

    def among(self, names: Iterable[str], part: str) -> "Weights":
        """Under the first of these names that has `part`; under the last where none has."""
        *others, last = names
        return self[next((name for name in others if self[name][part].has()), last)]

    @property
    def is_gguf(self) -> bool:
        return self.names.checkpoint.format == "gguf"

    @property
    def is_folder(self) -> bool:
        """As Hugging Face writes it; not so GGUF files and MLC's shards, whose makers compute some of it beforehand."""
        return self.names.checkpoint.format not in ("gguf", "mlc")

    def has(self, kind: str = "weight") -> bool:
        is_there = self.names.find(f"{self.name}.{kind}") is not None
        if kind != "bias" or self.has_bias is None:
            return is_there
        if is_there and not self.has_bias:
            message = f"{self.names.in_file(f'{self.name}.bias')} is there, and the configuration says that there are no biases"
            raise FormatError(message, where=self.names.checkpoint.sources[0].name)
        return self.has_bias

    def has_number(self, kind: str) -> bool:
        """Whether one number stands beside the matrix under that kind."""
        info = self.names.find(f"{self.name}.{kind}")
        return info is not None and info.shape in ((), (1,))

    @property
    def rounds(self) -> bool:
        """Whether what the matrix is multiplied with is rounded first: BitNet's."""
        info = self.names.find(f"{self.name}.weight")
        return info is not None and info.rounds

    @property
    def number_beside(self) -> str:
        """The name of the number that a matrix's values are to be multiplied with or divided by; none: they are as they are."""
        kinds = ("scale",) if self.is_gguf else ("tensor_scale", "tensor_divisor")
        return next((kind for kind in kinds if self.has_number(kind)), "")

    # --- views ---
    def biased(self, has_bias: bool | None) -> "Weights":
        """With a bias or without, as the configuration says; None: as the file has it."""
        return replace(self, has_bias=has_bias)

    def paired(self, head_dim: int, rotary: int) -> "Weights":
        """To be delivered with rotary pairs side by side: row 2i turns with row 2i+1 of each head, in its first `rotary`
        rows. Files have them so, or as halves (i turns with i + rotary/2), which are reordered while they are uploaded."""
        return replace(self, head_dim=head_dim, rotary=rotary)

    def rows(self, ranges: Iterable[tuple[int, int]], rows_in_file: int) -> "Weights":
        """Some rows, as (first, count), of a tensor of `rows_in_file`."""
        return replace(self, ranges=tuple(ranges), rows_in_file=rows_in_file)

    def grouped(self, kv_heads: int, group: int, head_dim: int) -> "list[Weights]":
        """q, k and v of a tensor that has, for each key head, `group` query heads, then its key, then its value."""
        step = (group + 2) * head_dim
        parts = ((0, group * head_dim), (group * head_dim, head_dim), (step - head_dim, head_dim))
        return [self.rows([(h * step + first, size) for h in range(kv_heads)], kv_heads * step) for first, size in parts]

    def split(self, *sizes: int) -> "list[Weights]":
        """The parts that were stacked into one tensor, by their numbers of rows."""
        return [self.rows([(sum(sizes[:i]), size)], sum(sizes)) for i, size in enumerate(sizes)]

    def alternate(self, phase: int) -> "Weights":
        """Of experts' rows every other, from 0 or 1 on."""
        return replace(self, phase=phase)

    def called(self, kind: str) -> "Weights":
        """Experts' matrices that are no module's `weight`, but a tensor with a name of its own."""
        return replace(self, kind=kind)

    @property
    def whole(self) -> "Weights":
        """All rows, in the file's order."""
        return Weights(self.names, self.made, self.name)

    def bare(self) -> "Weights":
        """Of a tower, whose rows are no sequence's: no LoRA changes it."""
        return replace(self, names=replace(self.names, loras=()))

    def turned(self, in_gguf: bool = False) -> "Weights":
        """A matrix that folders have transposed. in_gguf: GGUF files too."""
        return replace(self, is_turned=in_gguf or not self.is_gguf)

    def convolution(self, channels: int, *sizes: int) -> "Weights":
        """A convolution's weight [rows, channels, *sizes], whose columns are a patch's values; of one size: a square."""
        return replace(self, folded=(channels, *sizes) if len(sizes) > 1 else (channels, *sizes * 2))

    def loras(self) -> "Iterator[tuple[int, Weights, int, float]]":
        """Of those that change this product: number, point in its tree of names, rank, and scale."""
        for number, lora in enumerate(self.names.loras):
            if info := lora.names.find(f"{self.name}.lora_a"):
                yield number, replace(self, names=lora.names, is_turned=False), info.shape[0], lora.scale_of(self.name)

    def over_time(self, channels: int, taps: int) -> "Weights":
        """A convolution's weight [rows, channels, taps], as the matrix that it is of what `unfold` lays side by side."""
        return replace(self, folded=(channels, taps))

    # --- nodes ---
    def matrix(self, rows: int, cols: int, any_order: bool = False, kind: str = "weight") -> Node:
        """The matrix [rows, cols] under this name; of one row perhaps [cols]. any_order: what it is multiplied with is
        `reordered`."""
        rows_in_file = self.rows_in_file or rows
        shape = (cols, rows_in_file) if self.is_turned else (rows_in_file, cols)
        also = [(cols,)] if rows == 1 else [(rows_in_file, *self.folded)] if self.folded else []
        info = self._info(kind, [shape, *also])
        if self.is_turned:
            info = self._turned(info, rows_in_file, cols)
        if not any_order:
            self._check_order(info)
        return self._node(Weight(self.name, info.format, rows, cols, self._pieces(info, rows, cols)))

    def _turned(self, info: TensorInfo, rows: int, cols: int) -> TensorInfo:
        if info.parts or info.format not in TURNED or cols % 32 or rows % 2:
            raise UnsupportedModel(
                f"{info.name} is {info.format} {list(info.shape)}, transposed; expected F32, F16 or BF16, a multiple of 32"
                " by an even number",
                where=self.names.file_of(info),
            )
        part = Part("x", TURNED[info.format], info.source, info.offset, info.num_bytes)
        return replace(info, shape=(rows, cols), parts=(part,), file_rows=rows)

    def of_experts(self, count: int, rows: int, cols: int) -> Node:
        """The matrices [rows, cols] of `count` experts, one below the other: of one tensor under this name [count, rows, cols],
        perhaps each transposed, or [count, rows_in_file, cols] of which the ranges are; or, for '….experts.gate_proj', under
        '….experts.0.gate_proj', '….experts.1.gate_proj' and so on; for 'projections' under 'projections.0' and so on."""
        name = self.name if self.kind == "weight" else f"{self.name}.{self.kind}"
        if self.has(self.kind):
            in_file = self._rows_of_expert(rows)
            info = self._info(self.kind, [(count, cols, in_file) if self.is_turned else (count, in_file, cols)])
            pieces = self._pieces_of_experts(info, count, rows, cols)
        else:
            stem, _, last = self.name.rpartition(".")
            is_last = replace(self, name=f"{self.name}.0").has()
            each = [replace(self, name=f"{self.name}.{i}" if is_last else f"{stem}.{i}.{last}") for i in range(count)]
            infos = [w._info("weight", [(rows, cols)]) for w in each]
            for one in infos:
                self._check_order(one)
            pieces = tuple(piece for w, i in zip(each, infos, strict=True) for piece in w._pieces(i, rows, cols))
            info = infos[0]
            if len({i.format for i in infos}) > 1:
                message = f"{info.name} is {info.format}, and other experts' are not"
                raise FormatError(message, where=self.names.file_of(info))
        return self._node(Weight(name, info.format, count * rows, cols, pieces))

    def bias_of_experts(self, count: int, rows: int, kind: str = "bias") -> Node:
        """The vectors [rows] of `count` experts, one after the other, of one tensor [count, rows], with rows as of_experts'.
        kind: the end of its name."""
        info = self._info(kind, [(count, self._rows_of_expert(rows))])
        pieces = self._pieces_of_experts(info, count, rows, 1)
        return self._node(Weight(f"{self.name}.{kind}", "F32", count * rows, 1, pieces))

    def _rows_of_expert(self, rows: int) -> int:
        """In the file."""
        return self.rows_in_file or (rows if self.phase is None else 2 * rows)

    def _pieces_of_experts(self, info: TensorInfo, count: int, rows: int, cols: int) -> tuple[Piece, ...]:
        if self.is_turned:  # each by itself
            plain, in_file = replace(self, is_turned=False), self._rows_of_expert(rows)
            each = [self._turned(info.rows(e, 1, info.name), in_file, cols) for e in range(count)]
            return tuple(piece for one in each for piece in plain._pieces_of_experts(one, 1, rows, cols))
        if self.phase is not None:
            pieces = replace(self, ranges=((self.phase, count * rows),))._pieces(info, count * rows, cols)
            return tuple(replace(piece, step=2) for piece in pieces)
        if not self.ranges:
            return replace(self, ranges=((0, count * rows),))._pieces(info, count * rows, cols)
        step = self.rows_in_file
        ranges = tuple((e * step + first, size) for e in range(count) for first, size in self.ranges)
        return replace(self, ranges=ranges)._pieces(info, count * rows, cols)

    def _check_order(self, info: TensorInfo) -> None:
        if info.order:
            message = f"{info.name} has its columns in the order of activations, which is read of plain products only"
            raise UnsupportedModel(message, where=self.names.file_of(info), hint="a GGUF file of the same model")

    def reordered(self, x: Node) -> Node:
        """x with its columns as the matrix under this name has them: most have theirs as they are."""
        info = self.names.find(f"{self.name}.weight")
        if info is None or not info.order or len(info.order) != x.shape[1]:
            return x
        key = (x, info.order)
        if key not in self.made.nodes:
            self.made.nodes[key] = make("reorder", {"x": x}, x.shape, self.name, order=info.order)
        return self.made.nodes[key]

    def vector(self, size: int, kind: str = "weight", or_shape: Iterable[tuple[int, ...]] = ()) -> Node:
        """The vector under this name: a norm's weight or a bias. One row a value, so that it is reordered as a matrix is."""
        return self._node(Weight(f"{self.name}.{kind}", "F32", size, 1, self._vector_pieces(size, kind, or_shape)))

    def scalar(self, kind: str) -> Node:
        """One number, [1] or [], as a vector of one."""
        return self._node(Weight(f"{self.name}.{kind}", "F32", 1, 1, self._vector_pieces(1, kind, [()])))

    def vector_of_heads(self, heads: int, size: int) -> Node:
        """A vector [heads*size] that is one tensor [heads, size], or one for each head under the names 0, 1, ..."""
        if self.has():
            pieces = self._vector_pieces(heads * size, "weight", [(heads, size)])
        else:
            each = [replace(self, name=f"{self.name}.{i}") for i in range(heads)]
            pieces = tuple(piece for w in each for piece in w._vector_pieces(size, "weight"))
        return self._node(Weight(f"{self.name}.weight", "F32", heads * size, 1, pieces))

    def vectors(self, size: int, *names: str) -> Node:
        """The vectors [size] under several names here, one after the other."""
        pieces = tuple(piece for name in names for piece in self[name]._vector_pieces(size, "weight"))
        return self._node(Weight(f"{self.name}.{names[0]}.weight", "F32", len(names) * size, 1, pieces))

    def taps(self, channels: int, count: int) -> Node:
        """The taps [channels, 1, count] of a convolution of single channels, as a vector [channels*count]."""
        pieces = self._vector_pieces(channels * count, "weight", [(channels, 1, count), (channels, count)])
        return self._node(Weight(f"{self.name}.weight", "F32", channels * count, 1, pieces))

    def _vector_pieces(self, size: int, kind: str, or_shape: Iterable[tuple[int, ...]] = ()) -> tuple[Piece, ...]:
        rows = self.rows_in_file or size
        also = [(rows, 1)] if len(self.folded) == 2 else []  # a convolution's bias, in GGUF files
        info = self._info(kind, [(rows,), *also, *or_shape])
        if QUANT_TYPES[info.format].block_elems != 1:
            message = f"{info.name} is {info.format}, expected an F32, F16 or BF16 vector"
            raise FormatError(message, where=self.names.file_of(info))
        return self._pieces(info, size, 1)

    def _info(self, kind: str, shapes: list[tuple[int, ...]]) -> TensorInfo:
        name = f"{self.name}.{kind}"
        info = self.names.find(name)
        if info is None:
            raise self._missing(name)
        if info.format not in QUANT_TYPES:
            raise FormatError(f"{info.name} has the unsupported format {info.format}", where=self.names.file_of(info))
        if info.shape not in shapes:
            raise FormatError(
                f"{info.name} is {list(info.shape)}, by the configuration {' or '.join(str(list(s)) for s in shapes)}",
                where=self.names.file_of(info),
                hint="fanlight show config MODEL, and fanlight show tensors MODEL",
            )
        self.made.tensors.add(info.name)
        return info

    def _missing(self, name: str) -> MissingWeight:
        checkpoint = self.names.checkpoint
        stem = self.name.rpartition(".")[2]
        found = sum(stem in other for other in checkpoint.tensors)
        return MissingWeight(
            f"the architecture needs '{name}' (in this file '{self.names.in_file(name)}'), which is not there; the file has"
            f" {len(checkpoint.tensors)} tensors, {found} with '{stem}' in their name",
            where=checkpoint.sources[0].name,
            hint="fanlight show tensors MODEL",
        )

    def _pieces(self, info: TensorInfo, rows: int, cols: int) -> tuple[Piece, ...]:
        ranges = self.ranges or ((0, rows),)
        if sum(count for _, count in ranges) != rows:
            raise ValueError(f"{self.name}: {ranges} are not {rows} rows")
        turned = (0, 0) if self.names.is_paired else (self.head_dim, self.rotary)
        places = info.source, info.offset, rows, info.format, *turned, info.parts, info.first, info.file_rows
        row_bytes = QUANT_TYPES[info.format].num_bytes(cols)
        return tuple(Piece(*places).some(first, count, row_bytes) for first, count in ranges)

    def _node(self, weight: Weight) -> Node:
        content = (weight.format, weight.rows, weight.cols, weight.pieces)
        if content not in self.made.nodes:
            self.made.nodes[content] = make("weight", {}, (weight.rows, weight.cols), weight.name, weight=weight)
        return self.made.nodes[content]
