"""A backup made of a running Tocsin goes on elsewhere: nothing is lost, nothing doubled."""

import subprocess
from pathlib import Path

import pytest

from tests.robustness.harness import EXECUTABLE, Tocsin, environment, running
from tests.robustness.traffic import History, Oracle, check, load
from tocsin.model.people import User
from tocsin.store import join_store

ADMIN = User(name="root", role="admin", password="hash", created=1.0)


def call(tocsin: Tocsin, *arguments: str | Path) -> str:
    """Run a command to its end and return what it told."""
    done = subprocess.run(
        [EXECUTABLE, *arguments],
        capture_output=True,
        text=True,
        env=environment(tocsin.folder.parent),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def back_up(tocsin: Tocsin, *options: str) -> Path:
    target = tocsin.folder / "saved.tar.zst"
    call(tocsin, "backup", target, "-c", tocsin.config, "--data", tocsin.data, *options)
    assert target.stat().st_mode & 0o777 == 0o600
    return target


def move_to(tocsin: Tocsin, source: Path) -> None:
    """Restore into an empty folder and start there."""
    tocsin.data = tocsin.folder / "elsewhere"
    told = call(tocsin, "restore", source, "--data", tocsin.data)
    assert f"--data {tocsin.data}" in told
    assert (tocsin.data / "tocsin.yaml").read_bytes() == tocsin.config.read_bytes()
    tocsin.start()


def add_people(tocsin: Tocsin) -> None:
    with join_store(tocsin.data / "tocsin.db") as store:
        store.people.add_user(ADMIN)
        store.people.open_session("digest", "root", 1.0, 1e10, 1e10)


def check_people(tocsin: Tocsin) -> None:
    with tocsin.store() as store:
        assert ADMIN in store.people.users()
        assert store.people.session("digest", 2.0) is None


@pytest.mark.robustness
@pytest.mark.timeout(180)
def test_a_backup_under_load_with_its_events(tmp_path: Path) -> None:
    history = History()
    with running(tmp_path / "tocsin", {"spool": {"max_file_bytes": 300_000}}) as tocsin:
        add_people(tocsin)
        with load(tocsin, history, seed=1, pause=0.02):
            tocsin.wait_for(lambda: len(history.acked) > 60, "nothing is acknowledged")
            before = set(history.acked)
            saved = back_up(tocsin, "--with-events")
            wanted = len(history.acked) + 30
            tocsin.wait_for(lambda: len(history.acked) > wanted, "nothing is acknowledged")
        tocsin.stop()
        # What came after the backup is lost with the machine, as far as the backup goes.
        history.acked = before
        move_to(tocsin, saved)
        tocsin.drain()
        check(tocsin, history, Oracle(tocsin.rules))
        check_people(tocsin)
        with load(tocsin, history, seed=2, pause=0.02):
            wanted = len(history.acked) + 30
            tocsin.wait_for(lambda: len(history.acked) > wanted, "nothing is acknowledged")
        tocsin.drain()
        check(tocsin, history, Oracle(tocsin.rules))
        assert not [found for found in tocsin.findings() if found.kind == "spool"]


@pytest.mark.robustness
@pytest.mark.timeout(180)
@pytest.mark.parametrize("serving", [True, False])
def test_a_backup_without_events_has_all_that_was_evaluated(tmp_path: Path, serving: bool) -> None:  # noqa: FBT001 - a parameter of the test
    history = History()
    with running(tmp_path / "tocsin") as tocsin:
        add_people(tocsin)
        with load(tocsin, history, seed=3, pause=0.02):
            tocsin.wait_for(lambda: len(history.acked) > 40, "nothing is acknowledged")
        tocsin.drain()
        alerts = tocsin.alerts()
        if serving:
            saved = back_up(tocsin)
            tocsin.stop()
        else:
            tocsin.stop()
            saved = back_up(tocsin)
        move_to(tocsin, saved)
        assert tocsin.alerts() == alerts
        check_people(tocsin)
        with load(tocsin, history, seed=4, pause=0.02):
            wanted = len(history.acked) + 30
            tocsin.wait_for(lambda: len(history.acked) > wanted, "nothing is acknowledged")
        tocsin.drain()
        check(tocsin, history, Oracle(tocsin.rules))
        assert not [found for found in tocsin.findings() if found.kind == "spool"]
