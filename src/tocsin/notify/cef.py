"""An alert in ArcSight's Common Event Format: one line, as SIEMs take it from syslog."""

from datetime import datetime

from tocsin import __version__
from tocsin.model.alert import Alert, Severity
from tocsin.notify.text import fit

_HEADER_CHARS = 512
_VALUE_CHARS = 1023
_SEVERITIES: dict[Severity, int] = {"info": 1, "low": 3, "medium": 5, "high": 8, "critical": 10}


def cef(alert: Alert, incident: str | None) -> str:
    """Return the alert's line, without its end."""
    header = (
        "CEF:0",
        "Tocsin",
        "Tocsin",
        __version__,
        _header(alert.rule.id),
        _header(alert.rule.title),
        str(_SEVERITIES[alert.rule.severity]),
    )
    known = {label: value for label, value in _extension(alert, incident).items() if value}
    extension = " ".join(f"{label}={_value(value)}" for label, value in known.items())
    return "|".join((*header, extension))


def _extension(alert: Alert, incident: str | None) -> dict[str, str | None]:
    actor, target = alert.actor, alert.target
    resource = "/".join(part for part in (target.resource, target.subresource) if part)
    techniques = " ".join(attack.technique for attack in alert.rule.attack)
    return {
        "externalId": alert.id,
        "end": _milliseconds(alert.time),
        "msg": alert.description,
        "suser": actor.user,
        "src": actor.source_ips[0] if actor.source_ips else None,
        "requestClientApplication": actor.user_agent,
        "request": alert.event.request_uri if alert.event else None,
        "act": target.verb,
        "cnt": str(alert.count),
        **_custom(1, "cluster", alert.cluster),
        **_custom(2, "namespace", target.namespace),
        **_custom(3, "resource", resource),
        **_custom(4, "name", target.name),
        **_custom(5, "incident", incident),
        **_custom(6, "techniques", techniques),
    }


def _custom(number: int, label: str, value: str | None) -> dict[str, str | None]:
    return {f"cs{number}Label": label, f"cs{number}": value} if value else {}


def _milliseconds(time: str) -> str | None:
    try:
        return str(int(datetime.fromisoformat(time).timestamp() * 1000))
    except ValueError:
        return None


def _header(text: str) -> str:
    return fit(text, _HEADER_CHARS, lambda char: char.replace("\\", r"\\").replace("|", r"\|"))


def _value(text: str) -> str:
    return fit(text, _VALUE_CHARS, lambda char: char.replace("\\", r"\\").replace("=", r"\="))
