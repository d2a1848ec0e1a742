"""Scale what creates a pod to zero: its pods end, and no new ones are created."""

from typing import ClassVar

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.manifest import Manifest, mapping_at, number_at, ref_to, text_at, uid_of
from tocsin.model.response import Call, ObjectRef, Plan
from tocsin.respond import owners
from tocsin.respond.actions import steps, targets
from tocsin.respond.actions.base import Cluster, PolicyRule, Prepared, Refusal
from tocsin.respond.selectors import selects

_SCALABLE = ("deployments", "replicasets", "statefulsets")
_REPLICAS = "/spec/replicas"


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There are none."""


class ScaleOwner(steps.Stepwise):
    """Changes the scale of the top controller, and nothing else of it."""

    name: ClassVar[str] = "scale_owner"
    title: ClassVar[str] = "Scale the owner to zero"
    effect: ClassVar[str] = (
        "Ends all pods of the Deployment, StatefulSet or ReplicaSet behind the pod, also the"
        " healthy ones, until it is undone: what it serves is down."
    )
    parameters: ClassVar[type[msgspec.Struct]] = Parameters
    destructive: ClassVar[bool] = False
    reversible: ClassVar[bool] = True
    rights: ClassVar[tuple[PolicyRule, ...]] = (
        PolicyRule(("",), ("pods",), ("get",)),
        PolicyRule(("apps",), tuple(f"{one}/scale" for one in _SCALABLE), ("patch",)),
        *owners.RIGHTS,
    )

    def target(self, alert: Alert) -> ObjectRef | Refusal:
        """Return the pod of the alert, or the workload itself."""
        resource = alert.target.resource
        if resource in _SCALABLE:
            workload = ObjectRef(api_group="apps", resource=resource, name="any")
            return targets.object_of(alert, workload, frozenset({"scale"}))
        return targets.pod_of(alert)

    def prepare(self, plan: Plan, cluster: Cluster) -> Prepared | Refusal:
        """Find the top controller and how many pods it shall have."""
        found = targets.live(plan, cluster)
        if isinstance(found, Refusal):
            return found
        above = owners.owners_of(found, cluster)
        owner = above.top or (plan.target if plan.target.resource in _SCALABLE else None)
        if owner is None or above.unknown is not None or owner.resource not in _SCALABLE:
            what = above.unknown or (owner.words if owner else "nothing")
            return Refusal(
                f"{what} is behind {plan.target.words}: only Deployments, StatefulSets and"
                " ReplicaSets can be scaled to zero"
            )
        workload = cluster.get(owner) if above.top else found
        if workload is None or (owner.uid and uid_of(workload) != owner.uid):
            return Refusal(f"{owner.words} is gone already")
        if plan.target.resource == "pods" and not _creates(above, found, cluster):
            return Refusal(f"{plan.target.words} only says that {owner.words} created it")
        return _scaling(ref_to(owner, workload), workload, found)

    def confirmed(self, prepared: Prepared, cluster: Cluster) -> bool:
        """Return whether no pods are asked for any more."""
        workload = cluster.get(prepared.target)
        if workload is None or uid_of(workload) != prepared.target.uid:
            return False
        return number_at(workload, "spec", "replicas") == 0

    def undo(self, prepared: Prepared, cluster: Cluster) -> tuple[Call, ...] | Refusal:
        """Ask for as many pods as before, unless somebody scaled it since."""
        target = prepared.target
        workload = cluster.get(target)
        if workload is None or uid_of(workload) != target.uid:
            return Refusal(f"{target.words} is gone, or another one of the same name")
        now = number_at(workload, "spec", "replicas")
        if now != 0:
            return Refusal(f"{target.words} was scaled to {now} since")
        before = number_at(prepared.before, "replicas")
        # The scale of zero pods leaves the number out.
        operations = [steps.expect(_REPLICAS, steps.ABSENT), steps.put(_REPLICAS, before)]
        return (steps.patch(target, operations, f"scale {target.words} to {before}", "scale"),)


def _creates(above: owners.Owners, pod: Manifest, cluster: Cluster) -> bool:
    """Whether the nearest controller selects the pod, as it would one that it created.

    Who creates a pod can name any controller as its owner, and so aim at it.
    """
    nearest = cluster.get(above.chain[0])
    selector = mapping_at(nearest or {}, "spec", "selector")
    return bool(selector) and selects(selector, mapping_at(pod, "metadata", "labels"))


def _scaling(target: ObjectRef, workload: Manifest, found: Manifest) -> Prepared | Refusal:
    replicas = number_at(workload, "spec", "replicas")
    if replicas == 0:
        return Refusal(f"{target.words} is scaled to zero already")
    operations = [steps.expect(_REPLICAS, replicas), steps.put(_REPLICAS, 0)]
    facts = targets.facts_of_pod(found) if found is not workload else {}
    return Prepared(
        target=target,
        root=target.uid or "",
        calls=(steps.patch(target, operations, f"scale {target.words} to 0", "scale"),),
        before={"replicas": replicas},
        protects={**facts, "namespace": target.namespace, "priority_class": _priority(workload)},
        owner=target,
        notes=(
            f"{replicas} pods end, all that {target.words} has",
            "a HorizontalPodAutoscaler rests at zero; other tools may scale it up again",
        ),
    )


def _priority(workload: Manifest) -> str | None:
    return text_at(workload, "spec", "template", "spec", "priorityClassName")
