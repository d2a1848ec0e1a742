"""A9: an alert's condition on the live object: still so, no longer so, or not to be told."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.unit.audit import encoded, item
from tests.unit.runtime.spooled import START, post, spool
from tocsin.model.response import ObjectRef
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.recheck import Recheck
from tocsin.runtime.rules import load_rules
from tocsin.runtime.wazuh import load_wazuh

PRIVILEGED = {"name": "c", "image": "i", "securityContext": {"privileged": True}}
PLAIN = {"name": "c", "image": "i"}
UID = "6e0c0b5e-0000-4000-8000-000000000009"


def pod(*containers: Mapping[str, object], uid: str = UID) -> dict[str, object]:
    metadata = {"name": "web", "namespace": "shop", "uid": uid, "managedFields": [{"x": "y"}]}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": list(containers)}}


def created(**changes: object) -> dict[str, object]:
    body = pod(PRIVILEGED)
    return {"requestObject": body, "responseObject": body} | changes


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(load_rules([]).rules)


@pytest.fixture
def checked(tmp_path: Path, pipeline: Pipeline) -> Callable[..., bool | None]:
    def check(live: object, *, event: dict[str, object] | None = None, rule: str = "") -> object:
        whole = created() if event is None else event
        log = spool(tmp_path, post(whole), start=START)
        found = pipeline.process(encoded(item(**whole)), "default").alerts
        alert = next(one for one in found if rule in one.rule.title.lower())
        read: list[ObjectRef] = []

        def get(ref: ObjectRef) -> Mapping[str, object] | None:
            read.append(ref)
            return live  # type: ignore[return-value]

        return Recheck(log, pipeline).holds(alert, get)

    return check  # type: ignore[return-value]


def test_still_so(checked: Callable[..., bool | None]) -> None:
    assert checked(pod(PRIVILEGED), rule="privileged") is True


def test_no_longer_so(checked: Callable[..., bool | None]) -> None:
    assert checked(pod(PLAIN), rule="privileged") is False


def test_gone(checked: Callable[..., bool | None]) -> None:
    assert checked(None, rule="privileged") is False


def test_a_namesake(checked: Callable[..., bool | None]) -> None:
    assert checked(pod(PRIVILEGED, uid="another"), rule="privileged") is False


def test_an_act_has_happened(checked: Callable[..., bool | None]) -> None:
    event = {
        "verb": "create",
        "requestURI": "/api/v1/namespaces/shop/pods/web/exec?command=sh",
        "objectRef": {
            "resource": "pods",
            "namespace": "shop",
            "name": "web",
            "subresource": "exec",
            "apiVersion": "v1",
        },
        "responseStatus": {"code": 101},
    }
    assert checked(None, event=event) is True


def test_what_is_no_longer_kept_cannot_be_told(tmp_path: Path, pipeline: Pipeline) -> None:
    log = spool(tmp_path, post({"verb": "get"}), start=START)
    alerts = pipeline.process(encoded(item(**created())), "default").alerts
    assert Recheck(log, pipeline).holds(alerts[0], lambda _: pod(PRIVILEGED)) is None


def test_the_rule_of_a_wazuh_installation(tmp_path: Path) -> None:
    """The founding rules see the live object as the text that Wazuh's rules read."""
    folder = Path(__file__).parents[2] / "e2e" / "wazuh"
    wazuh = load_wazuh(folder, strict=False)
    pipeline = Pipeline([], [wazuh])
    log = spool(tmp_path, post(created()), start=START)
    alerts = pipeline.process(encoded(item(**created())), "default").alerts
    alert = next(one for one in alerts if one.rule.id == "110011")
    check = Recheck(log, pipeline)
    assert check.holds(alert, lambda _: pod(PRIVILEGED)) is True
    assert check.holds(alert, lambda _: pod(PLAIN)) is False
