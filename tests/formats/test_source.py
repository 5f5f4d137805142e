"""Sources: files and memory; what is on a web server is in test_download.py."""

import pytest

from fanlight.driver import run
from fanlight.errors import SourceError
from fanlight.formats.source import BytesSource, FileSource

DATA = bytes(range(256)) * 40


# --- files and memory ------------------------------------------------------------------------------------------------
@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("kind", [lambda path: BytesSource("m", DATA), FileSource])
def test_exact_bytes(path, kind):
    source = kind(path)
    assert source.size == len(DATA)
    for offset, size in [(0, 0), (0, len(DATA)), (5, 300), (len(DATA), 0), (len(DATA) - 1, 1)]:
        data = run(source.read(offset, size))
        assert type(data) is bytes and data == DATA[offset : offset + size]
        view = source.view(offset, size)
        assert view.readonly and view == DATA[offset : offset + size]
    for offset, size in [(0, len(DATA) + 1), (len(DATA), 1), (-1, 1), (0, -1), (1 << 70, 1)]:
        with pytest.raises(SourceError, match="were asked for"):
            run(source.read(offset, size))
        with pytest.raises(SourceError, match="were asked for"):
            source.view(offset, size)


def test_files_that_cannot_be_read(tmp_path, path):
    for bad, message in [(tmp_path / "none", "No such file"), (tmp_path, "directory")]:
        with pytest.raises(SourceError, match=message) as caught:
            FileSource(bad)
        assert caught.value.where == str(bad)
    empty = tmp_path / "empty"
    empty.touch()
    assert run(FileSource(empty).read(0, 0)) == b""
    with pytest.raises(SourceError):
        run(FileSource(empty).read(0, 1))


def test_closing_a_file(path):
    source = FileSource(str(path))
    view = source.view(0, 4)
    source.close()
    source.close()
    assert bytes(view) == DATA[:4]
    with pytest.raises(SourceError, match="is closed"):
        run(source.read(0, 1))


def test_a_file_shortened_while_in_use(path):
    source = FileSource(path)
    with open(path, "r+b") as file:
        file.truncate(10)
    with pytest.raises(SourceError, match="was shortened"):
        run(source.read(5000, 1))
    source.close()
