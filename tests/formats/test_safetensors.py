"""safetensors and Hugging Face folders: against the `safetensors` package, also in what is refused; then broken folders."""

import json
import struct

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.driver import run
from fanlight.errors import FormatError, MissingWeight
from fanlight.formats.checkpoint import Checkpoint, open_checkpoint
from fanlight.formats.safetensors import DTYPE_BITS, INDEX_NAME, read_header
from fanlight.formats.source import BytesSource

CONFIG = {"model_type": "llama", "hidden_size": 8}


def packed(header: object, data: bytes = b"", size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def entry(dtype: str = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def header_of(data: bytes) -> dict:
    return run(read_header(BytesSource("m.safetensors", data)))


def folder(**files: object) -> Checkpoint:
    """files: name with '__' for '.', content as bytes, text or JSON. config.json is added."""
    contents = {name.replace("__", "."): content for name, content in {"config__json": CONFIG, **files}.items()}
    sources = []
    for name, content in contents.items():
        text = content if isinstance(content, str) else json.dumps(content) if not isinstance(content, bytes) else content
        sources.append(BytesSource(f"folder/{name}", text if isinstance(text, bytes) else text.encode()))
    return run(open_checkpoint(sources))


WEIGHTS = packed({"a": entry(), "__metadata__": {"format": "pt"}}, struct.pack("<2f", 1, 2))


def test_file_by_hand():
    checkpoint = folder(model__safetensors=WEIGHTS)
    a = checkpoint.tensors["a"]
    assert checkpoint.format == "safetensors" and checkpoint.metadata["config"] == CONFIG
    assert (a.format, a.shape, a.source, a.num_bytes) == ("F32", (2,), 1, 8)
    assert a.offset == len(WEIGHTS) - 8 and struct.unpack("<2f", run(checkpoint.read("a"))) == (1, 2)
    with pytest.raises(MissingWeight, match="no tensor 'b'"):
        run(checkpoint.read("b"))


def test_every_cut_is_an_error():
    for size in range(len(WEIGHTS)):
        with pytest.raises(FormatError):
            folder(model__safetensors=WEIGHTS[:size])


def test_file_of_the_safetensors_package():
    rng = np.random.default_rng(1)
    arrays = {
        "w": rng.standard_normal((3, 5)).astype(np.float32),
        "h": rng.standard_normal((4, 2, 2)).astype(np.float16),
        "scalar": np.array(2.5, np.float32),
        "none": np.zeros((0, 3), np.float32),
        "ids": np.arange(7),
    }
    data = safetensors.numpy.save(arrays, {"format": "np"})
    checkpoint = folder(model__safetensors=data)
    assert set(checkpoint.tensors) == set(arrays)
    for name, array in arrays.items():
        info = checkpoint.tensors[name]
        assert info.shape == array.shape and run(checkpoint.read(name)) == array.tobytes()
    assert checkpoint.tensors["h"].format == "F16" and checkpoint.tensors["ids"].format == "I64"


HUGE = (1 << 64) - 1
LIES = {
    "should have": packed({"a": entry()}, bytes(8), size=HUGE),
    "should have ": packed({"a": entry()}, bytes(8), size=1000),
    "at least 8 bytes": b"1234",
    "header starts with": packed(b"[1, 2]"),
    "not valid JSON": packed(b'{"a": '),
    "not valid JSON: ": packed(b'{"a": "\xff"}'),
    "not valid JSON: maximum recursion": packed(b'{"a": ' + b"[" * 100_000),
    "not valid JSON: Exceeds": packed(b'{"a": ' + b"1" * 10_000 + b"}"),
    "'a' is there twice": packed(b'{"a": 1, "a": 2}'),
    "must have dtype, shape": packed({"a": {"dtype": "F32"}}),
    "must have dtype, shape ": packed({"a": 5}),
    "'F33', which is unknown": packed({"a": entry("F33")}, bytes(8)),
    "dtype 3, which is unknown": packed({"a": entry(3)}, bytes(8)),
    "has shape": packed({"a": entry(shape=[-2])}, bytes(8)),
    "has shape ": packed({"a": entry(shape=[2.0])}, bytes(8)),
    "has shape  ": packed({"a": entry(shape=[True, 2])}, bytes(8)),
    "has shape   ": packed({"a": entry(shape=5)}, bytes(8)),
    "and data_offsets": packed({"a": entry(offsets=[0])}, bytes(8)),
    "and data_offsets ": packed({"a": entry(offsets=[0, "8"])}, bytes(8)),
    "takes 8 bytes.*room for 4": packed({"a": entry(offsets=[0, 4])}, bytes(4)),
    "room for -8": packed({"a": entry(offsets=[8, 0])}, bytes(8)),
    "takes 0.5 bytes": packed({"a": entry("F4", [1], [0, 0])}),
    "should be at bytes": packed({"a": entry(offsets=[8, 16])}, bytes(8)),
    "'a' and 'b' overlap": packed({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12)),
    "take 8 bytes, but the file holds 12": packed({"a": entry()}, bytes(12)),
    "take 8 bytes, but the file holds 16": packed({"a": entry(offsets=[8, 16])}, bytes(16)),
    "__metadata__": packed({"__metadata__": {"a": 1}}),
}


@pytest.mark.parametrize("message", LIES)
def test_lies_are_errors(message):
    with pytest.raises(FormatError, match=message.strip()) as caught:
        header_of(LIES[message])
    assert caught.value.where == "m.safetensors"


# --- the same files are refused as by the reference reader -----------------------------------------------------------
numbers = st.sampled_from([-1, 0, 1, 2, 4, 8, 12, 16, 1 << 40, 1.5, "1"])
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BF16", "I64", "BOOL", "F8_E4M3", "F99"]),
        "shape": st.lists(numbers, max_size=3),
        "data_offsets": st.lists(numbers, min_size=2, max_size=2),
    }
)


