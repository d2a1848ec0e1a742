"""What a batch of events says about the line, taken along while the batch is evaluated."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tocsin.lifeline.canary import PREFIX
from tocsin.model.event import NO_OBJECT, NO_STATUS, AuditEvent
from tocsin.model.ports import Kind
from tocsin.model.response import Proof

# Of all requests of our own, if it is not a lie.
_OWN = "tocsin-"
_COMPLETE = "ResponseComplete"

_SECOND = len("2026-11-23T10:45:16")


@dataclass(slots=True)
class Look:
    """What was seen in the batches of one post.

    `claims` are answered requests that say they are the responder's, each of which is yet to
    be verified.
    """

    times: set[str] = field(default_factory=set)
    canaries: list[str] = field(default_factory=list)
    claims: list[Proof] = field(default_factory=list)
    kinds: Counter[Kind] = field(default_factory=Counter)

    def take(self, events: Sequence[AuditEvent], *, kinds: bool) -> None:
        """Add a batch; `kinds` is whether its requests are to be counted by kind, which costs."""
        self.times.update([(event.stage_timestamp or "")[:_SECOND] for event in events])
        for event in [event for event in events if event.audit_id.startswith(_OWN)]:
            if event.audit_id.startswith(PREFIX):
                self.canaries.append(event.audit_id)
            elif event.stage == _COMPLETE:
                self.claims.append(_claim(event))
        if kinds:
            self.kinds.update([_kind(event) for event in events])


def _kind(event: AuditEvent) -> Kind:
    ref = event.object_ref or NO_OBJECT
    return event.verb, ref.api_group, ref.resource, ref.subresource, event.level


def _claim(event: AuditEvent) -> Proof:
    ref = event.object_ref or NO_OBJECT
    return Proof(
        response="",
        audit_id=event.audit_id,
        verb=event.verb,
        resource="/".join(filter(None, (ref.resource, ref.subresource))) or None,
        namespace=ref.namespace,
        name=ref.name,
        code=(event.response_status or NO_STATUS).code,
        time=event.stage_timestamp or "",
    )
