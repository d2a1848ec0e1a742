"""A store in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin.store import SqliteStore, own_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Return a new store that notifies `chat` from medium and `pager` from critical."""
    path = tmp_path / "data" / "tocsin.db"
    with own_store(path, {"chat": "medium", "pager": "critical"}, now=1000.0) as opened:
        yield opened
