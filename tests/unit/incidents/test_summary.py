"""Summaries stay small, can be merged, and do not depend on order."""

import random

import msgspec

from tests.unit.incidents.samples import alert, pod
from tocsin.incidents.case import incident_of, new_case
from tocsin.incidents.summary import Summary
from tocsin.model.alert import Alert, Target, Technique
from tocsin.model.incident import Entity


def summary_of(alerts: list[Alert]) -> Summary:
    summary = Summary()
    for one in alerts:
        summary.add(one)
    return summary


def many(count: int) -> list[Alert]:
    return [
        alert(
            f"a{n}",
            n / 100,
            user=f"user{n % 300}",
            rule=f"r{n % 60}",
            severity=("low", "medium", "high")[n % 3],
            target=pod(f"ns{n % 7}", f"pod{n}"),
            attack=(Technique(f"T{n % 11}", None, (f"tactic{n % 5}",)),),
        )
        for n in range(count)
    ]


def test_parts_merged_in_any_order_tell_the_same() -> None:
    alerts = many(800)
    whole = summary_of(alerts)
    chance = random.Random(7)
    for _ in range(3):
        chance.shuffle(alerts)
        parts = [summary_of(alerts[:300]), summary_of(alerts[300:350]), summary_of(alerts[350:])]
        chance.shuffle(parts)
        merged = Summary()
        for part in parts:
            merged.merge(part)
        for view in ("counts", "steps", "actors_seen", "techniques_seen", "entities_seen"):
            left, right = getattr(merged, view), getattr(whole, view)
            assert (left() if callable(left) else left) == (right() if callable(right) else right)
        assert (merged.first_seen, merged.last_seen) == (whole.first_seen, whole.last_seen)
        assert merged.tactics == whole.tactics


def test_a_summary_stays_small_and_tells_what_it_leaves_out() -> None:
    alerts = many(1200)
    case = new_case(alerts[0], 1.0)
    case.summary = summary_of(alerts)
    incident = incident_of(case, 2.0)
    assert len(msgspec.json.encode(case.summary)) < 200_000
    assert (len(incident.actors), incident.actors_left_out) == (50, 150)
    assert (len(incident.entities), incident.entities_left_out) == (100, 400)
    assert incident.alerts == 1200
    assert len(incident.steps) + incident.steps_left_out == 1200
    assert len(incident.steps) == 200
    # The worst rules keep their steps.
    assert sum(step.severity == "high" for step in incident.steps) == 100


def test_techniques_are_in_order_of_first_use() -> None:
    late, early = (Technique(name, None, ()) for name in ("T1", "T2"))
    summary = summary_of([alert("b", 5, attack=(late,)), alert("a", 1, attack=(early, late))])
    assert [technique.technique for technique in summary.techniques_seen()] == ["T2", "T1"]


def test_entities_are_what_requests_touched() -> None:
    everything = alert("a", 0, target=Target("list", "", "secrets"))
    nothing = alert("b", 1, target=Target("create", "", "pods", None, "shop"))
    node = alert("c", 2, user=None, fields={"node": "node-a"})
    node = msgspec.structs.replace(node, source="health")
    assert summary_of([everything, nothing, node]).entities_seen() == (
        Entity("secret", "*"),
        Entity("node", "node-a"),
    )
