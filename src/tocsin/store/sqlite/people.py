"""Users, sessions, API tokens, the login throttle and the log of what people did, in SQLite.

Every check stands in the transaction that acts on it, and only one process writes at a time,
so that requests in parallel cannot overtake a check.
"""

import contextlib
import sqlite3

from tocsin.model.digest import digest as digest_of
from tocsin.model.errors import TocsinError
from tocsin.model.people import (
    LOGIN_LIMIT,
    LOGIN_WINDOW_SECONDS,
    ROLES,
    ApiToken,
    AuditEntry,
    Role,
    Session,
    User,
    UserChange,
)
from tocsin.model.ports import StoreUnavailable
from tocsin.store.sqlite.database import Database
from tocsin.store.sqlite.filters import as_unicode

_DAY_SECONDS = 86400
_USE_SECONDS = 60.0
_DETAIL_CHARS = 4000

_USER = "person.name, person.role, password, person.created, disabled, must_change"
_SELECT_SESSION = (
    "SELECT digest, session.created, last_used, expires, idle_seconds, "  # noqa: S608 - constant columns
    f"{_USER} FROM session JOIN person ON person.name = session.person "
    "WHERE NOT disabled AND expires > ? AND last_used + idle_seconds > ?"
)
_SELECT_TOKEN = (
    "SELECT token.name, token.role, person.role, owner, token.created, expires, last_used "  # noqa: S105 - a query
    "FROM token JOIN person ON person.name = token.owner"
)

_UserRow = tuple[str, Role, str, float, int, int]
_SessionRow = tuple[str, float, float, float, float, str, Role, str, float, int, int]
_TokenRow = tuple[str, Role, Role, str, float, float | None, float | None]


