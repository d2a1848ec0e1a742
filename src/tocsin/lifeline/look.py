"""What a batch of events says about the line, taken along while the batch is evaluated."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tocsin.lifeline.canary import PREFIX
from tocsin.model.event import NO_OBJECT, AuditEvent
from tocsin.model.ports import Kind

_SECOND = len("2026-11-23T10:45:16")


@dataclass(slots=True)
class Look:
    """What was seen in the batches of one post."""

    times: set[str] = field(default_factory=set)
    canaries: list[str] = field(default_factory=list)
    kinds: Counter[Kind] = field(default_factory=Counter)

    def take(self, events: Sequence[AuditEvent], *, kinds: bool) -> None:
        """Add a batch; `kinds` is whether its requests are to be counted by kind, which costs."""
        self.times.update([(event.stage_timestamp or "")[:_SECOND] for event in events])
        self.canaries += [event.audit_id for event in events if event.audit_id.startswith(PREFIX)]
        if kinds:
            self.kinds.update([_kind(event) for event in events])


def _kind(event: AuditEvent) -> Kind:
    ref = event.object_ref or NO_OBJECT
    return event.verb, ref.api_group, ref.resource, ref.subresource, event.level