def tiled(shapes: list[list[int]], gap: int) -> bytes:
    header, offset = {}, 0
    for i, shape in enumerate(shapes):
        size = 4 * int(np.prod(shape, dtype=np.int64))
        header[f"t{i}"] = entry("F32", shape, [offset, offset + size])
        offset += size + gap
    return packed(header, bytes(max(0, offset)))


def accepted_by_package(data: bytes) -> bool:
    try:
        safetensors.deserialize(data)
    except safetensors.SafetensorError:
        return False
    return True


def accepted_by_us(data: bytes) -> bool:
    try:
        tensors = header_of(data)
    except FormatError:
        return False
    assert all(t.offset + t.num_bytes <= len(data) for t in tensors.values())
    return True


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), entries, max_size=2), st.integers(0, 40))
def test_random_headers_are_judged_like_the_package(header, size):
    data = packed(header, bytes(size))
    assert accepted_by_us(data) == accepted_by_package(data)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=4), st.sampled_from([0, 0, 4]))
def test_tiled_headers_are_judged_like_the_package(shapes, gap):
    data = tiled(shapes, gap)
    assert accepted_by_us(data) == accepted_by_package(data)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WEIGHTS) - 1), st.integers(0, 255))
def test_damaged_files_give_a_result_or_our_error(position, value):
    data = bytearray(WEIGHTS)
    data[position] = value
    accepted_by_us(bytes(data))


@pytest.mark.parametrize("dtype", DTYPE_BITS)
def test_sizes_of_dtypes_are_the_packages(dtype):
    data = packed({"a": entry(dtype, [8], [0, DTYPE_BITS[dtype]])}, bytes(DTYPE_BITS[dtype]))
    assert accepted_by_us(data) and accepted_by_package(data)


# --- folders ---------------------------------------------------------------------------------------------------------
def test_folder_metadata():
    checkpoint = folder(
        model__safetensors=WEIGHTS,
        tokenizer__json='{"version": "1.0"}',
        tokenizer_config__json={"bos_token": "<s>", "chat_template": "from the configuration"},
        generation_config__json={"eos_token_id": [1, 2]},
    )
    m = checkpoint.metadata
    assert m["tokenizer"] == '{"version": "1.0"}' and m["generation_config"] == {"eos_token_id": [1, 2]}
    assert m["chat_template"] == "from the configuration" and m["tokenizer_config"]["bos_token"] == "<s>"
    least = folder(model__safetensors=WEIGHTS).metadata
    assert least == {
        "config": CONFIG,
        "tokenizer": None,
        "tokenizer_config": {},
        "generation_config": {},
        "chat_template": None,
        "chat_templates": {},
        "modules": None,
        "sentence_bert_config": {},
        "preprocessor_config": {},
        "processor_config": {},
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"chat_template__jinja": "file é", "tokenizer_config__json": {"chat_template": "x"}}, "file é"),
        ({"chat_template__json": {"chat_template": "json"}, "tokenizer_config__json": {"chat_template": "x"}}, "json"),
        ({"chat_template__jinja": "first", "chat_template__json": {"chat_template": "json"}}, "first"),
        (
            {
                "tokenizer_config__json": {
                    "chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]
                }
            },
            "d",
        ),
        ({"tokenizer_config__json": {"chat_template": [{"name": "rag", "template": "r"}]}}, None),
    ],
)
def test_chat_template_is_found(files, expected):
    assert folder(model__safetensors=WEIGHTS, **files).metadata["chat_template"] == expected