class SqlitePeople:
    """The `PeopleStore` of a SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def users(self) -> list[User]:
        """Return all users by name."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {_USER} FROM person ORDER BY name"  # noqa: S608 - constant columns
            ).fetchall()
        return [_user(row) for row in rows]

    def user(self, name: str) -> User | None:
        """Return the user, or None."""
        with self._database.read() as connection:
            return _find(connection, name)

    def add_user(self, user: User) -> None:
        """Add a user.

        Raises:
            TocsinError: the name is taken.
        """
        with self._database.write() as connection:
            if _find(connection, user.name):
                message = f"there is a user {user.name!r} already: choose another name"
                raise TocsinError(message)
            _insert(connection, user)

    def change_user(self, name: str, change: UserChange) -> User:
        """Change a user and return it. Another role or password, or disabling, ends its sessions.

        Raises:
            TocsinError: there is no such user, or nobody would be left to administer Tocsin.
        """
        with self._database.write() as connection:
            _known(connection, name)
            connection.execute(
                "UPDATE person SET role = ifnull(?, role), password = ifnull(?, password), "
                "disabled = ifnull(?, disabled), must_change = ifnull(?, must_change) "
                "WHERE name = ?",
                (change.role, change.password, change.disabled, change.must_change, name),
            )
            _keep_an_admin(connection)
            if change.role or change.password is not None or change.disabled:
                connection.execute("DELETE FROM session WHERE person = ?", (name,))
            return _known(connection, name)

    def remove_user(self, name: str) -> None:
        """Remove a user with its sessions and tokens.

        Raises:
            TocsinError: there is no such user, or nobody would be left to administer Tocsin.
        """
        with self._database.write() as connection:
            _known(connection, name)
            connection.execute("DELETE FROM person WHERE name = ?", (name,))
            _keep_an_admin(connection)

    def offer_setup(self, digest: str, expires: float) -> None:
        """Let whoever has the token with this digest make the first user, in place of another."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO setup (one, digest, expires) VALUES (1, ?, ?) "
                "ON CONFLICT (one) DO UPDATE SET "
                "digest = excluded.digest, expires = excluded.expires",
                (digest, expires),
            )

    def use_setup(self, digest: str, first: User, now: float) -> bool:
        """Add the first user and use the token up; False if it does not fit or users exist."""
        with self._database.write() as connection:
            used = connection.execute(
                "DELETE FROM setup WHERE digest = ? AND expires > ? "
                "AND NOT EXISTS (SELECT 1 FROM person)",
                (digest, now),
            ).rowcount
            if used:
                _insert(connection, first)
        return bool(used)

    def open_session(self, digest: str, user: str, now: float, lasts: float, idle: float) -> None:
        """Record a login that counts for `lasts` seconds and may rest for `idle` seconds.

        Raises:
            TocsinError: there is no such user.
        """
        with self._database.write() as connection:
            _known(connection, user)
            connection.execute(
                "INSERT INTO session (digest, person, created, last_used, expires, idle_seconds) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (digest, user, now, now, now + lasts, idle),
            )

    def session(self, digest: str, now: float) -> Session | None:
        """Return the session if it still counts, and note that it was used."""
        with self._database.read() as connection:
            row = connection.execute(
                f"{_SELECT_SESSION} AND digest = ?", (now, now, digest)
            ).fetchone()
        found = _session(row) if row else None
        if found and now - found.last_used >= _USE_SECONDS:
            self._note_use(
                "UPDATE session SET last_used = max(last_used, ?) WHERE digest = ?", now, digest
            )
        return found

    def sessions(self, user: str, now: float) -> list[Session]:
        """Return the user's sessions that still count, the last used first."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"{_SELECT_SESSION} AND person = ? ORDER BY last_used DESC", (now, now, user)
            ).fetchall()
        return [_session(row) for row in rows]

    def close_session(self, digest: str) -> None:
        """End a session."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM session WHERE digest = ?", (digest,))

    def close_sessions(self, user: str) -> int:
        """End all sessions of a user, and return how many."""
        with self._database.write() as connection:
            return connection.execute("DELETE FROM session WHERE person = ?", (user,)).rowcount

    def add_token(self, token: ApiToken, digest: str) -> None:
        """Add an API token.

        Raises:
            TocsinError: the name is taken, or there is no such owner.
        """
        with self._database.write() as connection:
            _known(connection, token.owner)
            added = connection.execute(
                "INSERT INTO token (name, digest, role, owner, created, expires) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (token.name, digest, token.role, token.owner, token.created, token.expires),
            ).rowcount
        if not added:
            message = f"there is a token {token.name!r} already: choose another name"
            raise TocsinError(message)

    def token(self, digest: str, now: float) -> ApiToken | None:
        """Return the token if it still counts, with the rights it has now; note its use."""
        with self._database.read() as connection:
            row = connection.execute(
                f"{_SELECT_TOKEN} WHERE digest = ? AND NOT disabled "
                "AND (token.expires IS NULL OR token.expires > ?)",
                (digest, now),
            ).fetchone()
        found = _token(row) if row else None
        if found and (found.last_used is None or now - found.last_used >= _USE_SECONDS):
            self._note_use(
                "UPDATE token SET last_used = max(ifnull(last_used, 0), ?) WHERE digest = ?",
                now,
                digest,
            )
        return found

    def tokens(self) -> list[ApiToken]:
        """Return all API tokens by name, also those that have ended."""
        with self._database.read() as connection:
            rows = connection.execute(f"{_SELECT_TOKEN} ORDER BY token.name").fetchall()
        return [_token(row) for row in rows]

    def remove_token(self, name: str) -> bool:
        """Remove a token, and return whether there was one."""
        with self._database.write() as connection:
            return connection.execute("DELETE FROM token WHERE name = ?", (name,)).rowcount > 0

    def allow_login(
        self,
        key: str,
        now: float,
        limit: int = LOGIN_LIMIT,
        window: float = LOGIN_WINDOW_SECONDS,
    ) -> bool:
        """Count a login and return whether it may be tried: `limit` in `window` seconds.

        However many ask at once, no more than `limit` are told yes. A refusal reads only: who
        is throttled cannot keep the store busy writing.
        """
        values = (digest_of(as_unicode(key)), now - window)
        counted = "SELECT count(*) FROM login WHERE key = ? AND time > ?"
        with self._database.read() as connection:
            if connection.execute(counted, values).fetchone()[0] >= limit:
                return False
        with self._database.write() as connection:
            if connection.execute(counted, values).fetchone()[0] >= limit:
                return False
            connection.execute("INSERT INTO login (key, time) VALUES (?, ?)", (values[0], now))
        return True

    def _note_use(self, statement: str, now: float, digest: str) -> None:
        # A store that cannot be written at this moment keeps nobody out.
        with contextlib.suppress(StoreUnavailable), self._database.write() as connection:
            connection.execute(statement, (now, digest))

    def forget_logins(self, key: str) -> None:
        """Forget the logins counted for a key: one succeeded."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM login WHERE key = ?", (digest_of(as_unicode(key)),))

    def note(self, who: str, action: str, detail: str, now: float) -> None:
        """Log what a person did. Entries are only ever added, and dropped when they are old."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO note (time, who, action, detail) VALUES (?, ?, ?, ?)",
                (now, as_unicode(who), as_unicode(action), as_unicode(detail[:_DETAIL_CHARS])),
            )

    def notes(
        self, limit: int, before: int | None = None, who: str | None = None
    ) -> list[AuditEntry]:
        """Return log entries, the newest first; `before` is the id of the last page's last."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, time, who, action, detail FROM note "
                "WHERE (? IS NULL OR id < ?) AND (? IS NULL OR who = ?) ORDER BY id DESC LIMIT ?",
                (before, before, who, who, limit),
            ).fetchall()
        return [AuditEntry(*row) for row in rows]

    def expire(self, now: float, keep_days: float) -> None:
        """Drop sessions and throttle counts that are over, and log entries that are too old."""
        oldest = now - keep_days * _DAY_SECONDS
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM session WHERE expires <= ? OR last_used + idle_seconds <= ?",
                (now, now),
            )
            connection.execute("DELETE FROM login WHERE time <= ?", (now - _DAY_SECONDS,))
            connection.execute("DELETE FROM note WHERE time < ?", (oldest,))


