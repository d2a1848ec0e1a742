"""What one channel is told next: reads what waits, and makes messages of it."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from tocsin.model.alert import SEVERITIES, Alert, Severity
from tocsin.model.digest import digest
from tocsin.model.incident import Incident
from tocsin.model.outbox import Outbox, Taken, Told, Topic, Waiting, incident_key
from tocsin.model.ports import StoredAlert
from tocsin.notify.base import ChannelSettings, NotifierInfo
from tocsin.notify.message import Message, Reason, Subject
from tocsin.notify.timing import Choice, Room, choose, due_at, is_rise

AT_ONCE = 4
# People are shown a few alerts; machines get all of them, so many in one message.
SHOWN_ALERTS = 10
WHOLE_ALERTS = 500
SHOWN_SUBJECTS = 20
_MINUTE = 60.0


class Incidents(Protocol):
    """What planning asks of the store of incidents."""

    def incident(self, incident_id: str) -> Incident | None:
        """Return the incident; an id that was merged into another finds that one."""
        ...

    def alerts_of(self, incident_id: str, limit: int, after: int = 0) -> list[StoredAlert]:
        """Return the incident's alerts that arrived after row number `after`, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Planned:
    """A message, the rows of the queue that it settles, and what the channel knows after it."""

    message: Message
    taken: Taken
    told: Mapping[str, Told]


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """What a channel is, as far as planning asks."""

    name: str
    info: NotifierInfo
    settings: ChannelSettings


class Planner:
    """Plans the messages of one channel."""

    def __init__(self, channel: ChannelFacts, outbox: Outbox, incidents: Incidents) -> None:
        self._name = channel.name
        self._whole = channel.info.whole
        self._retells = channel.info.retells
        self._settings = channel.settings
        self._outbox = outbox
        self._incidents = incidents
        self._sent_at: deque[float] = deque()
        self._seen: Waiting | None = None
        self._next_due = 0.0

    def plan(self, now: float) -> list[Planned]:
        """Return the messages to send now; a few at most.

        Raises:
            StoreUnavailable: the queue cannot be read or written now.
        """
        while self._sent_at and self._sent_at[0] <= now - _MINUTE:
            self._sent_at.popleft()
        room = self._settings.max_per_minute - len(self._sent_at)
        if room <= 0:
            return []
        choices = self._choices(now, room)
        planned = [
            self._together(choice.topics, choice.together, now)
            if choice.together
            else self._alone(choice.topics[0], now)
            for choice in choices
        ]
        found = [one for one in planned if one is not None]
        self._sent_at.extend([now] * len(found))
        return found

    def _choices(self, now: float, room: int) -> list[Choice]:
        """Return what to tell now; what waits is only looked at when anything can be due."""
        waiting = self._outbox.waiting(self._name)
        if waiting == self._seen and not waiting.unsorted and now < self._next_due:
            return []
        topics = self._outbox.topics(self._name, now)
        choices = choose(topics, self._settings, now, Room(room, AT_ONCE, self._whole))
        self._seen = waiting
        due = (due_at(topic, self._settings) for topic in topics)
        self._next_due = now if choices else min(due, default=math.inf)
        return choices

    def _take(self, keys: Sequence[str], now: float) -> Taken:
        limit = WHOLE_ALERTS if self._whole else SHOWN_ALERTS
        return self._outbox.take(self._name, keys, limit, now, whole=self._whole)

    def _alone(self, waiting: Topic, now: float) -> Planned | None:
        """Return the message about one topic; None when there is nothing to tell any more."""
        incident = self._incident(waiting)
        if incident is not None and incident.id != waiting.incident and waiting.alerts:
            self._outbox.rename(self._name, waiting.key, incident_key(incident.id))
            return None
        taken = self._take([waiting.key], now)
        if not taken.rows:
            return None
        topic = still_true(waiting, incident)
        if not topic.news or not (incident or taken.alerts):
            self._outbox.sent(self._name, taken.rows, {})
            return None
        count = taken.counts[topic.key]
        reason = reason_of(topic, incident)
        alerts = taken.alerts
        if incident is not None and self._retells and (reason == "closed" or not alerts):
            known = self._incidents.alerts_of(incident.id, WHOLE_ALERTS)
            alerts = tuple(stored.alert for stored in known)
        message = Message(
            id=self._message_id(taken),
            reason=reason,
            subjects=(subject_of(topic, incident, alerts, count),),
            alerts=alerts,
            keys=(topic.key,) * len(alerts),
            alerts_left_out=count - len(taken.alerts),
            now=now,
        )
        # What does not fit into this message follows at once.
        at = 0.0 if topic.alerts > count else now
        told = told_after(topic, incident, at)
        return Planned(message, taken, {topic.key: told})

    def _together(self, topics: Sequence[Topic], reason: Reason, now: float) -> Planned | None:
        """Return the message about many topics at once."""
        taken = self._take([topic.key for topic in topics], now)
        covered = [topic for topic in topics if topic.key in taken.counts]
        if not covered:
            return None
        shown = covered if self._whole else covered[:SHOWN_SUBJECTS]
        message = Message(
            id=self._message_id(taken),
            reason=reason,
            subjects=tuple(self._subject(topic, taken.counts[topic.key], now) for topic in shown),
            subjects_left_out=len(covered) - len(shown),
            alerts=taken.alerts,
            keys=taken.keys,
            alerts_left_out=sum(taken.counts.values()) - len(taken.alerts),
            now=now,
        )
        told = {topic.key: told_after(topic, None, now) for topic in covered}
        return Planned(message, taken, told)

    def _subject(self, topic: Topic, count: int, now: float) -> Subject:
        incident = self._incident(topic)
        if incident is not None:
            return subject_of(topic, incident, (), count)
        one = self._outbox.take(self._name, [topic.key], 1, now, whole=False)
        return subject_of(topic, None, one.alerts, count)

    def _incident(self, topic: Topic) -> Incident | None:
        return self._incidents.incident(topic.incident) if topic.incident else None

    def _message_id(self, taken: Taken) -> str:
        rows = taken.rows
        return f"{self._name}-{digest(str(min(rows)), str(max(rows)), str(len(rows)))}"


