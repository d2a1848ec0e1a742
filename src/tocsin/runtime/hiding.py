"""Which alerts nobody is told of: those that silences hide, and then what is suppressed.

Silences come first, so that what they hide does not use up what suppression lets through.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from tocsin.detect.suppress import QUOTED, Suppression
from tocsin.model.alert import Alert
from tocsin.model.silence import SUPPRESSED, Silence, silence_of
from tocsin.rules.correlation import Correlation
from tocsin.rules.ir import Rule, Suppress
from tocsin.rules.suppress import WrittenSuppress
from tocsin.store.sqlite import SqliteStore

Settings = Mapping[str, WrittenSuppress]


def suppressing(rules: Iterable[Rule], settings: Settings) -> Iterator[Rule]:
    """Yield rules with the suppression that is in force, whose alerts quote what it needs."""
    for rule in rules:
        own = settings.get(rule.id)
        suppress = own.to_ir() if own else rule.suppress
        wanted = suppress.by if suppress else ()
        missing = [path for path in wanted if path not in QUOTED and path not in rule.fields]
        yield msgspec.structs.replace(rule, suppress=suppress, fields=(*rule.fields, *missing))


def suppressions(
    rules: Iterable[Rule], correlations: Iterable[Correlation], settings: Settings
) -> dict[str, Suppress]:
    """Return what is suppressed, by rule id, of rules of every dialect."""
    own = {rule.id: rule.suppress for rule in rules if rule.suppress}
    own |= {one.id: one.suppress for one in correlations if one.suppress}
    return own | {name: one.to_ir() for name, one in settings.items()}


def silenced(store: SqliteStore, alerts: Sequence[Alert], now: float) -> dict[str, str]:
    """Return what hides alerts that no rule's suppression is about, by alert id.

    Raises:
        StoreUnavailable: the store cannot be read now.
    """
    silences = store.silences.active(now) if alerts else []
    found = ((alert.id, silence_of(alert, silences, now)) for alert in alerts)
    return {alert_id: silence.mark for alert_id, silence in found if silence}


def hidden(
    store: SqliteStore,
    suppression: Suppression,
    alerts: Sequence[Alert],
    unauthenticated: Sequence[Alert],
    now: float,
) -> dict[str, str]:
    """Return what hides alerts that are about to be stored, by alert id.

    Raises:
        StoreUnavailable: the store cannot be read now.
    """
    silences = store.silences.active(now) if alerts or unauthenticated else []
    # Of one that comes both ways, what the authenticated sender says counts.
    marks = {
        alert.id: _mark(alert, silences, suppression, now, authenticated=authenticated)
        for some, authenticated in ((unauthenticated, False), (alerts, True))
        for alert in some
    }
    return {alert_id: mark for alert_id, mark in marks.items() if mark}


def _mark(
    alert: Alert,
    silences: Sequence[Silence],
    suppression: Suppression,
    now: float,
    *,
    authenticated: bool,
) -> str | None:
    silence = silence_of(alert, silences, now)
    if silence is not None:
        return silence.mark
    return SUPPRESSED if suppression.hides(alert, authenticated=authenticated) else None
