"""The kinds of objects that are looked at, and where an API server lists them."""

from typing import NamedTuple

from tocsin.model.rbac import RBAC


class Kind(NamedTuple):
    """A resource of the API, of the version that all supported Kubernetes releases serve."""

    group: str
    version: str
    resource: str
    kind: str

    @property
    def path(self) -> str:
        """Where the API server lists the objects of all namespaces."""
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}/{self.resource}"

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version


# Without Secrets and ConfigMaps: what is not read cannot leak.
KINDS = (
    Kind("", "v1", "pods", "Pod"),
    Kind("", "v1", "podtemplates", "PodTemplate"),
    Kind("", "v1", "replicationcontrollers", "ReplicationController"),
    Kind("", "v1", "persistentvolumes", "PersistentVolume"),
    Kind("", "v1", "serviceaccounts", "ServiceAccount"),
    Kind("", "v1", "services", "Service"),
    Kind("", "v1", "namespaces", "Namespace"),
    Kind("apps", "v1", "deployments", "Deployment"),
    Kind("apps", "v1", "daemonsets", "DaemonSet"),
    Kind("apps", "v1", "statefulsets", "StatefulSet"),
    Kind("apps", "v1", "replicasets", "ReplicaSet"),
    Kind("batch", "v1", "jobs", "Job"),
    Kind("batch", "v1", "cronjobs", "CronJob"),
    Kind(RBAC, "v1", "roles", "Role"),
    Kind(RBAC, "v1", "clusterroles", "ClusterRole"),
    Kind(RBAC, "v1", "rolebindings", "RoleBinding"),
    Kind(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding"),
    Kind("networking.k8s.io", "v1", "ingresses", "Ingress"),
    Kind(
        "admissionregistration.k8s.io",
        "v1",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
    ),
    Kind(
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
    ),
    Kind("apiregistration.k8s.io", "v1", "apiservices", "APIService"),
)
