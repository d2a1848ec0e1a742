"""Many people, much data: pages take turns, what surrounds a list may be left out."""

import asyncio

import pytest
from starlette.exceptions import HTTPException

from tests.unit.store.samples import make_alert
from tests.unit.web.conftest import Client
from tocsin.store import SqliteStore
from tocsin.web import turns
from tocsin.web.pages import alerts
from tocsin.web.rendering import static_files


def test_who_waits_too_long_for_a_turn_is_told_to_try_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "WAIT_SECONDS", 0.01)

    async def crowd() -> None:
        room = turns.Turns()
        done = asyncio.Event()

        async def hold() -> None:
            async with room.turn():
                await done.wait()

        holders = [asyncio.create_task(hold()) for _ in range(turns.AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            async with room.turn():
                pytest.fail("there were turns left")
        assert refused.value.status_code == 429
        assert "Try again" in refused.value.detail
        done.set()
        await asyncio.gather(*holders)
        async with room.turn():
            pass

    asyncio.run(crowd())


def test_a_list_is_shown_without_what_would_keep_it_waiting(
    client: Client, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record([make_alert("one")], {}, 1.0)
    monkeypatch.setattr(alerts, "ASIDE_SECONDS", 0.0)
    page = client().get("/alerts?since=2026-11-01T00:00:00Z").text
    assert "/alerts/one" in page
    assert "Not drawn" in page
    assert "Not counted" in page


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_static_files_are_compressed_for_who_takes_it(client: Client, encoding: str) -> None:
    answer = client(None).get("/static/tocsin.css", headers={"Accept-Encoding": encoding})
    assert answer.headers.get("content-encoding", "identity") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == static_files()["tocsin.css"]
