"""Alerts for tests of commands."""

from tocsin.model.alert import Actor, Alert, RuleRef, Target

POD = Target(verb="create", api_group="", resource="pods", namespace="shop", name="web", uid="u-1")


def alert_on(target: Target = POD, fields: dict[str, object] | None = None) -> Alert:
    time = "2026-11-23T10:00:00.000000Z"
    return Alert(
        id="b" * 32,
        time=time,
        cluster="prod",
        source="audit",
        rule=RuleRef("110011", "privileged pod", "wazuh", "medium", "9"),
        description="",
        actor=Actor(user="mallory", source_ips=("10.0.0.7",)),
        target=target,
        event=None,
        fields={} if fields is None else fields,
        first_seen=time,
        last_seen=time,
    )
