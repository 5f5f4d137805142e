"""Records how llama.cpp's converter writes the checkpoints of tiny_vision as GGUF files, the language model's and its vision
encoder's (mmproj), into tests/golden/vision_gguf: every key, and of every tensor its format, shape and a digest.

    python -m scripts.golden.record_vision_gguf LLAMA_CPP [case ...]

LLAMA_CPP is a checkout; its converter needs torch and transformers (that of LLaVA's encoder, which is one of the first,
transformers 4), the tests need neither. Only the name of the
pre-tokenizer is given to it, which it would look for by the tokens of a published vocabulary; and the vocabulary is its
file's, without what transformers adds to a family's."""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import tiny_vision, vision_gguf

# Folders as transformers 4 wrote them, which the converter knows: of names of tensors, one start for another.
OLD_STARTS = {
    "gemma3": {
        "model.language_model.": "language_model.model.",
        "lm_head.": "language_model.lm_head.",
        "model.vision_tower.": "vision_tower.vision_model.",
        "model.multi_modal_projector.": "multi_modal_projector.",
    },
    "mistral3": {
        "model.language_model.": "language_model.model.",
        "lm_head.": "language_model.lm_head.",
        "model.vision_tower.": "vision_tower.",
        "model.multi_modal_projector.": "multi_modal_projector.",
    },
    "lfm2_vl": {"model.vision_tower.": "model.vision_tower.vision_model."},
    "qwen2_vl": {"model.language_model.": "model.", "model.visual.": "visual."},
    "qwen2_5_vl": {"model.language_model.": "model.", "model.visual.": "visual."},
}
CLIP_DEFAULTS = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}  # of a published config.json
MORE = {"qwen3_5-published": ["--no-mtp"]}  # flags, for the language model: without layers that predict ahead
CONVERT = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/gguf-py"]
del sys.argv[1]
import conversion.base, convert_hf_to_gguf, transformers
transformers.AutoTokenizer.from_pretrained = transformers.PreTrainedTokenizerFast.from_pretrained
conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
convert_hf_to_gguf.main()
"""


def make_folder(name: str, folder: Path) -> Path:
    from safetensors.numpy import load_file, save_file

    tiny_vision.make_checkpoint(name, folder)
    case = tiny_vision.CASES[name]
    starts = OLD_STARTS.get(case.config["model_type"], {})
    path = folder / "model.safetensors"
    tensors = {vision_gguf.started(part, starts): values for part, values in load_file(path).items()}
    save_file(tensors, path, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    if config["text_config"]["model_type"] == "llama":  # which the converter knows by this alone
        config["text_config"]["architectures"] = ["LlamaForCausalLM"]
    (folder / "config.json").write_text(json.dumps(config))
    preprocessor = case.preprocessor or {"image_mean": [case.mean] * 3, "image_std": [case.std] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps({**preprocessor, "image_seq_length": case.rows}))
    return folder


def convert(llama_cpp: str, folder: Path, path: Path, is_tower: bool) -> Path:
    if is_tower and folder.name == "llava":
        return convert_clip(llama_cpp, folder, path)
    flags = ["--outtype", "f32", "--outfile", str(path), *(["--mmproj"] if is_tower else MORE.get(folder.name, []))]
    made = subprocess.run([sys.executable, "-c", CONVERT, llama_cpp, str(folder), *flags], capture_output=True, text=True)
    if made.returncode:
        raise ValueError(f"{path.name} of {folder.name}: {made.stderr[-2000:]}")
    return path


def convert_clip(llama_cpp: str, folder: Path, path: Path) -> Path:
    """LLaVA's encoder, as the first files were made: of a folder with it alone, and of a file with the projector."""
    import torch
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tower = {part.removeprefix("vision_tower."): values for part, values in tensors.items() if part.startswith("vision_tower.")}
    alone = folder / "tower"
    alone.mkdir()
    config = json.loads((folder / "config.json").read_text())["vision_config"]
    (alone / "config.json").write_text(json.dumps({**CLIP_DEFAULTS, **config}))
    save_file(tower, alone / "model.safetensors", {"format": "pt"})
    projector = {
        part: torch.from_numpy(values) for part, values in tensors.items() if part.startswith("multi_modal_projector.")
    }
    torch.save(projector, alone / "llava.projector")
    script = f"{llama_cpp}/tools/mtmd/legacy-models/convert_image_encoder_to_gguf.py"
    halves = ["--image-mean", *["0.5"] * 3, "--image-std", *["0.5"] * 3]
    flags = ["-m", str(alone), "--clip-model-is-vision", "--use-f32", "--llava-projector", f"{alone}/llava.projector", *halves]
    made = subprocess.run([sys.executable, script, *flags], capture_output=True, text=True)
    if made.returncode:
        raise ValueError(f"{path.name} of {folder.name}: {made.stderr[-2000:]}")
    return (alone / "mmproj-model-f32.gguf").rename(path)


def described(path: Path) -> dict[str, Any]:
    import gguf

    reader = gguf.GGUFReader(path)
    keys = {
        name: [[kind.name for kind in field.types[:2]], field.contents()]
        for name, field in reader.fields.items()
        if not name.startswith(("GGUF.", "general."))
    }
    tensors = {
        tensor.name: [tensor.tensor_type.name, [*map(int, tensor.shape[::-1])], digest_of(tensor.data)]
        for tensor in reader.tensors
    }
    return {"keys": keys, "tensors": tensors}


def digest_of(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


def main(llama_cpp: str, names: list[str]) -> None:
    vision_gguf.FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in names or vision_gguf.CASES:
            folder = make_folder(name, Path(scratch) / name)
            files = {"text": False, "mmproj": True}
            made = {
                kind: described(convert(llama_cpp, folder, folder / f"{kind}.gguf", tower)) for kind, tower in files.items()
            }
            (vision_gguf.FOLDER / f"{name}.json").write_text(json.dumps(made) + "\n")
            print(name, {kind: len(found["tensors"]) for kind, found in made.items()}, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
