"""What the shipped rules say about two recordings of a real control plane under attack.

TOCSIN_UPDATE_GOLDEN=1 writes the expected alerts anew.
"""

import json
import os
from functools import cache
from pathlib import Path

import pytest

from tests.attack.recordings import recording
from tocsin.model.alert import SEVERITIES, Alert
from tocsin.normalize.decode import decode
from tocsin.normalize.fields import AUDIT
from tocsin.rules.dispatch import RuleSet
from tocsin.rules.interpret import EventView, matches
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.recording import NAMES
from tocsin.runtime.rules import load_rules

GOLDEN = Path(__file__).parent / "golden"

NODES_PROXY_USER = "system:serviceaccount:stratus-red-team-np-name-x:stratus-red-team-np-sa"

# Technique of Stratus Red Team: ATT&CK ids one of which its alert must carry.
TECHNIQUES = {
    "k8s.credential-access.dump-secrets": {"T1552.007"},
    "k8s.credential-access.steal-serviceaccount-token": {"T1528", "T1552"},
    "k8s.persistence.create-admin-clusterrole": {"T1098.006", "T1078", "T1136"},
    "k8s.persistence.create-client-certificate": {"T1098", "T1550", "T1649"},
    "k8s.persistence.create-token": {"T1528", "T1550.001", "T1098"},
    "k8s.privilege-escalation.hostpath-volume": {"T1611"},
    "k8s.privilege-escalation.nodes-proxy": {"T1609", "T1611"},
    "k8s.privilege-escalation.privileged-pod": {"T1611"},
}

# Other attacks, in the recording with bodies: severity that one alert must have at least.
VARIANTS = {
    "v-priv-init": "high",
    "v-hostpath-etc": "high",
    "v-exec-shell": "medium",
    "v-secrets-403": "low",
    "v-token-secret": "medium",
    "v-crb-cluster-admin": "high",
    "v-impersonate": "medium",
}


@cache
def alerts(name: str) -> tuple[tuple[str, Alert], ...]:
    """Return the alerts on a recording, each with the step in which its request came."""
    found = recording(name)
    pipeline = Pipeline(load_rules([]).rules)
    by_id: dict[str, Alert] = {}
    for body in found.bodies:
        for alert in pipeline.process(body, "demo").alerts:
            by_id.setdefault(alert.id, alert)
    return tuple((found.step(received(alert)), alert) for alert in by_id.values())


def received(alert: Alert) -> str:
    assert alert.event is not None
    assert alert.event.received is not None
    return alert.event.received


def at_least(severity: str, alert: Alert) -> bool:
    return SEVERITIES.index(alert.rule.severity) >= [*SEVERITIES].index(severity)  # type: ignore[arg-type]


def shown(alert: Alert) -> str:
    target = alert.target
    name = "/".join(part for part in (target.resource, target.subresource) if part)
    place = "/".join(part for part in (target.namespace, target.name) if part)
    rule = Path(alert.rule.source.partition(":")[0]).stem
    return f"{alert.rule.severity} {rule}: {alert.actor.user} {target.verb} {name} {place}".rstrip()


@pytest.mark.parametrize("name", NAMES)
def test_every_technique_is_an_alert(name: str) -> None:
    for window in recording(name).windows:
        if not window.step.startswith("s") or window.step.endswith("-revert"):
            continue
        technique = window.expect[0]
        user = NODES_PROXY_USER if technique.endswith("nodes-proxy") else "kubernetes-admin"
        hits = [
            alert
            for step, alert in alerts(name)
            if step == window.step
            and at_least("medium", alert)
            and alert.actor.user == user
            and TECHNIQUES[technique] & {one.technique for one in alert.rule.attack}
        ]
        assert hits, window.step


@pytest.mark.parametrize("name", NAMES)
def test_ordinary_work_is_quiet(name: str) -> None:
    """Nothing above low, from the start of the cluster on, except for the attacks.

    The preparation of the nodes/proxy technique grants the kubelets' API to an account: a
    finding of its own.
    """
    attacks = {w.step for w in recording(name).windows if w.step.startswith(("s", "v-"))}
    loud = {
        (step, shown(alert))
        for step, alert in alerts(name)
        if at_least("medium", alert)
        and (step not in attacks or step.endswith("-revert"))
        and step != "w7"
    }
    assert not loud


@pytest.mark.parametrize(("step", "severity"), VARIANTS.items())
def test_other_attacks_are_alerts(step: str, severity: str) -> None:
    assert any(s == step and at_least(severity, alert) for s, alert in alerts("full-policy"))


@pytest.mark.parametrize("name", NAMES)
def test_pods_that_come_and_go_are_facts(name: str) -> None:
    wanted = {"pod-created", "pod-deleted"}
    for window in recording(name).windows:
        rules = {
            Path(alert.rule.source.partition(":")[0]).stem
            for step, alert in alerts(name)
            if step == window.step
        }
        assert wanted & set(window.expect) <= rules, window.step


@pytest.mark.parametrize("name", NAMES)
def test_one_alert_per_request_and_rule(name: str) -> None:
    keys = [
        (alert.rule.id, alert.event and alert.event.audit_id, received(alert))
        for _, alert in alerts(name)
    ]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", NAMES)
def test_alerts_are_those_expected(name: str) -> None:
    found: dict[str, list[str]] = {}
    for step, alert in alerts(name):
        found.setdefault(step, []).append(shown(alert))
    path = GOLDEN / f"{name}.json"
    if os.environ.get("TOCSIN_UPDATE_GOLDEN"):
        path.write_text(json.dumps(found, indent=2) + "\n")
    assert found == json.loads(path.read_text())


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", NAMES)
def test_compiled_rules_mean_what_the_reference_says(name: str) -> None:
    rules = RuleSet(load_rules([]).rules, AUDIT)
    for body in recording(name).bodies:
        for event in decode(body).events:
            view = EventView(event, AUDIT)
            expected = [i for i, rule in enumerate(rules.rules) if matches(rule.match, view)]
            assert rules.match(event) == expected, event.audit_id
    assert rules.stats.faults == 0
