"""What was heard of each API server, in SQLite: written with the events, read by all."""

import sqlite3

import msgspec

from tocsin.model.ports import CanaryState, Kind, LineUpdate, Observation, SourceState
from tocsin.store.sqlite.database import Database

_read_source = msgspec.json.Decoder(SourceState).decode
_read_kind = msgspec.json.Decoder(Kind).decode
_encode = msgspec.json.Encoder().encode


def update(connection: sqlite3.Connection, line: LineUpdate, now: float) -> None:
    """Store what became known, within the caller's transaction."""
    connection.executemany(
        "INSERT INTO source (cluster, node, source, updated, state) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (cluster, node, source) DO UPDATE SET "
        "updated = excluded.updated, state = excluded.state",
        [
            (state.cluster, state.node or "", state.source, now, _encode(state).decode())
            for state in line.sources
        ],
    )
    connection.executemany(
        "INSERT INTO node (cluster, node, updated, state) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (cluster, node) DO UPDATE SET "
        "updated = excluded.updated, state = excluded.state",
        [(cluster, node or "", now, state) for (cluster, node), state in line.nodes.items()],
    )
    connection.executemany(
        "INSERT INTO canary (cluster, node, sent, heard) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (cluster) DO UPDATE SET "
        "node = excluded.node, sent = excluded.sent, heard = excluded.heard "
        "WHERE excluded.sent > sent",
        [(one.cluster, one.node or "", one.sent, one.heard) for one in line.canaries],
    )
    connection.executemany(
        "INSERT INTO observation (cluster, kind, count, last) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (cluster, kind) DO UPDATE SET "
        "count = count + excluded.count, last = excluded.last",
        [
            (cluster, _encode(kind).decode(), count, now)
            for cluster, kinds in line.observations.items()
            for kind, count in kinds.items()
        ],
    )
    connection.executemany(
        "INSERT INTO event_minute (minute, cluster, count) VALUES (?, ?, ?) "
        "ON CONFLICT (minute, cluster) DO UPDATE SET count = count + excluded.count",
        [(minute, cluster, count) for (cluster, minute), count in line.received.items()],
    )


class SqliteSources:
    """The `SourceLog` of a SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sources(self) -> list[SourceState]:
        """Return the state of every source."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT state FROM source ORDER BY cluster, node, source"
            ).fetchall()
        return [_read_source(state) for (state,) in rows]

    def nodes(self) -> dict[tuple[str, str | None], bytes]:
        """Return what the lifeline remembers of each (cluster, node)."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT cluster, node, state FROM node").fetchall()
        return {(cluster, node or None): state for cluster, node, state in rows}

    def canaries(self) -> list[CanaryState]:
        """Return the last canary of each cluster that came back."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT cluster, node, sent, heard FROM canary").fetchall()
        return [
            CanaryState(cluster, node or None, sent, heard) for cluster, node, sent, heard in rows
        ]

    def observations(self, cluster: str) -> list[Observation]:
        """Return what a cluster was seen to record, the most frequent first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT kind, count FROM observation WHERE cluster = ? ORDER BY count DESC, kind",
                (cluster,),
            ).fetchall()
        return [_observation(_read_kind(kind), count) for kind, count in rows]

    def kinds(self) -> dict[str, list[Kind]]:
        """Return the kinds of requests that are known of each cluster."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT cluster, kind FROM observation").fetchall()
        kinds: dict[str, list[Kind]] = {}
        for cluster, kind in rows:
            kinds.setdefault(cluster, []).append(_read_kind(kind))
        return kinds

    def forget(self, before: float) -> None:
        """Forget the sources of which nothing was heard since a time."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM source WHERE updated < ?", (before,))
            connection.execute("DELETE FROM node WHERE updated < ?", (before,))
            connection.execute("DELETE FROM canary WHERE heard < ?", (before,))

    def probe(self, cluster: str) -> str | None:
        """Return what the watcher remembers of the API servers of a cluster."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT state FROM probe WHERE cluster = ?", (cluster,)
            ).fetchone()
        return row[0] if row else None

    def keep_probe(self, cluster: str, state: str, now: float) -> None:
        """Replace what the watcher remembers of the API servers of a cluster."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO probe (cluster, updated, state) VALUES (?, ?, ?) "
                "ON CONFLICT (cluster) DO UPDATE SET "
                "updated = excluded.updated, state = excluded.state",
                (cluster, now, state),
            )


def _observation(kind: Kind, count: int) -> Observation:
    verb, api_group, resource, subresource, level = kind
    return Observation(verb, api_group, resource, subresource, level, count)
