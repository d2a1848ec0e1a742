"""A store in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin.model.alert import Severity
from tocsin.store import SqliteStore, own_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Return a new store that notifies `chat` from medium and `pager` from critical."""
    channels: dict[str, Severity] = {"chat": "medium", "pager": "critical"}
    with own_store(tmp_path / "data" / "tocsin.db", channels, now=1000.0) as opened:
        yield opened
