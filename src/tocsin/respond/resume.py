"""Goes on where a crash, or an answer that never came, left a response in the middle."""

from tocsin.model.manifest import uid_of
from tocsin.model.response import Response
from tocsin.respond.actions.base import ApiError, Cluster, Prepared
from tocsin.respond.execute import HALF_DONE, Executor
from tocsin.respond.means import Means
from tocsin.respond.record import Record
from tocsin.respond.recover import Seen, judge
from tocsin.respond.trail import Trail
from tocsin.respond.undo import Undoer


class Resumer:
    """Finds out what became of responses; not to be shared between threads."""

    def __init__(self, means: Means, record: Record, executor: Executor, undoer: Undoer) -> None:
        self._means = means
        self._record = record
        self._executor = executor
        self._undoer = undoer

    def after_crash(self, response: Response) -> None:
        """Take note that a response was in the middle when the responder ended.

        Raises:
            JournalError: the journal cannot be written.
        """
        if response.state == "started":
            text = "the responder ended in the middle of it: it is found out what was done"
            self._record.note(response.plan.id, "unknown", text, now=self._means.clock())

    def settle(self, response: Response) -> str | None:
        """Find out what became of a response in the state `unknown`, and go on from there.

        Returns:
            Why a person has to decide; None if it is settled, or time may still tell.

        Raises:
            JournalError: the journal cannot be written.
        """
        plan, trail = response.plan, self._record.trail(response.plan.id)
        if trail.prepared is None:
            return "nobody knows what was to be done"
        if trail.undoing:
            return "it is not known whether it is undone: undo it again, or look at its object"
        if response.text.startswith(HALF_DONE):
            return response.text
        verdict = judge(self._seen(response, trail, trail.prepared))
        match verdict.finding:
            case "done":
                self._executor.done(plan, verdict.text, trail.prepared)
            case "failed":
                self._record.note(plan.id, "failed", verdict.text, now=self._means.clock())
            case "again":
                self._executor.try_again(plan, verdict.text)
            case "person":
                return verdict.text
            case "wait":
                pass
        return None

    def undoing(self, response: Response) -> str | None:
        """Go on with an undo that a crash interrupted; return why a person has to decide.

        Raises:
            JournalError: the journal cannot be written.
        """
        trail = self._record.trail(response.plan.id)
        if trail.proved():
            self._undoer.finish(response, "undone, as the audit log shows")
            return None
        settled = self._undoer.undo(response, "tocsin")
        if not settled or self._record.response(response.plan.id).state == "undone":
            return None
        return "it is not known whether it is undone"

    def _seen(self, response: Response, trail: Trail, prepared: Prepared) -> Seen:
        plan = response.plan
        cluster = self._means.clusters.get(plan.cluster)
        action = self._means.actions.get(plan.action)
        confirmed: bool | None = None
        there: bool | None = None
        if cluster is not None and action is not None:
            try:
                confirmed = action.confirmed(prepared, cluster)
                there = _is_there(prepared, cluster)
            except ApiError:
                confirmed = there = None
        return Seen(
            action=plan.action,
            attempts=trail.attempts,
            confirmed=confirmed,
            there=there,
            answers=[trail.answers[one] for one in trail.sent if one in trail.answers],
            calls=len(prepared.calls),
            waited=self._means.clock() - trail.ended_at,
        )


def _is_there(prepared: Prepared, cluster: Cluster) -> bool:
    live = cluster.get(prepared.target)
    return live is not None and uid_of(live) == prepared.target.uid
