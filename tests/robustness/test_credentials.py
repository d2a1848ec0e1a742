"""Bar S8 on the whole system: credentials change under load, and no batch is lost or refused.

The senders do what API servers do: they keep their connection, read certificate and token
again when the files change, keep what they had while the files do not fit together, and open a
new connection with a new certificate. `TOCSIN_LONG=1`: more rotations.
"""

import functools
import http
import http.client
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from typing_extensions import override

from tests.robustness.harness import CLUSTER, EXECUTABLE, PATH, Sender, Tocsin, environment
from tests.robustness.traffic import History, Oracle, Traffic

LONG = bool(os.environ.get("TOCSIN_LONG"))
ROTATIONS = 12 if LONG else 2
NODES = 3
PAUSE_SECONDS = 0.02
SELECT = {"certificate": "--serial", "token": "--token"}
PROBE = Traffic("probe", 18).batch(1)


class Node(threading.Thread):
    """One API server, with the credential in `files`."""

    def __init__(self, tocsin: Tocsin, files: Path, history: History, name: str) -> None:
        super().__init__(daemon=True)
        self._tocsin = tocsin
        self._files = files
        self._history = history
        self._traffic = Traffic(name, 18)
        self._stamp: object = None
        self._sender: Sender | None = None
        self._headers: dict[str, str] = {}
        self.stopping = threading.Event()
        self.answered = 0
        self.reloads = 0
        self.failures: list[str] = []

    @override
    def run(self) -> None:
        """Send one batch after the other; whatever goes wrong is noted."""
        while not self.stopping.is_set():
            sender = self._current()
            body = self._traffic.batch(3)
            number = self._history.send(body)
            try:
                self._history.answer(number, sender.post(body, headers=self._headers))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            self.answered += 1
            self.stopping.wait(PAUSE_SECONDS)
        if self._sender is not None:
            self._sender.close()

    def _current(self) -> Sender:
        """Return the connection, a new one if the credential changed."""
        stamp = [(path.name, path.stat().st_mtime_ns) for path in sorted(self._files.glob("[ct]*"))]
        if self._sender is None or stamp != self._stamp:
            try:
                fresh = connection(self._tocsin, self._files)
            except ssl.SSLError:
                assert self._sender is not None, "key and certificate never fitted together"
                return self._sender
            if self._sender is not None:
                self._sender.close()
            self._sender, self._headers = fresh
            self._stamp = stamp
            self.reloads += 1
        return self._sender


def connection(tocsin: Tocsin, files: Path) -> tuple[Sender, dict[str, str]]:
    """Return a connection with the credential in a folder, and the headers that go with it."""
    context = ssl.create_default_context(cafile=files / "ca.crt")
    if (files / "token").exists():
        token = (files / "token").read_text().strip()
        return tocsin.sender(context), {"Authorization": f"Bearer {token}"}
    context.load_cert_chain(files / "client.crt", files / "client.key")
    return tocsin.sender(context), {}


def status(tocsin: Tocsin, files: Path, path: str = PATH) -> int | None:
    """Return what one post on a new connection is answered; None: TLS ends it."""
    sender, headers = connection(tocsin, files)
    with closing(sender):
        try:
            return sender.post(PROBE, path, headers)
        except (OSError, http.client.HTTPException):
            return None


def is_refused(tocsin: Tocsin, files: Path) -> bool:
    return status(tocsin, files) == http.HTTPStatus.UNAUTHORIZED


def clusters(tocsin: Tocsin, *arguments: object) -> bytes:
    """Run `tocsin clusters` beside the running Tocsin, and return what it prints."""
    command = [str(EXECUTABLE), "clusters", *map(str, arguments), "--data", str(tocsin.data)]
    ran = subprocess.run(
        command, env=environment(tocsin.folder.parent), check=True, timeout=60, capture_output=True
    )
    return ran.stdout


@contextmanager
def sending(tocsin: Tocsin, folders: list[Path], history: History) -> Iterator[list[Node]]:
    """Send from several nodes while the body of the `with` runs."""
    nodes = [
        Node(tocsin, folder, history, f"{folder.name}-{number}")
        for folder in folders
        for number in range(NODES)
    ]
    for node in nodes:
        node.start()
    try:
        yield nodes
    finally:
        for node in nodes:
            node.stopping.set()
        for node in nodes:
            node.join()


