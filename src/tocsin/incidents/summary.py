"""What the alerts of an incident say together, kept small however many they are.

Two summaries can be merged into one, and the order in which alerts are added does not
matter. What there is no room for is left out by a fixed order and counted.
"""

from collections.abc import Iterable

import msgspec

from tocsin.incidents.entities import entities_of
from tocsin.incidents.phrases import phrase_of
from tocsin.model.alert import SEVERITIES, Alert, Severity, Technique
from tocsin.model.incident import Entity, Step
from tocsin.rules.template import shorten

SHOWN_ACTORS = 50
SHOWN_ENTITIES = 100
# More are kept than are shown, to tell how many are left out.
_KEPT_ACTORS = 200
_KEPT_ENTITIES = 500
_KEPT_KINDS = 40
_KEPT_MOMENTS = 5


class Moment(msgspec.Struct, frozen=True, order=True):
    """What of an alert is worth telling. `phrase` lacks the actor, where there is one to it."""

    time: str
    alert_id: str
    text: str
    phrase: str
    request: str
    actor: str = ""
    address: str = ""
    technique: str | None = None
    credential: str | None = None
    issued: str | None = None


class Kind(msgspec.Struct):
    """The alerts of one rule: how many, and the first of them."""

    severity: Severity
    rule: str
    title: str
    count: int = 0
    moments: list[Moment] = msgspec.field(default_factory=list)

    @property
    def order(self) -> tuple[int, str]:
        """The worst first; fixed, so that what is dropped never comes back."""
        return (-SEVERITIES.index(self.severity), self.rule)

    def add(self, moments: Iterable[Moment], count: int) -> None:
        """Take in further alerts of the rule."""
        self.moments = sorted({*self.moments, *moments})[:_KEPT_MOMENTS]
        self.count += count


class Use(msgspec.Struct, frozen=True, order=True):
    """When a technique was first used, and where it stands among those of its rule."""

    time: str
    place: int
    technique: Technique = msgspec.field(default_factory=lambda: Technique(""))


class Contact(msgspec.Struct, frozen=True):
    """When something was first touched."""

    time: str
    entity: Entity


