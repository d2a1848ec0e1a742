"""The rights of the responder: exactly those that the enabled actions need.

Bringing a binding back is a right of its own. The API server lets nobody bind a role who does
not have all its rights or the right to bind it, so that has to be asked for, role by role.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from tocsin.model.rbac import RBAC, account_with_rights
from tocsin.respond import evidence
from tocsin.respond.actions.base import Action, PolicyRule

NAME: Final = "tocsin-responder"


def rights_of(actions: Iterable[Action], bind_roles: Sequence[str] = ()) -> list[PolicyRule]:
    """Return the rights that actions need, those for evidence included.

    Args:
        actions: the enabled ones.
        bind_roles: names of the roles and cluster roles whose bindings may be brought back.
    """
    needed: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    rules = [rule for action in actions for rule in _rights_of(action)]
    if bind_roles:
        rules.append(PolicyRule((RBAC,), ("clusterrolebindings", "rolebindings"), ("create",)))
    for rule in rules:
        for group in rule.api_groups:
            for resource in rule.resources:
                needed[group, resource].update(rule.verbs)
    together: defaultdict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, resource), verbs in sorted(needed.items()):
        together[group, tuple(sorted(verbs))].append(resource)
    return sorted(
        PolicyRule((group,), tuple(resources), verbs)
        for (group, verbs), resources in together.items()
    )


def objects(
    actions: Iterable[Action], namespace: str, bind_roles: Sequence[str] = ()
) -> list[dict[str, object]]:
    """Return the account, its role and the binding of the two, as Kubernetes takes them."""
    rules: list[dict[str, object]] = [
        {
            "apiGroups": list(rule.api_groups),
            "resources": list(rule.resources),
            "verbs": list(rule.verbs),
        }
        for rule in rights_of(actions, bind_roles)
    ]
    if bind_roles:
        rules.append(
            {
                "apiGroups": [RBAC],
                "resources": ["clusterroles", "roles"],
                "verbs": ["bind"],
                "resourceNames": sorted(set(bind_roles)),
            }
        )
    return account_with_rights(NAME, namespace, "responder", rules)


def _rights_of(action: Action) -> Iterable[PolicyRule]:
    yield from action.rights
    if action.destructive and action.rights:
        yield evidence.EVENTS
        if any("pods" in rule.resources for rule in action.rights):
            yield evidence.LOGS
