"""Responses for browsers: written to a journal and shown from it, as the responder does."""

import time
from pathlib import Path
from typing import Any

import msgspec

from tests.browser.payloads import PAYLOADS
from tests.unit.web.responses import POD, plan, response
from tocsin.ingest.seal import load_or_create_key
from tocsin.model.response import Entry, ObjectRef, Plan, State
from tocsin.respond.actions.base import Prepared
from tocsin.respond.journal import Journal, journal_key
from tocsin.respond.ledger import Ledger
from tocsin.respond.select import digest_of
from tocsin.store import SqliteStore

CLUSTER = "shop"
WAITING, DONE, HOSTILE = "a" * 32, "b" * 32, "c" * 32
VALID_SECONDS = 7200.0


def seed(store: SqliteStore, data: Path) -> None:
    """Have one response wait, one be done and proved, one carry hostile text everywhere."""
    key = journal_key(load_or_create_key(data / "keys" / "spool.key"))
    path = data / "responses" / "journal.jsonl"
    entries: list[Entry] = []
    with Journal(path, key) as journal:

        def write(one: Plan, *states: tuple[State, str, dict[str, Any]]) -> None:
            for state, text, more in states:
                entries.append(journal.append(one.id, state, text, now=time.time(), data=more))

        for made, notes in ((_plan(WAITING), "Deployment web creates it again."), _hostile()):
            write(
                made,
                ("planned", "asked for by the alert", _planned(made)),
                (
                    "awaiting-approval",
                    "this response needs a person's approval",
                    _read(made, notes),
                ),
            )
        done = _plan(DONE, action="isolate_pod", reversible=True, destructive=False, mode="auto")
        write(
            done,
            ("planned", "asked for by the alert", _planned(done)),
            ("started", "does it: Isolate the pod", _read(done, "") | {"audit_ids": ["tocsin-1"]}),
            ("done", "the label and the policy are there", {"after": {"labels": {"web": "cut"}}}),
        )
    store.responses.show(list(Ledger.from_entries(entries).responses.values()), entries)


def _plan(identifier: str, **changes: Any) -> Plan:
    return plan(identifier, **({"cluster": CLUSTER} | changes))


def _hostile() -> tuple[Plan, str]:
    text = " ".join(PAYLOADS)
    first = PAYLOADS[0]
    target = ObjectRef(resource=first, namespace=first, name=text, uid=text)
    made = _plan(
        HOSTILE, cluster=text, rule=text, target=target, user=text, parameters={first: text}
    )
    return made, text


def _planned(made: Plan) -> dict[str, Any]:
    return {"plan": msgspec.to_builtins(made), "effect": response().effect}


def _read(made: Plan, note: str) -> dict[str, Any]:
    target = made.target
    calls = tuple(msgspec.structs.replace(call, target=target) for call in response().calls)
    before: dict[str, object] = {"metadata": {"labels": {"app": "web", "note": note}}}
    prepared = Prepared(
        target=target, root=target.uid or "", calls=calls, before=before, notes=(note,), owner=POD
    )
    return {
        "prepared": msgspec.to_builtins(prepared),
        "digest": digest_of(made.action, target.uid, made.parameters),
        "expires": time.time() + VALID_SECONDS,
    }
