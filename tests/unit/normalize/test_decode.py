"""Bytes in, events out: every form that senders use, and what is set aside."""

import json
from collections.abc import Callable, Iterator

import pytest
from typing_extensions import override

from tests.unit.audit import encoded, event_list, item
from tocsin.normalize import decode as module
from tocsin.normalize.batch import MAX_REJECTS, Batch, Reject
from tocsin.normalize.decode import LARGE_BODY_BYTES, MAX_COMMAS, decode, decode_pieces
from tocsin.normalize.split import ItemSplitter, Oversized

GOOD = [encoded(item(auditID=f"a{number}", verb="get")) for number in range(3)]
LOG = [b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",' + one[1:] for one in GOOD]
BAD = b'{"auditID":7,"nothing":"else"}'


def ids(batch: Batch) -> list[str]:
    return [event.audit_id for event in batch.events]


def pretty(body: bytes, indent: int | str = 2) -> bytes:
    return json.dumps(json.loads(body), indent=indent).encode()


FORMS = {
    "list": event_list(GOOD),
    "list with a newline": event_list(GOOD) + b"\n",
    "list laid out": pretty(event_list(GOOD)),
    "list laid out with tabs": pretty(event_list(GOOD), "\t"),
    "list without indentation": pretty(event_list(GOOD), 0),
    "list of no kind": b'{"items":[' + b",".join(GOOD) + b"]}",
    "items first": b'{"items":['
    + b",".join(GOOD)
    + b'],"kind":"EventList","metadata":{"a":["b"]}}',
    "lines of events": b"\n".join(GOOD),
    "lines of a log": b"\n".join(LOG) + b"\n",
    "lines of Windows": b"\r\n".join(LOG) + b"\r\n",
    "empty lines between": b"\n\n".join(GOOD) + b"\n\n",
    "lines of lists": event_list(GOOD[:1]) + b"\n" + event_list(GOOD[1:]),
    "lines of both": event_list(GOOD[:2]) + b"\n" + LOG[2],
    "array of events": b"[" + b",".join(GOOD) + b"]",
    "array laid out": pretty(b"[" + b",".join(LOG) + b"]"),
    "array of lists": b"[" + event_list(GOOD[:1]) + b"," + event_list(GOOD[1:]) + b"]",
    "lines of arrays": b"[" + GOOD[0] + b"]\n[" + GOOD[1] + b"," + GOOD[2] + b"]",
    "byte order mark": b"\xef\xbb\xbf" + event_list(GOOD),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_are_read(form: str) -> None:
    batch = decode(FORMS[form])
    assert ids(batch) == ["a0", "a1", "a2"]
    assert not batch.rejects


@pytest.mark.parametrize("form", FORMS)
def test_bytes_of_each_event_are_kept(form: str) -> None:
    batch = decode(FORMS[form])
    for number, good in enumerate(GOOD):
        raw = json.loads(batch.raw(number))
        assert {key: raw[key] for key in json.loads(good)} == json.loads(good)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("position", range(3))
def test_bad_item_costs_itself_in_every_form(form: str, position: int) -> None:
    laid_out = "laid out" in form or "indentation" in form
    if laid_out:
        document = json.loads(FORMS[form])
        items = document if isinstance(document, list) else document["items"]
        items[position] = json.loads(BAD)
        body = pretty(json.dumps(document).encode())
    else:
        bare = LOG[position] if LOG[position] in FORMS[form] else GOOD[position]
        body = FORMS[form].replace(bare, BAD)
    batch = decode(body)
    assert ids(batch) == [f"a{number}" for number in range(3) if number != position]
    (reject,) = batch.rejects
    assert json.loads(reject.raw) == json.loads(BAD)
    assert [json.loads(batch.raw(n))["auditID"] for n in range(2)] == ids(batch)


IN_PIECES = [form for form in FORMS if form != "array of lists"]


@pytest.mark.parametrize("form", IN_PIECES)
@pytest.mark.parametrize("cuts", [(100, 101), (1, 2), (0, 700), (1500, 1501), (9999, 9999)])
def test_body_in_pieces_is_read_alike(form: str, cuts: tuple[int, int]) -> None:
    body = FORMS[form]
    if form == "lines of both":
        # Of a list in its first piece only lists follow: no sender mixes them.
        cuts = (1500, 1501)
    batches = list(decode_pieces([body[: cuts[0]], body[cuts[0] : cuts[1]], body[cuts[1] :]]))
    assert [audit_id for batch in batches for audit_id in ids(batch)] == ["a0", "a1", "a2"]
    assert not [reject for batch in batches for reject in batch.rejects]


@pytest.mark.parametrize("form", [GOOD[0], LOG[0], pretty(LOG[0]), b"\n" + GOOD[0] + b"\n"])
def test_a_single_event_in_pieces_is_read(form: bytes) -> None:
    (batch,) = decode_pieces([form[:300], form[300:]])
    assert ids(batch) == ["a0"]


def test_a_line_that_was_cut_off_costs_itself_in_pieces_too() -> None:
    body = b"\n".join([LOG[0][:200], *LOG[1:], LOG[0][:-1], LOG[0]])
    batches = list(decode_pieces([body[:350], body[350:]]))
    assert [audit_id for batch in batches for audit_id in ids(batch)] == ["a1", "a2", "a0"]
    assert sum(len(batch.rejects) for batch in batches) == 2


def test_commas_in_an_event_of_a_log_do_not_hide_it() -> None:
    padded = encoded(item(requestObject={"spec": [0] * MAX_COMMAS, "pad": "x" * LARGE_BODY_BYTES}))
    for body in (padded, padded + b"\n" + GOOD[0]):
        batch = decode(body)
        assert len(batch.events) == 1 + body.count(b"\n")
        assert not batch.rejects


def test_a_document_without_events_is_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ITEM_BYTES", 1000)
    (batch,) = decode_pieces([b'{"kind":"', *[b"x" * 100] * 50, b'"}'])
    assert [reject.reason for reject in batch.rejects] == ["the body has no list of events"]


def test_too_large_lines_are_set_aside_without_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.normalize.split.MAX_ITEM_BYTES", 2000)
    large = encoded(item(userAgent="x" * 5000))
    body = b"\n".join([GOOD[0], large, GOOD[1]])
    batches = list(decode_pieces([body[start : start + 100] for start in range(0, len(body), 100)]))
    assert [audit_id for batch in batches for audit_id in ids(batch)] == ["a0", "a1"]
    (reject,) = [reject for batch in batches for reject in batch.rejects]
    assert reject == Reject(f"event of {len(large)} bytes is too large", b"")


def test_single_event_is_read() -> None:
    for body in (GOOD[0], LOG[0], pretty(LOG[0]), b"[" + GOOD[0] + b"]"):
        assert ids(decode(body)) == ["a0"]


def test_text_of_an_event_may_look_like_a_list() -> None:
    tricky = encoded(item(requestObject={"items": [{"items": ["x", '"items":[{']}]}))
    broken = tricky[:-1] + b',"sourceIPs":7}'
    assert len(decode(tricky).events) == 1
    batch = decode(broken)
    assert len(batch.events) == 1
    assert len(batch.rejects) == 1


@pytest.mark.parametrize(
    ("kind", "version", "accepted"),
    [
        ("Event", "audit.k8s.io/v1", True),
        ("Event", "audit.k8s.io/v1beta1", True),
        ("Event", None, True),
        (None, None, True),
        ("Event", "v1", False),
        ("EventList", "audit.k8s.io/v1", False),
        ("Pod", "audit.k8s.io/v1", False),
    ],
)
def test_kind_of_an_event(kind: str | None, version: str | None, *, accepted: bool) -> None:
    one = encoded(item(kind=kind, apiVersion=version))
    batch = decode(one)
    assert len(batch.events) == accepted
    assert len(batch.rejects) == (not accepted)


def test_list_of_another_kind_is_set_aside_and_its_events_judged() -> None:
    batch = decode(event_list(GOOD).replace(b"EventList", b"PodList"))
    assert ids(batch) == ["a0", "a1", "a2"]
    (reject,) = batch.rejects
    assert "EventList" in reject.reason


@pytest.mark.parametrize("kind", [b"7", b"[]", b"{}"])
def test_kind_of_a_wrong_type_is_set_aside(kind: bytes) -> None:
    batch = decode(event_list(GOOD).replace(b'"EventList"', kind))
    assert ids(batch) == ["a0", "a1", "a2"]
    assert len(batch.rejects) == 1


def test_field_of_a_wrong_type_is_left_out() -> None:
    wrong = item(user={"username": 7}, sourceIPs=["10.0.0.1", 5], responseStatus={"code": "201"})
    batch = decode(event_list([encoded(wrong)]))
    (event,) = batch.events
    assert (event.user, event.source_ips, event.response_status) == (None, None, None)
    assert event.object_ref is not None
    assert event.object_ref.resource == "pods"
    (reject,) = batch.rejects
    assert "$.user" in reject.reason or "$.sourceIPs" in reject.reason


@pytest.mark.parametrize("missing", ["auditID", "stage", "verb", "requestURI"])
def test_event_without_a_required_field_is_judged_by_the_others(missing: str) -> None:
    batch = decode(event_list([encoded(item(**{missing: None}))]))
    assert len(batch.events) == 1
    assert missing in batch.rejects[0].reason


def test_what_says_nothing_is_not_judged() -> None:
    one: dict[str, object] = {"auditID": "x", "stage": "Panic", "user": {"username": 7}}
    assert not decode(event_list([encoded(one)])).events


def test_rejects_are_kept_up_to_a_number_and_then_counted() -> None:
    batch = Batch()
    batch.reject([Reject("bad", b"x")] * (MAX_REJECTS + 5))
    assert len(batch.rejects) == MAX_REJECTS + 1
    assert sum(reject.count for reject in batch.rejects) == MAX_REJECTS + 5
    assert batch.rejects[-1] == Reject("more of the same body", b"", 5)


def test_large_body_of_many_small_things_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE_BODY_BYTES", 1000)
    monkeypatch.setattr(module, "MAX_COMMAS", 20)
    monkeypatch.setattr(module, "SPLIT_BATCH", 2)
    batch = decode(event_list([*GOOD, BAD]))
    assert ids(batch) == ["a0", "a1", "a2"]
    assert len(batch.rejects) == 1
    assert json.loads(batch.raw(2))["auditID"] == "a2"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (event_list(GOOD)[:-10], "in the middle of an event"),
        (event_list(GOOD)[:-2], "in the middle of an event"),
        (event_list(GOOD)[:-2] + b" ,", "in the middle of its list"),
        (b'{"kind":"EventList"}', "auditID"),
        (b"", "the body is empty"),
        (b" \n\n", "the body is empty"),
    ],
)
def test_body_in_pieces_that_ends_early_is_told(body: bytes, reason: str) -> None:
    rejects = [reject for batch in decode_pieces([body]) for reject in batch.rejects]
    assert [reject for reject in rejects if reason in reject.reason]


