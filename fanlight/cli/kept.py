"""The models that are kept on this disk, for `pull`, `list` and `rm`: URLs' in the store, the hub's in its cache."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fanlight.errors import SourceError
from fanlight.formats.resolve import parts_of
from fanlight.formats.source import file_name_of
from fanlight.formats.store import Kept, Store
from fanlight.settings import settings


@dataclass(frozen=True, slots=True)
class KeptModel:
    name: str  # what `fanlight run` takes
    num_bytes: int
    missing_bytes: int  # of a download that was interrupted
    saved_at: float
    remove: Callable[[], None]

    def is_named(self, text: str) -> bool:
        return text in (self.name, file_name_of(self.name)) or text.partition("?")[0] == self.name


def kept_models() -> list[KeptModel]:
    return sorted([*_of_urls(Store(settings().store)), *_of_the_hub()], key=lambda model: -model.saved_at)


def find(name: str) -> KeptModel:
    models = kept_models()
    found = [model for model in models if model.is_named(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceError(
            f"{len(found)} models are called {name}", hint=f"the whole name: {', '.join(m.name for m in found):.500}"
        )
    names = ", ".join(model.name for model in models) or "none"
    raise SourceError(f"no model of this name is kept here; there are: {names:.500}", where=name)


def _of_urls(store: Store) -> list[KeptModel]:
    models: dict[str, list[Kept]] = {}
    for kept in store.list():
        models.setdefault(_first_part(kept.record.name), []).append(kept)
    return [_of_files(store, name, files) for name, files in models.items()]


def _first_part(name: str) -> str:
    try:
        return parts_of(name)[0]
    except SourceError:  # part 4 of 3: then it stands for itself
        return name


def _of_files(store: Store, name: str, files: list[Kept]) -> KeptModel:
    def remove() -> None:
        for kept in files:
            store.remove(kept)

    have = sum(kept.num_bytes for kept in files)
    missing = sum(kept.record.size for kept in files) - have
    return KeptModel(name, have, missing, max(kept.record.saved_at for kept in files), remove)


def _of_the_hub() -> list[KeptModel]:
    """None where the package or its cache is not there."""
    try:
        import huggingface_hub
    except ImportError:
        return []
    try:
        cache = huggingface_hub.scan_cache_dir()
    except huggingface_hub.errors.CacheNotFound:
        return []
    return [
        KeptModel(repo.repo_id, repo.size_on_disk, 0, repo.last_modified, partial(_remove_repo, cache, repo))
        for repo in cache.repos
        if repo.repo_type == "model"
    ]


def _remove_repo(cache: Any, repo: Any) -> None:
    cache.delete_revisions(*(revision.commit_hash for revision in repo.revisions)).execute()
