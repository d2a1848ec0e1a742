"""What every store must do. Another store joins by one more entry in `STORES`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tocsin.model.store import Store
from tocsin.store import own_store


def sqlite(folder: Path) -> AbstractContextManager[Store]:
    return own_store(folder / "tocsin.db", {}, now=1000.0)


STORES: dict[str, Callable[[Path], AbstractContextManager[Store]]] = {"sqlite": sqlite}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with STORES[request.param](tmp_path) as opened:
        yield opened
