"""`tocsin events`: what arrived, for a terminal and for tools."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.unit.cli.commandline import EXECUTABLE, Commands, Ran, environment
from tests.unit.runtime.spooled import START, post, spool
from tests.unit.store.samples import HOSTILE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the spool of a data folder with its key, without lowering this process."""
    monkeypatch.setattr(os, "nice", lambda _: 0)
    key = tmp_path / "tocsin-data/keys/spool.key"
    key.parent.mkdir(parents=True)
    key.write_text("00" * 32)
    key.chmod(0o600)
    return tmp_path / "tocsin-data/spool"


def by(user: str, **changes: object) -> dict[str, object]:
    return {"user": {"username": user}, **changes}


def users(ran: Ran) -> list[str]:
    return [json.loads(line)["event"]["user"]["username"] for line in ran.out.splitlines()]


def test_a_table_with_the_newest_last(tocsin: Commands, folder: Path) -> None:
    spool(folder, post(by("alice"), by("bob", impersonatedUser={"username": "root"})))
    ran = tocsin("events")
    head, first, second = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert head.split()[:3] == ["received", "id", "who"]
    assert first.split() == [
        *("2026-11-23", "10:00:00", "1.0", "alice", "create", "pods", "shop/web", "201"),
        "10.0.0.7",
    ]
    assert "bob as root" in second


FILTERS: tuple[tuple[tuple[object, ...], list[str]], ...] = (
    ((), ["alice", "bob", "carol"]),
    (("--limit", 2), ["bob", "carol"]),
    (("--user", "bob"), ["bob"]),
    (("--verb", "DELETE"), ["carol"]),
    (("--resource", "pods/exec"), ["bob"]),
    (("-n", "shop", "--name", "web"), ["alice", "carol"]),
    (("--code", 403), ["bob"]),
    (("--audit-id", "a3"), ["carol"]),
    (("--text", "CAROL"), ["carol"]),
    (("--cluster", "other"), []),
    (("--since", "2026-11-23T10:01:00Z"), ["bob", "carol"]),
    (("--until", "2026-11-23T10:01:00Z"), ["alice"]),
)


def test_filters(tocsin: Commands, folder: Path) -> None:
    ref = {"resource": "pods", "subresource": "exec"}
    spool(
        folder,
        post(by("alice")),
        post(by("bob", objectRef=ref, responseStatus={"code": 403})),
        post(by("carol", verb="delete", auditID="a3")),
    )
    for options, wanted in FILTERS:
        assert users(tocsin("events", "--json", *options)) == wanted, options


def test_json_lines_tell_where_it_came_from(tocsin: Commands, folder: Path) -> None:
    secret = {"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}
    spool(folder, post(by("ünïcode", responseObject=secret)))
    ran = tocsin("events", "--json")
    assert ran.out.isascii()
    line = json.loads(ran.out)
    assert (line["id"], line["cluster"], line["node"], line["source"]) == (
        *("1.0", "default", "cp-1", "webhook"),
    )
    assert line["received"] == "2026-11-23T10:00:00+00:00"
    assert line["event"]["responseObject"]["data"] == {"password": "[redacted]"}


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_hostile_text_cannot_move_the_terminal(
    tocsin: Commands, folder: Path, as_json: tuple[str, ...]
) -> None:
    texts = [text for text in HOSTILE if len(text) < 1000]
    ref = [{"resource": text, "namespace": text, "name": text} for text in texts]
    some = [
        by(text, verb=text, objectRef=ref, sourceIPs=[text])
        for text, ref in zip(texts, ref, strict=True)
    ]
    spool(folder, post(*some))
    out = tocsin("events", *as_json).out
    assert not [char for char in out if not (char.isprintable() or char == "\n")]
    if as_json:
        assert len(out.splitlines()) == len(texts)


def test_nothing_found_says_why(tocsin: Commands, folder: Path) -> None:
    assert "No events are kept" in tocsin("events").err
    spool(folder, post(by("alice")))
    ran = tocsin("events", "--user", "ali")
    assert (ran.code, ran.out) == (0, "")
    assert "looked back to 2026-11-23 10:00:00" in ran.err
    assert "--text finds parts" in ran.err


def test_without_a_key(tocsin: Commands) -> None:
    ran = tocsin("events")
    assert ran.code == 2
    assert "there is no key" in ran.err


def test_a_wrong_time(tocsin: Commands, folder: Path) -> None:
    ran = tocsin("events", "--since", "soon")
    assert ran.code == 2
    assert "--since 'soon'" in ran.err


@pytest.mark.timeout(30)
def test_follow_goes_on_with_new_events(folder: Path, tmp_path: Path) -> None:
    spool(folder, post(by("alice")))
    arguments: list[str | Path] = [
        EXECUTABLE,
        "events",
        "--follow",
        "--json",
        "--data",
        folder.parent,
    ]
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        seen = [program.stdout.readline()]
        spool(folder, post(by("bob"), by("carol")), start=START + 60)
        seen += [program.stdout.readline(), program.stdout.readline()]
        program.send_signal(signal.SIGINT)
        assert program.wait(5) == 0
    names = [json.loads(line)["event"]["user"]["username"] for line in seen]
    assert names == ["alice", "bob", "carol"]
