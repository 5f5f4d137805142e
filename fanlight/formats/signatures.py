"""Signed models, in the format of model-signing: a Sigstore bundle (v0.3) whose DSSE envelope holds an in-toto statement with
the SHA-256 of each file, signed with a key.  https://github.com/sigstore/model-transparency
web/src/signatures.ts has the same rules; both are held to bundles that model-signing made.  What else the format allows
(certificates, Sigstore's identities, shards, other hashes) is refused by name.  Native only; needs the package cryptography."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from fanlight.errors import SourceError
from fanlight.formats.source import Source

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
MAX_BYTES = 64 << 20
CURVES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}
PIECE_BYTES = 4 << 20


class _Unknown(Exception):
    """What is not understood, or not as it should be."""


class _Broken(Exception):
    """What was not signed so."""


def signed_digests(bundle: bytes, public_key: bytes, where: str) -> dict[str, str]:
    """The signed files' SHA-256, by path. public_key: in PEM. Raises SourceError where the bundle is not signed with it, or not
    understood."""
    try:
        return _read(bundle, *_read_key(public_key))
    except _Unknown as error:
        failure: Exception = error
        hint = "here are understood: bundles that model-signing made with a key (model_signing sign key)"
    except _Broken as error:
        failure = error
        hint = "the model was not signed with this key, or its signature was changed: do not use it"
    raise SourceError(f"the signature does not hold: {failure}", where=where, hint=hint)


def _read(bundle: bytes, key: Any, hint: str) -> dict[str, str]:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if len(bundle) > MAX_BYTES:
        raise _Unknown(f"it has {len(bundle)} bytes")
    whole = _object(_parsed(bundle), "the bundle")
    if whole.get("mediaType") != MEDIA_TYPE:
        raise _Unknown(f"its mediaType is {_shown(whole.get('mediaType'))}, expected {MEDIA_TYPE}")
    material = _object(whole.get("verificationMaterial"), "verificationMaterial")
    for kind in ("certificate", "x509CertificateChain"):
        if material.get(kind):
            raise _Unknown(f"it was made with a {kind}, not with a key")
    named = _object(material.get("publicKey"), "verificationMaterial.publicKey").get("hint")
    if named and named != hint:
        raise _Broken(f"it was made with another key: hint {_shown(named)}, this one has {hint}")

    envelope = _object(whole.get("dsseEnvelope"), "dsseEnvelope")
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise _Unknown(f"its payloadType is {_shown(envelope.get('payloadType'))}, expected {PAYLOAD_TYPE}")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise _Unknown("it has not one signature")
    body = _from_base64(envelope.get("payload"), "payload")
    signature = _from_base64(_object(signatures[0], "signatures[0]").get("sig"), "sig")
    signed = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(body)} ".encode() + body
    try:
        key.verify(signature, signed, ec.ECDSA(getattr(hashes, CURVES[key.curve.name])()))
    except InvalidSignature:
        raise _Broken("these bytes were not signed with this key") from None
    return _read_statement(_object(_parsed(body), "the statement"))


def _read_statement(statement: Mapping[str, Any]) -> dict[str, str]:
    """What was signed is consistent, and understood."""
    for field, expected in (("_type", STATEMENT), ("predicateType", PREDICATE)):
        if statement.get(field) != expected:
            raise _Unknown(f"its {field} is {_shown(statement.get(field))}, expected {expected}")
    subject = statement.get("subject")
    if not isinstance(subject, list) or len(subject) != 1:
        raise _Unknown("it has not one subject")
    root = _object(_object(subject[0], "subject[0]").get("digest"), "subject[0].digest").get("sha256")
    predicate = _object(statement.get("predicate"), "predicate")
    serialization = _object(predicate.get("serialization"), "serialization")
    method, kind = serialization.get("method"), serialization.get("hash_type")
    if (method, kind) != ("files", "sha256"):
        raise _Unknown(f'its serialization is {_shown(method)} with {_shown(kind)}, expected "files" with "sha256"')
    resources = predicate.get("resources")
    if not isinstance(resources, list):
        raise _Unknown("it has no resources")
    digests: dict[str, str] = {}
    for item in resources:
        name, algorithm, digest = (_object(item, "resources").get(field) for field in ("name", "algorithm", "digest"))
        is_digest = isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest)
        if not isinstance(name, str) or algorithm != "sha256" or not is_digest:
            raise _Unknown(f"its resource {_shown(item)}")
        if name in digests:
            raise _Broken(f"{name} is in it twice")
        digests[name] = str(digest)
    found = hashlib.sha256(b"".join(map(bytes.fromhex, digests.values()))).hexdigest()
    if found != root:
        raise _Broken(f"its files' digests make {found}, its subject says {_shown(root)}")
    return digests


def _read_key(pem: bytes) -> tuple[Any, str]:
    """The key, and by what bundles name it."""
    hint = "give the PEM file (-----BEGIN PUBLIC KEY-----) of an elliptic curve key: P-256, P-384 or P-521"
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        needed = "pip install cryptography"
        raise SourceError("a signature needs the package cryptography", where="public key", hint=needed) from error
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError) as error:
        raise SourceError("the public key is no PEM text of a key", where="public key", hint=hint) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise SourceError("the public key is of no curve that is known here", where="public key", hint=hint)
    text = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return key, hashlib.sha256(text).hexdigest()


async def check_signed(sources: list[Source], digests: Mapping[str, str]) -> None:
    """Reads all of the files. A file is named as in the signed folder: by the end of its path. Raises SourceError."""
    for source in sources:
        path = "/" + source.name.replace("\\", "/")
        name = max((name for name in digests if path.endswith(f"/{name}")), key=len, default=None)
        if name is None:
            hint = "do not use it"
            raise SourceError(f"is not among the {len(digests)} files that were signed", where=source.name, hint=hint)
        found = hashlib.sha256()
        for start in range(0, source.size, PIECE_BYTES):
            found.update(await source.read(start, min(PIECE_BYTES, source.size - start)))
        if found.hexdigest() != digests[name]:
            message = f"the file is not the one that was signed: its SHA-256 is {found.hexdigest()}, expected {digests[name]}"
            raise SourceError(message, where=source.name, hint="do not use it")


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _Unknown("it is no JSON") from None


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    raise _Unknown(f"{what} is missing")


def _from_base64(text: Any, what: str) -> bytes:
    try:
        if isinstance(text, str):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise _Unknown(f"{what} is no base64")


def _shown(value: Any) -> str:
    return "missing" if value is None else json.dumps(value)[:200]
