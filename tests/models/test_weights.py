"""Tensors whose shapes contradict the configuration are refused by name, and so are tensors that nobody asks for."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fanlight.driver import run
from fanlight.errors import FormatError, MissingWeight, UnsupportedModel
from fanlight.formats.checkpoint import Checkpoint, TensorInfo, open_checkpoint
from fanlight.formats.quant import QUANT_TYPES
from fanlight.formats.resolve import resolve_model
from fanlight.formats.source import BytesSource
from fanlight.models import Model, open_model
from fanlight.models.weights import Made, Names, Weights
from scripts.golden.architectures_gguf import make_gguf

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}
LLAMA = {"model_type": "llama", "rms_norm_eps": 1e-5, "max_position_embeddings": 64, **SIZES}
LAYER = {
    "input_layernorm.weight": (32,),
    "post_attention_layernorm.weight": (32,),
    "self_attn.q_proj.weight": (64, 32),
    "self_attn.k_proj.weight": (32, 32),
    "self_attn.v_proj.weight": (32, 32),
    "self_attn.o_proj.weight": (32, 64),
    "mlp.gate_proj.weight": (48, 32),
    "mlp.up_proj.weight": (48, 32),
    "mlp.down_proj.weight": (32, 48),
}
SHAPES = {
    "model.embed_tokens.weight": (40, 32),
    "model.norm.weight": (32,),
    "lm_head.weight": (40, 32),
    **{f"model.layers.{i}.{name}": shape for i in range(2) for name, shape in LAYER.items()},
}


def checkpoint_of(shapes: dict[str, tuple[int, ...]], format: str = "F32", **metadata: Any) -> Checkpoint:
    tensors, offset = {}, 0
    for name, shape in shapes.items():
        size = QUANT_TYPES[format].num_bytes(int(np.prod(shape)))
        tensors[name] = TensorInfo(name, format, shape, 0, offset, size)
        offset += size
    return Checkpoint("safetensors", metadata, tensors, (BytesSource("m.safetensors", bytes(offset)),))


def opened(changes: dict[str, tuple[int, ...] | None] | None = None, tokenizer: str | None = None, **keys: Any) -> Model:
    shapes = {name: shape for name, shape in {**SHAPES, **(changes or {})}.items() if shape is not None}
    return run(open_model(checkpoint_of(shapes, config={**LLAMA, **keys}, tokenizer=tokenizer)))


def refused(error: type[Exception], *words: str, **options: Any) -> None:
    with pytest.raises(error) as caught:
        opened(**options)
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value), caught.value


def test_the_right_shapes_pass() -> None:
    opened()
    opened({"lm_head.weight": None}, tie_word_embeddings=True)


@pytest.mark.parametrize("name", SHAPES)
def test_every_tensors_shape_is_checked(name) -> None:
    rows, *columns = SHAPES[name]
    for wrong in (
        (rows + 8, *columns),
        (0, *columns),
        (*columns, rows) if columns != [rows] else (rows, rows + 8),
        (rows, *columns, 1),
    ):
        if wrong != SHAPES[name]:
            refused(FormatError, name, str([rows, *columns]), str(list(wrong)), changes={name: wrong})


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({"num_attention_heads": 2}, "q_proj"),
        ({"num_key_value_heads": 4}, "k_proj"),
        ({"num_key_value_heads": None}, "k_proj"),
        ({"head_dim": 8}, "q_proj"),
        ({"intermediate_size": 64}, "mlp.gate_proj"),
        ({"hidden_size": 64}, "embed_tokens"),
        ({"vocab_size": 48}, "embed_tokens"),
    ],
)
def test_a_configuration_that_contradicts_the_tensors(keys, name) -> None:
    refused(FormatError, name, **keys)


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("vocab_size", 999, "token_embd.weight"),
        ("vocab_size", -1, "granite.vocab_size"),
        ("embedding_length", 48, "blk.0.attn_k.weight"),
        ("feed_forward_length", 48, "blk.0.ffn_gate.weight"),
        ("attention.head_count_kv", 4, "blk.0.attn_k.weight"),
    ],
)
def test_gguf_metadata_that_contradicts_the_tensors(key, value, name, checkpoints: Path) -> None:
    path = make_gguf("granite-published", checkpoints / "contradicts.gguf")
    checkpoint = run(open_checkpoint(run(resolve_model(path))))
    with pytest.raises(FormatError, match=re.escape(name)):
        run(open_model(replace(checkpoint, metadata={**checkpoint.metadata, f"granite.{key}": value})))


@pytest.mark.parametrize("name", SHAPES)
def test_a_missing_tensor_is_named(name) -> None:
    refused(MissingWeight, name, changes={name: None})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("model.layers.0.self_attn.q_norm.weight", (16,)),
        ("model.layers.1.mlp.experts.0.up_proj.weight", (48, 32)),
        ("model.layers.0.pre_feedforward_layernorm.weight", (32,)),
        ("model.layers.0.self_attn.q_proj.weight_scale", (1,)),
        ("model.layers.2.input_layernorm.weight", (32,)),
        ("model.norm.bias", (32,)),
        ("model.embed_positions.weight", (64, 32)),
    ],
)
def test_a_tensor_that_nobody_asks_for_is_named(name, shape) -> None:
    refused(UnsupportedModel, name, changes={name: shape})


def test_tables_and_masks_are_no_weights() -> None:
    opened(
        {
            "model.layers.0.self_attn.rotary_emb.inv_freq": (8,),
            "model.layers.0.attention.masked_bias": (),
            "score.weight": (2, 32),
        }
    )


@pytest.mark.parametrize("at", [0, 0.5, 1])
def test_a_head_beside_a_tied_embedding_is_a_copy_of_it(at, monkeypatch) -> None:
    monkeypatch.setattr("fanlight.models.PROBE", 8)
    opened(tie_word_embeddings=True)  # as some files have it
    refused(FormatError, "lm_head.weight", "embed_tokens", changes={"lm_head.weight": (48, 32)}, tie_word_embeddings=True)
    checkpoint = checkpoint_of(SHAPES, config={**LLAMA, "tie_word_embeddings": True})
    head, data = checkpoint.tensors["lm_head.weight"], bytearray(checkpoint.sources[0].size)
    data[head.offset + round(at * (head.num_bytes - 1))] = 1
    with pytest.raises(FormatError, match=r"lm_head\.weight is not model\.embed_tokens\.weight"):
        run(open_model(replace(checkpoint, sources=(BytesSource("m.safetensors", bytes(data)),))))


@pytest.mark.parametrize(("format", "passes"), [("I64", True), ("U8", True), ("F64", False), ("Q8_K", False)])
def test_tables_of_whole_numbers_are_no_weights(format: str, passes: bool) -> None:
    """Maps of tokens and positions stand beside a model's weights; a format that is not known here may be one of them."""
    checkpoint = checkpoint_of(SHAPES, config=LLAMA)
    checkpoint.tensors["extra.ids"] = TensorInfo("extra.ids", format, (4,), 0, 1 << 30, 32)
    if passes:
        run(open_model(checkpoint))
        return
    with pytest.raises(UnsupportedModel, match=r"extra\.ids"):
        run(open_model(checkpoint))


