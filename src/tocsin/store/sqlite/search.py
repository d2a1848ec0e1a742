"""Full-text search over alerts: which alerts may contain a text, found fast.

The index knows which threes of characters an alert's text has. An alert that has all threes of
the wanted text is a candidate, and its text is then looked through, so that the answer is that
of a plain substring search. Texts shorter than three characters, and texts that very many
alerts may contain, are looked for in the alerts themselves, the newest first.

Bringing the index up to date never stands in the way of recording or deleting alerts: that
only notes which texts have to leave the index. A damaged index is made anew.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tocsin.model.ports import StoreUnavailable
from tocsin.store.sqlite import health, rollup
from tocsin.store.sqlite.database import Database
from tocsin.store.sqlite.filters import Conditions

READER = "text"
# How many texts left the index since it was last tidied up; while that goes on, less than 0.
_DROPPED = "text-dropped"
_TIDYING = -1
MANY_CANDIDATES = 20_000
# A page asks several questions about the same text.
KEEP_SECONDS = 1.0
MAX_KEPT = 16

_log = logging.getLogger(__name__)
_GRAM = 3
_MAX_GRAMS = 12
_FEW_DROPPED = 200
_MERGE_PAGES = 500
_PRIMARY_CODE = 0xFF

_CANDIDATES = """
    seq IN (SELECT value FROM json_each(?)
        UNION ALL SELECT seq FROM alert_text_stale
        UNION ALL SELECT seq FROM alert WHERE seq > ?)
