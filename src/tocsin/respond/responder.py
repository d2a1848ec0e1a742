"""What the responder does again and again: take what is new, and go on with what is open.

New alerts are planned, orders and proofs taken, and only then is what is open carried out, for
a moment at a time: so a storm is noticed while a slow cluster is asked. Positions are advanced
when the journal has what follows from what was read; ids make repeats harmless.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from tocsin.failpoint import Failpoint
from tocsin.model.alert import Alert
from tocsin.model.digest import digest
from tocsin.model.ports import AlertFilter, AlertSource, StoredAlert
from tocsin.model.response import Order, Plan, Proof, Response, ResponseStore
from tocsin.respond import tell
from tocsin.respond.breaker import Breaker
from tocsin.respond.execute import Executor
from tocsin.respond.guard import judge_approval
from tocsin.respond.means import Means
from tocsin.respond.record import Record
from tocsin.respond.resume import Resumer
from tocsin.respond.select import Asking, Skipped, ask, select
from tocsin.respond.states import UNDOABLE
from tocsin.respond.undo import Undoer

_before_advance = Failpoint("respond.before_advance")

ALERTS_AT_ONCE = 500
# Hidden alerts are read too, and passed over: else each look would pass over them anew.
_EVERY_ROW = AlertFilter(hidden="with")
# For so long what is open is gone on with before new alerts are looked at.
WORK_SECONDS = 0.3
SETTLE_SECONDS = 2.0
_AGAIN_SECONDS = 5.0
_FORGET_SECONDS = 600.0


class Alerts(AlertSource, Protocol):
    """Stored alerts, and how many arrived so far."""

    def last_seq(self) -> int:
        """Return the row number of the alert that arrived last, 0 when there is none."""
        ...


class Responder:
    """Goes on with all responses, a tick at a time; not to be shared between threads."""

    def __init__(
        self,
        means: Means,
        record: Record,
        store: ResponseStore,
        alerts: Alerts,
        rules: Sequence[Asking],
        inform: Callable[[Sequence[Alert]], None],
    ) -> None:
        """Take what there is; `start` is to be called before the first tick.

        Args:
            means: what responses are made with.
            record: the journal, as it was read.
            store: what people ask and the audit log proves.
            alerts: the stored alerts.
            rules: which alerts ask for what.
            inform: tells people by alerts.
        """
        self._means = means
        self._record = record
        self._store = store
        self._alerts = alerts
        self._rules = rules
        self._inform = inform
        self.executor = Executor(means, record)
        self._undoer = Undoer(means, record, self.executor)
        self._resumer = Resumer(means, record, self.executor, self._undoer)
        self._breaker = Breaker(means.policy("").limits)
        self._unplanned = 0
        self._with_person: set[str] = set()
        self._kept: set[str] = set()
        self._stopped: str | None = None
        self._next_forget = 0.0
        self._at: dict[str, int] = {}

    def start(self) -> None:
        """Go on from where the journal and the store say; history is never responded to.

        Raises:
            StoreUnavailable, JournalError: not now.
        """
        self._at = dict(self._store.position())
        if "alerts" not in self._at:
            self._at["alerts"] = self._alerts.last_seq()
            self._store.advance(alerts=self._at["alerts"])
        self._breaker.open_until = self._record.storm_until
        for response in self._record.ledger.pending():
            self._resumer.after_crash(response)

    def tick(self) -> bool:
        """Do what there is to be done, for a moment; return whether there may be more.

        Raises:
            StoreUnavailable: the store cannot be read or written; the next tick repeats it.
            JournalError: nothing may be done.
        """
        self._watch_switch()
        read = dict(self._at)
        self._take_orders()
        self._take_proofs()
        self._take_alerts()
        self._end_storm()
        busy = self._work()
        self._record.show()
        _before_advance()
        moved = {name: at for name, at in self._at.items() if at != read.get(name)}
        if moved:
            self._store.advance(**moved)
        self._forget()
        return busy or bool(moved)

    def skip_alerts(self) -> None:
        """Pass over alerts while responding is switched off in the configuration."""
        last = self._alerts.last_seq()
        if last != self._at.get("alerts"):
            self._at["alerts"] = last
            self._store.advance(alerts=last)

    @property
    def waiting(self) -> int:
        """How many responses wait for a person."""
        return sum(one.state == "awaiting-approval" for one in self._record.ledger.pending())

    @property
    def undecided(self) -> int:
        """How many responses there are of which nobody knows what they did."""
        return len(self._with_person)

    def _watch_switch(self) -> None:
        why = self._means.stopped()
        if why != self._stopped:
            self._stopped = why
            self._note("", why or "responses are no longer stopped", {"stopped": why is not None})

    # What is new.

    def _take_alerts(self) -> None:
        at = self._at["alerts"]
        stored = self._alerts.follow(at, ALERTS_AT_ONCE, _EVERY_ROW)
        if not stored:
            return
        now = self._means.clock()
        asked = [
            one
            for found in stored
            for one in self._asked_by(found, now)
            if isinstance(one, Skipped) or not self._record.ledger.known(one.id)
        ]
        opened = [one for one in asked if self._breaker.ask(now)]
        if opened:
            self._begin_storm(len(asked), now)
        if now < self._breaker.open_until:
            self._unplanned += len(asked)
        else:
            for one in asked:
                self._plan(one, now)
        self._at["alerts"] = stored[-1].seq

    def _asked_by(self, found: StoredAlert, now: float) -> Sequence[Plan | Skipped]:
        if found.hidden_by is not None:
            return ()
        event = found.alert.event
        # Whatever is in it, an event of our own request is a proof and never a reason.
        if event and self._means.marks(found.alert.cluster).response_of(event.audit_id):
            return ()
        return select(found, self._rules, self._means.actions, now)

    def _plan(self, one: Plan | Skipped, now: float) -> None:
        if isinstance(one, Skipped):
            text = (
                f"{one.rule}: {one.action} does not apply to alert {one.alert_id[:8]}: {one.reason}"
            )
            self._note("", text, {"skipped": msgspec.to_builtins(one)})
            if one.action == "command":
                self._inform([tell.refused(one.rule, "", one.reason, now)])
            return
        action = self._means.actions[one.action]
        data = {"plan": msgspec.to_builtins(one), "effect": action.effect}
        text = f"{one.rule} asks for {one.action} on {one.target.words}"
        self._record.note(one.id, "planned", text, who=one.asked_by, data=data, now=now)

    def _begin_storm(self, asked: int, now: float) -> None:
        until = self._breaker.open_until
        text = f"a storm: {asked} responses were asked for at once, and none is made by itself"
        self._note("", text, {"storm_until": until})
        self._inform([tell.storm(asked, until, now)])

    def _end_storm(self) -> None:
        if self._unplanned and self._means.clock() >= self._breaker.open_until:
            text = f"the storm is over: {self._unplanned} responses were asked for and not made"
            self._note("", text, {"unplanned": self._unplanned})
            self._unplanned = 0

    def _take_orders(self) -> None:
        for order in self._store.orders(self._at.get("orders", 0)):
            if order.kind == "ask":
                self._ask(order)
            elif order.response in self._record.ledger.responses:
                self._obey(order, self._record.response(order.response))
            self._at["orders"] = order.seq

    def _ask(self, order: Order) -> None:
        found = self._alerts.alert(order.response)
        now = self._means.clock()
        if found is None:
            self._note("", f"{order.who} asks for {order.action}: there is no such alert", {})
            return
        wanted = ask(found.alert, order.action, self._means.actions, order.who, now)
        if isinstance(wanted, Plan):
            # A person may ask for the same again; each order is carried out once.
            number = digest("order", wanted.id, str(order.seq), str(order.time))
            wanted = msgspec.structs.replace(wanted, id=number)
            if self._record.ledger.known(wanted.id):
                return
        self._plan(wanted, now)

    def _obey(self, order: Order, response: Response) -> None:
        now = self._means.clock()
        match order.kind:
            case "approve":
                policy = self._means.policy(response.plan.rule)
                why = judge_approval(response, order, now, policy)
                if why is None:
                    self._decide(order, "approved", f"approved by {order.who}")
                else:
                    self._decline(order, why)
            case "reject" if response.state == "awaiting-approval":
                self._decide(order, "rejected", f"rejected by {order.who}")
            case "undo" if response.state in UNDOABLE:
                self._with_person.discard(response.plan.id)
                self._undoer.undo(response, order.who)
            case _:
                self._decline(order, f"it is {response.state}")

    def _decide(self, order: Order, state: str, text: str) -> None:
        data = {"order": order.seq, "note": order.note}
        self._record.note(
            order.response,
            "approved" if state == "approved" else "rejected",
            f"{text}: {order.note}" if order.note else text,
            who=order.who,
            data=data,
            now=self._means.clock(),
        )

    def _decline(self, order: Order, why: str) -> None:
        text = f"{order.who} asked to {order.kind} it, which does not count: {why}"
        data = {"order": order.seq}
        self._record.note(
            order.response, None, text, who=order.who, data=data, now=self._means.clock()
        )

    def _take_proofs(self) -> None:
        for proof in self._store.proofs(self._at.get("proofs", 0)):
            if self._record.knows(proof.response):
                self._prove(self._record.response(proof.response), proof)
            self._at["proofs"] = proof.seq

    def _prove(self, response: Response, proof: Proof) -> None:
        trail = self._record.trail(response.plan.id)
        if not trail.expects(proof):
            self._inform([tell.misused(response, proof, self._means.clock())])
            return
        if proof.audit_id not in trail.sent or proof.audit_id in trail.answers:
            return
        text = f"the audit log has it: {proof.verb} {proof.resource}, answered {proof.code}"
        self._note(response.plan.id, text, {"proof": msgspec.to_builtins(proof)})
        self._prove_all(response.plan.id)
        if response.state == "unknown":
            self._with_person.discard(response.plan.id)
            self.executor.not_before.pop(response.plan.id, None)

    def _prove_all(self, number: str) -> None:
        """Note that a response is verified once the audit log has all of it."""
        if self._record.response(number).state == "done" and self._record.trail(number).proved():
            text = "done, and the cluster's audit log proves it"
            self._record.note(number, "verified", text, now=self._means.clock())

    # What is open.

    def _work(self) -> bool:
        """Go on with what is open, the oldest first; return whether there is more."""
        clock, later = self._means.clock, self.executor.not_before
        end = clock() + WORK_SECONDS
        due = [one for one in self._record.ledger.pending() if later.get(one.plan.id, 0) <= clock()]
        for response in due:
            if clock() >= end:
                return True
            self._go_on(response)
        return False

    def _go_on(self, response: Response) -> None:
        now = self._means.clock()
        number = response.plan.id
        match response.state:
            case "planned" | "approved":
                self._run(response)
            case "awaiting-approval" if now >= response.expires:
                text = "nobody approved it in time"
                self._record.note(number, "expired", text, now=now)
            case "unknown" if number not in self._with_person:
                self.executor.not_before[number] = now + SETTLE_SECONDS
                self._ask_person(response, self._resumer.settle(response))
                self._prove_all(number)
            case "undoing" if number not in self._with_person:
                self.executor.not_before[number] = now + SETTLE_SECONDS
                self._ask_person(response, self._resumer.undoing(response))
            case "done" | "verified" if self._is_due(response, now):
                self._undo_in_time(response, now)

    def _run(self, response: Response) -> None:
        number = response.plan.id
        found = self._alerts.alert(response.plan.alert_id) if response.plan.alert_id else None
        self.executor.run(response, found)
        self._prove_all(number)
        now = self._record.response(number)
        if now.state == "refused" and now.plan.action == "command":
            plan = now.plan
            self._inform([tell.refused(plan.rule, plan.cluster, now.text, self._means.clock())])

    def _ask_person(self, response: Response, why: str | None) -> None:
        if why is None:
            return
        self._with_person.add(response.plan.id)
        self._note(response.plan.id, f"a person has to decide: {why}", {})
        self._inform([tell.unknown(response, why, self._means.clock())])

    def _is_due(self, response: Response, now: float) -> bool:
        return (
            0 < response.undo_at <= now
            and self._stopped is None
            and response.plan.id not in self._kept
        )

    def _undo_in_time(self, response: Response, now: float) -> None:
        number = response.plan.id
        self.executor.not_before[number] = now + _AGAIN_SECONDS
        settled = self._undoer.undo(response, "tocsin")
        if settled and self._record.response(number).state in {"done", "verified"}:
            # Somebody changed the object since: whoever did knows better than a timer.
            self._kept.add(number)
            why = "its time is over, and it could not be undone"
            self._inform([tell.unknown(response, why, now)])

    def _forget(self) -> None:
        now = self._means.clock()
        if now >= self._next_forget:
            self._next_forget = now + _FORGET_SECONDS
            self._record.forget(now)

    def _note(self, response: str, text: str, data: Mapping[str, object]) -> None:
        self._record.note(response, None, text, data=data, now=self._means.clock())
