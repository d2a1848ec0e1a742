"""An object that is there, as the audit event of its creation: rules need no second form.

Who created it is not known any more, so the event names nobody; two cases say it themselves,
and rules that leave out the cluster's own parts need to know: mirrors of a node's static pods,
and the roles that the API server keeps as they were shipped.
"""

from collections.abc import Collection

from tocsin.inventory.kinds import Kind
from tocsin.model.manifest import Manifest, items_at, mapping_at
from tocsin.model.rbac import RBAC

UNKNOWN_USER = "somebody (found by scan)"
SOURCE = "scan"
# The named set with the names of the roles and bindings that Kubernetes ships.
SHIPPED_SET = "shipped_rbac"
_MIRROR = "kubernetes.io/config.mirror"
_BOOTSTRAP = ("kubernetes.io/bootstrapping", "rbac-defaults")


def as_event(kind: Kind, manifest: Manifest, shipped: Collection[str]) -> dict[str, object]:
    """Return the event of an object's creation, of level RequestResponse.

    Args:
        kind: what the object is.
        manifest: the object, as the API server lists it.
        shipped: names of the roles and bindings that Kubernetes ships.
    """
    metadata = mapping_at(manifest, "metadata")
    body = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        **manifest,
        "metadata": {key: value for key, value in metadata.items() if key != "managedFields"},
    }
    reference = {
        "resource": kind.resource,
        "namespace": metadata.get("namespace"),
        "name": metadata.get("name"),
        "uid": metadata.get("uid"),
        "apiGroup": kind.group or None,
        "apiVersion": kind.version,
    }
    created = metadata.get("creationTimestamp")
    return {
        # The object's own: another scan finds the same thing, not another one.
        "auditID": f"scan-{metadata.get('uid')}",
        "level": "RequestResponse",
        "stage": "ResponseComplete",
        "requestURI": f"{kind.path}/{metadata.get('name')}",
        "verb": "create",
        "user": _creator(kind, manifest, shipped),
        "objectRef": {key: value for key, value in reference.items() if value is not None},
        "responseStatus": {"code": 201},
        "requestObject": body,
        "responseObject": body,
        "requestReceivedTimestamp": created,
        "stageTimestamp": created,
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }


def is_made_by_workload(manifest: Manifest) -> bool:
    """Return whether a controller made the object: what is wrong with it stands in its owner."""
    return any(
        owner.get("controller") is True and owner.get("kind") != "Node"
        for owner in items_at(manifest, "metadata", "ownerReferences")
    )


def _creator(kind: Kind, manifest: Manifest, shipped: Collection[str]) -> dict[str, object]:
    metadata = mapping_at(manifest, "metadata")
    if _MIRROR in mapping_at(metadata, "annotations"):
        node = mapping_at(manifest, "spec").get("nodeName")
        return {"username": f"system:node:{node}", "groups": ["system:nodes"]}
    label, value = _BOOTSTRAP
    is_shipped = kind.group == RBAC and metadata.get("name") in shipped
    if is_shipped and mapping_at(metadata, "labels").get(label) == value:
        return {"username": "system:apiserver", "groups": ["system:masters"]}
    return {"username": UNKNOWN_USER}