"""
_MATCHING = "SELECT rowid FROM alert_text WHERE alert_text MATCH ? LIMIT ?"


class _Answer(NamedTuple):
    """What the index said: when, in which state it was, and the condition."""

    at: float
    state: tuple[int, int]
    found: Conditions | None


@dataclass(slots=True)
class Candidates:
    """Which alerts may contain a text; kept for a second, as long as the index stays the same."""

    monotonic: Callable[[], float] = time.monotonic
    _kept: dict[str, _Answer] = field(default_factory=dict)

    def of(self, connection: sqlite3.Connection, needle: str) -> Conditions | None:
        """Return a condition that few alerts meet, among them all that contain the needle.

        None when the index cannot tell: the needle is too short, too many alerts may contain
        it, or the index is damaged.
        """
        now = self.monotonic()
        state = (position(connection), _read(connection, _DROPPED))
        kept = self._kept.get(needle)
        if kept is None or kept.state != state or now - kept.at > KEEP_SECONDS:
            kept = _Answer(now, state, _candidates(connection, needle))
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[needle] = kept
        return kept.found


def _candidates(connection: sqlite3.Connection, needle: str) -> Conditions | None:
    match = _match(needle)
    if match is None:
        return None
    try:
        known = position(connection)
        rows = connection.execute(_MATCHING, (match, MANY_CANDIDATES)).fetchall()
        (behind,) = connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM alert WHERE seq > ? LIMIT ?)",
            (known, MANY_CANDIDATES),
        ).fetchone()
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        _log.error("the full-text index is damaged, alerts are searched one by one: %s", error)
        return None
    if len(rows) + behind >= MANY_CANDIDATES:
        return None
    return _CANDIDATES, [json.dumps([seq for (seq,) in rows]), known]


def position(connection: sqlite3.Connection) -> int:
    """Return the row number up to which alerts are in the index."""
    return _read(connection, READER)


def _read(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT position FROM cursor WHERE reader = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def is_tidy(connection: sqlite3.Connection) -> bool:
    """Return whether texts that left the index take little room in it."""
    (stale,) = connection.execute("SELECT EXISTS (SELECT 1 FROM alert_text_stale)").fetchone()
    dropped = _read(connection, _DROPPED)
    return not stale and 0 <= dropped <= max(_FEW_DROPPED, rollup.total(connection) // 10)


def _match(needle: str) -> str | None:
    """Return the index's query for all threes of the needle, or for some if there are many."""
    grams = list(
        dict.fromkeys(needle[start : start + _GRAM] for start in range(len(needle) - _GRAM + 1))
    )
    if not grams:
        return None
    step = -(-len(grams) // _MAX_GRAMS)
    quoted = (gram.replace('"', '""') for gram in grams[::step])
    return " AND ".join(f'"{gram}"' for gram in quoted)


class TextIndex:
    """Keeps the full-text index in step with the alerts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def catch_up(self, limit: int) -> bool:
        """Take at most `limit` alerts in and as many old texts out; return if there is more to do.

        What left the index goes on taking room in it until its parts are merged, which is done
        when there is much of it.

        Raises:
            StoreUnavailable: the file cannot be written now; nothing was changed.
        """
        if not self._behind():
            return False
        try:
            with self._database.write() as connection:
                _drop_stale(connection, limit)
                _take_in(connection, limit)
                if not is_tidy(connection):
                    _tidy(connection)
        except StoreUnavailable as error:
            cause = error.__cause__
            if not (isinstance(cause, sqlite3.DatabaseError) and _is_damage(cause)):
                raise
            self._begin_anew(str(cause))
        return self._behind()

    def _behind(self) -> bool:
        with self._database.read() as connection:
            (behind,) = connection.execute(
                "SELECT EXISTS (SELECT 1 FROM alert WHERE seq > ?)", (position(connection),)
            ).fetchone()
            return bool(behind) or not is_tidy(connection)

    def _begin_anew(self, reason: str) -> None:
        """Empty the index, so that it is filled again step by step."""
        message = f"the full-text index was damaged ({reason}) and is made anew"
        _log.error("%s", message)
        with self._database.write() as connection:
            connection.execute("INSERT INTO alert_text (alert_text) VALUES ('delete-all')")
            connection.execute("DELETE FROM alert_text_stale")
            _write(connection, READER, 0)
            _write(connection, _DROPPED, 0)
            health.report(connection, "store", "text-index", message, time.time())


def _drop_stale(connection: sqlite3.Connection, limit: int) -> None:
    """Take old texts out of the index, and put in what took their place."""
    rows = connection.execute(
        "SELECT stale.seq, stale.body, alert.body FROM alert_text_stale AS stale "
        "LEFT JOIN alert ON alert.seq = stale.seq ORDER BY stale.seq LIMIT ?",
        (limit,),
    ).fetchall()
    for seq, old, new in rows:
        connection.execute(
            "INSERT INTO alert_text (alert_text, rowid, body) VALUES ('delete', ?, ?)", (seq, old)
        )
        if new is not None:
            connection.execute("INSERT INTO alert_text (rowid, body) VALUES (?, ?)", (seq, new))
    connection.executemany(
        "DELETE FROM alert_text_stale WHERE seq = ?", [(seq,) for seq, _, _ in rows]
    )
    dropped = _read(connection, _DROPPED)
    if rows and dropped != _TIDYING:
        _write(connection, _DROPPED, dropped + len(rows))


def _tidy(connection: sqlite3.Connection) -> None:
    """Merge some of the index's parts into one, in which nothing is left of what was dropped."""
    if connection.execute("SELECT EXISTS (SELECT 1 FROM alert_text_stale)").fetchone()[0]:
        return
    # A negative number begins to merge all parts, a positive one goes on with it.
    begins = _read(connection, _DROPPED) != _TIDYING
    before = connection.total_changes
    connection.execute(
        "INSERT INTO alert_text (alert_text, rank) VALUES ('merge', ?)",
        (-_MERGE_PAGES if begins else _MERGE_PAGES,),
    )
    ended = connection.total_changes - before < 2  # noqa: PLR2004 - as SQLite documents it
    _write(connection, _DROPPED, 0 if ended else _TIDYING)


def _take_in(connection: sqlite3.Connection, limit: int) -> None:
    known = position(connection)
    (last,) = connection.execute(
        "SELECT max(seq) FROM (SELECT seq FROM alert WHERE seq > ? ORDER BY seq LIMIT ?)",
        (known, limit),
    ).fetchone()
    if last is None:
        return
    connection.execute(
        "INSERT INTO alert_text (rowid, body) SELECT seq, body FROM alert "
        "WHERE seq > ? AND seq <= ?",
        (known, last),
    )
    _write(connection, READER, last)


def _write(connection: sqlite3.Connection, name: str, number: int) -> None:
    connection.execute(
        "INSERT INTO cursor (reader, position) VALUES (?, ?) "
        "ON CONFLICT (reader) DO UPDATE SET position = excluded.position",
        (name, number),
    )


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode & _PRIMARY_CODE == sqlite3.SQLITE_CORRUPT
