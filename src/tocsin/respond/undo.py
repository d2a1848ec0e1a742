"""The way back: what a response changed is restored, unless others changed it since."""

import logging
from typing import Protocol, runtime_checkable

import msgspec

from tocsin.failpoint import Failpoint
from tocsin.model.errors import TocsinError
from tocsin.model.response import Call, Response, State
from tocsin.respond.actions.base import Acting, Action, ApiError, Prepared, Refusal
from tocsin.respond.attempt import Attempt, StoppedError
from tocsin.respond.execute import Executor
from tocsin.respond.means import Means
from tocsin.respond.record import Record

_after_undoing = Failpoint("respond.after_undoing")
_before_undone = Failpoint("respond.before_undone")
_after_undone = Failpoint("respond.after_undone")

log = logging.getLogger(__name__)


@runtime_checkable
class Reverting(Protocol):
    """An action whose way back is more than calls."""

    def revert(self, prepared: Prepared, acting: Acting) -> None:
        """Take it back.

        Raises:
            ApiError: it was not done, or nobody knows whether it was.
        """
        ...


class Undoer:
    """Undoes responses; not to be shared between threads."""

    def __init__(self, means: Means, record: Record, executor: Executor) -> None:
        self._means = means
        self._record = record
        self._executor = executor

    def undo(self, response: Response, who: str) -> bool:
        """Undo a response, as far as it can be; return whether there is no more to be tried.

        Raises:
            JournalError: the journal cannot be written.
        """
        plan = response.plan
        prepared = self._record.trail(plan.id).prepared
        action = self._means.actions.get(plan.action)
        if not plan.reversible or prepared is None or action is None:
            self._note(response, None, f"it cannot be undone: {plan.action} has no way back", who)
            return True
        if plan.cluster not in self._means.clusters:
            self._note(response, None, f"there is no access to cluster {plan.cluster}", who)
            return True
        attempt = self._executor.attempt(plan)
        try:
            calls = self._way_back(action, prepared, attempt)
        except ApiError as error:
            later = error.failure in {"busy", "unknown"}
            if not later or who != "tocsin":
                self._note(response, None, f"it cannot be undone now: {error}", who)
            return not later
        if isinstance(calls, Refusal):
            self._refuse(response, who, calls, undone=not self._stands(action, prepared, attempt))
            return True
        self._restore(response, who, attempt, calls, prepared)
        return True

    def finish(self, response: Response, text: str) -> None:
        """Note that it is undone."""
        _before_undone()
        self._note(response, "undone", text, "tocsin")
        _after_undone()

    def _refuse(self, response: Response, who: str, refusal: Refusal, *, undone: bool) -> None:
        """Say why there is nothing to be done; a crash may have come after all of it was."""
        if response.state != "undoing":
            self._note(response, None, f"it is not undone: {refusal.reason}", who)
        elif undone:
            self.finish(response, f"undone: nothing of it is left ({refusal.reason})")
        else:
            self._note(response, "unknown", f"undoing it was interrupted: {refusal.reason}", who)

    def _stands(self, action: Action, prepared: Prepared, attempt: Attempt) -> bool:
        try:
            return action.confirmed(prepared, attempt)
        except ApiError:
            return True

    def _way_back(
        self, action: Action, prepared: Prepared, attempt: Attempt
    ) -> tuple[Call, ...] | Refusal:
        """Return the calls of the way back, which the API server would make."""
        if why := self._means.stopped():
            return Refusal(why)
        calls = action.undo(prepared, attempt)
        if isinstance(calls, Refusal):
            return calls
        for call in calls:
            if not attempt.allowed(call):
                return Refusal(f"the responder has no right to {call.verb} {call.target.words}")
        attempt.rehearse(calls)
        return calls

    def _restore(
        self,
        response: Response,
        who: str,
        attempt: Attempt,
        calls: tuple[Call, ...],
        prepared: Prepared,
    ) -> None:
        data = {
            "calls": msgspec.to_builtins(calls),
            "audit_ids": list(attempt.mint(len(calls))),
        }
        if response.state != "undoing":
            self._record.note(
                response.plan.id, "undoing", "undoes it", who=who, data=data, now=self._now()
            )
        else:
            self._record.note(
                response.plan.id, None, "goes on undoing it", who=who, data=data, now=self._now()
            )
        _after_undoing()
        try:
            attempt.make(calls)
            _revert(self._means.actions[response.plan.action], prepared, attempt)
        except (ApiError, StoppedError) as error:
            nothing = not attempt.made and not _may_be_made(error)
            state: State = "unknown" if response.state == "unknown" or not nothing else "done"
            self._note(response, state, f"undoing it failed: {error}", "tocsin")
        except Exception as error:  # a fault of ours must end as a known state, too
            log.exception("response %s could not be undone", response.plan.id)
            self._note(response, "unknown", f"undoing it failed: {type(error).__name__}", "tocsin")
        else:
            self.finish(response, "undone: what was before is restored")

    def _note(self, response: Response, state: State | None, text: str, who: str) -> None:
        self._record.note(response.plan.id, state, text, who=who, now=self._now())

    def _now(self) -> float:
        return self._means.clock()


def _revert(action: Action, prepared: Prepared, attempt: Attempt) -> None:
    """Have an action take back what is no call of ours, such as what a program did."""
    if isinstance(action, Reverting):
        action.revert(prepared, attempt.acting())


def _may_be_made(error: TocsinError) -> bool:
    return isinstance(error, ApiError) and error.failure == "unknown"
