"""Who is told about an alert: routes from the top, the first that matches decides.

Pure. The channels' own lowest severities apply after the routes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from tocsin.model.alert import SEVERITIES, Alert, Severity


class Route(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"further": "continue"},
):
    """Where alerts go that match all of it; what is empty does not restrict.

    Texts match as they are; one that ends in `*` matches what begins so. A technique includes
    its sub-techniques.

    Attributes:
        to: the channels; none is nobody.
        min_severity: only alerts, or incidents, at least this bad.
        clusters: names of clusters.
        namespaces: namespaces of the alert's target.
        rules: ids of rules.
        tags: one of them is among the rule's tags.
        techniques: ATT&CK ids, one of which is among the rule's.
        further: whether the routes below are tried as well.
    """

    to: tuple[str, ...]
    min_severity: Severity = "info"
    clusters: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    further: bool = False


class Routed(NamedTuple):
    """Who is told, and by which routes (counted from 0); none when no route matched."""

    channels: tuple[str, ...]
    routes: tuple[int, ...]


def route(
    alert: Alert,
    channels: Mapping[str, Severity],
    routes: Sequence[Route],
    severity: Severity | None = None,
) -> Routed:
    """Return which channels are told about an alert.

    What no route matches goes to every channel: a gap in the routes must not silence anything.

    Args:
        alert: the alert.
        channels: the lowest severity that each channel wants.
        routes: the routes, the first one first.
        severity: of the alert's incident, where that is worse than the alert.
    """
    worst = severity or alert.rule.severity
    matched = []
    for number, one in enumerate(routes):
        if _matches(one, alert, worst):
            matched.append(number)
            if not one.further:
                break
    named = [name for number in matched for name in routes[number].to] if matched else channels
    rank = SEVERITIES.index(worst)
    wanted = (name for name in named if name in channels)
    told = dict.fromkeys(name for name in wanted if rank >= SEVERITIES.index(channels[name]))
    return Routed(tuple(told), tuple(matched))


def _matches(one: Route, alert: Alert, severity: Severity) -> bool:
    techniques = [attack.technique for attack in alert.rule.attack]
    parents = [technique.partition(".")[0] for technique in techniques]
    wanted = (
        (one.clusters, [alert.cluster]),
        (one.namespaces, [alert.target.namespace or ""]),
        (one.rules, [alert.rule.id]),
        (one.tags, alert.rule.tags),
        (one.techniques, [*techniques, *parents]),
    )
    return SEVERITIES.index(severity) >= SEVERITIES.index(one.min_severity) and all(
        not patterns or any(_is_like(text, pattern) for text in texts for pattern in patterns)
        for patterns, texts in wanted
    )


def _is_like(text: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern
