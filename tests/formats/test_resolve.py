"""From what a person writes to files: folders on disk, and a hub that is played by tests/web/hub.py."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from fanlight.driver import run
from fanlight.errors import FormatError, SourceError
from fanlight.formats import resolve
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.gguf_writer import TensorData, write_gguf
from fanlight.formats.resolve import resolve_model
from tests.web.hub import Hub, Repo, serve_hub, sha256

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
    assert names(folder) == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "mmproj-m.gguf"]
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
TORCH = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "m-1.safetensors": b"one",
    "m-2.safetensors": b"two",
    "x.bin": b"x",
    "q-Q8_0.gguf": b"eight",
    INDEX: json.dumps({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}).encode(),
}
QUANTS = ["m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf", "m-IQ4_K_M.gguf", "big/m-f16-00001-of-00002.gguf"]
MANY = [*QUANTS, "big/m-f16-00002-of-00002.gguf", "imatrix.gguf", "README.md", "[a].gguf"]


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[Hub]:
    """The real huggingface_hub, with an empty cache, asks the stand-in."""
    constants = pytest.importorskip("huggingface_hub.constants")
    repos = {
        "owner/many": Repo({name: name.encode() for name in MANY}, revisions={"v1": {"old.gguf": b"old"}}),
        "owner/one": Repo({"only.gguf": b"only"}),
        "owner/seeing": Repo({name: name.encode() for name in ("m-Q8_0.gguf", "m-F16.gguf", "mmproj-F16.gguf")}),
        "owner/small": Repo({"a-Q2_K.gguf": b"a", "a-Q3_K.gguf": b"b"}),
        "owner/hf": Repo(TORCH),
        "owner/none": Repo({"README.md": b""}),
        "owner/gated": Repo({"m.gguf": b"gated"}, gated=True),
    }
    monkeypatch.setenv("FANLIGHT_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(fill(tmp_path / "empty", "x"))
    with serve_hub(Hub(repos)) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
        yield hub


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("owner/many", ["m-Q4_K_M.gguf"]),
        ("owner/many:q8_0", ["m-Q8_0.gguf"]),
        ("owner/seeing", ["m-Q8_0.gguf", "mmproj-F16.gguf"]),
        ("owner/seeing:F16", ["m-F16.gguf", "mmproj-F16.gguf"]),
        ("owner/seeing:m-F16.gguf", ["m-F16.gguf"]),
        ("owner/many:F16", ["m-f16-00001-of-00002.gguf", "m-f16-00002-of-00002.gguf"]),
        ("owner/many:[a].gguf", ["[a].gguf"]),
        ("owner/many@v1", ["old.gguf"]),
        ("hf.co/owner/many:Q8_0", ["m-Q8_0.gguf"]),
        ("https://huggingface.co/owner/one", ["only.gguf"]),
        ("https://huggingface.co/owner/many/blob/main/m-Q4_K_S.gguf", ["m-Q4_K_S.gguf"]),
        ("owner/hf", ["config.json", INDEX, "tokenizer.json", "m-1.safetensors", "m-2.safetensors"]),
        ("owner/hf:Q8_0", ["q-Q8_0.gguf"]),
    ],
)
def test_hub(hub, spec, expected):
    assert names(spec) == expected
    given = {unquote(path).rpartition("/")[2] for path in hub.asked("hub") if "/resolve/" in path}
    assert given == set(expected), "nothing else is asked for"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("owner/many:Q5_K", "none of its GGUF models matches 'Q5_K'; there is: .*m-Q4_K_M.gguf"),
        ("owner/small", "there are 2 GGUF models; there is: a-Q2_K.gguf"),
        ("owner/none", "no GGUF and no safetensors model in it, only: README.md"),
        ("owner/gated", r"GatedRepoError: .*\n.*open http://127.0.0.1:\d+/owner/gated, accept its conditions"),
        ("owner/nobody", r"RepositoryNotFoundError: .*\n.*check the name"),
        ("owner/many@v9", "RevisionNotFoundError"),
    ],
)
def test_hub_errors(hub, spec, message):
    with pytest.raises(SourceError) as caught:
        names(spec)
    assert re.search(message, str(caught.value)) and caught.value.where == re.split("[:@]", spec)[0]


def test_each_file_is_checked_once(hub, tmp_path):
    expected = sha256(b"m-Q8_0.gguf")
    hub.given[expected] = b"m-Q8_1.gguf"
    with pytest.raises(SourceError, match=f"its SHA-256 is {sha256(b'm-Q8_1.gguf')}, expected {expected}"):
        names("owner/many:Q8_0")
    del hub.given[expected]
    assert names("owner/many:Q8_0") == ["m-Q8_0.gguf"], "what was wrong was deleted"
    (file,) = (path for path in (tmp_path / "cache").rglob("*.gguf") if path.is_file())
    file.resolve().write_bytes(b"m-Q8_2.gguf")  # written to since: another time of change
    with pytest.raises(SourceError, match="is not the one that the hub lists"):
        names("owner/many:Q8_0")


def test_hub_without_a_network(hub, monkeypatch):
    assert names("owner/many:Q8_0") == ["m-Q8_0.gguf"]
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert names("owner/many:Q8_0") == names("owner/many") == ["m-Q8_0.gguf"]
    with pytest.raises(SourceError, match="the hub could not give it") as caught:
        names("owner/one")
    assert "check the network" in caught.value.hint


def test_hub_package_is_missing(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SourceError, match="needs the package huggingface_hub"):
        names("owner/one")


def test_a_resolved_model_opens(hub, tmp_path):
    write_gguf(tmp_path / "only.gguf", {"general.architecture": "llama"}, [TensorData("t", "F32", (1,), b"1234")])
    hub.repos["owner/one"].files["only.gguf"] = (tmp_path / "only.gguf").read_bytes()
    sources = run(resolve_model("owner/one"))
    checkpoint = run(open_checkpoint(sources))
    assert run(checkpoint.read("t")) == b"1234" and checkpoint.metadata["general.architecture"] == "llama"
    sources[0].close()
