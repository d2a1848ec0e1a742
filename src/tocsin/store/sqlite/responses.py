"""Responses in SQLite: what the journal tells, what people ask, what the audit log proves.

The responder alone writes responses and lines; the detector adds proofs with the alerts of the
same events; orders come from the command line and the dashboard.
"""

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from tocsin.model.response import Entry, Order, Proof, Response, ResponseFilter
from tocsin.store.sqlite.database import Database

_ENTRIES = "entries"

_encode = msgspec.json.Encoder().encode
_read_response = msgspec.json.Decoder(Response).decode
_read_entry = msgspec.json.Decoder(Entry).decode
_read_order = msgspec.json.Decoder(Order).decode
_read_proof = msgspec.json.Decoder(Proof).decode


def add_proofs(connection: sqlite3.Connection, proofs: Sequence[Proof], now: float) -> None:
    """Store audit events of our own requests, within the caller's transaction."""
    connection.executemany(
        "INSERT INTO response_proof (audit_id, added, body) VALUES (?, ?, ?) "
        "ON CONFLICT (audit_id, body) DO NOTHING",
        [(proof.audit_id, now, _encode(proof).decode()) for proof in proofs],
    )


def forget(connection: sqlite3.Connection, before: float, step: int) -> None:
    """Delete what did not change since a time, a little at a time; all stays in the journal."""
    connection.execute(
        "DELETE FROM response WHERE id IN "
        "(SELECT id FROM response WHERE updated < ? ORDER BY updated LIMIT ?)",
        (before, step),
    )
    connection.execute(
        "DELETE FROM response_entry WHERE seq IN (SELECT seq FROM response_entry "
        "WHERE time < ? AND seq < (SELECT max(seq) FROM response_entry) AND NOT EXISTS "
        "(SELECT 1 FROM response WHERE id = response_entry.response) ORDER BY seq LIMIT ?)",
        (before, step),
    )
    connection.execute("DELETE FROM response_order WHERE time < ?", (before,))
    connection.execute("DELETE FROM response_proof WHERE added < ?", (before,))


class SqliteResponses:
    """The `ResponseStore` of a SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def response(self, response_id: str) -> Response | None:
        """Return the response with this id, or with the only one that begins so."""
        with self._database.read() as connection:
            rows = connection.execute(
                # Ids are hexadecimal: none begins like this and sorts behind the `g`.
                "SELECT body FROM response WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
                (response_id, f"{response_id}g"),
            ).fetchall()
        found = [_read_response(body) for (body,) in rows]
        if len(found) > 1 and found[0].plan.id != response_id:
            return None
        return found[0] if found else None

    def responses(
        self, where: ResponseFilter, limit: int, before: str | None = None
    ) -> list[Response]:
        """Return matching responses, the latest change first; `before` is the last one's id."""
        tests, values = _conditions(where)
        if before is not None:
            tests += " AND (updated, id) < (SELECT updated, id FROM response WHERE id = ?)"
            values.append(before)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT body FROM response WHERE {tests} "  # noqa: S608 - constant clauses, values are bound
                "ORDER BY updated DESC, id DESC LIMIT ?",
                [*values, limit],
            ).fetchall()
        return [_read_response(body) for (body,) in rows]

    def count(self, where: ResponseFilter) -> int:
        """Return how many responses match."""
        tests, values = _conditions(where)
        with self._database.read() as connection:
            (number,) = connection.execute(
                f"SELECT count(*) FROM response WHERE {tests}",  # noqa: S608 - constant clauses, values are bound
                values,
            ).fetchone()
        return int(number)

    def entries(self, response_id: str) -> list[Entry]:
        """Return the journal's lines of a response, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT body FROM response_entry WHERE response = ? ORDER BY seq", (response_id,)
            ).fetchall()
        return [_read_entry(body) for (body,) in rows]

    def order(self, order: Order) -> int:
        """Store what a person asks for; return its number."""
        body = _encode(msgspec.structs.replace(order, seq=0)).decode()
        with self._database.write() as connection:
            (number,) = connection.execute(
                "INSERT INTO response_order (time, body) VALUES (?, ?) RETURNING seq",
                (order.time, body),
            ).fetchone()
        return int(number)

    def orders(self, after: int, limit: int = 100) -> list[Order]:
        """Return orders that arrived after number `after`, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT seq, body FROM response_order WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        return [msgspec.structs.replace(_read_order(body), seq=seq) for seq, body in rows]

    def proofs(self, after: int, limit: int = 100) -> list[Proof]:
        """Return audit events of our own requests, stored after number `after`."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT seq, body FROM response_proof WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        return [msgspec.structs.replace(_read_proof(body), seq=seq) for seq, body in rows]

    def show(self, responses: Sequence[Response], entries: Sequence[Entry]) -> None:
        """Take over what the journal says: replace these responses, add these lines."""
        with self._database.write() as connection:
            connection.executemany(
                "INSERT INTO response (id, state, cluster, action, alert, updated, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "state = excluded.state, updated = excluded.updated, body = excluded.body",
                [_row(response) for response in responses],
            )
            connection.executemany(
                "INSERT INTO response_entry (seq, response, time, code, body) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (seq) DO UPDATE SET "
                "response = excluded.response, time = excluded.time, code = excluded.code, "
                "body = excluded.body",
                [
                    (one.seq, one.response, one.time, one.code, _encode(one).decode())
                    for one in entries
                ],
            )

    def head(self) -> tuple[int, str] | None:
        """Return number and code of the last line taken over: the journal still has to have it."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT seq, code FROM response_entry ORDER BY seq DESC LIMIT 1"
            ).fetchone()
        return (row[0], row[1]) if row else None

    def position(self) -> Mapping[str, int]:
        """Return how far the responder got: `alerts`, `orders`, `proofs`, `entries`."""
        with self._database.read() as connection:
            found = dict(
                connection.execute("SELECT name, position FROM response_position").fetchall()
            )
            (shown,) = connection.execute("SELECT max(seq) FROM response_entry").fetchone()
        return found | {_ENTRIES: shown or 0}

    def advance(self, **positions: int) -> None:
        """Note how far the responder got; how far in its journal, `show` notes itself."""
        with self._database.write() as connection:
            connection.executemany(
                "INSERT INTO response_position (name, position) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                [(name, number) for name, number in positions.items() if name != _ENTRIES],
            )


def _row(response: Response) -> tuple[str, str, str, str, str, float, str]:
    plan = response.plan
    return (
        plan.id,
        response.state,
        plan.cluster,
        plan.action,
        plan.alert_id,
        response.updated,
        _encode(response).decode(),
    )


def _conditions(where: ResponseFilter) -> tuple[str, list[object]]:
    """Return the clause of a filter, and its values."""
    tests, values = ["1"], list[object]()
    for column, wanted in (
        ("state", where.states),
        ("cluster", (where.cluster,) if where.cluster else ()),
        ("action", (where.action,) if where.action else ()),
        ("alert", where.alerts),
    ):
        if wanted:
            tests.append(f"{column} IN (SELECT value FROM json_each(?))")  # noqa: S608 - constant columns
            values.append(_encode(wanted).decode())
    return " AND ".join(tests), values
