"""Sites for tests of pages: a real store, real people, a real log of events."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import SpoolHistory
from tocsin.lifeline.words import state_of
from tocsin.model.people import Role, User
from tocsin.runtime.eventlog.log import SpoolEventLog
from tocsin.runtime.responding import FolderSwitch
from tocsin.store import SqliteStore
from tocsin.web.access.access import IDLE_SECONDS, SESSION_SECONDS
from tocsin.web.access.secret import digest_of
from tocsin.web.site import Site

KEY = bytes(32)


@dataclass(frozen=True)
class Known:
    """A user of a role, with a session that counts."""

    name: str
    session: str


PEOPLE: dict[Role, Known] = {
    "viewer": Known("vera", "v" * 43),
    "responder": Known("rolf", "r" * 43),
    "admin": Known("ada", "a" * 43),
}


def make_site(store: SqliteStore, folder: Path, **changes: Any) -> Site:
    """Return a site over the store, with `changes` in place of its parts."""
    now = time.time()
    for role, known in PEOPLE.items():
        if store.people.user(known.name) is None:
            store.people.add_user(User(name=known.name, role=role, created=now))
            digest = digest_of(known.session)
            store.people.open_session(digest, known.name, now, SESSION_SECONDS, IDLE_SECONDS)
    (folder / "spool").mkdir(exist_ok=True)
    parts: dict[str, Any] = {
        "alerts": store,
        "incidents": store.incidents,
        "people": store.people,
        "health": store.health,
        "sources": store.sources,
        "outbox": store.outbox,
        "responses": store.responses,
        "silences": store.silences,
        "switch": FolderSwitch(folder / "responses", time.time),
        "events": SpoolEventLog(SpoolHistory(folder / "spool", Sealer(KEY))),
        "source_state": state_of,
    }
    return Site(**parts | changes)
