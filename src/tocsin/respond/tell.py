"""Alerts about responses themselves: what people have to know, or to decide."""

from datetime import UTC, datetime

from tocsin.attack.catalog import catalog
from tocsin.model.alert import Actor, Alert, RuleRef, Severity, Target
from tocsin.model.digest import digest
from tocsin.model.response import ObjectRef, Proof, Response

STORM = "tocsin-response-storm"
UNKNOWN = "tocsin-response-unknown"
MISUSED = "tocsin-response-mark-misused"
REFUSED = "tocsin-response-command-refused"

_HOUR_SECONDS = 3600
_TITLES: dict[str, tuple[str, Severity, tuple[str, ...]]] = {
    STORM: ("More responses were asked for than a person can follow", "high", ()),
    UNKNOWN: ("A response needs a decision: it is not known what it did", "high", ()),
    MISUSED: (
        "A request carries the mark of a response that did not make it",
        "critical",
        ("T1528", "T1078.004"),
    ),
    REFUSED: ("A command was refused: what it was to be given does not fit", "medium", ()),
}


def storm(asked: int, until: float, now: float) -> Alert:
    """Return the one alert of a storm."""
    end = datetime.fromtimestamp(until, UTC).strftime("%H:%M:%S")
    message = (
        f"{asked} responses were asked for at once: nothing is done by itself until {end} UTC; "
        "what you ask for and approve yourself is"
    )
    return _alert(STORM, f"{until:.3f}", message, "", None, now)


def unknown(response: Response, why: str, now: float) -> Alert:
    """Return the alert of a response that a person has to look at."""
    plan = response.plan
    message = f"{plan.action} on {plan.target.words}: {why} (response {plan.id[:8]})"
    return _alert(UNKNOWN, plan.id, message, plan.cluster, plan.target, now)


def misused(response: Response, proof: Proof, now: float) -> Alert:
    """Return the alert of a request under a mark that was made for another one."""
    place = "/".join(filter(None, (proof.resource, proof.namespace, proof.name)))
    message = (
        f"{proof.verb} {place} was asked for under the mark of response {response.plan.id[:8]}, "
        "which did not ask for it: somebody may have the responder's credential"
    )
    key = f"{proof.audit_id} {proof.time} {proof.verb} {place}"
    return _alert(MISUSED, key, message, response.plan.cluster, None, now)


def refused(rule: str, cluster: str, why: str, now: float) -> Alert:
    """Return the alert of a command that was not run; of the same reason one in an hour."""
    key = f"{rule} {cluster} {why} {now // _HOUR_SECONDS}"
    return _alert(REFUSED, key, f"response {rule}: {why}", cluster, None, now)


def _alert(
    rule: str, key: str, message: str, cluster: str, target: ObjectRef | None, now: float
) -> Alert:
    title, severity, techniques = _TITLES[rule]
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Alert(
        id=digest("tocsin", rule, key),
        time=stamp,
        cluster=cluster,
        source="tocsin",
        rule=RuleRef(
            id=rule,
            title=title,
            dialect="tocsin",
            severity=severity,
            level=severity,
            attack=tuple(catalog().technique(identifier) for identifier in techniques),
            source="tocsin/respond/tell.py",
        ),
        description=message,
        actor=Actor(),
        target=_target(target) if target else Target(),
        event=None,
        fields={},
        first_seen=stamp,
        last_seen=stamp,
    )


def _target(ref: ObjectRef) -> Target:
    return Target(
        api_group=ref.api_group or None,
        resource=ref.resource,
        namespace=ref.namespace,
        name=ref.name,
        uid=ref.uid,
    )
