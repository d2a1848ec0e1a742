"""What becomes of two recordings of a control plane under attack: a few incidents, well told.

TOCSIN_UPDATE_GOLDEN=1 writes the expected incidents anew; read them then.
"""

import os
from functools import cache
from pathlib import Path

import pytest

from tests.attack.recordings import recording
from tocsin.model.alert import SEVERITIES
from tocsin.model.incident import Incident, IncidentFilter
from tocsin.runtime.grouping import Grouping, shared_identities
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.recording import NAMES
from tocsin.runtime.rules import load_rules, named_sets
from tocsin.store.sqlite import own_store

GOLDEN = Path(__file__).parent / "golden"
ATTACKER = "kubernetes-admin"

# The techniques of the Stratus Red Team run that one actor is seen with, in its order.
CHAIN = ("T1552.007", "T1528", "T1136", "T1098", "T1550.001", "T1611")


@cache
def pipeline() -> Pipeline:
    return Pipeline(load_rules([]).rules)


@pytest.fixture(scope="module")
def incidents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Incident]]:
    """Return the incidents of each recording, which went through the pipeline and the store."""
    found = {}
    for name in NAMES:
        folder = tmp_path_factory.mktemp(name)
        with own_store(folder / "tocsin.db", {}, 1000.0) as store:
            grouping = Grouping(store, shared_identities(named_sets({})))
            for number, body in enumerate(recording(name).bodies, start=1):
                alerts = pipeline().process(body, "demo").alerts
                if alerts:
                    store.record(alerts, {"detector": number}, 1000.0)
                    grouping.step(1000.0)
            found[name] = store.incidents.incidents(IncidentFilter(), 100)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_an_attack_is_a_few_incidents(name: str, incidents: dict[str, list[Incident]]) -> None:
    assert 1 <= len(incidents[name]) <= 6


@pytest.mark.parametrize("name", NAMES)
def test_one_incident_holds_the_chain(name: str, incidents: dict[str, list[Incident]]) -> None:
    worst = max(incidents[name], key=lambda one: SEVERITIES.index(one.severity))
    assert worst.severity == "critical"
    assert worst.actors[0] == ATTACKER
    order = [one.technique for one in worst.techniques]
    assert [technique for technique in order if technique in CHAIN] == list(CHAIN)


@pytest.mark.parametrize("name", NAMES)
def test_the_developer_has_no_incident_above_low(
    name: str, incidents: dict[str, list[Incident]]
) -> None:
    loud = [
        incident.title
        for incident in incidents[name]
        if "alice" in incident.actors and incident.severity not in ("info", "low")
    ]
    assert loud == []


@pytest.mark.parametrize("name", NAMES)
def test_the_stories_are_those_expected(name: str, incidents: dict[str, list[Incident]]) -> None:
    told = "\n".join(
        f"{incident.severity}  {incident.title}\n{incident.story}\n" for incident in incidents[name]
    )
    path = GOLDEN / f"incidents-{name}.txt"
    if os.environ.get("TOCSIN_UPDATE_GOLDEN"):
        path.write_text(told)
    assert told == path.read_text()