class Summary(msgspec.Struct):
    """What is known of an incident's alerts. Facts are counted and shown as steps only."""

    counts: dict[Severity, int] = {}
    first_seen: str = ""
    last_seen: str = ""
    actors: dict[str, str] = {}
    techniques: dict[str, Use] = {}
    tactics: dict[str, Severity] = {}
    entities: dict[str, Contact] = {}
    kinds: list[Kind] = []

    @property
    def alerts(self) -> int:
        """How many alerts there are, with facts."""
        return sum(self.counts.values())

    def add(self, alert: Alert) -> None:
        """Take in an alert."""
        self._see(alert.time, alert.time)
        self._count(alert)
        if alert.actor.user:
            self._add_actors({alert.actor.user: alert.time})
        uses = {
            technique.technique: Use(alert.time, place, technique)
            for place, technique in enumerate(alert.rule.attack)
        }
        self._add_uses(uses)
        tactics = (tactic for technique in alert.rule.attack for tactic in technique.tactics)
        self._add_tactics(dict.fromkeys(tactics, alert.rule.severity))
        contacts = (Contact(alert.time, entity) for entity in entities_of(alert))
        self._add_contacts({_key(contact.entity): contact for contact in contacts})

    def add_fact(self, alert: Alert) -> None:
        """Take in a fact, which is context and no part of what happened."""
        self._count(alert)

    def forget_facts(self, count: int) -> None:
        """Do not count facts twice that two incidents had in common."""
        if count:
            self.counts["info"] = self.counts.get("info", 0) - count

    def merge(self, other: "Summary") -> None:
        """Take in all that another summary tells."""
        for severity, count in other.counts.items():
            self.counts[severity] = self.counts.get(severity, 0) + count
        self._see(other.first_seen, other.last_seen)
        self._add_actors(other.actors)
        self._add_uses(other.techniques)
        self._add_tactics(other.tactics)
        self._add_contacts(other.entities)
        for kind in other.kinds:
            self._add_kind(kind)

    def actors_seen(self) -> tuple[str, ...]:
        """Return the actors, the first one first."""
        return tuple(sorted(self.actors, key=lambda actor: (self.actors[actor], actor)))

    def techniques_seen(self) -> tuple[Technique, ...]:
        """Return the techniques in order of first use."""
        uses = sorted(self.techniques.values(), key=_use_order)
        return tuple(use.technique for use in uses)

    def entities_seen(self) -> tuple[Entity, ...]:
        """Return what was touched, in order of first contact."""
        contacts = sorted(self.entities.items(), key=lambda item: (item[1].time, item[0]))
        return tuple(contact.entity for _, contact in contacts)

    def steps(self) -> tuple[Step, ...]:
        """Return the timeline: the first alerts of each rule, oldest first."""
        found = ((moment, kind.severity) for kind in self.kinds for moment in kind.moments)
        return tuple(
            Step(moment.time, moment.alert_id, severity, moment.text, moment.technique)
            for moment, severity in sorted(found, key=lambda pair: (pair[0].time, pair[0].alert_id))
        )

    def _see(self, first: str, last: str) -> None:
        self.first_seen = min(first, self.first_seen or first)
        self.last_seen = max(last, self.last_seen)

    def _count(self, alert: Alert) -> None:
        severity = alert.rule.severity
        self.counts[severity] = self.counts.get(severity, 0) + 1
        rule = alert.rule
        kind = Kind(severity, f"{rule.dialect} {rule.id}", rule.title, 1, [_moment(alert)])
        self._add_kind(kind)

    def _add_kind(self, added: Kind) -> None:
        for kind in self.kinds:
            if kind.order == added.order:
                kind.add(added.moments, added.count)
                return
        copy = Kind(added.severity, added.rule, added.title, added.count, list(added.moments))
        self.kinds = sorted([*self.kinds, copy], key=lambda kind: kind.order)[:_KEPT_KINDS]

    def _add_actors(self, added: dict[str, str]) -> None:
        for actor, time in added.items():
            self.actors[actor] = min(time, self.actors.get(actor, time))
        if len(self.actors) > _KEPT_ACTORS:
            kept = self.actors_seen()[:_KEPT_ACTORS]
            self.actors = {actor: self.actors[actor] for actor in kept}

    def _add_uses(self, added: dict[str, Use]) -> None:
        for name, use in added.items():
            known = self.techniques.get(name, use)
            self.techniques[name] = min(known, use, key=_use_order)

    def _add_tactics(self, added: dict[str, Severity]) -> None:
        for tactic, severity in added.items():
            known = self.tactics.get(tactic, severity)
            self.tactics[tactic] = max(known, severity, key=SEVERITIES.index)

    def _add_contacts(self, added: dict[str, Contact]) -> None:
        for key, contact in added.items():
            known = self.entities.get(key, contact)
            self.entities[key] = min(known, contact, key=lambda either: either.time)
        if len(self.entities) > _KEPT_ENTITIES:
            order = sorted(self.entities, key=lambda key: (self.entities[key].time, key))
            self.entities = {key: self.entities[key] for key in order[:_KEPT_ENTITIES]}


def _use_order(use: Use) -> tuple[str, int, str]:
    return (use.time, use.place, use.technique.technique)


def _key(entity: Entity) -> str:
    return msgspec.json.encode((entity.kind, entity.namespace, entity.name)).decode()


def _moment(alert: Alert) -> Moment:
    issued = alert.fields.get("credential.issued")
    attack = alert.rule.attack
    return Moment(
        time=alert.time,
        alert_id=alert.id,
        text=shorten(alert.description),
        phrase=phrase_of(alert),
        request=alert.event.audit_id if alert.event else alert.id,
        actor=alert.actor.user or "",
        address=alert.actor.source_ips[0] if alert.actor.source_ips else "",
        technique=attack[0].technique if attack else None,
        credential=alert.actor.credential,
        issued=issued if isinstance(issued, str) else None,
    )
