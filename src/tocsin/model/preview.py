"""What a silence would have hidden: asked before it is made."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.matcher import Matcher, check, hides, literal
from tocsin.model.ports import AlertFilter
from tocsin.model.queries import AlertQueries, QueryTooWide

DAYS = 30
SHOWN = 5

_PAGE = 500
# Looked through one by one, where the store's indexes do not know a part of the matcher.
_MOST = 5000
_INDEXED = frozenset({"rule", "cluster", "user", "namespace"})


class Preview(msgspec.Struct, frozen=True):
    """The alerts of the last days that a matcher hides, the newest first.

    Attributes:
        count: how many, as far as was looked.
        complete: False if there may be more, as not all could be looked at in time.
        alerts: the first few.
    """

    count: int
    complete: bool
    alerts: list[Alert]


def preview(alerts: AlertQueries, matcher: Matcher, now: float) -> Preview:
    """Return what a silence with this matcher would have hidden.

    Raises:
        TocsinError: the matcher matches everything, or means nothing.
    """
    check(matcher)
    where = _narrowed(matcher, now)
    if where.rule_id and matcher.parts().keys() <= _INDEXED and _is_exact(matcher):
        try:
            count = alerts.count(where)
        except QueryTooWide:
            return _looked_through(alerts, matcher, where)
        return Preview(
            count, complete=True, alerts=[one.alert for one in alerts.alerts(where, SHOWN)]
        )
    return _looked_through(alerts, matcher, where)


def _looked_through(alerts: AlertQueries, matcher: Matcher, where: AlertFilter) -> Preview:
    found: list[Alert] = []
    count = looked = 0
    try:
        for alert in _newest(alerts, where):
            looked += 1
            if hides(matcher, alert):
                count += 1
                found += [alert][: SHOWN - len(found)]
    except QueryTooWide:
        return Preview(count, complete=False, alerts=found)
    return Preview(count, complete=looked < _MOST, alerts=found)


def _newest(alerts: AlertQueries, where: AlertFilter) -> Iterator[Alert]:
    """Yield matching alerts, the newest first, so many as can be looked at in time."""
    before = None
    for _ in range(_MOST // _PAGE):
        page = alerts.alerts(where, _PAGE, before)
        yield from (stored.alert for stored in page)
        if len(page) < _PAGE:
            return
        before = page[-1].seq


def _narrowed(matcher: Matcher, now: float) -> AlertFilter:
    """Return the part of a matcher that the store's indexes know."""
    since = datetime.fromtimestamp(now, UTC) - timedelta(days=DAYS)
    return AlertFilter(
        since=since.replace(second=0, microsecond=0),
        cluster=_text(matcher.cluster),
        rule_id=_text(matcher.rule),
        user=_text(matcher.user),
        namespace=_text(matcher.namespace),
    )


def _is_exact(matcher: Matcher) -> bool:
    return all(literal(pattern) is not None for pattern in matcher.parts().values())


def _text(pattern: str | None) -> str | None:
    return literal(pattern) if pattern else None
