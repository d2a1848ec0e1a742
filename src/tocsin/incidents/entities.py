"""What an alert's request touched, as entities of the incident."""

from collections.abc import Iterator

from tocsin.model.alert import Alert
from tocsin.model.incident import Entity

ALL = "*"
_PLURALS = (("sses", "ss"), ("ies", "y"), ("s", ""))


def entities_of(alert: Alert) -> Iterator[Entity]:
    """Yield what was touched; a list of everything has the name `*`."""
    target = alert.target
    if target.resource:
        name = target.name or (ALL if target.verb != "create" else None)
        if name:
            yield Entity(singular(target.resource), name, target.namespace)
    node = alert.fields.get("node")
    if alert.source == "health" and isinstance(node, str) and node:
        yield Entity("node", node)


def singular(resource: str) -> str:
    """Return what one object of a resource is called: `pods` are `pod`s."""
    for ending, replacement in _PLURALS:
        if resource.endswith(ending):
            return resource.removesuffix(ending) + replacement
    return resource


def label(kind: str, name: str, namespace: str | None) -> str:
    """Return how an object is named in a sentence."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
