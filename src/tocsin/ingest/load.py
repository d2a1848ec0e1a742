"""What all posts in flight hold together, and the caps on it."""

from collections.abc import Iterator
from contextlib import contextmanager

from tocsin.ingest import refusals
from tocsin.ingest.refusals import RefusedError
from tocsin.ingest.spool.post import PIECE_BYTES


class Load:
    """The posts in flight; a post beyond the caps is refused as one to be sent again."""

    def __init__(self, max_posts: int, max_bytes: int) -> None:
        """Allow `max_posts` at once and `max_bytes` in memory for all of them."""
        self.posts = 0
        self.bytes = 0
        self._max_posts = max_posts
        self._max_bytes = max_bytes

    @contextmanager
    def post(self) -> Iterator["Share"]:
        """Count one post for as long as it is in flight."""
        if self.posts >= self._max_posts:
            raise RefusedError(refusals.BUSY)
        share = Share(self)
        self.posts += 1
        try:
            yield share
        finally:
            self.posts -= 1
            self.bytes -= share.held

    def hold(self, size: int) -> None:
        """Count `size` more bytes, if there is room for them."""
        if self.bytes + size > self._max_bytes:
            raise RefusedError(refusals.BUSY)
        self.bytes += size


class Share:
    """One post's part of the load."""

    def __init__(self, load: Load) -> None:
        self.length = 0
        self.held = 0
        self._load = load

    def add(self, size: int) -> None:
        """Count the next `size` bytes of the body."""
        self.length += size
        # Of one body, the spool keeps no more than a piece in memory.
        more = min(size, PIECE_BYTES - self.held)
        self._load.hold(more)
        self.held += more