def still_true(topic: Topic, incident: Incident | None) -> Topic:
    """Return the topic without the news that have become untrue while they waited."""
    news = set(topic.news)
    if incident is None:
        news &= {"alert"}
    else:
        if incident.state != "closed" and incident.id == topic.incident:
            news.discard("closed")
        if incident.state != "open":
            news.discard("repeat")
        if topic.told and not _is_above(incident.severity, topic.told.severity):
            news.discard("worse")
    return msgspec.structs.replace(topic, news=frozenset(news))


def is_ended(topic: Topic, incident: Incident | None) -> bool:
    """Return whether the topic's incident is closed, or has become part of another."""
    if incident is None:
        return "closed" in topic.news
    return incident.state == "closed" or incident.id != topic.incident


def reason_of(topic: Topic, incident: Incident | None) -> Reason:
    """Return why the topic is told."""
    if is_ended(topic, incident):
        return "closed"
    if topic.told is None:
        return "new"
    if is_rise(topic):
        return "worse"
    return "more" if topic.alerts else "repeat"


def subject_of(
    topic: Topic, incident: Incident | None, alerts: Sequence[Alert], count: int
) -> Subject:
    """Return what a message tells of a topic, by its incident or else by one of its alerts."""
    if incident is not None:
        return Subject(topic.key, incident.title, incident.severity, count, incident)
    title = alerts[0].rule.title if alerts else topic.key
    return Subject(topic.key, title, topic.severity, count)


def told_after(topic: Topic, incident: Incident | None, at: float) -> Told:
    """Return what a channel knows of a topic once it was told."""
    severities = [topic.severity]
    techniques = set(topic.techniques)
    if topic.told is not None:
        severities.append(topic.told.severity)
        techniques |= topic.told.techniques
    if incident is not None:
        severities.append(incident.severity)
        techniques.update(one.technique for one in incident.techniques)
    closed = is_ended(topic, incident)
    return Told(at, max(severities, key=SEVERITIES.index), frozenset(techniques), closed)


def _is_above(one: Severity, other: Severity) -> bool:
    return SEVERITIES.index(one) > SEVERITIES.index(other)
