"""Bodies of events, decoded when asked for and remembered within bounds."""

import json

import pytest

from tests.unit.audit import encoded, event_list, item
from tocsin.normalize import bodies as module
from tocsin.normalize.bodies import BodyDecoder, unreadable_bodies
from tocsin.normalize.decode import decode

GOOD = encoded(item(auditID="a0", verb="get"))


def test_numbers_keep_their_text() -> None:
    numbers = b'{"a":[9007199254740993,18446744073709551616,1e999,0.10,-0,1E5]}'
    one = encoded(item(requestObject="@")).replace(b'"@"', numbers)
    (event,) = decode(event_list([one])).events
    found = BodyDecoder()(event.request_object)
    assert found == {"a": [2**53 + 1, 2**64, "1e999", "0.10", 0, "1E5"]}


def test_unreadable_body_is_told_only_when_asked_for() -> None:
    one = encoded(item(requestObject="@")).replace(b'"@"', b"1" * 5000)
    batch = decode(event_list([GOOD, one]))
    assert not batch.rejects
    read = BodyDecoder()
    assert read(batch.events[1].request_object) is None
    assert read.failures == 1
    (reject,) = unreadable_bodies(batch)
    assert reject.raw == one
    assert reject.reason.startswith("body cannot be read: ")


def test_bodies_are_decoded_once_until_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT_BODIES", 3)
    monkeypatch.setattr(module, "MAX_KEPT_BYTES", 1000)
    pods = [encoded(item(requestObject={"n": "x" * n})) for n in (1, 2, 3, 4, 2000)]
    bodies = [event.request_object for event in decode(event_list(pods)).events]
    read = BodyDecoder()
    first = read(bodies[0])
    assert first == {"n": "x"}
    read(bodies[1])
    assert read(bodies[0]) is first
    for body in bodies * 2:
        assert read(body) == json.loads(bytes(body))
        assert len(read._known) <= 3
    large = read(bodies[4])
    assert read(bodies[4]) is large
    read.forget()
    assert not read._known
    assert read(bodies[4]) is not large
