"""Decode what senders post into audit events, strictly and within bounds.

The healthy batch takes one pass of the typed decoder and nothing else: the decoder itself
refuses what is no JSON, too deep, or not representable (NaN, lone surrogates). Only a
batch that it refuses is taken apart, so that a bad item costs itself: it is rejected with
a reason, and still judged by the rules as far as its fields can be read.
Of duplicate keys the last one wins, as in Go.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import msgspec

from tocsin.model.event import AuditEvent
from tocsin.normalize.split import ItemSplitter, Oversized

# Above this size a body is searched for the sheer number of its values before it is decoded.
LARGE_BODY_BYTES = 2 * 1024 * 1024
MAX_COMMAS = 500_000
# How many items of a split body are decoded together.
SPLIT_BATCH = 500

_BOM = b"\xef\xbb\xbf"
_GROUP = "audit.k8s.io/"
_REFUSALS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError)


class _EventList(msgspec.Struct, gc=False, rename="camel"):
    items: list[AuditEvent]
    kind: str | None = None
    api_version: str | None = None


class _RawList(msgspec.Struct, gc=False):
    items: list[msgspec.Raw]


_decode_event = msgspec.json.Decoder(AuditEvent).decode
_decode_list = msgspec.json.Decoder(_EventList).decode
_decode_raw_list = msgspec.json.Decoder(_RawList).decode
_decode_raw_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
# Floats keep their text: 1e999 must not become infinite, nor 0.1 something else.
_decode_body = msgspec.json.Decoder(float_hook=str).decode


@dataclass(frozen=True, slots=True)
class Reject:
    """Something in a batch that is no proper audit event, and why."""

    reason: str
    raw: bytes


@dataclass(slots=True)
class Batch:
    """The events of one body, in order, and what of it was rejected.

    Events point into the body's memory; keep nothing of them beyond the batch.
    """

    events: list[AuditEvent] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    slices: Callable[[], Sequence[msgspec.Raw | bytes]] = tuple
    _cut: Sequence[msgspec.Raw | bytes] | None = None

    def raw(self, index: int) -> bytes:
        """Return a copy of the exact bytes of one event; cut apart once, when first asked."""
        if self._cut is None:
            self._cut = self.slices()
        return bytes(self._cut[index])


class BodyDecoder:
    """Decodes request and response bodies on demand; total, and counts what it cannot read.

    The typed decoder has checked a body's syntax already. What is left to fail is a number
    of thousands of digits.
    """

    def __init__(self) -> None:
        self.failures = 0

    def __call__(self, raw: msgspec.Raw) -> object:
        """Return the JSON values of a body, None if they cannot be read."""
        try:
            return _decode_body(raw)
        except _REFUSALS:
            self.failures += 1
            return None


def unreadable_bodies(batch: Batch) -> list[Reject]:
    """Return a reject for each event of which a body cannot be read, with the reason."""
    rejects = []
    for event, raw in zip(batch.events, batch.slices(), strict=True):
        for body in (event.request_object, event.response_object):
            try:
                if body:
                    _decode_body(body)
            except _REFUSALS as error:
                rejects.append(Reject(f"body cannot be read: {_sentence(error)}", bytes(raw)))
    return rejects


def decode(body: bytes) -> Batch:
    """Decode one posted body: an Event, an EventList, a JSON array or lines of these."""
    body = body.removeprefix(_BOM).strip()
    if len(body) > LARGE_BODY_BYTES and body.count(b",") > MAX_COMMAS:
        return _joined(decode_pieces([body]))
    if not body.isascii() and not _is_utf8(body):
        return _decode_lines(body) if b"\n" in body else _decode_slowly(body)
    batch = _decode_whole(body)
    if batch is not None:
        return batch
    return _decode_lines(body) if b"\n" in body else _decode_slowly(body)


def decode_pieces(pieces: Iterable[bytes]) -> Iterator[Batch]:
    """Decode a body too large for one piece of memory, a group of its items at a time."""
    splitter = ItemSplitter()
    group: list[bytes] = []
    for piece in pieces:
        for item in splitter.feed(piece):
            if isinstance(item, Oversized):
                yield Batch(rejects=[Reject(f"event of {item.length} bytes is too large", b"")])
                continue
            group.append(item)
            if len(group) >= SPLIT_BATCH:
                yield _items(group)
                group = []
    if group:
        yield _items(group)
    if rest := splitter.rest():
        yield Batch(rejects=[Reject("the body ends in the middle of an event", rest)])
    elif not splitter.found_items:
        yield Batch(rejects=[Reject("the body has no list of events", b"")])


def _decode_whole(body: bytes) -> Batch | None:
    """Decode a single healthy document; None when it is not one."""
    try:
        if body.startswith(b"["):
            return _array(body)
        if body.startswith(b'{"kind":"Event",'):
            return _single(body)
        try:
            return _list(body)
        except msgspec.ValidationError:
            return _single(body)
    except _REFUSALS:
        return None


def _list(body: bytes) -> Batch | None:
    document = _decode_list(body)
    if not _is_audit(document.kind, "EventList", document.api_version):
        return None
    return Batch(document.items, slices=lambda: _decode_raw_list(body).items)


def _single(body: bytes) -> Batch | None:
    event = _decode_event(body)
    if not _is_audit(event.kind, "Event", event.api_version):
        return None
    return Batch([event], slices=lambda: (body,))


def _array(body: bytes) -> Batch:
    """Decode a JSON array whose elements are Events or EventLists."""
    return _joined(_document(bytes(item)) for item in _decode_raw_array(body))


def _decode_lines(body: bytes) -> Batch:
    return _joined(_document(line) for line in body.split(b"\n") if line.strip())


def _document(raw: bytes) -> Batch:
    """Decode one Event or EventList, item by item if need be."""
    if not raw.isascii() and not _is_utf8(raw):
        return _decode_slowly(raw)
    return _decode_whole(raw) or _decode_slowly(raw)


def _decode_slowly(body: bytes) -> Batch:
    """Take apart a document that is not healthy as a whole."""
    splitter = ItemSplitter()
    items = list(splitter.feed(body))
    if not splitter.found_items or not body.startswith((b"{", b"[")) or _is_event(body):
        return _items([body])
    batch = _items([item for item in items if isinstance(item, bytes)])
    batch.rejects.extend(
        Reject(f"event of {item.length} bytes is too large", b"")
        for item in items
        if isinstance(item, Oversized)
    )
    if rest := splitter.rest():
        batch.rejects.append(Reject("the body ends in the middle of an event", rest))
    elif reason := _header_fault(body):
        batch.rejects.append(Reject(reason, body[:1024]))
    return batch


def _is_event(body: bytes) -> bool:
    """Whether the document is one event (whose own text may contain a list `items`)."""
    try:
        return "auditID" in _decode_members(body)
    except _REFUSALS:
        return False


def _header_fault(body: bytes) -> str | None:
    """Return what is wrong with a list around its items."""
    if body.startswith(b"["):
        return None
    try:
        members = _decode_members(body)
        kind, version = (
            msgspec.json.decode(members[key], type=str | None) if key in members else None
            for key in ("kind", "apiVersion")
        )
    except _REFUSALS as error:
        return _sentence(error)
    if _is_audit(kind, "EventList", version):
        return None
    return f"kind {kind!r} of {version!r} is not an EventList of audit.k8s.io"


def _items(raws: list[bytes]) -> Batch:
    batch = Batch()
    kept: list[bytes] = []
    for raw in raws:
        event, reason = _item(raw)
        if reason is not None:
            batch.rejects.append(Reject(reason, raw))
        if event is not None:
            batch.events.append(event)
            kept.append(raw)
    batch.slices = lambda: kept
    return batch


def _item(raw: bytes) -> tuple[AuditEvent | None, str | None]:
    """Return the event, as far as it can be read, and what is wrong with it, if anything."""
    if not raw.isascii() and not _is_utf8(raw):
        return None, "not valid UTF-8"
    try:
        event = _decode_event(raw)
    except msgspec.ValidationError as error:
        return _salvage(raw), _sentence(error)
    except _REFUSALS as error:
        return None, _sentence(error)
    if not _is_audit(event.kind, "Event", event.api_version):
        return None, f"kind {event.kind!r} of {event.api_version!r} is not an audit event"
    return event, None


def _salvage(raw: bytes) -> AuditEvent | None:
    """Read an event whose fields do not all have the right type, leaving out those."""
    try:
        members = _decode_members(raw)
    except _REFUSALS:
        return None
    values: dict[str, object] = {}
    for name, (key, decoder) in _field_decoders().items():
        if key in members:
            try:
                values[name] = decoder.decode(members[key])
            except _REFUSALS:
                continue
    if not {"verb", "request_uri", "object_ref"} & values.keys():
        return None
    required = dict.fromkeys(("audit_id", "stage", "request_uri", "verb"), "")
    return AuditEvent(**(required | values))  # type: ignore[arg-type]


@cache
def _field_decoders() -> dict[str, tuple[str, msgspec.json.Decoder[object]]]:
    return {
        info.name: (info.encode_name, msgspec.json.Decoder(info.type))
        for info in msgspec.structs.fields(AuditEvent)
    }


def _joined(batches: Iterable[Batch]) -> Batch:
    parts = list(batches)
    if len(parts) == 1:
        return parts[0]
    return Batch(
        [event for part in parts for event in part.events],
        [reject for part in parts for reject in part.rejects],
        lambda: [raw for part in parts for raw in part.slices()],
    )


def _is_audit(kind: str | None, expected: str, version: str | None) -> bool:
    return kind in (None, expected) and (version is None or version.startswith(_GROUP))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _sentence(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error) or type(error).__name__
