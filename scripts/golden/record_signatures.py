"""Records signed models as model-signing makes them, into tests/golden/signatures: a bundle for each curve, with the key that
must have made it, and bundles of kinds that are refused.  The signed files are `FILES`.

    python -m scripts.golden.record_signatures

Needs the package model-signing; the tests do not."""

import json
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "golden" / "signatures"
FILES = {"config.json": b'{"model_type": "llama"}', "m-Q4_0.gguf": b"four", "m-Q8_0.gguf": b"eight", "q/m-F16.gguf": b"sixteen"}


def main() -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from model_signing import hashing, signing

    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root:
        model, secret = Path(root) / "model", Path(root) / "key.pem"
        for name, data in FILES.items():
            (model / name).parent.mkdir(parents=True, exist_ok=True)
            (model / name).write_bytes(data)
        for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
            key = ec.generate_private_key(curve)
            pem = serialization.Encoding.PEM
            secret.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
            public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
            config = signing.Config().use_elliptic_key_signer(private_key=secret)
            config.sign(model, FOLDER / f"{curve.name}.sig")
            (FOLDER / f"{curve.name}.pem").write_bytes(public)
        # With the last key, what is not understood.
        sharded = hashing.Config().use_shard_serialization(shard_size=4)
        config.set_hashing_config(sharded).sign(model, FOLDER / "shards.sig")
        blake = hashing.Config().use_file_serialization(hashing_algorithm="blake2")
        config.set_hashing_config(blake).sign(model, FOLDER / "blake2.sig")
    for path in FOLDER.glob("*.sig"):
        bundle = json.loads(path.read_text())
        print(f"{path.name}: {', '.join(bundle)}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