def test_too_large_items_are_set_aside_without_their_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tocsin.normalize.split.MAX_ITEM_BYTES", 2000)
    large = encoded(item(userAgent="x" * 5000))
    body = event_list([GOOD[0], large, GOOD[1]])
    pieces = [body[start : start + 100] for start in range(0, len(body), 100)]
    batches = list(decode_pieces(pieces))
    assert [audit_id for batch in batches for audit_id in ids(batch)] == ["a0", "a1"]
    (reject,) = [reject for batch in batches for reject in batch.rejects]
    assert reject == Reject(f"event of {len(large)} bytes is too large", b"")


def test_too_large_item_of_a_damaged_body_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Splitter(ItemSplitter):
        @override
        def feed(self, piece: bytes) -> Iterator[bytes | Oversized]:
            yield from super().feed(piece)
            yield Oversized(77)

    monkeypatch.setattr(module, "ItemSplitter", Splitter)
    batch = decode(event_list([GOOD[0], BAD]))
    assert "event of 77 bytes is too large" in [reject.reason for reject in batch.rejects]


def test_many_rejects_of_a_body_in_pieces_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REJECTS", 3)
    batches = list(decode_pieces([b"[" + b"{}," * 1200 + b"{}]"]))
    rejects = [reject for batch in batches for reject in batch.rejects]
    assert len(rejects) == 4
    assert sum(reject.count for reject in rejects) == 1201


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc00\ud800"])
def test_lone_surrogate_cannot_hide_an_event(text: str) -> None:
    one = json.dumps(item(userAgent=text)).encode()
    batch = decode(event_list([GOOD[0], one]))
    assert len(batch.events) == 2
    assert "\ufffd" in (batch.events[1].user_agent or "")
    assert batch.rejects == [Reject("JSON is malformed: a lone surrogate", one)]


