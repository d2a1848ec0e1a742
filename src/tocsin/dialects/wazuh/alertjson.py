"""Alerts in the shape of Wazuh's `alerts.json`, which its dashboards and exporters read.

A hit of a Wazuh rule says all that Wazuh says. Alerts of other rules are shown in the same
shape: their severity as a level, what they know of the event under the names of its JSON.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tocsin.attack.catalog import catalog
from tocsin.dialects.wazuh.evaluate import Result
from tocsin.dialects.wazuh.output import decoder, groups
from tocsin.dialects.wazuh.rules import Rule
from tocsin.model.alert import Alert, Severity

Shown = dict[str, object]

# The original cuts events here, so neither log nor data of its alerts is larger. All of an
# event is in the spool.
MAX_LOG_BYTES = 65_536
LOCATION = "k8s"
AGENT_ID = "000"
# Levels in the middle of what a severity stands for.
LEVELS: Mapping[Severity, int] = {"info": 2, "low": 5, "medium": 9, "high": 12, "critical": 15}
MAIL_LEVEL = 12
# Of an alert's own id in hexadecimal, and of the same number in decimal.
_ID_DIGITS, _MAX_DIGITS = 32, 39


@dataclass(frozen=True, slots=True)
class Scribe:
    """Writes alerts.

    Attributes:
        manager: the name of this machine.
        redact_text: takes secrets out of a text, which may be a JSON document, and cuts it to
            so many characters.
        redact_data: takes secrets out of a document of about so many characters.
    """

    manager: str
    redact_text: Callable[[str, int], str]
    redact_data: Callable[[object, int], object]

    def hit(self, result: Result, alert: Alert, log: bytes, location: str = LOCATION) -> Shown:
        """Return the alert of a Wazuh rule; `log` is what the rule saw.

        Raises:
            ValueError: the result has no rule.
        """
        if result.rule is None:
            message = "no rule matched"
            raise ValueError(message)
        shown = self._frame(alert)
        description = self.redact_text(result.description, MAX_LOG_BYTES)
        shown["rule"] = _rule(result.rule, result, description)
        if result.previous_output is not None:
            logs = result.previous_output.split("\n")
            shown["previous_output"] = "\n".join(self._log(earlier) for earlier in logs)
        if "no_full_log" not in result.rule.options:
            shown["full_log"] = self._log(log.decode("utf-8", "replace"))
        shown["decoder"] = decoder(result)
        data = self.redact_data(result.fields.nested(MAX_LOG_BYTES), MAX_LOG_BYTES)
        if data:
            shown["data"] = data
        shown["location"] = location
        return shown

    def mapped(self, alert: Alert) -> Shown:
        """Return the alert of any other rule, or of a hit of which no more is known."""
        shown = self._frame(alert)
        level = _level(alert)
        shown["rule"] = {
            "level": level,
            "description": alert.description or alert.rule.title,
            "id": alert.rule.id,
            **_mitre(technique.technique for technique in alert.rule.attack),
            "firedtimes": alert.count,
            "mail": level >= MAIL_LEVEL,
            "groups": ["tocsin", alert.rule.dialect, *alert.rule.tags],
        }
        shown["decoder"] = {"name": "json"}
        data = _data(alert)
        if data:
            shown["data"] = data
        shown["location"] = LOCATION
        return shown

    def _frame(self, alert: Alert) -> Shown:
        """Return what every alert begins with, in the order of Wazuh's keys."""
        return {
            "timestamp": _timestamp(alert.time),
            "rule": {},
            "agent": {"id": AGENT_ID, "name": self.manager},
            "manager": {"name": self.manager},
            "id": alert_number(alert),
            "cluster": {"name": alert.cluster, "node": self.manager},
        }

    def _log(self, text: str) -> str:
        """Return a log without secrets, cut where the original cuts it."""
        shown = self.redact_text(text, MAX_LOG_BYTES).encode("utf-8", "replace")
        return shown[:MAX_LOG_BYTES].decode("utf-8", "ignore")


def to_line(shown: Shown) -> bytes:
    """Return an alert as a line of ASCII JSON: its text cannot break a line or a terminal."""
    line = json.dumps(shown, separators=(",", ":"))
    return line.replace("\x7f", "\\u007f").encode() + b"\n"


def alert_number(alert: Alert) -> str:
    """Return the id that Wazuh's form has of an alert: two numbers, of which the first is a time.

    The second is the alert's own id, so that the one leads to the other.
    """
    return f"{int(datetime.fromisoformat(alert.time).timestamp())}.{int(alert.id, 16)}"


def alert_id(number: str) -> str:
    """Return the id of the alert whose `alert_number` this is; nothing if it is none."""
    digits = number.rpartition(".")[2]
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _MAX_DIGITS:
        return ""
    return f"{int(digits):0{_ID_DIGITS}x}"


def _rule(rule: Rule, result: Result, description: str) -> Shown:
    shown: Shown = {"level": rule.level} if rule.level else {}
    shown |= {"description": description, "id": str(rule.id), **_mitre(rule.techniques)}
    if rule.cve:
        shown["cve"] = rule.cve
    if rule.info:
        shown["info"] = rule.info
    if rule.correlation is not None:
        shown["frequency"] = rule.correlation.frequency
    if "no_counter" not in rule.options:
        shown["firedtimes"] = result.fired
    return {**shown, "mail": result.mail, **groups(rule)}


def _mitre(techniques: Iterable[str]) -> Shown:
    """Return the techniques with their names and tactics; nothing where none has a tactic."""
    release = catalog()
    ids = tuple(techniques)
    known = [release.techniques[name] for name in ids if name in release.techniques]
    served = {short for technique in known for short in technique.tactics}
    tactics = [tactic.name for tactic in release.tactics if tactic.short in served]
    if not tactics:
        return {}
    names = list(dict.fromkeys(technique.name for technique in known))
    return {"mitre": {"id": list(ids), "tactic": tactics, "technique": names}}


def _level(alert: Alert) -> int:
    level = alert.rule.level
    if alert.rule.dialect == "wazuh" and level.isascii() and level.isdigit():
        return int(level)
    return LEVELS[alert.rule.severity]


def _timestamp(time: str) -> str:
    """Return a time with milliseconds and a numeric zone, from one of ours (six digits and Z)."""
    return f"{time[:23]}+0000"


def _data(alert: Alert) -> Shown:
    """Return what an alert knows of its event, named as the event's own JSON names it."""
    actor, target, event = alert.actor, alert.target, alert.event
    told: Shown = {
        "auditID": event and event.audit_id,
        "stage": event and event.stage,
        "level": event and event.level,
        "requestURI": event and event.request_uri,
        "responseStatus": _told(code=event and event.code),
        "verb": target.verb,
        "objectRef": _told(
            apiGroup=target.api_group,
            resource=target.resource,
            subresource=target.subresource,
            namespace=target.namespace,
            name=target.name,
            uid=target.uid,
        ),
        "user": _told(username=actor.user, groups=list(actor.groups)),
        "impersonatedUser": _told(username=actor.impersonated),
        "sourceIPs": list(actor.source_ips),
        "userAgent": actor.user_agent,
        "fields": {key: _as_text(value) for key, value in alert.fields.items() if value},
    }
    return {key: value for key, value in told.items() if value}


def _told(**members: object) -> Shown:
    return {key: _as_text(value) for key, value in members.items() if value}


def _as_text(value: object) -> object:
    """Return a value as Wazuh shows it: a text, or a list."""
    return value if isinstance(value, list) else str(value)
