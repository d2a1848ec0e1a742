"""Users that the command line makes: a first password for each, to be handed over."""

from tocsin.model.people import Role, User, UserChange
from tocsin.runtime.config import Config
from tocsin.store.sqlite import SqliteStore, join_store
from tocsin.web.access.passwords import first_password, hash_password


def let_in(config: Config, name: str, now: float) -> str:
    """Return a new password of an admin who is made if absent; it need not be changed."""
    password = first_password()
    with join_store(config.store_path) as store:
        if store.people.user(name) is None:
            add_user(store, name, "admin", password, now, must_change=False)
        else:
            store.people.change_user(name, UserChange(password=hash_password(password)))
    return password


def add_user(
    store: SqliteStore, name: str, role: Role, password: str, now: float, *, must_change: bool
) -> None:
    """Add a user.

    Raises:
        TocsinError: the name is taken.
    """
    user = User(
        name=name,
        role=role,
        password=hash_password(password),
        created=now,
        must_change=must_change,
    )
    store.people.add_user(user)
