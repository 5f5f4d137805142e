"""From what a person writes to files: folders on disk, and a hub that is played by a fake module with the real functions."""

import inspect
import json
import re
import sys
import types
from fnmatch import fnmatch
from pathlib import Path

import pytest

from fanlight.driver import run
from fanlight.errors import FormatError, SourceError
from fanlight.formats import resolve
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.gguf_writer import TensorData, write_gguf
from fanlight.formats.resolve import resolve_model

INDEX = "model.safetensors.index.json"


def names(spec: object) -> list[str]:
    sources = run(resolve_model(spec))
    found = [Path(source.name).name for source in sources]
    for source in sources:
        source.close()
    return found


def fill(folder: Path, *files: str) -> Path:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


# --- files and folders -----------------------------------------------------------------------------------------------
def test_one_file(tmp_path, monkeypatch):
    fill(tmp_path, "m.gguf", "other.gguf")
    assert names(tmp_path / "m.gguf") == names(str(tmp_path / "m.gguf")) == ["m.gguf"]
    monkeypatch.chdir(tmp_path)
    assert names("m.gguf") == names("./m.gguf") == ["m.gguf"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names("~/m.gguf") == ["m.gguf"]


def test_split_file_finds_its_siblings(tmp_path):
    parts = [f"m-{i:05}-of-00003.gguf" for i in (1, 2, 3)]
    fill(tmp_path, *parts, "m-00001-of-00002.gguf")
    for part in parts:
        assert names(tmp_path / part) == parts
    (tmp_path / parts[1]).unlink()
    with pytest.raises(SourceError, match="has 3 files, and 1 of them are not there") as caught:
        names(tmp_path / parts[0])
    assert caught.value.where.endswith(parts[1])
    with pytest.raises(SourceError, match="part 4 of 3 cannot be"):
        names(fill(tmp_path, "m-00004-of-00003.gguf") / "m-00004-of-00003.gguf")


def test_folder_with_gguf(tmp_path):
    folder = fill(tmp_path, "README.md", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "mmproj-m.gguf")
    assert names(folder) == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    with pytest.raises(SourceError, match=r"there are 2 GGUF models: m-00001-of-00002.gguf, n.gguf"):
        names(fill(folder, "n.gguf"))


def test_folder_of_hugging_face(tmp_path):
    folder = fill(
        tmp_path, "config.json", "tokenizer.json", "model.safetensors", "consolidated.safetensors", "pytorch_model.bin"
    )
    expected = ["config.json", "tokenizer.json", "model.safetensors"]
    assert names(folder) == names(folder / "model.safetensors") == expected
    (folder / "model.safetensors").unlink()
    assert names(folder) == ["config.json", "tokenizer.json", "consolidated.safetensors"]
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    fill(folder, *shards)
    assert names(folder) == ["config.json", "tokenizer.json", *shards]
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": shards[0], "b": "part.safetensors"}}))
    with pytest.raises(SourceError, match="the file is missing") as caught:
        names(folder)
    assert caught.value.where.endswith("part.safetensors")
    fill(folder, "part.safetensors")
    assert names(folder) == ["config.json", INDEX, "tokenizer.json", shards[0], "part.safetensors"]
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": "../../secret.safetensors"}}))
    with pytest.raises(FormatError, match="no safetensors file of this folder"):
        names(folder)


def test_what_is_not_there(tmp_path):
    for spec in (tmp_path / "none", str(tmp_path / "none"), "none.gguf", "models/none.gguf", "./a/b", "none", ""):
        with pytest.raises(SourceError, match="no such file or folder"):
            names(spec)
    with pytest.raises(SourceError, match=r"no model in this folder; there is pytorch_model.bin"):
        names(fill(tmp_path / "f", "pytorch_model.bin"))


def test_built_in(monkeypatch, tmp_path):
    assert resolve.BUILT_IN_PATH.parts[-3:] == ("fanlight", "builtin", "model.gguf")
    monkeypatch.setattr(resolve, "BUILT_IN_PATH", fill(tmp_path, "model.gguf") / "model.gguf")
    assert names("built-in") == ["model.gguf"]


# --- hub -------------------------------------------------------------------------------------------------------------
class GatedRepoError(Exception):
    pass


class Hub(types.ModuleType):
    """Repositories are folders; what was downloaded is in `cache`."""

    def __init__(self, root: Path):
        super().__init__("huggingface_hub")
        self.root, self.cache, self.is_offline = root / "remote", root / "cache", False
        self.downloads: list[str] = []

    def remote(self, repo: str) -> Path:
        if self.is_offline:
            raise ConnectionError("no network\nlong explanation")
        if repo == "owner/gated":
            raise GatedRepoError("restricted")
        return self.root / repo

    def list_repo_files(self, repo_id: str) -> list[str]:
        folder = self.remote(repo_id)
        return [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]

    def hf_hub_download(self, repo_id: str, filename: str) -> str:
        return str(Path(self.snapshot_download(repo_id, allow_patterns=[filename])) / filename)

    def snapshot_download(
        self, repo_id: str, *, allow_patterns: list[str] | None = None, local_files_only: bool = False
    ) -> str:
        if local_files_only or self.is_offline:
            if not (self.cache / repo_id).exists():
                raise FileNotFoundError("not in the cache")
            return str(self.cache / repo_id)
        for name in self.list_repo_files(repo_id):
            if any(fnmatch(name, pattern) for pattern in allow_patterns or ["*"]):
                self.downloads.append(name)
                fill(self.cache / repo_id, name)
                (self.cache / repo_id / name).write_bytes((self.root / repo_id / name).read_bytes())
        return str(self.cache / repo_id)


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Hub:
    hub = Hub(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.chdir(fill(tmp_path / "empty", "x"))
    quants = ["m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf", "m-IQ4_K_M.gguf", "mmproj-Q8_0.gguf"]
    fill(hub.root / "owner/many", *quants, "big/m-f16-00001-of-00002.gguf", "big/m-f16-00002-of-00002.gguf", "README.md")
    fill(hub.root / "owner/one", "only.gguf")
    fill(hub.root / "owner/small", "a-Q2_K.gguf", "a-Q3_K.gguf")
    fill(
        hub.root / "owner/hf",
        "config.json",
        "tokenizer.json",
        "m-1.safetensors",
        "m-2.safetensors",
        "x.bin",
        "q-Q8_0.gguf",
        "[a].gguf",
    )
    (hub.root / "owner/hf" / INDEX).write_text(json.dumps({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}))
    fill(hub.root / "owner/none", "README.md")
    return hub


def test_the_fake_hub_takes_what_the_real_one_takes(hub, monkeypatch):
    monkeypatch.undo()
    real = pytest.importorskip("huggingface_hub")
    for name in ("list_repo_files", "hf_hub_download", "snapshot_download"):
        theirs, ours = (inspect.signature(getattr(module, name)).parameters for module in (real, hub))
        assert set(ours) <= set(theirs)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("owner/many", ["m-Q4_K_M.gguf"]),
        ("owner/many:Q4_K_M", ["m-Q4_K_M.gguf"]),
        ("owner/many:q8_0", ["m-Q8_0.gguf"]),
        ("owner/many:F16", ["m-f16-00001-of-00002.gguf", "m-f16-00002-of-00002.gguf"]),
        ("owner/many:m-Q4_K_S.gguf", ["m-Q4_K_S.gguf"]),
        ("hf.co/owner/many:Q8_0", ["m-Q8_0.gguf"]),
        ("owner/one", ["only.gguf"]),
        ("https://huggingface.co/owner/one", ["only.gguf"]),
        ("owner/hf", ["config.json", INDEX, "tokenizer.json", "m-1.safetensors", "m-2.safetensors"]),
        ("owner/hf:Q8_0", ["q-Q8_0.gguf"]),
        ("owner/hf:[a].gguf", None),
    ],
)
def test_hub(hub, spec, expected):
    if expected is None:
        with pytest.raises(SourceError, match="no such file"):
            names(spec)
        return
    assert names(spec) == expected
    assert {Path(n).name for n in hub.downloads} == set(expected), "nothing else is downloaded"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("owner/many:Q5_K", "0 of its GGUF models match 'Q5_K': big/m-f16.*m-IQ4_K_M.gguf, m-Q4_K_M.gguf"),
        ("owner/many:Q4_K", "0 of its GGUF models match 'Q4_K'"),
        ("owner/many:m", "5 of its GGUF models match 'm'"),
        ("owner/small", "there are 2 GGUF models: a-Q2_K.gguf, a-Q3_K.gguf"),
        ("owner/none", "no GGUF and no safetensors model in this repository; there is README.md"),
        ("owner/gated", "GatedRepoError: restricted\n.*accept the model's conditions"),
    ],
)
def test_hub_errors(hub, spec, message):
    with pytest.raises(SourceError) as caught:
        names(spec)
    assert re.search(message, str(caught.value)) and caught.value.where == spec.split(":")[0]


def test_hub_without_a_network(hub):
    assert names("owner/many:Q8_0") == ["m-Q8_0.gguf"]
    hub.is_offline = True
    assert names("owner/many:Q8_0") == names("owner/many") == ["m-Q8_0.gguf"]
    with pytest.raises(SourceError, match=r"ConnectionError: no network\n") as caught:
        names("owner/one")
    assert "check the network" in caught.value.hint


def test_hub_package_is_missing(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SourceError, match="needs the package huggingface_hub"):
        names("owner/one")


def test_a_resolved_model_opens(hub):
    write_gguf(hub.root / "owner/one/only.gguf", {"general.architecture": "llama"}, [TensorData("t", "F32", (1,), b"1234")])
    sources = run(resolve_model("owner/one"))
    checkpoint = run(open_checkpoint(sources))
    assert run(checkpoint.read("t")) == b"1234" and checkpoint.metadata["general.architecture"] == "llama"
    sources[0].close()
