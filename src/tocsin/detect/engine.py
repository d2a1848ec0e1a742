"""Evaluate all rules on batches of events.

`match` is stateless and pure: an event and its rules give hits. Alerts are built for hits
only, and the stages of one request within a batch are folded into one alert per rule; the
store folds those that arrive later.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import itemgetter

from tocsin.detect.audit_ids import RULE as AUDIT_ID_REUSED
from tocsin.detect.audit_ids import AuditIds
from tocsin.detect.build import AlertBuilder, AlertForm, Redaction
from tocsin.detect.correlate.correlator import Completed, Correlator
from tocsin.detect.credential import OwnCredential, credential_rule
from tocsin.detect.minted import MintedForm, MintedTokens
from tocsin.detect.state import Bounded
from tocsin.detect.times import seconds
from tocsin.model.alert import Alert, merge
from tocsin.model.event import AuditEvent
from tocsin.rules.correlation import Correlation
from tocsin.rules.dispatch import DispatchStats, RuleSet
from tocsin.rules.ir import Rule
from tocsin.rules.schema import Schema

Form = AlertForm | Completed | MintedForm


class Engine:
    """A rule set in use; replacing the rules keeps everything else."""

    def __init__(
        self,
        rules: Sequence[Rule],
        schema: Schema,
        redaction: Redaction,
        correlations: Sequence[Correlation] = (),
    ) -> None:
        self._schema = schema
        self._builder = AlertBuilder(schema, redaction)
        self._audit_ids: dict[str, AuditIds] = {}
        self._audit_id_reused = self._form(AUDIT_ID_REUSED)
        self._credential: OwnCredential | None = None
        self.minted = MintedTokens()
        self.correlator = Correlator(schema, self._builder)
        self.replace_rules(rules, correlations)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self._rules.rules

    @property
    def stats(self) -> DispatchStats:
        """What the rule index did since the rules were loaded."""
        return self._rules.stats

    @property
    def remembering(self) -> Sequence[Bounded]:
        """What is remembered from event to event and must survive a restart."""
        return *self.correlator.state, self.minted

    def replace_rules(
        self, rules: Sequence[Rule], correlations: Sequence[Correlation] = ()
    ) -> None:
        """Put other rules in force, from the next event on."""
        self._rules = RuleSet(rules, self._schema)
        self._forms = [self._form(rule) for rule in rules]
        self.correlations = tuple(correlations)
        self.correlator.replace(rules, correlations)
        self._related = frozenset(
            number for number, rule in enumerate(rules) if self.correlator.concerns(rule)
        )

    def guard_credential(self, credential: OwnCredential) -> None:
        """Tell from now on when somebody else uses the responder's credential."""
        self._credential = credential
        self._credential_misused = self._form(credential_rule())

    def _form(self, rule: Rule) -> AlertForm:
        return AlertForm(rule, self._schema, self._builder)

    def candidates(self, event: AuditEvent) -> int:
        """Return how many rules are left to test on events of this kind."""
        return self._rules.candidates(self._rules.key(event))

    def match(self, events: Iterable[AuditEvent]) -> list[tuple[int, list[int]]]:
        """Return the index of each event that rules match, and the indices of these rules."""
        return self._rules.match_all(events) if self.rules else []

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
            form.build(events[index], raw(index), cluster)
            for index, form in self._hits(events, raw, cluster)
        )

    def _hits(
        self, events: Sequence[AuditEvent], raw: Callable[[int], bytes], cluster: str
    ) -> list[tuple[int, Form]]:
        """Return the index of each event that matched, and what builds its alert, in order."""
        if events:
            began = seconds(events[0].stage_timestamp or events[0].request_received_timestamp)
            self.correlator.first_times.begin(cluster, began)
        hits: list[tuple[int, Form]] = []
        for index, found in self.match(events):
            for number in found:
                if number not in self._related:
                    hits.append((index, self._forms[number]))
                else:
                    related = self._relate(number, events[index], partial(raw, index), cluster)
                    hits.extend((index, form) for form in related)
        own = self._of_tocsin(events, cluster)
        if own:
            hits.extend(own)
            hits.sort(key=itemgetter(0))
        return hits

    def _relate(
        self, number: int, event: AuditEvent, raw: Callable[[], bytes], cluster: str
    ) -> Iterator[Form]:
        """Yield what is told of a hit that may have to do with others."""
        rule = self.rules[number]
        if not self.correlator.is_news(rule, event, cluster):
            return
        if not rule.silent:
            yield self._forms[number]
        yield from self.correlator.take(rule.id, event, raw, cluster)

    def _of_tocsin(self, events: Sequence[AuditEvent], cluster: str) -> list[tuple[int, Form]]:
        """Return what is found without rules that can be written."""
        hits: list[tuple[int, Form]] = []
        reused = self._audit_ids.setdefault(cluster, AuditIds()).reused(events)
        hits.extend((index, self._audit_id_reused) for index in reused)
        misused = self._credential.misused(events, cluster) if self._credential else ()
        hits.extend((index, self._credential_misused) for index in misused)
        used = self.minted.used_elsewhere(events, cluster)
        hits.extend((index, MintedForm(token, self._builder)) for index, token in used)
        return hits


def fold_stages(alerts: Iterable[Alert]) -> list[Alert]:
    """Return one alert per rule and request, in the order of their first events."""
    folded: dict[str, Alert] = {}
    for alert in alerts:
        known = folded.get(alert.id)
        folded[alert.id] = alert if known is None else merge(known, alert)
    return list(folded.values())
