"""Records how llama.cpp's converter writes the checkpoints of tiny_hearing as GGUF files, the language model's and its encoder
of sound's (mmproj), into tests/golden/hearing_gguf, as record_vision_gguf does.

    python -m scripts.golden.record_hearing_gguf LLAMA_CPP"""

import json
import sys
import tempfile
from pathlib import Path

from scripts.golden import hearing_gguf, tiny_hearing
from scripts.golden.record_vision_gguf import convert, described


def main(llama_cpp: str) -> None:
    hearing_gguf.FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in hearing_gguf.CASES:
            folder = tiny_hearing.make_checkpoint(name, Path(scratch) / name)
            files = {"text": False, "mmproj": True}
            made = {
                kind: described(convert(llama_cpp, folder, folder / f"{kind}.gguf", tower)) for kind, tower in files.items()
            }
            (hearing_gguf.FOLDER / f"{name}.json").write_text(json.dumps(made) + "\n")
            print(name, {kind: len(found["tensors"]) for kind, found in made.items()}, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
