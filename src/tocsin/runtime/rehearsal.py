"""What responses would have done to alerts of the past: select and guard, and no cluster.

What only the live object tells is taken to allow it: its UID, its owner, its priority class,
the subjects of a binding. So each object counts as its own owner.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.ports import StoredAlert
from tocsin.model.response import Mode, Plan
from tocsin.respond.actions.base import Action, Prepared
from tocsin.respond.breaker import Breaker
from tocsin.respond.guard import Acted, Facts, Verdict, decide, policy_of
from tocsin.respond.select import select
from tocsin.respond.settings import RespondSettings, ResponseRule

_ASSUMED: Mapping[str, object] = {
    "priority_class": None,
    "mirror_pod": False,
    "control_plane": False,
    "role_ref": None,
    "subjects": (),
}


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """What would have become of one action that an alert asks for.

    Attributes:
        time: the alert's time.
        alert: the alert's id.
        title: the title of the rule that fired.
        response: the response rule that asks.
        action: the action.
        cluster: the cluster.
        target: the object in words; empty where the action does not apply.
        mode: the mode of the response rule.
        verdict: what the guard says; `skipped` where the action does not apply.
        reason: why.
    """

    time: str
    alert: str
    title: str
    response: str
    action: str
    cluster: str
    target: str = ""
    mode: Mode | None = None
    verdict: Verdict | str
    reason: str


class Rehearsal:
    """Goes through alerts in the order they come, as the responder would have."""

    def __init__(
        self,
        rules: Sequence[ResponseRule],
        actions: Mapping[str, Action],
        settings: RespondSettings,
    ) -> None:
        self._rules = rules
        self._actions = actions
        self._settings = settings
        self._policies = {rule.name: policy_of(settings, rule) for rule in rules}
        self._breaker = Breaker(settings.limits)
        self._acted: list[Acted] = []
        self._now = 0.0

    def take(self, alerts: Iterable[Alert]) -> Iterator[Rehearsed]:
        """Yield what would have become of each thing that the alerts ask for."""
        for alert in alerts:
            # Of alerts out of order, the later counts for all: windows do not run backwards.
            self._now = max(self._now, datetime.fromisoformat(alert.time).timestamp())
            stored = StoredAlert(0, alert)
            for asked in select(stored, self._rules, self._actions, self._now):
                if isinstance(asked, Plan):
                    yield self._judge(asked, alert)
                else:
                    yield Rehearsed(
                        time=alert.time,
                        alert=alert.id,
                        title=alert.rule.title,
                        response=asked.rule,
                        action=asked.action,
                        cluster=alert.cluster,
                        verdict="skipped",
                        reason=asked.reason,
                    )

    def _judge(self, plan: Plan, alert: Alert) -> Rehearsed:
        self._breaker.ask(plan.asked_at)
        uid = plan.target.uid or plan.target.path
        target = msgspec.structs.replace(plan.target, uid=uid)
        facts = Facts(
            now=plan.asked_at,
            alert=alert,
            prepared=Prepared(target=target, root=uid, calls=(), protects=dict(_ASSUMED)),
            authenticated=True,
            history=self._recent(plan.asked_at),
            breaker_open_until=self._breaker.open_until,
        )
        fresh = msgspec.structs.replace(plan, evidence_at=plan.asked_at)
        decision = decide(fresh, facts, self._policies[plan.rule])
        if decision.verdict == "run":
            self._acted.append(
                Acted(
                    response=plan.id,
                    action=plan.action,
                    root=uid,
                    uid=uid,
                    at=plan.asked_at,
                    destructive=plan.destructive,
                )
            )
        return Rehearsed(
            time=alert.time,
            alert=alert.id,
            title=alert.rule.title,
            response=plan.rule,
            action=plan.action,
            cluster=plan.cluster,
            target=plan.target.words,
            mode=plan.mode,
            verdict=decision.verdict,
            reason=decision.reason,
        )

    def _recent(self, now: float) -> Sequence[Acted]:
        since = now - max(self._settings.limits.owner_window_seconds, 60.0)
        self._acted = [one for one in self._acted if one.at >= since]
        return self._acted
