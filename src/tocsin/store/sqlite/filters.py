"""An `AlertFilter` as SQL conditions. Values are always bound, never written into the SQL."""

from datetime import UTC, datetime

import msgspec

from tocsin.model.alert import SEVERITIES
from tocsin.model.ports import AlertFilter


def conditions(where: AlertFilter) -> tuple[str, list[object]]:
    """Return the text after WHERE and the values for its question marks."""
    tests: list[str] = ["true"]
    values: list[object] = []
    candidates: tuple[tuple[str, object], ...] = (
        ("time >= ?", where.since and _stamp(where.since)),
        ("time < ?", where.until and _stamp(where.until)),
        ("severity >= ?", SEVERITIES.index(where.min_severity) or None),
        ("cluster = ?", _unicode(where.cluster)),
        ("rule_id = ?", _unicode(where.rule_id)),
        ("user = ?", _unicode(where.user)),
        ("namespace = ?", _unicode(where.namespace)),
        ("instr(lower(body), lower(?)) > 0", _within_json(where.text)),
    )
    for test, value in candidates:
        if value is not None:
            tests.append(test)
            values.append(value)
    return " AND ".join(tests), values


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _unicode(text: str | None) -> str | None:
    """Replace what is not Unicode: a command line can hold bytes that SQLite refuses."""
    return None if text is None else text.encode("utf-8", "replace").decode()


def _within_json(text: str | None) -> str | None:
    """Return the text as it stands between the quotes of a JSON string."""
    found = _unicode(text)
    return msgspec.json.encode(found).decode()[1:-1] if found else None
