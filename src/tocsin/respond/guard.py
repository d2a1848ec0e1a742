"""Decide whether a planned response may run.

Pure: no clock, no network, no store. The caller passes what it knows, and journals the answer
before anything touches a cluster. Every limit is one early return; the most permanent come
first, what a person can lift comes last. When in doubt the answer is no: a response that was
refused can be asked for again, a deletion cannot be taken back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from tocsin.model.alert import Actor, Alert, EventRef
from tocsin.model.response import Order, Plan, Response
from tocsin.respond.actions.base import Prepared, Refusal
from tocsin.respond.protection import account_of, protected_by
from tocsin.respond.settings import ACCOUNT, Limits, Protected, RespondSettings, ResponseRule

Verdict = Literal["run", "needs-approval", "simulate", "refused"]

MINUTE = 60.0
# Clocks of API servers run apart by as much.
_AHEAD_SECONDS = 60.0
_FIRST_DENIED = 400


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, with the reason that an operator reads, and the limit that decided."""

    verdict: Verdict
    reason: str
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Acted:
    """A response that changed something, or may have.

    Attributes:
        response: its id.
        action: its action.
        root: UID of what re-creates the object, or the object's own.
        uid: the object's UID.
        at: when, in seconds since the epoch.
        destructive: whether it took something away for good.
        calls: how many changes it asked for.
        stands: whether its effect is still there, or may be: it did not fail, nor was undone.
    """

    response: str
    action: str
    root: str
    uid: str
    at: float
    destructive: bool
    calls: int = 1
    stands: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known when a plan is judged.

    Attributes:
        now: seconds since the epoch.
        alert: the alert that asks; None where it is not known any more.
        prepared: the action on the live object, why it does not apply, or None before it was
            read.
        authenticated: whether the sender of the alert's event showed a credential.
        own_mark: whether the alert's event is of a request of our own.
        history: what was done before, of at least the longest window.
        breaker_open_until: until when a storm stops what nobody asked for.
        stopped: whether the kill switch is on.
        approver: the person whose valid approval this plan has; empty if it has none.
    """

    now: float
    alert: Alert | None
    prepared: Prepared | Refusal | None
    authenticated: bool
    own_mark: bool = False
    history: Sequence[Acted] = ()
    breaker_open_until: float = 0.0
    stopped: bool = False
    approver: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's limits, as they hold for one response rule. The defaults are the shipped.

    Attributes:
        limits: see `Limits`.
        protected: see `Protected`.
        account: the responder's own user.
        four_eyes: whether who asked must not approve.
        max_evidence_age: seconds between an alert's event and its plan.
        per_owner: the rule's limit for one owner.
        per_minute: the rule's limit of changes in a minute.
    """

    limits: Limits = field(default_factory=Limits)
    protected: Protected = field(default_factory=Protected)
    account: str = ACCOUNT
    four_eyes: bool = False
    max_evidence_age: float = 300.0
    per_owner: int = 3
    per_minute: int = 10


def policy_of(settings: RespondSettings, rule: ResponseRule | None) -> Policy:
    """Return the limits for what a response rule asks; None stands for a person."""
    limits = settings.limits
    return Policy(
        limits=limits,
        protected=settings.protected,
        account=settings.account,
        four_eyes=settings.approval.four_eyes,
        max_evidence_age=settings.max_evidence_age_seconds,
        per_owner=(rule and rule.per_owner) or limits.per_owner,
        per_minute=min((rule and rule.per_minute) or limits.per_minute, limits.per_minute),
    )


def decide(plan: Plan, facts: Facts, policy: Policy) -> Decision:
    """Return whether the plan may run now.

    An approval lifts the mode, the storm breaker and the limit per owner; never protection,
    the evidence, the target's identity, the limit per minute or the kill switch.
    """
    if facts.stopped:
        return _refused("stopped", "all responses are stopped")
    if refused := _without_evidence(facts) or _stale(plan, policy):
        return refused
    prepared = facts.prepared
    if not isinstance(prepared, Prepared):
        reason = prepared.reason if prepared else "the live object was not read"
        return _refused("target", reason)
    if refused := _unfit(plan, prepared, facts, policy):
        return refused
    brake = _per_minute(prepared, facts, policy) or _per_owner(plan, prepared, facts, policy)
    if plan.mode == "dry-run":
        then = f"; without it this would need approval: {brake.reason}" if brake else ""
        return Decision("simulate", f"dry run: it would be done{then}", "dry-run")
    return brake or _by_mode(plan, facts, policy)


def judge_approval(response: Response, order: Order, now: float, policy: Policy) -> str | None:
    """Return why a person's approval does not count, None if it does."""
    if response.state != "awaiting-approval":
        return f"it is {response.state} and does not wait for approval"
    if now >= response.expires:
        return "the time to approve it is over"
    if not response.digest or order.digest != response.digest:
        return "what was approved is not what would be done now: look at it again"
    if policy.four_eyes and order.who == response.plan.asked_by:
        return f"{order.who} asked for it, so somebody else must approve it"
    return None


def _without_evidence(facts: Facts) -> Decision | None:
    """Refuse what no authenticated event of an allowed request asks for."""
    if facts.own_mark:
        return _refused("own-request", "the event is of a request of our own")
    if not facts.authenticated:
        reason = "the sender of the event showed no credential, so anybody may have made it up"
        return _refused("unauthenticated", reason)
    event = facts.alert.event if facts.alert else None
    if event is None:
        return _refused("no-event", "there is no event of a request that asks for it")
    return _without_effect(event)


