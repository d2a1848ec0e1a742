"""Takes one response through the protocol, each step journalled before the next is taken.

planned, then the live object is read and the alert's condition checked on it; the guard decides;
evidence is kept; the API server tries it; then it is started, done and read back. A crash
between any two of these leaves a state from which `resume` goes on.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import msgspec

from tocsin.failpoint import Failpoint
from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoredAlert
from tocsin.model.response import Plan, Response, State
from tocsin.respond.actions.base import Action, ApiError, Cluster, Prepared, Refusal
from tocsin.respond.attempt import Attempt, StoppedError
from tocsin.respond.guard import Decision, Facts, decide
from tocsin.respond.means import EvidenceError, Means
from tocsin.respond.record import Record
from tocsin.respond.select import digest_of

_after_planned = Failpoint("respond.after_planned")
_after_prepared = Failpoint("respond.after_prepared")
_after_decided = Failpoint("respond.after_decided")
_after_evidence = Failpoint("respond.after_evidence")
_after_dry_run = Failpoint("respond.after_dry_run")
_after_started = Failpoint("respond.after_started")
_before_done = Failpoint("respond.before_done")
_after_done = Failpoint("respond.after_done")

HALF_DONE = "it may be half done, and cannot be tried again"
# How often a cluster that is busy or silent is asked again before anything was changed.
MAX_READS = 5
_AGAIN_SECONDS = 1.0
_MOST_SECONDS = 30.0

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Ended(Exception):  # noqa: N818 - the end of a response, which is no error
    """The response ends here, or waits; `limit` is the class of a refusal, for counting."""

    state: State
    text: str
    data: Mapping[str, object]


def _ended(text: str, state: State, **data: object) -> _Ended:
    return _Ended(state, text, data)


def _refused(reason: str, limit: str) -> _Ended:
    return _ended(reason, "refused", limit=limit)


@runtime_checkable
class Resuming(Protocol):
    """An action that, tried again when it is half done, has to know what it found at first."""

    def again(self, earlier: Prepared, prepared: Prepared) -> Prepared:
        """Return what is to be done now, with what the way back needs of what was done."""
        ...


class Executor:
    """Runs responses one after the other; not to be shared between threads."""

    def __init__(self, means: Means, record: Record) -> None:
        self._means = means
        self._record = record
        self._reads: dict[str, int] = {}
        self.not_before: dict[str, float] = {}

    def run(self, response: Response, found: StoredAlert | None) -> None:
        """Take a planned or approved response as far as it may go now.

        Args:
            response: the response.
            found: its alert, None if it is not kept any more.

        Raises:
            JournalError: the journal cannot be written, so nothing was done that is not in it.
        """
        plan = response.plan
        _after_planned()
        try:
            with self._cannot_ask(plan):
                self._go(response, found)
        except _Ended as end:
            self._end(plan, end)
            self._reads.pop(plan.id, None)

    def _end(self, plan: Plan, end: _Ended) -> None:
        if not self._record.trail(plan.id).half_done:
            self._note(plan, end.state, end.text, end.data)
            return
        text = f"{HALF_DONE}: {end.text}"
        self._note(plan, "unknown", text)

    def attempt(self, plan: Plan) -> Attempt:
        """Return an attempt to change the plan's cluster, to which there is access."""
        means = self._means
        return Attempt(
            means.clusters[plan.cluster],
            plan.id,
            means.marks(plan.cluster),
            self._record,
            means.stopped,
            means.clock,
        )

    def _go(self, response: Response, found: StoredAlert | None) -> None:
        plan = response.plan
        cluster, action = self._reach(plan), self._action(plan)
        prepared = self._prepare(response, action, cluster)
        plan = self._check_condition(plan, prepared, found, cluster)
        self._check_rights(prepared, cluster)
        decision = decide(plan, self._facts(plan, prepared, found), self._means.policy(plan.rule))
        match decision.verdict:
            case "refused":
                raise _refused(decision.reason, decision.limit)
            case "needs-approval":
                raise self._awaiting(decision)
            case "simulate":
                self._rehearse(plan, prepared)
                raise _ended(decision.reason, "simulated")
            case "run":
                self._note(plan, None, f"allowed: {decision.reason}")
        _after_decided()
        self._keep_evidence(plan, prepared, cluster)
        self._rehearse(plan, prepared)
        self._act(plan, action, prepared)

    def _reach(self, plan: Plan) -> Cluster:
        cluster = self._means.clusters.get(plan.cluster)
        if cluster is not None:
            return cluster
        why = f"there is no access to cluster {plan.cluster} (respond.clusters)"
        if plan.mode == "dry-run":
            only = f"only planned: {why}"
            raise _ended(only, "simulated")
        raise _refused(why, "no-access")

    def _action(self, plan: Plan) -> Action:
        action = self._means.actions.get(plan.action)
        if action is None:
            reason = f"there is no action {plan.action!r} any more"
            raise _refused(reason, "action")
        return action

    def _prepare(self, response: Response, action: Action, cluster: Cluster) -> Prepared:
        plan = response.plan
        prepared = action.prepare(plan, cluster)
        if isinstance(prepared, Refusal):
            raise _refused(prepared.reason, "target")
        trail = self._record.trail(plan.id)
        if trail.half_done and trail.prepared and isinstance(action, Resuming):
            prepared = action.again(trail.prepared, prepared)
        digest = digest_of(plan.action, prepared.target.uid, plan.parameters)
        if response.state == "approved" and digest != response.digest:
            reason = "what was approved is not what would be done now: the object is another one"
            raise _refused(reason, "changed")
        data = {"prepared": msgspec.to_builtins(prepared), "digest": digest}
        self._note(plan, None, f"read {prepared.target.words}", data)
        _after_prepared()
        return prepared

    def _check_condition(
        self, plan: Plan, prepared: Prepared, found: StoredAlert | None, cluster: Cluster
    ) -> Plan:
        """Return the plan; one whose reason cannot be checked any more needs a person."""
        holds = self._means.holds(found.alert, cluster) if found else None
        if holds is False:
            reason = f"what the alert is about is no longer so: {prepared.target.words} was changed"
            raise _refused(reason, "condition")
        if holds is None and plan.mode == "auto":
            self._note(plan, None, "whether the alert's reason still holds cannot be told")
            return msgspec.structs.replace(plan, mode="approve")
        return plan

    def _check_rights(self, prepared: Prepared, cluster: Cluster) -> None:
        for call in prepared.calls:
            if not cluster.allowed(call):
                reason = (
                    f"the responder has no right to {call.verb} {call.target.words}: "
                    "see `tocsin setup rbac`"
                )
                raise _refused(reason, "rights")

    def _facts(self, plan: Plan, prepared: Prepared, found: StoredAlert | None) -> Facts:
        now = self._means.clock()
        limits = self._means.policy(plan.rule).limits
        event = found.alert.event if found else None
        marks = self._means.marks(plan.cluster)
        return Facts(
            now=now,
            alert=found.alert if found else None,
            prepared=prepared,
            authenticated=found.authenticated if found else False,
            own_mark=bool(event and marks.response_of(event.audit_id)),
            history=self._record.ledger.acted(now, max(limits.owner_window_seconds, 60.0)),
            breaker_open_until=self._record.storm_until,
            stopped=self._means.stopped() is not None,
            approver=self._record.trail(plan.id).approver,
        )

    def _awaiting(self, decision: Decision) -> _Ended:
        expires = self._means.clock() + self._means.approval_seconds
        return _ended(decision.reason, "awaiting-approval", expires=expires, limit=decision.limit)

    def _keep_evidence(self, plan: Plan, prepared: Prepared, cluster: Cluster) -> None:
        if not plan.destructive:
            return
        try:
            kept = self._means.snapshot(plan, prepared, cluster)
        except EvidenceError as error:
            why = f"no evidence could be kept: {error}"
            if self._means.evidence_required:
                raise _refused(why, "evidence") from error
            self._note(plan, None, why)
        else:
            self._note(plan, None, "evidence is kept", {"evidence": dict(kept)})
        _after_evidence()

    def _rehearse(self, plan: Plan, prepared: Prepared) -> None:
        try:
            self.attempt(plan).rehearse(prepared.calls)
        except ApiError as error:
            if error.failure in {"busy", "unknown"}:
                raise
            reason = f"the API server would refuse it: {error}"
            raise _refused(reason, "dry-run") from error
        _after_dry_run()

    def _act(self, plan: Plan, action: Action, prepared: Prepared) -> None:
        if why := self._means.stopped():
            raise _refused(why, "stopped")
        attempt = self.attempt(plan)
        number = self._record.trail(plan.id).attempts + 1
        audit_ids = attempt.mint(len(prepared.calls))
        data = {"audit_ids": list(audit_ids), "attempt": number}
        self._note(plan, "started", f"does it: {action.title}", data)
        _after_started()
        try:
            action.apply(prepared, attempt.acting())
        except (ApiError, StoppedError) as error:
            self._end_badly(plan, attempt, error)
        except TocsinError as error:
            self._unknown(plan, f"it failed: {error}")
        except Exception as error:  # a fault of ours must end as a known state, too
            log.exception("response %s failed", plan.id)
            self._unknown(plan, f"it failed: {type(error).__name__}")
        else:
            self._read_back(plan, action, prepared, attempt)

    def _end_badly(self, plan: Plan, attempt: Attempt, error: ApiError | StoppedError) -> None:
        """Say what became of an attempt that did not get to its end."""
        if isinstance(error, ApiError) and error.failure == "unknown":
            self._unknown(plan, str(error))
        elif attempt.made:
            made = f"{attempt.made} of its changes {'was' if attempt.made == 1 else 'were'} made"
            self._unknown(plan, f"{made}, and then: {error}")
        elif isinstance(error, ApiError) and error.failure == "busy":
            self._again(plan, error)
        else:
            self._note(plan, "failed", f"nothing was changed: {error}")

    def _again(self, plan: Plan, error: ApiError) -> None:
        if self._record.trail(plan.id).attempts >= MAX_READS:
            self._note(plan, "failed", f"nothing was changed: {error}")
            return
        self.try_again(plan, f"nothing was changed, and it is tried again: {error}")
        self._wait(plan, error)

    def try_again(self, plan: Plan, text: str) -> None:
        """Put a response of which it is known that nothing was done back to where it was."""
        approved = bool(self._record.trail(plan.id).approver)
        self._note(plan, "approved" if approved else "planned", text)

    def _read_back(self, plan: Plan, action: Action, prepared: Prepared, attempt: Attempt) -> None:
        """Say that it was done only if the cluster says so."""
        _before_done()
        try:
            confirmed = action.confirmed(prepared, attempt)
        except ApiError as error:
            self._unknown(plan, f"it was asked for, and cannot be read back: {error}")
            return
        if attempt.asked and not attempt.made:
            self._note(
                plan, "failed", f"nothing was changed: {prepared.target.words} is gone already"
            )
        elif confirmed:
            self.done(plan, "done, and the cluster shows it", prepared)
        else:
            self._unknown(plan, "it was asked for, and the cluster does not show it")

    def done(self, plan: Plan, text: str, prepared: Prepared) -> None:
        """Note that it is done; from now on its time until it is undone runs."""
        undo_at = self._means.clock() + plan.undo_after if plan.undo_after else 0.0
        data = {"undo_at": undo_at, "notes": list(prepared.notes)}
        self._note(plan, "done", text, data)
        _after_done()

    def _unknown(self, plan: Plan, text: str) -> None:
        self._note(plan, "unknown", text)

    @contextlib.contextmanager
    def _cannot_ask(self, plan: Plan) -> Iterator[None]:
        """Try later if the cluster is silent before anything was changed; give up at last."""
        try:
            yield
        except ApiError as error:
            reads = self._reads[plan.id] = self._reads.get(plan.id, 0) + 1
            if error.failure not in {"busy", "unknown"}:
                reason = f"the cluster cannot be read: {error}"
                raise _refused(reason, "unreadable") from error
            if reads >= MAX_READS:
                reason = f"nothing was changed: {error}"
                raise _ended(reason, "failed") from error
            self._wait(plan, error)

    def _wait(self, plan: Plan, error: ApiError) -> None:
        tries = self._reads.get(plan.id, 1) - 1
        usual = _AGAIN_SECONDS * 2**tries
        delay = min(usual if error.retry_after is None else error.retry_after, _MOST_SECONDS)
        self.not_before[plan.id] = self._means.clock() + delay

    def _note(
        self,
        plan: Plan,
        state: State | None,
        text: str,
        data: Mapping[str, object] | None = None,
    ) -> None:
        self._record.note(plan.id, state, text, data=data, now=self._means.clock())
