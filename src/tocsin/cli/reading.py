"""Read files of events with a progress bar, where somebody looks."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from tocsin.ingest.file import STDIN, Chunk, read_files


def read_with_progress(files: list[str], *, quiet: bool) -> Iterator[Iterator[Chunk]]:
    """Yield the chunks of each file; on a terminal, with a bar of the bytes read."""
    if quiet or not sys.stderr.isatty() or STDIN in files:
        yield from (read_files([path]) for path in files)
        return
    columns = TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for path in files:
            task = progress.add_task(path, total=Path(path).stat().st_size)
            yield _advancing(read_files([path]), partial(progress.advance, task))


def _advancing(chunks: Iterator[Chunk], advance: Callable[[int], None]) -> Iterator[Chunk]:
    for chunk in chunks:
        yield chunk
        advance(len(chunk.data))
