"""Delete a role binding: nobody it names has the role through it any more."""

from typing import ClassVar

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.manifest import mapping_at, ref_to, value_at
from tocsin.model.rbac import RBAC
from tocsin.model.response import Call, ObjectRef, Plan
from tocsin.respond.actions import bindings, steps, targets
from tocsin.respond.actions.base import Cluster, PolicyRule, Prepared, Refusal


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There are none."""


class DeleteBinding(steps.Stepwise):
    """Deletes by uid, and keeps what is needed to create the binding again."""

    name: ClassVar[str] = "delete_binding"
    title: ClassVar[str] = "Delete the role binding"
    effect: ClassVar[str] = (
        "Takes the role away from all whom the binding names; what other bindings give stays."
        " Undone, the binding is a new object: with another uid and time of creation."
    )
    parameters: ClassVar[type[msgspec.Struct]] = Parameters
    destructive: ClassVar[bool] = False
    reversible: ClassVar[bool] = True
    rights: ClassVar[tuple[PolicyRule, ...]] = (
        PolicyRule((RBAC,), ("clusterrolebindings", "rolebindings"), ("delete", "get")),
    )

    def target(self, alert: Alert) -> ObjectRef | Refusal:
        """Return the binding of the alert."""
        if alert.target.resource == "clusterrolebindings":
            return targets.object_of(alert, bindings.CLUSTER_ROLE_BINDINGS, frozenset())
        found = targets.object_of(alert, bindings.ROLE_BINDINGS, frozenset())
        if isinstance(found, ObjectRef) and found.namespace is None:
            return Refusal("the alert does not say in which namespace the binding is")
        return found

    def prepare(self, plan: Plan, cluster: Cluster) -> Prepared | Refusal:
        """Read the binding."""
        binding = targets.live(plan, cluster)
        if isinstance(binding, Refusal):
            return binding
        target = ref_to(plan.target, binding)
        notes = ["to undo it, the responder needs the right to bind the role"]
        if value_at(binding, "metadata", "finalizers"):
            notes.append("it has finalizers, so that it holds until those are taken off")
        if "kubernetes.io/bootstrapping" in mapping_at(binding, "metadata", "labels"):
            notes.append("it is one of Kubernetes' own: the API server creates it at its start")
        return Prepared(
            target=target,
            root=target.uid or "",
            calls=(steps.delete(target, f"delete {target.words}"),),
            before={"binding": bindings.manifest_of(target, binding)},
            protects={
                "namespace": target.namespace,
                "role_ref": bindings.role_of(binding),
                "subjects": [dict(one) for one in bindings.subjects_of(binding)],
            },
            notes=tuple(notes),
        )

    def confirmed(self, prepared: Prepared, cluster: Cluster) -> bool:
        """Return whether the binding is gone; one that is only being deleted still holds."""
        return targets.is_gone(prepared, cluster)

    def undo(self, prepared: Prepared, cluster: Cluster) -> tuple[Call, ...] | Refusal:
        """Create the binding again."""
        before = mapping_at(prepared.before, "binding")
        return bindings.restoring(prepared.target, before, None, cluster)
