"""Role bindings: whom they name, and how they are taken away and brought back."""

from collections.abc import Sequence

import msgspec

from tocsin.model.manifest import Manifest, items_at, ref_to, restorable, text_at, uid_of
from tocsin.model.rbac import RBAC
from tocsin.model.response import Call, ObjectRef
from tocsin.respond.actions import steps
from tocsin.respond.actions.base import Cluster, Refusal

ROLE_BINDINGS = ObjectRef(api_group=RBAC, resource="rolebindings", name="any")
CLUSTER_ROLE_BINDINGS = ObjectRef(api_group=RBAC, resource="clusterrolebindings", name="any")
_KINDS = {"rolebindings": "RoleBinding", "clusterrolebindings": "ClusterRoleBinding"}


def all_bindings(cluster: Cluster) -> list[tuple[ObjectRef, Manifest]]:
    """Return the role bindings of all namespaces and of the cluster.

    Raises:
        ApiError: they cannot be read.
    """
    return [
        (ref_to(kind, binding), binding)
        for kind in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)
        for binding in cluster.list(kind)
    ]


def subjects_of(binding: Manifest) -> list[Manifest]:
    """Return whom a binding names."""
    return items_at(binding, "subjects")


def role_of(binding: Manifest) -> str:
    """Return the name of the role that a binding gives."""
    return text_at(binding, "roleRef", "name") or ""


def is_account(subject: Manifest, account: ObjectRef) -> bool:
    """Whether a subject is this service account, under either of its names."""
    name = text_at(subject, "name")
    if text_at(subject, "kind") == "ServiceAccount":
        return (text_at(subject, "namespace"), name) == (account.namespace, account.name)
    user = f"system:serviceaccount:{account.namespace}:{account.name}"
    return text_at(subject, "kind") == "User" and name == user


def manifest_of(ref: ObjectRef, binding: Manifest) -> dict[str, object]:
    """Return what is needed to create the binding again; lists leave out the kind."""
    kind = {"apiVersion": f"{ref.api_group}/{ref.version}", "kind": _KINDS[ref.resource]}
    return {**kind, **restorable(binding)}


def without(ref: ObjectRef, binding: Manifest, account: ObjectRef) -> Call:
    """Return the call that takes an account out of a binding, and the others not."""
    subjects = subjects_of(binding)
    operations: list[steps.Operation] = []
    for index in reversed(range(len(subjects))):
        if is_account(subjects[index], account):
            path = f"/subjects/{index}"
            operations += [steps.expect(path, subjects[index]), steps.remove(path)]
    return steps.patch(ref, operations, f"take {account.words} out of {ref.words}")


def restoring(
    ref: ObjectRef, before: Manifest, left: Sequence[Manifest] | None, cluster: Cluster
) -> tuple[Call, ...] | Refusal:
    """Return the calls that make a binding what it was before; none if it is that already.

    Args:
        ref: the binding as it was read, with its uid.
        before: what it was, as `manifest_of` says.
        left: the subjects that it was left with; None if it was deleted.
        cluster: where.

    Raises:
        ApiError: it cannot be read.
    """
    live = cluster.get(ref)
    # A crash may have come after it was brought back.
    if live is not None and manifest_of(ref, live) == before:
        return ()
    if left is None:
        if live is not None:
            return Refusal(f"{ref.words} is there again, as another one: somebody created it since")
        new = msgspec.structs.replace(ref, uid=None)
        return (steps.create(new, before, f"create {ref.words} again"),)
    if live is None or uid_of(live) != ref.uid or subjects_of(live) != list(left):
        return Refusal(f"{ref.words} was changed since")
    operations = [
        steps.expect("/subjects", list(left)),
        steps.put("/subjects", subjects_of(before)),
    ]
    return (steps.patch(ref, operations, f"put the subjects of {ref.words} back"),)
