"""From what a person writes to the files of a model: a file, a folder, a URL, a hub id, an id of the catalogue or 'built-in'.
Native only.

    model.gguf   model-00001-of-00003.gguf   folder/   https://host/model.gguf   owner/repo   owner/repo:Q4_K_M   built-in
    llama-3.2-1b

Opens files and asks servers; reads no weights and knows no architecture. URLs' files are kept in the store, the hub's by
huggingface_hub (hub.py).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fanlight.errors import SourceError
from fanlight.formats import lora, safetensors
from fanlight.formats.catalogue import find
from fanlight.formats.checkpoint import HF_FILES, MODULES, MORE_TEMPLATES, TEMPLATE_ENDING
from fanlight.formats.download import open_url
from fanlight.formats.hub import open_repository
from fanlight.formats.hub_choice import PART, folder_model, group_gguf, parse_hub_id, with_encoder
from fanlight.formats.hub_choice import parts_of as all_parts_of
from fanlight.formats.source import FileSource, Source, display_url, is_url
from fanlight.formats.store import Store
from fanlight.settings import settings

BUILT_IN = "built-in"
BUILT_IN_PATH = Path(__file__).parents[1] / "builtin" / "model.gguf"
SHAPES = (
    "a file, a folder, a URL, a hub id such as owner/repo or owner/repo:Q4_K_M, an id that `fanlight models` lists, or built-in"
)


async def resolve_model(spec: str | Path) -> list[Source]:
    """The files of the model that `spec` means, for `open_checkpoint`. Raises SourceError."""
    text = str(spec)
    if text == BUILT_IN:
        return [FileSource(BUILT_IN_PATH)]
    path = Path(spec).expanduser()
    if text and not is_url(text) and path.exists():
        return resolve_path(path)
    if hub_id := parse_hub_id(text):
        return open_repository(hub_id)
    if is_url(text):
        return await resolve_url(text)
    if listed := find(text):
        return await resolve_model(listed.model)
    raise SourceError("there is no such file or folder", where=text, hint=f"give {SHAPES}")


# --- files and folders -----------------------------------------------------------------------------------------------
def resolve_path(path: Path) -> list[Source]:
    return [FileSource(part) for part in files_at(path)]


def files_at(path: Path) -> list[Path]:
    if path.is_dir():
        return files_in(path)
    if path.suffix == ".safetensors":
        return files_in(path.parent)
    return existing(parts_of(str(path)))


def files_in(folder: Path) -> list[Path]:
    """The files of a Hugging Face folder, or its one GGUF model, with its vision encoder."""
    more = (path.relative_to(folder).as_posix() for path in (folder / MORE_TEMPLATES).glob(f"*{TEMPLATE_ENDING}"))
    names = sorted([*(entry.name for entry in folder.iterdir() if entry.is_file()), *more])
    if MODULES in names:
        names += sorted(path.relative_to(folder).as_posix() for path in folder.glob("*_*/*"))
    index = folder / safetensors.INDEX_NAME
    weight_map = safetensors.parse_index(index.read_bytes(), str(index)) if index.is_file() else None
    if lora.CONFIG in names and HF_FILES["config"] not in names:
        return existing(str(folder / name) for name in (lora.CONFIG, lora.WEIGHTS))
    chosen = folder_model(names, set(weight_map.values()) if weight_map else None)
    if chosen:
        return existing(str(folder / name) for name in chosen)
    models = group_gguf(names)
    if len(models) == 1:
        return existing(str(folder / name) for name in with_encoder(models[0], names))
    if models:
        raise SourceError(f"there are {len(models)} GGUF models: {listing(models)}", where=str(folder), hint="give the file")
    there = ", ".join(names) or "nothing"
    hint = "give a folder with config.json and safetensors files, or with a GGUF file"
    raise SourceError(f"no model in this folder; there is {there:.300}", where=str(folder), hint=hint)


def parts_of(name: str) -> list[str]:
    """All parts of a split GGUF file, one of which is `name` (a path or URL); else `name` alone."""
    match = PART.search(name)
    if match and not 1 <= int(match[1]) <= int(match[2]):
        where = display_url(name) if is_url(name) else name
        raise SourceError(f"part {int(match[1])} of {int(match[2])} cannot be", where=where)
    return all_parts_of(name)


def existing(names: Iterable[str]) -> list[Path]:
    paths = [Path(name) for name in names]
    missing = [p for p in paths if not p.is_file()]
    if missing:
        message = f"the file is missing; the model has {len(paths)} files, and {len(missing)} of them are not there"
        raise SourceError(message, where=str(missing[0]), hint="put all files of the model into one folder")
    return paths


def listing(models: Sequence[Sequence[str]]) -> str:
    return ", ".join(parts[0] for parts in models)[:600]


# --- URLs ------------------------------------------------------------------------------------------------------------
async def resolve_url(url: str) -> list[Source]:
    store = Store(settings().store)
    return [await open_url(part, store) for part in parts_of(url)]
