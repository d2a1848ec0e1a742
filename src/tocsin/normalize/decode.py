"""Decode what senders post into audit events, strictly and within bounds.

The healthy batch takes one pass of the typed decoder and nothing else: the decoder itself
refuses what is no JSON, too deep, or not representable (NaN, lone surrogates). Only a
batch that it refuses is taken apart, so that a bad item costs itself: it is rejected with
a reason, and still judged by the rules as far as its fields can be read.
Of duplicate keys the last one wins, as in Go.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import chain, islice

import msgspec

from tocsin.model.event import AuditEvent
from tocsin.normalize import shallow
from tocsin.normalize.batch import MAX_REJECTS, Batch, Reject
from tocsin.normalize.lines import Opening, split_lines
from tocsin.normalize.refusals import REFUSALS, sentence
from tocsin.normalize.split import MAX_ITEM_BYTES, ItemSplitter, Oversized
from tocsin.normalize.unwrap import unwrap
from tocsin.rules.regex import replacer

# Above this size a body is searched for the sheer number of its values before it is decoded.
LARGE_BODY_BYTES = 2 * 1024 * 1024
MAX_COMMAS = 500_000
# How many items of a split body are decoded together.
SPLIT_BATCH = 500

# An event without all of these says nothing.
_TELLING = frozenset({"verb", "requestURI", "objectRef"})
_SHORTEST = len(b'{"verb":""}')
_OWN_KINDS = frozenset({None, "Event"})
_BOM = b"\xef\xbb\xbf"
_GROUP = "audit.k8s.io/"


_replace_surrogates = replacer(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}", r"\\ufffd")


class _EventList(msgspec.Struct, gc=False, rename="camel"):
    items: list[AuditEvent]
    kind: str | None = None
    api_version: str | None = None


class _RawList(msgspec.Struct, gc=False):
    items: list[msgspec.Raw]


_decode_event = msgspec.json.Decoder(AuditEvent).decode
_decode_event_lines = msgspec.json.Decoder(AuditEvent).decode_lines
_decode_list = msgspec.json.Decoder(_EventList).decode
_decode_raw_list = msgspec.json.Decoder(_RawList).decode
_decode_raw_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decode(body: bytes) -> Batch:
    """Decode one posted body: an Event, an EventList, a JSON array or lines of these."""
    body = body.removeprefix(_BOM).strip()
    if not body:
        return Batch(rejects=[Reject("the body is empty", b"")])
    if len(body) > LARGE_BODY_BYTES and body.count(b",") > MAX_COMMAS:
        return _joined(decode_pieces([body]))
    if not body.isascii() and not _is_utf8(body):
        return _decode_lines(body) if _is_lines(body) else _decode_slowly(body)
    batch = _decode_whole(body)
    if batch is not None:
        return batch
    return _decode_lines(body) if _is_lines(body) else _decode_slowly(body)


def decode_pieces(pieces: Iterable[bytes]) -> Iterator[Batch]:
    """Decode a body too large for one piece of memory, a group of its items at a time."""
    kept = counted = 0
    for batch in _decode_groups(pieces):
        room = MAX_REJECTS - kept
        counted += sum(reject.count for reject in batch.rejects[room:])
        del batch.rejects[room:]
        kept += len(batch.rejects)
        yield batch
    if counted:
        yield Batch(rejects=[Reject("more of the same body", b"", counted)])


def _decode_groups(pieces: Iterable[bytes]) -> Iterator[Batch]:
    """Decode by groups of lines, or of the items of one list, or one event as a whole.

    Pieces are held until they tell which it is, and not joined before that is needed.
    """
    pieces = iter(pieces)
    splitter, opening = ItemSplitter(), Opening()
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece if any(held) else piece.removeprefix(_BOM).lstrip())
        size += len(held[-1])
        opening.add(held[-1])
        if opening.is_of_lines:
            lines = split_lines(chain(_given_away(held), pieces))
            yield from _grouped(lines, lambda group: _decode_lines(b"\n".join(group)))
            return
        items = splitter.feed(piece)
        first = list(islice(items, 1))
        if splitter.found_items or size > MAX_ITEM_BYTES:
            held.clear()
            items = chain(first, items, _fed(splitter, pieces))
            yield from _decode_item_groups(splitter, items)
            return
    body = b"".join(_given_away(held))
    yield _document(body) if body else Batch(rejects=[Reject("the body is empty", b"")])


def _given_away(pieces: list[bytes]) -> Iterator[bytes]:
    """Yield pieces and let go of each."""
    while pieces:
        yield pieces.pop(0)


def _fed(splitter: ItemSplitter, pieces: Iterable[bytes]) -> Iterator[bytes | Oversized]:
    for piece in pieces:
        yield from splitter.feed(piece)


def _decode_item_groups(
    splitter: ItemSplitter, items: Iterable[bytes | Oversized]
) -> Iterator[Batch]:
    yield from _grouped(items, _items)
    if rest := splitter.rest():
        yield Batch(rejects=[Reject("the body ends in the middle of an event", rest)])
    elif splitter.found_items and not splitter.complete:
        yield Batch(rejects=[Reject("the body ends in the middle of its list", b"")])
    elif not splitter.found_items:
        yield Batch(rejects=[Reject("the body has no list of events", b"")])


def _grouped(
    items: Iterable[bytes | Oversized], read: Callable[[list[bytes]], Batch]
) -> Iterator[Batch]:
    """Decode items some at a time; what is too large is told, without its bytes."""
    group: list[bytes] = []
    for item in items:
        if isinstance(item, Oversized):
            yield Batch(rejects=[Reject(f"event of {item.length} bytes is too large", b"")])
            continue
        group.append(item)
        if len(group) >= SPLIT_BATCH:
            yield read(group)
            group = []
    if group:
        yield read(group)


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
    except REFUSALS:
        return None


def _list(body: bytes) -> Batch | None:
    document = _decode_list(body)
    if not _is_audit(document.kind, "EventList", document.api_version):
        return None
    if not {event.kind for event in document.items} <= _OWN_KINDS:
        return None
    return Batch(document.items, slices=lambda: _decode_raw_list(body).items)


def _single(body: bytes) -> Batch | None:
    event = _decode_event(body)
    if not _is_audit(event.kind, "Event", event.api_version):
        return None
    return Batch([event], slices=lambda: (body,))


def _array(body: bytes) -> Batch:
    """Decode a JSON array whose elements are Events or EventLists."""
    return _joined(_element(bytes(item)) for item in _decode_raw_array(body))


def _decode_lines(body: bytes) -> Batch:
    """Decode JSON lines: all at once if every line is a healthy event, else line by line."""
    if body.startswith(b'{"kind":"Event",') and body.isascii():
        try:
            events = _decode_event_lines(body)
        except REFUSALS:
            events = []
        if events and all(_is_audit(e.kind, "Event", e.api_version) for e in events):
            return Batch(events, slices=lambda: _lines(body))
    return _joined(_document(line) for line in _lines(body))


def _lines(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\n") if line.strip()]


def _is_lines(body: bytes) -> bool:
    """Whether lines are documents of their own, rather than one document laid out in lines."""
    return body.partition(b"\n")[2][:1] not in (b"", b" ", b"\t", b'"', b"]", b"}")


def _document(raw: bytes) -> Batch:
    """Decode one Event or EventList, item by item if need be."""
    if not raw.isascii() and not _is_utf8(raw):
        return _decode_slowly(raw)
    batch = _decode_whole(raw)
    if batch is None and (inner := unwrap(raw)) is not None:
        return _items([inner])
    return batch or _decode_slowly(raw)


def _decode_slowly(body: bytes) -> Batch:
    """Take apart a document that is not healthy as a whole."""
    splitter = ItemSplitter()
    items = list(splitter.feed(body))
    if not splitter.found_items or not body.startswith((b"{", b"[")) or _is_event(body):
        return _items([body])
    whole = [item for item in items if isinstance(item, bytes)]
    # An array may hold lists of events.
    lists = body.startswith(b"[") and b'"items"' in body
    batch = _joined(_element(item) for item in whole) if lists else _items(whole)
    batch.reject(
        Reject(f"event of {item.length} bytes is too large", b"")
        for item in items
        if isinstance(item, Oversized)
    )
    if rest := splitter.rest():
        batch.reject([Reject("the body ends in the middle of an event", rest)])
    elif not batch.rejects and (reason := _header_fault(body)):
        batch.reject([Reject(reason, body[:1024])])
    return batch


def _element(raw: bytes) -> Batch:
    """Decode an element of an array: an event or a list of events, not a further array."""
    return _document(raw) if raw.startswith(b"{") and b'"items"' in raw else _items([raw])


def _is_event(body: bytes) -> bool:
    """Whether the document is one event (whose own text may contain a list `items`)."""
    try:
        return "auditID" in _decode_members(body)
    except REFUSALS:
        return False


def _header_fault(body: bytes) -> str | None:
    """Return what is wrong with a list around its items."""
    try:
        if body.startswith(b"["):
            _decode_raw_array(body)
            return None
        members = _decode_members(body)
        kind, version = (
            msgspec.json.decode(members[key], type=str | None) if key in members else None
            for key in ("kind", "apiVersion")
        )
    except REFUSALS as error:
        return sentence(error)
    if _is_audit(kind, "EventList", version):
        return None
    return "its kind and apiVersion are not those of an EventList of audit.k8s.io"


def _items(raws: list[bytes]) -> Batch:
    batch = Batch()
    kept: list[bytes] = []
    for raw in raws:
        event, reason = _item(raw)
        if event is None and (inner := unwrap(raw)) is not None:
            raw = inner  # noqa: PLW2901 - as if nobody had wrapped it
            event, reason = _item(raw)
        if reason is not None:
            mended = _mended(raw) if event is None else raw
            if mended != raw:
                mended = unwrap(mended) or mended
                event = _item(mended)[0]
                reason = "JSON is malformed: a lone surrogate" if _is_utf8(raw) else reason
            batch.reject([Reject(reason, raw)])
            raw = mended  # noqa: PLW2901 - what the event points into
        if event is not None:
            batch.events.append(event)
            kept.append(raw)
    batch.slices = lambda: kept
    return batch


def _item(raw: bytes) -> tuple[AuditEvent | None, str | None]:
    """Return the event, as far as it can be read, and what is wrong with it, if anything."""
    if len(raw) < _SHORTEST:
        return None, "Expected `object` with an event's fields, got something shorter"
    if not raw.isascii() and not _is_utf8(raw):
        return None, "not valid UTF-8"
    try:
        event = _decode_event(raw)
    except (msgspec.ValidationError, RecursionError) as error:
        return _salvage(raw), sentence(error)
    except REFUSALS as error:
        return None, sentence(error)
    if not _is_audit(event.kind, "Event", event.api_version):
        return None, "its kind and apiVersion are not those of an audit event"
    return event, None


def _mended(raw: bytes) -> bytes:
    """Return an event with U+FFFD for what is no character, as the API server reads it.

    A patch is logged as it was sent: whoever sends one must not be able to hide it.
    """
    if raw.isascii() and b"\\u" not in raw:
        return raw
    return _replace_surrogates(raw.decode(errors="replace")).encode()


def _salvage(raw: bytes) -> AuditEvent | None:
    """Read an event not all of whose fields can be read, leaving out those."""
    members: Mapping[str, msgspec.Raw | bytes]
    try:
        members = _decode_members(raw)
    except RecursionError:
        members = shallow.members(raw)
    except REFUSALS:
        return None
    if not _TELLING & members.keys():
        return None
    values: dict[str, object] = {}
    for name, (key, decoder) in _field_decoders().items():
        if key in members:
            try:
                values[name] = decoder.decode(members[key])
            except REFUSALS:
                continue
    required = dict.fromkeys(("audit_id", "stage", "request_uri", "verb"), "")
    return AuditEvent(**(required | values))  # type: ignore[arg-type]


@cache
def _field_decoders() -> dict[str, tuple[str, msgspec.json.Decoder[object]]]:
    return {
        info.name: (info.encode_name, msgspec.json.Decoder(info.type))
        for info in msgspec.structs.fields(AuditEvent)
    }


def _joined(batches: Iterable[Batch]) -> Batch:
    joined = Batch()
    parts: list[Batch] = []
    for batch in batches:
        joined.events.extend(batch.events)
        joined.reject(batch.rejects)
        if batch.events:
            parts.append(batch)
    joined.slices = lambda: [raw for part in parts for raw in part.slices()]
    return joined


def _is_audit(kind: str | None, expected: str, version: str | None) -> bool:
    return kind in (None, expected) and (version is None or version.startswith(_GROUP))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
