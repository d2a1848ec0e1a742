"""What is handed to the writer's thread: posts, and bodies too large for one piece of memory."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from tocsin.ingest.spool.post import PIECE_BYTES, PostMeta, compress
from tocsin.ingest.spool.schema import encode_ids, post_context
from tocsin.ingest.spool.segment import Segment
from tocsin.ingest.spool.settings import SpoolUnavailable

T = TypeVar("T")


def _running_future() -> Future[Any]:
    # Marked as running: a waiter that gives up must not cancel what the writer will resolve.
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """One insertion to be done in the writer's thread; `length` is the raw body's, of a post."""

    insert: Callable[[Segment], T]
    size: int
    length: int | None = None
    future: "Future[T]" = field(default_factory=_running_future)


class Submit(Protocol):
    """Queues a job for the writer's thread."""

    def __call__(self, job: Job[T], /) -> Future[T]:
        """Return the future of the job, which may already be refused."""
        ...


def post_job(meta: PostMeta, body: bytes | bytearray) -> Job[int]:
    """Return the job that stores a body as one row, compressed here and now."""
    length = len(body)
    post_context(0, meta, 1, length)  # metadata that cannot be stored fails its own post only
    stored = compress(body)
    return Job(lambda segment: segment.add_post(meta, stored, length), len(stored), length)


class Upload:
    """A body that arrives in pieces and becomes one post when it is complete.

    Not more than 8 MiB are held here: wait for each future of `write` before the next call.
    Pieces are bound to the file that took the first one. If that file is set aside or full
    before `commit`, the upload fails and the sender repeats it; one that is stored in more
    than twice `max_file_bytes` can never succeed.
    """

    def __init__(self, meta: PostMeta, submit: Submit) -> None:
        post_context(0, meta, 1, 0)
        self._meta = meta
        self._submit = submit
        self._buffer = bytearray()
        self._length = 0
        self._flushed = 0
        self._parts: list[int] = []
        self._segment: Segment | None = None

    def write(self, piece: bytes) -> Future[None]:
        """Take the next bytes; the future resolves when memory is free for more."""
        self._buffer += piece
        self._length += len(piece)
        future: Future[None] | None = None
        # The last piece stays until commit, so a body of one piece becomes an ordinary post.
        while len(self._buffer) > PIECE_BYTES:
            future = self._flush()
        if future is None:
            future = _running_future()
            future.set_result(None)
        return future

    def commit(self) -> Future[int]:
        """Store the rest and make the post visible; resolves to its number when durable."""
        if not self._flushed:
            return self._submit(post_job(self._meta, self._buffer))
        self._flush()
        return self._submit(Job(self._insert_post, 0, self._length))

    def abort(self) -> None:
        """Give the upload up; what it stored stays invisible and dies with its file."""
        self._buffer.clear()
        if self._segment is not None:
            self._segment.uploads.discard(self)

    def _flush(self) -> Future[None]:
        with memoryview(self._buffer) as view:
            stored = compress(view[:PIECE_BYTES])
        del self._buffer[:PIECE_BYTES]
        self._flushed += 1
        return self._submit(Job(lambda segment: self._insert_part(segment, stored), len(stored)))

    def _insert_part(self, segment: Segment, stored: bytes) -> None:
        if self._segment is None:
            self._segment = segment
            segment.uploads.add(self)
        self._require(segment)
        self._parts.append(segment.add_part(stored))

    def _insert_post(self, segment: Segment) -> int:
        self._require(segment)
        # A piece that was refused is missing from the ids.
        if len(self._parts) != self._flushed:
            reason = "a piece of the upload was refused"
            raise SpoolUnavailable(reason)
        ids = encode_ids(self._parts)
        seq = segment.add_post(self._meta, ids, self._length, len(self._parts))
        segment.uploads.discard(self)
        return seq

    def _require(self, segment: Segment) -> None:
        if segment is not self._segment:
            reason = "the spool file changed during the upload"
            raise SpoolUnavailable(reason)
