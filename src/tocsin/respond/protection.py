"""What no response touches: the cluster's own parts, its owners, and Tocsin.

Pure. An action reads the facts about its object and puts them into `Prepared.protects`; a
fact that is missing there counts as protection, so that a new action cannot forget one.

| key             | of                       | value                                       |
|-----------------|--------------------------|---------------------------------------------|
| `priority_class`| pods, workloads          | the name of its class, or None              |
| `mirror_pod`    | pods                     | whether a file of the node stands behind it |
| `control_plane` | nodes                    | whether the control plane runs on it        |
| `role_ref`      | bindings                 | the name of the role                        |
| `role_refs`     | accounts                 | the names of the roles of their bindings    |
| `subjects`      | bindings, accounts       | each with `kind`, `name` and `namespace`    |
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tocsin.respond.actions.base import Prepared
from tocsin.respond.globs import is_any
from tocsin.respond.settings import Protected

ACCOUNT_PREFIX = "system:serviceaccount:"

_FACTS: Mapping[str, tuple[str, ...]] = {
    "pods": ("priority_class", "mirror_pod"),
    "deployments": ("priority_class",),
    "replicasets": ("priority_class",),
    "statefulsets": ("priority_class",),
    "nodes": ("control_plane",),
    "rolebindings": ("role_ref", "subjects"),
    "clusterrolebindings": ("role_ref", "subjects"),
    "serviceaccounts": ("role_refs",),
}


def protected_by(
    prepared: Prepared, groups: Iterable[str], protected: Protected, account: str
) -> str | None:
    """Return what protects the objects of an action, None if nothing does.

    Args:
        prepared: the action on the live object.
        groups: groups of who made the request, which count where the action is against them.
        protected: what the operator protects.
        account: the responder's own user.
    """
    for name in sorted(_namespaces(prepared)):
        if is_any(name, protected.all_namespaces):
            return f"namespace {name} is protected"
    facts = prepared.protects
    if missing := [key for key in _FACTS.get(prepared.target.resource, ()) if key not in facts]:
        return f"whether it is protected is not known: {missing[0]} was not read"
    return (
        _protected_pod_or_node(facts, protected)
        or _protected_role(facts, protected)
        or _protected_identity(prepared, groups, protected, account)
    )


def account_of(prepared: Prepared) -> str | None:
    """Return the user that an action on a service account is against."""
    target = prepared.target
    if target.resource != "serviceaccounts":
        return None
    return f"{ACCOUNT_PREFIX}{target.namespace}:{target.name}"


def _namespaces(prepared: Prepared) -> set[str]:
    """Return the namespaces that an action touches."""
    objects = [prepared.target, *(call.target for call in prepared.calls)]
    named = {one.namespace for one in objects if one.namespace}
    return named | {one.name for one in objects if one.resource == "namespaces"}


def _protected_pod_or_node(facts: Mapping[str, object], protected: Protected) -> str | None:
    if facts.get("mirror_pod"):
        return "it is a static pod: its node runs it from a file, and would go on to"
    if facts.get("control_plane"):
        return "the control plane runs on this node"
    name = facts.get("priority_class")
    if name and is_any(str(name), protected.priority_classes):
        return f"pods of priority class {name} are protected"
    return None


def _protected_role(facts: Mapping[str, object], protected: Protected) -> str | None:
    for name in (facts.get("role_ref"), *_listed(facts.get("role_refs"))):
        if name and is_any(str(name), protected.cluster_roles):
            return f"bindings of {name} are protected"
    return None


def _protected_identity(
    prepared: Prepared, groups: Iterable[str], protected: Protected, account: str
) -> str | None:
    against = account_of(prepared)
    if against is not None:
        for group in groups:
            if is_any(group, protected.all_groups):
                return f"members of group {group} are protected"
    users = {against} if against else set()
    for kind, name in _subjects(prepared):
        if kind != "Group":
            users.add(name)
        elif is_any(name, protected.all_groups):
            return f"group {name} is protected"
    for user in sorted(users):
        if user == account:
            return f"{user} is the responder itself"
        if is_any(user, protected.all_users) or _is_of_protected_namespace(user, protected):
            return f"{user} is protected"
    return None


def _subjects(prepared: Prepared) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of each subject, of service accounts as users."""
    for subject in _listed(prepared.protects.get("subjects")):
        if not isinstance(subject, Mapping):
            continue
        kind, name = str(subject.get("kind")), str(subject.get("name"))
        if kind == "ServiceAccount":
            name = f"{ACCOUNT_PREFIX}{subject.get('namespace')}:{name}"
        yield kind, name


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _is_of_protected_namespace(user: str, protected: Protected) -> bool:
    namespace, _, _ = user.removeprefix(ACCOUNT_PREFIX).partition(":")
    return user.startswith(ACCOUNT_PREFIX) and is_any(namespace, protected.all_namespaces)
