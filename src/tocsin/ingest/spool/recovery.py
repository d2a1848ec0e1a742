"""Where a writer begins: numbers that nobody has seen, whatever the last one left behind."""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool.layout import (
    FILE_NUMBERS,
    committed_path,
    cursors,
    deleted_path,
    is_sealed,
    read_number,
    spool_files,
)
from tocsin.ingest.spool.stored import StoredFile


class Resume(NamedTuple):
    """The first number to give, and the highest that was acknowledged before."""

    first: int
    previous: int


def resume(directory: Path, sealer: Sealer) -> Resume:
    """Work out the numbers of the next file.

    The highest number acknowledged is the highest that anything remembers: the newest file,
    the committed number, a reader's cursor. After a crash that is a lower bound only (damage
    to the log drops commits silently), so numbers then go on above all that the newest
    file can have given. They go on above its name in any case: a file without a post keeps
    its name taken.
    """
    remembered = (committed_path(directory), deleted_path(directory))
    previous = max([read_number(path) or 0 for path in remembered] + cursors(directory))
    first = 0
    files = spool_files(directory)
    if files:
        newest = files[-1]
        previous = max(previous, newest.previous)
        first = newest.first + (1 if is_sealed(newest.path) else FILE_NUMBERS)
        with closing(StoredFile(newest, sealer, recover=True)) as stored:
            previous = stored.last(previous)
    return Resume(max(first, previous + 1), previous)
