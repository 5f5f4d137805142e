"""Signed models, natively: bundles that model-signing made hold; each field that is changed is noticed.
tests/web/test_integrity.py has a page read the same."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from fanlight.driver import run
from fanlight.errors import SourceError
from fanlight.formats.signatures import check_signed, signed_digests
from fanlight.formats.source import BytesSource
from scripts.golden.record_signatures import FILES, FOLDER
from tests.formats.signing import MISSTATED, TAMPERED, make_key, public_pem, sign, statement

CURVES = sorted(path.stem for path in FOLDER.glob("*.pem"))
KEY = make_key()


def read(bundle: Any, pem: str | bytes) -> dict[str, str]:
    text = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
    return signed_digests(text, pem.encode() if isinstance(pem, str) else pem, "model.sig")


def recorded(name: str) -> tuple[bytes, bytes]:
    pem = FOLDER / f"{name}.pem"
    return (FOLDER / f"{name}.sig").read_bytes(), (pem if pem.exists() else FOLDER / "secp521r1.pem").read_bytes()


@pytest.mark.parametrize("curve", CURVES)
def test_what_model_signing_signed(curve: str) -> None:
    digests = read(*recorded(curve))
    assert sorted(digests) == sorted(FILES)
    sources = [BytesSource(f"/models/{name}", data) for name, data in FILES.items()]
    run(check_signed(sources, digests))
    with pytest.raises(SourceError, match="is not the one that was signed: its SHA-256 is") as caught:
        run(check_signed([BytesSource("/models/m-Q4_0.gguf", b"five")], digests))
    assert caught.value.where == "/models/m-Q4_0.gguf"
    with pytest.raises(SourceError, match="is not among the 4 files"):
        run(check_signed([BytesSource("/models/other.gguf", b"four")], digests))


def test_another_key(tmp_path: Path) -> None:
    bundle, _ = recorded(CURVES[0])
    with pytest.raises(SourceError, match="made with another key: hint"):
        read(bundle, public_pem(KEY))
    unnamed = json.loads(bundle)
    del unnamed["verificationMaterial"]["publicKey"]["hint"]
    with pytest.raises(SourceError, match="not signed with this key"):
        read(unnamed, public_pem(KEY))


@pytest.mark.parametrize(("name", "message"), [("shards", '"shards" with "sha256"'), ("blake2", '"files" with "blake2b"')])
def test_kinds_that_are_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(*recorded(name))


@pytest.mark.parametrize("what", TAMPERED)
def test_a_bundle_that_was_changed(what: str) -> None:
    change, message = TAMPERED[what]
    for curve in CURVES:
        text, pem = recorded(curve)
        bundle = json.loads(text)
        change(bundle)
        with pytest.raises(SourceError, match="the signature does not hold") as caught:
            read(bundle, pem)
        assert message in str(caught.value), what


@pytest.mark.parametrize("what", MISSTATED)
def test_a_statement_that_does_not_hold(what: str) -> None:
    change, message = MISSTATED[what]
    said = statement(FILES)
    assert len(read(sign(KEY, said), public_pem(KEY))) == len(FILES)
    change(said := copy.deepcopy(said))
    with pytest.raises(SourceError, match="the signature does not hold") as caught:
        read(sign(KEY, said), public_pem(KEY))
    assert message in str(caught.value)


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key(pem: bytes) -> None:
    with pytest.raises(SourceError, match="the public key"):
        read(sign(KEY, statement(FILES)), pem)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000])
def test_what_is_no_bundle(text: bytes) -> None:
    with pytest.raises(SourceError, match=r"no JSON|is missing"):
        read(text, public_pem(KEY))
