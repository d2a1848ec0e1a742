"""Events that a log forwarder wrapped are judged as if nobody had."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import encoded, item
from tocsin.detect.identity import event_digest
from tocsin.normalize.decode import decode
from tocsin.normalize.unwrap import unwrap

EVENT = encoded(item(userAgent='quotes " and \\ and ä and \n'))
LINE = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",' + EVENT[1:]

WRAPPERS: dict[str, Callable[[bytes], object]] = {
    "Fluent Bit": lambda line: {"date": 1766400000.5, "log": line.decode()},
    "Fluent Bit with a line end": lambda line: {"log": line.decode() + "\n"},
    "Vector": lambda line: {
        "file": "/var/log/audit.log",
        "host": "cp-1",
        "message": line.decode(),
        "timestamp": "2026-11-23T10:45:16Z",
    },
    "parsed by a forwarder": lambda line: {"log": json.loads(line), "message": "x"},
    "flat key": lambda line: {"kubernetes.audit": json.loads(line)},
    "nested key": lambda line: {"kubernetes": {"audit": json.loads(line), "pod": {}}},
    "two forwarders": lambda line: {"message": json.dumps({"log": line.decode()})},
}
BODIES: dict[str, Callable[[bytes], bytes]] = {
    "alone": lambda record: record,
    "lines": lambda record: record + b"\n" + record + b"\n",
    "array": lambda record: b"[" + record + b"," + record + b"]",
    "beside events": lambda record: LINE + b"\n" + record + b"\n",
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("form", BODIES)
def test_wrapped_events_are_read_in_every_form(wrapper: str, form: str) -> None:
    record = json.dumps(WRAPPERS[wrapper](LINE)).encode()
    body = BODIES[form](record)
    batch = decode(body)
    assert len(batch.events) == (1 if form == "alone" else 2)
    assert not batch.rejects
    assert {event.audit_id for event in batch.events} == {item()["auditID"]}


def test_a_line_in_a_string_keeps_its_digest() -> None:
    for wrapper in ("Fluent Bit", "Fluent Bit with a line end", "Vector", "two forwarders"):
        batch = decode(json.dumps(WRAPPERS[wrapper](LINE)).encode())
        assert batch.raw(0) == LINE
        plain = decode(EVENT)
        assert event_digest("prod", batch.events[0], batch.raw(0)) == event_digest(
            "prod", plain.events[0], plain.raw(0)
        )


@pytest.mark.parametrize(
    "record",
    [
        b"{}",
        b"[7]",
        b"7",
        b"not json",
        b'{"log":"a line of some other program"}',
        b'{"log":7,"message":[1],"kubernetes":{"audit":null}}',
        b'{"log":"\xff{"}',
        b'{"kubernetes":7}',
    ],
)
def test_other_records_are_left_alone(record: bytes) -> None:
    assert unwrap(record) is None
    assert not decode(record).events
    assert len(decode(record).rejects) == 1


def test_an_event_is_never_taken_for_a_wrapper() -> None:
    """Else a broken event could show another one in its place."""
    for key in ("auditID", "verb"):
        broken = encoded({key: "x", "user": 7, "message": EVENT.decode()})
        assert unwrap(broken) is None


def test_a_wrapped_bad_event_costs_itself_and_says_why() -> None:
    bad = json.dumps({"log": encoded(item(sourceIPs=7)).decode()}).encode()
    batch = decode(bad + b"\n" + LINE)
    assert len(batch.events) == 2
    (reject,) = batch.rejects
    assert "sourceIPs" in reject.reason


@pytest.mark.parametrize("damage", ["\\ud800", "\xff"])
def test_what_is_no_character_does_not_hide_a_wrapped_event(damage: str) -> None:
    record = json.dumps({"log": EVENT.decode().replace("quotes", "@")}).encode()
    batch = decode(record.replace(b"@", damage.encode("latin-1")))
    assert len(batch.events) == 1
    assert "\ufffd" in (batch.events[0].user_agent or "")


def test_nesting_is_followed_a_few_levels_only() -> None:
    record = LINE
    for _ in range(4):
        record = encoded({"log": record.decode()})
    assert unwrap(record) == LINE
    assert decode(encoded({"log": record.decode()})).events == []
    deep = b'{"log":' * 100_000 + b"1" + b"}" * 100_000
    assert unwrap(deep) is None


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(["log", "message", "kubernetes", "kubernetes.audit", "audit", "x"]),
                inner,
            )
            | inner.map(json.dumps)
        ),
        max_leaves=10,
    )
)
def test_any_record_is_one_event_or_one_reject(record: object) -> None:
    batch = decode(json.dumps({"record": record, "log": record}).encode())
    assert len(batch.events) + len(batch.rejects) == 1
