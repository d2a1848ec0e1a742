"""Bytes to alerts: decode, then evaluate. The same code for stored posts and for files."""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from tocsin.detect.build import AlertBuilder, Redaction
from tocsin.detect.engine import Engine, fold_stages
from tocsin.model.alert import Alert
from tocsin.model.event import AuditEvent
from tocsin.normalize.batch import Batch, Reject
from tocsin.normalize.bodies import unreadable_bodies
from tocsin.normalize.decode import decode, decode_pieces
from tocsin.normalize.fields import AUDIT, decode_body
from tocsin.normalize.redact import holds_secret, redact
from tocsin.rules.correlation import Correlation
from tocsin.rules.ir import Rule
from tocsin.runtime.wazuh import Wazuh
from tocsin.runtime.wazuhnode import WazuhHit, WazuhNode

# Of how many rules that were given up it is told which.
MAX_TOLD = 10

_REDACTION = Redaction(holds_secret, redact)

Onlooker = Callable[[Sequence[AuditEvent]], None]


@dataclass(slots=True)
class Outcome:
    """What became of one body: how many events were evaluated, what they gave, what was bad.

    `wazuh` are the hits among the alerts that Wazuh rules gave, event by event. `unevaluated`
    counts events by what was given up on them, as it cost too much: "rule 5710".
    """

    events: int = 0
    alerts: list[Alert] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    wazuh: list[WazuhHit] = field(default_factory=list)
    unevaluated: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Outcome") -> None:
        """Add the outcome of a further part of the body."""
        self.events += other.events
        self.alerts.extend(other.alerts)
        self.rejects.extend(other.rejects)
        self.wazuh.extend(other.wazuh)
        self.unevaluated.update(other.unevaluated)


def new_engine(rules: Sequence[Rule], correlations: Sequence[Correlation] = ()) -> Engine:
    """Return an engine for audit events."""
    return Engine(rules, AUDIT, _REDACTION, correlations)


def new_wazuh_node(wazuh: Wazuh) -> WazuhNode:
    """Return the rules of a Wazuh installation, ready for audit events."""
    return WazuhNode(wazuh, AlertBuilder(AUDIT, _REDACTION))


def not_evaluated(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a sentence for each rule or decoder that was given up on events, the first few."""
    for name, count in islice(counts.items(), MAX_TOLD):
        events = "1 event" if count == 1 else f"{count:,} events"
        yield f"{name} was not evaluated on {events}: it cost too much to search them"
    if len(counts) > MAX_TOLD:
        yield f"{len(counts) - MAX_TOLD} more rules were not evaluated on some events"


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

    def __init__(
        self,
        rules: Sequence[Rule],
        wazuh: Iterable[Wazuh] = (),
        correlations: Sequence[Correlation] = (),
    ) -> None:
        self.engine = new_engine(rules, correlations)
        self.wazuh = [new_wazuh_node(one) for one in wazuh]
        self.look: Onlooker | None = None

    @property
    def rule_count(self) -> int:
        """How many rules are in force, of all dialects."""
        engine = self.engine
        return (
            len(engine.rules)
            + len(engine.correlations)
            + sum(node.wazuh.count for node in self.wazuh)
        )

    def replace_wazuh(self, fresh: Iterable[Wazuh]) -> None:
        """Put Wazuh files in force that changed; one that did not keeps its memory.

        Files that are not among `fresh` did not load: their former rules stay.
        """
        nodes = {node.wazuh.files: node for node in self.wazuh}
        for one in fresh:
            known = nodes.get(one.files)
            if known is None or known.wazuh.version != one.version:
                nodes[one.files] = new_wazuh_node(one)
        self.wazuh = list(nodes.values())

    def process(self, body: bytes, cluster: str) -> Outcome:
        """Evaluate all events of one body."""
        return self._evaluate(decode(body), cluster)

    def process_pieces(self, pieces: Iterable[bytes], cluster: str) -> Outcome:
        """Evaluate a body that is too large to be held at once."""
        total = Outcome()
        for batch in decode_pieces(pieces):
            total.add(self._evaluate(batch, cluster))
        total.alerts = fold_stages(total.alerts)
        return total

    def _evaluate(self, batch: Batch, cluster: str) -> Outcome:
        unread = decode_body.failures
        outcome = Outcome(len(batch.events), rejects=batch.rejects)
        outcome.alerts = self.engine.evaluate(batch.events, batch.raw, cluster)
        for node in self.wazuh:
            found = node.evaluate(batch.events, batch.raw, cluster)
            outcome.wazuh.extend(found.hits)
            outcome.unevaluated.update(found.unevaluated)
        if outcome.wazuh:
            outcome.alerts = fold_stages([*outcome.alerts, *(hit.alert for hit in outcome.wazuh)])
        decode_body.forget()
        if decode_body.failures > unread:
            batch.rejects.extend(unreadable_bodies(batch))
        if self.look is not None:
            self.look(batch.events)
        return outcome
