"""Kinds of requests: the finite sample of all requests on which policies and rules are compared.

Requests of one kind agree in verb, API group, resource and subresource, or are for one URL.
What Kubernetes itself offers is listed here; for custom resources, one stands for all that
neither the policy nor the rule names.
"""

from collections.abc import Iterable, Iterator
from functools import cache

import msgspec

# By their verbs: the resources and subresources of each group. From the discovery document of
# Kubernetes 1.36, without the API server's own storage versions.
_OFFERED: dict[str, dict[str, str]] = {
    "create delete deletecollection get list patch update watch": {
        "": (
            "configmaps endpoints events limitranges nodes persistentvolumeclaims "
            "persistentvolumes pods podtemplates replicationcontrollers resourcequotas "
            "secrets serviceaccounts services"
        ),
        "admissionregistration.k8s.io": (
            "mutatingadmissionpolicies mutatingadmissionpolicybindings "
            "mutatingwebhookconfigurations validatingadmissionpolicies "
            "validatingadmissionpolicybindings validatingwebhookconfigurations"
        ),
        "apiextensions.k8s.io": "customresourcedefinitions",
        "apiregistration.k8s.io": "apiservices",
        "apps": "controllerrevisions daemonsets deployments replicasets statefulsets",
        "autoscaling": "horizontalpodautoscalers",
        "batch": "cronjobs jobs",
        "certificates.k8s.io": (
            "certificatesigningrequests clustertrustbundles podcertificaterequests"
        ),
        "coordination.k8s.io": "leasecandidates leases",
        "discovery.k8s.io": "endpointslices",
        "events.k8s.io": "events",
        "flowcontrol.apiserver.k8s.io": "flowschemas prioritylevelconfigurations",
        "networking.k8s.io": "ingressclasses ingresses ipaddresses networkpolicies servicecidrs",
        "node.k8s.io": "runtimeclasses",
        "policy": "poddisruptionbudgets",
        "rbac.authorization.k8s.io": "clusterrolebindings clusterroles rolebindings roles",
        "resource.k8s.io": (
            "deviceclasses devicetaintrules resourceclaims resourceclaimtemplates "
            "resourcepoolstatusrequests resourceslices"
        ),
        "scheduling.k8s.io": "podgroups priorityclasses workloads",
        "storage.k8s.io": (
            "csidrivers csinodes csistoragecapacities storageclasses volumeattachments "
            "volumeattributesclasses"
        ),
        "storagemigration.k8s.io": "storageversionmigrations",
    },
    "create delete get list patch update watch": {
        "": "namespaces",
    },
    "create delete get patch update": {
        "": "nodes/proxy pods/proxy services/proxy",
    },
    "get patch update": {
        "": (
            "namespaces/status nodes/status persistentvolumeclaims/status "
            "persistentvolumes/status pods/ephemeralcontainers pods/resize pods/status "
            "replicationcontrollers/scale replicationcontrollers/status resourcequotas/status "
            "services/status"
        ),
        "admissionregistration.k8s.io": "validatingadmissionpolicies/status",
        "apiextensions.k8s.io": "customresourcedefinitions/status",
        "apiregistration.k8s.io": "apiservices/status",
        "apps": (
            "daemonsets/status deployments/scale deployments/status replicasets/scale "
            "replicasets/status statefulsets/scale statefulsets/status"
        ),
        "autoscaling": "horizontalpodautoscalers/status",
        "batch": "cronjobs/status jobs/status",
        "certificates.k8s.io": (
            "certificatesigningrequests/approval certificatesigningrequests/status "
            "podcertificaterequests/status"
        ),
        "flowcontrol.apiserver.k8s.io": "flowschemas/status prioritylevelconfigurations/status",
        "networking.k8s.io": "ingresses/status servicecidrs/status",
        "policy": "poddisruptionbudgets/status",
        "resource.k8s.io": (
            "devicetaintrules/status resourceclaims/status resourcepoolstatusrequests/status"
        ),
        "scheduling.k8s.io": "podgroups/status",
        "storage.k8s.io": "volumeattachments/status",
        "storagemigration.k8s.io": "storageversionmigrations/status",
    },
    "create get": {
        "": "pods/attach pods/exec pods/portforward",
    },
    "get list": {
        "": "componentstatuses",
    },
    "create": {
        "": "bindings pods/binding pods/eviction serviceaccounts/token",
        "authentication.k8s.io": "selfsubjectreviews tokenreviews",
        "authorization.k8s.io": (
            "localsubjectaccessreviews selfsubjectaccessreviews selfsubjectrulesreviews "
            "subjectaccessreviews"
        ),
    },
    "get": {
        "": "pods/log",
    },
    "update": {
        "": "namespaces/finalize",
    },
}

# Stands for every group, resource or path that nobody names; equal to no text that a rule names.
OTHER = "*"
_OTHER_PATH = "/*"

_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
_URL_VERBS = ("get", "post", "put", "patch", "delete", "head", "options")
_CUSTOM_PARTS = (None, "status", "scale")


class Kind(msgspec.Struct, frozen=True):
    """Requests that agree in all this; of a URL that is no resource, `resource` is None."""

    verb: str
    api_group: str = ""
    resource: str | None = None
    subresource: str | None = None
    path: str | None = None

    @property
    def label(self) -> str:
        """What people call the target: `pods/exec`, `customresources`, a URL."""
        if self.resource is None:
            return "other URLs" if self.path in (None, _OTHER_PATH) else str(self.path)
        if self.resource == OTHER:
            return "custom resources"
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule, or a policy, names besides what Kubernetes offers."""

    resources: frozenset[tuple[str, str]] = frozenset()  # of (group or OTHER, name)
    subresources: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()


@cache
def offered() -> tuple[Kind, ...]:
    """Return the requests for resources that Kubernetes offers."""
    return tuple(
        Kind(verb, group, resource, subresource or None)
        for verbs, groups in _OFFERED.items()
        for group, names in groups.items()
        for resource, _, subresource in (name.partition("/") for name in names.split())
        for verb in verbs.split()
    )


@cache
def is_offered(resource: str) -> bool:
    """Return whether Kubernetes itself has a resource of this name."""
    return any(kind.resource == resource for kind in offered())


@cache
def offered_groups() -> frozenset[str]:
    """Return the API groups of Kubernetes itself."""
    return frozenset(kind.api_group for kind in offered())


def kinds(named: Named) -> Iterator[Kind]:
    """Yield all kinds of requests that Kubernetes, `named`, or nobody knows by name."""
    yield from offered()
    yield from custom({*named.resources, (OTHER, OTHER)}, named.subresources)
    for path in sorted({*named.paths, _OTHER_PATH}):
        for verb in _URL_VERBS:
            yield Kind(verb, path=path)


def custom(resources: Iterable[tuple[str, str]], parts: Iterable[str]) -> Iterator[Kind]:
    """Yield the requests for resources, and their subresources, of which nothing is known."""
    for group, resource in sorted(resources):
        for part in dict.fromkeys((*_CUSTOM_PARTS, *sorted(parts))):
            for verb in _VERBS:
                yield Kind(verb, group, resource, part)