def test_named_chat_templates_are_found():
    named = [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]
    for files in (
        {"tokenizer_config__json": {"chat_template": named}},
        {"chat_template__json": {"chat_template": named}},
        {"chat_template__jinja": "d", "rag__jinja": "r"},
    ):
        metadata = folder(model__safetensors=WEIGHTS, **files).metadata
        assert (metadata["chat_template"], metadata["chat_templates"]) == ("d", {"rag": "r"})


def shard(name: str) -> bytes:
    return packed({name: entry()}, bytes(8))


def test_sharded_folder():
    index = {"metadata": {}, "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}
    files = {"m-2__safetensors": shard("b"), "m-1__safetensors": shard("a"), INDEX_NAME: index}
    checkpoint = folder(**files)
    assert {n: t.source for n, t in checkpoint.tensors.items()} == {"b": 1, "a": 2}
    for change, message in [
        ({"m-2__safetensors": "{}"}, "at least 8 bytes"),
        ({"m-2__safetensors": shard("a")}, "'a' is in m-2.safetensors too"),
        ({"m-2__safetensors": shard("c")}, "'b' should be in m-2.safetensors"),
        ({INDEX_NAME: {"weight_map": {"a": "m-1.safetensors", "c": "m-3.safetensors"}}}, "m-3.safetensors is missing"),
        ({INDEX_NAME: {"weight_map": {"a": "../m-1.safetensors"}}}, "no safetensors file of this folder"),
        ({INDEX_NAME: {"weight_map": {"a": "c:x.safetensors"}}}, "no safetensors file of this folder"),
        ({INDEX_NAME: {"weight_map": {"a": 5}}}, "names 5"),
        ({INDEX_NAME: {"weight_map": []}}, "weight_map must"),
        ({INDEX_NAME: []}, "object was expected, got list"),
    ]:
        with pytest.raises(FormatError, match=message):
            folder(**{**files, **change})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"config__json": "[]"}, "object was expected"),
        ({"config__json": "{"}, "config.json: not valid JSON"),
        ({"tokenizer__json": b"\xff"}, "tokenizer.json: text is not UTF-8: invalid start byte at byte 0"),
        ({"tokenizer_config__json": {"chat_template": 5}}, "chat template must be a text, got int"),
    ],
)
def test_broken_folders_are_errors(files, message):
    with pytest.raises(FormatError) as caught:
        folder(model__safetensors=WEIGHTS, **files)
    assert message in str(caught.value)


def test_texts_have_a_bound():
    class Endless(BytesSource):
        size = 1 << 40

        def __init__(self):
            self.name = "tokenizer.json"

        async def read(self, offset, size):
            assert size < 1 << 10
            return bytes(size)

    with pytest.raises(FormatError, match="at most"):
        run(open_checkpoint([BytesSource("config.json", b"{}"), Endless(), BytesSource("m.safetensors", WEIGHTS)]))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("m.gguf", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        ("m.gguf", b"\n<!DOCTYPE html>", "a web page"),
        ("m.bin", b"PK\x03\x04....", "PyTorch checkpoint"),
        ("m.bin", b"lmggabcdefgh", "from before GGUF"),
        ("m.gguf", b"", "is empty"),
        ("m.gguf", b"hello, world", "starts with 'hello, w'"),
        ("m.jpg", b"\xff\xd8\xff\xe0....", "starts with the bytes ff d8 ff e0"),
        ("model.safetensors", WEIGHTS, "config.json is missing"),
        ("model", WEIGHTS, "config.json is missing"),
    ],
)
def test_what_people_give_by_mistake_is_named(name, data, message):
    with pytest.raises(FormatError) as caught:
        run(open_checkpoint([BytesSource(name, data)]))
    assert message in str(caught.value)
    with pytest.raises(FormatError):
        run(open_checkpoint([]))
    with pytest.raises(FormatError, match="others given with it are"):
        run(open_checkpoint([BytesSource(name, data), BytesSource("x.gguf", b"GGUF\3\0\0\0" + bytes(16))]))
