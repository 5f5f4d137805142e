"""From what a person writes to the files of a model: a file, a folder, a URL, a hub id, an id of the catalogue or 'built-in'.
Native only.

    model.gguf   model-00001-of-00003.gguf   folder/   https://host/model.gguf   owner/repo   owner/repo:Q4_K_M   built-in
    llama-3.2-1b

Opens files and asks servers; reads no weights and knows no architecture. The hub is asked through huggingface_hub, which keeps
the files in its own cache and knows the user's token; URLs' files are kept in the store.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from fanlight.errors import SourceError
from fanlight.formats import mlc, safetensors
from fanlight.formats.catalogue import find
from fanlight.formats.checkpoint import HF_FILES, MODULES, MORE_TEMPLATES, TEMPLATE_ENDING, TEMPLATE_JSON, TEMPLATE_TEXT
from fanlight.formats.download import open_url
from fanlight.formats.source import FileSource, Source, display_url, is_url
from fanlight.formats.store import Store
from fanlight.settings import settings

T = TypeVar("T")

BUILT_IN = "built-in"
BUILT_IN_PATH = Path(__file__).parents[1] / "builtin" / "model.gguf"
PREFERRED_TAG = "Q4_K_M"  # of a hub repository with several; the field's usual compromise

PART = re.compile(r"-(\d{5})-of-(\d{5})(\.gguf)(?=$|\?)", re.IGNORECASE)
HUB_ID = re.compile(r"(?:hf\.co/|hf:)?([\w.-]+/[\w.-]+?)(?::([\w.-]+))?", re.ASCII)
HUB_PAGE = re.compile(r"https?://(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)/?(?:tree/main/?)?", re.ASCII)
SIDE_FILES = {*HF_FILES.values(), TEMPLATE_TEXT, TEMPLATE_JSON, safetensors.INDEX_NAME, MODULES}
MODULE_FILE = re.compile(r"\d+_[A-Z]\w*/(config\.json|model\.safetensors)", re.ASCII)  # 1_Pooling/config.json
SHAPES = (
    "a file, a folder, a URL, a hub id such as owner/repo or owner/repo:Q4_K_M, an id that `fanlight models` lists, or built-in"
)


async def resolve_model(spec: str | Path) -> list[Source]:
    """The files of the model that `spec` means, for `open_checkpoint`. Raises SourceError."""
    text = str(spec)
    if text == BUILT_IN:
        return [FileSource(BUILT_IN_PATH)]
    page = HUB_PAGE.fullmatch(text)
    if page:
        return resolve_hub(page[1], None)
    if is_url(text):
        return await resolve_url(text)
    path = Path(spec).expanduser()
    if text and path.exists():
        return resolve_path(path)
    if listed := find(text):
        return await resolve_model(listed.model)
    hub_id = HUB_ID.fullmatch(text)
    if hub_id and not hub_id[1].startswith(".") and not hub_id[1].endswith((".gguf", ".safetensors")):
        return resolve_hub(hub_id[1], hub_id[2])
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
    """The files of a Hugging Face folder, or its one GGUF model."""
    more = (path.relative_to(folder).as_posix() for path in (folder / MORE_TEMPLATES).glob(f"*{TEMPLATE_ENDING}"))
    names = sorted([*(entry.name for entry in folder.iterdir() if entry.is_file()), *more])
    if MODULES in names:
        names += sorted(path.relative_to(folder).as_posix() for path in folder.glob("*_*/*"))
    index = folder / safetensors.INDEX_NAME
    weight_map = safetensors.parse_index(index.read_bytes(), str(index)) if index.is_file() else None
    chosen = hub_folder_files(names, set(weight_map.values()) if weight_map else None)
    if chosen:
        return existing(str(folder / name) for name in chosen)
    models = group_gguf(names)
    if len(models) == 1:
        return existing(str(folder / name) for name in models[0])
    if models:
        raise SourceError(f"there are {len(models)} GGUF models: {listing(models)}", where=str(folder), hint="give the file")
    there = ", ".join(names) or "nothing"
    hint = "give a folder with config.json and safetensors files, or with a GGUF file"
    raise SourceError(f"no model in this folder; there is {there:.300}", where=str(folder), hint=hint)


def hub_folder_files(names: Iterable[str], shards: set[str] | None = None) -> list[str]:
    """Of the names of a Hugging Face folder those that make the model; none if it has no safetensors, and is none of MLC's.
    `shards`: what its index says."""
    names = set(names)
    if files := mlc.model_files(names, SIDE_FILES):
        return files
    found = {name for name in names if name.endswith(".safetensors") and "/" not in name}
    if shards is None and "model.safetensors" in found:
        shards = {"model.safetensors"}
    # Other copies of the weights may lie beside (consolidated.safetensors).
    shards = shards or {n for n in found if re.fullmatch(r"model-\d+-of-\d+\.safetensors", n)} or found
    templates = {name for name in names if name.startswith(f"{MORE_TEMPLATES}/") and name.endswith(TEMPLATE_ENDING)}
    modules = [name for name in names if MODULE_FILE.fullmatch(name)] if MODULES in names else []
    return sorted(names & SIDE_FILES | templates) + sorted(shards) + sorted(modules) if found else []


def parts_of(name: str) -> list[str]:
    """All parts of a split GGUF file, one of which is `name` (a path or URL); else `name` alone."""
    match = PART.search(name)
    if not match:
        return [name]
    count = int(match[2])
    if not 1 <= int(match[1]) <= count:
        raise SourceError(f"part {int(match[1])} of {count} cannot be", where=display_url(name) if is_url(name) else name)
    before, after = name[: match.start()], match[3] + name[match.end() :]
    return [f"{before}-{number:05}-of-{match[2]}{after}" for number in range(1, count + 1)]


def existing(names: Iterable[str]) -> list[Path]:
    paths = [Path(name) for name in names]
    missing = [p for p in paths if not p.is_file()]
    if missing:
        message = f"the file is missing; the model has {len(paths)} files, and {len(missing)} of them are not there"
        raise SourceError(message, where=str(missing[0]), hint="put all files of the model into one folder")
    return paths


def group_gguf(names: Iterable[str]) -> list[list[str]]:
    """The GGUF models among the names, each with all its parts (also those that are missing). No projectors of vision
    models."""
    models: dict[str, list[str]] = {}
    for name in sorted(names):
        if name.lower().endswith(".gguf") and "mmproj" not in name.rpartition("/")[2].lower():
            parts = parts_of(name)
            models[parts[0]] = parts
    return list(models.values())


def listing(models: Sequence[Sequence[str]]) -> str:
    return ", ".join(parts[0] for parts in models)[:600]


# --- URLs ------------------------------------------------------------------------------------------------------------
async def resolve_url(url: str) -> list[Source]:
    # The page that shows a file, as people copy it, stands for the file.
    url = re.sub(r"^(https?://(?:huggingface\.co|hf\.co)/[^/?]+/[^/?]+)/blob/", r"\1/resolve/", url)
    store = Store(settings().store)
    return [await open_url(part, store) for part in parts_of(url)]


# --- hub -------------------------------------------------------------------------------------------------------------
def resolve_hub(repo: str, tag: str | None) -> list[Source]:
    """The files of a hub repository, downloaded or from the cache; `tag` chooses among several GGUF models."""
    hub = import_hub(repo)
    names = list_hub_files(hub, repo)
    chosen = None if tag else hub_folder_files(names, shards_of(hub, repo, names))
    chosen = chosen or choose_gguf(repo, names, tag)
    folder = Path(call_hub(repo, lambda: hub.snapshot_download(repo, allow_patterns=[escape(n) for n in chosen])))
    return [FileSource(path) for path in existing(str(folder / name) for name in chosen)]


def import_hub(repo: str) -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        hint = "pip install huggingface_hub, or download the model and give its path"
        raise SourceError("the hub needs the package huggingface_hub", where=repo, hint=hint) from error
    return huggingface_hub


def list_hub_files(hub: ModuleType, repo: str) -> list[str]:
    """The repository's files. Without a network: those of the newest copy in the cache."""
    try:
        return call_hub(repo, lambda: hub.list_repo_files(repo))
    except SourceError:
        try:
            folder = Path(hub.snapshot_download(repo, local_files_only=True))
        except Exception:  # not in the cache: what the hub said is what matters
            folder = None
        if folder is None:
            raise
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def shards_of(hub: ModuleType, repo: str, names: Sequence[str]) -> set[str] | None:
    if safetensors.INDEX_NAME not in names:
        return None
    path = call_hub(repo, lambda: hub.hf_hub_download(repo, safetensors.INDEX_NAME))
    return set(safetensors.parse_index(Path(path).read_bytes(), f"{repo}/{safetensors.INDEX_NAME}").values())


