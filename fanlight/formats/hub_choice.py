"""Which repository a text names on the Hugging Face Hub, and which of its files make the model.  web/src/hub.ts and
hub-choice.ts have the same rules; tests/formats/hub_cases.json holds both to them.  Knows names and sizes, asks nobody."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from fanlight.errors import SourceError
from fanlight.formats import mlc, safetensors
from fanlight.formats.checkpoint import HF_FILES, MODULES, MORE_TEMPLATES, TEMPLATE_ENDING, TEMPLATE_JSON, TEMPLATE_TEXT

PREFERRED = ("Q4_K_M", "Q4_K_S", "Q4_0", "Q5_K_M", "Q8_0")  # in this order, where nobody said which and there are several
ENCODERS = ("Q8_0", "F16", "BF16", "F32")  # likewise, of files of encoders

PART = re.compile(r"-(\d{5})-of-(\d{5})(\.gguf)(?=$|\?)", re.IGNORECASE)
SIDE_FILES = {*HF_FILES.values(), TEMPLATE_TEXT, TEMPLATE_JSON, safetensors.INDEX_NAME, MODULES}
MODULE_FILE = re.compile(r"\d+_[A-Z]\w*/(config\.json|model\.safetensors)", re.ASCII)  # 1_Pooling/config.json
ENCODER = re.compile(r"mmproj[^/]*\.gguf$", re.IGNORECASE)  # of pictures or sounds, beside a language model
NO_MODEL = re.compile(r"(mmproj|imatrix)|.*mmproj", re.IGNORECASE)  # GGUF files that are parts of others, or notes about them

ID = re.compile(r"(?:hf:)?([\w.-]+/[\w.-]+?)(?:@([\w./-]+?))?(?::([^:]+))?", re.ASCII)
PAGE = re.compile(r"(?:https?://)?(?:(?:www\.)?huggingface\.co|hf\.co)/", re.IGNORECASE)
NO_MODELS = {
    "api",
    "datasets",
    "spaces",
    "docs",
    "papers",
    "collections",
    "blog",
    "models",
}  # first parts of other pages' paths


@dataclass(frozen=True, slots=True)
class HubId:
    """quant: a quantisation's name (Q4_K_M), the path of a GGUF file, or a folder's ending in a slash."""

    repo: str
    quant: str | None = None
    revision: str | None = None  # a branch, tag or commit; main unless set


def parse_hub_id(text: str) -> HubId | None:
    """The repository that a text names: owner/repo, owner/repo:Q4_K_M, owner/repo@revision, or the address of its page or of
    one of its files there. None if it is something else."""
    if PAGE.match(text):
        return _parse_page(text)
    match = ID.fullmatch(text)
    if not match or match[1].startswith(".") or (match[1].lower().endswith((".gguf", ".safetensors")) and not match[3]):
        return None
    return HubId(match[1], match[3], match[2])


def _parse_page(text: str) -> HubId | None:
    url = urlsplit(re.sub(r"^(https?://)?", "https://", text, flags=re.IGNORECASE))
    owner, name, kind, revision, *rest = [*(unquote(part) for part in url.path.split("/") if part), *[""] * 4]
    if not owner or not name or owner in NO_MODELS:
        return None
    name, _, quant = name.partition(":")
    path = "/".join(part for part in rest if part)
    if kind not in ("tree", "blob", "resolve", "raw"):
        shown = parse_qs(url.query).get("show_file_info", [quant])[0]  # the page, with a file opened in it
        return HubId(f"{owner}/{name}", _chosen(shown))
    is_file = kind != "tree" and not url.path.endswith("/")
    named = path if is_file else path and f"{path}/"
    return HubId(f"{owner}/{name}", _chosen(named), None if revision in ("", "main") else revision)


def _chosen(path: str) -> str | None:
    """Of a file that is no model by itself, its folder."""
    if not path.endswith("/") and re.search(r"[/.]", path) and not path.lower().endswith(".gguf"):
        path = path[: path.rfind("/") + 1]
    return path or None


def choose_files(
    repo: str, sizes: Mapping[str, int], quant: str | None = None, shards: Iterable[str] | None = None
) -> list[str]:
    """The files of the model among those of a repository, by path with their sizes: a GGUF model's, with all its parts and its
    encoder's unless `quant` is the name of a file, or the safetensors files and what they need, which come first where
    no `quant` is given. shards: what its index lists. Raises SourceError."""
    if quant and quant.endswith("/"):
        inside = {path.removeprefix(quant): size for path, size in sizes.items() if path.startswith(quant)}
        return [quant + path for path in choose_files(f"{repo}/{quant[:-1]}", inside, None, shards)]
    chosen = [] if quant else folder_model(sizes, shards)
    chosen = chosen or _choose_gguf(repo, sizes, quant)
    if chosen[0].lower().endswith(".gguf") and not (quant and quant.lower().endswith(".gguf")):
        chosen = with_encoder(chosen, sizes)
    for path in chosen:
        if path not in sizes:
            hint = "the repository is not complete: choose another one"
            raise SourceError(f"{path} is missing: the model has {len(chosen)} files", where=repo, hint=hint)
    return chosen


def folder_model(paths: Iterable[str], shards: Iterable[str] | None = None) -> list[str]:
    """Of a folder's files those of its model by MLC, or else in safetensors; none if there is neither."""
    paths = set(paths)
    if files := mlc.model_files(paths, SIDE_FILES):
        return files
    found = {path for path in paths if path.endswith(".safetensors") and "/" not in path}
    if not found:
        return []
    # Other copies of the weights may lie beside (consolidated.safetensors).
    numbered = {path for path in found if re.fullmatch(r"model-\d+-of-\d+\.safetensors", path, re.ASCII)}
    weights = set(shards or ()) or found & {"model.safetensors"} or numbered or found
    templates = {path for path in paths if re.fullmatch(rf"{MORE_TEMPLATES}/[^/]+{re.escape(TEMPLATE_ENDING)}", path)}
    modules = {path for path in paths if MODULE_FILE.fullmatch(path)} if MODULES in paths else set()
    return [*sorted(paths & SIDE_FILES | templates), *sorted(weights), *sorted(modules)]


