"""The `tocsin:` block of a Sigma rule: what Sigma itself cannot say. Other tools ignore it.

    tocsin:
      message: "$(user.username) bound a wildcard role"
      grade: core
      catalogue: [role-wildcard]
      needs: Request
      each:
        wildcard: requestObject.rules
      first_seen: {by: [user.username, sourceIPs], learning: 7d, forget: 30d}
      suppress: {by: [user.username], window: 15m, after: 2}

`message` is the alert's description, with `$(field)` placeholders. `grade` says for whom a
shipped rule is (see `rules.ir.Grade`), `catalogue` which known detections it stands for, and
`needs` the least audit level at which it works in full.

`each` names selections of the rule and, for each, a list in the event: the fields of the
selection below that list must then all match within one and the same element. Plain Sigma
would let the verbs of one RBAC rule meet the resources of another. `first_seen` lets the rule
alert only on values of the fields `by` that it has not met before; it learns in silence for the
time `learning`, and forgets what was not met for the time `forget`. Without these two the rule
still loads everywhere, and means the weaker thing.

`suppress` lets `after` alerts with the same values of the fields `by` through within `window`;
those that follow are counted, and kept as suppressed.
"""

import msgspec

from tocsin.auditpolicy.policy import Level
from tocsin.dialects.yaml import Document
from tocsin.model.errors import Fault, LoadError, TocsinError
from tocsin.model.times import parse_duration
from tocsin.rules.ir import FirstSeen, Grade, Suppress
from tocsin.rules.suppress import WrittenSuppress


class _FirstSeen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: tuple[str, ...]
    learning: str = "7d"
    forget: str = "30d"


class Extension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The extension of one rule; empty where the rule has none."""

    message: str | None = None
    grade: Grade = "core"
    catalogue: tuple[str, ...] = ()
    needs: Level | None = None
    each: dict[str, str] = {}
    first_seen: _FirstSeen | None = None
    suppress: WrittenSuppress | None = None

    def to_first_seen(self) -> FirstSeen | None:
        """Return what must be new, with times in seconds."""
        told = self.first_seen
        if told is None:
            return None
        learning = _seconds(told.learning, "learning")
        return FirstSeen(told.by, learning, _seconds(told.forget, "forget"))

    def to_suppress(self) -> Suppress | None:
        """Return what is suppressed, with times in seconds."""
        return self.suppress.to_ir() if self.suppress else None


def read_extension(document: Document, value: object, selections: frozenset[str]) -> Extension:
    """Return the `tocsin:` block of a rule.

    Raises:
        LoadError: unknown keys, wrong types, a length of time that is none, or a selection
            that the rule does not have.
    """
    try:
        extension = msgspec.convert(value if value is not None else {}, Extension)
        extension.to_first_seen()
    except (msgspec.ValidationError, TocsinError) as error:
        raise LoadError([Fault(str(error), document.at("tocsin"), "tocsin")]) from error
    unknown = extension.each.keys() - selections
    if unknown:
        message = f"tocsin.each names no selection of this rule: {', '.join(sorted(unknown))}"
        raise LoadError([Fault(message, document.at("tocsin", "each"), "tocsin.each")])
    return extension


def _seconds(text: str, key: str) -> float:
    return parse_duration(text, f"tocsin: {key}").total_seconds()
