"""The `tocsin:` block of a Sigma rule: what Sigma itself cannot say. Other tools ignore it.

    tocsin:
      message: "$(user.username) bound a wildcard role"
      each:
        wildcard: requestObject.rules

`message` is the alert's description, with `$(field)` placeholders. `each` names selections
of the rule and, for each, a list in the event: the fields of the selection below that list
must then all match within one and the same element. Plain Sigma would let the verbs of one
RBAC rule meet the resources of another. Without `each` the rule still loads everywhere,
and means the weaker thing.
"""

import msgspec

from tocsin.dialects.yaml import Document
from tocsin.model.errors import Fault, LoadError


class Extension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The extension of one rule; empty where the rule has none."""

    message: str | None = None
    each: dict[str, str] = {}


def read_extension(document: Document, value: object, selections: frozenset[str]) -> Extension:
    """Return the `tocsin:` block of a rule.

    Raises:
        LoadError: unknown keys, wrong types, or a selection that the rule does not have.
    """
    try:
        extension = msgspec.convert(value if value is not None else {}, Extension)
    except msgspec.ValidationError as error:
        raise LoadError([Fault(str(error), document.at("tocsin"), "tocsin")]) from error
    unknown = extension.each.keys() - selections
    if unknown:
        message = f"tocsin.each names no selection of this rule: {', '.join(sorted(unknown))}"
        raise LoadError([Fault(message, document.at("tocsin", "each"), "tocsin.each")])
    return extension
