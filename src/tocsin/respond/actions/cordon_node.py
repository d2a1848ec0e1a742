"""Keep new pods off a node; those on it run on."""

from typing import ClassVar

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.manifest import Manifest, mapping_at, ref_to, text_at, uid_of, value_at
from tocsin.model.response import Call, ObjectRef, Plan
from tocsin.respond.actions import steps, targets
from tocsin.respond.actions.base import Cluster, PolicyRule, Prepared, Refusal

_NODES = ObjectRef(resource="nodes", name="any")
_UNSCHEDULABLE = "/spec/unschedulable"
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There are none."""


class CordonNode(steps.Stepwise):
    """Marks the node as unschedulable, as `kubectl cordon` does."""

    name: ClassVar[str] = "cordon_node"
    title: ClassVar[str] = "Cordon the node"
    effect: ClassVar[str] = (
        "New pods are not scheduled onto the node. Those that run there run on, and a pod that"
        " names the node itself still gets there."
    )
    parameters: ClassVar[type[msgspec.Struct]] = Parameters
    destructive: ClassVar[bool] = False
    reversible: ClassVar[bool] = True
    rights: ClassVar[tuple[PolicyRule, ...]] = (
        PolicyRule(("",), ("nodes",), ("get", "patch")),
        PolicyRule(("",), ("pods",), ("get",)),
    )

    def target(self, alert: Alert) -> ObjectRef | Refusal:
        """Return the node of the alert, or its pod."""
        if alert.target.resource == "nodes":
            return targets.object_of(alert, _NODES, frozenset({"proxy"}))
        return targets.pod_of(alert)

    def prepare(self, plan: Plan, cluster: Cluster) -> Prepared | Refusal:
        """Find the node."""
        found = targets.live(plan, cluster)
        if isinstance(found, Refusal):
            return found
        if plan.target.resource == "nodes":
            return _cordoning(ref_to(plan.target, found), found, {})
        name = text_at(found, "spec", "nodeName")
        reference = targets.legal(msgspec.structs.replace(_NODES, name=name or ""))
        if isinstance(reference, Refusal):
            return Refusal(f"{plan.target.words} is on no node yet")
        node = cluster.get(reference)
        if node is None:
            return Refusal(f"{reference.words} is gone already")
        return _cordoning(ref_to(reference, node), node, targets.facts_of_pod(found))

    def confirmed(self, prepared: Prepared, cluster: Cluster) -> bool:
        """Return whether the node takes no new pods."""
        node = cluster.get(prepared.target)
        return node is not None and uid_of(node) == prepared.target.uid and _is_cordoned(node)

    def undo(self, prepared: Prepared, cluster: Cluster) -> tuple[Call, ...] | Refusal:
        """Let new pods onto the node, unless somebody did."""
        target = prepared.target
        node = cluster.get(target)
        if node is None or uid_of(node) != target.uid:
            return Refusal(f"{target.words} is gone, or another one of the same name")
        if not _is_cordoned(node):
            return Refusal(f"{target.words} takes new pods already")
        operations = [steps.expect(_UNSCHEDULABLE, value=True), steps.remove(_UNSCHEDULABLE)]
        return (steps.patch(target, operations, f"uncordon {target.words}"),)


def _cordoning(target: ObjectRef, node: Manifest, facts: Manifest) -> Prepared | Refusal:
    if _is_cordoned(node):
        return Refusal(f"{target.words} is cordoned already")
    operations = [
        steps.expect(_UNSCHEDULABLE, steps.ABSENT),
        steps.put(_UNSCHEDULABLE, value=True),
    ]
    labels = mapping_at(node, "metadata", "labels")
    control_plane = any(label in labels for label in _CONTROL_PLANE)
    return Prepared(
        target=target,
        root=target.uid or "",
        calls=(steps.patch(target, operations, f"cordon {target.words}"),),
        protects={**facts, "control_plane": control_plane},
        notes=("the pods on it run on",),
    )


def _is_cordoned(node: Manifest) -> bool:
    return value_at(node, "spec", "unschedulable") is True
