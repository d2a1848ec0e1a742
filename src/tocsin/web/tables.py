"""Tables as pages show them, and their JSON and CSV twins.

One description of the columns makes all three, so that they cannot disagree.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Kind = Literal["string", "integer", "number", "boolean", "array", "object"]

# What makes a spreadsheet take a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key in JSON and CSV, its title, and how a row's value is taken.

    Values are what JSON can hold; a list becomes one CSV cell with spaces between.
    """

    key: str
    title: str
    value: Callable[[Any], object]
    kind: Kind = "string"


@dataclass(frozen=True, slots=True)
class Table:
    """A page of rows in order; `next` is the `before` of the page that follows, if any."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Any]
    next: str | None = None


def as_json(table: Table, next_link: str | None) -> bytes:
    """Return the rows as JSON: `{"rows": [{key: value, ...}, ...], "next": link or null}`."""
    rows = [{column.key: column.value(row) for column in table.columns} for row in table.rows]
    return msgspec.json.encode({"rows": rows, "next": next_link})


def as_csv(table: Table) -> str:
    """Return the rows as CSV with a header row; no cell can be taken for a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([column.key for column in table.columns])
    for row in table.rows:
        writer.writerow([cell(column.value(row)) for column in table.columns])
    return text.getvalue()


def cell(value: object) -> str:
    """Return a value as the text of a CSV cell; text that begins a formula gets a `'` before it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            shown = value
        case list() | tuple():
            shown = " ".join(str(item) for item in value)
        case _:
            shown = msgspec.json.encode(value).decode()
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def schema_of(columns: Sequence[Column]) -> dict[str, object]:
    """Return the JSON schema of a table's twin."""
    row = {
        "type": "object",
        "properties": {
            column.key: {"type": [column.kind, "null"], "description": column.title}
            for column in columns
        },
        "required": [column.key for column in columns],
    }
    return {
        "type": "object",
        "properties": {
            "rows": {"type": "array", "items": row},
            "next": {"type": ["string", "null"], "description": "Link to the rows that follow."},
        },
        "required": ["rows", "next"],
    }
