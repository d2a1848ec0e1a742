"""An `AlertFilter` as SQL conditions. Values are always bound, never written into the SQL."""

from datetime import UTC, datetime

import msgspec

from tocsin.model.alert import SEVERITIES
from tocsin.model.ports import AlertFilter

_TECHNIQUE = "(instr(techniques, ?) > 0 OR instr(techniques, ?) > 0)"
_INCIDENT = (
    "seq IN (SELECT alert_seq FROM incident_alert WHERE incident = "
    "ifnull((SELECT incident FROM incident_alias WHERE id = ?), ?))"
)
_TEXT = "instr(lower(body), lower(?)) > 0"

Conditions = tuple[str, list[object]]
"""The text after WHERE and the values for its question marks."""


def conditions(where: AlertFilter) -> Conditions:
    """Return the conditions; the indexes answer all but the text, which is looked for last."""
    tests: list[str] = ["true"]
    values: list[object] = []
    candidates: tuple[tuple[str, list[object | None]], ...] = (
        ("time >= ?", [where.since and as_stamp(where.since)]),
        ("time < ?", [where.until and as_stamp(where.until)]),
        ("severity >= ?", [SEVERITIES.index(where.min_severity) or None]),
        ("cluster = ?", [as_unicode(where.cluster)]),
        ("rule_id = ?", [as_unicode(where.rule_id)]),
        ("user = ?", [as_unicode(where.user)]),
        ("namespace = ?", [as_unicode(where.namespace)]),
        (_TECHNIQUE, _technique_words(where.technique)),
        (_INCIDENT, [as_unicode(where.incident)] * 2),
        (_TEXT, [within_json(where.text)]),
    )
    for test, bound in candidates:
        if None not in bound:
            tests.append(test)
            values += bound
    if where.hidden != "with":
        tests.append("hidden_by IS NULL" if where.hidden == "without" else "hidden_by IS NOT NULL")
    return " AND ".join(tests), values


def within_json(text: str | None) -> str | None:
    """Return the text as it stands between the quotes of a JSON string; None for no text."""
    found = as_unicode(text)
    return msgspec.json.encode(found).decode()[1:-1] if found else None


def _technique_words(technique: str | None) -> list[object | None]:
    """Return a technique as the column has it, and the beginning of its sub-techniques."""
    found = as_unicode(technique)
    return [None] if found is None else [f" {found} ", f" {found}."]


def as_stamp(moment: datetime) -> str:
    """Return a time as alerts have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def as_unicode(text: str | None) -> str | None:
    """Replace what is not Unicode: a command line can hold bytes that SQLite refuses."""
    return None if text is None else text.encode("utf-8", "replace").decode()
