"""The audit policy: one of the two that Tocsin ships, or the user's own."""

from importlib import resources
from pathlib import Path

from tocsin.connect.files import read_required
from tocsin.connect.yamltext import parse_mapping
from tocsin.model.errors import TocsinError

SHIPPED_POLICIES = {"recommended": "audit-policy.yaml", "seed": "seed-policy.yaml"}

_LEVELS = frozenset({"None", "Metadata", "Request", "RequestResponse"})


def load_policy(choice: str) -> bytes:
    """Return the policy `recommended`, `seed`, or that of a file, as it is."""
    if choice in SHIPPED_POLICIES:
        shipped = resources.files("tocsin") / "content" / "policies" / SHIPPED_POLICIES[choice]
        return shipped.read_bytes()
    content = read_required(Path(choice))
    _check_policy(content, choice)
    return content


def _check_policy(content: bytes, name: str) -> None:
    """Refuse what would keep the API server from starting."""
    policy = parse_mapping(content, name)
    kind, version = policy.get("kind"), policy.get("apiVersion")
    if kind != "Policy" or version != "audit.k8s.io/v1":
        message = (
            f"{name} is not an audit policy: it needs `kind: Policy` and "
            f"`apiVersion: audit.k8s.io/v1`, and says {kind!r} and {version!r}"
        )
        raise TocsinError(message)
    rules = policy.get("rules")
    if not isinstance(rules, list) or not rules:
        message = f"{name}: an audit policy needs a list of rules"
        raise TocsinError(message)
    for number, rule in enumerate(rules, start=1):
        level = rule.get("level") if isinstance(rule, dict) else None
        if level not in _LEVELS:
            message = (
                f"{name}: rule {number} has the level {level!r}; "
                "the API server knows None, Metadata, Request and RequestResponse"
            )
            raise TocsinError(message)
