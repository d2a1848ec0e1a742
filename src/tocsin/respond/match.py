"""Which alerts ask for a response."""

import msgspec

from tocsin.model.alert import SEVERITIES, Alert, Severity
from tocsin.respond.globs import is_any


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an alert must be to ask for a response: all of it; what is empty does not restrict.

    In texts, `*` stands for any characters. A technique includes its sub-techniques.

    Attributes:
        rules: ids of the alert's rule.
        severity: the lowest severity.
        techniques: ATT&CK ids, one of which is among the rule's.
        tags: one of them is among the rule's.
        namespaces: namespaces of the alert's target.
        not_namespaces: namespaces that are left alone.
        users: who caused the alert, by the authenticated name.
        not_users: who is left alone.
    """

    rules: tuple[str, ...] = ()
    severity: Severity | None = None
    techniques: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    not_users: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would respond to every alert; msgspec reports the path."""
        if not (self.rules or self.severity or self.techniques or self.tags):
            message = "`when` needs rules, a severity, techniques or tags"
            raise ValueError(message)

    def matches(self, alert: Alert) -> bool:
        """Return whether the alert asks."""
        return (
            self._is_bad_enough(alert)
            and self._names_rule(alert)
            and _is_allowed(alert.target.namespace or "", self.namespaces, self.not_namespaces)
            and _is_allowed(alert.actor.user or "", self.users, self.not_users)
        )

    def _is_bad_enough(self, alert: Alert) -> bool:
        lowest = SEVERITIES.index(self.severity or "info")
        return SEVERITIES.index(alert.rule.severity) >= lowest

    def _names_rule(self, alert: Alert) -> bool:
        techniques = [attack.technique for attack in alert.rule.attack]
        parents = [technique.partition(".")[0] for technique in techniques]
        wanted = (
            (self.rules, [alert.rule.id]),
            (self.techniques, [*techniques, *parents]),
            (self.tags, alert.rule.tags),
        )
        return all(
            not patterns or any(is_any(text, patterns) for text in texts)
            for patterns, texts in wanted
        )


def _is_allowed(text: str, only: tuple[str, ...], never: tuple[str, ...]) -> bool:
    return (not only or is_any(text, only)) and not is_any(text, never)