def test_biases_are_as_the_configuration_says() -> None:
    biases = {
        f"model.layers.{i}.self_attn.{n}_proj.bias": (size,)
        for i in range(2)
        for n, size in zip("qkvo", (64, 32, 32, 32), strict=True)
    }
    opened(biases, attention_bias=True)
    refused(FormatError, "q_proj.bias", "no biases", changes=biases)
    refused(MissingWeight, "q_proj.bias", attention_bias=True)
    refused(FormatError, "k_proj.bias", changes={**biases, "model.layers.1.self_attn.k_proj.bias": (16,)}, attention_bias=True)


@pytest.mark.parametrize(("tokens", "fits"), [(39, True), (40, True), (41, False)])
def test_every_token_has_an_embedding(tokens, fits) -> None:
    text = f'{{"model": {{"vocab": {{{", ".join(f"{chr(34)}t{i}{chr(34)}: {i}" for i in range(tokens))}}}}}}}'
    if fits:
        opened(tokenizer=text)
    else:
        refused(FormatError, "41 tokens", "40 rows", tokenizer=text)


# --- views -----------------------------------------------------------------------------------------------------------
def tree(shapes: dict[str, tuple[int, ...]], format: str = "F32", is_paired: bool = False) -> Weights:
    return Weights(Names(checkpoint_of(shapes, format), {}, is_paired), Made())


