"""The people who use Tocsin: users, their sessions and API tokens, and what they did.

Secrets never get here: a password comes as the hash of a slow function, which the store keeps
as it is, and session ids and tokens come as digests. Names may be typed by an attacker at the
login. Times are seconds since the epoch.
"""

from typing import Literal, Protocol, get_args

import msgspec

Role = Literal["viewer", "responder", "admin"]

ROLES: tuple[Role, ...] = get_args(Role)
"""From the fewest rights to all of them; each may do what those before it may."""

LOGIN_LIMIT = 10
LOGIN_WINDOW_SECONDS = 300.0


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A local user.

    Attributes:
        name: the login, unique.
        role: what it may do.
        password: the password's hash, in a form of its maker's; empty lets nobody in.
        created: when it was made.
        disabled: whether it may not log in, and its sessions and tokens do not count.
        must_change: whether it has to choose another password first.
    """

    name: str
    role: Role
    password: str = ""
    created: float
    disabled: bool = False
    must_change: bool = False


class UserChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change of a user; what is None stays."""

    role: Role | None = None
    password: str | None = None
    disabled: bool | None = None
    must_change: bool | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A login that still counts.

    Attributes:
        digest: of the id that the browser holds.
        user: whose it is, as the user is now.
        created: when the user logged in.
        last_used: when it was last seen, to the minute.
        expires: when it ends in any case.
        idle_seconds: how long it may rest in between.
    """

    digest: str
    user: User
    created: float
    last_used: float
    expires: float
    idle_seconds: float


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token for programs.

    Attributes:
        name: what people call it, unique.
        role: what it may do; never more than its owner may.
        owner: the user it was made by; it counts only while that one does.
        created: when it was made.
        expires: when it ends, None for never.
        last_used: when it was last seen, to the minute; None for never.
    """

    name: str
    role: Role
    owner: str
    created: float
    expires: float | None = None
    last_used: float | None = None


class AuditEntry(msgspec.Struct, frozen=True):
    """Something a person did; numbers grow with time."""

    id: int
    time: float
    who: str
    action: str
    detail: str = ""


class PeopleStore(Protocol):
    """Users, sessions, API tokens, the login throttle and the log of what people did.

    Each method is one transaction, so that requests in parallel cannot overtake its checks.
    """

    def users(self) -> list[User]:
        """Return all users by name."""
        ...

    def user(self, name: str) -> User | None:
        """Return the user, or None."""
        ...

    def add_user(self, user: User) -> None:
        """Add a user.

        Raises:
            TocsinError: the name is taken.
        """
        ...

    def change_user(self, name: str, change: UserChange) -> User:
        """Change a user and return it. Another role or password, or disabling, ends its sessions.

        Raises:
            TocsinError: there is no such user, or nobody would be left to administer Tocsin.
        """
        ...

    def remove_user(self, name: str) -> None:
        """Remove a user with its sessions and tokens.

        Raises:
            TocsinError: there is no such user, or nobody would be left to administer Tocsin.
        """
        ...

    def offer_setup(self, digest: str, expires: float) -> None:
        """Let whoever has the token with this digest make the first user, in place of another."""
        ...

    def use_setup(self, digest: str, first: User, now: float) -> bool:
        """Add the first user and use the token up; False if it does not fit or users exist."""
        ...

    def open_session(self, digest: str, user: str, now: float, lasts: float, idle: float) -> None:
        """Record a login that counts for `lasts` seconds and may rest for `idle` seconds.

        Raises:
            TocsinError: there is no such user.
        """
        ...

    def session(self, digest: str, now: float) -> Session | None:
        """Return the session if it still counts, and note that it was used."""
        ...

    def sessions(self, user: str, now: float) -> list[Session]:
        """Return the user's sessions that still count, the last used first."""
        ...

    def close_session(self, digest: str) -> None:
        """End a session."""
        ...

    def close_sessions(self, user: str) -> int:
        """End all sessions of a user, and return how many."""
        ...

    def add_token(self, token: ApiToken, digest: str) -> None:
        """Add an API token.

        Raises:
            TocsinError: the name is taken, or there is no such owner.
        """
        ...

    def token(self, digest: str, now: float) -> ApiToken | None:
        """Return the token if it still counts, with the rights it has now; note its use."""
        ...

    def tokens(self) -> list[ApiToken]:
        """Return all API tokens by name, also those that have ended."""
        ...

    def remove_token(self, name: str) -> bool:
        """Remove a token, and return whether there was one."""
        ...

    def allow_login(
        self,
        key: str,
        now: float,
        limit: int = LOGIN_LIMIT,
        window: float = LOGIN_WINDOW_SECONDS,
    ) -> bool:
        """Count a login and return whether it may be tried: `limit` in `window` seconds.

        `key` names what is throttled, such as a user or an address. However many ask at once,
        no more than `limit` are told yes. Those that are refused do not count, so the way is
        free again `window` seconds after the first.
        """
        ...

    def forget_logins(self, key: str) -> None:
        """Forget the logins counted for a key: one succeeded."""
        ...

    def note(self, who: str, action: str, detail: str, now: float) -> None:
        """Log what a person did. Entries are only ever added, and dropped when they are old."""
        ...

    def notes(
        self, limit: int, before: int | None = None, who: str | None = None
    ) -> list[AuditEntry]:
        """Return log entries, the newest first; `before` is the id of the last page's last."""
        ...

    def expire(self, now: float, keep_days: float) -> None:
        """Drop sessions and throttle counts that are over, and log entries that are too old."""
        ...
