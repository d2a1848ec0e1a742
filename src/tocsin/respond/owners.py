"""What re-creates an object: its controllers, up to the top one."""

from dataclasses import dataclass
from typing import Final

import msgspec

from tocsin.model.manifest import Manifest, items_at, ref_to, text_at, uid_of
from tocsin.model.response import ObjectRef
from tocsin.respond.actions.base import Cluster, PolicyRule

_RESOURCES: Final = {
    ("apps", "ReplicaSet"): "replicasets",
    ("apps", "Deployment"): "deployments",
    ("apps", "StatefulSet"): "statefulsets",
    ("apps", "DaemonSet"): "daemonsets",
    ("batch", "Job"): "jobs",
    ("batch", "CronJob"): "cronjobs",
    ("", "ReplicationController"): "replicationcontrollers",
}
RIGHTS: Final = (
    PolicyRule(("",), ("replicationcontrollers",), ("get",)),
    PolicyRule(("apps",), ("daemonsets", "deployments", "replicasets", "statefulsets"), ("get",)),
    PolicyRule(("batch",), ("cronjobs", "jobs"), ("get",)),
)
# No chain of Kubernetes' own is longer; what attackers write may be a circle.
_LONGEST = 4


@dataclass(frozen=True, slots=True)
class Owners:
    """The controllers of an object, the nearest first.

    Attributes:
        chain: those that were found alive.
        root: uid of the top one, or of the object itself if it has none.
        unknown: the top one's kind and name where it is of a kind that Tocsin does not read.
    """

    chain: tuple[ObjectRef, ...]
    root: str
    unknown: str | None = None

    @property
    def top(self) -> ObjectRef | None:
        """The top controller that was found."""
        return self.chain[-1] if self.chain else None


def owners_of(manifest: Manifest, cluster: Cluster) -> Owners:
    """Follow the controllers of an object; one that is not alive re-creates nothing.

    Raises:
        ApiError: a controller cannot be read.
    """
    chain: list[ObjectRef] = []
    root = uid_of(manifest)
    namespace = text_at(manifest, "metadata", "namespace")
    while len(chain) < _LONGEST:
        owner = _controller(manifest)
        if owner is None:
            break
        reference = _reference(owner, namespace)
        if reference is None:
            words = f"{text_at(owner, 'kind')} {text_at(owner, 'name')}"
            return Owners(tuple(chain), text_at(owner, "uid") or root, words)
        live = cluster.get(reference)
        if live is None or uid_of(live) != text_at(owner, "uid"):
            break
        chain.append(ref_to(reference, live))
        root, manifest = uid_of(live), live
    return Owners(tuple(chain), root)


def _controller(manifest: Manifest) -> Manifest | None:
    owners = items_at(manifest, "metadata", "ownerReferences")
    return next((owner for owner in owners if owner.get("controller") is True), None)


def _reference(owner: Manifest, namespace: str | None) -> ObjectRef | None:
    group, _, version = (text_at(owner, "apiVersion") or "").rpartition("/")
    resource = _RESOURCES.get((group, text_at(owner, "kind") or ""))
    name = text_at(owner, "name")
    if resource is None or name is None:
        return None
    reference = ObjectRef(resource=resource, namespace=namespace, name=name)
    return msgspec.structs.replace(reference, api_group=group, version=version)
