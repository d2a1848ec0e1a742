"""The store in one SQLite file: the default, with nothing to install or run beside Tocsin.

One process owns the file: it alone checks it, replaces it when it is damaged, and migrates it.
Others write to it or read it as they find it.
"""

from tocsin.store.sqlite.opening import join_store, own_store, read_store
from tocsin.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "join_store", "own_store", "read_store"]
