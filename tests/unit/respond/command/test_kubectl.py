"""What kubectl's arguments mean, and that nothing else is let through."""

import pytest

from tocsin.model.response import ObjectRef
from tocsin.respond.actions.base import Refusal
from tocsin.respond.command.kubectl import Meant, understand

POD = ObjectRef(resource="pods", namespace="shop", name="web")


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("delete pod web -n shop", Meant("delete", POD)),
        ("-n shop delete po/web --now --wait=false", Meant("delete", POD)),
        ("delete pods web --namespace=shop --grace-period 0 --force", Meant("delete", POD)),
        ("label pod web bad=yes good- -n shop --overwrite", Meant("patch", POD)),
        ("patch pod web -n shop --type merge -p {}", Meant("patch", POD)),
        (
            "scale deployment web --replicas=0",
            Meant(
                "patch",
                ObjectRef(
                    api_group="apps", resource="deployments", namespace="default", name="web"
                ),
            ),
        ),
        ("cordon node-1", Meant("patch", ObjectRef(resource="nodes", name="node-1"))),
    ],
)
def test_what_is_understood(line: str, meant: Meant) -> None:
    assert understand(line.split()) == meant


@pytest.mark.parametrize(
    "line",
    [
        "",
        "delete",
        "delete pod",
        "delete pod web other -n shop",
        "delete pod,svc web",
        "delete pods --all -n shop",
        "delete pods -A",
        "delete -f file",
        "delete pod web -l app=x",
        "delete pod web --as=admin",
        "delete pod web --kubeconfig=/x",
        "delete pod web --server=http://x",
        "delete pod web --token=x",
        "delete pod web --raw=/api",
        "delete pod web -n",
        "delete widget web",
        "exec web -- sh",
        "apply x",
        "drain node-1",
        "config view",
        "cordon -l a=b",
    ],
)
def test_what_is_refused(line: str) -> None:
    assert isinstance(understand(line.split()), Refusal)
