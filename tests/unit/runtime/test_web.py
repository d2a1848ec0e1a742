"""The web process: what it shows that is not in the store, the first user, its certificate."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.unit.runtime.rulefiles import rule
from tocsin.connect.pki import ensure_server_certificate
from tocsin.model.errors import TocsinError
from tocsin.model.people import User
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.recording import as_if_ending, bodies
from tocsin.runtime.web import check_certificate, make_site, offer_first_user
from tocsin.runtime.weblook import Quarantines, Rules, disk_of, processes_at
from tocsin.store import own_store
from tocsin.web.access.secret import digest_of
from tocsin.web.app import make_app
from tocsin.web.settings import WebSettings


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(None, {}, tmp_path / "data")


def test_a_link_for_the_first_user_works_until_there_is_one(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    with own_store(config.store_path, {}, 1000.0) as store:
        offer_first_user(store.people, "https://here", 1000.0)
        found = re.search(r"https://here/setup\?token=(\S+)", caplog.text)
        assert found
        first = User(name="ada", role="admin", created=1000.0)
        assert not store.people.use_setup(digest_of(found[1]), first, 1000.0 + 86401)
        assert store.people.use_setup(digest_of(found[1]), first, 1001.0)
        caplog.clear()
        offer_first_user(store.people, "https://here", 1002.0)
        assert not caplog.text


def test_rules_are_loaded_again_when_a_file_changes(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    config = load_config(
        None, {"TOCSIN__RULES": f"['{folder}']", "TOCSIN__BUILTIN_RULES": "false"}, tmp_path
    )
    rules = Rules(config)
    assert not rules.rules()
    (folder / "one.yml").write_text(rule())
    assert len(rules.rules()) == 1
    (folder / "bad.yml").write_text("title: [")
    assert [fault.level for fault in rules.faults()] == ["error"]
    assert len(rules.rules()) == 1


def test_quarantine_is_counted_as_it_grows(tmp_path: Path) -> None:
    quarantines = Quarantines(tmp_path / "quarantine")
    assert quarantines.count() == 0
    (tmp_path / "quarantine").mkdir()
    day = tmp_path / "quarantine" / "2026-11-23.jsonl"
    day.write_text("{}\n{}\n")
    assert quarantines.count() == 2
    with day.open("a") as file:
        file.write("{}\n")
    assert quarantines.count() == 3
    day.unlink()
    assert quarantines.count() == 0


def test_nothing_is_claimed_of_processes_that_do_not_answer() -> None:
    state = processes_at("http://127.0.0.1:1")
    assert not state.processes
    assert not state.samples


def test_how_long_the_disk_lasts_is_told_after_a_day(tmp_path: Path) -> None:
    now = time.time()
    assert disk_of(tmp_path, tmp_path / "spool", now).days_left is None
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "1.spool").write_bytes(bytes(1_000_000))
    assert disk_of(tmp_path, tmp_path / "spool", now + 3600).days_left is None
    disk = disk_of(tmp_path, tmp_path / "spool", now + 10 * 86400)
    assert disk.days_left == pytest.approx(disk.free / 100_000, rel=0.01)


def test_the_dashboard_is_made_of_the_real_parts(config: Config) -> None:
    with own_store(config.store_path, {}, 1000.0) as store:
        site = make_site(config, store, "http://127.0.0.1:1", "https://here")
        app = make_app(site)
        assert site.rules()
        assert len({page.path for page in app.pages}) == len(app.pages)
        assert len({page.name for page in app.pages}) == len(app.pages)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (WebSettings(), "https://127.0.0.1:8443"),
        (WebSettings(host="0.0.0.0"), "https://localhost:8443"),  # noqa: S104 - no bind
        (WebSettings(host="::1"), "https://[::1]:8443"),
        (WebSettings(public_url="https://t.example/"), "https://t.example"),
    ],
)
def test_links_begin_with_what_people_type(settings: WebSettings, url: str) -> None:
    assert settings.url() == url


def test_its_certificate_is_our_own_unless_another_is_named(config: Config) -> None:
    ensure_server_certificate(config.folder / "pki")
    check_certificate(config)
    other = msgspec.structs.replace(config, web=WebSettings(key=str(config.key_path)))
    with pytest.raises(TocsinError, match=r"the dashboard's certificate .* and key"):
        check_certificate(other)


def test_a_recording_moves_to_now_as_a_whole() -> None:
    recorded = bodies("seed-policy")
    end = datetime(2030, 1, 1, tzinfo=UTC)
    moved = as_if_ending(recorded, end)
    times = re.compile(rb'"(?:requestReceivedTimestamp|stageTimestamp)":"([^"]+)"')

    def of(all_of: list[bytes]) -> list[datetime]:
        return [
            datetime.fromisoformat(text.decode()) for one in all_of for text in times.findall(one)
        ]

    before, after = of(recorded), of(moved)
    assert max(after) == end
    assert {new - old for old, new in zip(before, after, strict=True)} == {end - max(before)}
    assert max(after) - min(after) > timedelta(minutes=1)
