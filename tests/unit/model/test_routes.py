"""Who is told about an alert."""

from typing import Any

import pytest

from tests.unit.store.samples import make_alert, with_severity
from tocsin.model.alert import RuleRef, Severity, Technique
from tocsin.model.routes import Route, route

CHANNELS: dict[str, Severity] = {"pager": "high", "chat": "info", "mail": "info"}
# Critical to the pager, the rest to the chat, staging to nobody but by mail.
ROUTES = (
    Route(to=("mail",), clusters=("staging",)),
    Route(to=("pager",), min_severity="critical"),
    Route(to=("chat",)),
)


def told(routes: tuple[Route, ...], severity: str = "high", **changes: Any) -> tuple[str, ...]:
    return route(with_severity(make_alert(**changes), severity), CHANNELS, routes).channels


def test_without_routes_every_channel_is_told_what_it_wants() -> None:
    assert told((), "critical") == ("pager", "chat", "mail")
    assert told((), "medium") == ("chat", "mail")


def test_the_first_route_that_matches_decides() -> None:
    assert told(ROUTES, "critical") == ("pager",)
    assert told(ROUTES, "high") == ("chat",)
    assert told(ROUTES, "critical", cluster="staging") == ("mail",)
    assert route(make_alert(), CHANNELS, ROUTES).routes == (2,)


def test_a_route_may_go_on_to_the_next() -> None:
    both = (Route(to=("pager", "mail"), further=True), Route(to=("chat", "mail")))
    assert told(both) == ("pager", "mail", "chat")
    assert route(make_alert(), CHANNELS, both).routes == (0, 1)


def test_nobody_is_told_only_where_a_route_says_so() -> None:
    assert told((Route(to=(), clusters=("prod",)),)) == ()
    assert told((Route(to=("chat",), clusters=("lab",)),)) == ("pager", "chat", "mail")


def test_the_lowest_severity_of_a_channel_still_holds() -> None:
    assert told((Route(to=("pager", "chat")),), "medium") == ("chat",)


def test_an_incident_that_is_worse_than_the_alert_decides() -> None:
    alert = with_severity(make_alert(), "medium")
    assert route(alert, CHANNELS, ROUTES, "critical").channels == ("pager",)


RULE = RuleRef(
    "5c1b",
    "Title",
    "sigma",
    "high",
    "high",
    ("attack.t1098.006", "k8s"),
    (Technique("T1098.006"), Technique("T1611")),
)


@pytest.mark.parametrize(
    ("matcher", "matches"),
    [
        ({"clusters": ("prod",)}, True),
        ({"clusters": ("pro",)}, False),
        ({"clusters": ("pro*",)}, True),
        ({"clusters": ("lab", "*")}, True),
        ({"clusters": ("[p]rod",)}, False),
        ({"namespaces": ("shop",)}, True),
        ({"namespaces": ("kube-*",)}, False),
        ({"rules": ("5c1b",)}, True),
        ({"rules": ("5c1",)}, False),
        ({"tags": ("k8s",)}, True),
        ({"tags": ("linux",)}, False),
        ({"techniques": ("T1098.006",)}, True),
        ({"techniques": ("T1098",)}, True),
        ({"techniques": ("T109",)}, False),
        ({"techniques": ("T1611", "T1")}, True),
        ({"min_severity": "high"}, True),
        ({"min_severity": "critical"}, False),
        ({"namespaces": ("shop",), "rules": ("other",)}, False),
    ],
)
def test_what_a_route_matches(matcher: dict[str, Any], *, matches: bool) -> None:
    found = route(make_alert(rule=RULE), CHANNELS, (Route(to=("mail",), **matcher),))
    assert found.routes == ((0,) if matches else ())


def test_an_alert_without_a_namespace_matches_none() -> None:
    bare = make_alert(target=type(make_alert().target)())
    found = route(bare, CHANNELS, (Route(to=("mail",), namespaces=("shop",)),))
    assert found.routes == ()
