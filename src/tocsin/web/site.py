"""What pages need of the rest of Tocsin, passed in by `runtime`."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

from tocsin.model.events import EventLog
from tocsin.model.incident import IncidentStore
from tocsin.model.outbox import Outbox
from tocsin.model.people import PeopleStore
from tocsin.model.ports import (
    HealthFinding,
    HealthLog,
    SourceLog,
    SourceState,
    StoredAlert,
)
from tocsin.model.queries import AlertQueries
from tocsin.model.response import ResponseStore
from tocsin.model.silence import SilenceStore
from tocsin.rules.ir import Rule
from tocsin.web.responding import Responding, Switch
from tocsin.web.workbench import Workbench


class Alerts(AlertQueries, Protocol):
    """Stored alerts: single ones, lists and counts."""

    def alert(self, alert_id: str) -> StoredAlert | None:
        """Return the alert with this id, or None."""
        ...


class ProcessState(msgspec.Struct, frozen=True):
    """One of Tocsin's processes: whether it works, why not, and what it found."""

    ready: bool
    reason: str = ""
    findings: tuple[str, ...] = ()


class State(msgspec.Struct, frozen=True):
    """What the supervisor says of the processes; `samples` are metrics by name, summed up."""

    processes: Mapping[str, ProcessState] = {}
    samples: Mapping[str, float] = {}


class Disk(msgspec.Struct, frozen=True):
    """Where the data lies: bytes that are free, of how many, and for how many days they last.

    `days_left` is None while it cannot be told.
    """

    free: int
    total: int
    days_left: float | None = None


class SourceFault(msgspec.Struct, frozen=True):
    """One thing that is wrong in a rule file, and where."""

    place: str
    message: str
    level: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything that pages show and change.

    Functions may block: pages call them through `Context.read`, in a thread.

    Attributes:
        alerts: stored alerts.
        incidents: incidents, and what people decided about them.
        people: users, sessions, tokens and the log of what people did.
        health: findings about Tocsin itself.
        sources: what was heard of each API server.
        outbox: notifications that wait.
        events: the retained events.
        responses: what was done to clusters or waits for a person, and orders about it.
        silences: silences, and how much they and suppression have hidden.
        switch: the kill switch of all responses.
        source_state: what is wrong with a source in a few words, `ok` if nothing is.
        rules: the rules in force.
        rule_faults: what is wrong in the rule files.
        workbench: what pages about rules need besides.
        responding: how this Tocsin responds.
        state: what the processes say of themselves.
        disk: the disk that holds the data.
        quarantined: how much was set aside that is no proper audit event.
        warnings: sentences that stand on every page, such as that senders prove nothing.
        settings: values of the configuration that pages show, by name.
        public_url: what links in messages begin with; empty if not known.
        clock: the time, in seconds since the epoch.
    """

    alerts: Alerts
    incidents: IncidentStore
    people: PeopleStore
    health: HealthLog
    sources: SourceLog
    outbox: Outbox
    events: EventLog
    responses: ResponseStore
    silences: SilenceStore
    switch: Switch
    source_state: Callable[[SourceState, Iterable[HealthFinding]], str]
    rules: Callable[[], Sequence[Rule]] = tuple
    rule_faults: Callable[[], Sequence[SourceFault]] = tuple
    workbench: Workbench = field(default_factory=Workbench)
    responding: Responding = field(default_factory=Responding)
    state: Callable[[], State] = State
    disk: Callable[[], Disk] = lambda: Disk(0, 0)
    quarantined: Callable[[], int] = lambda: 0
    warnings: Sequence[str] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    public_url: str = ""
    clock: Callable[[], float] = time.time
