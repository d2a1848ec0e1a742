"""Brings a database file to the schema of this version: forward only, all or nothing.

`PRAGMA user_version` counts the migrations a file has seen.
"""

import sqlite3
from importlib.resources import files
from pathlib import Path

from tocsin.model.errors import TocsinError


def migrations() -> list[str]:
    """Return the SQL of all migrations, in order of their number."""
    folder = files(__package__).joinpath("migrations")
    scripts = sorted((entry for entry in folder.iterdir()), key=lambda entry: entry.name)
    return [script.read_text("utf-8") for script in scripts if script.name.endswith(".sql")]


def version(connection: sqlite3.Connection) -> int:
    """Return how many migrations the file has seen."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def is_old(connection: sqlite3.Connection) -> bool:
    """Return whether the file has migrations to come."""
    return version(connection) < len(migrations())


def refuse_other(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that this version cannot use as it is.

    Raises:
        TocsinError: the file's schema is older or newer.
    """
    refuse_newer(connection, path)
    if is_old(connection):
        message = (
            f"{path} is from an older Tocsin: start `tocsin serve` once to bring it up to date"
        )
        raise TocsinError(message)


def refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that only a newer version understands; nothing in it is changed.

    Raises:
        TocsinError: the file's schema is newer.
    """
    found, known = version(connection), len(migrations())
    if found > known:
        message = (
            f"{path} was written by a newer Tocsin (schema {found}, this version knows {known}): "
            "upgrade Tocsin, or give it another data folder; the file was left as it is"
        )
        raise TocsinError(message)


def migrate(connection: sqlite3.Connection) -> None:
    """Run the migrations that the file has not seen, in one transaction."""
    scripts = migrations()
    missing = scripts[version(connection) :]
    if not missing:
        return
    steps = ["BEGIN IMMEDIATE;", *missing, f"PRAGMA user_version = {len(scripts)};", "COMMIT;"]
    try:
        connection.executescript("\n".join(steps))
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