def test_rows_of_a_fused_matrix() -> None:
    q, k, v = tree({"qkv.weight": (12, 64)}, "Q4_0")["qkv"].split(6, 4, 2)
    row = QUANT_TYPES["Q4_0"].num_bytes(64)
    pieces = [w.matrix(rows, 64).attrs["weight"].pieces for w, rows in ((q, 6), (k, 4), (v, 2))]
    assert [[(p.offset, p.rows) for p in piece] for piece in pieces] == [[(0, 6)], [(6 * row, 4)], [(10 * row, 2)]]
    with pytest.raises(FormatError, match="qkv"):
        tree({"qkv.weight": (13, 64)})["qkv"].split(6, 4, 2)[0].matrix(6, 64)


def test_rows_of_every_head() -> None:
    k = tree({"qkv.weight": (24, 8), "qkv.bias": (24,)})["qkv"].rows([(4, 4), (16, 4)], 24)
    assert [(p.offset, p.rows) for p in k.matrix(8, 8).attrs["weight"].pieces] == [(4 * 32, 4), (16 * 32, 4)]
    assert [(p.offset - 24 * 32, p.rows) for p in k.vector(8, "bias").attrs["weight"].pieces] == [(16, 4), (64, 4)]


def test_pairs_are_asked_for_where_the_file_has_halves() -> None:
    def pieces(is_paired: bool, ask: Callable[[Weights], Any]) -> set[tuple[int, int]]:
        w = tree({"q.weight": (32, 8), "q.bias": (32,)}, is_paired=is_paired)["q"].paired(16, 8)
        return {(p.head_dim, p.rotary) for p in ask(w).attrs["weight"].pieces}

    for ask in (lambda w: w.matrix(32, 8), lambda w: w.vector(32, "bias")):
        assert pieces(False, ask) == {(16, 8)} and pieces(True, ask) == {(0, 0)}


def test_the_same_rows_treated_alike_are_one_node() -> None:
    w = tree({"a.weight": (32, 8)})["a"]
    assert w.matrix(32, 8) is w.rows([(0, 32)], 32).matrix(32, 8)
    assert w.matrix(32, 8) is not w.paired(16, 16).matrix(32, 8)
    assert w.split(16, 16)[0].matrix(16, 8) is not w.split(16, 16)[1].matrix(16, 8)


def test_a_norm_of_every_head_is_one_tensor_or_many() -> None:
    one = tree({"n.weight": (3, 8)})["n"].vector_of_heads(3, 8)
    many = tree({f"n.{i}.weight": (8,) for i in range(3)})["n"].vector_of_heads(3, 8)
    assert one.shape == many.shape == (24, 1) and len(many.attrs["weight"].pieces) == 3
    with pytest.raises(FormatError, match=r"n\.weight"):
        tree({"n.weight": (4, 8)})["n"].vector_of_heads(3, 8)


def test_a_quantised_vector_is_refused() -> None:
    with pytest.raises(FormatError, match="expected an F32, F16 or BF16 vector"):
        tree({"n.weight": (32,)}, "Q8_0")["n"].vector(32)
