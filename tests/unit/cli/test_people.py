"""`tocsin users` and `tocsin tokens`."""

import io
import json
import time
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from tests.unit.cli.commandline import Commands
from tocsin.store import own_store, read_store
from tocsin.web.access import passwords
from tocsin.web.access.secret import digest_of


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", quick)
    path = tmp_path / "tocsin-data" / "tocsin.db"
    own_store(path, {}, time.time()).close()
    return path


def test_users_are_added_changed_and_shut_out(
    tocsin: Commands, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "There is no user yet" in tocsin("users", "list").out
    added = tocsin("users", "add", "ada", "--role", "admin")
    assert (added.code, added.err) == (0, "")
    first = added.out.split()[-1]
    assert tocsin("users", "add", "vera").code == 0
    assert "has to choose a password" in tocsin("users", "list").out
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    assert tocsin("users", "passwd", "vera", "--stdin").code == 0
    assert tocsin("users", "disable", "vera").code == 0
    listed = tocsin("users", "list", "--json")
    users = [json.loads(line) for line in listed.out.splitlines()]
    assert [(one["name"], one["role"], one["disabled"]) for one in users] == [
        ("ada", "admin", False),
        ("vera", "viewer", True),
    ]
    assert "password" not in listed.out
    with read_store(store) as opened:
        ada, vera = opened.people.users()
        assert passwords.is_password(first, ada.password)
        assert ada.must_change
        assert passwords.is_password("correct horse battery", vera.password)
        assert not vera.must_change
        assert [note.action for note in opened.people.notes(10)].count("user added") == 2
    assert tocsin("users", "disable", "vera", "--undo").code == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("users", "add", "a b"), "a name has 1 to 64 letters"),
        (("users", "add", "x", "--role", "root"), "--role 'root' is not one of viewer"),
        (("users", "passwd", "nobody"), "nobody"),
        (("tokens", "create", "ci", "--owner", "nobody"), "nobody"),
        (("tokens", "create", "ci", "--owner", "x", "--lasts", "long"), "--lasts 'long'"),
        (("tokens", "revoke", "gone"), "there is no token 'gone'"),
    ],
)
@pytest.mark.usefixtures("store")
def test_wrong_use(tocsin: Commands, arguments: tuple[str, ...], problem: str) -> None:
    ran = tocsin(*arguments)
    assert ran.code == 2
    assert problem in ran.err
    assert ran.err.count("\n") == 1


def test_the_last_admin_stays(tocsin: Commands, store: Path) -> None:
    tocsin("users", "add", "ada", "--role", "admin")
    assert tocsin("users", "disable", "ada").code == 2


def test_tokens_are_shown_once(tocsin: Commands, store: Path) -> None:
    assert "There is no token yet" in tocsin("tokens", "list").out
    tocsin("users", "add", "ada", "--role", "admin")
    made = tocsin("tokens", "create", "ci", "--owner", "ada", "--lasts", "1d")
    secret = made.out.strip()
    assert secret.startswith("tocsin_")
    with read_store(store) as opened:
        known = opened.people.token(digest_of(secret), time.time())
        assert known is not None
        assert (known.name, known.role) == ("ci", "viewer")
    assert "ci" in tocsin("tokens", "list").out
    [listed] = tocsin("tokens", "list", "--json").out.splitlines()
    assert json.loads(listed)["owner"] == "ada"
    assert tocsin("tokens", "revoke", "ci").code == 0
    with read_store(store) as opened:
        assert opened.people.tokens() == []
