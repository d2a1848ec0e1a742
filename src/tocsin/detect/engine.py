"""Evaluate all rules on batches of events.

`match` is stateless and pure: an event and its rules give hits. Alerts are built for hits
only, and the stages of one request within a batch are folded into one alert per rule; the
store folds those that arrive later.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter

from tocsin.detect.audit_ids import RULE as AUDIT_ID_REUSED
from tocsin.detect.audit_ids import AuditIds
from tocsin.detect.build import AlertBuilder, AlertForm, Redaction
from tocsin.detect.credential import OwnCredential, credential_rule
from tocsin.detect.minted import MintedForm, MintedTokens
from tocsin.model.alert import Alert, merge
from tocsin.model.event import AuditEvent
from tocsin.rules.dispatch import DispatchStats, RuleSet
from tocsin.rules.ir import Rule
from tocsin.rules.schema import Schema


class Engine:
    """A rule set in use; replacing the rules keeps everything else."""

    def __init__(self, rules: Sequence[Rule], schema: Schema, redaction: Redaction) -> None:
        self._schema = schema
        self._builder = AlertBuilder(schema, redaction)
        self._audit_ids: dict[str, AuditIds] = {}
        self._audit_id_reused = self._form(AUDIT_ID_REUSED)
        self._credential: OwnCredential | None = None
        self._minted = MintedTokens()
        self.replace_rules(rules)

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
        self._forms = [self._form(rule) for rule in rules]

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
            for index, form in self._hits(events, cluster)
        )

    def _hits(
        self, events: Sequence[AuditEvent], cluster: str
    ) -> list[tuple[int, AlertForm | MintedForm]]:
        """Return the index of each event that matched, and its rule's alert, in order."""
        hits: list[tuple[int, AlertForm | MintedForm]] = [
            (index, self._forms[hit]) for index, found in self.match(events) for hit in found
        ]
        reused = self._audit_ids.setdefault(cluster, AuditIds()).reused(events)
        hits.extend((index, self._audit_id_reused) for index in reused)
        misused = self._credential.misused(events, cluster) if self._credential else ()
        hits.extend((index, self._credential_misused) for index in misused)
        used = self._minted.used_elsewhere(events, cluster)
        hits.extend((index, MintedForm(token, self._builder)) for index, token in used)
        if reused or misused or used:
            hits.sort(key=itemgetter(0))
        return hits


def fold_stages(alerts: Iterable[Alert]) -> list[Alert]:
    """Return one alert per rule and request, in the order of their first events."""
    folded: dict[str, Alert] = {}
    for alert in alerts:
        known = folded.get(alert.id)
        folded[alert.id] = alert if known is None else merge(known, alert)
    return list(folded.values())
