"""State of the detector in SQLite: all parts of it belong to one position."""

from collections.abc import Mapping

from tocsin.store.sqlite.database import Database


class SqliteCheckpoints:
    """Keeps the last checkpoint."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, position: int, states: Mapping[str, bytes]) -> None:
        """Replace what is kept by the states at a position, in one transaction."""
        rows = [(name, position, state) for name, state in states.items()]
        with self._database.write() as connection:
            connection.execute("DELETE FROM checkpoint")
            connection.executemany(
                "INSERT INTO checkpoint (name, position, state) VALUES (?, ?, ?)", rows
            )

    def load(self) -> tuple[int, dict[str, bytes]] | None:
        """Return the position and the states, None if nothing was saved."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT name, position, state FROM checkpoint").fetchall()
        if not rows:
            return None
        return rows[0][1], {name: state for name, _, state in rows}
