"""An incident at work: what its alerts say so far, and what people decided about it."""

from dataclasses import dataclass, field

from tocsin.incidents.describe import story_of, title_of
from tocsin.incidents.severity import severity_of
from tocsin.incidents.summary import SHOWN_ACTORS, SHOWN_ENTITIES, Summary
from tocsin.model.alert import Alert
from tocsin.model.digest import digest
from tocsin.model.incident import STATES, Incident, IncidentEntry, State, Verdict

AUTHOR = "tocsin"
_ID_CHARS = 16


@dataclass(slots=True)
class Case:
    """One incident; `entries` are new lines for its log."""

    id: str
    cluster: str
    opened: float
    summary: Summary = field(default_factory=Summary)
    state: State = "open"
    verdict: Verdict | None = None
    owner: str | None = None
    pinned: bool = False
    entries: list[IncidentEntry] = field(default_factory=list)

    def note(self, now: float, what: str, text: str) -> None:
        """Add a line to the log."""
        self.entries.append(IncidentEntry(now, AUTHOR, what, text))

    def reopen(self, now: float, why: str) -> None:
        """Open a closed incident again; the verdict was on what was known then."""
        if self.state != "closed":
            return
        former = f" (the verdict was {self.verdict})" if self.verdict else ""
        self.state, self.verdict = "open", None
        self.note(now, "reopened", f"{why}{former}")


def new_case(first: Alert, now: float) -> Case:
    """Return the case that an alert opens; the same alert gives the same id."""
    case = Case(digest("incident", first.id)[:_ID_CHARS], first.cluster, now)
    case.note(now, "opened", first.rule.title)
    return case


def absorb(case: Case, other: Case, now: float) -> None:
    """Make the case one with another: what it tells, and what people decided."""
    case.summary.merge(other.summary)
    case.opened = min(case.opened, other.opened)
    if "closed" in (case.state, other.state) and case.state != other.state:
        closed = case if case.state == "closed" else other
        closed.reopen(now, "it turned out to be one with an incident that was not closed")
    case.state = min(case.state, other.state, key=STATES.index)
    case.verdict = case.verdict if case.verdict == other.verdict else None
    case.entries.extend(other.entries)
    case.owner = case.owner or other.owner
    case.pinned = case.pinned or other.pinned
    case.note(now, "merged", f"{other.id} is part of it: their alerts belong together")


def incident_of(case: Case, now: float) -> Incident:
    """Return the incident as it is shown."""
    summary = case.summary
    entities, steps, actors = summary.entities_seen(), summary.steps(), summary.actors_seen()
    return Incident(
        id=case.id,
        cluster=case.cluster,
        title=title_of(summary),
        story=story_of(summary),
        severity=severity_of(summary),
        state=case.state,
        verdict=case.verdict,
        owner=case.owner,
        first_seen=summary.first_seen,
        last_seen=summary.last_seen,
        opened=case.opened,
        updated=now,
        alert_counts=dict(summary.counts),
        actors=actors[:SHOWN_ACTORS],
        techniques=summary.techniques_seen(),
        entities=entities[:SHOWN_ENTITIES],
        steps=steps,
        pinned=case.pinned,
        actors_left_out=len(actors[SHOWN_ACTORS:]),
        entities_left_out=len(entities[SHOWN_ENTITIES:]),
        steps_left_out=summary.alerts - len(steps),
    )
