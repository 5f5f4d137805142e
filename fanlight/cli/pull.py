"""`fanlight pull`: download a model, to be there when it is wanted."""

import argparse

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from fanlight import driver
from fanlight.cli import verify
from fanlight.cli.model import errors, mib
from fanlight.formats.download import UrlSource
from fanlight.formats.resolve import resolve_model
from fanlight.formats.source import file_name

PIECE_BYTES = 4 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a URL or a hub id")
    verify.add_key_arguments(parser)


def run(options: argparse.Namespace) -> int:
    sources = driver.run(resolve_model(options.model))  # the hub's files are downloaded here
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        for source in sources:
            if isinstance(source, UrlSource):
                task = progress.add_task(file_name(source), total=source.size)
                for end in range(0, source.size + PIECE_BYTES, PIECE_BYTES):
                    source.fill(end)
                    progress.update(task, completed=min(end, source.size))
                if not options.public_key:
                    source.close()
    if options.public_key:
        verify.verify(sources, options)
    print(f"{options.model}: {len(sources)} files, {mib(sum(source.size for source in sources))} MiB")
    return 0