def _without_effect(event: EventRef) -> Decision | None:
    """Refuse on a request that changed nothing, or of which that is not known."""
    if event.code is None:
        reason = "whether the request was allowed is not known: only its arrival was recorded"
        return _refused("outcome-unknown", reason)
    if event.code >= _FIRST_DENIED:
        return _refused("denied", f"the request was refused by the cluster (code {event.code})")
    if is_dry_run(event.request_uri or ""):
        return _refused("dry-run-request", "the request was a dry run and changed nothing")
    return None


def _stale(plan: Plan, policy: Policy) -> Decision | None:
    # A person who asks has looked at the alert; what replays old events is no person. The age
    # counts up to the plan: waiting for an approval does not make evidence stale.
    age = plan.asked_at - plan.evidence_at
    if plan.asked_by == "tocsin" and age > policy.max_evidence_age:
        return _refused("stale", f"the event was {age:.0f} s old, more than allowed")
    if age < -_AHEAD_SECONDS:
        return _refused("stale", f"the event lies {-age:.0f} s in the future")
    return None


def _unfit(plan: Plan, prepared: Prepared, facts: Facts, policy: Policy) -> Decision | None:
    """Refuse what nobody can approve either, because of what it is about."""
    if reason := _not_the_object(plan, prepared):
        return _refused("target", reason)
    actor = facts.alert.actor if facts.alert else Actor()
    against = account_of(prepared)
    if against is not None and against != actor.user:
        who = actor.user or "somebody unknown"
        return _refused("impersonated", f"{who} made the request, not {against}")
    if reason := protected_by(prepared, actor.groups, policy.protected, policy.account):
        return _refused("protected", reason)
    for acted in facts.history:
        if _is_same(acted, plan, prepared):
            reason = f"response {acted.response[:8]} has done this to the same object"
            return _refused("repeated", reason)
    if facts.now < facts.breaker_open_until and plan.asked_by == "tocsin" and not facts.approver:
        reason = "so many responses are asked for that nothing is done by itself for now"
        return _refused("storm", reason)
    return None


def _not_the_object(plan: Plan, prepared: Prepared) -> str | None:
    """Return why this is not about the one live object that was meant."""
    if not prepared.target.uid:
        return f"the UID of {prepared.target.words} is not known"
    # What is acted on may be the owner of the alert's object, or its node.
    same_kind = plan.target.resource == prepared.target.resource
    if same_kind and plan.target.uid and plan.target.uid != prepared.target.uid:
        return f"{prepared.target.words} is another object of the same name now"
    for call in prepared.calls:
        if call.verb != "create" and not call.target.uid:
            return f"the UID of {call.target.words} is not known"
    return None


def _is_same(acted: Acted, plan: Plan, prepared: Prepared) -> bool:
    """Return whether another response did the same: two rules may see one event."""
    return (
        acted.stands
        and acted.response != plan.id
        and acted.action == plan.action
        and acted.uid == prepared.target.uid
    )


def _per_minute(prepared: Prepared, facts: Facts, policy: Policy) -> Decision | None:
    """Let changes of the last minute and these be no more than the limit.

    A response of more changes than that runs while there are no others, once it is approved.
    """
    recent = [acted for acted in facts.history if acted.at > facts.now - MINUTE]
    done = sum(acted.calls for acted in recent)
    most = policy.per_minute
    if done + max(len(prepared.calls), 1) <= most or (facts.approver and not done):
        return None
    reason = f"{done} changes in the last minute, and {most} are the limit"
    return Decision("needs-approval", f"{reason}; approve it later", "per-minute")


def _per_owner(plan: Plan, prepared: Prepared, facts: Facts, policy: Policy) -> Decision | None:
    """Stop the endless fight with a controller that re-creates what is deleted."""
    if not plan.destructive or facts.approver:
        return None
    window = policy.limits.owner_window_seconds
    recent = [
        acted
        for acted in facts.history
        if acted.destructive and acted.root == prepared.root and acted.at > facts.now - window
    ]
    if len(recent) < policy.per_owner:
        return None
    count = f"{len(recent)} responses within {window:.0f} s"
    owner = prepared.owner
    if owner is None:
        return Decision("needs-approval", f"{count} to {prepared.target.words}", "per-owner")
    reason = (
        f"{count} to what {owner.words} creates, and creates again;"
        f" scale_owner on {owner.words} would end this"
    )
    return Decision("needs-approval", reason, "per-owner")


def _by_mode(plan: Plan, facts: Facts, policy: Policy) -> Decision:
    if facts.approver and policy.four_eyes and facts.approver == plan.asked_by:
        reason = f"{facts.approver} asked for it, so somebody else must approve it"
        return Decision("needs-approval", reason, "four-eyes")
    if facts.approver:
        return Decision("run", f"approved by {facts.approver}")
    if plan.mode == "approve":
        return Decision("needs-approval", "a person has to approve it", "mode")
    return Decision("run", "within the limits")


def is_dry_run(request_uri: str) -> bool:
    """Return whether a request asked the API server to change nothing."""
    return "dryRun" in parse_qs(urlsplit(request_uri).query)


def _refused(limit: str, reason: str) -> Decision:
    return Decision("refused", reason, limit)
