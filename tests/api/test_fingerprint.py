"""`system_fingerprint` is the same for the same weights and kernels, and another one for others."""

from pathlib import Path

import pytest

import fanlight
from scripts.golden import tiny_gguf

NAME = next(iter(tiny_gguf.CASES))


def fingerprint_of(path: Path | str, device: str) -> str:
    with fanlight.load(path, device=device) as engine:
        answer = engine.completions.create(prompt=[5, 6], max_tokens=1)
        assert answer.system_fingerprint == engine.info["system_fingerprint"]
        return str(answer.system_fingerprint)


@pytest.mark.parametrize("device", ["native"])
def test_it_names_weights_and_kernels(device: str, tmp_path: Path) -> None:
    path = tiny_gguf.make_gguf(NAME, tmp_path / "m.gguf")
    first = fingerprint_of(path, device)
    assert first.startswith("fp_") and len(first) == 13 and fingerprint_of(path, device) == first
    data = bytearray(path.read_bytes())
    for at in range(len(data) * 3 // 4, len(data)):  # tensors come last
        data[at] ^= 1
    (tmp_path / "other.gguf").write_bytes(data)
    assert fingerprint_of(tmp_path / "other.gguf", device) != first
