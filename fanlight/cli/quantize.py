"""`fanlight quantize`: a GGUF file in a smaller weight format, as another GGUF file."""

import argparse
import os
import sys
from collections import Counter
from functools import partial
from pathlib import Path

from fanlight import driver
from fanlight.errors import SourceError, UnsupportedModel
from fanlight.formats.checkpoint import Checkpoint, open_checkpoint
from fanlight.formats.gguf import read_encoded
from fanlight.formats.gguf_writer import TensorData, write_gguf
from fanlight.formats.layout import TensorInfo
from fanlight.formats.quant import QUANT_TYPES
from fanlight.formats.quantize import FILE_TYPES, OUTPUT, format_of, quantize
from fanlight.formats.resolve import resolve_model

ELEMENTS = 1 << 22  # of a tensor, quantised at a time
FLOATS = ("F32", "F16", "BF16")
LEFT_OUT = ("general.alignment", "split.no", "split.count", "split.tensors.count")  # what the new file says otherwise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a GGUF file, a URL or a hub id of one; best in F16 or BF16")
    parser.add_argument("out", metavar="OUT.gguf", type=Path, help="the file to write")
    parser.add_argument("-t", "--type", choices=FILE_TYPES, required=True, help="the weight format of most matrices")


def run(options: argparse.Namespace) -> int:
    checkpoint = driver.run(open_checkpoint(driver.run(resolve_model(options.model))))
    if checkpoint.format != "gguf":
        hint = "llama.cpp's convert_hf_to_gguf.py makes a GGUF file of a folder"
        raise UnsupportedModel(f"{checkpoint.format}; expected GGUF", where=options.model, hint=hint)
    if any(key.startswith("clip.") for key in checkpoint.metadata):
        raise UnsupportedModel("an encoder is among the files", where=options.model, hint="the language model's file by itself")
    if options.out.exists():
        raise SourceError("there is a file already", where=str(options.out), hint="another name, or delete it")
    tensors = [made(checkpoint, info, options.type) for info in checkpoint.tensors.values()]
    metadata = metadata_of(checkpoint, options.type)
    part = options.out.with_name(options.out.name + ".part")
    try:
        write_gguf(part, metadata, tensors)
        os.replace(part, options.out)
    except OSError as error:
        raise SourceError(f"cannot be written: {error.strerror}", where=str(options.out)) from error
    finally:
        part.unlink(missing_ok=True)
    before = sum(info.num_bytes for info in checkpoint.tensors.values())
    counts = Counter(tensor.format for tensor in tensors)
    print(f"{options.out}: {', '.join(f'{count} tensors in {kind}' for kind, count in counts.most_common())};", end=" ")
    print(f"{before / 1e6:,.1f} MB became {sum(tensor.num_bytes for tensor in tensors) / 1e6:,.1f}")
    if any(info.format not in FLOATS and len(info.shape) > 1 for info in checkpoint.tensors.values()):
        print("fanlight: the weights were quantised before; what that lost stays lost", file=sys.stderr)
    return 0


def metadata_of(checkpoint: Checkpoint, file_type: str) -> dict[str, object]:
    """The keys of the first file, byte for byte, but for what is said of the weights."""
    kept = driver.run(read_encoded(checkpoint.sources[0]))
    own = {"general.file_type": FILE_TYPES[file_type].number, "general.quantization_version": 2}
    return {**{key: value for key, value in kept.items() if key not in LEFT_OUT}, **own}


def made(checkpoint: Checkpoint, info: TensorInfo, file_type: str) -> TensorData:
    arch = checkpoint.metadata.get("general.architecture")
    layers = checkpoint.metadata.get(f"{arch}.block_count")
    if type(layers) is not int:
        raise UnsupportedModel(f"no {arch}.block_count", where=checkpoint.sources[0].name)
    wanted = format_of(info.name, info.shape, file_type, layers, OUTPUT not in checkpoint.tensors)
    return TensorData(info.name, wanted or info.format, info.shape, partial(data_of, checkpoint, info, wanted))


def data_of(checkpoint: Checkpoint, info: TensorInfo, wanted: str | None) -> bytes:
    data = driver.run(checkpoint.read(info.name))
    if wanted is None or wanted == info.format:
        return data
    import numpy as np

    kind, size = QUANT_TYPES[info.format], QUANT_TYPES[wanted].block_elems
    blocks = np.frombuffer(data, np.uint8).reshape(-1, kind.block_bytes)
    step = ELEMENTS // kind.block_elems
    parts = (kind.dequantize(blocks[at : at + step]).reshape(-1, size) for at in range(0, len(blocks), step))
    return b"".join(quantize(wanted, part).tobytes() for part in parts)
