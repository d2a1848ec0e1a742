"""One message: what a channel is told, before it has any form."""

from dataclasses import dataclass
from typing import Literal

from tocsin.model.alert import Alert, Severity
from tocsin.model.incident import Incident
from tocsin.model.outbox import incident_of_key

# Why people are told: something new, more of it, worse than it was, still open, closed; or many
# things at once, because too much came or because the channel wants it so; or a test.
Reason = Literal["new", "more", "worse", "repeat", "closed", "storm", "digest", "test"]


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that is told: an incident, or alerts that belong to none.

    Attributes:
        key: the same for all that is ever told of it.
        title: one line.
        severity: how bad it is.
        alerts: how many alerts are told of with it now.
        incident: the incident, None for alerts that belong to none.
    """

    key: str
    title: str
    severity: Severity
    alerts: int
    incident: Incident | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What one message tells.

    Attributes:
        id: the same at every retry, so that receivers can drop repeats.
        reason: why it is told.
        subjects: what it tells of, the worst first; one, unless too much came at once.
        subjects_left_out: how many more there are.
        alerts: new alerts in full.
        keys: of which subject each of these alerts is, by its key.
        alerts_left_out: how many more there are.
        now: when it is sent, in seconds since the epoch.
    """

    id: str
    reason: Reason
    subjects: tuple[Subject, ...]
    alerts: tuple[Alert, ...]
    keys: tuple[str, ...]
    now: float
    subjects_left_out: int = 0
    alerts_left_out: int = 0

    @property
    def incident(self) -> Incident | None:
        """The incident, if the message tells of a single one."""
        return self.subjects[0].incident if self.is_single else None

    @property
    def is_single(self) -> bool:
        """Whether it tells of one thing only."""
        return len(self.subjects) + self.subjects_left_out == 1

    @property
    def severity(self) -> Severity:
        """How bad the worst of it is."""
        return self.subjects[0].severity

    @property
    def ended(self) -> bool:
        """Whether it tells the end of an incident."""
        return self.reason == "closed"

    @property
    def alerts_with_incidents(self) -> list[tuple[Alert, str | None]]:
        """The alerts, each with the id of its incident."""
        ids = map(incident_of_key, self.keys)
        return list(zip(self.alerts, ids, strict=True))
