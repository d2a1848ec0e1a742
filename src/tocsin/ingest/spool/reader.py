"""Following the spool by number, in any process, while the writer goes on.

Every number that was acknowledged comes out exactly once per pass: as a post, or inside a
`Lost` that says why not. The names of the files and the committed number tell which numbers
there must be; so a row that a damaged file drops without a word is missed all the same.
"""

from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool.layout import (
    SpoolFile,
    committed_path,
    cursor_path,
    deleted_path,
    read_number,
    spool_files,
    write_number,
)
from tocsin.ingest.spool.post import LossReason, Lost, Post
from tocsin.ingest.spool.stored import FileBusyError, StoredFile


class Lag(NamedTuple):
    """The newest number, and how many posts lie above a cursor (numbers alone have gaps)."""

    newest: int
    posts: int


class _Span(NamedTuple):
    """The numbers that one file must answer for."""

    first: int
    last: int
    file: SpoolFile
    live: bool


class SpoolReader:
    """One reader, known to the spool by its name.

    The cursor belongs to the caller and is committed with the caller's own state; `release`
    only tells the spool what may be deleted. Call it once at start as well: until then
    retention does not know this reader. Not to be shared between threads.
    """

    def __init__(self, directory: Path, sealer: Sealer, name: str) -> None:
        self.stalled: str | None = None
        self._directory = directory
        self._sealer = sealer
        self._cursor = cursor_path(directory, name)
        self._released = read_number(self._cursor)
        self._received: int | None = None
        self._cursor_checked = False
        self._lag = Lag(0, 0)

    def read(self, after: int, limit: int = 64) -> list[Post | Lost]:
        """Return what follows number `after`, in order; empty when nothing is new.

        Go on from the last item's `seq` (of a post) or `last` (of a loss). When a file cannot
        be read at this moment `stalled` says why, and the next call tries again.
        """
        found: list[Post | Lost] = []
        self.stalled = None
        try:
            self._fill(found, after, limit)
        except FileBusyError as error:
            self.stalled = str(error)
        return found

    def release(self, seq: int) -> None:
        """Record durably that this reader will not ask for `seq` or less again."""
        if seq == self._released:
            return
        # Each by itself: the mode is not that of parents. The writer may not have been here yet.
        for folder in (self._cursor.parent.parent, self._cursor.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        write_number(self._cursor, seq)
        self._released = seq

    def lag(self, after: int) -> Lag:
        """Return how far the spool is ahead of the cursor `after`."""
        try:
            newest, spans = self._survey()
        except FileBusyError as error:
            self.stalled = str(error)
            return self._lag
        posts = sum(max(0, span.last - max(span.first, after + 1) + 1) for span in spans)
        self._lag = Lag(newest, posts)
        return self._lag

    def _survey(self) -> tuple[int, list[_Span]]:
        # The committed number first: what it counts is visible in whatever is listed after it.
        committed = read_number(committed_path(self._directory))
        files = spool_files(self._directory)
        newest = committed or 0
        if files:
            newest = max(newest, files[-1].previous)
            if committed is None:
                newest = self._last_found(files[-1], newest)
        spans = [
            _Span(file.first, following.previous, file, live=False)
            for file, following in pairwise(files)
        ]
        if files:
            spans.append(_Span(files[-1].first, newest, files[-1], live=True))
        return newest, spans

    def _last_found(self, file: SpoolFile, known: int) -> int:
        with closing(StoredFile(file, self._sealer, live=True)) as stored:
            return stored.last(known)

    def _fill(self, found: list[Post | Lost], after: int, limit: int) -> None:
        newest, spans = self._survey()
        if not self._cursor_checked:
            self._check_cursor(found, after, newest, spans)
        if after >= newest:
            return
        self._report_before(found, after, spans[0].file.previous if spans else newest)
        for span in spans:
            low = max(after + 1, span.first)
            if low > span.last:
                continue
            reached = self._read_span(found, span._replace(first=low), limit - len(found))
            if reached < span.last or len(found) >= limit:
                return

    def _check_cursor(
        self, found: list[Post | Lost], after: int, newest: int, spans: list[_Span]
    ) -> None:
        """Report once that the spool forgot posts which this reader has already passed."""
        below = [span for span in spans if span.first <= after]
        oldest = spans[0].file.previous if spans else newest
        known = below[-1].last if below else oldest
        if after > known and below and below[-1].live:
            # After a power loss the committed number may be older than the posts.
            known = self._last_found(below[-1].file, known)
        if after > known:
            found.append(Lost(known + 1, after, "missing"))
        self._cursor_checked = True

    def _report_before(self, found: list[Post | Lost], after: int, end: int) -> None:
        """Report the numbers up to `end`, which no file holds."""
        deleted = min(read_number(deleted_path(self._directory)) or 0, end)
        if after < deleted:
            self._lose(found, Lost(after + 1, deleted, "expired"))
            after = deleted
        if after < end:
            self._lose(found, Lost(after + 1, end, "missing"))

    def _read_span(self, found: list[Post | Lost], span: _Span, limit: int) -> int:
        """Add what the file has of the span; return the last number dealt with."""
        with closing(StoredFile(span.file, self._sealer, live=span.live)) as stored:
            if stored.fault:
                self._lose(found, self._lost(span.first, span.last, stored.fault, span))
                return span.last
            posts, upper = stored.scan(span.first, min(span.last, span.first + limit - 1))
            for seq in range(span.first, upper + 1):
                item = posts.get(seq) or stored.find(seq)
                if isinstance(item, Post):
                    found.append(item)
                    self._received = item.meta.received
                elif item == "missing" and stored.ends_at(seq):
                    self._lose(found, self._lost(seq, span.last, item, span))
                    return span.last
                else:
                    self._lose(found, self._lost(seq, seq, item, span))
        return upper

    def _lost(self, first: int, last: int, reason: LossReason, span: _Span) -> Lost:
        return Lost(first, last, reason, span.file.path.name, self._received)

    @staticmethod
    def _lose(found: list[Post | Lost], lost: Lost) -> None:
        previous = found[-1] if found else None
        if isinstance(previous, Lost) and (
            (previous.last + 1, previous.reason, previous.file)
            == (lost.first, lost.reason, lost.file)
        ):
            found[-1] = Lost(previous.first, lost.last, lost.reason, lost.file, previous.received)
        else:
            found.append(lost)
