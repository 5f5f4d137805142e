"""The files of a repository on the Hugging Face Hub, downloaded or from the cache, each checked once by the digest that the hub
lists.  huggingface_hub asks, keeps the files in its own cache, and knows the user's token and the hub's address (HF_ENDPOINT).
Native only; which files make a model is hub_choice.py's."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fanlight.errors import SourceError
from fanlight.formats import safetensors
from fanlight.formats.hub_choice import HubId, choose_files
from fanlight.formats.source import FileSource, Source
from fanlight.formats.store import Store
from fanlight.settings import settings

T = TypeVar("T")

MAIN = "main"


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository's files at one commit: sizes, and digests where the hub was asked."""

    repo: str
    commit: str
    sizes: dict[str, int]
    digests: dict[str, str]  # "sha256:..." or, where git holds the file itself, "git:..."
    folder: Path | None = None  # of the cache, where the hub cannot be asked


def open_repository(named: HubId) -> list[Source]:
    """The files of the model in the repository. Raises SourceError."""
    api = open_hub(named.repo)
    revision = named.revision or MAIN
    listing = list_files(api, named.repo, revision)
    chosen = choose_files(named.repo, listing.sizes, named.quant, shards_of(api, listing, named))
    folder = listing.folder or download(api, named.repo, revision, chosen)
    if folder.name != listing.commit:
        raise SourceError("the repository changed while it was downloaded", where=named.repo, hint="load the model again")
    for name in chosen:
        check_file(folder / name, listing.digests.get(name))
    return [FileSource(folder / name) for name in chosen]


def download(api: Any, repo: str, revision: str, names: Sequence[str]) -> Path:
    """The folder with these files."""
    patterns = [escape(name) for name in names]
    return Path(call_hub(api, repo, lambda: api.snapshot_download(repo, revision=revision, allow_patterns=patterns)))


def open_file(named: HubId, path: str) -> Source:
    """One file of the repository."""
    api = open_hub(named.repo)
    folder = download(api, named.repo, named.revision or MAIN, [path])
    return FileSource(folder / path)


@dataclass(frozen=True, slots=True)
class Found:
    """A repository with a model."""

    id: str
    downloads: int
    licence: str | None
    gated: bool  # its maker wants to be asked first


def search_models(words: str, limit: int, format: str) -> list[Found]:
    """Those that are downloaded most first. format: gguf or safetensors."""
    api = open_hub("")
    ask = lambda: list(api.list_models(search=words, filter=format, sort="downloads", limit=limit))  # noqa: E731
    found = []
    for model in call_hub(api, "", ask):
        licence = next((tag.removeprefix("license:") for tag in model.tags or () if tag.startswith("license:")), None)
        found.append(Found(model.id, model.downloads or 0, licence, bool(model.gated)))
    return found


def open_hub(where: str) -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        hint = "pip install huggingface_hub, or download the model and give its path"
        raise SourceError("the hub needs the package huggingface_hub", where=where, hint=hint) from error
    return huggingface_hub.HfApi(library_name="fanlight")


def list_files(api: Any, repo: str, revision: str) -> Listing:
    """Without a network: what is in the cache of the newest commit that is known there."""
    try:
        commit = call_hub(api, repo, lambda: api.repo_info(repo, revision=revision)).sha
        tree = call_hub(api, repo, lambda: list(api.list_repo_tree(repo, recursive=True, revision=commit)))
    except SourceError:
        if cached := list_cached(repo, revision):
            return cached
        raise
    files = [entry for entry in tree if hasattr(entry, "blob_id")]
    digests = {file.path: f"sha256:{file.lfs.sha256}" if file.lfs else f"git:{file.blob_id}" for file in files}
    return Listing(repo, commit, {file.path: file.size for file in files}, digests)


def list_cached(repo: str, revision: str) -> Listing | None:
    from huggingface_hub import constants, errors, scan_cache_dir

    try:
        repos = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except errors.CacheNotFound:
        return None
    for found in (one for each in repos if (each.repo_type, each.repo_id) == ("model", repo) for one in each.revisions):
        if revision in (found.commit_hash, *found.refs):
            folder = Path(found.snapshot_path)
            sizes = {Path(file.file_path).relative_to(folder).as_posix(): file.size_on_disk for file in found.files}
            return Listing(repo, found.commit_hash, sizes, {}, folder)
    return None


def shards_of(api: Any, listing: Listing, named: HubId) -> set[str] | None:
    """What the index of the safetensors files lists, where there is one and they are what is wanted."""
    folder = named.quant if named.quant and named.quant.endswith("/") else ""
    index = folder + safetensors.INDEX_NAME
    if index not in listing.sizes or (named.quant and not folder):
        return None
    path = (listing.folder or download(api, named.repo, named.revision or MAIN, [index])) / index
    check_file(path, listing.digests.get(index))
    return set(safetensors.parse_index(path.read_bytes(), f"{named.repo}/{index}").values())


def check_file(path: Path, digest: str | None) -> None:
    """Once for each file and digest. Raises SourceError, and deletes the file, where it is another one."""
    store = Store(settings().store)
    if digest is None or store.is_checked(path, digest):
        return
    kind, expected = digest.split(":")
    found = hashlib.sha1() if len(expected) == 40 else hashlib.sha256()
    if kind == "git":
        found.update(b"blob %d\0" % path.stat().st_size)
    with open(path, "rb") as file:
        while piece := file.read(4 << 20):
            found.update(piece)
    if found.hexdigest() != expected:
        path.resolve().unlink()  # the cache's, which `path` points to
        path.unlink(missing_ok=True)
        name = "git id" if kind == "git" else "SHA-256"
        message = f"the file is not the one that the hub lists: its {name} is {found.hexdigest()}, expected {expected}"
        raise SourceError(message, where=str(path), hint="it was deleted; load the model again")
    store.mark_checked(path, digest)


def call_hub(api: Any, where: str, ask: Callable[[], T]) -> T:
    """ask(), with whatever the library raises as a SourceError: its own exceptions, its HTTP client's, the system's."""
    try:
        return ask()
    except Exception as error:
        kind, page = type(error).__name__, f"{api.endpoint}/{where}"
        hint = {
            "RepositoryNotFoundError": f"check the name at {page}; for a private model sign in with `hf auth login`",
            "RevisionNotFoundError": f"see {page} for its branches and tags",
            "GatedRepoError": f"open {page}, accept its conditions, then sign in with `hf auth login`",
        }.get(kind, "check the network connection, or download the model and give its path")
        reason = str(error).strip().split("\n")[0]
        raise SourceError(f"the hub could not give it: {kind}: {reason:.300}", where=where, hint=hint) from error


def escape(name: str) -> str:
    """For the library's shell-like patterns."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
