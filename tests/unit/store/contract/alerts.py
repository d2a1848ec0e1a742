"""Alerts of many kinds, and the plain meaning of a filter to compare stores with."""

import random
from datetime import UTC, datetime, timedelta

import msgspec

from tests.unit.store.samples import make_alert
from tocsin.model.alert import SEVERITIES, Actor, Alert, RuleRef, Target, Technique
from tocsin.model.ports import AlertFilter

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def varied(number: int, seed: int = 0) -> list[Alert]:
    """Return alerts over three hours, of few rules, users, namespaces and clusters."""
    chance = random.Random(seed)
    return [one(number, chance) for number in range(number)]


def one(number: int, chance: random.Random) -> Alert:
    time = stamp(START + timedelta(milliseconds=chance.randrange(3 * 3_600_000)))
    rule = chance.randrange(4)
    user = chance.choice(["alice", "bob", "system:node:n1", None])
    attack = [Technique("T1611")] if rule == 1 else [Technique("T1552.007"), Technique("T1613")]
    return make_alert(
        f"a{number}",
        time=time,
        first_seen=time,
        last_seen=time,
        cluster=chance.choice(["prod", "test"]),
        description=f"{user} did {chance.choice(['this', 'THAT', 'ümlaut', 'a'])}",
        rule=RuleRef(
            f"rule-{rule}",
            "title",
            "sigma",
            chance.choice(SEVERITIES),
            "x",
            attack=tuple(attack) if rule else (),
        ),
        actor=Actor(user),
        target=Target("create", "", "pods", None, chance.choice(["shop", "kube-system", None])),
    )


def matches(alert: Alert, where: AlertFilter) -> bool:
    if where.since and alert.time < stamp(where.since):
        return False
    if where.until and alert.time >= stamp(where.until):
        return False
    if SEVERITIES.index(alert.rule.severity) < SEVERITIES.index(where.min_severity):
        return False
    pairs = [
        (where.cluster, alert.cluster),
        (where.rule_id, alert.rule.id),
        (where.user, alert.actor.user),
        (where.namespace, alert.target.namespace),
    ]
    if any(wanted is not None and wanted != found for wanted, found in pairs):
        return False
    if where.technique is not None and not any(
        found.technique == where.technique or found.technique.startswith(f"{where.technique}.")
        for found in alert.rule.attack
    ):
        return False
    return not where.text or _folded(where.text) in _folded(alert)


def _folded(value: str | Alert) -> str:
    text = msgspec.json.encode(value).decode()
    inner = text[1:-1] if isinstance(value, str) else text
    return "".join(c.lower() if c.isascii() else c for c in inner)
