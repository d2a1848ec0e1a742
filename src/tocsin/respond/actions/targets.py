"""The live object that an alert is about: the one it names, and no namesake created since."""

from datetime import UTC, datetime

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.manifest import Manifest, created_at, mapping_at, text_at, uid_of
from tocsin.model.response import ObjectRef, Plan
from tocsin.model.text import visible
from tocsin.respond.actions.base import ApiError, Cluster, Prepared, Refusal
from tocsin.respond.names import check_ref
from tocsin.respond.owners import Owners

MIRROR = "kubernetes.io/config.mirror"
_POD_SUBRESOURCES = frozenset({"exec", "attach", "portforward", "ephemeralcontainers"})
_PODS = ObjectRef(resource="pods", name="any")


def object_of(alert: Alert, kind: ObjectRef, subresources: frozenset[str]) -> ObjectRef | Refusal:
    """Return the object of this kind that an alert names, or why it names none.

    Args:
        alert: the alert.
        kind: group, version and resource of what is wanted.
        subresources: those whose requests are about the object, too.
    """
    target = alert.target
    asked = (target.api_group or "", target.resource)
    if asked != (kind.api_group, kind.resource):
        return Refusal(f"the alert is about {visible(target.resource or 'no object')}")
    if target.subresource and target.subresource not in subresources:
        words = f"{target.resource}/{target.subresource}"
        return Refusal(f"the alert is about {visible(words)}, which is not an object")
    if not target.name:
        return Refusal("the alert names no object")
    return legal(
        msgspec.structs.replace(
            kind, namespace=target.namespace or None, name=target.name, uid=target.uid or None
        )
    )


def legal(ref: ObjectRef) -> ObjectRef | Refusal:
    """Return the reference, or why no object can have its names."""
    try:
        return check_ref(ref)
    except ApiError as error:
        return Refusal(str(error))


def pod_of(alert: Alert) -> ObjectRef | Refusal:
    """Return the pod that an alert names."""
    pod = object_of(alert, _PODS, _POD_SUBRESOURCES)
    if isinstance(pod, ObjectRef) and pod.namespace is None:
        return Refusal("the alert does not say in which namespace the pod is")
    return pod


def live(plan: Plan, cluster: Cluster) -> Manifest | Refusal:
    """Return the plan's target as it is now, if it is still the object of the alert.

    Without a uid in the alert time tells them apart: whatever was created after the request
    cannot be what the request was about.

    Raises:
        ApiError: it cannot be read.
    """
    target = plan.target
    found = cluster.get(target)
    if found is None:
        return Refusal(f"{visible(target.words)} is gone already")
    if target.uid:
        if uid_of(found) != target.uid:
            return Refusal(f"{visible(target.words)} is another object of the same name now")
        return found
    created = created_at(found)
    if created is None or not plan.evidence_at:
        return Refusal(f"whether {visible(target.words)} is the alert's object cannot be told")
    if created > plan.evidence_at:
        moment = datetime.fromtimestamp(created, UTC).isoformat()
        reason = f"{visible(target.words)} was created at {moment}, after the alert's request"
        return Refusal(reason)
    return found


def facts_of_pod(pod: Manifest) -> dict[str, object]:
    """Return what the guard has to know about a pod."""
    return {
        "namespace": text_at(pod, "metadata", "namespace"),
        "priority_class": text_at(pod, "spec", "priorityClassName"),
        "mirror_pod": MIRROR in mapping_at(pod, "metadata", "annotations"),
    }


def notes_on(owners: Owners) -> tuple[str, ...]:
    """Return what people must know about who re-creates a pod."""
    if owners.unknown is not None:
        return (f"{visible(owners.unknown)} re-creates it; Tocsin cannot stop that",)
    top = owners.top
    if top is None:
        return ("nothing re-creates it",)
    if top.resource in {"deployments", "statefulsets", "replicasets"}:
        return (f"{top.words} re-creates it; scale_owner stops that",)
    return (f"{top.words} re-creates it; that is not stopped by scale_owner",)


def is_gone(prepared: Prepared, cluster: Cluster) -> bool:
    """Return whether the very object that was read is there no more.

    Raises:
        ApiError: it cannot be read.
    """
    found = cluster.get(prepared.target)
    return found is None or uid_of(found) != prepared.target.uid
