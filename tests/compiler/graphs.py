"""Random graphs over all that model files can say: products, norms, maps, rotations, attention of every kind, in any order.

Weights are real bytes, so that a graph can be compiled, loaded and run, and `evaluate` can read the same. One seed makes one
model, whatever the rows of a step."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from fanlight.compiler.graph import Graph, Node, Piece, Weight, make
from fanlight.formats.quant import QUANT_TYPES
from fanlight.formats.source import BytesSource
from fanlight.kernels.case import random_blocks
from fanlight.kernels.expressions import exp, gelu, gelu_tanh, relu, relu_squared, sigmoid, silu, softcap, softplus, tanh
from fanlight.models import layers
from fanlight.models.rope import Rope

VOCAB = 37
ACTIVATIONS = (silu, gelu, gelu_tanh, relu, relu_squared, tanh, sigmoid)


@dataclass
class Book:
    """A file of weights that is written as a graph asks for them."""

    seed: int
    data: bytearray = field(default_factory=bytearray, repr=False)
    numbers: count = field(default_factory=count, repr=False)

    def weight(self, rows: int, cols: int, format: str = "F32", scale: float = 1.0) -> Node:
        rng = np.random.default_rng((self.seed, next(self.numbers)))
        offset = len(self.data)
        if format == "F32":
            self.data += (rng.normal(size=rows * cols) * scale).astype(np.float32).tobytes()
        else:
            self.data += random_blocks(rng, format, rows, cols).tobytes()
        name = f"w{offset}"
        weight = Weight(name, format, rows, cols, (Piece(0, offset, rows, format),))
        return make("weight", {}, (rows, cols), name, weight=weight)

    def matrix(self, rows: int, cols: int, format: str = "F32") -> Node:
        return self.weight(rows, cols, format if cols % QUANT_TYPES[format].block_elems == 0 else "F32", cols**-0.5)

    def vector(self, size: int) -> Node:
        return self.weight(size, 1)

    def source(self) -> BytesSource:
        return BytesSource("weights", bytes(self.data))

    def read(self, weight: Weight) -> np.ndarray:
        """f32 [rows, cols], of stacked and split weights too."""
        q, parts = QUANT_TYPES[weight.format if weight.cols > 1 else "F32"], []
        for piece in weight.pieces:
            size = q.num_bytes(piece.rows * weight.cols)
            raw = np.frombuffer(bytes(self.data[piece.offset : piece.offset + size]), np.uint8)
            parts.append(q.dequantize(raw.reshape(-1, q.block_bytes)).reshape(piece.rows, weight.cols))
        return np.concatenate(parts).astype(np.float64)


class Writer:
    """Draws a model's step, operation by operation. head_unit: heads are 1, 2 or 3 times as wide."""

    def __init__(self, seed: int, rows: int, samples: int, head_unit: int = 8):
        self.chance, self.rows, self.samples, self.head_unit = random.Random(seed), rows, samples, head_unit
        self.others = random.Random(-1 - seed)
        self.book = Book(seed)
        self.format = self.pick("F32", "F16", "Q8_0", "Q4_0")
        self.width = self.pick(20, 32, 64)
        table = self.book.matrix(VOCAB, self.width)
        self.values = [make("embed", {"weight": table}, (rows, self.width), "embed")]
        self.caches: list[Node] = []
        self.num_carried = 0

    def pick(self, *choices: Any) -> Any:
        return self.chance.choice(choices)

    def apart(self, draw: Callable[[], Node]) -> Node:
        """By chances of its own, so that what comes after it in a seed's model stays as it was."""
        chance, self.chance = self.chance, self.others
        made = draw()
        self.chance = chance
        return made

    def value(self) -> Node:
        return self.chance.choice(self.values[-3:])

    def linear(self, x: Node, size: int) -> Node:
        inputs = {"x": x, "weight": self.book.matrix(size, x.shape[1], self.format)}
        if self.pick(False, False, True):
            inputs["bias"] = self.book.vector(size)
        return make("linear", inputs, (x.shape[0], size), f"linear{len(self.book.data)}")

    def norm(self, x: Node, heads: int = 1) -> Node:
        size = x.shape[1] // self.pick(1, heads)
        weight = self.pick(lambda: None, lambda: self.book.vector(size), lambda: 1.0 + self.book.vector(size))()
        if self.pick(True, False):
            return layers.rms_norm(x, weight, 1e-5, heads)
        bias = self.pick(lambda: None, lambda: self.book.vector(size))()
        return layers.layer_norm(x, weight, bias, 1e-5, heads)

    def mlp(self) -> Node:
        x, size = self.norm(self.value()), self.pick(32, 48)
        act = self.pick(*ACTIVATIONS)
        inner = self.linear(x, size)
        gated = self.pick(lambda: act(inner), lambda: act(inner) * self.linear(x, size), lambda: inner)()
        return self.linear(gated, self.width)

    def fused_mlp(self) -> Node:
        """Gate and up in one matrix, as Phi-3 and GLM have them."""
        both = self.linear(self.norm(self.value()), 64)
        return self.linear(silu(layers.columns(both, 0, 32)) * layers.columns(both, 32, 32), self.width)

    def attention(self) -> Node:
        x = self.pick(self.norm, lambda x: x)(self.value())
        kv_heads, d = self.pick(1, 2), self.pick(1, 2, 3) * self.head_unit
        heads = kv_heads * self.pick(1, 3)
        table = Rope(tuple(100.0 ** (-i / 5) for i in range(self.pick(d // 2, d // 4, 0))), self.pick(1.0, 1.25))
        turned = lambda y, n: layers.rope(y, n, table) if table.inv_freq else y  # noqa: E731
        normed = self.pick(lambda y, n: y, lambda y, n: layers.rms_norm(y, self.book.vector(d), 1e-6, n), self.norm)
        options = {
            "window": self.pick(None, 2, 5),
            "scale": self.pick(None, 0.3),
            "cap": self.pick(None, None, 2.0),
            "sinks": self.pick(lambda: None, lambda: None, lambda: self.book.vector(heads))(),
            "slopes": self.pick((), (), layers.alibi_slopes(heads)),
        }
        q = turned(normed(self.linear(x, heads * d), heads), heads)
        if table.inv_freq and heads == 3:
            q = layers.rope(q, heads, table, (0.5, 3))
        fitting = [c for c in self.caches if (c.attrs["kv_heads"], c.attrs["head_dim"]) == (kv_heads, d)]
        if fitting and self.pick(True, False):
            cache = fitting[-1]  # another layer's
        else:
            k = turned(normed(self.linear(x, kv_heads * d), kv_heads), kv_heads)
            v = self.linear(x, kv_heads * self.pick(d, d, d + self.head_unit))
            cache = layers.append(k, v, len(self.caches), kv_heads)
            self.caches.append(cache)
        return self.linear(layers.attend_to(q, cache, heads, **options), self.width)

    def convolution(self) -> Node:
        """Of a value, or of some columns of a product; gated, or as it is."""
        both, taps = self.linear(self.norm(self.value()), 2 * self.width), self.pick(2, 3, 4)
        x = self.pick(lambda: self.value(), lambda: layers.columns(both, self.width, self.width))()
        attrs = {"layer": self.num_carried, "taps": taps}
        self.num_carried += 1
        y = make("convolve", {"x": x, "weight": self.book.vector(self.width * taps)}, x.shape, "convolve", **attrs)
        y = self.pick(lambda: y, lambda: silu(y), lambda: self.linear(layers.columns(both, 0, self.width) * y, self.width))()
        y = y + self.apart(self.delta) if self.others.random() < 0.5 else y
        y = y + self.apart(self.scan) if self.others.random() < 0.5 else y
        return y + self.apart(self.wkv) if self.others.random() < 0.5 else y

    def delta(self) -> Node:
        """With gates or without; its rates as a model makes them, or as products are."""
        x, key_heads, d, dv = self.norm(self.value()), self.pick(1, 2), self.pick(4, 12), self.pick(8, 20)
        heads, is_dealt, attrs = key_heads * self.pick(1, 3), self.pick(False, True), {"layer": self.num_carried, "taps": 3}
        rate, vectors = self.linear(x, heads), [self.book.vector(heads) for _ in "ab"]
        decay = self.pick(exp(-exp(vectors[0]) * softplus(rate + vectors[1])), sigmoid(rate))
        beta = self.pick(sigmoid(self.linear(x, heads)), self.linear(x, heads))
        y = self.linear(x, 2 * key_heads * d + heads * dv)
        if self.pick(True, False):
            y = silu(make("convolve", {"x": y, "weight": self.book.vector(y.shape[1] * 3)}, y.shape, "convolve", **attrs))
        y = layers.delta(y, decay, beta, self.num_carried, key_heads, d, 1e-6, is_dealt)
        self.num_carried += 1
        if self.pick(True, False):
            y = layers.rms_norm(y, self.book.vector(dv), 1e-6, heads) * silu(self.linear(x, heads * dv))
        return self.linear(y, self.width)

    def scan(self) -> Node:
        """Of some columns of a product, or of values of its own; a head, or a channel, decays by one number or by several."""
        groups, states = self.pick(1, 2), self.pick(3, 8, 20)
        heads = groups * self.pick(1, 2)
        heads = self.width if self.pick(False, True) else heads
        both, dt = self.linear(self.norm(self.value()), self.width + 2 * groups * states), self.linear(self.value(), heads)
        x, bc = layers.columns(both, 0, self.width), layers.columns(both, self.width, 2 * groups * states)
        if self.pick(False, True):
            x, bc = silu(x), self.norm(bc)
        a = self.book.vector(heads * self.pick(1, states))
        made = layers.scan(x, softplus(dt), bc, a, self.book.vector(heads), self.num_carried, groups, is_log=True)
        self.num_carried += 1
        return self.pick(lambda: made, lambda: silu(made) * self.value())()

    def wkv(self) -> Node:
        """Of rows mixed with the ones before them; its results side by side."""
        x, heads, d = self.norm(self.value()), self.pick(1, 2), self.pick(4, 12)
        before, size = layers.shift(x, self.num_carried), heads * d
        r, k, v, w, a = (self.linear(x + (before - x) * self.book.vector(self.width), size) for _ in "rkvwa")
        kappa = layers.rms_norm(k * self.book.vector(size), None, 1e-6, heads) * d**-0.5
        rb = layers.pick(r, range(2 * size), also=r * self.book.vector(size))
        ka = layers.pick(kappa, range(2 * size), also=sigmoid(a))
        both = layers.wkv(rb, exp(sigmoid(w) * -0.6), k, v, ka, self.num_carried, heads)
        self.num_carried += 1
        y = layers.layer_norm(layers.columns(both, 0, size), self.book.vector(size), None, 1e-4, heads)
        return self.linear(y + layers.columns(both, size, size), self.width)

    def streams(self) -> Node:
        """Of several values side by side, mixed by numbers of each row; sizes taken from another's."""
        count, x = self.pick(2, 3), self.norm(self.value())
        x = layers.pick(x, range(2 * self.width), also=self.value())
        made = layers.blend(x, tanh(self.linear(self.value(), 2 * count)), count, self.pick(None, self.value()))
        made = self.pick(lambda: made, lambda: layers.rescale(made, self.value(), count, least=self.pick(1e-3, 2.0)))()
        y = layers.columns(made, self.width, self.width)
        y = self.pick(lambda: gelu(y), lambda: layers.rescale(relu(self.norm(y) - 0.5), y, kind="deviation"))()
        return y + layers.columns(made, 0, self.width)

    def bidirectional(self) -> Node:
        x, d = self.value(), 8
        q, k, v = (self.linear(x, n * d) for n in (4, 2, 2))
        causal = self.pick(False, True)
        return self.linear(layers.attend_all(q, k, v, 4, 2, self.pick(None, 4), causal=causal), self.width)

    def arithmetic(self) -> Node:
        x, y = self.value(), self.value()
        return self.pick(
            lambda: x * 0.5 + y,
            lambda: x - y / 3.0,
            lambda: softcap(x, 4.0),
            lambda: x * self.book.vector(self.width) + self.book.vector(self.width),
            lambda: self.apart(self.streams) + gelu(x) * y,
            lambda: self.norm(x) + y,
            lambda: self.backwards(self.pick(x, self.linear(self.backwards(y), self.width))),
        )()

    def backwards(self, x: Node) -> Node:
        return make("reorder", {"x": x}, x.shape, order=tuple(range(x.shape[1] - 1, -1, -1)))

    def step(self) -> None:
        kinds = self.mlp, self.fused_mlp, self.attention, self.attention, self.bidirectional, self.arithmetic, self.convolution
        made = self.pick(*kinds)()
        if self.pick(False, False, True):
            made = self.norm(made)
        self.values.append(self.pick(lambda: self.value() + made, lambda: self.value() + made * 0.3, lambda: made)())

    def graph(self, steps: int) -> Graph:
        for _ in range(steps):
            self.step()
        x = self.values[-1]
        if not self.samples:
            return Graph(layers.finish_rows(x), self.rows, 0)
        x = self.norm(layers.pool(x, self.samples, self.pick("last", "last", "last", "mean", "cls")))
        logits = self.linear(x, VOCAB)
        logits = self.pick(lambda: logits, lambda: logits * 0.25, lambda: softcap(logits, 3.0))()
        return Graph(layers.sample(logits), self.rows, self.samples)


def random_graph(seed: int, rows: int, samples: int, steps: int = 4, head_unit: int = 8) -> tuple[Graph, Book]:
    writer = Writer(seed, rows, samples, head_unit)
    return writer.graph(steps), writer.book


@dataclass(frozen=True)
class RandomConfig:
    model_type: str = "random"
    vocab_size: int = VOCAB
    max_position_embeddings: int = 4096


@dataclass(frozen=True)
class RandomModel:
    """What `compile` takes."""

    seed: int
    steps: int = 4
    config: RandomConfig = RandomConfig()
    pooling: None = None
    head_unit: int = 8
    hearing: None = None

    def sound_graph(self) -> None:
        """It does not hear."""

    def image_graph(self) -> None:
        """It does not see."""

    def graph(self, rows: int, samples: int, context_length: int) -> Graph:
        return random_graph(self.seed, rows, samples, self.steps, self.head_unit)[0]

    def book(self) -> Book:
        return random_graph(self.seed, 1, 1, self.steps, self.head_unit)[1]
