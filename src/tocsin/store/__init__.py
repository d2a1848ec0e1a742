"""Keeps what was found: alerts, their notifications, health findings, and the alert log.

The interface is `tocsin.model.ports`; `sqlite` stands behind it, `jsonl` writes the alerts to
a file for other tools.
"""

from tocsin.store.jsonl import AlertLog, LineForm
from tocsin.store.sqlite import SqliteStore, join_store, own_store, read_store

__all__ = ["AlertLog", "LineForm", "SqliteStore", "join_store", "own_store", "read_store"]
