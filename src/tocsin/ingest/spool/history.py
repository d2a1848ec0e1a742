"""Looking back through the spool, newest post first, without being in anybody's way.

For people who search, not for the engine: nothing is promised about numbers that are missing,
and no cursor keeps files from being deleted. A file is open for a few posts at a time only, so
that it can be sealed or deleted meanwhile.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool.layout import SpoolFile, spool_files
from tocsin.ingest.spool.post import LossReason, Post
from tocsin.ingest.spool.stored import DamagedError, FileBusyError, Head, StoredFile

_HEADS = 512
_POSTS = 8
_TRIES = 5
_RETRY_SECONDS = 0.05

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Look:
    """One step back, to the post at `seq`; `post` is None if it was not wanted.

    `received` is in microseconds since 1970, None where it is not known; `trouble` says why a
    wanted post cannot be read; `files_left` files are still to be looked at.
    """

    seq: int
    received: int | None
    post: Post | None
    trouble: LossReason | None
    files_left: int


@dataclass(frozen=True, slots=True)
class _Place:
    file: SpoolFile
    live: bool
    files_left: int


class SpoolHistory:
    """The posts that the spool still holds."""

    def __init__(self, directory: Path, sealer: Sealer) -> None:
        self._directory = directory
        self._sealer = sealer

    def backwards(
        self, wanted: Callable[[Head], bool], below: int | None = None, above: int = 0
    ) -> Iterator[Look]:
        """Yield the wanted posts with numbers between `above` and `below`, newest first.

        The others are passed over unread; of a run of them the last one is told now and then.
        """
        files = spool_files(self._directory)
        for number, file in reversed(list(enumerate(files))):
            live = number == len(files) - 1
            if not live and files[number + 1].first <= above + 1:
                return
            if below is None or below > file.first:
                yield from self._file(_Place(file, live, number), wanted, below, above)

    def post(self, seq: int) -> Post | None:
        """Return one post, None when it is not kept or cannot be read."""
        files = spool_files(self._directory)
        before = [file for file in files if file.first <= seq]
        if not before:
            return None
        place = _Place(before[-1], live=before[-1] is files[-1], files_left=0)
        found = self._tried(place, lambda stored: stored.find(seq))
        return found if isinstance(found, Post) else None

    def _file(
        self, place: _Place, wanted: Callable[[Head], bool], below: int | None, above: int
    ) -> Iterator[Look]:
        while True:
            heads = self._tried(place, partial(_heads, below))
            if heads is None:
                if place.file.path.exists():
                    yield Look(place.file.first, None, None, "damaged", place.files_left)
                return
            heads = [head for head in heads if head.seq > above]
            if not heads:
                return
            yield from self._read(place, [head for head in heads if wanted(head)])
            last = heads[-1]
            below = last.seq
            if not wanted(last):
                yield Look(last.seq, last.received, None, None, place.files_left)

    def _read(self, place: _Place, heads: Sequence[Head]) -> Iterator[Look]:
        for start in range(0, len(heads), _POSTS):
            some = heads[start : start + _POSTS]
            found = self._tried(place, partial(_find, some))
            if found is None and not place.file.path.exists():
                return
            damaged: list[Post | LossReason] = ["damaged"] * len(some)
            for head, post in zip(some, found or damaged, strict=True):
                good, trouble = (post, None) if isinstance(post, Post) else (None, post)
                yield Look(head.seq, head.received, good, trouble, place.files_left)

    def _tried(self, place: _Place, read: Callable[[StoredFile], T]) -> T | None:
        """Return what `read` finds in a file; None when there is no reading it.

        Files change hands: while one is sealed or deleted it cannot be opened for a moment.
        """
        for _ in range(_TRIES):
            try:
                with closing(StoredFile(place.file, self._sealer, live=place.live)) as stored:
                    return None if stored.fault else read(stored)
            except DamagedError:
                return None
            except FileBusyError:
                if not place.file.path.exists():
                    return None
                time.sleep(_RETRY_SECONDS)
        return None


def _find(heads: Sequence[Head], stored: StoredFile) -> list[Post | LossReason]:
    return [stored.find(head.seq) for head in heads]


def _heads(below: int | None, stored: StoredFile) -> list[Head]:
    return stored.heads(below, _HEADS)
