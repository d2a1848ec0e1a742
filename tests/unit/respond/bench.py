"""A responder over a fake cluster, with a real journal and a real store."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tests.unit.respond.fakecluster import FakeApi, FakeCluster
from tests.unit.store.samples import make_alert
from tocsin.model.alert import Alert, EventRef, Target
from tocsin.model.response import ObjectRef, Order, OrderKind, Response
from tocsin.respond.actions.registry import ACTIONS
from tocsin.respond.chain import journal_key
from tocsin.respond.guard import policy_of
from tocsin.respond.journal import Journal
from tocsin.respond.marks import Marks, marks_key
from tocsin.respond.means import EvidenceError, Means
from tocsin.respond.record import Record
from tocsin.respond.responder import Responder
from tocsin.respond.settings import RespondSettings
from tocsin.respond.switch import stopped
from tocsin.store.sqlite import SqliteStore, own_store

KEY = bytes(range(32))
RULE = "5c1b"


def settings(
    mode: str = "auto", actions: Sequence[object] = ("delete_pod",), **more: Any
) -> RespondSettings:
    """Return settings with one response to the rule of sample alerts."""
    rule = {"name": "privileged", "when": {"rules": [RULE]}, "actions": list(actions), "mode": mode}
    rule |= more.pop("rule", {})
    return msgspec.convert({"responses": [rule], **more}, RespondSettings)


def pod(name: str = "web", namespace: str = "shop", uid: str | None = None) -> ObjectRef:
    """Return a pod."""
    return ObjectRef(resource="pods", namespace=namespace, name=name, uid=uid)


class Bench:
    """A responder that can be ended and begun again; its journal and store stay."""

    def __init__(self, folder: Path, given: RespondSettings, api: FakeApi | None = None) -> None:
        self.api = api or FakeApi()
        self.open(folder, given, FakeCluster(self.api))

    def open(self, folder: Path, given: RespondSettings, cluster: Any) -> None:
        """Begin over the files of a folder."""
        self.folder = folder
        self.settings = given
        self.cluster = cluster
        self.now = time.time()
        self.holds: bool | None = True
        self.snapshots: list[str] = []
        self.no_evidence = ""
        self.told: list[Alert] = []
        self.store: SqliteStore = own_store(folder / "tocsin.db", {}, self.now)
        self.begin()

    def begin(self) -> None:
        """Start the responder as after a crash."""
        self.journal = Journal(self.folder / "journal.jsonl", journal_key(KEY))
        self.record = Record(self.journal, self.store.responses)
        self.responder = Responder(
            self.means(),
            self.record,
            self.store.responses,
            self.store,
            self.settings.responses,
            self.told.extend,
        )
        self.responder.start()

    def crash(self) -> None:
        """Forget all that is not on the disk, and start again."""
        self.journal.close()
        self.begin()

    def close(self) -> None:
        """Close what is open."""
        self.journal.close()
        self.store.close()

    def means(self) -> Means:
        """Return what the responder works with."""
        return Means(
            clusters={"prod": self.cluster},
            actions=ACTIONS,
            marks=partial(Marks, marks_key(KEY)),
            policy=lambda name: policy_of(
                self.settings, next((r for r in self.settings.responses if r.name == name), None)
            ),
            stopped=self._stopped,
            holds=lambda alert, cluster: self.holds,
            snapshot=self._snapshot,
            evidence_required=self.settings.evidence == "required",
            approval_seconds=self.settings.approval.valid_seconds,
            clock=lambda: self.now,
        )

    def _stopped(self) -> str | None:
        stop = stopped(self.folder)
        return f"all responses were stopped by {stop.who}" if stop else None

    def _snapshot(self, plan: Any, prepared: Any, cluster: Any) -> dict[str, object]:
        del prepared, cluster
        if self.no_evidence:
            raise EvidenceError(self.no_evidence)
        self.snapshots.append(plan.id)
        return {"file": plan.id}

    def alert(
        self, name: str = "web", uid: str | None = None, hidden_by: str = "", **changes: Any
    ) -> Alert:
        """Record an alert about a pod's creation, a moment ago."""
        moment = _stamp(self.now - 1)
        live = self.api.get(pod(name).path)
        uid = uid or (live["metadata"]["uid"] if live else None)
        number = changes.pop("number", f"alert-{name}")
        alert = make_alert(
            number,
            time=moment,
            target=Target("create", "", "pods", None, "shop", name, uid),
            event=EventRef(f"id-{name}", "ResponseComplete", "RequestResponse", "/api/v1/x", 201),
        )
        alert = msgspec.structs.replace(alert, **changes)
        hidden = {alert.id: hidden_by} if hidden_by else {}
        self.store.record([alert], {}, self.now, hidden=hidden)
        return alert

    def order(self, kind: OrderKind, response: Response, who: str = "erin", **more: Any) -> None:
        """Ask for something as a person does."""
        given = {"digest": response.digest} | more
        self.store.responses.order(
            Order(kind=kind, response=response.plan.id, who=who, time=self.now, **given)
        )

    def run(self, ticks: int = 1) -> list[Response]:
        """Run some ticks; return all responses in the order of their beginning."""
        for _ in range(ticks):
            self.responder.tick()
        return self.responses

    def until(self, done: Callable[[], object], ticks: int = 50, step: float = 1.0) -> None:
        """Run, with the time going on, until something holds."""
        for _ in range(ticks):
            if done():
                return
            self.responder.tick()
            self.now += step
        message = f"it did not come: {[(one.state, one.text) for one in self.responses]}"
        raise AssertionError(message)

    @property
    def responses(self) -> list[Response]:
        """All responses."""
        return list(self.record.ledger.responses.values())

    def states(self, response: Response) -> list[str]:
        """Return the states that a response was in."""
        return [entry.state for entry in self.record_entries(response) if entry.state]

    def record_entries(self, response: Response) -> list[Any]:
        """Return the journal's lines of a response."""
        return [entry for entry in self.journal.entries() if entry.response == response.plan.id]

    @property
    def marks(self) -> Marks:
        """What tells our own requests."""
        return Marks(marks_key(KEY), "prod")


def _stamp(moment: float) -> str:
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
    return f"{text}.{int(moment % 1 * 1e6):06d}Z"
