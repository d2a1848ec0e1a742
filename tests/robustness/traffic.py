"""Load for the whole system, a record of what was answered, and the check against a model.

Events are those of a recorded API server; each is made a request of its own by a new Audit-ID.
The first and the last event of a batch are marked, so that every batch must leave alerts.
"""

import http.client
import io
import random
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import msgspec
import zstandard

from tests.robustness.harness import CLUSTER, Tocsin
from tocsin.model.alert import Alert
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.rules import content_folder, load_rules

MARKED = b'"userAgent":"tocsin-test/marked"'
MAX_EVENTS = 400
_HEAD = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":['
_ID_LENGTH = 36

Event = dict[str, object]


def event_list(items: Iterable[bytes]) -> bytes:
    """Return a body as an API server posts it."""
    return _HEAD + b",".join(items) + b"]}\n"


@cache
def captured_bodies() -> list[bytes]:
    """Return the recorded bodies that ship with Tocsin."""
    path = content_folder() / "demo" / "seed-policy.jsonl.zst"
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())) as reader:
        return reader.read().splitlines()


@cache
def captured_events() -> list[Event]:
    """Return the recorded events."""
    return [event for body in captured_bodies() for event in msgspec.json.decode(body)["items"]]


class Traffic:
    """Makes batches that nobody made before; not to be shared between threads."""

    def __init__(self, name: str, seed: int) -> None:
        self._random = random.Random(f"{seed} {name}")
        self._name = f"{seed}-{name}".encode()
        self._made = 0
        self._templates = [_template(event) for event in captured_events()]
        self._marked = [template for template in self._templates if template[2]]

    def batch(self, size: int | None = None) -> bytes:
        """Return a batch of 1 to 400 events, small ones more often than large ones."""
        if size is None:
            size = int(MAX_EVENTS ** self._random.random())
        return event_list(self.event(marked=number in (0, size - 1)) for number in range(size))

    def event(self, *, marked: bool = False) -> bytes:
        """Return one event."""
        before, after, with_mark = self._random.choice(self._marked if marked else self._templates)
        self._made += 1
        number = b"%s-%d" % (self._name, self._made)
        return before + number.rjust(_ID_LENGTH, b"0") + (with_mark if marked else after)


def _template(event: Event) -> tuple[bytes, bytes, bytes]:
    """Return an event before and after its Audit-ID, and the latter with a mark if it can be."""
    raw = msgspec.json.encode(event)
    audit_id = b'"%s"' % str(event["auditID"]).encode()
    before, after = raw.split(audit_id, 1)
    agent = b'"userAgent":' + msgspec.json.encode(event.get("userAgent"))
    with_mark = after.replace(agent, MARKED, 1) if agent in after else b""
    return before + b'"', b'"' + after, with_mark and b'"' + with_mark


class Oracle:
    """Tells which alerts a body must give, by the same code without processes around it."""

    def __init__(self, rules: Path, *, builtin: bool = False) -> None:
        loaded = load_rules([rules], builtin=builtin)
        self._pipeline = Pipeline(loaded.rules, correlations=loaded.correlations)

    def alerts(self, bodies: Iterable[bytes]) -> dict[str, Alert]:
        """Return the alerts of some bodies by id."""
        found: dict[str, Alert] = {}
        for body in bodies:
            for alert in self._pipeline.process(body, CLUSTER).alerts:
                found.setdefault(alert.id, alert)
        return found


class History:
    """What was sent and what of it was answered 200."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.acked: set[int] = set()
        self.refused: set[int] = set()
        self._guard = threading.Lock()

    def send(self, body: bytes) -> int:
        """Note a body before it is sent, and return its number."""
        with self._guard:
            self.sent.append(body)
            return len(self.sent) - 1

    def answer(self, number: int, status: int) -> None:
        """Note an answer; other statuses than 200 and 503 must not come."""
        with self._guard:
            if status == http.HTTPStatus.OK:
                self.acked.add(number)
            elif status != http.HTTPStatus.SERVICE_UNAVAILABLE:
                self.refused.add(status)

    @property
    def acked_bodies(self) -> list[bytes]:
        """The bodies that were answered 200."""
        return [self.sent[number] for number in sorted(self.acked)]


class Load:
    """Threads that send as API servers do: again, after a pause, what was not answered 200."""

    def __init__(
        self, tocsin: Tocsin, history: History, seed: int, senders: int = 3, pause: float = 0.1
    ) -> None:
        self._tocsin = tocsin
        self._history = history
        self._pause = pause
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(Traffic(f"s{number}", seed),))
            for number in range(senders)
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop after the posts under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self, traffic: Traffic) -> None:
        chance = random.Random(traffic.event())
        sender = self._tocsin.sender()
        while not self._stopping.is_set():
            body = traffic.batch()
            number = self._history.send(body)
            # Some are given up at once, as by an API server that ends.
            tries = chance.choice((1, 1000, 1000, 1000))
            while tries and not self._stopping.is_set():
                tries -= 1
                with suppress(OSError, http.client.HTTPException):
                    self._history.answer(number, sender.post(body))
                if number in self._history.acked:
                    break
                self._stopping.wait(0.1)
            self._stopping.wait(chance.random() * self._pause)
        sender.close()


@contextmanager
def load(
    tocsin: Tocsin, history: History, seed: int, senders: int = 3, pause: float = 0.1
) -> Iterator[None]:
    """Send while the body of the `with` runs."""
    threads = Load(tocsin, history, seed, senders, pause)
    threads.start()
    try:
        yield
    finally:
        threads.stop()


def check(tocsin: Tocsin, history: History, oracle: Oracle) -> Mapping[str, Alert]:
    """Compare a drained Tocsin with the model; return the alerts that had to come.

    Every acknowledged batch was evaluated, nothing that was not sent gave an alert, and no
    alert is there twice.
    """
    must = oracle.alerts(history.acked_bodies)
    may = must | oracle.alerts(
        body for number, body in enumerate(history.sent) if number not in history.acked
    )
    everything = {alert.id: alert for alert in tocsin.alerts()}
    assert len(tocsin.alerts()) == len(everything)
    logged = tocsin.logged_ids()
    assert len(logged) == len(set(logged)), "an alert is in alerts.jsonl twice"
    assert set(logged) == everything.keys()
    # What Tocsin says about itself is no matter of the events' rules.
    stored = {name: alert for name, alert in everything.items() if alert.source == "audit"}
    assert must.keys() <= stored.keys(), "an acknowledged event was not evaluated"
    assert stored.keys() <= may.keys(), "an alert of nothing that was sent"
    assert all(alert == may[number] for number, alert in stored.items())
    assert not history.refused
    assert history.acked
    return must
