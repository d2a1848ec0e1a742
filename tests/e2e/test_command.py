"""A real kubectl through the proxy, on a real API server: what is planned works, nothing else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.e2e.controlplane.harness import ADMIN, ControlPlane
from tests.unit.respond.command.alerts import alert_on
from tocsin.model.alert import Alert, Target
from tocsin.model.response import ObjectRef, Plan
from tocsin.respond.actions.base import Acting, ApiError, Prepared, Refusal
from tocsin.respond.actions.command import Command
from tocsin.respond.cluster import ApiCluster
from tocsin.respond.command.job import Surroundings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SHOP = "shop"


@dataclass
class Site:
    """A control plane with a responder's access to it."""

    cluster: ControlPlane
    client: httpx2.Client
    folder: Path
    alerts: dict[str, Alert] = field(default_factory=dict)
    notes: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    numbers: int = 0

    @property
    def api(self) -> ApiCluster:
        return ApiCluster("prod", self.client)

    def command(self) -> Command:
        return Command(
            Surroundings(
                clients=lambda _: self.client,
                alert=self.alerts.get,
                shown=lambda alert: {"id": alert.id},
                stopped=lambda: False,
                refused=lambda _, words: self.refused.extend(words),
                clean=lambda text: text,
                clock=lambda: 0.0,
                folder=self.folder,
                path=str(Path(self.cluster._asset("kubectl")).parent),
            )
        )

    def acting(self) -> Acting:
        return Acting(self.api, self.mark, lambda text, data: self.notes.append((text, data)))

    def mark(self) -> str:
        self.numbers += 1
        return f"tocsin-{'0' * 32}-{self.numbers}-test"

    def pod(self, name: str, namespace: str = SHOP) -> str:
        """Create a pod and return its uid."""
        self.cluster.kubectl("run", name, "-n", namespace, "--image=nginx")
        return self.uid(name, namespace)

    def uid(self, name: str, namespace: str = SHOP) -> str:
        query = ("get", "pod", name, "-n", namespace, "-o", "jsonpath={.metadata.uid}")
        return self.cluster.kubectl(*query, check=False).stdout

    def plan(self, name: str, uid: str, arguments: str, **more: object) -> Plan:
        alert = alert_on(
            Target(
                verb="create", api_group="", resource="pods", namespace=SHOP, name=name, uid=uid
            ),
            fields={"pod": name, "ns": SHOP},
        )
        self.alerts[alert.id] = alert
        return Plan(
            id="a" * 32,
            cluster="prod",
            rule="kubectl60",
            action="command",
            parameters={"executable": "kubectl", "arguments": arguments.split(), **more},
            target=ObjectRef(resource="pods", namespace=SHOP, name=name, uid=uid),
            alert_id=alert.id,
            asked_at=0.0,
            evidence_at=0.0,
        )

    def prepared(self, plan: Plan) -> Prepared:
        found = self.command().prepare(plan, self.api)
        assert isinstance(found, Prepared), found
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("controlplane")
    with ControlPlane(folder) as cluster, cluster.api(ADMIN) as client:
        cluster.kubectl("create", "namespace", SHOP)
        cluster.wait(
            lambda: cluster.kubectl("get", "sa", "default", "-n", SHOP, check=False).stdout,
            "the default service account",
        )
        yield Site(cluster, client, folder)


def test_kubectl_deletes_the_pod_of_the_alert(site: Site) -> None:
    uid = site.pod("web")
    prepared = site.prepared(site.plan("web", uid, "delete pod $(pod) -n $(ns)"))
    command = site.command()
    command.apply(prepared, site.acting())
    assert command.confirmed(prepared, site.api)
    assert site.uid("web") != uid
    ended = site.notes[-1][1]
    assert ended["exit_code"] == 0
    assert 'pod "web" deleted' in str(ended["stdout"])


def test_a_namesake_is_not_deleted(site: Site) -> None:
    """A5: it came between reading and deleting."""
    uid = site.pod("twin")
    prepared = site.prepared(site.plan("twin", uid, "delete pod $(pod) -n $(ns)"))
    site.cluster.kubectl("delete", "pod", "twin", "-n", SHOP, "--grace-period=0", "--force")
    site.cluster.wait(lambda: not site.uid("twin"), "the first pod to go")
    second = site.pod("twin")
    with pytest.raises(ApiError, match="answered 409") as raised:
        site.command().apply(prepared, site.acting())
    assert raised.value.failure == "changed"
    assert site.uid("twin") == second


def test_a_namesake_is_not_labelled(site: Site) -> None:
    uid = site.pod("label")
    plan = site.plan(
        "label",
        uid,
        "label pod $(pod) -n $(ns) bad=yes",
        inverse=["label", "pod", "$(pod)", "-n", "$(ns)", "bad-"],
    )
    prepared = site.prepared(plan)
    command = site.command()
    command.apply(prepared, site.acting())
    shown = ("get", "pod", "label", "-n", SHOP, "--show-labels")
    assert "bad=yes" in site.cluster.kubectl(*shown).stdout
    assert command.undo(prepared, site.api) == ()
    command.revert(prepared, site.acting())
    assert "bad=yes" not in site.cluster.kubectl(*shown).stdout
    site.cluster.kubectl("delete", "pod", "label", "-n", SHOP, "--grace-period=0", "--force")
    site.cluster.wait(lambda: not site.uid("label"), "the first pod to go")
    site.pod("label")
    with pytest.raises(ApiError):
        command.apply(prepared, site.acting())
    assert "bad=yes" not in site.cluster.kubectl(*shown).stdout


@pytest.mark.parametrize(
    "line",
    [
        "kubectl delete pod other -n shop --wait=false",
        "kubectl delete pod mine -n default --wait=false",
        "kubectl delete pods --all -n shop --wait=false",
        "kubectl delete namespace shop --wait=false",
        "kubectl label pod mine -n shop a=b",
        "kubectl exec mine -n shop -- true",
        "kubectl get secrets -A",
        "kubectl create token default -n shop",
        "kubectl run more --image=nginx -n shop",
        "kubectl auth can-i delete pods",
    ],
)
def test_a_command_that_tries_anything_else_is_refused(site: Site, line: str) -> None:
    mine = site.uid("mine") or site.pod("mine")
    other = site.uid("other") or site.pod("other")
    assert site.uid("mine", "default") or site.pod("mine", "default")
    script = site.folder / "script"
    script.write_text(f"#!/bin/sh\n{line}\n")
    script.chmod(0o755)
    plan = site.plan("mine", mine, "", executable=str(script), verbs=["delete"])
    prepared = site.prepared(plan)
    site.refused.clear()
    with pytest.raises(ApiError, match="no change"):
        site.command().apply(prepared, site.acting())
    assert site.refused
    assert (site.uid("mine"), site.uid("other")) == (mine, other)
    assert site.uid("mine", "default")


def test_arguments_that_name_another_object_are_refused(site: Site) -> None:
    uid = site.uid("mine") or site.pod("mine")
    plan = site.plan("mine", uid, "delete deployment $(pod) -n $(ns)")
    refusal = site.command().prepare(plan, site.api)
    assert isinstance(refusal, Refusal)
    assert "the command is about deployments shop/mine" in refusal.reason
