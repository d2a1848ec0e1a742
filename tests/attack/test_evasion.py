"""How an attack is written down must not matter: padding, order of keys, escapes."""

import json
from typing import Any

import pytest

from tests.attack.recordings import recording
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.rules import load_rules

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(load_rules([]).rules)


@pytest.fixture(scope="module")
def attack() -> dict[str, Any]:
    """The request for a privileged pod, as recorded."""
    for body in recording("seed-policy").bodies:
        for event in json.loads(body)["items"]:
            ref = event.get("objectRef", {})
            if ref.get("name") == "k8s.privilege-escalation.privileged-pod":
                return dict(event)
    pytest.fail("the recording holds no privileged pod")


def rules_on(pipeline: Pipeline, body: bytes) -> set[str]:
    outcome = pipeline.process(body, "test")
    assert not outcome.rejects
    return {alert.rule.title for alert in outcome.alerts}


def posted(*events: dict[str, Any]) -> bytes:
    return json.dumps(
        {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": events}
    ).encode()


@pytest.fixture(scope="module")
def plain(pipeline: Pipeline, attack: dict[str, Any]) -> set[str]:
    found = rules_on(pipeline, posted(attack))
    assert found == {"Privileged container", "Pod created"}
    return found


def test_a_megabyte_of_annotations(
    pipeline: Pipeline, attack: dict[str, Any], plain: set[str]
) -> None:
    padded = json.loads(json.dumps(attack))
    for body in ("requestObject", "responseObject"):
        padded[body]["metadata"]["annotations"] = {"padding": "x" * MIB}
    assert rules_on(pipeline, posted(padded)) == plain


def test_a_thousand_containers_around(
    pipeline: Pipeline, attack: dict[str, Any], plain: set[str]
) -> None:
    padded = json.loads(json.dumps(attack))
    for body in ("requestObject", "responseObject"):
        containers = padded[body]["spec"]["containers"]
        containers[:0] = [{"name": f"c{n}", "image": "x"} for n in range(1000)]
    assert rules_on(pipeline, posted(padded)) == plain


def test_another_order_of_keys(pipeline: Pipeline, attack: dict[str, Any], plain: set[str]) -> None:
    assert rules_on(pipeline, posted(backwards(attack))) == plain


def backwards(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: backwards(node[key]) for key in reversed(node)}
    return [backwards(item) for item in node] if isinstance(node, list) else node


def test_escaped_letters(pipeline: Pipeline, attack: dict[str, Any], plain: set[str]) -> None:
    body = posted(attack)
    for word in (b"privileged", b"requestObject", b"create", b"pods"):
        body = body.replace(b'"' + word, b'"' + rb"\u%04x" % word[0] + word[1:])
    assert rb'"\u0070rivileged"' in body
    assert rules_on(pipeline, body) == plain


def test_behind_a_thousand_ordinary_events(
    pipeline: Pipeline, attack: dict[str, Any], plain: set[str]
) -> None:
    harmless = {**attack, "verb": "get", "requestObject": None, "responseObject": None}
    assert rules_on(pipeline, posted(*[harmless] * 1000, attack)) == plain
