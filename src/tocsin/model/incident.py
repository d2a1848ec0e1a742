"""The incident: alerts that belong together, as one story with a state of its own.

What an incident says about the alerts (title, story, severity, steps, ...) is derived from
them alone and changes as more come in; what people decided (state, verdict, owner, pinned)
is theirs and stays. Strings in it may be chosen by an attacker, like those of alerts.
"""

from datetime import datetime
from typing import Literal, Protocol, get_args

import msgspec

from tocsin.model.alert import Severity, Technique
from tocsin.model.ports import StoredAlert

State = Literal["open", "acknowledged", "contained", "closed"]
Verdict = Literal["true-positive", "false-positive", "benign"]

STATES: tuple[State, ...] = get_args(State)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


class Entity(msgspec.Struct, frozen=True):
    """Something the incident touched: `kind` is a resource in the singular, such as `pod`."""

    kind: str
    name: str
    namespace: str | None = None


class Step(msgspec.Struct, frozen=True):
    """One alert on the incident's timeline; `technique` is an ATT&CK id."""

    time: str
    alert_id: str
    severity: Severity
    text: str
    technique: str | None = None


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts that belong together, told as one.

    Attributes:
        id: stays the same for the life of the incident; a merged one is found by each of its ids.
        cluster: the cluster all of it happened in.
        title: one line.
        story: a few sentences in plain words.
        severity: how bad it is as a whole; it may be above that of each alert.
        state: how far people are with it.
        verdict: what people found it to be, None until they said so.
        owner: who looks after it.
        first_seen: time of the first alert, RFC 3339 in UTC with six digits.
        last_seen: time of the last alert, likewise.
        opened: when it was opened, in seconds since the epoch.
        updated: when anything of it last changed, likewise.
        alert_counts: alerts by severity; severities without alerts are left out.
        actors: the users who did it, the first one first.
        techniques: ATT&CK techniques in order of first use.
        entities: what it touched, in order of first contact.
        steps: the timeline, oldest first.
        pinned: kept, with its alerts, however old it gets.
        authenticated: False while any of it rests on events that nobody vouched for.
        actors_left_out: actors beyond those that are kept.
        entities_left_out: entities beyond those that are kept.
        steps_left_out: alerts that are not among the steps.
    """

    id: str
    cluster: str
    title: str
    story: str
    severity: Severity
    state: State
    verdict: Verdict | None = None
    owner: str | None = None
    first_seen: str
    last_seen: str
    opened: float
    updated: float
    alert_counts: dict[Severity, int]
    actors: tuple[str, ...] = ()
    techniques: tuple[Technique, ...] = ()
    entities: tuple[Entity, ...] = ()
    steps: tuple[Step, ...] = ()
    pinned: bool = False
    authenticated: bool = True
    actors_left_out: int = 0
    entities_left_out: int = 0
    steps_left_out: int = 0

    @property
    def alerts(self) -> int:
        """How many alerts belong to it."""
        return sum(self.alert_counts.values())


class IncidentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which incidents to show; what is None or empty does not restrict.

    `since` is inclusive and `until` exclusive; an incident matches when it was active at any
    time between them. `text` is a plain substring of title, story, actors and entities, in any
    case of ASCII letters.
    """

    since: datetime | None = None
    until: datetime | None = None
    states: tuple[State, ...] = ()
    min_severity: Severity = "info"
    cluster: str | None = None
    actor: str | None = None
    text: str | None = None


class IncidentEntry(msgspec.Struct, frozen=True):
    """A line of an incident's log.

    `time` is in seconds since the epoch, `who` is a person or `tocsin`, `what` is one of
    `opened merged reopened state verdict owner note pinned`, `text` says the rest.
    """

    time: float
    who: str
    what: str
    text: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a person changes of an incident; what is None stays. An empty `owner` is nobody."""

    state: State | None = None
    verdict: Verdict | None = None
    owner: str | None = None
    note: str | None = None
    pinned: bool | None = None


class IncidentStore(Protocol):
    """Incidents with their alerts, their logs and what people decided."""

    def incident(self, incident_id: str) -> Incident | None:
        """Return the incident; an id that was merged into another finds that one."""
        ...

    def incidents(
        self, where: IncidentFilter, limit: int, before: str | None = None
    ) -> list[Incident]:
        """Return matching incidents, newest activity first.

        `before` is the id of the last page's last one.
        """
        ...

    def worst(self, where: IncidentFilter, limit: int) -> list[Incident]:
        """Return the worst matching incidents, of equally bad ones the newest activity first."""
        ...

    def count(self, where: IncidentFilter) -> int:
        """Return how many incidents match."""
        ...

    def alerts_of(self, incident_id: str, limit: int, after: int = 0) -> list[StoredAlert]:
        """Return the incident's alerts that arrived after row number `after`, oldest first."""
        ...

    def incident_of(self, alert_id: str) -> str | None:
        """Return the id of the incident the alert belongs to, or None."""
        ...

    def log_of(self, incident_id: str) -> list[IncidentEntry]:
        """Return the incident's log, oldest first."""
        ...

    def change(self, incident_id: str, change: Change, who: str, now: float) -> Incident:
        """Apply what a person changed, log it, and return the incident as it is now.

        Raises:
            TocsinError: there is no such incident.
        """
        ...
