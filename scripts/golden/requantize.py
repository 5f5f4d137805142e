"""A GGUF file in another weight format, by llama.cpp's own quantiser.

    python -m scripts.golden.requantize MODEL.gguf OUT.gguf Q4_K_M
    python -m scripts.golden.requantize MODEL.gguf OUT.gguf Q4_K_M --llama PATH/libllama.so

Formats of fewer than three bits ask which weights matter most; here all matter alike, which is worse than what people publish,
and the same for whoever reads the file. Needs a libllama: that of the package llama-cpp-py-sync, unless told."""

import argparse
import ctypes
from ctypes import POINTER, Structure, byref, c_bool, c_char_p, c_float, c_int32, c_size_t, c_void_p
from importlib.util import find_spec
from pathlib import Path

# llama.h's enum llama_ftype
FTYPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12,
    "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ2_XXS": 19, "IQ2_XS": 20,
    "IQ3_XS": 22, "IQ3_XXS": 23, "IQ1_S": 24, "IQ4_NL": 25, "IQ3_S": 26, "IQ3_M": 27, "IQ2_S": 28, "IQ2_M": 29,
    "IQ4_XS": 30, "IQ1_M": 31, "BF16": 32, "TQ1_0": 36, "TQ2_0": 37,
}  # fmt: skip
# ggml.h's enum ggml_type, of formats that files of such models are not offered in: for the layers' matrices, or those whose
# columns are whole blocks of 128; all else is Q8_0.
TYPES = {"MXFP4": (39, r"blk\."), "NVFP4": (40, r"blk\."), "Q1_0": (41, "ffn_down"), "Q2_0": (42, r"blk\.")}


class Importance(Structure):
    """llama_model_imatrix_data: of a matrix's columns; a list of them ends with one of no name."""

    _fields_ = (("name", c_char_p), ("data", POINTER(c_float)), ("size", c_size_t))


class Override(Structure):
    """llama_model_tensor_override: of matrices whose names match; a list of them ends with one of no pattern."""

    _fields_ = (("pattern", c_char_p), ("type", c_int32))


class Params(Structure):
    """llama_model_quantize_params"""

    _fields_ = (
        ("nthread", c_int32),
        ("ftype", c_int32),
        ("output_tensor_type", c_int32),
        ("token_embedding_type", c_int32),
        ("allow_requantize", c_bool),
        ("quantize_output_tensor", c_bool),
        ("only_copy", c_bool),
        ("pure", c_bool),
        ("keep_split", c_bool),
        ("dry_run", c_bool),
        ("imatrix", POINTER(Importance)),
        ("kv_overrides", c_void_p),
        ("tt_overrides", POINTER(Override)),
        ("prune_layers", c_void_p),
        ("max_buf_size", c_size_t),
    )


def requantize(source: Path, target: Path, format: str, library: Path) -> None:
    """Raises ValueError with what llama.cpp returned; why, it has printed."""
    llama = ctypes.CDLL(str(library))
    llama.llama_model_quantize_default_params.restype = Params
    llama.llama_model_quantize.argtypes = (c_char_p, c_char_p, POINTER(Params))
    llama.llama_model_quantize.restype = ctypes.c_uint32
    llama.llama_backend_init()
    params = llama.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = FTYPES.get(format, FTYPES["Q8_0"]), True
    params.imatrix = alike(source)
    if format in TYPES:
        number, pattern = TYPES[format]
        params.tt_overrides = (Override * 2)(Override(pattern.encode(), number))
    failed = llama.llama_model_quantize(str(source).encode(), str(target).encode(), byref(params))
    if failed:
        raise ValueError(f"llama_model_quantize of {source} to {format} returned {failed}")


def alike(source: Path) -> ctypes.Array[Importance]:
    """Ones for every column of every matrix."""
    from gguf import GGUFReader

    columns = [(t.name, int(t.shape[0])) for t in GGUFReader(source).tensors if len(t.shape) == 2]
    made = (Importance * (len(columns) + 1))()
    for entry, (name, count) in zip(made, columns, strict=False):
        entry.name, entry.size = name.encode(), count
        entry.data = (c_float * count)(*[1.0] * count)
    return made


def installed_library() -> Path:
    spec = find_spec("llama_cpp_py_sync")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("there is no llama-cpp-py-sync here: --llama says where a libllama is")
    return Path(spec.submodule_search_locations[0]) / "libllama.so"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.golden.requantize", description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("format", choices=sorted({*FTYPES, *TYPES}))
    parser.add_argument("--llama", type=Path)
    options = parser.parse_args()
    requantize(options.source, options.target, options.format, options.llama or installed_library())


if __name__ == "__main__":
    main()