def call_hub(repo: str, ask: Callable[[], T]) -> T:
    """ask(), with whatever the library raises as a SourceError: its own exceptions, its HTTP client's, the system's."""
    try:
        return ask()
    except Exception as error:
        kind = type(error).__name__
        hint = {
            "RepositoryNotFoundError": f"check the name: {SHAPES}; for a private model sign in with `hf auth login`",
            "GatedRepoError": "accept the model's conditions on its page, then sign in with `hf auth login`",
        }.get(kind, "check the network connection, or download the model and give its path")
        reason = str(error).strip().split("\n")[0]
        raise SourceError(f"the hub could not give it: {kind}: {reason:.300}", where=repo, hint=hint) from error


def choose_gguf(repo: str, names: Sequence[str], tag: str | None) -> list[str]:
    models = group_gguf(names)
    if not models:
        there = ", ".join(names) or "nothing"
        raise SourceError(f"no GGUF and no safetensors model in this repository; there is {there:.300}", where=repo)
    if tag is None and len(models) == 1:
        return models[0]
    pattern = re.compile(rf"(?<![a-z0-9]){re.escape(tag or PREFERRED_TAG)}(?![a-z0-9_])", re.IGNORECASE)
    found = [parts for parts in models if pattern.search(PART.sub(r"\3", parts[0]).removesuffix(".gguf"))]
    found = [parts for parts in models if parts[0] == tag] or found
    if len(found) == 1:
        return found[0]
    message = f"{len(found)} of its GGUF models match {tag!r}" if tag else f"there are {len(models)} GGUF models"
    raise SourceError(
        f"{message}: {listing(found or models)}", where=repo, hint=f"give {repo}:TAG, such as {repo}:{PREFERRED_TAG}"
    )


def escape(name: str) -> str:
    """For the library's shell-like patterns."""
    return re.sub(r"([*?\[])", r"[\1]", name)
