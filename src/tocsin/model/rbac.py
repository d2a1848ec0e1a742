"""A service account with rights of its own, as Kubernetes takes it."""

from collections.abc import Sequence
from typing import Final

RBAC: Final = "rbac.authorization.k8s.io"


def account_with_rights(
    name: str, namespace: str, component: str, rules: Sequence[dict[str, object]]
) -> list[dict[str, object]]:
    """Return the account, a cluster role with the rules, and the binding of the two.

    Args:
        name: of all three.
        namespace: where the account is.
        component: of Tocsin, as a label says it.
        rules: as a ClusterRole has them.
    """
    labels = {"app.kubernetes.io/name": "tocsin", "app.kubernetes.io/component": component}
    metadata = {"name": name, "labels": labels}
    account = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {**metadata, "namespace": namespace},
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": metadata,
            "rules": list(rules),
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
            "subjects": [account],
        },
    ]
