"""The detector is killed while attacks come in: no incident is lost, doubled or torn apart."""

import os
import random
import time
from pathlib import Path

import pytest

from tests.robustness.harness import CLUSTER, Tocsin, running
from tocsin.detect.suppress import Suppression
from tocsin.model.incident import IncidentFilter
from tocsin.runtime.config import load_config
from tocsin.runtime.grouping import Grouping, shared_identities
from tocsin.runtime.hiding import hidden, suppressions
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.recording import bodies
from tocsin.runtime.rules import named_sets, rules_in_force
from tocsin.store.sqlite import SqliteStore, own_store

RECORDING = "full-policy"
KILLS = 40 if os.environ.get("TOCSIN_LONG") else 8

# What is told of an incident, with the alerts in it.
Told = tuple[str, str, frozenset[str]]


@pytest.mark.robustness
@pytest.mark.timeout(600)
def test_kill9_of_the_detector_during_a_replay(tmp_path: Path) -> None:
    seed = int(os.environ.get("TOCSIN_SEED", random.randrange(1 << 32)))
    print(f"TOCSIN_SEED={seed}")
    chance = random.Random(seed)
    sent = bodies(RECORDING)
    with running(tmp_path / "tocsin", {"builtin_rules": True, "rules": []}) as tocsin:
        # Twice: what the API server sends again changes nothing.
        posts = [*sent, *sent]
        killing_at = set(chance.sample(range(len(posts)), KILLS))
        for number, body in enumerate(posts):
            assert tocsin.post(body) == 200
            if number in killing_at:
                time.sleep(chance.uniform(0.0, 0.4))
                tocsin.wait_ready()
                tocsin.kill(tocsin.child("detector"))
                tocsin.wait_for(lambda: not tocsin.readyz()["ready"], "the death is not noticed")
        tocsin.wait_ready()
        tocsin.drain()
        tocsin.wait_for(lambda: is_grouped(tocsin), "alerts are not grouped")
        assert tocsin.stop()[0] == 0
        with tocsin.store() as store:
            found = told(store)
    assert found == undisturbed(tmp_path / "reference.db", sent)


def is_grouped(tocsin: Tocsin) -> bool:
    with tocsin.store() as store:
        return not store.incidents.grouping.waiting()


def told(store: SqliteStore) -> list[Told]:
    """Return all incidents, with their alerts; no alert above info may be in two of them."""
    incidents = store.incidents.incidents(IncidentFilter(), 1000)
    shown = []
    above: list[str] = []
    for incident in incidents:
        alerts = [stored.alert for stored in store.incidents.alerts_of(incident.id, 10_000)]
        above += [alert.id for alert in alerts if alert.rule.severity != "info"]
        shown.append((incident.title, incident.story, frozenset(alert.id for alert in alerts)))
        assert incident.alerts == len(alerts)
    assert len(above) == len(set(above))
    assert set(above) == {
        stored.alert.id
        for stored in store.follow(0, 100_000)
        if stored.alert.rule.severity != "info" and stored.hidden_by is None
    }
    return sorted(shown, key=lambda one: one[1])


def undisturbed(path: Path, sent: list[bytes]) -> list[Told]:
    """Return what comes of the same events when nothing happens to the detector."""
    loaded = rules_in_force(load_config(None, {}, path.parent))
    pipeline = Pipeline(loaded.rules, correlations=loaded.correlations)
    suppression = Suppression(suppressions(loaded.rules, loaded.correlations, {}))
    with own_store(path, {}, 1000.0) as store:
        for number, body in enumerate(sent, start=1):
            alerts = pipeline.process(body, CLUSTER).alerts
            marks = hidden(store, suppression, alerts, (), 1000.0)
            store.record(alerts, {"detector": number}, 1000.0, hidden=marks)
        grouping = Grouping(store, shared_identities(named_sets({})))
        while grouping.step(1000.0):
            pass
        return told(store)
