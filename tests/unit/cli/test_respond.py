"""`tocsin respond`: lists, one response, orders, the kill switch, the journal, rehearsals."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.cli.commandline import Commands
from tests.unit.store.samples import HOSTILE, make_alert
from tests.unit.web.responses import DIGEST, plan, put, response
from tocsin.cli import respondorder
from tocsin.cli.incidentpick import person
from tocsin.ingest.seal import load_or_create_key
from tocsin.model.alert import Alert, EventRef, to_json_line
from tocsin.model.response import Entry, ObjectRef, Order, State
from tocsin.respond.journal import Journal, journal_key
from tocsin.store.sqlite import SqliteStore, join_store, own_store

ID = "a" * 32
DATA = Path("tocsin-data")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with own_store(tmp_path / DATA / "tocsin.db", {}, 1000.0) as opened:
        yield opened


@contextmanager
def answering(path: Path, answer: Callable[[SqliteStore, Order], None]) -> Iterator[None]:
    """Be the responder: answer orders, and note how far that got."""
    over = threading.Event()

    def work() -> None:
        with join_store(path) as store:
            while not over.is_set():
                for order in store.responses.orders(store.responses.position().get("orders", 0)):
                    answer(store, order)
                    store.responses.advance(orders=order.seq)
                over.wait(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def becoming(state: State, text: str = "") -> Callable[[SqliteStore, Order], None]:
    """Return what makes the response of an order have this state."""

    def answer(store: SqliteStore, order: Order) -> None:
        known = store.responses.response(order.response)
        assert known is not None
        line = Entry(seq=9, time=time.time(), response=order.response, state=None, text=text)
        store.responses.show([msgspec.structs.replace(known, state=state)], [line])

    return answer


def test_the_list(tocsin: Commands, store: SqliteStore) -> None:
    put(store, response(updated=time.time() - 60))
    put(store, response("verified", plan("b" * 32, cluster="lab"), text="done and proved"), 3)
    ran = tocsin("respond", "list")
    head, first, second = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert head.split()[:4] == ["id", "last", "change", "state"]
    assert first.split()[0] == "a" * 12
    assert "delete_pod pods shop/web-1" in first
    assert "done and proved" in second
    lines = tocsin("respond", "list", "--json", "--cluster", "prod").out.splitlines()
    assert [json.loads(line)["plan"]["id"] for line in lines] == [ID]
    assert "a" * 12 not in tocsin("respond", "list", "--state", "verified").out
    assert "1 older not shown" in tocsin("respond", "list", "--limit", 1).err
    assert "No response matches" in tocsin("respond", "list", "--action", "cordon_node").err


def test_an_empty_list_says_why(tocsin: Commands, store: SqliteStore) -> None:
    ran = tocsin("respond", "list")
    assert (ran.code, ran.out) == (0, "")
    assert "No responses yet" in ran.err


def test_one_response_from_event_to_proof(tocsin: Commands, store: SqliteStore) -> None:
    store.record([make_alert("a1")], {}, 1000.0)
    put(store, response())
    ran = tocsin("respond", "show", "aaaa")
    told = [
        f"{ID}  awaiting-approval  delete_pod pods shop/web-1",
        "alice create pods shop/web",
        "Audit-ID 6f9e, answered with 201",
        "digest digest-1",
        "a1  high  Privileged pod created",
        'delete_pod {"grace_seconds": 0} on pods shop/web-1, uid 3f1c9a52',
        f"digest {DIGEST}",
        "cannot be undone",
        "scale_owner stops that",
        "delete the pod: delete pods shop/web-1",
        '"app": "web"',
        "planned: asked for by rule 5c1b",
        "0 of 1 changes are in the API server's audit log",
    ]
    assert not [line for line in told if line not in ran.out]
    places = [ran.out.index(word) for word in ("Event", "Alert", "Plan", "Changes", "Proof")]
    assert places == sorted(places)
    data = json.loads(tocsin("respond", "show", ID, "--json").out)
    assert (data["response"]["plan"]["id"], data["alert"]["id"]) == (ID, "a1")
    assert [line["state"] for line in data["journal"]] == ["planned", "awaiting-approval"]


@pytest.mark.parametrize(
    ("kind", "state", "becomes", "code"),
    [
        ("approve", "awaiting-approval", "verified", 0),
        ("approve", "awaiting-approval", "awaiting-approval", 1),
        ("approve", "awaiting-approval", "refused", 1),
        ("approve", "awaiting-approval", "unknown", 1),
        ("reject", "awaiting-approval", "rejected", 0),
        ("undo", "verified", "undone", 0),
        ("undo", "unknown", "verified", 1),
    ],
)
def test_an_order_says_what_became_of_it(
    tocsin: Commands, store: SqliteStore, kind: str, state: Any, becomes: Any, code: int
) -> None:
    put(store, response(state, plan(reversible=True)))
    path = DATA / "tocsin.db"
    with answering(path.absolute(), becoming(becomes, "because of the test")):
        ran = tocsin("respond", kind, "aaaa", "--note", "sure")
    assert (ran.code, ran.err) == (code, "")
    assert f"{becomes}: delete_pod pods shop/web-1: because of the test" in ran.out
    (order,) = store.responses.orders(0)
    assert (order.kind, order.response, order.digest, order.note) == (kind, ID, DIGEST, "sure")
    assert order.who == person()
    (entry,) = store.people.notes(1)
    assert (entry.who, entry.action, entry.detail) == (person(), f"response {kind}", ID)


def test_an_order_that_nobody_takes_up_is_said(
    tocsin: Commands, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(respondorder, "WAIT_SECONDS", 0.0)
    put(store, response())
    ran = tocsin("respond", "approve", ID)
    assert (ran.code, ran.out) == (1, "")
    assert "stored, and the responder has not answered" in ran.err
    assert len(store.responses.orders(0)) == 1


def test_asking_names_an_alert_and_an_action_that_fits(
    tocsin: Commands, store: SqliteStore
) -> None:
    store.record([make_alert("a1")], {}, 1000.0)

    def answer(store: SqliteStore, order: Order) -> None:
        made = plan("c" * 32, action=order.action, rule="manual", asked_by=order.who)
        put(store, response("awaiting-approval", made))

    with answering((DATA / "tocsin.db").absolute(), answer):
        ran = tocsin("respond", "ask", "a1", "--action", "isolate_pod")
    assert ran.code == 0
    assert "awaiting-approval: isolate_pod" in ran.out
    (order,) = store.responses.orders(0)
    assert (order.kind, order.response, order.action) == ("ask", "a1", "isolate_pod")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nope"), "there is no response 'nope'"),
        (("approve", "nope"), "there is no response 'nope'"),
        (("undo", ID), "is awaiting-approval: undo is for others"),
        (("approve", ID, "--digest", "e" * 32), f"the digest is {DIGEST} now"),
        (("list", "--state", "odd"), "state 'odd' is not one of planned"),
        (("ask", "none", "--action", "delete_pod"), "there is no alert 'none'"),
        (("ask", "a1", "--action", "explode"), "'explode' does not fit this alert; what does: "),
        (("plan", "--alerts", "none.jsonl"), "none.jsonl"),
    ],
)
def test_mistakes_are_one_sentence(
    tocsin: Commands, store: SqliteStore, arguments: tuple[str, ...], message: str
) -> None:
    store.record([make_alert("a1")], {}, 1000.0)
    put(store, response())
    ran = tocsin("respond", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert not store.responses.orders(0)


def test_what_cannot_be_undone_is_refused_at_once(tocsin: Commands, store: SqliteStore) -> None:
    put(store, response("verified"))
    ran = tocsin("respond", "undo", ID)
    assert ran.code == 2
    assert "delete_pod cannot be undone" in ran.err


def test_a15_the_kill_switch(tocsin: Commands, store: SqliteStore) -> None:
    ran = tocsin("respond", "stop", "--why", "a \x1b[31mdrill")
    assert ran.code == 0
    assert (DATA / "responses" / "stopped").exists()
    err = tocsin("respond", "list").err
    assert f'STOPPED by "{person()}": "a \\u001b[31mdrill"' in err
    ran = tocsin("respond", "start")
    assert (ran.code, ran.out) == (0, "responses run again\n")
    assert not (DATA / "responses" / "stopped").exists()
    assert tocsin("respond", "start").out == "responses were not stopped\n"
    assert [one.action for one in store.people.notes(2)] == ["responses started"] * 2


def test_a15_the_kill_switch_works_without_a_store(tocsin: Commands) -> None:
    ran = tocsin("respond", "stop", "--why", "nothing else works")
    assert ran.code == 0
    assert (DATA / "responses" / "stopped").exists()
    assert "not noted" in ran.err


def test_a14_the_journal_is_verified(tocsin: Commands, store: SqliteStore) -> None:
    key = journal_key(load_or_create_key(DATA / "keys" / "spool.key"))
    assert "there is no journal yet" in tocsin("respond", "verify").out
    path = DATA / "responses" / "journal.jsonl"
    with Journal(path, key) as journal:
        entries = [journal.append(ID, "planned", f"line {number}", now=1.0) for number in range(3)]
    store.responses.show([], entries)
    ran = tocsin("respond", "verify")
    assert ran.code == 0
    assert "every line is as it was written, up to line 3" in ran.out
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"line 1", b"line 9"))
    ran = tocsin("respond", "verify")
    assert ran.code == 1
    assert "edited: line 2" in ran.out
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    ran = tocsin("respond", "verify")
    assert ran.code == 1
    assert "truncated" in ran.out


def test_a14_without_the_key_nothing_is_verified(tocsin: Commands, store: SqliteStore) -> None:
    ran = tocsin("respond", "verify")
    assert ran.code == 2
    assert "the key is not there" in ran.err


CONFIG = """\
respond:
  builtin: false
  responses:
    - name: privileged
      when: {rules: ["5c1b"]}
      actions: [delete_pod, isolate_pod]
      mode: MODE
