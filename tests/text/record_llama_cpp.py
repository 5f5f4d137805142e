"""Records what llama.cpp makes of TEXTS with the vocabularies of `vocabularies.py`, in golden/llama_cpp.json.

Run from the repository root, in an environment with llama-cpp-python, gguf and tokenizers:
    python tests/text/record_llama_cpp.py
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf
import llama_cpp

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

from fanlight.text.gguf_vocabulary import LLAMA3, SPLITS  # noqa: E402
from tests.text.vocabularies import TEXTS, byte_level_metadata, encoder_metadata, gemma4_metadata, sentencepiece_metadata  # noqa: E402


def write_vocabulary(path: Path, metadata: dict[str, Any]) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    for name, value in (("context_length", 64), ("embedding_length", 32), ("block_count", 1), ("feed_forward_length", 32)):
        writer.add_uint32(f"llama.{name}", value)
    writer.add_uint32("llama.attention.head_count", 1)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    for key, value in metadata.items():
        if isinstance(value, list | bytes):
            writer.add_array(key, value)
        elif isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        else:
            writer.add_string(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def ids_by_text(metadata: dict[str, Any], folder: str) -> dict[str, list[int]]:
    path = Path(folder) / "vocabulary.gguf"
    write_vocabulary(path, metadata)
    model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    return {text: model.tokenize(text.encode(), add_bos=True, special=True) for text in TEXTS}


def main() -> None:
    golden: dict[str, dict[str, list[int]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in SPLITS:
            try:
                golden[name] = ids_by_text(byte_level_metadata(name, LLAMA3), folder)
            except Exception as error:
                print(f"{name}: llama.cpp {llama_cpp.__version__} cannot load it: {error}")
        golden["llama"] = ids_by_text(sentencepiece_metadata(), folder)
        golden["llama-no-prefix"] = ids_by_text(sentencepiece_metadata(**{"tokenizer.ggml.add_space_prefix": False}), folder)
        golden["gemma4"] = ids_by_text(gemma4_metadata(), folder)
        golden |= {name: ids_by_text(encoder_metadata(name), folder) for name in ("bert", "t5")}
    (HERE / "golden").mkdir(exist_ok=True)
    (HERE / "golden" / "llama_cpp.json").write_text(json.dumps({"texts": TEXTS, "ids": golden_lists(golden)}) + "\n")


def golden_lists(golden: dict[str, dict[str, list[int]]]) -> dict[str, list[list[int]]]:
    return {name: list(by_text.values()) for name, by_text in golden.items()}


if __name__ == "__main__":
    main()
