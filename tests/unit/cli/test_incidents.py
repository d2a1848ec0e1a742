"""`tocsin incidents`: as a tired person at night reads it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.commandline import Commands
from tests.unit.incidents.samples import alert, group
from tests.unit.store.samples import HOSTILE, hostile_alert
from tocsin.cli.incidentpick import person
from tocsin.model.incident import Change, Incident
from tocsin.store.sqlite import SqliteStore, own_store

COLUMNS = ("severity", "state", "owner", "alerts", "title")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with own_store(tmp_path / "tocsin-data/tocsin.db", {}, 1000.0) as opened:
        yield opened


@pytest.fixture
def incident(store: SqliteStore) -> Incident:
    (made,) = group(store, alert("a", severity="high"), alert("f", 1, severity="info"))
    return made


def test_the_list(tocsin: Commands, store: SqliteStore) -> None:
    group(store, alert("a", severity="high"), alert("b", 200, user="bob", severity="critical"))
    ran = tocsin("incidents")
    head, first, second = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert head.split() == ["id", "last", "activity", *COLUMNS]
    assert first.split()[3:] == ["high", "open", "-", "1", "alice:", "Rule"]
    assert second.split()[3:] == ["critical", "open", "-", "1", "bob:", "Rule"]
    titles = [json.loads(line)["title"] for line in tocsin("incidents", "--json").out.splitlines()]
    assert titles == ["alice: Rule", "bob: Rule"]
    assert "bob" not in tocsin("incidents", "--user", "alice", "--severity", "high").out
    assert "1 older not shown" in tocsin("incidents", "--limit", 1).err


def test_what_is_not_shown_is_said(tocsin: Commands, store: SqliteStore) -> None:
    assert "nothing above info was found" in tocsin("incidents").err
    store.record([alert("a")], {}, 1000.0)
    assert "1 alerts wait to be looked at" in tocsin("incidents").err
    (incident,) = group(store)
    assert "No incident matches" in tocsin("incidents", "--severity", "critical").err
    store.incidents.change(incident.id, Change(state="closed", verdict="benign"), "eve", 1.0)
    ran = tocsin("incidents")
    assert ran.out == ""
    assert "1 closed not shown: --state closed shows them" in ran.err
    assert "closed, benign" in tocsin("incidents", "--state", "closed").out


def test_one_incident(tocsin: Commands, incident: Incident) -> None:
    out = tocsin("incidents", "show", incident.id[:6]).out
    for text in (
        f"{incident.id}  high  alice: Rule",
        "cluster prod, open, nobody looks after it",
        incident.story,
        "2026-11-23 10:00:00  high",
        "Evidence: digests of the events",
        "digest-a",
        "tocsin opened: Rule",
    ):
        assert text in out
    shown = json.loads(tocsin("incidents", "show", incident.id, "--json").out)
    assert (shown["id"], shown["alert_counts"]) == (incident.id, {"high": 1, "info": 1})


def test_what_one_incident_has_no_room_for_is_counted(tocsin: Commands, store: SqliteStore) -> None:
    facts = [alert(f"f{n}", 1, severity="info") for n in range(8)]
    (incident,) = group(store, *(alert(f"a{n}", n / 10) for n in range(30)), *facts)
    out = tocsin("incidents", "show", incident.id).out
    assert "and 28 alerts of the same rules (30 medium, 8 info in all)" in out
    assert "and those of 28 more alerts: `tocsin incidents export" in out


def test_the_evidence_bundle(tocsin: Commands, incident: Incident) -> None:
    bundle = json.loads(tocsin("incidents", "export", incident.id).out)
    assert bundle["format"] == "tocsin-incident-1"
    assert bundle["exported_by"] == person()
    assert [one["id"] for one in bundle["alerts"]] == ["a", "f"]
    assert bundle["evidence"] == ["digest-a", "digest-f"]
    assert bundle["log"][0]["what"] == "opened"


def test_the_life_of_an_incident(tocsin: Commands, store: SqliteStore, incident: Incident) -> None:
    def now() -> Incident:
        found = store.incidents.incident(incident.id)
        assert found is not None
        return found

    ran = tocsin("incidents", "ack", incident.id[:5], "--note", "looking")
    assert (ran.code, ran.out) == (0, f"{incident.id} acknowledged\n")
    assert (now().state, now().owner) == ("acknowledged", person())
    assert tocsin("incidents", "assign", incident.id, "bob").code == 0
    assert tocsin("incidents", "ack", incident.id).code == 0
    assert now().owner == "bob"
    assert tocsin("incidents", "contain", incident.id).code == 0
    assert now().state == "contained"
    assert tocsin("incidents", "close", incident.id, "--verdict", "true-positive").code == 0
    assert (now().state, now().verdict) == ("closed", "true-positive")
    assert tocsin("incidents", "reopen", incident.id).code == 0
    assert (now().state, now().verdict) == ("open", None)
    assert tocsin("incidents", "pin", incident.id).code == 0
    assert now().pinned
    assert tocsin("incidents", "pin", incident.id, "--off").code == 0
    assert not now().pinned
    assert tocsin("incidents", "note", incident.id, "all quiet").code == 0
    assert store.incidents.log_of(incident.id)[-1].text == "all quiet"
    notes = [(note.who, note.action) for note in store.people.notes(99)]
    assert (person(), "incident closed") in notes
    assert len(notes) == 9
    assert {note.detail for note in store.people.notes(99)} == {incident.id}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nope"), "there is no incident 'nope'"),
        (("ack", "nope"), "there is no incident 'nope'"),
        (("close", "ID", "--verdict", "maybe"), "verdict 'maybe' is not one of true-positive"),
        (("--state", "lost"), "state 'lost' is not one of open"),
        (("--severity", "huge"), "severity 'huge' is not one of info"),
        (("show", ""), "is the beginning of several incidents"),
    ],
)
def test_mistakes_are_one_sentence(
    tocsin: Commands, store: SqliteStore, arguments: tuple[str, ...], message: str
) -> None:
    found = group(store, alert("a"), alert("b", user="bob"))
    ran = tocsin("incidents", *(found[0].id if one == "ID" else one for one in arguments))
    assert ran.code == 2
    assert message in ran.err


def test_the_data_folder_may_be_named_before_or_after(tocsin: Commands, tmp_path: Path) -> None:
    with own_store(tmp_path / "elsewhere/tocsin.db", {}, 1000.0) as store:
        (incident,) = group(store, alert("a"))
    assert tocsin("incidents", "show", incident.id).code == 2
    assert tocsin("incidents", "--data", "elsewhere", "show", incident.id).code == 0
    assert tocsin("incidents", "show", incident.id, "--data", "elsewhere").code == 0


def test_who_it_is_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody else")
    assert person() != "somebody else"
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert person() == "uid 4000000"


def test_text_of_attackers_stays_text(tocsin: Commands, store: SqliteStore) -> None:
    found = group(store, *(hostile_alert(text, f"a{n}") for n, text in enumerate(HOSTILE)))
    commands = [("show", incident.id) for incident in found]
    for arguments in [(), ("--json",), ("export", found[0].id), *commands]:
        ran = tocsin("incidents", *arguments)
        assert ran.code == 0
        assert ran.out
        assert all(char == "\n" or char.isprintable() for char in ran.out)
