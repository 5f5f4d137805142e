"""What Fanlight runs, by the cases that prove it: rows of the README's table, and docs/families.md.

    python -m scripts.support_table

A family is there because a model of it answers as transformers, from a folder, or from a GGUF file as llama.cpp too; a
weight format because its values are those of the format's own reader. tests/test_support_table.py sees that both pages are
as they would be made now."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from fanlight.formats.quant import QUANT_TYPES
from fanlight.models import ARCHITECTURES
from scripts.golden import (
    architectures_gguf,
    encoders_gguf,
    tiny_architectures,
    tiny_delta,
    tiny_encoders,
    tiny_experts,
    tiny_gguf,
    tiny_hearing,
    tiny_mamba,
    tiny_models,
    tiny_moes,
    tiny_quantised,
    tiny_rwkv,
    tiny_state,
    tiny_vision,
    tiny_whisper,
)

ROOT = Path(__file__).resolve().parents[1]
VISION = ROOT / "tests" / "golden" / "vision"
README, PAGE = ROOT / "README.md", ROOT / "docs" / "families.md"
BEGIN, END = "<!-- made by: python -m scripts.support_table -->\n", "<!-- made until here -->\n"
# What the README calls the families of whose cases a file is; those of no file here are 'dense'.
GROUPS = {"experts": {**tiny_experts.CASES, **tiny_moes.CASES}}
GROUPS["a state"] = {**tiny_state.CASES, **tiny_delta.CASES, **tiny_mamba.CASES, **tiny_rwkv.CASES}
GROUPS["embedding"] = tiny_encoders.CASES
GROUPS |= {"sound": tiny_whisper.CASES, "heard": tiny_hearing.CASES, "pictures": tiny_vision.CASES}
ROWS = {
    "dense": "language models",
    "experts": "with experts",
    "a state": "with a state from token to token",
    "embedding": "embedding models, cross-encoders",
    "sound": "input: sound",
    "heard": "input: sound, beside text",
    "pictures": "input: pictures, beside text",
}


@dataclass(slots=True)
class Family:
    """One file of fanlight/models."""

    file: str
    model_types: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)  # cases
    files: list[str] = field(default_factory=list)

    @property
    def names(self) -> str:
        """As the file's first sentence has them."""
        first = (import_module(f"fanlight.models.{self.file}").__doc__ or "").split("\n")[0]
        return first.split("  http")[0].strip().rstrip(".")

    @property
    def group(self) -> str:
        cases = {*self.folders, *self.files}
        if cases <= tiny_vision.CASES.keys():
            return "pictures"
        of = [group for group, known in GROUPS.items() if cases & known.keys() and group not in ("embedding", "pictures")]
        return next(iter(of), "dense" if self._generates else "embedding")

    def is_of(self, group: str) -> bool:
        """Whether a row names it: that of its group, and of pictures where it takes them."""
        return self.group == group or (group == "pictures" and not GROUPS[group].keys().isdisjoint(self.folders))

    @property
    def _generates(self) -> bool:
        return hasattr(import_module(f"fanlight.models.{self.file}"), "forward")


def families() -> list[Family]:
    made: dict[str, Family] = {}
    for model_type, file in ARCHITECTURES.items():
        made.setdefault(file, Family(file)).model_types.append(model_type)
    for name, model_type, is_file in cases():
        family = made[ARCHITECTURES[model_type]]
        (family.files if is_file else family.folders).append(name)
    return sorted(made.values(), key=lambda family: family.names.lower())


def cases() -> Iterator[tuple[str, str, bool]]:
    """Name, model_type, whether it is a GGUF file."""
    for name in tiny_architectures.CASES:
        if (model_type := tiny_architectures.text_config_of(name)["model_type"]) in ARCHITECTURES:
            yield name, model_type, False
    for name, model in tiny_models.CASES.items():
        yield name, model.config["model_type"], False
    for name, encoder in tiny_encoders.CASES.items():
        yield name, encoder.config["model_type"], False
    for name in tiny_whisper.CASES:
        yield name, "whisper", False
    for name, hearing in tiny_hearing.CASES.items():
        yield name, hearing.config["model_type"], False
    for name, seeing in tiny_vision.CASES.items():
        if (VISION / f"{name}.npz").is_file():
            yield name, seeing.config["model_type"], False
    for name in architectures_gguf.CASES:
        if (model_type := tiny_architectures.text_config_of(name)["model_type"]) in ARCHITECTURES:
            yield name, model_type, True
    for name, file in tiny_gguf.CASES.items():
        yield name, file.architecture, True
    for name in tiny_rwkv.CASES:
        yield name, "rwkv7", True
    for name in encoders_gguf.CASES:
        yield name, tiny_encoders.CASES[name].config["model_type"], True


def rows() -> str:
    """Of the README's table."""
    known = families()
    lines = ["| | |", "|---|---|"]
    for group, title in ROWS.items():
        of = [family for family in known if family.is_of(group)]
        lines.append(f"| {title} ({len(of)}) | {'; '.join(family.names for family in of)} |")
    formats = [q.name for q in QUANT_TYPES.values() if q.ggml_id is not None and q.fields]
    lines.append(f"| weight formats, GGUF ({len(formats)}) | {' '.join(formats)} |")
    methods = list(dict.fromkeys(name_of_scheme(name) for name in tiny_quantised.SCHEMES))
    lines.append(f"| weight formats, folders ({len(methods)}) | F32 F16 BF16; {', '.join(methods)} |")
    return "\n".join(lines) + "\n"


SCHEMES = {
    "gptq": "GPTQ",
    "awq": "AWQ",
    "compressed": "compressed-tensors",
    "fp8": "FP8",
    "modelopt": "ModelOpt",
    "bnb": "bitsandbytes",
    "bitnet": "BitNet",
    "mlx": "MLX",
}


def name_of_scheme(name: str) -> str:
    return next(title for start, title in SCHEMES.items() if name.startswith(start))


def page() -> str:
    """docs/families.md"""
    lines = [
        "# Families, and what proves them",
        "",
        BEGIN.strip(),
        "A folder's case is a small random model of the family that answers as transformers, natively and in NumPy",
        "(`tests/models/test_architectures.py`, `test_models.py`, `test_encoders.py`, `test_whisper.py`); a GGUF file's",
        "answers as llama.cpp too (`test_truth.py`). Most run in Chromium as well (`tests/web/test_architectures.py`). What a",
        "file names otherwise is refused, with the nearest known name.",
        "",
        "| family | `model_type` | folders | GGUF files |",
        "|---|---|---|---|",
    ]
    for family in families():
        types = ", ".join(f"`{name}`" for name in family.model_types)
        lines.append(f"| {family.names} | {types} | {', '.join(family.folders)} | {', '.join(family.files)} |")
    return "\n".join(lines) + "\n"


def readme() -> str:
    before, rest = README.read_text().split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}{rows()}{END}{after}"


if __name__ == "__main__":
    README.write_text(readme())
    PAGE.write_text(page())