def go_on(nodes: list[Node], batches: int = 5) -> None:
    """Wait until each node has had further answers."""
    wanted = {node: node.answered + batches for node in nodes}
    deadline = time.monotonic() + 60
    while any(node.answered < count for node, count in wanted.items()):
        assert all(node.is_alive() for node in nodes)
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.robustness
@pytest.mark.timeout(1200 if LONG else 240)
def test_s8_rotation_under_load_loses_and_refuses_nothing(tmp_path: Path) -> None:
    history = History()
    with Tocsin(tmp_path / "tocsin") as tocsin:
        folders = {kind: tmp_path / kind for kind in ("certificate", "token")}
        for kind, folder in folders.items():
            clusters(tocsin, "add", CLUSTER, "--credential", kind, "--out", folder)
        tocsin.start()
        with sending(tocsin, list(folders.values()), history) as nodes:
            go_on(nodes)
            for number in range(ROTATIONS):
                for kind, folder in folders.items():
                    former = shutil.copytree(folder, tmp_path / f"{kind}-{number}")
                    where = ("--credential", kind, "--out", folder)
                    rotated = clusters(tocsin, "rotate", CLUSTER, *where, "--json")
                    go_on(nodes)
                    assert status(tocsin, former) == 200, "refused within the grace"
                    [old] = msgspec.json.decode(rotated)["replaced"]
                    clusters(tocsin, "revoke", CLUSTER, SELECT[kind], old, "--yes")
                    refused = functools.partial(is_refused, tocsin, former)
                    tocsin.wait_for(refused, "the old one is still good")
                    go_on(nodes)
            # A name more: the receiver's certificate is made anew.
            before = (tocsin.data / "pki/server.crt").read_bytes()
            clusters(tocsin, "add", "other", "--advertise", "10.1.2.3", "--out", tmp_path / "x")
            assert (tocsin.data / "pki/server.crt").read_bytes() != before
            go_on(nodes)
            assert status(tocsin, folders["token"]) == 200
        assert [failure for node in nodes for failure in node.failures] == []
        # An interrupted write shows in between, and is no credential.
        assert all(node.reloads > ROTATIONS for node in nodes)
        assert len(history.acked) == len(history.sent)
        tocsin.drain()
        must = Oracle(tocsin.rules).alerts([*history.acked_bodies, PROBE])
        found = {alert.id for alert in tocsin.alerts() if alert.source == "audit"}
        assert found == must.keys()


@pytest.mark.robustness
@pytest.mark.timeout(90)
def test_s8_a_revoked_cluster_is_refused_within_a_second(tmp_path: Path) -> None:
    """Under its own load, on connections that stand; other clusters notice nothing."""
    history = History()
    with Tocsin(tmp_path / "tocsin") as tocsin:
        files = {name: tmp_path / name for name in (CLUSTER, "stolen")}
        for name, folder in files.items():
            clusters(tocsin, "add", name, "--out", folder)
        tocsin.start()
        victim, _ = connection(tocsin, files["stolen"])
        body = Traffic("stolen", 18).batch(1)
        with sending(tocsin, [files[CLUSTER]], history) as nodes, closing(victim):
            for _ in range(5):
                assert victim.post(body, "/v1/audit/stolen/n") == 200
            clusters(tocsin, "revoke", "stolen", "--yes")
            revoked = time.monotonic()
            while victim.post(body, "/v1/audit/stolen/n") == 200:
                assert time.monotonic() - revoked < 1
            assert status(tocsin, files["stolen"], "/v1/audit/stolen/n") == 401
            assert status(tocsin, files["stolen"], "/") == 401
            go_on(nodes)
            clusters(tocsin, "add", "stolen", "--out", tmp_path / "fresh")
            tocsin.wait_for(
                lambda: status(tocsin, tmp_path / "fresh", "/v1/audit/stolen/n") == 200,
                "the new one is unknown",
            )
            assert status(tocsin, files["stolen"], "/v1/audit/stolen/n") == 401
        assert [failure for node in nodes for failure in node.failures] == []
        assert len(history.acked) == len(history.sent)
