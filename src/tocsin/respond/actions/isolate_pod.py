"""Cut a pod off the network, and leave it running for whoever investigates.

The policy and the label carry the response's own name: nobody's policy is ever overwritten.
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.manifest import Manifest, mapping_at, ref_to, text_at, uid_of, value_at
from tocsin.model.response import Call, ObjectRef, Plan
from tocsin.respond import owners
from tocsin.respond.actions import steps, targets
from tocsin.respond.actions.base import Cluster, PolicyRule, Prepared, Refusal
from tocsin.respond.selectors import selects

LABEL = "tocsin.dev/isolated"
_LABEL_PATH = f"/metadata/labels/{steps.pointer(LABEL)}"
_POLICIES = "networkpolicies"
_NETWORKING = "networking.k8s.io"


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There are none."""


class IsolatePod(steps.Stepwise):
    """Creates a policy that allows nothing, then labels the pod so that it applies."""

    name: ClassVar[str] = "isolate_pod"
    title: ClassVar[str] = "Isolate the pod"
    effect: ClassVar[str] = (
        "Creates a NetworkPolicy that allows the pod no traffic in either direction; the pod runs"
        " on. Whether that is enforced depends on the network plugin, connections that are open"
        " may stay open, and traffic that other policies allow stays allowed."
    )
    parameters: ClassVar[type[msgspec.Struct]] = Parameters
    destructive: ClassVar[bool] = False
    reversible: ClassVar[bool] = True
    rights: ClassVar[tuple[PolicyRule, ...]] = (
        PolicyRule(("",), ("pods",), ("get", "patch")),
        PolicyRule((_NETWORKING,), (_POLICIES,), ("create", "delete", "get", "list")),
        *owners.RIGHTS,
    )

    def target(self, alert: Alert) -> ObjectRef | Refusal:
        """Return the pod of the alert."""
        return targets.pod_of(alert)

    def prepare(self, plan: Plan, cluster: Cluster) -> Prepared | Refusal:
        """Read the pod and the policies that apply to it."""
        pod = targets.live(plan, cluster)
        if isinstance(pod, Refusal):
            return pod
        labels = mapping_at(pod, "metadata", "labels")
        if LABEL in labels:
            return Refusal(f"{plan.target.words} has the label {LABEL} already")
        target = ref_to(plan.target, pod)
        policy = _policy_ref(target, plan.id)
        others = cluster.list(policy)
        if any(text_at(other, "metadata", "name") == policy.name for other in others):
            return Refusal(f"there is a {policy.words} already, and it is not replaced")
        above = owners.owners_of(pod, cluster)
        return Prepared(
            target=target,
            root=above.root,
            calls=(
                steps.create(policy, _policy(policy, plan.id), f"create {policy.words}"),
                steps.patch(target, _labelling(pod, plan.id), f"label {target.words}"),
            ),
            before={"policy": policy.name, "value": plan.id},
            protects=targets.facts_of_pod(pod),
            owner=above.top,
            notes=(
                "policy created; enforcement depends on the network plugin",
                *_notes(pod, others),
                *targets.notes_on(above),
            ),
        )

    def confirmed(self, prepared: Prepared, cluster: Cluster) -> bool:
        """Return whether the policy is there and the pod has its label."""
        value = str(prepared.before["value"])
        policy = cluster.get(_policy_ref(prepared.target, value))
        pod = cluster.get(prepared.target)
        return policy is not None and pod is not None and _value(pod) == value

    def undo(self, prepared: Prepared, cluster: Cluster) -> tuple[Call, ...] | Refusal:
        """Take the label and the policy away, if they are still as they were made."""
        value, target = str(prepared.before["value"]), prepared.target
        calls: list[Call] = []
        pod = cluster.get(target)
        if pod is not None and uid_of(pod) == target.uid and _value(pod) is not None:
            if _value(pod) != value:
                return Refusal(f"the label {LABEL} of {target.words} was changed since")
            operations = [steps.expect(_LABEL_PATH, value), steps.remove(_LABEL_PATH)]
            calls.append(steps.patch(target, operations, f"take the label off {target.words}"))
        reference = _policy_ref(target, value)
        policy = cluster.get(reference)
        if policy is not None:
            if not _is_ours(policy, value):
                return Refusal(f"{reference.words} was changed since")
            reference = ref_to(reference, policy)
            calls.append(steps.delete(reference, f"delete {reference.words}"))
        return tuple(calls) or Refusal("label and policy are gone already")


def _policy_ref(pod: ObjectRef, value: str) -> ObjectRef:
    return ObjectRef(
        api_group=_NETWORKING,
        resource=_POLICIES,
        namespace=pod.namespace,
        name=f"tocsin-isolate-{value}",
    )


def _policy(policy: ObjectRef, value: str) -> dict[str, object]:
    return {
        "apiVersion": f"{_NETWORKING}/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": policy.name, "namespace": policy.namespace, "labels": {LABEL: value}},
        "spec": _spec(value),
    }


def _spec(value: str) -> dict[str, object]:
    return {
        "podSelector": {"matchLabels": {LABEL: value}},
        "policyTypes": ["Ingress", "Egress"],
    }


def _is_ours(policy: Manifest, value: str) -> bool:
    """Whether it still says what it said when it was made."""
    return value_at(policy, "spec") == _spec(value)


def _labelling(pod: Manifest, value: str) -> list[steps.Operation]:
    if mapping_at(pod, "metadata", "labels"):
        return [steps.expect(_LABEL_PATH, steps.ABSENT), steps.put(_LABEL_PATH, value)]
    none = steps.expect("/metadata/labels", steps.ABSENT)
    return [none, steps.put("/metadata/labels", {LABEL: value})]


def _value(pod: Manifest) -> str | None:
    return text_at(pod, "metadata", "labels", LABEL)


def _notes(pod: Manifest, policies: Sequence[Manifest]) -> tuple[str, ...]:
    """Name the policies that go on allowing the pod some traffic: what one allows, is allowed."""
    labels = mapping_at(pod, "metadata", "labels")
    return tuple(
        f"policy {text_at(policy, 'metadata', 'name')} still allows some of its traffic"
        for policy in policies
        if selects(mapping_at(policy, "spec", "podSelector"), labels)
        and (value_at(policy, "spec", "ingress") or value_at(policy, "spec", "egress"))
    )
