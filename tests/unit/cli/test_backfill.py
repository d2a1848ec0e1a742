"""`tocsin backfill` against a receiver and a detector as they run in production."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import Pipe
from pathlib import Path

import pytest

from tests.unit.cli.commandline import Commands
from tests.unit.runtime.rulefiles import event, event_list, lines, write_rule
from tocsin.connect.credentials import revoke
from tocsin.ingest.quarantine import Quarantine
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.server import listen
from tocsin.ingest.spool import Post, PostMeta, SpoolReader
from tocsin.runtime.child import Link
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.detector import Detector
from tocsin.runtime.receiver import Receiver
from tocsin.store.sqlite import read_store

# Ten seconds between two events; each matches the one rule there is.
EVENTS = [
    event(
        number,
        requestReceivedTimestamp=f"2026-11-23T10:{number // 6:02}:{number % 6}0.000000Z",
        stageTimestamp=f"2026-11-23T10:{number // 6:02}:{number % 6}0.500000Z",
    )
    for number in range(60)
]


@dataclass
class Installation:
    """Where a Tocsin runs."""

    config: Config
    file: Path
    out: Path

    def alerts(self) -> list[str]:
        with read_store(self.config.store_path) as store:
            return [one.alert.id for one in store.follow(0, 1000)]

    def posts(self) -> list[PostMeta]:
        sealer = Sealer(load_or_create_key(self.config.key_path))
        found = SpoolReader(self.config.spool_folder, sealer, "test").read(0, 1000)
        return [post.meta for post in found if isinstance(post, Post)]

    def quarantined(self) -> list[str]:
        sealer = Sealer(load_or_create_key(self.config.key_path))
        return [one.reason for one in Quarantine(self.config.quarantine_folder, sealer).records()]


@pytest.fixture
def installation(tmp_path: Path, tocsin: Commands) -> Iterator[Installation]:
    """Run receiver and detector, with the cluster `prod` connected by `tocsin setup`."""
    write_rule(tmp_path / "rules" / "a.yml")
    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    file, out = tmp_path / "tocsin.yaml", tmp_path / "out"
    file.write_text(
        f"data: {tmp_path}/data\nrules: [{tmp_path}/rules]\nbuiltin_rules: false\n"
        f"webhook: {{port: {port}}}\nspool: {{min_free_bytes: 0}}\n"
    )
    names = ("--cluster", "prod", "--credential", "token", "--yes")
    places = ("--data", tmp_path / "data", "--out", out, "--remote-dir", out)
    ran = tocsin("setup", "--advertise", f"127.0.0.1:{port}", *names, *places)
    assert ran.code == 0, ran.err
    config = load_config(file, {})
    with _running(config, sock):
        yield Installation(config, file, out)


class _running:  # noqa: N801 - a context manager
    def __init__(self, config: Config, sock: socket.socket) -> None:
        self._ends = ExitStack()
        self._links = [self._link(), self._link()]
        receiver, detector = Receiver(config), Detector(config)
        self._threads = [
            threading.Thread(target=receiver.run, args=(self._links[0], [sock])),
            threading.Thread(target=detector.run, args=(self._links[1],)),
        ]

    def _link(self) -> Link:
        ours, theirs = Pipe()
        self._ends.enter_context(ours)
        return Link(self._ends.enter_context(theirs))

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        for link in self._links:
            link.stopping.set()
        for thread in self._threads:
            thread.join()
        self._ends.close()


def test_logs_are_sent_in_their_order_and_evaluated(
    tocsin: Commands, installation: Installation
) -> None:
    Path("audit.log").write_bytes(lines(*EVENTS[40:]))
    Path("audit-2.log").write_bytes(lines(*EVENTS[20:40]))
    Path("audit-1.log.gz").write_bytes(gzip.compress(lines(*EVENTS[:20])))
    files = ("audit.log", "audit-1.log.gz", "audit-2.log")

    ran = tocsin(
        *("backfill", *files, "--cluster", "prod", "--node", "cp-1"), "-c", installation.file
    )

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "60 events of 3 files sent, from 2026-11-23T10:00:00Z to 2026-11-23T10:09:50Z",
        "all are evaluated: 60 new alerts: 60 high",
    ]
    sent = {(meta.cluster, meta.node, meta.source) for meta in installation.posts()}
    assert sent == {("prod", "cp-1", "backfill")}
    with read_store(installation.config.store_path) as store:
        times = [one.alert.time for one in store.follow(0, 100)]
    assert times == sorted(times)

    before = installation.alerts()
    ran = tocsin("backfill", *files, "--cluster", "prod", "-c", installation.file, "--json")
    summary = json.loads(ran.out)
    assert summary.pop("posts") >= 3
    assert summary == {
        "files": 3,
        "events": 60,
        "rejected": 0,
        "outside_window": 0,
        "first": "2026-11-23T10:00:00.500000Z",
        "last": "2026-11-23T10:09:50.500000Z",
        "evaluated": True,
        "new_alerts": {},
    }
    assert installation.alerts() == before, "a second time changes nothing"


def test_from_a_control_plane_node(tocsin: Commands, installation: Installation) -> None:
    Path("audit.log").write_bytes(lines(*EVENTS))
    webhook = installation.out / "webhook.yaml"

    ran = tocsin("backfill", "audit.log", "--webhook", webhook)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("60 events of 1 file sent, from 2026-11-23T10:00:00Z to ")
    sent = {(meta.cluster, meta.node, meta.source) for meta in installation.posts()}
    assert sent == {("prod", "control-plane", "backfill")}


def test_only_a_window_of_time(tocsin: Commands, installation: Installation) -> None:
    log = Path("audit.log")
    log.write_bytes(lines(*EVENTS) + event_list(*EVENTS[:2]) + b"\nno event at all\n")
    window = ("--since", "2026-11-23T10:01:00.5Z", "--until", "2026-11-23T12:02:00.5+02:00")

    ran = tocsin("backfill", *window, "--cluster", "prod", "-c", installation.file, "-", stdin=log)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "8 events of 1 file sent, from 2026-11-23T10:00:00Z to 2026-11-23T10:01:50Z",
        "54 lines lie outside of --since and --until",
        "set aside, no proper audit events: 1 (`tocsin quarantine list` on Tocsin's machine)",
        "all are evaluated: 8 new alerts: 8 high",
    ]
    assert len(installation.quarantined()) == 1


def test_a_document_laid_out_over_lines_is_sent_whole(
    tocsin: Commands, installation: Installation
) -> None:
    Path("list.json").write_text(json.dumps(json.loads(event_list(*EVENTS[:3])), indent=2))
    ran = tocsin("backfill", "list.json", "--cluster", "prod", "-c", installation.file)
    assert ran.out.endswith("3 new alerts: 3 high\n")


def test_nothing_to_send(tocsin: Commands, installation: Installation) -> None:
    Path("audit.log").write_bytes(b"\n\n")
    ran = tocsin("backfill", "audit.log", "--cluster", "prod", "-c", installation.file)
    assert ran.out.splitlines() == ["0 events of 1 file sent", "all are evaluated: 0 new alerts"]
    assert installation.posts() == []


def test_quiet_says_nothing(tocsin: Commands, installation: Installation) -> None:
    Path("audit.log").write_bytes(lines(EVENTS[0]))
    ran = tocsin("backfill", "-q", "audit.log", "--cluster", "prod", "-c", installation.file)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert len(installation.alerts()) == 1


def test_a_revoked_credential_is_told(tocsin: Commands, installation: Installation) -> None:
    Path("audit.log").write_bytes(lines(EVENTS[0]))
    revoke(installation.config.folder, "prod", datetime.now(UTC))
    ran = tocsin("backfill", "audit.log", "--cluster", "prod", "-c", installation.file)
    assert ran.code == 2
    assert ran.err == "tocsin: cluster 'prod' is revoked: nothing is taken for it any more\n"


def test_nothing_listens(tocsin: Commands, installation: Installation) -> None:
    Path("audit.log").write_bytes(lines(EVENTS[0]))
    wrong = Path("wrong.yaml")
    kubeconfig = (installation.out / "webhook.yaml").read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    wrong.write_text(kubeconfig.replace(str(installation.config.webhook.port), str(free)))
    ran = tocsin("backfill", "audit.log", "--webhook", wrong)
    assert ran.code == 2
    assert "does `tocsin serve` run there?" in ran.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("audit.log",), "say where to: --cluster NAME on the machine of Tocsin"),
        (("audit.log", "--webhook", "w", "--cluster", "x"), "--webhook says where to send"),
        (("audit.log", "--webhook", "w"), "w"),
        (("none.log", "--cluster", "prod"), "none.log: no such file"),
        ((".", "--cluster", "prod"), ".: is a folder"),
        (("audit.log", "--cluster", "prod"), "there is no cluster 'prod'"),
        (("audit.log", "--cluster", "x", "--since", "soon"), "--since 'soon' is neither"),
        (("audit.log", "--cluster", "x", "--until", "soon"), "--until 'soon' is neither"),
    ],
)
def test_wrong_use(tocsin: Commands, arguments: tuple[str, ...], problem: str) -> None:
    Path("audit.log").write_bytes(lines(EVENTS[0]))
    ran = tocsin("backfill", *arguments)
    assert ran.code == 2
    assert problem in ran.err
    assert "Traceback" not in ran.err