def _choose_gguf(repo: str, sizes: Mapping[str, int], quant: str | None) -> list[str]:
    models = group_gguf(sizes)
    if not models:
        there = ", ".join(sorted(sizes)) or "nothing"
        raise SourceError(f"there is no GGUF and no safetensors model in it, only: {there:.300}", where=repo)
    if not quant and len(models) == 1:
        return models[0]
    asked = [parts for parts in models if quant and parts[0] in (quant, parts_of(quant)[0])]
    if len(asked) == 1:
        return asked[0]
    for name in (quant,) if quant else PREFERRED:
        found = _matching(models, name)
        if len(found) == 1:
            return found[0]
        if found:
            raise _ambiguous(repo, sizes, found, f"{len(found)} of its GGUF models match '{name}'")
    message = f"none of its GGUF models matches '{quant}'" if quant else f"there are {len(models)} GGUF models"
    raise _ambiguous(repo, sizes, models, message)


def with_encoder(model: list[str], paths: Iterable[str]) -> list[str]:
    """And the encoder's file that lies beside it, or above, if there is one."""
    folders = {model[0].rpartition("/")[0], ""}
    found = [[path] for path in sorted(paths) if ENCODER.search(path) and path.rpartition("/")[0] in folders]
    matches = (_matching(found, name) for name in ENCODERS)
    return model + next((match[0] for match in matches if match), found[0] if found else [])


def _matching(models: Sequence[list[str]], name: str) -> list[list[str]]:
    """Those that have the name of the quantisation in theirs; of several the one that ends with it."""
    word = rf"(?<![a-z0-9]){re.escape(name)}"
    stems = [re.sub(r"\.gguf$", "", PART.sub(r"\3", parts[0]), flags=re.IGNORECASE) for parts in models]
    found, ending = (
        [parts for parts, stem in zip(models, stems, strict=True) if re.search(word + end, stem, re.IGNORECASE)]
        for end in (r"(?![a-z0-9_])", "$")
    )
    return ending if len(ending) == 1 else found


def _ambiguous(repo: str, sizes: Mapping[str, int], models: Sequence[Sequence[str]], message: str) -> SourceError:
    sized = [(parts[0], sum(sizes.get(part, 0) for part in parts)) for parts in models]
    there = ", ".join(f"{path} ({size / 1e9:.2f} GB)" for path, size in sized)
    return SourceError(
        f"{message}; there is: {there:.800}", where=repo, hint=f"say which: {repo}:NAME, such as {repo}:{PREFERRED[0]}"
    )


def group_gguf(paths: Iterable[str]) -> list[list[str]]:
    """The GGUF models among the paths, each with all its parts, also those that are missing."""
    models: dict[str, list[str]] = {}
    for path in sorted(paths):
        if path.lower().endswith(".gguf") and not NO_MODEL.match(path.rpartition("/")[2]):
            parts = parts_of(path)
            models[parts[0]] = parts
    return list(models.values())


def parts_of(path: str) -> list[str]:
    """All parts of a split GGUF file, one of which is `path` (or its URL); else `path` alone."""
    match = PART.search(path)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        return [path]
    before, after = path[: match.start()], match[3] + path[match.end() :]
    return [f"{before}-{number:05}-of-{match[2]}{after}" for number in range(1, int(match[2]) + 1)]
