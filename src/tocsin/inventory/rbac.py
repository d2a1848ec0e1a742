"""The rights to read what a scan looks at, and nothing more."""

from collections import defaultdict
from typing import Final

from tocsin.inventory.kinds import KINDS
from tocsin.model.rbac import account_with_rights

NAME: Final = "tocsin-reader"


def objects(namespace: str) -> list[dict[str, object]]:
    """Return the account that scans, its role and the binding of the two."""
    by_group: defaultdict[str, list[str]] = defaultdict(list)
    for kind in KINDS:
        by_group[kind.group].append(kind.resource)
    rules: list[dict[str, object]] = [
        {"apiGroups": [group], "resources": resources, "verbs": ["list"]}
        for group, resources in by_group.items()
    ]
    return account_with_rights(NAME, namespace, "reader", rules)
