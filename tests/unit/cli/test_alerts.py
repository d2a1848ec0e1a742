import json
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.unit.cli.commandline import EXECUTABLE, Commands, Ran, environment
from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert, with_severity
from tocsin.cli.alerts import parse_since, safe
from tocsin.model.alert import SEVERITIES, Alert
from tocsin.model.errors import TocsinError
from tocsin.store.sqlite import SqliteStore, own_store

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with own_store(tmp_path / "tocsin-data/tocsin.db", {}, 1000.0) as opened:
        yield opened


def record(store: SqliteStore, *alerts: Alert) -> None:
    store.record(alerts, {}, 1000.0)


def at(minute: int, alert_id: str = "", **changes: object) -> Alert:
    time = f"2026-11-23T10:{minute:02}:00.000000Z"
    return make_alert(alert_id or f"m{minute}", time=time, **changes)


def ids(ran: Ran) -> list[str]:
    return [json.loads(line)["id"] for line in ran.out.splitlines()]


def test_a_table_with_the_newest_last(tocsin: Commands, store: SqliteStore) -> None:
    record(store, at(2, description="second"), at(1, description="first"))
    ran = tocsin("alerts")
    head, first, second = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert head.split() == ["time", "severity", "who", "what", "ATT&CK"]
    assert first.split() == ["2026-11-23", "10:01:00", "high", "alice", "first", "T1611"]
    assert "second" in second


def test_what_may_be_forged_is_marked(tocsin: Commands, store: SqliteStore) -> None:
    store.record([at(1)], {}, 1000.0, unauthenticated=[at(2)])
    ran = tocsin("alerts")
    _, proven, forged = ran.out.splitlines()
    assert "high unproven" in forged
    assert "unproven" not in proven
    assert "may be forged, because their senders proved nothing: 1 of 2" in ran.err
    assert "let in without proof" not in ran.err
    assert ids(tocsin("alerts", "--json")) == ["m1", "m2"]


def test_open_networks_are_told(
    tocsin: Commands, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(store, at(1))
    monkeypatch.setenv("TOCSIN__WEBHOOK__ALLOW_UNAUTHENTICATED_FROM", "[10.0.0.0/8]")
    ran = tocsin("alerts", "--json")
    assert "10.0.0.0/8 are let in without proof" in ran.err
    assert ids(ran) == ["m1"]


def test_json_lines_are_the_whole_alert(tocsin: Commands, store: SqliteStore) -> None:
    record(store, at(1, description="ünïcode"))
    ran = tocsin("alerts", "--json")
    assert ran.out.isascii()
    assert msgspec.json.decode(ran.out, type=Alert) == at(1, description="ünïcode")


def test_the_newest_are_shown(tocsin: Commands, store: SqliteStore) -> None:
    record(store, *(at(minute) for minute in range(60)))
    assert len(ids(tocsin("alerts", "--json"))) == 50
    assert ids(tocsin("alerts", "--json", "--limit", 2)) == ["m58", "m59"]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ((), ["low", "medium", "high", "critical", "other"]),
        (("--severity", "info"), ["info", "low", "medium", "high", "critical", "other"]),
        (("--severity", "critical"), ["critical"]),
        (("--cluster", "test"), ["other"]),
        (("--rule", "R2"), ["other"]),
        (("--user", "bob"), ["other"]),
        (("-n", "team-b"), ["other"]),
        (("--text", "NEEDLE"), ["other"]),
        (("--since", "2026-11-23T10:04:00Z"), ["critical", "other"]),
        (("--since", "2026-11-23T12:05:00+02:00"), ["other"]),
        (("--since", "2026-11-23T10:05"), ["other"]),
        (("--since", "2026-11-23T10:06:00Z"), []),
        (("--user", "bob", "--severity", "critical"), []),
    ],
)
def test_filters(
    tocsin: Commands, store: SqliteStore, options: tuple[str, ...], wanted: list[str]
) -> None:
    record(
        store, *(with_severity(at(n, severity), severity) for n, severity in enumerate(SEVERITIES))
    )
    other = at(5, "other", cluster="test", description="a needle in it")
    other = msgspec.structs.replace(
        other,
        rule=msgspec.structs.replace(other.rule, id="R2"),
        actor=msgspec.structs.replace(other.actor, user="bob"),
        target=msgspec.structs.replace(other.target, namespace="team-b"),
    )
    record(store, other)
    assert ids(tocsin("alerts", "--json", *options)) == wanted


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30m", NOW - timedelta(minutes=30)),
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        (
            "2026-11-20 12:00:00.5+02:00",
            datetime(2026, 11, 20, 10, microsecond=500_000, tzinfo=UTC),
        ),
    ],
)
def test_since_as_an_age_or_a_time(text: str, moment: datetime) -> None:
    assert parse_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "h", "10", "5y", "-", "nanh", "infd", "1e99d", "٣"])
