"""GGUF: against a file written out by hand and the `gguf` package; then files that are cut off, lie or are noise."""

import struct
import time
import tracemalloc

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.driver import run
from fanlight.errors import FanlightError, FormatError
from fanlight.formats import gguf as reader
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.gguf_writer import TensorData, write_gguf
from fanlight.formats.quant import QUANT_TYPES, quantize
from fanlight.formats.source import BytesSource, FileSource


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def pair(key: str, type_id: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", type_id) + value


def tensor(name: str, dims: list[int], type_id: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, type_id, offset)


def file(pairs: list[bytes], tensors: list[bytes], data: bytes = b"", version: int = 3, alignment: int = 32) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join(pairs + tensors)
    return head + bytes(-len(head) % alignment) + data


def opened(*files: bytes):
    return run(open_checkpoint([BytesSource(f"part{i}.gguf", data) for i, data in enumerate(files)]))


BY_HAND = (
    b"GGUF\x03\x00\x00\x00"
    b"\x02\x00\x00\x00\x00\x00\x00\x00"  # two tensors
    b"\x02\x00\x00\x00\x00\x00\x00\x00"  # two pairs
    b"\x04\x00\x00\x00\x00\x00\x00\x00arch\x08\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00tst"
    b"\x02\x00\x00\x00\x00\x00\x00\x00xs\x09\x00\x00\x00\x05\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"
    b"\x01\x00\x00\x00\xfe\xff\xff\xff"
    b"\x01\x00\x00\x00\x00\x00\x00\x00a\x02\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"  # F32 at 0, [3] x 1
    b"\x01\x00\x00\x00\x00\x00\x00\x00b\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"
    b"\x01\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00"  # F16 at 32
    b"\x00"  # to 160, a multiple of 32
    b"\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40"
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    b"\x00\x3c\x00\x40"
)


def test_file_by_hand():
    checkpoint = opened(BY_HAND)
    assert checkpoint.format == "gguf" and checkpoint.metadata == {"arch": "tst", "xs": [1, -2]}
    a, b = checkpoint.tensors["a"], checkpoint.tensors["b"]
    assert (a.format, a.shape, a.num_bytes, a.source) == ("F32", (1, 3), 12, 0)
    assert (b.format, b.shape, b.num_bytes, b.offset - a.offset) == ("F16", (2,), 4, 32)
    assert struct.unpack("<3f", run(checkpoint.read("a"))) == (1, 2, 3)
    assert struct.unpack("<2e", run(checkpoint.read("b"))) == (1, 2)


def test_every_cut_is_an_error():
    for size in range(len(BY_HAND)):
        with pytest.raises(FormatError) as caught:
            opened(BY_HAND[:size])
        assert caught.value.where == "part0.gguf"


# --- the gguf package writes, we read --------------------------------------------------------------------------------
def written_by_package(path, **options) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    w = gguf.GGUFWriter(path, "llama", **options)
    w.add_uint8("n.u8", 200), w.add_int8("n.i8", -3), w.add_uint16("n.u16", 60000), w.add_int16("n.i16", -300)
    (
        w.add_uint32("n.u32", 1 << 31),
        w.add_int32("n.i32", -(1 << 31)),
        w.add_uint64("n.u64", 1 << 63),
        w.add_int64("n.i64", -(1 << 63)),
    )
    w.add_float32("n.f32", 0.1), w.add_float64("n.f64", 0.1), w.add_bool("n.yes", True), w.add_bool("n.no", False)
    w.add_string("text", "Grüße, 世界 \U0001f600"), w.add_array("strings", ["", "a", "Ġthe", "世"])
    w.add_array("ints", [1, -2, 3]), w.add_array("floats", [0.5, -1.0]), w.add_array("bools", [True, False, True])
    tensors = {}
    for t in (t for t in QUANT_TYPES.values() if t.ggml_id in set(gguf.GGMLQuantizationType)):
        raw = rng.integers(0, 256, (3, 2 * t.block_bytes), dtype=np.uint8)
        name = f"blk.0.{t.name.lower()}.weight"
        kind = gguf.GGMLQuantizationType(t.ggml_id)
        w.add_tensor(name, raw, raw_shape=None, raw_dtype=kind)
        tensors[name] = raw
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
    return tensors


def test_file_of_the_gguf_package(tmp_path):
    path = tmp_path / "model.gguf"
    tensors = written_by_package(path)
    source = FileSource(path)
    checkpoint = run(open_checkpoint([source]))
    m = checkpoint.metadata
    assert (
        m["general.architecture"] == "llama"
        and m["text"] == "Grüße, 世界 \U0001f600"
        and m["strings"] == ["", "a", "Ġthe", "世"]
    )
    assert [m[f"n.{k}"] for k in ("u8", "i8", "u16", "i16")] == [200, -3, 60000, -300]
    assert [m[f"n.{k}"] for k in ("u32", "i32", "u64", "i64")] == [1 << 31, -(1 << 31), 1 << 63, -(1 << 63)]
    assert m["n.f32"] == np.float32(0.1) and m["n.f64"] == 0.1 and m["n.yes"] is True and m["n.no"] is False
    assert m["ints"] == [1, -2, 3] and m["floats"] == [0.5, -1.0] and m["bools"] == [True, False, True]
    assert list(checkpoint.tensors) == list(tensors)
    oracle = {t.name: t for t in gguf.GGUFReader(path).tensors}
    for name, raw in tensors.items():
        info = checkpoint.tensors[name]
        assert info.offset == oracle[name].data_offset and info.num_bytes == oracle[name].n_bytes == raw.nbytes
        assert info.shape == tuple(reversed(oracle[name].shape.tolist())) == (3, 2 * QUANT_TYPES[info.format].block_elems)
        assert info.format == oracle[name].tensor_type.name
        assert run(checkpoint.read(name)) == raw.tobytes()
    source.close()


def test_split_files_of_the_gguf_package(tmp_path):
    tensors = written_by_package(tmp_path / "model.gguf", split_max_tensors=10)
    paths = sorted(tmp_path.glob("model-*-of-00003.gguf"))
    assert len(paths) == 3
    sources = [FileSource(path) for path in reversed(paths)]  # the order in which they are given does not matter
    checkpoint = run(open_checkpoint(sources))
    assert list(checkpoint.tensors) == list(tensors) and checkpoint.metadata["text"].startswith("Grüße")
    assert checkpoint.sources == tuple(sources)
    assert checkpoint.tensors["blk.0.f32.weight"].source == 2 and checkpoint.tensors["blk.0.q1_0.weight"].source == 0
    for name, raw in tensors.items():
        assert run(checkpoint.read(name)) == raw.tobytes()
    for chosen, message in [
        (sources[:2], "a part of a model in 3 files; 2 of them were given"),
        ([sources[0]] * 3, "part 1 of 3 is missing"),
    ]:
        with pytest.raises(FormatError, match=message):
            run(open_checkpoint(chosen))
    for source in sources:
        source.close()


# --- we write, the gguf package reads --------------------------------------------------------------------------------
def test_the_gguf_package_reads_what_we_write(tmp_path):
    x = np.random.default_rng(5).standard_normal((6, 64)).astype(np.float32)
    metadata = {
        "general.architecture": "llama",
        "general.alignment": 64,
        "n": 7,
        "negative": -7,
        "rate": 0.5,
        "yes": True,
        "tokens": ["<s>", "Ġa", "世"],
        "types": [3, 1, 1],
        "scores": [0.0, -1.0, -2.5],
        "empty": "",
        "none": [],
    }
    tensors = [
        TensorData("plain", "F32", (64,), x[0].tobytes()),
        TensorData("a", "Q4_0", (6, 64), lambda: quantize("Q4_0", x).tobytes()),
        TensorData("b", "Q8_0", (2, 3, 64), quantize("Q8_0", x).tobytes()),
    ]
    path = tmp_path / "ours.gguf"
    write_gguf(path, metadata, tensors)
    oracle = gguf.GGUFReader(path)
    assert oracle.alignment == 64
    for key, value in metadata.items():
        assert oracle.fields[key].contents() == value
    kinds = {key: oracle.fields[key].types[-1].name for key in metadata}
    assert kinds["n"] == "UINT32" and kinds["negative"] == "INT32" and kinds["types"] == "INT32" and kinds["rate"] == "FLOAT32"
    for t in oracle.tensors:
        if t.name != "plain":
            values = gguf.quants.dequantize(t.data, t.tensor_type).reshape(x.shape)
            assert np.abs(values - x).max() < 0.3
    checkpoint = run(open_checkpoint([FileSource(path)]))
    assert checkpoint.metadata == metadata
    assert {n: t.shape for n, t in checkpoint.tensors.items()} == {"plain": (64,), "a": (6, 64), "b": (2, 3, 64)}
    with pytest.raises(ValueError, match="takes 256 bytes, got 3"):
        write_gguf(path, {}, [TensorData("plain", "F32", (64,), b"abc")])
    for bad in ([1, "a"], None, 1 << 40):
        with pytest.raises(ValueError, match="key: cannot be written"):
            write_gguf(path, {"key": bad}, [])


# --- lies ------------------------------------------------------------------------------------------------------------
HUGE = (1 << 64) - 1
F32_4 = tensor("t", [4], 0, 0)
LIES = {
    "not a GGUF file": b"GGUX" + BY_HAND[4:],
    "GGUF version 1": file([], [], version=1),
    "GGUF version 4": file([], [], version=4),
    "GGUF version 0": file([], [], version=0),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "tensors cannot be in a file": b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0) + bytes(64),
    "pairs cannot be in a file": b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 40) + bytes(64),
    "value type 13 is unknown": file([pair("k", 13, bytes(8))], []),
    "array of type 77 is unknown": file([pair("k", 9, struct.pack("<IQ", 77, 0))], []),
    "array elements cannot be": file([pair("k", 9, struct.pack("<IQ", 8, HUGE) + bytes(32))], []),
    "the file ends at byte": file([pair("k", 8, struct.pack("<Q", HUGE - 7))], [], bytes(64)),
    "the file ends at byte ": file([pair("k", 9, struct.pack("<IQQ", 8, 2, HUGE - 7))], [], bytes(64)),
    "a bool is 0 or 1, got 2": file([pair("k", 7, b"\2")], []),
    "a bool is 0 or 1, got 3": file([pair("k", 9, struct.pack("<IQ", 7, 3) + b"\0\1\3")], []),
    "'k' is there twice": file([pair("k", 0, b"\1")] * 2, []),
    "general.alignment": file([pair("general.alignment", 4, struct.pack("<I", 48))], []),
    "general.alignment ": file([pair("general.alignment", 4, struct.pack("<I", 0))], []),
    "general.alignment must": file([pair("general.alignment", 8, text("32"))], []),
    "nested more than": file([pair("k", 9, struct.pack("<IQ", 9, 1) * 5 + struct.pack("<IQ", 0, 0))], []),
    "'t' is there twice": file([], [F32_4, tensor("t", [4], 0, 32)], bytes(64)),
    "'t' and 'u' overlap": file([], [F32_4, tensor("u", [4], 0, 0)], bytes(64)),
    "5 dimensions": file([], [tensor("t", [1] * 5, 0, 0)], bytes(64)),
    "weight format 4, Q4_2, which was removed": file([], [tensor("t", [32], 4, 0)], bytes(64)),
    "weight format 36, IQ4_NL_4_4, which was removed from GGML, or I2_S, which bitnet.cpp": file(
        [], [tensor("t", [32], 36, 0)], bytes(64)
    ),
    "weight format 999, unknown": file([], [tensor("t", [32], 999, 0)], bytes(64)),
    "impossible for F32": file([], [tensor("t", [4, 0], 0, 0)], bytes(64)),
    "impossible for Q4_0": file([], [tensor("t", [16, 2], 2, 0)], bytes(64)),
    "no multiple of the alignment": file([], [tensor("t", [4], 0, 16)], bytes(64)),
    "should be at bytes": file([], [tensor("t", [4], 0, 64)], bytes(64)),
    "should be at bytes ": file([], [tensor("t", [1 << 62, 1 << 62], 0, 0)], bytes(64)),
    "should be at bytes  ": file([], [tensor("t", [4], 0, HUGE - 31)], bytes(64)),
    "a part of a model in 7 files": file([pair("split.count", 2, struct.pack("<H", 7))], []),
    "a part of a model in 'x' files": file([pair("split.count", 8, text("x"))], []),
    "split.no must be a number": file([pair("split.no", 8, text("x"))], []),
    "part 1 of 1 is missing": file([pair("split.no", 2, struct.pack("<H", 5))], []),
    "the first says 9": file([pair("split.tensors.count", 5, struct.pack("<i", 9))], []),
}


