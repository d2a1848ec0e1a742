"""The events of one stored post, first to last or last to first, with their exact bytes."""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

from tocsin.ingest.spool import Post
from tocsin.model.event import AuditEvent
from tocsin.normalize.batch import Batch
from tocsin.normalize.decode import decode, decode_pieces

# What is held of a post that is too large to be decoded as a whole.
HELD_EVENTS, HELD_BYTES = 64, 16 * 1024 * 1024

Matches = Callable[[AuditEvent], bool]
Hurry = Callable[[], bool]


class TooLongError(Exception):
    """A post is so large that going through it takes longer than there is time."""


def forwards(post: Post) -> Iterator[tuple[int, AuditEvent, Callable[[], bytes]]]:
    """Yield each event with its place in the post and what returns its bytes.

    An event is good until the next one is asked for.
    """
    start = 0
    for batch in _batches(post):
        for index, event in enumerate(batch.events):
            yield start + index, event, partial(batch.raw, index)
        start += len(batch.events)


def backwards(
    post: Post, below: int | None, matches: Matches, time_is_up: Hurry
) -> Iterator[tuple[int, AuditEvent, bytes]]:
    """Yield the events below a place that match, the last one first.

    Raises:
        TooLongError: the post comes in parts, and time is up before all of it was looked at.
    """
    if post.parts == 1:
        batch = decode(post.body())
        for index in reversed(range(len(batch.events))[:below]):
            if matches(batch.events[index]):
                yield index, batch.events[index], batch.raw(index)
        return
    # In a large post the last matches are found by going through it; for those before them it
    # is gone through again.
    while held := _last_matches(post, below, matches, time_is_up):
        yield from reversed(held)
        below = held[0][0]


def _last_matches(
    post: Post, below: int | None, matches: Matches, time_is_up: Hurry
) -> deque[tuple[int, AuditEvent, bytes]]:
    held: deque[tuple[int, AuditEvent, bytes]] = deque()
    size = 0
    for index, event, raw in forwards(post):
        if below is not None and index >= below:
            break
        if time_is_up():
            raise TooLongError
        if not matches(event):
            continue
        held.append((index, event, raw()))
        size += len(held[-1][2])
        while len(held) > HELD_EVENTS or (size > HELD_BYTES and len(held) > 1):
            size -= len(held.popleft()[2])
    return held


def _batches(post: Post) -> Iterator[Batch]:
    return iter((decode(post.body()),)) if post.parts == 1 else decode_pieces(post.pieces())
