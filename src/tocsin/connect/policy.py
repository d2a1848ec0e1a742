"""The audit policy: one of the two that Tocsin ships, or the user's own."""

from importlib import resources
from pathlib import Path

from tocsin.auditpolicy import Policy, parse_policy
from tocsin.connect.files import read_required
from tocsin.connect.yamltext import parse_mapping

SHIPPED_POLICIES = {"recommended": "audit-policy.yaml", "seed": "seed-policy.yaml"}


def load_policy(choice: str) -> bytes:
    """Return the policy `recommended`, `seed`, or that of a file, as it is.

    Raises:
        TocsinError: there is no such file, or the API server would not start with it.
    """
    if choice in SHIPPED_POLICIES:
        shipped = resources.files("tocsin") / "content" / "policies" / SHIPPED_POLICIES[choice]
        return shipped.read_bytes()
    content = read_required(Path(choice))
    parse_policy(parse_mapping(content, choice), choice)
    return content


def read_policy(choice: str) -> Policy:
    """Return the policy `recommended`, `seed`, or that of a file, ready to be asked.

    Raises:
        TocsinError: there is no such file, or the API server would not start with it.
    """
    return parse_policy(parse_mapping(load_policy(choice), choice), choice)
