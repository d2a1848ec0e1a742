"""Delete a pod: the one that the alert is about, never a namesake."""

from typing import Annotated, ClassVar

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.manifest import Manifest, number_at, ref_to, text_at, uid_of, value_at
from tocsin.model.response import Call, ObjectRef, Plan
from tocsin.respond import owners
from tocsin.respond.actions import steps, targets
from tocsin.respond.actions.base import Cluster, PolicyRule, Prepared, Refusal


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Attributes: grace_seconds: how long the pod may take to end; 0 kills it at once."""

    grace_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 0


class DeletePod(steps.Stepwise):
    """Deletes by uid; what re-creates the pod is named."""

    name: ClassVar[str] = "delete_pod"
    title: ClassVar[str] = "Delete the pod"
    effect: ClassVar[str] = (
        "Ends the pod's containers and deletes it; what was written inside of it is lost."
        " A controller such as a Deployment creates a new one."
    )
    parameters: ClassVar[type[msgspec.Struct]] = Parameters
    destructive: ClassVar[bool] = True
    reversible: ClassVar[bool] = False
    rights: ClassVar[tuple[PolicyRule, ...]] = (
        PolicyRule(("",), ("pods",), ("delete", "get")),
        *owners.RIGHTS,
    )

    def target(self, alert: Alert) -> ObjectRef | Refusal:
        """Return the pod of the alert."""
        return targets.pod_of(alert)

    def prepare(self, plan: Plan, cluster: Cluster) -> Prepared | Refusal:
        """Read the pod and what re-creates it."""
        pod = targets.live(plan, cluster)
        if isinstance(pod, Refusal):
            return pod
        grace = msgspec.convert(plan.parameters, Parameters).grace_seconds
        if _is_ending(pod, grace):
            since = text_at(pod, "metadata", "deletionTimestamp")
            return Refusal(f"{plan.target.words} is being deleted already, until {since}")
        target = ref_to(plan.target, pod)
        above = owners.owners_of(pod, cluster)
        notes = targets.notes_on(above)
        if value_at(pod, "metadata", "finalizers"):
            notes += ("it has finalizers: its containers end, its entry stays until those agree",)
        return Prepared(
            target=target,
            root=above.root,
            calls=(steps.delete(target, f"delete {target.words}", grace),),
            before={"grace_seconds": grace},
            protects=targets.facts_of_pod(pod),
            owner=above.top,
            notes=notes,
        )

    def confirmed(self, prepared: Prepared, cluster: Cluster) -> bool:
        """Return whether the pod is gone, or about to be within the grace period."""
        pod = cluster.get(prepared.target)
        if pod is None or uid_of(pod) != prepared.target.uid:
            return True
        return _is_ending(pod, number_at(prepared.before, "grace_seconds"))

    def undo(self, prepared: Prepared, cluster: Cluster) -> tuple[Call, ...] | Refusal:
        """Refuse: a pod cannot be brought back."""
        return Refusal(f"{prepared.target.words} was deleted; that cannot be undone")


def _is_ending(pod: Manifest, grace_seconds: int) -> bool:
    """Whether it is being deleted, and no more slowly than that: an attacker may give it days."""
    deleting = text_at(pod, "metadata", "deletionTimestamp") is not None
    return deleting and number_at(pod, "metadata", "deletionGracePeriodSeconds") <= grace_seconds
