"""Send audit logs to a running Tocsin after the fact: after an outage, or of a new cluster.

The lines go through the same webhook as those of an API server, marked as backfill, and are
judged there like any other. Alerts are digests, so sending a log twice changes nothing, and an
interrupted run is simply run again.
"""

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import msgspec

from tocsin.detect.times import utc
from tocsin.ingest.file import STDIN, Chunk, documents, is_laid_out, read_files
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import SpoolReader
from tocsin.model.errors import TocsinError
from tocsin.model.ports import AlertFilter
from tocsin.normalize.decode import decode
from tocsin.runtime.config import Config
from tocsin.runtime.detector import READER
from tocsin.runtime.poster import Poster
from tocsin.store.sqlite import SqliteStore

SOURCE = "backfill"
BATCH_LINES = 500

# A Tocsin that restarts, or whose disk is full, is waited for this long.
PATIENCE_SECONDS = 120.0
RETRY_SECONDS = 3.0
MAX_RETRY_SECONDS = 30.0
# Evaluation that has not moved for this long is not waited for.
STALL_SECONDS = 60.0
POLL_SECONDS = 0.1
PAGE = 1000

_TRY_LATER = frozenset({429, 500, 502, 503, 504})
_HINTS = {
    401: "the credential is not known there: `tocsin clusters list` on Tocsin's machine tells "
    "whether it was revoked or has expired",
    403: "the credential belongs to another cluster than the URL names",
}


class _Times(msgspec.Struct, rename="camel"):
    stage_timestamp: str | None = None
    request_received_timestamp: str | None = None


_decode_times = msgspec.json.Decoder(_Times).decode


@dataclass(frozen=True, slots=True)
class Window:
    """Which events to send, by their own time: from `since` on, before `until`."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, line: bytes) -> bool:
        """Return whether to send a line; one that tells no time of its own is sent."""
        moment = _moment(line) if self.since or self.until else None
        if moment is None:
            return True
        return (self.since is None or moment >= self.since) and (
            self.until is None or moment < self.until
        )


@dataclass(slots=True)
class Tally:
    """What was sent. `first` and `last` are the events' own times (RFC 3339)."""

    posts: int = 0
    events: int = 0
    rejected: int = 0
    outside: int = 0
    first: str = ""
    last: str = ""

    def add(self, body: bytes) -> None:
        """Count a body that was accepted."""
        batch = decode(body)
        self.posts += 1
        self.events += len(batch.events)
        self.rejected += sum(reject.count for reject in batch.rejects)
        times = [
            event.stage_timestamp or event.request_received_timestamp for event in batch.events
        ]
        known = [utc(moment) for moment in times if moment]
        self.first = min([*known, *filter(None, [self.first])], default="")
        self.last = max([*known, self.last])


def in_order(paths: Iterable[str]) -> list[str]:
    """Return the files by the time of their first event; pipes and standard input come last.

    Raises:
        TocsinError: a file cannot be read.
    """
    paths = list(paths)
    # What is read from a pipe is gone: nobody may look into it beforehand.
    files = {path for path in paths if path != STDIN and Path(path).is_file()}
    times = {path: _first_time(path) for path in files}
    return sorted(paths, key=lambda path: (path not in files, times.get(path, "")))


def batches(chunks: Iterator[Chunk], window: Window, tally: Tally) -> Iterator[bytes]:
    """Yield the bodies to post; lines outside of the window are counted and left out."""
    for chunk in documents(chunks):
        if is_laid_out(chunk):
            yield chunk.data
            continue
        lines = [line for line in chunk.data.split(b"\n") if line.strip()]
        kept = [line for line in lines if window.holds(line)]
        tally.outside += len(lines) - len(kept)
        for start in range(0, len(kept), BATCH_LINES):
            yield b"\n".join(kept[start : start + BATCH_LINES]) + b"\n"


