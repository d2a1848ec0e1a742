"""Silences in SQLite, and how many alerts they and suppression have hidden."""

import sqlite3

import msgspec

from tocsin.model.errors import TocsinError
from tocsin.model.matcher import Matcher
from tocsin.model.silence import MAX_ACTIVE, HiddenCount, Silence
from tocsin.store.sqlite.database import Database
from tocsin.store.sqlite.filters import as_unicode

_SELECT = (
    "SELECT id, matcher, owner, reason, created, expires, ended, ended_by, "
    "ifnull((SELECT sum(count) FROM hidden_count WHERE hidden_by = 'silence:' || id), 0) "
    "FROM silence "
)
_ACTIVE = "WHERE ended IS NULL AND expires > ? ORDER BY id"

_decode = msgspec.json.Decoder(Matcher).decode


class SqliteSilences:
    """The `SilenceStore` of a SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, silence: Silence) -> Silence:
        """Store a silence and return it with its number.

        Raises:
            TocsinError: too many are active.
        """
        matcher = msgspec.to_builtins(silence.matcher)
        matcher = {name: as_unicode(text) for name, text in matcher.items()}
        with self._database.write() as connection:
            (active,) = connection.execute(
                "SELECT count(*) FROM silence WHERE ended IS NULL AND expires > ?",
                (silence.created,),
            ).fetchone()
            if active >= MAX_ACTIVE:
                message = f"there are {active} active silences already: end some of them first"
                raise TocsinError(message)
            number = connection.execute(
                "INSERT INTO silence (matcher, owner, reason, created, expires) "
                "VALUES (?, ?, ?, ?, ?)",
                (
                    msgspec.json.encode(matcher).decode(),
                    as_unicode(silence.owner),
                    as_unicode(silence.reason),
                    silence.created,
                    silence.expires,
                ),
            ).lastrowid
            return _find(connection, number or 0)

    def silence(self, number: int) -> Silence | None:
        """Return a silence, or None."""
        with self._database.read() as connection:
            return _one(connection, number)

    def silences(self) -> list[Silence]:
        """Return all silences, the newest first."""
        with self._database.read() as connection:
            rows = connection.execute(f"{_SELECT} ORDER BY id DESC").fetchall()
        return [_silence(*row) for row in rows]

    def active(self, now: float) -> list[Silence]:
        """Return the silences that hide alerts now, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(f"{_SELECT} {_ACTIVE}", (now,)).fetchall()
        return [_silence(*row) for row in rows]

    def end(self, number: int, who: str, now: float) -> Silence:
        """End a silence before its time; one that is over stays as it is.

        Raises:
            TocsinError: there is no such silence.
        """
        with self._database.write() as connection:
            connection.execute(
                "UPDATE silence SET ended = ?, ended_by = ? "
                "WHERE id = ? AND ended IS NULL AND expires > ?",
                (now, as_unicode(who), number, now),
            )
            return _find(connection, number)

    def hidden(self) -> list[HiddenCount]:
        """Return how many alerts were hidden, by what hid them and by rule."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT hidden_by, rule_id, count, last FROM hidden_count "
                "ORDER BY hidden_by, rule_id"
            ).fetchall()
        return [HiddenCount(*row) for row in rows]


def count_hidden(connection: sqlite3.Connection, hidden_by: str, rule_id: str, now: float) -> None:
    """Count an alert that was hidden."""
    connection.execute(
        "INSERT INTO hidden_count (hidden_by, rule_id, count, last) VALUES (?, ?, 1, ?) "
        "ON CONFLICT (hidden_by, rule_id) DO UPDATE SET count = count + 1, last = excluded.last",
        (hidden_by, rule_id, now),
    )


def _find(connection: sqlite3.Connection, number: int) -> Silence:
    found = _one(connection, number)
    if found is None:
        message = f"there is no silence {number}: `tocsin silence list` lists them"
        raise TocsinError(message)
    return found


def _one(connection: sqlite3.Connection, number: int) -> Silence | None:
    row = connection.execute(f"{_SELECT} WHERE id = ?", (number,)).fetchone()
    return _silence(*row) if row else None


def _silence(  # noqa: PLR0913, PLR0917 - a row
    number: int,
    matcher: str,
    owner: str,
    reason: str,
    created: float,
    expires: float,
    ended: float | None,
    ended_by: str | None,
    hidden: int,
) -> Silence:
    return Silence(
        id=number,
        matcher=_decode(matcher),
        owner=owner,
        reason=reason,
        created=created,
        expires=expires,
        ended=ended,
        ended_by=ended_by,
        hidden=hidden,
    )
