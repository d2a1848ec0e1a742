"""`tocsin silence`, `tocsin except` and what `tocsin alerts` says of hidden alerts."""

import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from tests.unit.cli.commandline import Commands
from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert
from tocsin.cli.incidentpick import person
from tocsin.dialects.sigma import load_sigma
from tocsin.model.alert import Alert
from tocsin.store.sqlite import SqliteStore, own_store

RULE = """\
title: Pods
id: 5c1b0000-0000-4000-8000-000000000001
logsource: {product: kubernetes, service: audit}
detection: {selection: {verb: create}, condition: selection}
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with own_store(tmp_path / "tocsin-data/tocsin.db", {}, 1000.0) as opened:
        yield opened


def recent(alert_id: str, base: Alert | None = None) -> Alert:
    """Return an alert of a moment ago."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - 60))
    return msgspec.structs.replace(base or make_alert(), id=alert_id, time=stamp)


def test_a_silence_from_beginning_to_end(tocsin: Commands, store: SqliteStore) -> None:
    ran = tocsin("silence", "add", "--user", "ci-*", "-n", "build", "--for", "2h", "--reason", "x")
    assert (ran.code, ran.err) == (0, "")
    assert "Silence 1 hides alerts where user is ci-*, namespace is build, until" in ran.out
    (made,) = store.silences.silences()
    assert (made.owner, made.reason, made.expires - made.created) == (person(), "x", 7200.0)
    store.record([make_alert("a")], {}, 1.0, hidden={"a": made.mark})
    head, line = tocsin("silence", "list").out.splitlines()
    assert head.split()[:5] == ["id", "state", "until", "hid", "owner"]
    assert line.split()[:2] == ["1", "active"]
    assert "user is ci-*, namespace is build" in line
    assert tocsin("silence", "end", 1).out == "Silence 1 is over; it hid 1 alerts.\n"
    ran = tocsin("silence", "list")
    assert (ran.out, ran.err) == ("", "No silence is active. 1 are over: --all shows them.\n")
    assert "ended" in tocsin("silence", "list", "--all").out
    notes = [(note.action, note.who) for note in store.people.notes(9)]
    assert notes == [("silence ended", person()), ("silence added", person())]


def test_as_json(tocsin: Commands, store: SqliteStore) -> None:
    del store
    ran = tocsin("silence", "add", "--rule", "5c1b", "--reason", "x", "--owner", "ann", "--json")
    made = json.loads(ran.out)
    assert (made["id"], made["owner"], made["matcher"]) == (1, "ann", {"rule": "5c1b"})
    assert json.loads(tocsin("silence", "list", "--json").out) == made


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reason", "x"], "at least one part"),
        (["--user", "*", "--reason", "x"], "at least one part"),
        (["--user", "a", "--reason", " "], "needs a reason"),
        (["--user", "a", "--reason", "x", "--for", "91d"], "at most 90 days"),
        (["--user", "a", "--reason", "x", "--for", "soon"], "--for 'soon' is no length of time"),
        (["--network", "here", "--reason", "x"], "'here' is no network such as 10.0.0.0/8"),
        (["--severity", "bad", "--reason", "x"], "severity 'bad' is not one of info, low"),
    ],
)
def test_what_is_wrong_is_said(
    tocsin: Commands, store: SqliteStore, arguments: list[str], said: str
) -> None:
    ran = tocsin("silence", "add", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert store.silences.silences() == []


def test_ending_what_is_not_there(tocsin: Commands, store: SqliteStore) -> None:
    del store
    ran = tocsin("silence", "end", 7)
    assert (ran.code, "there is no silence 7" in ran.err) == (2, True)
    tocsin("silence", "add", "--user", "a", "--reason", "x")
    tocsin("silence", "end", 1)
    ran = tocsin("silence", "end", 1)
    assert (ran.code, "silence 1 is over already" in ran.err) == (2, True)


def test_alerts_say_how_many_are_hidden(tocsin: Commands, store: SqliteStore) -> None:
    store.record([make_alert("a"), make_alert("b")], {}, 1.0, hidden={"b": "suppress"})
    ran = tocsin("alerts")
    assert len(ran.out.splitlines()) == 2
    assert "1 alert is hidden: --hidden with shows them." in ran.err
    ran = tocsin("alerts", "--hidden", "with")
    assert [len(ran.out.splitlines()), "hidden" in ran.err] == [3, False]
    ran = tocsin("alerts", "--hidden", "only", "--json")
    assert [json.loads(line)["id"] for line in ran.out.splitlines()] == ["b"]
    assert "suppress" in tocsin("alerts", "--hidden", "only").out
    ran = tocsin("alerts", "--hidden", "perhaps")
    assert (ran.code, "not one of without, with, only" in ran.err) == (2, True)


def test_what_is_proposed_works(tocsin: Commands, store: SqliteStore) -> None:
    store.record([recent("a"), recent("b"), recent("c")], {}, 1.0)
    ran = tocsin("except", "a")
    assert ran.code == 0
    assert "It would have hidden 3 alerts of the last 30 days:" in ran.out
    assert "It would have left out 3 alerts of the last 30 days:" in ran.out
    command = next(line for line in ran.out.splitlines() if "tocsin silence add" in line)
    assert tocsin(*shlex.split(command)[1:]).code == 0
    (made,) = store.silences.silences()
    assert made.matcher.parts() == {
        "rule": "5c1b",
        "cluster": "prod",
        "user": "alice",
        "namespace": "shop",
    }


@pytest.mark.parametrize("text", [one for one in (*HOSTILE, "*", "a?b") if len(one) < 1000])
def test_hostile_text_stays_a_value(tocsin: Commands, store: SqliteStore, text: str) -> None:
    alert = recent("a", hostile_alert(text))
    store.record([alert], {}, 1.0)
    found = json.loads(tocsin("except", "a", "--json").out)
    command = shlex.split(found["silence"]["command"])
    assert command[:3] == ["tocsin", "silence", "add"]
    assert found["silence"]["preview"]["count"] == 1
    if text:
        document = yaml.safe_load(found["exclusion"]["text"])
        assert set(document["filter"]) == {"rules", "expected", "condition"}
        exclusion = found["exclusion"]["text"].replace(
            "5c1b", "5c1b0000-0000-4000-8000-000000000001"
        )
        loaded = load_sigma([("rule.yml", RULE), ("filter.yml", exclusion)], {})
        assert loaded.faults == []
        assert len(loaded.rules) == 1
    assert tocsin("except", "a").out.replace("\n", "").isprintable()


def test_other_dialects_have_no_exclusion(tocsin: Commands, store: SqliteStore) -> None:
    rule = msgspec.structs.replace(make_alert().rule, dialect="wazuh")
    store.record([recent("a", make_alert(rule=rule))], {}, 1.0)
    assert json.loads(tocsin("except", "a", "--json").out)["exclusion"] is None
    assert "exclusion" not in tocsin("except", "a").out


def test_an_alert_that_is_not_there(tocsin: Commands, store: SqliteStore) -> None:
    del store
    ran = tocsin("except", "nope")
    assert (ran.code, "there is no alert 'nope'" in ran.err) == (2, True)
