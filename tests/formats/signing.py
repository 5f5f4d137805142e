"""Makes signed bundles as model-signing does, and such as it never would: for tests of what reads them."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fanlight.formats.signatures import MEDIA_TYPE, PAYLOAD_TYPE, PREDICATE, STATEMENT

Change = Callable[[dict[str, Any]], None]


def make_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def statement(files: Mapping[str, bytes]) -> dict[str, Any]:
    digests = {name: hashlib.sha256(data).digest() for name, data in sorted(files.items())}
    root = hashlib.sha256(b"".join(digests.values())).hexdigest()
    resources = [{"name": name, "algorithm": "sha256", "digest": digest.hex()} for name, digest in digests.items()]
    serialized = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
    subject = [{"name": "model", "digest": {"sha256": root}}]
    predicate = {"serialization": serialized, "resources": resources}
    return {"_type": STATEMENT, "subject": subject, "predicateType": PREDICATE, "predicate": predicate}


def sign(key: ec.EllipticCurvePrivateKey, said: Mapping[str, Any], payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
    body = json.dumps(said).encode()
    signed = f"DSSEv1 {len(payload_type)} {payload_type} {len(body)} ".encode() + body
    signature = base64.b64encode(key.sign(signed, ec.ECDSA(hashes.SHA256()))).decode()
    hint = hashlib.sha256(public_pem(key).encode()).hexdigest()
    envelope = {"payload": base64.b64encode(body).decode(), "payloadType": payload_type, "signatures": [{"sig": signature}]}
    material = {"publicKey": {"hint": hint}, "tlogEntries": []}
    return {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope}


def flipped(text: str, at: int) -> str:
    """Base64 text with one bit of its bytes changed."""
    data = bytearray(base64.b64decode(text))
    data[at % len(data)] ^= 1
    return base64.b64encode(data).decode()


def _set(*path: Any) -> Change:
    *folders, name, value = path

    def change(bundle: dict[str, Any]) -> None:
        for folder in folders:
            bundle = bundle[folder]
        bundle[name] = value(bundle.get(name) if isinstance(bundle, dict) else bundle[name]) if callable(value) else value

    return change


ENVELOPE = ("dsseEnvelope",)
NO_LONGER_SIGNED = "these bytes were not signed with this key"
# What is changed in a finished bundle, and what is said of it.
TAMPERED: dict[str, tuple[Change, str]] = {
    "media type": (_set("mediaType", "application/vnd.dev.sigstore.bundle.v0.2+json"), "its mediaType is"),
    "no material": (_set("verificationMaterial", None), "verificationMaterial is missing"),
    "a certificate": (_set("verificationMaterial", "certificate", {"rawBytes": "AA=="}), "with a certificate, not with a key"),
    "a chain": (_set("verificationMaterial", "x509CertificateChain", {"certificates": []}), "with a x509CertificateChain"),
    "no key": (_set("verificationMaterial", "publicKey", None), "verificationMaterial.publicKey is missing"),
    "another hint": (_set("verificationMaterial", "publicKey", "hint", "00"), "it was made with another key"),
    "no envelope": (_set("dsseEnvelope", []), "dsseEnvelope is missing"),
    "payload type": (_set(*ENVELOPE, "payloadType", "text/plain"), "its payloadType is"),
    "payload": (_set(*ENVELOPE, "payload", lambda text: flipped(text, 200)), NO_LONGER_SIGNED),
    "payload's end": (_set(*ENVELOPE, "payload", lambda text: flipped(text, -1)), NO_LONGER_SIGNED),
    "payload, no base64": (_set(*ENVELOPE, "payload", "*"), "payload is no base64"),
    "no signature": (_set(*ENVELOPE, "signatures", []), "it has not one signature"),
    "two signatures": (_set(*ENVELOPE, "signatures", lambda one: one * 2), "it has not one signature"),
    "signature": (_set(*ENVELOPE, "signatures", 0, "sig", lambda text: flipped(text, 20)), NO_LONGER_SIGNED),
    "signature's form": (_set(*ENVELOPE, "signatures", 0, "sig", lambda text: flipped(text, 0)), NO_LONGER_SIGNED),
    "signature cut short": (_set(*ENVELOPE, "signatures", 0, "sig", lambda text: text[:40]), NO_LONGER_SIGNED),
    "no sig": (_set(*ENVELOPE, "signatures", 0, "sig", None), "sig is no base64"),
}
# What is changed in a statement before it is signed: the signature holds, what it says does not.
MISSTATED: dict[str, tuple[Change, str]] = {
    "type": (_set("_type", "https://in-toto.io/Statement/v0.1"), "its _type is"),
    "predicate type": (_set("predicateType", "https://model_signing/Digests/v0.1"), "its predicateType is"),
    "no subject": (_set("subject", []), "it has not one subject"),
    "root digest": (_set("subject", 0, "digest", "sha256", "00" * 32), "its files' digests make"),
    "no root digest": (_set("subject", 0, "digest", {}), "its files' digests make"),
    "method": (_set("predicate", "serialization", "method", "shards"), 'its serialization is "shards"'),
    "hash": (_set("predicate", "serialization", "hash_type", "blake2b"), '"files" with "blake2b"'),
    "no resources": (_set("predicate", "resources", None), "it has no resources"),
    "a resource less": (_set("predicate", "resources", lambda all: all[1:]), "its files' digests make"),
    "a file's digest": (_set("predicate", "resources", 0, "digest", "00" * 32), "its files' digests make"),
    "a digest's form": (_set("predicate", "resources", 0, "digest", "00"), "its resource"),
    "a file's algorithm": (_set("predicate", "resources", 0, "algorithm", "md5"), "its resource"),
    "a file's name": (_set("predicate", "resources", 0, "name", 5), "its resource"),
    "a file twice": (_set("predicate", "resources", lambda all: [*all, all[0]]), "is in it twice"),
}
