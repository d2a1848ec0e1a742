"""Bars S1 and S6 on the whole system: hostile bodies cost their own event and nothing else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.robustness.harness import Tocsin, running
from tests.robustness.traffic import MARKED, Oracle, Traffic, event_list

MB = 1_000_000
MIB = 1024 * 1024
EVENTS = "tocsin_detect_events_total"
QUARANTINED = "tocsin_detect_quarantined_total"

_POD = (
    b'{"auditID":"poison","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/pods",'
    b'"verb":"create","user":{"username":"mallory"},"responseStatus":{"code":201},'
    b'"objectRef":{"resource":"pods","namespace":"a","name":"p"},"requestObject":%s,'
    + MARKED
    + b"}"
)
_DEEP = b"[" * 100_000 + b"]" * 100_000

# The bad event of a batch, how many of the batch's 400 are evaluated, and why it is set aside.
# An event of which a field is wrong is set aside and judged by its other fields all the same.
POISON: dict[str, tuple[bytes, int, str]] = {
    "wrong type": (_POD.replace(b'{"username":"mallory"}', b"7") % b"{}", 400, "Expected `object"),
    "no auditID": (_POD.replace(b'"auditID":"poison",', b"") % b"{}", 400, "auditID"),
    "not an object": (b"17", 399, "Expected `object`"),
    "another kind": (b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p"}}', 399, "auditID"),
    "NaN": (_POD % b'{"a":NaN}', 399, "JSON is malformed"),
    "infinity": (_POD % b'{"a":-Infinity}', 399, "JSON is malformed"),
    "invalid UTF-8": (_POD % b'{"a":"\xff"}', 400, "not valid UTF-8"),
    "overlong UTF-8": (_POD % b'{"a":"\xc0\xaf"}', 400, "not valid UTF-8"),
    "lone surrogate": (_POD % b'{"a":"\\ud800"}', 400, "JSON is malformed"),
    "deep arrays": (_POD % _DEEP, 400, "nested too deeply"),
    "deep objects": (_POD % (b'{"a":' * 100_000 + b"1" + b"}" * 100_000), 400, "nested too deeply"),
    "a million digits": (_POD % (b'{"spec":%s}' % (b"1" * 1_000_000)), 400, "body cannot be read"),
    "a million digits of code": (
        _POD.replace(b"201", b"1" * 1_000_000) % b"{}",
        400,
        "",
    ),
    "bad escape": (_POD % b'{"a":"\\q"}', 399, "JSON is malformed"),
}
# What is unusual, but fine.
HARMLESS = {
    "NUL": _POD % b'{"a":"\\u0000"}',
    "duplicate keys": _POD.replace(b'"verb"', b'"verb":"get","verb"') % b"{}",
    "1e999": _POD % b'{"spec":{"a":1e999}}',
    "unknown members": _POD.replace(b'"verb"', b'"__class__":{"a":[1]},"verb"') % b"{}",
}
# Bodies in which there is nothing to be saved.
GARBAGE = (
    b"",
    b"null",
    b"7",
    b"[",
    b"not JSON",
    b"\x00" * 100,
    b"{}",
    b'{"items":{}}',
    b"\xff\xfe",
)


@pytest.fixture(scope="module")
def tocsin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tocsin]:
    """Run a Tocsin with the rules that ship, which read the bodies of events."""
    with running(tmp_path_factory.mktemp("poison") / "tocsin", {"builtin_rules": True}) as tocsin:
        tocsin.post(b"")
        yield tocsin
        assert not tocsin.exits()
        assert "Traceback" not in tocsin.log.read_text()


class Counted:
    """What a Tocsin counted since this was made."""

    def __init__(self, tocsin: Tocsin) -> None:
        tocsin.drain()
        self._tocsin = tocsin
        self._posts = tocsin.committed
        tocsin.wait_for(self._is_settled, "the counters do not come")
        self._before = tocsin.metrics()
        self._records = len(tocsin.quarantined())

    def _is_settled(self) -> bool:
        return self._tocsin.metrics()["tocsin_detect_posts_total"] == self._tocsin.committed

    def rejects(self) -> float:
        """Wait until everything is evaluated, and return how much was set aside."""
        self._tocsin.drain()
        self._tocsin.wait_for(self._is_settled, "the counters do not come")
        return self._tocsin.metrics()[QUARANTINED] - self._before[QUARANTINED]

    def settle(self, events: int, rejects: int) -> list[str]:
        """Wait until everything is evaluated; compare, and return the reasons."""
        assert self.rejects() == rejects
        now = self._tocsin.metrics()
        assert now[EVENTS] - self._before[EVENTS] == events
        reasons = [reason for reason, _ in self._tocsin.quarantined()[self._records :]]
        assert len(reasons) == rejects
        return reasons


@pytest.mark.robustness
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", POISON)
def test_s1_one_bad_event_in_400(tocsin: Tocsin, kind: str) -> None:
    poison, evaluated, reason = POISON[kind]
    traffic = Traffic(f"s1-{kind.replace(' ', '-')}"[:24], 1)
    good = [traffic.event(marked=True) for _ in range(399)]
    counted = Counted(tocsin)
    assert tocsin.post(event_list([*good[:200], poison, *good[200:]])) == 200
    [found] = counted.settle(evaluated, 1)
    assert reason in found
    assert tocsin.quarantined()[-1][1] == poison[:MIB]
    expected = Oracle(tocsin.rules).alerts([event_list(good)])
    assert len(expected) >= 399
    assert expected.keys() <= {alert.id for alert in tocsin.alerts()}
    assert any(finding.kind == "quarantine" for finding in tocsin.findings())


@pytest.mark.robustness
@pytest.mark.timeout(60)
def test_s1_what_is_unusual_is_evaluated(tocsin: Tocsin) -> None:
    counted = Counted(tocsin)
    assert tocsin.post(event_list(HARMLESS.values())) == 200
    assert tocsin.post(b"\xef\xbb\xbf" + event_list([_POD % b"{}"])) == 200
    assert counted.settle(len(HARMLESS) + 1, 0) == []


@pytest.mark.robustness
@pytest.mark.timeout(60)
def test_s1_garbage_is_taken_and_set_aside(tocsin: Tocsin) -> None:
    counted = Counted(tocsin)
    for body in GARBAGE:
        assert tocsin.post(body) == 200
    reasons = counted.settle(0, len(GARBAGE))
    assert all(reasons)


@contextmanager
def watched_memory(tocsin: Tocsin, growth: int) -> Iterator[None]:
    """Fail if one of the processes grows by more meanwhile."""
    processes = tocsin.processes()
    before = [process.memory_info().rss for process in processes]
    peaks = list(before)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            for number, process in enumerate(processes):
                peaks[number] = max(peaks[number], process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    grown = [peak - first for peak, first in zip(peaks, before, strict=True)]
    print("growth in MiB:", [round(size / MIB, 1) for size in grown])
    assert max(grown) <= growth
    assert all(process.is_running() for process in processes)


def big_body(size: int) -> tuple[list[bytes], int]:
    """Return the pieces of a valid body of about `size` bytes, and the number of its events."""
    traffic, pieces, length, events = Traffic("s6", 6), list[bytes](), 0, 0
    while length < size:
        items = [traffic.event(marked=number == 0) for number in range(400)]
        pieces.append(b",".join(items))
        length += len(pieces[-1])
        events += len(items)
    head, tail = event_list([b"\0"]).split(b"\0")
    return [head + pieces[0], *(b"," + piece for piece in pieces[1:]), tail], events


@pytest.mark.robustness
@pytest.mark.timeout(240)
def test_s6_a_valid_body_of_100_mb_is_evaluated(tocsin: Tocsin) -> None:
    pieces, events = big_body(100 * MB)
    counted = Counted(tocsin)
    with watched_memory(tocsin, 64 * MIB):
        assert tocsin.post(pieces, length=sum(map(len, pieces))) == 200
        tocsin.wait_for(lambda: tocsin.evaluated >= tocsin.committed, "not evaluated", 180)
    counted.settle(events, 0)
    expected = Oracle(tocsin.rules).alerts([event_list([b"".join(pieces[:1]).split(b"[", 1)[1]])])
    assert expected.keys() <= {alert.id for alert in tocsin.alerts()}


# Taking a body apart byte by byte is slow, hence the size of the last two.
RUBBISH = {
    "one string of 100 MB": [b'"', *([b"x" * MB] * 100), b'"]}'],
    "a million empty events": [b"{}," * 1_000_000, b"{}]}"],
    "three million brackets": [b"[" * 3 * MB],
}


@pytest.mark.robustness
@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", RUBBISH)
def test_s6_rubbish_is_set_aside_in_bounded_memory(tocsin: Tocsin, kind: str) -> None:
    head = event_list([b"\0"]).split(b"\0", maxsplit=1)[0]
    pieces = [head, *RUBBISH[kind]]
    counted = Counted(tocsin)
    with watched_memory(tocsin, 64 * MIB):
        assert tocsin.post(pieces, length=sum(map(len, pieces))) == 200
        tocsin.wait_for(lambda: tocsin.evaluated >= tocsin.committed, "not evaluated", 180)
    assert counted.rejects() > 0
