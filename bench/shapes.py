"""The shapes that are measured: Llama 3's, an encoder's, and some small enough for adapters that a CPU emulates.  Knows no file
format."""

from collections.abc import Iterator
from dataclasses import dataclass

ROPE_THETA = 500_000.0
NORM_EPS = 1e-5
TRAINED_CONTEXT = 131_072


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a Llama. `is_tied`: the head is the embedding."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    is_tied: bool = True

    def matrices(self) -> Iterator[tuple[str, int, int]]:
        """(name, rows, columns) of one layer's; every row is an output."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield from (("q", queries, self.hidden), ("k", keys, self.hidden), ("v", keys, self.hidden))
        yield from (("o", self.hidden, queries), ("gate", self.ffn, self.hidden), ("up", self.ffn, self.hidden))
        yield ("down", self.hidden, self.ffn)


@dataclass(frozen=True, slots=True)
class Encoder:
    """Sizes of a BERT."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    vocab: int
    positions: int = 512

    def matrices(self) -> Iterator[tuple[str, int, int]]:
        """(name in GGUF, rows, columns) of one layer's."""
        yield from ((f"attn_{part}", self.hidden, self.hidden) for part in ("q", "k", "v", "output"))
        yield from (("ffn_up", self.ffn, self.hidden), ("ffn_down", self.hidden, self.ffn))


ENCODERS = {"minilm": Encoder(6, 384, 1536, 12, 30_522), "tiny-encoder": Encoder(2, 64, 128, 4, 2000)}
SHAPES = {
    "llama1b": Shape(16, 2048, 8192, 32, 8, 64, 128_256),
    "llama3b": Shape(28, 3072, 8192, 24, 8, 128, 128_256),
    "llama8b": Shape(32, 4096, 14_336, 32, 8, 128, 128_256, is_tied=False),
    "tiny": Shape(2, 256, 512, 4, 2, 64, 4096),
}
