"""The shapes that are measured: Llama 3's, an encoder's, and some small enough for adapters that a CPU emulates.  Knows no file
format."""

from collections.abc import Iterator
from dataclasses import dataclass

ROPE_THETA = 500_000.0
NORM_EPS = 1e-5
TRAINED_CONTEXT = 131_072


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a Llama, or of a Qwen 3 with experts. `is_tied`: the head is the embedding. ffn: the width of an expert, where
    there are any; a token meets top_k of them."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    is_tied: bool = True
    experts: int = 0
    top_k: int = 0

    @property
    def architecture(self) -> str:
        """GGUF's name."""
        return "qwen3moe" if self.experts else "llama"

    def matrices(self) -> Iterator[tuple[str, int, int]]:
        """(name, rows, columns) of one layer's; every row is an output."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield from (("q", queries, self.hidden), ("k", keys, self.hidden), ("v", keys, self.hidden))
        yield ("o", self.hidden, queries)
        yield from (("gate", self.ffn, self.hidden), ("up", self.ffn, self.hidden), ("down", self.hidden, self.ffn))


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
    "qwen30b-a3b": Shape(48, 2048, 768, 32, 4, 128, 128_256, is_tied=False, experts=128, top_k=8),
    "qwen30b-a3b-24": Shape(24, 2048, 768, 32, 4, 128, 128_256, is_tied=False, experts=128, top_k=8),  # as much as a page gets
    "tiny-experts": Shape(2, 256, 256, 4, 2, 64, 4096, experts=8, top_k=2),
    "tiny": Shape(2, 256, 512, 4, 2, 64, 4096),
}
