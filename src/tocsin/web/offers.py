"""What could be done about some alerts, best first, beside what is being done already.

Best is what touches least, of that what can be undone, and of that what the worst alert is
about. Of several alerts about one object the latest counts: its evidence is fresh.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.model.alert import SEVERITIES, Alert
from tocsin.model.response import FINAL, ObjectRef, Response, ResponseFilter
from tocsin.web.responding import ActionWords
from tocsin.web.site import Site

MAX_RESPONSES = 50
# Of an action, for so many objects; alerts about others have pages of their own.
MAX_OF_ACTION = 2

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Offer:
    """An action that fits an alert.

    `response` is one under way for the same object; `asked_by` is who proposed it, while the
    responder has not looked at that.
    """

    action: ActionWords
    target: ObjectRef
    alert: Alert
    response: Response | None = None
    asked_by: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What can be done, of which `left_out` are not among the offers, and what was done."""

    offers: Sequence[Offer]
    left_out: int
    responses: Sequence[Response]


def choice(site: Site, alerts: Sequence[Alert]) -> Choice:
    """Return what can be done about alerts; asks the store."""
    store = site.responses
    ids = tuple(alert.id for alert in alerts)
    found = store.responses(ResponseFilter(alerts=ids), MAX_RESPONSES) if ids else []
    under_way = {
        _key(one.plan.action, one.plan.cluster, one.plan.target): one
        for one in found
        if one.state not in FINAL
    }
    asked = {
        (one.response, one.action): one.who
        for one in store.orders(store.position().get("orders", 0))
        if one.kind == "ask"
    }
    fitting: dict[_Key, Offer] = {}
    for alert in sorted(alerts, key=lambda one: one.time):
        for one in site.responding.possible(alert):
            key = _key(one.action.name, alert.cluster, one.target)
            fitting[key] = Offer(
                one.action,
                one.target,
                alert,
                under_way.get(key),
                asked.get((alert.id, one.action.name), ""),
            )
    shown: list[Offer] = []
    counts: Counter[str] = Counter()
    for offer in sorted(fitting.values(), key=_rank):
        counts[offer.action.name] += 1
        if counts[offer.action.name] <= MAX_OF_ACTION:
            shown.append(offer)
    return Choice(shown, len(fitting) - len(shown), found)


def _rank(offer: Offer) -> tuple[int, bool, bool, str, int]:
    action, severity = offer.action, offer.alert.rule.severity
    return (
        action.width,
        not action.reversible,
        action.destructive,
        action.name,
        -SEVERITIES.index(severity),
    )


def _key(action: str, cluster: str, target: ObjectRef) -> _Key:
    return action, cluster, target.path
