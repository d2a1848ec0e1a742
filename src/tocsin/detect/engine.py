"""Evaluate all rules on batches of events.

`match` is stateless and pure: an event and its rules give hits. Alerts are built for hits
only, and the stages of one request within a batch are folded into one alert per rule; the
store folds those that arrive later.
"""

from collections.abc import Callable, Iterable, Sequence

from tocsin.detect.audit_ids import RULE as AUDIT_ID_REUSED
from tocsin.detect.audit_ids import AuditIds
from tocsin.detect.build import AlertBuilder, Redaction
from tocsin.model.alert import Alert, merge
from tocsin.model.event import NO_OBJECT, AuditEvent
from tocsin.rules.dispatch import DispatchStats, Key, RuleSet
from tocsin.rules.ir import Rule
from tocsin.rules.schema import Schema


class Engine:
    """A rule set in use; replacing the rules keeps everything else."""

    def __init__(self, rules: Sequence[Rule], schema: Schema, redaction: Redaction) -> None:
        self._schema = schema
        self._rules = RuleSet(rules, schema)
        self._builder = AlertBuilder(schema, redaction)
        self._audit_ids: dict[str, AuditIds] = {}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self._rules.rules

    @property
    def stats(self) -> DispatchStats:
        """What the rule index did since the rules were loaded."""
        return self._rules.stats

    def replace_rules(self, rules: Sequence[Rule]) -> None:
        """Put other rules in force, from the next event on."""
        self._rules = RuleSet(rules, self._schema)

    def candidates(self, key: Key) -> int:
        """Return how many rules are left to test on events of one kind."""
        return self._rules.candidates(key)

    def match(self, event: AuditEvent) -> Sequence[int]:
        """Return the indices of the rules that match an event."""
        return self._rules.match(event, key_of(event))

    def evaluate(
        self, events: Sequence[AuditEvent], raw: Callable[[int], bytes], cluster: str
    ) -> list[Alert]:
        """Return the alerts of a batch, in the order of their first events.

        Args:
            events: the events, in the order of arrival.
            raw: returns the exact bytes of the event at an index.
            cluster: where the events come from.
        """
        # Match all before building any alert: each is faster by itself than in turns.
        return fold_stages(
            self._builder.build(rule, events[index], raw(index), cluster)
            for index, rule in self._hits(events, cluster)
        )

    def _hits(self, events: Sequence[AuditEvent], cluster: str) -> list[tuple[int, Rule]]:
        """Return the index of each event that matched, and the rule, in the order of events."""
        match, rules = self._rules.match, self._rules.rules
        reused = self._audit_ids.setdefault(cluster, AuditIds()).reused
        hits: list[tuple[int, Rule]] = []
        for index, event in enumerate(events):
            found = match(event, key_of(event))
            if found:
                hits.extend((index, rules[hit]) for hit in found)
            if reused(event):
                hits.append((index, AUDIT_ID_REUSED))
        return hits


def key_of(event: AuditEvent) -> Key:
    """Return what rules are indexed by: verb, resource and subresource."""
    ref = event.object_ref or NO_OBJECT
    return event.verb, ref.resource, ref.subresource


def fold_stages(alerts: Iterable[Alert]) -> list[Alert]:
    """Return one alert per rule and request, in the order of their first events."""
    folded: dict[str, Alert] = {}
    for alert in alerts:
        known = folded.get(alert.id)
        folded[alert.id] = alert if known is None else merge(known, alert)
    return list(folded.values())
