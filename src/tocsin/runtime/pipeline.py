"""Bytes to alerts: decode, then evaluate. The same code for stored posts and for files."""

import gc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tocsin.detect.build import Redaction
from tocsin.detect.engine import Engine, fold_stages
from tocsin.model.alert import Alert
from tocsin.model.event import AuditEvent
from tocsin.normalize.batch import Batch, Reject
from tocsin.normalize.bodies import unreadable_bodies
from tocsin.normalize.decode import decode, decode_pieces
from tocsin.normalize.fields import AUDIT, decode_body
from tocsin.normalize.redact import holds_secret, redact
from tocsin.rules.ir import Rule

Onlooker = Callable[[Sequence[AuditEvent]], None]


@dataclass(slots=True)
class Outcome:
    """What became of one body: how many events were evaluated, what they gave, what was bad."""

    events: int = 0
    alerts: list[Alert] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


def new_engine(rules: Sequence[Rule]) -> Engine:
    """Return an engine for audit events."""
    return Engine(rules, AUDIT, Redaction(holds_secret, redact))


def settle() -> None:
    """Spare the garbage collector what is here to stay; call it when rules are loaded.

    Events make many short-lived objects and hardly any cycles: looking at all of the rules
    again every few hundred objects costs a tenth of the speed.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class Pipeline:
    """Decodes bodies and evaluates their events under the rules in force.

    `look`, if there is one, is shown the events of each batch; it must not keep them.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.engine = new_engine(rules)
        self.look: Onlooker | None = None

    def process(self, body: bytes, cluster: str) -> Outcome:
        """Evaluate all events of one body."""
        return self._evaluate(decode(body), cluster)

    def process_pieces(self, pieces: Iterable[bytes], cluster: str) -> Outcome:
        """Evaluate a body that is too large to be held at once."""
        total = Outcome()
        for batch in decode_pieces(pieces):
            outcome = self._evaluate(batch, cluster)
            total.events += outcome.events
            total.alerts.extend(outcome.alerts)
            total.rejects.extend(outcome.rejects)
        total.alerts = fold_stages(total.alerts)
        return total

    def _evaluate(self, batch: Batch, cluster: str) -> Outcome:
        unread = decode_body.failures
        alerts = self.engine.evaluate(batch.events, batch.raw, cluster)
        decode_body.forget()
        if decode_body.failures > unread:
            batch.rejects.extend(unreadable_bodies(batch))
        if self.look is not None:
            self.look(batch.events)
        return Outcome(len(batch.events), alerts, batch.rejects)
