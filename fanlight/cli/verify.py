"""`fanlight verify`: are these the files that were signed?"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urljoin

from fanlight import driver
from fanlight.errors import SourceError
from fanlight.formats.hub import open_file
from fanlight.formats.hub_choice import parse_hub_id
from fanlight.formats.resolve import resolve_model, resolve_url
from fanlight.formats.signatures import check_signed, signed_digests
from fanlight.formats.source import FileSource, Source, file_name, is_url

SIGNATURE = "model.sig"  # as model-signing calls it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a file, a folder, a URL or a hub id")
    add_key_arguments(parser, required=True)


def add_key_arguments(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    key = "of who must have signed it, in PEM"
    parser.add_argument("--public-key", metavar="FILE", required=required, help=key)
    place = f"the bundle that model-signing made (default: {SIGNATURE} beside the model)"
    parser.add_argument("--signature", metavar="FILE", help=place)


def run(options: argparse.Namespace) -> int:
    sources = driver.run(resolve_model(options.model))
    verify(sources, options)
    for source in sources:
        print(f"{file_name(source)}: signed, {source.size} bytes")
    return 0


def verify(sources: Sequence[Source], options: argparse.Namespace) -> None:
    """Raises SourceError."""
    signature = open_signature(sources, options)
    bundle = driver.run(signature.read(0, signature.size))
    digests = signed_digests(bundle, read_key(options.public_key), signature.name)
    driver.run(check_signed(list(sources), digests))


def open_signature(sources: Sequence[Source], options: argparse.Namespace) -> Source:
    if options.signature:
        (given,) = driver.run(resolve_url(options.signature)) if is_url(options.signature) else [FileSource(options.signature)]
        return given
    first = sources[0].name
    if is_url(first):
        (beside,) = driver.run(resolve_url(urljoin(first, SIGNATURE)))
        return beside
    named = None if Path(options.model).expanduser().exists() else parse_hub_id(options.model)
    return open_file(named, SIGNATURE) if named else FileSource(Path(first).parent / SIGNATURE)


def read_key(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise SourceError(
            f"cannot be read: {error.strerror}", where=path, hint="give the PEM file of the public key"
        ) from error
