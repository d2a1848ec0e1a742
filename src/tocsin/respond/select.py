"""Which actions an alert asks for, and on what.

Pure: an alert and the configuration in, plans out. Whether a plan may run is for the guard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.digest import digest
from tocsin.model.ports import StoredAlert
from tocsin.model.response import Mode, ObjectRef, Plan
from tocsin.respond.actions.base import Action, Refusal
from tocsin.respond.parameters import complete
from tocsin.respond.settings import ActionStep

MANUAL = "manual"
"""What stands for the name of a response rule where a person asks for an action."""


class Asking(Protocol):
    """What asks for actions: a response rule of ours, or an active response of Wazuh."""

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        ...

    @property
    def mode(self) -> Mode:
        """How far it may go."""
        ...

    @property
    def undo_after_seconds(self) -> float:
        """After how long it is undone by itself; 0 is never."""
        ...

    @property
    def steps(self) -> Sequence[ActionStep]:
        """The actions, in order."""
        ...

    def matches(self, alert: Alert) -> bool:
        """Return whether the alert asks for it."""
        ...


@dataclass(frozen=True, slots=True)
class Skipped:
    """An action that an alert asks for and that does not apply to it, with the reason."""

    rule: str
    action: str
    alert_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for an action, by what, and when."""

    rule: str
    mode: Mode
    now: float
    who: str = "tocsin"
    undo_after: float = 0.0


def select(
    stored: StoredAlert, rules: Sequence[Asking], actions: Mapping[str, Action], now: float
) -> list[Plan | Skipped]:
    """Return what an alert asks for, in the order of the rules and of their actions."""
    alert = stored.alert
    return [
        plan(
            alert,
            step,
            actions,
            Asked(rule.name, rule.mode, now, undo_after=rule.undo_after_seconds),
        )
        for rule in rules
        if rule.matches(alert)
        for step in rule.steps
    ]


def ask(
    alert: Alert, action: str, actions: Mapping[str, Action], who: str, now: float
) -> Plan | Skipped:
    """Return what a person asks for: one action, with its defaults, that needs approval."""
    return plan(alert, ActionStep(action), actions, Asked(MANUAL, "approve", now, who))


def plan(
    alert: Alert, step: ActionStep, actions: Mapping[str, Action], asked: Asked
) -> Plan | Skipped:
    """Return the plan of one action against what an alert is about."""
    action = actions.get(step.action)
    if action is None:
        return Skipped(asked.rule, step.action, alert.id, "there is no such action")
    target = action.target(alert)
    if isinstance(target, Refusal):
        return Skipped(asked.rule, step.action, alert.id, target.reason)
    try:
        parameters = complete(step, action)
    except ValueError as error:
        return Skipped(asked.rule, step.action, alert.id, str(error))
    return Plan(
        id=plan_id(asked.rule, alert.id, step.action, target),
        cluster=alert.cluster,
        rule=asked.rule,
        action=step.action,
        parameters=parameters,
        target=target,
        alert_id=alert.id,
        rule_id=alert.rule.id,
        user=alert.actor.user,
        mode=asked.mode,
        asked_at=asked.now,
        asked_by=asked.who,
        evidence_at=_moment(alert.time),
        undo_after=asked.undo_after if action.reversible else 0.0,
        destructive=action.destructive,
        reversible=action.reversible,
    )


def plan_id(rule: str, alert_id: str, action: str, target: ObjectRef) -> str:
    """Return a plan's id: the same whenever the same is asked for by the same alert."""
    return digest(
        "response",
        rule,
        alert_id,
        action,
        target.api_group,
        target.resource,
        target.namespace,
        target.name,
    )


def digest_of(action: str, target_uid: str | None, parameters: Mapping[str, object]) -> str:
    """Return the digest of what is approved; it changes with the object or a parameter."""
    text = msgspec.json.encode(parameters, order="deterministic").decode()
    return digest("approval", action, target_uid, text)


def _moment(time: str) -> float:
    """Return an alert's time in seconds since the epoch; 0, long ago, if it is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return 0.0