@pytest.mark.parametrize("message", LIES)
def test_lies_are_errors(message):
    with pytest.raises(FormatError, match="not a|is no" if message.startswith("not a") else message.strip()) as caught:
        opened(LIES[message])
    assert caught.value.where == "part0.gguf"


def test_bytes_that_are_no_text_stay_visible_and_apart():
    """llama.cpp and gguf-py load such files: broken descriptions, and tokens that are parts of characters."""
    words = [b"caf\xe9", b"\xff", b"\xfe", "caf\u00e9".encode()]
    strings = b"".join(struct.pack("<Q", len(word)) + word for word in words)
    pairs = [pair("one", 8, struct.pack("<Q", 4) + b"caf\xe9"), pair("all", 9, struct.pack("<IQ", 8, len(words)) + strings)]
    metadata = opened(file(pairs, [])).metadata
    assert metadata == {"one": "caf\\xe9", "all": ["caf\\xe9", "\\xff", "\\xfe", "caf\u00e9"]}


def test_headers_have_a_bound(monkeypatch):
    monkeypatch.setattr(reader, "FIRST_READ_BYTES", 16)
    monkeypatch.setattr(reader, "MAX_HEADER_BYTES", 1000)
    monkeypatch.setattr(reader, "MAX_ARRAY_ELEMS", 100)
    assert opened(file([pair("k", 8, text("x" * 900))], [])).metadata["k"] == "x" * 900
    with pytest.raises(FormatError, match="longer than 1000 bytes"):
        opened(file([pair("k", 8, text("x" * 1000))], []))
    with pytest.raises(FormatError, match="more than 100 elements"):
        opened(file([pair(key, 9, struct.pack("<IQ", 0, 51) + bytes(51)) for key in "ab"], []))