class Sender:
    """Posts bodies one after the other, and waits while Tocsin is busy or restarts."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster
        self._was_taken = False

    async def send(self, body: bytes) -> None:
        """Return when the body is durable there.

        Raises:
            TocsinError: it is refused, or nobody takes it in time.
        """
        start = time.monotonic()
        while (problem := await self._try(body)) is not None:
            pause, reason = problem
            if time.monotonic() + pause - start > PATIENCE_SECONDS:
                message = (
                    f"{self._poster.url} did not take events for {PATIENCE_SECONDS:.0f} s: {reason}"
                )
                raise TocsinError(message)
            await asyncio.sleep(pause)
        self._was_taken = True

    async def _try(self, body: bytes) -> tuple[float, str] | None:
        """Post once; return how long to wait before the next try and why, or None when done."""
        try:
            answer = await self._poster.send(body)
        except httpx2.HTTPError as error:
            # Nothing was ever taken: waiting would only hide a wrong address or certificate.
            if not self._was_taken:
                raise TocsinError(_no_answer(self._poster.url, error)) from error
            return RETRY_SECONDS, _reason(error)
        if answer.is_success:
            return None
        reason = f"it answers {answer.status_code}: {_explain(answer)}"
        if answer.status_code not in _TRY_LATER:
            message = f"{self._poster.url}: {reason}"
            raise TocsinError(message)
        return _pause(answer), reason


@dataclass(frozen=True, slots=True)
class Found:
    """What came of the events; `evaluated` is False when waiting for it was given up."""

    evaluated: bool
    severities: Counter[str]


class Evaluation:
    """Watches, on Tocsin's own machine, what becomes of what is sent from now on."""

    def __init__(self, config: Config, store: SqliteStore, cluster: str) -> None:
        """Begin before the first post."""
        self._store = store
        self._cluster = cluster
        # It is never released, so the spool does not keep anything for it.
        sealer = Sealer(load_or_create_key(config.key_path))
        self._spool = SpoolReader(config.spool_folder, sealer, SOURCE)
        self._before = store.last_seq()

    async def finish(self, tally: Tally) -> Found:
        """Wait until all that was sent is evaluated, and return the new alerts of that time."""
        evaluated = await self._evaluated(self._spool.lag(0).newest)
        return Found(evaluated, self._new_alerts(tally))

    async def _evaluated(self, newest: int) -> bool:
        cursor = self._store.cursor(READER)
        moved = time.monotonic()
        while cursor < newest:
            await asyncio.sleep(POLL_SECONDS)
            former, cursor = cursor, self._store.cursor(READER)
            if cursor != former:
                moved = time.monotonic()
            elif time.monotonic() - moved > STALL_SECONDS:
                return False
        return True

    def _new_alerts(self, tally: Tally) -> Counter[str]:
        severities: Counter[str] = Counter()
        if not tally.first:
            return severities
        where = AlertFilter(
            cluster=self._cluster,
            since=datetime.fromisoformat(tally.first),
            until=datetime.fromisoformat(tally.last) + timedelta(microseconds=1),
        )
        after = self._before
        while page := self._store.follow(after, PAGE, where):
            severities.update(stored.alert.rule.severity for stored in page)
            after = page[-1].seq
        return severities


def _first_time(path: str) -> str:
    """Return the time of the first event of a file, empty where there is none to be had."""
    with contextlib.closing(read_files([path])) as chunks:
        first = next(chunks, None)
    events = decode(first.data.partition(b"\n")[0]).events if first else []
    times = [event.request_received_timestamp for event in events]
    return utc(times[0]) if times else ""


def _moment(line: bytes) -> datetime | None:
    try:
        times = _decode_times(line)
    except (msgspec.DecodeError, RecursionError):
        return None
    text = times.stage_timestamp or times.request_received_timestamp
    return datetime.fromisoformat(utc(text)) if text else None


def _no_answer(url: str, error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.ConnectTimeout):
        return f"{url}: no answer to a connection: is a firewall in between?"
    if isinstance(error, httpx2.ConnectError) and not _is_tls(error):
        return f"{url}: no connection: {_reason(error)}; does `tocsin serve` run there?"
    return f"{url}: {_reason(error)}"


def _is_tls(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _reason(error: httpx2.HTTPError) -> str:
    return str(error) or type(error).__name__


def _explain(answer: httpx2.Response) -> str:
    """Return a hint, or the answer's own words; they are the server's, so only a few."""
    if answer.status_code in _HINTS:
        return _HINTS[answer.status_code]
    try:
        return str(msgspec.json.decode(answer.content, type=dict[str, str])["error"])[:200]
    except (msgspec.DecodeError, KeyError):
        return answer.reason_phrase


def _pause(answer: httpx2.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return min(max(float(text), 1.0), MAX_RETRY_SECONDS) if text.isdecimal() else RETRY_SECONDS
