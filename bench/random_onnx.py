"""The same shapes for Transformers.js: an ONNX graph as onnxruntime-genai's builder makes it for WebGPU (4-bit blocks of 32,
one table for embedding and head, grouped attention with its own rope), with logits of the last row only.  Needs NumPy and
onnx."""

import json
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from bench.random_gguf import EMBEDDING_SPREAD, rope_factors
from bench.shapes import NORM_EPS, ROPE_THETA, SHAPES, TRAINED_CONTEXT, Shape
from bench.vocabulary import make_vocabulary, tokenizer_config, tokenizer_json

BLOCK = 32
CONTRIB = "com.microsoft"
F16, U8, I64, I32 = TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.INT64, TensorProto.INT32
DATA = "model_q4f16.onnx_data"
ALIGNMENT = 4096
NORM = {"axis": -1, "epsilon": NORM_EPS, "stash_type": 1}


@dataclass(slots=True)
class Builder:
    """Collects nodes, and writes weights to the data file as they come."""

    file: Any
    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def node(self, operator: str, inputs: list[str], *outputs: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, outputs, f"node{len(self.nodes)}", domain=domain, **attributes))
        return outputs[0]

    def constant(self, name: str, value: Any) -> str:
        return self.node("Constant", [], name, value=onnx.numpy_helper.from_array(np.array(value, np.int64), name))

    def weight(self, name: str, values: np.ndarray, kind: int) -> str:
        self.file.write(bytes(-self.file.tell() % ALIGNMENT))
        place = {"location": DATA, "offset": str(self.file.tell()), "length": str(values.nbytes)}
        tensor = TensorProto(name=name, data_type=kind, dims=values.shape, data_location=TensorProto.EXTERNAL)
        for key, value in place.items():
            tensor.external_data.add(key=key, value=value)
        self.file.write(np.ascontiguousarray(values).data)
        self.weights.append(tensor)
        return name

    def matrix(self, name: str, rows: int, columns: int, spread: float, silent: list[int] | None = None) -> list[str]:
        """Random 4-bit blocks and their scales."""
        blocks = np.frombuffer(self.rng.bytes(rows * columns // 2), np.uint8).reshape(rows, columns // BLOCK, BLOCK // 2)
        scales = (spread / 4.6 * self.rng.uniform(0.75, 1.25, (rows, columns // BLOCK))).astype(np.float16)
        if silent:
            scales[silent] = 0
        return [self.weight(f"{name}.q4", blocks, U8), self.weight(f"{name}.scales", scales, F16)]

    def product(self, x: str, weights: list[str], rows: int, columns: int, output: str) -> str:
        sizes = {"K": columns, "N": rows, "bits": 4, "block_size": BLOCK, "accuracy_level": 4}
        return self.node("MatMulNBits", [x, *weights], output, domain=CONTRIB, **sizes)

    def norm_weight(self, name: str, size: int) -> str:
        return self.weight(name, self.rng.uniform(0.8, 1.2, size).astype(np.float16), F16)


def write_random_onnx(name: str, folder: Path) -> None:
    shape = SHAPES[name]
    if not shape.is_tied:
        raise ValueError(f"{name}: no ONNX model is made of a shape whose head is not its embedding")
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    vocabulary = make_vocabulary(shape.vocab)
    with (folder / "onnx" / DATA).open("wb") as file:
        builder = Builder(file, np.random.default_rng(1))
        graph = model_graph(builder, shape, vocabulary.silent())
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(CONTRIB, 1)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets)
    (folder / "onnx" / "model_q4f16.onnx").write_bytes(model.SerializeToString())
    ends = {"bos_token_id": vocabulary.bos, "eos_token_id": vocabulary.eos}
    files = {
        "tokenizer.json": tokenizer_json(vocabulary),
        "tokenizer_config.json": tokenizer_config(),
        "generation_config.json": {**ends, "do_sample": False},
        "config.json": config_of(shape) | ends,  # last: it says that the folder is complete
    }
    for file_name, content in files.items():
        (folder / file_name).write_text(json.dumps(content))


def config_of(shape: Shape) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "vocab_size": shape.vocab,
        "max_position_embeddings": TRAINED_CONTEXT,
        "rms_norm_eps": NORM_EPS,
        "rope_theta": ROPE_THETA,
        "tie_word_embeddings": True,
        "torch_dtype": "float16",
        "transformers.js_config": {
            "dtype": "q4f16",
            "use_external_data_format": {"model_q4f16.onnx": 1},
            "kv_cache_dtype": {"q4f16": "float16"},
        },
    }


# --- the graph -------------------------------------------------------------------------------------------------------
def model_graph(b: Builder, shape: Shape, silent: list[int]) -> onnx.GraphProto:
    lengths(b)
    head = b.matrix("lm_head", shape.vocab, shape.hidden, EMBEDDING_SPREAD, silent)
    flat = b.node("Reshape", [head[0], b.constant("table_shape", [shape.vocab, shape.hidden // 2])], "table")
    lookup = {"bits": 4, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
    residual = b.node("GatherBlockQuantized", [flat, "input_ids", head[1]], "embedded", domain=CONTRIB, **lookup)
    rope_tables(b, shape)
    first = b.norm_weight("norm.0", shape.hidden)
    x = b.node("SimplifiedLayerNormalization", [residual, first], "x.0", **NORM)
    for i in range(shape.layers):
        x, residual = layer(b, shape, i, x, residual)
    last = last_rows(b, x)
    b.product(last, head, shape.vocab, shape.hidden, "logits")
    return helper.make_graph(b.nodes, "llama", *inputs_and_outputs(shape), b.weights)


def lengths(b: Builder) -> None:
    """What grouped attention asks for: the last position, and how many there are."""
    b.constant("axis", [1])
    b.node("ReduceSum", ["attention_mask", "axis"], "seen", keepdims=0)
    b.node("Sub", ["seen", "axis"], "last_position")
    b.node("Cast", ["last_position"], "seqlens_k", to=I32)
    b.node("Shape", ["attention_mask"], "mask_shape")
    b.node("Gather", ["mask_shape", b.constant("second", 1)], "mask_length", axis=0)
    b.node("Cast", ["mask_length"], "total_length", to=I32)


def rope_tables(b: Builder, shape: Shape) -> None:
    frequencies = ROPE_THETA ** -(np.arange(0, shape.head_dim, 2) / shape.head_dim) / rope_factors(shape.head_dim)
    angles = np.arange(TRAINED_CONTEXT)[:, None] * frequencies
    b.weight("cos", np.cos(angles).astype(np.float16), F16)
    b.weight("sin", np.sin(angles).astype(np.float16), F16)


def layer(b: Builder, shape: Shape, i: int, x: str, residual: str) -> tuple[str, str]:
    """The next layer's normed input, and the residual."""
    sizes = {name: (rows, columns) for name, rows, columns in shape.matrices()}

    def product(name: str, x: str, rows: int) -> str:
        columns = sizes[name][1] if name in sizes else shape.hidden
        return b.product(x, b.matrix(f"{name}.{i}", rows, columns, 1 / sqrt(columns)), rows, columns, f"{name}.{i}.out")

    packed = product("qkv", x, sizes["q"][0] + 2 * sizes["k"][0])
    past = [f"past_key_values.{i}.{kind}" for kind in ("key", "value")]
    present = [f"present.{i}.{kind}" for kind in ("key", "value")]
    attention = {
        **{"num_heads": shape.heads, "kv_num_heads": shape.kv_heads, "scale": shape.head_dim**-0.5},
        **{"local_window_size": -1, "softcap": 0.0, "do_rotary": 1, "rotary_interleaved": 0},
    }
    inputs = [packed, "", "", *past, "seqlens_k", "total_length", "cos", "sin"]
    attended = b.node("GroupQueryAttention", inputs, f"attended.{i}", *present, domain=CONTRIB, **attention)
    o = product("o", attended, shape.hidden)
    x, residual = add_and_norm(b, residual, o, f"ffn_norm.{i}", shape.hidden)
    gate, up = product("gate", x, shape.ffn), product("up", x, shape.ffn)
    gated = b.node("Mul", [gate, b.node("Sigmoid", [gate], f"sigmoid.{i}")], f"silu.{i}")
    down = product("down", b.node("Mul", [gated, up], f"glu.{i}"), shape.hidden)
    return add_and_norm(b, residual, down, f"norm.{i + 1}", shape.hidden)


def add_and_norm(b: Builder, residual: str, x: str, name: str, size: int) -> tuple[str, str]:
    outputs = (f"{name}.out", "", "", f"{name}.sum")
    weight = b.norm_weight(name, size)
    b.node("SkipSimplifiedLayerNormalization", [residual, x, weight], *outputs, domain=CONTRIB, epsilon=NORM_EPS)
    return outputs[0], outputs[3]


def last_rows(b: Builder, x: str) -> str:
    """Of `num_logits_to_keep` rows, as Transformers.js asks: 1 while it generates."""
    b.node("Neg", ["num_logits_to_keep"], "negative")
    b.node("Reshape", ["negative", b.constant("one_value", [-1])], "start")
    return b.node("Slice", [x, "start", b.constant("end", [2**62]), "axis"], "last_rows")


def inputs_and_outputs(shape: Shape) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
    value = helper.make_tensor_value_info
    inputs = [
        value("input_ids", I64, ["batch_size", "sequence_length"]),
        value("attention_mask", I64, ["batch_size", "total_sequence_length"]),
        value("num_logits_to_keep", I64, []),
    ]
    outputs = [value("logits", F16, ["batch_size", "num_logits", shape.vocab])]
    for i in range(shape.layers):
        for kind in ("key", "value"):
            sizes = ["batch_size", shape.kv_heads, "past_sequence_length", shape.head_dim]
            inputs.append(value(f"past_key_values.{i}.{kind}", F16, sizes))
            outputs.append(value(f"present.{i}.{kind}", F16, [*sizes[:2], "total_sequence_length", sizes[3]]))
    return inputs, outputs
