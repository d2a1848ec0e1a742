"""Users, sessions, tokens, the login throttle and the log of what people did."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tocsin.model.errors import TocsinError
from tocsin.model.people import LOGIN_LIMIT, LOGIN_WINDOW_SECONDS, ApiToken, User, UserChange
from tocsin.model.store import Store

ADMIN = User(name="root", role="admin", password="hash-1", created=1.0)
ALICE = User(name="alice", role="viewer", password="hash-2", created=2.0, must_change=True)


@pytest.fixture(autouse=True)
def users(store: Store) -> None:
    for user in (ADMIN, ALICE):
        store.people.add_user(user)


def test_users_come_back_as_they_were(store: Store) -> None:
    assert store.people.users() == [ALICE, ADMIN]
    assert store.people.user("alice") == ALICE
    assert store.people.user("Alice") is None


def test_a_name_is_given_once(store: Store) -> None:
    with pytest.raises(TocsinError, match="already"):
        store.people.add_user(ALICE)
    store.people.remove_user("alice")
    with pytest.raises(TocsinError, match="no user 'alice'"):
        store.people.remove_user("alice")
    with pytest.raises(TocsinError, match="no user 'alice'"):
        store.people.change_user("alice", UserChange(role="admin"))


def test_only_what_is_named_changes(store: Store) -> None:
    changed = store.people.change_user("alice", UserChange(must_change=False, password="hash-3"))
    assert changed == User(name="alice", role="viewer", password="hash-3", created=2.0)
    assert store.people.user("alice") == changed


@pytest.mark.parametrize("change", [UserChange(role="viewer"), UserChange(disabled=True), None])
def test_the_last_admin_stays(store: Store, change: UserChange | None) -> None:
    def apply() -> None:
        if change:
            store.people.change_user("root", change)
        else:
            store.people.remove_user("root")

    with pytest.raises(TocsinError, match="last admin"):
        apply()
    assert store.people.user("root") == ADMIN
    store.people.change_user("alice", UserChange(role="admin"))
    apply()


def test_a_session_counts_until_it_ends_or_rests_too_long(store: Store) -> None:
    people = store.people
    people.open_session("s", "alice", now=1000.0, lasts=900.0, idle=300.0)
    found = people.session("s", 1299.0)
    assert found
    assert (found.user, found.expires) == (ALICE, 1900.0)
    assert people.session("other", 1000.0) is None
    assert people.session("s", 1598.0)
    assert people.session("s", 1850.0)
    assert people.session("s", 1900.0) is None
    people.open_session("t", "alice", now=1000.0, lasts=900.0, idle=300.0)
    assert people.session("t", 1300.0) is None


@pytest.mark.parametrize(
    "change", [UserChange(role="admin"), UserChange(password="x"), UserChange(disabled=True)]
)
def test_a_change_of_rights_ends_sessions(store: Store, change: UserChange) -> None:
    people = store.people
    people.open_session("s", "alice", 1.0, 900.0, 300.0)
    people.open_session("r", "root", 1.0, 900.0, 300.0)
    people.change_user("alice", UserChange(must_change=False))
    assert people.session("s", 2.0)
    people.change_user("alice", change)
    assert people.session("s", 2.0) is None
    assert people.session("r", 2.0)


def test_sessions_are_listed_and_closed(store: Store) -> None:
    people = store.people
    for number in range(3):
        people.open_session(f"s{number}", "alice", float(number), 900.0, 300.0)
    assert [found.digest for found in people.sessions("alice", 5.0)] == ["s2", "s1", "s0"]
    people.close_session("s1")
    assert people.close_sessions("alice") == 2
    assert people.sessions("alice", 5.0) == []
    with pytest.raises(TocsinError, match="no user"):
        people.open_session("s", "nobody", 1.0, 1.0, 1.0)


def test_a_token_never_has_more_rights_than_its_owner(store: Store) -> None:
    people = store.people
    given = ApiToken(name="ci", role="responder", owner="root", created=3.0, expires=1000.0)
    people.add_token(given, "digest")
    assert people.token("digest", 10.0) == given
    used = people.token("digest", 11.0)
    assert used
    assert used.last_used == 10.0
    people.change_user("alice", UserChange(role="admin"))
    people.change_user("root", UserChange(role="viewer"))
    lowered = people.token("digest", 12.0)
    assert lowered
    assert lowered.role == "viewer"
    assert people.token("digest", 1000.0) is None
    people.change_user("root", UserChange(disabled=True))
    assert people.token("digest", 12.0) is None
    assert [token.name for token in people.tokens()] == ["ci"]
    assert people.remove_token("ci")
    assert not people.remove_token("ci")


def test_tokens_have_names_and_owners(store: Store) -> None:
    people = store.people
    people.add_token(ApiToken(name="ci", role="viewer", owner="alice", created=3.0), "d1")
    with pytest.raises(TocsinError, match="already"):
        people.add_token(ApiToken(name="ci", role="viewer", owner="root", created=3.0), "d2")
    with pytest.raises(TocsinError, match="no user"):
        people.add_token(ApiToken(name="x", role="viewer", owner="nobody", created=3.0), "d3")
    people.remove_user("alice")
    assert people.tokens() == []
    assert people.token("d1", 4.0) is None


def test_w4_parallel_logins_are_let_through_exactly_up_to_the_limit(store: Store) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: store.people.allow_login("user:root", 1.0), range(200)))
    assert sum(answers) == LOGIN_LIMIT
    assert store.people.allow_login("user:alice", 1.0)


def test_the_way_is_free_again_after_the_window_or_a_success(store: Store) -> None:
    people = store.people
    for second in range(LOGIN_LIMIT):
        assert people.allow_login("k", float(second))
    assert not people.allow_login("k", LOGIN_WINDOW_SECONDS - 1)
    assert people.allow_login("k", LOGIN_WINDOW_SECONDS)
    assert not people.allow_login("k", LOGIN_WINDOW_SECONDS)
    people.forget_logins("k")
    assert people.allow_login("k", LOGIN_WINDOW_SECONDS)
    assert people.allow_login("k" * 100_000 + "\ud800\x00", 1.0, limit=1)
    assert not people.allow_login("k" * 100_000 + "\ud800\x00", 1.0, limit=1)


def test_what_people_did_is_listed_newest_first(store: Store) -> None:
    people = store.people
    for number in range(5):
        people.note("alice" if number % 2 else "root", "login", f"{number}", float(number))
    assert [entry.detail for entry in people.notes(10)] == ["4", "3", "2", "1", "0"]
    first = people.notes(2)
    assert [entry.detail for entry in people.notes(2, before=first[-1].id)] == ["2", "1"]
    assert [entry.detail for entry in people.notes(10, who="alice")] == ["3", "1"]


def test_what_is_over_is_dropped(store: Store) -> None:
    people = store.people
    people.note("alice", "old", "", 0.0)
    people.note("alice", "new", "", 86400.0 * 9)
    people.open_session("s", "alice", 1.0, 900.0, 300.0)
    people.expire(86400.0 * 10, keep_days=5)
    assert [entry.action for entry in people.notes(10)] == ["new"]
    assert people.sessions("alice", 2.0) == []


@pytest.mark.parametrize("text", ["<script>", "\x00\x1b[2J", "a" * 100_000, "'; DROP TABLE x --"])
def test_hostile_names_are_only_text(store: Store, text: str) -> None:
    store.people.add_user(User(name=text, role="viewer", created=1.0))
    store.people.note(text, text, text, 1.0)
    found = store.people.user(text)
    assert found
    assert found.name == text
    assert store.people.notes(1)[0].who == text