class EndlessSource:
    """A file of 1 TB, as a sparse file or a server may claim it: `start`, then zeros."""

    name, size = "endless.gguf", 1 << 40

    def __init__(self, start: bytes):
        self.start, self.num_read = start, 0

    async def read(self, offset: int, size: int) -> bytes:
        assert size <= reader.READ_BYTES
        self.num_read += size
        return self.start[offset : offset + size].ljust(size, b"\0")


@pytest.mark.parametrize(
    ("message", "start"),
    [
        ("header is longer", file([pair("k", 8, struct.pack("<Q", 1 << 39))], [])),
        ("header is longer", file([pair("k", 9, struct.pack("<IQQ", 8, 2, 1 << 39))], [])),
        ("elements; at most", file([pair("k", 9, struct.pack("<IQ", 4, 1 << 37))], [])),
        ("elements; at most", file([pair("k", 9, struct.pack("<IQ", 8, 1 << 36))], [])),
        ("tensors; at most", b"GGUF" + struct.pack("<IQQ", 3, 1 << 35, 0)),
        ("pairs; at most", b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 35)),
        ("'' is there twice", b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 16)),
        ("'' is there twice|overlap", b"GGUF" + struct.pack("<IQQ", 3, 1 << 10, 0)),
    ],
)
def test_a_huge_file_makes_nothing_huge(message, start):
    source = EndlessSource(start)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=message):
            run(open_checkpoint([source]))
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert source.num_read <= 4 << 20