def test_since_that_is_neither(text: str) -> None:
    with pytest.raises(TocsinError, match="is neither an age"):
        parse_since(text, NOW)


def test_an_unknown_severity(tocsin: Commands, store: SqliteStore) -> None:
    del store
    ran = tocsin("alerts", "--severity", "urgent")
    assert ran.code == 2
    assert "is not one of info, low, medium, high, critical" in ran.err


def test_an_empty_store_says_what_to_do(tocsin: Commands, store: SqliteStore) -> None:
    ran = tocsin("alerts")
    assert (ran.code, ran.out) == (0, "")
    assert "localhost:8081/metrics" in ran.err
    assert "tocsin demo" in ran.err
    record(store, at(1))
    assert "No alert matches." in tocsin("alerts", "--user", "nobody").err
    assert tocsin("alerts", "--user", "nobody", "--json") == Ran(0, "", "")


def test_hints_name_the_configured_port(
    tocsin: Commands, store: SqliteStore, tmp_path: Path
) -> None:
    del store
    (tmp_path / "tocsin.yaml").write_text("health: {port: 9999}\n")
    assert "localhost:9999/metrics" in tocsin("alerts", "-c", "tocsin.yaml").err


def test_no_store_at_all(tocsin: Commands) -> None:
    ran = tocsin("alerts")
    assert ran.code == 2
    assert ran.err == (
        "tocsin: there is no store at tocsin-data/tocsin.db: start `tocsin serve`, or name its "
        "data folder\n"
    )


def test_a_data_folder_whatever_its_name(tocsin: Commands, tmp_path: Path) -> None:
    with own_store(tmp_path / "2026/tocsin.db", {}, 1000.0) as store:
        record(store, at(1))
    assert ids(tocsin("alerts", "--json", "--data", "2026")) == ["m1"]


def test_a_store_that_cannot_be_read_now_is_one_sentence(tocsin: Commands, tmp_path: Path) -> None:
    path = tmp_path / "tocsin-data/tocsin.db"
    own_store(path, {}, 1000.0).close()
    path.write_bytes(b"damaged" * 1000)
    ran = tocsin("alerts")
    assert ran.code == 2
    assert ran.err.startswith("tocsin: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_cannot_control_the_terminal(
    tocsin: Commands, store: SqliteStore, text: str
) -> None:
    record(store, hostile_alert(text[:1000]))
    for options in ((), ("--json",)):
        shown = tocsin("alerts", *options).out
        assert shown
        assert all(line.isprintable() for line in shown.split("\n"))


def test_text_that_looks_like_markup_is_shown_as_it_is(
    tocsin: Commands, store: SqliteStore
) -> None:
    record(store, at(1, description="[bold red]x[/bold red] :bomb: [link=http://evil]y[/link]"))
    assert "[bold red]x[/bold red] :bomb: [link=http://evil]y[/link]" in tocsin("alerts").out


def test_safe_leaves_readable_text_alone() -> None:
    assert safe("Grüße 你好 [x]") == "Grüße 你好 [x]"
    assert safe("a\nb\x1b[31m\u202e") == "a\\nb\\u001b[31m\\u202e"


class Following:
    """`tocsin alerts --follow --json` as a program of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [EXECUTABLE, "alerts", "--follow", "--json", *options],
            cwd=folder,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        self._timer = threading.Timer(25, self.process.kill)
        self._timer.start()

    def next(self) -> str:
        assert self.process.stdout is not None
        found: str = json.loads(self.process.stdout.readline())["id"]
        return found

    def interrupt(self) -> int:
        self.process.send_signal(2)
        with self.process:
            code = self.process.wait()
        self._timer.cancel()
        return code


@pytest.mark.timeout(30)
def test_following_shows_each_alert_once(store: SqliteStore, tmp_path: Path) -> None:
    # The one that is stored first is of the later event.
    record(store, at(9, "later"), at(1, "earlier"))
    following = Following(tmp_path, "--severity", "medium")
    assert [following.next(), following.next()] == ["earlier", "later"]
    record(store, at(2, "new"), with_severity(at(3, "quiet"), "low"), at(4, "newer"))
    assert [following.next(), following.next()] == ["new", "newer"]
    assert following.interrupt() == 0