"""


def history(folder: Path, *alerts: Alert) -> Path:
    path = folder / "alerts.jsonl"
    path.write_bytes(b"".join(map(to_json_line, alerts)))
    return path


def pod(number: int, **changes: Any) -> Alert:
    alert = make_alert(f"a{number}", time=f"2026-11-23T10:45:{number:02}.000000Z")
    name = f"web-{number}"
    target = msgspec.structs.replace(alert.target, name=name, uid=f"u{number}")
    return msgspec.structs.replace(alert, target=target, **changes)


def denied(number: int) -> Alert:
    return pod(number, event=EventRef("6f9e", "ResponseComplete", "Request", "/api/v1", 403))


@pytest.mark.parametrize(
    ("mode", "verdict"), [("dry-run", "simulate"), ("approve", "needs-approval"), ("auto", "run")]
)
def test_a_rehearsal_over_history(
    tocsin: Commands, tmp_path: Path, mode: str, verdict: str
) -> None:
    config = tmp_path / "tocsin.yaml"
    config.write_text(CONFIG.replace("MODE", mode))
    path = history(tmp_path, pod(1), denied(2), make_alert("a3", rule=OTHER))
    ran = tocsin("respond", "plan", "--alerts", path, "--config", config)
    assert (ran.code, ran.err) == (0, "")
    rows = [line for line in ran.out.splitlines() if line.startswith("2026")]
    assert [verdict in row for row in rows] == [True, True, False, False]
    assert all("pods shop/web-1" in row for row in rows[:2])
    assert all("refused by the cluster (code 403)" in row for row in rows[2:])
    assert "3 alerts ask for 4 responses" in ran.out
    assert "2 refused by the guard" in ran.out
    data = tocsin("respond", "plan", "--alerts", path, "--config", config, "--json")
    told = [json.loads(line) for line in data.out.splitlines()]
    assert [(one["action"], one["verdict"]) for one in told[:2]] == [
        ("delete_pod", verdict),
        ("isolate_pod", verdict),
    ]
    assert not (tmp_path / DATA).exists(), "nothing is made, nothing is asked"


OTHER = msgspec.structs.replace(make_alert().rule, id="other")


def test_a_rehearsal_knows_the_limits(tocsin: Commands, tmp_path: Path) -> None:
    config = tmp_path / "tocsin.yaml"
    config.write_text(CONFIG.replace("MODE", "auto").replace(", isolate_pod", ""))
    path = history(tmp_path, *(pod(number) for number in range(1, 15)))
    ran = tocsin("respond", "plan", "--alerts", path, "--config", config, "--json")
    verdicts = [json.loads(line)["verdict"] for line in ran.out.splitlines()]
    assert verdicts == ["run"] * 10 + ["needs-approval"] * 4


def test_what_is_no_alert_is_told_with_its_line(tocsin: Commands, tmp_path: Path) -> None:
    path = history(tmp_path, pod(1))
    path.write_bytes(path.read_bytes() + b'{"kind": "Event"}\n')
    ran = tocsin("respond", "plan", "--alerts", path)
    assert ran.code == 2
    assert f"{path}:2: this is no alert" in ran.err


def test_text_of_attackers_stays_text(tocsin: Commands, store: SqliteStore) -> None:
    texts = [text for text in HOSTILE if len(text) < 1000]
    for number, text in enumerate(texts):
        target = ObjectRef(resource=text, namespace=text, name=text, uid=text)
        made = plan(f"{number:032x}", cluster=text, rule=text, target=target, user=text)
        put(store, response(made=made, text=text, effect=text, digest=text), 1 + 2 * number)
    shown = [("show", f"{number:032x}") for number in range(len(texts))]
    for arguments in [("list",), ("list", "--json"), *shown]:
        ran = tocsin("respond", *arguments)
        assert ran.code == 0
        assert all(char == "\n" or char.isprintable() for char in ran.out)