def test_unsupported_formats_can_be_listed():
    checkpoint = opened(file([], [tensor("t", [64, 2], 9, 0)], bytes(160)))
    assert (checkpoint.tensors["t"].format, checkpoint.tensors["t"].num_bytes) == ("Q8_1", 144)


def test_version_2_scalars_and_empty_files():
    assert opened(file([pair("k", 0, b"\7")], [], version=2)).metadata == {"k": 7}
    assert opened(file([], [tensor("t", [], 0, 0)], bytes(4))).tensors["t"].shape == ()
    nested = struct.pack("<IQ", 9, 2) + struct.pack("<IQ", 0, 2) + b"\1\2" + struct.pack("<IQ", 8, 1) + text("x")
    assert opened(file([pair("k", 9, nested)], [])).metadata == {"k": [[1, 2], ["x"]]}


# --- reading in pieces -----------------------------------------------------------------------------------------------
class CountingSource(BytesSource):
    def __init__(self, name: str, data: bytes):
        super().__init__(name, data)
        self.reads: list[tuple[int, int]] = []

    async def read(self, offset: int, size: int) -> bytes:
        self.reads.append((offset, size))
        return await super().read(offset, size)


def vocabulary(count: int) -> bytes:
    tokens = [f"Ġtok{i}é" if i % 3 else f"t{i}" for i in range(count)]
    pairs = [
        pair("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, count) + b"".join(map(text, tokens))),
        pair("tokenizer.ggml.scores", 9, struct.pack(f"<IQ{count}f", 6, count, *map(float, range(count)))),
        pair("tokenizer.ggml.token_type", 9, struct.pack(f"<IQ{count}i", 5, count, *[1] * count)),
        pair("tokenizer.ggml.merges", 9, struct.pack("<IQ", 8, count) + b"".join(text("a b" + t) for t in tokens)),
    ]
    return file(pairs, [F32_4], bytes(32))


def test_large_vocabulary_is_read_fast_and_in_few_pieces():
    data = vocabulary(150_000)
    source = CountingSource("v.gguf", data + bytes(64 << 20))
    start = time.process_time()
    checkpoint = run(open_checkpoint([source]))
    seconds = time.process_time() - start
    assert len(checkpoint.metadata["tokenizer.ggml.tokens"]) == 150_000
    assert checkpoint.metadata["tokenizer.ggml.tokens"][-1] == "Ġtok149999é"
    assert checkpoint.metadata["tokenizer.ggml.scores"][-1] == 149_999
    assert len(source.reads) <= 6 and sum(size for _, size in source.reads) <= 2 * len(data) + (2 << 20)
    assert seconds < 2, f"{seconds:.2f} s"  # it takes 0.2 s on a slow machine


@pytest.mark.parametrize("first", [1, 7, 64])
def test_any_first_read_gives_the_same(monkeypatch, first):
    data = vocabulary(50)
    whole = opened(data)
    monkeypatch.setattr(reader, "FIRST_READ_BYTES", first)
    monkeypatch.setattr(reader, "READ_BYTES", 5)
    monkeypatch.setattr(reader, "MAX_ARRAY_ELEMS", 200)  # as many as there are: none is counted twice
    pieces = opened(data)
    assert (pieces.metadata, pieces.tensors) == (whole.metadata, whole.tensors)


# --- noise -----------------------------------------------------------------------------------------------------------
SEEDS = (
    BY_HAND,
    vocabulary(3),
    file([pair("k", 9, struct.pack("<IQ", 7, 2) + b"\0\1")], [F32_4, tensor("u", [32], 2, 32)], bytes(64)),
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4),
    st.integers(0, 1 << 16),
)
def test_damaged_files_give_a_result_or_our_error(seed, changes, cut):
    data = bytearray(seed)
    for position, value in changes:
        data[position % len(data)] = value
    check_noise(bytes(data[: cut % len(data)] if cut % 3 == 0 else data))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_noise_gives_a_result_or_our_error(tail):
    check_noise(b"GGUF\3\0\0\0" + tail)


def check_noise(data: bytes) -> None:
    try:
        checkpoint = opened(data)
    except FanlightError:
        return
    for info in checkpoint.tensors.values():
        assert 0 < info.num_bytes and info.offset + info.num_bytes <= len(data)
        assert len(run(checkpoint.read(info.name))) == info.num_bytes
