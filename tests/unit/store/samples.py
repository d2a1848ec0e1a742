"""Alerts for tests of the store and the notifiers."""

from typing import Any

import msgspec

from tocsin.model.alert import Actor, Alert, EventRef, RuleRef, Target, Technique

HOSTILE = (
    "<!channel> <@U123> <https://evil.example|click>",
    "line\nbreak\r\n\u2028\u2029and\ttab",
    "\x1b[2J\x1b]0;owned\x07\x7f\x9b31m",
    "bidi \u202egnp.exe\u202c zero\u200bwidth \u2066isolate\u2069",
    "nul\x00byte",
    "{{ .Values }} {% raw %} ${HOME} $(id) `id` %s %n",
    "a&b \"quoted\" 'single' \\back <b>&amp;</b>",
    "*bold* _it_ ~no~ :smile: @here #general",
    "",
    " ",
    "\U0001f600\U000e0041\ufeffé",
    "x" * 100_000,
    "&" * 10_000,
    "\x00" * 10_000,
)


def make_alert(alert_id: str = "a1", **changes: Any) -> Alert:
    """Return an ordinary alert with some fields replaced."""
    alert = Alert(
        id=alert_id,
        time="2026-11-23T10:45:16.123456Z",
        cluster="prod",
        source="audit",
        rule=RuleRef(
            id="5c1b",
            title="Privileged pod created",
            dialect="sigma",
            severity="high",
            level="high",
            tags=("attack.t1611",),
            attack=(Technique("T1611", "Escape to Host", ("privilege-escalation",)),),
            source="privileged-pod.yml:1",
        ),
        description="alice created privileged pod web in shop",
        actor=Actor(
            user="alice",
            groups=("system:authenticated",),
            source_ips=("203.0.113.9",),
            user_agent="kubectl/v1.36.3",
        ),
        target=Target("create", "", "pods", None, "shop", "web", None),
        event=EventRef("6f9e", "ResponseComplete", "RequestResponse", "/api/v1", 201),
        fields={"pod": "web"},
        first_seen="2026-11-23T10:45:16.123456Z",
        last_seen="2026-11-23T10:45:16.123456Z",
        evidence=["digest-1"],
    )
    return msgspec.structs.replace(alert, **changes)


def with_severity(alert: Alert, severity: str) -> Alert:
    """Return the alert as if its rule had this severity."""
    rule = msgspec.structs.replace(alert.rule, severity=severity)
    return msgspec.structs.replace(alert, rule=rule)


def hostile_alert(text: str, alert_id: str = "a1") -> Alert:
    """Return an alert with the text in every place that an attacker can write to."""
    return make_alert(
        alert_id,
        description=text,
        actor=Actor(text, (text,), text, text, (text,), text),
        target=Target(text, text, text, text, text, text, text),
        event=EventRef(text, text, text, text, 201, text),
        fields={"pod": text, text: [text]},
    )