def test_pairs_of_surrogates_are_characters() -> None:
    (event,) = decode(event_list([json.dumps(item(userAgent="🔔")).encode()])).events
    assert event.user_agent == "🔔"


@pytest.mark.parametrize(
    "join",
    [
        lambda bad: b"\n".join([GOOD[0], bad, GOOD[1]]),
        lambda bad: b"[" + b",".join([GOOD[0], bad, GOOD[1]]) + b"]",
        lambda bad: b"[" + event_list([GOOD[0], bad]) + b"," + event_list([GOOD[1]]) + b"]",
        lambda bad: event_list([GOOD[0], bad]) + b"\n" + event_list([GOOD[1]]),
    ],
)
def test_invalid_utf8_cannot_hide_an_event_in_any_form(join: Callable[[bytes], bytes]) -> None:
    bad = encoded(item(auditID="bad", userAgent="@")).replace(b"@", b"\xff\xfe")
    batch = decode(join(bad))
    assert ids(batch) == ["a0", "bad", "a1"]
    assert batch.events[1].user_agent == "\ufffd\ufffd"
    assert batch.rejects == [Reject("not valid UTF-8", bad)]
    assert batch.raw(2) == GOOD[1]


def test_item_of_an_array_may_be_a_list_of_lists() -> None:
    batch = decode(b"[[[" + GOOD[0] + b"]]," + event_list([GOOD[1], BAD]) + b"]")
    assert ids(batch) == ["a1"]
    assert len(batch.rejects) == 2


def test_broken_event_whose_text_has_a_list_is_one_reject() -> None:
    batch = decode(b'{"auditID":"x","requestObject":{"items":[1,2]},NaN}')
    assert not batch.events
    assert len(batch.rejects) >= 1


def test_event_of_a_list_that_is_no_text_is_told_once() -> None:
    batch = decode(event_list([GOOD[0], b'{"a":NaN,"items":[]}']))
    assert ids(batch) == ["a0"]
    assert len(batch.rejects) == 1


def test_empty_batch_has_no_bytes() -> None:
    assert Batch().slices() == ()