def _insert(connection: sqlite3.Connection, user: User) -> None:
    connection.execute(
        "INSERT INTO person (name, role, password, created, disabled, must_change) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (user.name, user.role, user.password, user.created, user.disabled, user.must_change),
    )


def _find(connection: sqlite3.Connection, name: str) -> User | None:
    row = connection.execute(
        f"SELECT {_USER} FROM person WHERE name = ?",  # noqa: S608 - constant columns
        (as_unicode(name),),
    ).fetchone()
    return _user(row) if row else None


def _known(connection: sqlite3.Connection, name: str) -> User:
    found = _find(connection, name)
    if found is None:
        message = f"there is no user {name!r}"
        raise TocsinError(message)
    return found


def _keep_an_admin(connection: sqlite3.Connection) -> None:
    """Refuse, undoing the transaction, what would leave nobody to administer Tocsin."""
    if not connection.execute(
        "SELECT EXISTS (SELECT 1 FROM person WHERE role = 'admin' AND NOT disabled)"
    ).fetchone()[0]:
        message = "this is the last admin: make another user admin first"
        raise TocsinError(message)


def _user(row: _UserRow) -> User:
    name, role, password, created, disabled, must_change = row
    return User(
        name=name,
        role=role,
        password=password,
        created=created,
        disabled=bool(disabled),
        must_change=bool(must_change),
    )


def _session(row: _SessionRow) -> Session:
    digest, created, last_used, expires, idle_seconds = row[:5]
    return Session(
        digest=digest,
        user=_user(row[5:]),
        created=created,
        last_used=last_used,
        expires=expires,
        idle_seconds=idle_seconds,
    )


def _token(row: _TokenRow) -> ApiToken:
    name, role, owners_role, owner, created, expires, last_used = row
    return ApiToken(
        name=name,
        role=min(role, owners_role, key=ROLES.index),
        owner=owner,
        created=created,
        expires=expires,
        last_used=last_used,
    )
