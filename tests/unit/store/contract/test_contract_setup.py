"""The one-time token with which the first user is made."""

from concurrent.futures import ThreadPoolExecutor

from tocsin.model.people import User
from tocsin.model.store import Store


def admin(name: str = "root") -> User:
    return User(name=name, role="admin", password="hash", created=1.0)


def test_the_first_user_needs_the_token_in_time(store: Store) -> None:
    people = store.people
    assert not people.use_setup("digest", admin(), 1.0)
    people.offer_setup("digest", expires=100.0)
    assert not people.use_setup("other", admin(), 1.0)
    assert not people.use_setup("digest", admin(), 100.0)
    assert people.use_setup("digest", admin(), 99.0)
    assert people.users() == [admin()]


def test_a_newer_token_takes_the_place_of_an_older_one(store: Store) -> None:
    store.people.offer_setup("first", expires=100.0)
    store.people.offer_setup("second", expires=100.0)
    assert not store.people.use_setup("first", admin(), 1.0)
    assert store.people.use_setup("second", admin(), 1.0)


def test_of_many_at_once_one_wins(store: Store) -> None:
    store.people.offer_setup("digest", expires=100.0)
    with ThreadPoolExecutor(8) as pool:
        won = list(
            pool.map(lambda n: store.people.use_setup("digest", admin(f"u{n}"), 1.0), range(20))
        )
    assert sum(won) == 1
    assert len(store.people.users()) == 1


def test_no_token_helps_where_there_are_users(store: Store) -> None:
    store.people.add_user(admin())
    store.people.offer_setup("digest", expires=100.0)
    assert not store.people.use_setup("digest", admin("second"), 1.0)
