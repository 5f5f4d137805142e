"""The same encoders for Transformers.js: an ONNX graph of plain operators, as exporters make it of BERT, in f32 and in f16.
Needs NumPy and onnx."""

import json
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from bench.random_encoder import EPS, PAD, tokenizer_json
from bench.shapes import ENCODERS, Encoder

FILES = {"model.onnx": np.float32, "model_fp16.onnx": np.float16}  # Transformers.js's names
NUMBERS = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16}
I64 = TensorProto.INT64


@dataclass(slots=True)
class Builder:
    """Collects nodes and weights of one number type."""

    type: Any
    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"node{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def constant(self, values: Any, kind: Any = np.int64) -> str:
        name = f"weight{len(self.weights)}"
        self.weights.append(onnx.numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def random(self, *shape: int, spread: float, middle: float = 0) -> str:
        return self.constant(middle + spread * self.rng.uniform(-1, 1, shape), self.type)

    def number(self, value: float) -> str:
        return self.constant(value, self.type)

    def linear(self, x: str, columns: int, rows: int) -> str:
        product = self.node("MatMul", x, self.random(columns, rows, spread=sqrt(3 / columns)))
        return self.node("Add", product, self.random(rows, spread=0.2))

    def norm(self, x: str, size: int) -> str:
        weights = self.random(size, spread=0.2, middle=1), self.random(size, spread=0.2)
        return self.node("LayerNormalization", x, *weights, axis=-1, epsilon=EPS if self.type == np.float32 else 1e-7)


def write_random_encoder_onnx(name: str, folder: Path) -> None:
    shape = ENCODERS[name]
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    for file, number in FILES.items():
        model = helper.make_model(graph_of(shape, number), ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        (folder / "onnx" / file).write_bytes(model.SerializeToString())
    files = {
        "tokenizer.json": tokenizer_json(shape),
        "tokenizer_config.json": {
            "tokenizer_class": "BertTokenizer",
            "model_max_length": shape.positions,
            "pad_token": "[PAD]",
        },
        "config.json": config_of(shape),  # last: it says that the folder is complete
    }
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content))


def config_of(shape: Encoder) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "vocab_size": shape.vocab,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": EPS,
        "pad_token_id": PAD,
    }


def graph_of(shape: Encoder, number: Any) -> onnx.GraphProto:
    b, size = Builder(number, np.random.default_rng(1)), shape.hidden
    words = b.node("Gather", b.random(shape.vocab, size, spread=0.1), "input_ids")
    kinds = b.node("Gather", b.random(2, size, spread=0.1), "token_type_ids")
    length = b.node("Gather", b.node("Shape", "input_ids"), b.constant(1))
    places = b.node("Range", b.constant(0), length, b.constant(1))
    positions = b.node("Gather", b.random(shape.positions, size, spread=0.1), places)
    x = b.norm(b.node("Add", b.node("Add", words, kinds), positions), size)
    seen = b.node("Cast", b.node("Unsqueeze", "attention_mask", b.constant([1, 2])), to=NUMBERS[number])
    hidden = b.node("Mul", b.node("Sub", b.number(1), seen), b.number(-10000))
    for _ in range(shape.layers):
        x = b.norm(b.node("Add", x, attention(b, shape, x, hidden)), size)
        x = b.norm(b.node("Add", x, b.linear(gelu(b, b.linear(x, size, shape.ffn)), shape.ffn, size)), size)
    b.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"]))
    value = helper.make_tensor_value_info
    inputs = [value(name, I64, ["batch", "length"]) for name in ("input_ids", "attention_mask", "token_type_ids")]
    return helper.make_graph(
        b.nodes, "bert", inputs, [value("last_hidden_state", NUMBERS[number], ["batch", "length", size])], b.weights
    )


def attention(b: Builder, shape: Encoder, x: str, hidden: str) -> str:
    """hidden: what is added to the scores of what is not to be seen. [B, 1, 1, T]"""
    size, heads = shape.hidden, shape.heads
    split = b.constant([0, 0, heads, size // heads])

    def of_heads(order: list[int]) -> str:
        return b.node("Transpose", b.node("Reshape", b.linear(x, size, size), split), perm=order)

    q, k, v = of_heads([0, 2, 1, 3]), of_heads([0, 2, 3, 1]), of_heads([0, 2, 1, 3])
    scores = b.node("Div", b.node("MatMul", q, k), b.number(sqrt(size // heads)))
    weights = b.node("Softmax", b.node("Add", scores, hidden), axis=-1)
    joined = b.node("Transpose", b.node("MatMul", weights, v), perm=[0, 2, 1, 3])
    return b.linear(b.node("Reshape", joined, b.constant([0, 0, size])), size, size)


def gelu(b: Builder, x: str) -> str:
    grown = b.node("Add", b.node("Erf", b.node("Div", x, b.number(sqrt(2)))), b.number(1))
    return b.node("Mul", b.node("Mul", x, grown), b.number(0.5))
