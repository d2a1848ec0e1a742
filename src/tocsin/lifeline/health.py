"""Health alerts: what is wrong with the line itself, told like any other alert.

A condition is what is wrong now. It begins an episode with one alert; the finding of the same
key stands as long as it does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from tocsin.attack.catalog import catalog
from tocsin.lifeline.outages import KEEP_SECONDS
from tocsin.model.alert import Actor, Alert, RuleRef, Severity, Target
from tocsin.model.digest import digest
from tocsin.model.ports import HealthFinding

KIND = "line"

SILENT = "tocsin-line-silent"
OUTAGE = "tocsin-line-outage"
GAP = "tocsin-line-gap"
DROPPED = "tocsin-line-dropped"
UNSENT = "tocsin-canary-unsent"
SKEW = "tocsin-clock-skew"
STALE = "tocsin-stale-batch"
EXPIRING = "tocsin-credential-expiring"
DISK = "tocsin-disk-low"
LOST = "tocsin-posts-lost"
CHANNEL = "tocsin-channel-dead"
STORE = "tocsin-store-damaged"
HEARD = "tocsin-line-heard"
FILLED = "tocsin-line-filled"

# A day before old outages are forgotten, an end is no longer taken for good news.
_NEWS_SECONDS = KEEP_SECONDS - 86400.0
_MUTED_LOGS = ("T1562.008",)


class _Rule(NamedTuple):
    title: str
    severity: Severity
    attack: tuple[str, ...] = ()


_RULES = {
    SILENT: _Rule("Nothing is heard from an API server any more", "high", _MUTED_LOGS),
    GAP: _Rule("Audit events are missing", "high", _MUTED_LOGS),
    DROPPED: _Rule("An API server gave audit events up", "high", _MUTED_LOGS),
    UNSENT: _Rule("The canary cannot be sent", "medium"),
    SKEW: _Rule("A clock is wrong", "medium"),
    STALE: _Rule("Old events were posted: a replay, or a wrong clock", "medium"),
    EXPIRING: _Rule("A credential expires soon", "medium"),
    DISK: _Rule("The disk is nearly full", "medium"),
    LOST: _Rule("Stored events cannot be read any more", "high"),
    CHANNEL: _Rule("A notification was given up", "medium"),
    STORE: _Rule("The store was damaged", "medium"),
    HEARD: _Rule("An API server is heard again", "info"),
    FILLED: _Rule("Missing audit events have arrived", "info"),
}
_RECOVERED = {SILENT: HEARD, GAP: FILLED}
_GOOD_NEWS = {HEARD: "is heard again", FILLED: "has sent the events that were missing"}
# Findings of other parts that somebody has to be told about.
_SERIOUS = {"spool": LOST, "notify": CHANNEL, "store": STORE}


@dataclass(frozen=True, slots=True)
class Condition:
    """Something wrong now. `key` begins with the rule; `alert` is whether to tell people."""

    key: str
    message: str
    cluster: str = ""
    node: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    alert: bool = True


def key_of(rule: str, cluster: str, node: str | None, detail: str = "") -> str:
    """Return the key of a condition, the same as long as it stands."""
    return " ".join(part for part in (rule, f"{cluster}/{node or '-'}", detail) if part)


def alert_of(condition: Condition, since: float) -> Alert:
    """Return the alert that begins an episode; the same episode gives the same id."""
    rule = condition.key.partition(" ")[0]
    fields = {"node": condition.node, **condition.fields}
    return _alert(rule, condition.key, condition.message, condition.cluster, since, fields)


def recovery_of(finding: HealthFinding, now: float) -> Alert | None:
    """Return the alert that tells the good end of an episode, if there is anything to tell."""
    rule, _, rest = finding.key.partition(" ")
    recovered = _RECOVERED.get(rule)
    if recovered is None or now - finding.since > _NEWS_SECONDS:
        return None
    place, _, detail = rest.partition(" ")
    cluster, _, node = place.partition("/")
    fields = {"node": None if node == "-" else node, "since": finding.since, "source": detail}
    message = f"{place.removesuffix('/-')} {_GOOD_NEWS[recovered]}"
    return _alert(recovered, finding.key, message, cluster, now, fields)


def alert_of_finding(finding: HealthFinding) -> Alert | None:
    """Return the alert of another part's finding, if it is serious."""
    rule = _SERIOUS.get(finding.kind)
    if rule is None:
        return None
    key = f"{rule} {finding.kind} {finding.key}"
    return _alert(rule, key, finding.message, "", finding.since, {"key": finding.key})


def _alert(
    rule: str, key: str, message: str, cluster: str, time: float, fields: Mapping[str, object]
) -> Alert:
    known = _RULES[rule]
    stamp = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Alert(
        id=digest("tocsin", rule, key, stamp),
        time=stamp,
        cluster=cluster,
        source="health",
        rule=RuleRef(
            id=rule,
            title=known.title,
            dialect="tocsin",
            severity=known.severity,
            level=known.severity,
            attack=tuple(catalog().technique(identifier) for identifier in known.attack),
            source="tocsin/lifeline/health.py",
        ),
        description=message,
        actor=Actor(),
        target=Target(),
        event=None,
        fields=dict(fields),
        first_seen=stamp,
        last_seen=stamp,
    )
