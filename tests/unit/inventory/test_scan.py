"""Objects that are there, judged by the rules about objects."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tocsin.inventory.asevent import as_event, is_made_by_workload
from tocsin.inventory.fitting import judges_objects
from tocsin.inventory.kinds import KINDS, Kind
from tocsin.model.alert import Alert
from tocsin.runtime.inventory import Inventory
from tocsin.runtime.rules import load_rules
from tocsin.runtime.scan import scan

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PRIVILEGED = {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": True}}]}


def kind(resource: str) -> Kind:
    return next(one for one in KINDS if one.resource == resource)


def manifest(name: str, **parts: Any) -> dict[str, Any]:
    created = {"creationTimestamp": "2025-01-02T03:04:05Z", "uid": f"uid-{name}", "name": name}
    metadata = {**created, **parts.pop("metadata", {})}
    return {"metadata": metadata, **parts}


def found(resource: str, *objects: dict[str, Any]) -> list[Alert]:
    inventory = Inventory({kind(resource): list(objects)})
    rules = load_rules([]).rules
    return [
        one
        for one in scan(inventory, rules, {"cluster-admin"}, "prod", NOW)
        if one.rule.severity in ("high", "critical")
    ]


def pod(name: str, **metadata: Any) -> dict[str, Any]:
    return manifest(name, spec=PRIVILEGED, metadata={"namespace": "shop", **metadata})


def test_a_privileged_pod_is_found_as_an_object_not_as_a_request() -> None:
    (finding,) = found("pods", pod("web"))
    assert finding.rule.title == "Privileged container"
    assert (finding.source, finding.event, finding.evidence) == ("scan", None, [])
    assert finding.actor.user is None
    assert finding.time == "2026-11-24T12:00:00.000000Z"
    assert finding.first_seen.startswith("2025-01-02")


def test_another_scan_finds_the_same_thing() -> None:
    first, second = found("pods", pod("web")), found("pods", pod("web"))
    assert [one.id for one in first] == [one.id for one in second]
    assert found("pods", pod("other"))[0].id != first[0].id


def test_what_a_controller_made_is_judged_at_its_owner() -> None:
    owner = {"kind": "ReplicaSet", "name": "web", "controller": True}
    assert is_made_by_workload(pod("web", ownerReferences=[owner]))
    assert found("pods", pod("web", ownerReferences=[owner])) == []
    assert not is_made_by_workload(pod("web", ownerReferences=[{**owner, "kind": "Node"}]))
    assert not is_made_by_workload(pod("web", ownerReferences=[{**owner, "controller": False}]))


WILDCARD = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
SHIPPED = {"labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}


@pytest.mark.parametrize(
    ("name", "metadata", "count"),
    [
        ("cluster-admin", SHIPPED, 0),
        # A label alone proves nothing, and neither does a name.
        ("cluster-admin", {}, 1),
        ("mine", SHIPPED, 1),
    ],
)
def test_roles_that_kubernetes_ships_are_no_findings(
    name: str, metadata: dict[str, Any], count: int
) -> None:
    assert len(found("clusterroles", manifest(name, rules=WILDCARD, metadata=metadata))) == count


def test_rules_about_requests_judge_no_objects() -> None:
    titles = {rule.title for rule in load_rules([]).rules if judges_objects(rule)}
    assert "Privileged container" in titles
    assert "Pod created" not in titles
    assert "Secrets of all namespaces listed" not in titles


def test_an_event_says_what_an_api_server_would() -> None:
    event = as_event(kind("deployments"), pod("web", managedFields=[{}]), set())
    assert event["objectRef"] == {
        "resource": "deployments",
        "namespace": "shop",
        "name": "web",
        "uid": "uid-web",
        "apiGroup": "apps",
        "apiVersion": "v1",
    }
    body: Any = event["requestObject"]
    assert (body["kind"], body["apiVersion"]) == ("Deployment", "apps/v1")
    assert "managedFields" not in body["metadata"]
