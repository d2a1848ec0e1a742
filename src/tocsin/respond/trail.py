"""What the journal says of the requests of one response: those made, those proved, what is next.

The counterpart of `ledger`, which has what people see: this is what is needed to go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from tocsin.model.response import SUCCESS, Call, Entry, Proof
from tocsin.respond.actions.base import Prepared

_VERBS: Mapping[str, frozenset[str]] = {
    "create": frozenset({"create"}),
    "patch": frozenset({"patch", "update"}),
    "delete": frozenset({"delete"}),
}


@dataclass(slots=True)
class Trail:
    """The requests of one response.

    Attributes:
        prepared: the action on the live object, as it was read last.
        approver: the person who approved it; empty without.
        attempts: how often it was started.
        last_mark: the highest number of an Audit-ID.
        sent: the calls of the last attempt, or of its undo, by their Audit-IDs.
        tried: the calls that the API server was asked to try only, by their Audit-IDs.
        undoing: whether the last calls were those of the way back.
        answers: the answers that the audit log has, by Audit-ID.
        half_done: whether some of its changes may have been made, and others not.
        ended_at: when its last attempt ended, as far as is known.
    """

    prepared: Prepared | None = None
    approver: str = ""
    attempts: int = 0
    last_mark: int = 0
    sent: dict[str, Call] = field(default_factory=dict)
    tried: dict[str, Call] = field(default_factory=dict)
    undoing: bool = False
    answers: dict[str, int | None] = field(default_factory=dict)
    half_done: bool = False
    ended_at: float = 0.0

    def take(self, entry: Entry) -> None:
        """Add a line of the journal."""
        data = entry.data
        if "prepared" in data:
            self.prepared = msgspec.convert(data["prepared"], Prepared)
        if entry.state == "approved" and entry.who != "tocsin":
            self.approver = entry.who
        if entry.state == "awaiting-approval":
            self.approver = ""
        if "audit_ids" in data:
            self._begin(entry)
        if isinstance(audit_id := data.get("audit_id"), str):
            self._number([audit_id])
            if "call" in data:
                known = self.tried if data.get("dry_run") else self.sent
                known[audit_id] = msgspec.convert(data["call"], Call)
        if "proof" in data:
            proof = msgspec.convert(data["proof"], Proof)
            self.answers[proof.audit_id] = proof.code
        if entry.state in {"done", "failed", "unknown"}:
            self.ended_at = entry.time
            self.half_done = entry.state == "unknown" and len(self.sent) > 1

    def expects(self, proof: Proof) -> bool:
        """Return whether an audit event is of a call of ours, and not of another under its mark."""
        call = self.sent.get(proof.audit_id) or self.tried.get(proof.audit_id)
        return call is not None and _fits(call, proof)

    def proved(self) -> bool:
        """Return whether the audit log has a good answer for each call of the last attempt."""
        codes = [self.answers.get(audit_id) for audit_id in self.sent]
        return bool(codes) and all(code is not None and code in SUCCESS for code in codes)

    def _begin(self, entry: Entry) -> None:
        self.undoing = entry.state != "started"
        if not self.undoing:
            self.attempts += 1
            self.answers = {}
        known = self.prepared.calls if self.prepared else ()
        calls = msgspec.convert(entry.data.get("calls", msgspec.to_builtins(known)), list[Call])
        audit_ids = msgspec.convert(entry.data.get("audit_ids", []), list[str])
        self.sent = dict(zip(audit_ids, calls, strict=False))
        self._number(audit_ids)

    def _number(self, audit_ids: object) -> None:
        for audit_id in audit_ids if isinstance(audit_ids, list) else ():
            number = str(audit_id).rpartition("-")[0].rpartition("-")[2]
            if number.isdecimal():
                self.last_mark = max(self.last_mark, int(number))


def _fits(call: Call, proof: Proof) -> bool:
    target = call.target
    resource = "/".join(filter(None, (target.resource, call.subresource)))
    return (
        proof.verb in _VERBS[call.verb]
        and proof.resource == resource
        and (proof.namespace or None) == (target.namespace or None)
        and (proof.name or target.name) == target.name
    )
