import json
from collections.abc import Iterable

import pytest

from tocsin.dialects.wazuh.compare import Difference, Key, Said, compare, read_alert

A, B, C = ("a", "ResponseComplete"), ("b", "ResponseComplete"), ("c", "RequestReceived")
RULES = frozenset({"1", "2"})


def event(key: Key) -> dict[str, object]:
    return {"auditID": key[0], "stage": key[1], "verb": "get"}


def line(rule: str, log: object, level: int = 3, description: str = "d", **more: object) -> bytes:
    told = {"id": rule, "level": level, "description": description}
    return json.dumps({"rule": told, "full_log": json.dumps(log), **more}).encode() + b"\n"


def differences(there: Iterable[bytes], here: dict[tuple[str, Key], Said]) -> list[Difference]:
    return compare(there, here, RULES).differences


def test_the_same_and_each_kind_of_difference() -> None:
    there = [
        line("1", event(A)),
        line("1", event(B), level=4),
        line("1", event(C), description="other"),
        line("2", event(A)),
    ]
    said = Said(3, "d")
    here = {("1", A): said, ("1", B): said, ("1", C): said, ("2", B): said}
    found = compare(there, here, RULES)
    assert found.same == {"1": 1}
    assert [(one.rule, one.key, one.kind) for one in found.differences] == [
        ("1", B, "level"),
        ("1", C, "description"),
        ("2", A, "only-there"),
        ("2", B, "only-here"),
    ]


def test_an_alert_on_a_whole_list_is_one_on_the_item_that_we_found() -> None:
    whole = {"kind": "EventList", "items": [event(A), event(B)]}
    assert differences([line("1", whole)], {("1", B): Said(3, "d")}) == []
    (found,) = differences([line("1", whole)], {})
    assert found.key == A


def test_a_log_that_was_cut() -> None:
    log = json.dumps(event(A))[:-4]
    alert = json.dumps({"rule": {"id": "1", "level": 3, "description": "d"}, "full_log": log})
    assert differences([alert.encode()], {("1", A): Said(3, "d")}) == []


def test_an_alert_without_full_log_is_known_by_its_data() -> None:
    alert = {"rule": {"id": "1", "level": 3, "description": "d"}, "data": event(A)}
    assert differences([json.dumps(alert).encode()], {("1", A): Said(3, "d")}) == []


def test_an_event_that_was_sent_twice_counts_once() -> None:
    assert compare([line("1", event(A))] * 2, {("1", A): Said(3, "d")}, RULES).same == {"1": 1}


def test_what_is_left_aside_is_counted() -> None:
    lines = [line("5710", event(A)), line("1", "sshd: x"), b"{broken\n", b"\xff\n", b"\n"]
    found = compare(lines, {}, RULES)
    assert (found.other_rules, found.other_logs, found.unreadable) == ({"5710": 1}, 1, 2)
    assert found.differences == []


@pytest.mark.parametrize(
    "log", ["[" * 100_000, '{"items": [1, null]}', '{"auditID": 5}', '{"auditID":', "[]", "null"]
)
def test_hostile_logs_are_no_events(log: str) -> None:
    alert = json.dumps({"rule": {"id": "1"}, "full_log": log}).encode()
    told = read_alert(alert)
    assert told is not None
    assert told.keys == ()
