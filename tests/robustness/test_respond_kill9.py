"""A4: responses over kill -9: at most one effective change per object, and no end unknown.

The responder runs in a process of its own, over a real journal and store, against an API server
over HTTP that notes every change which took effect. It is killed at each of its steps.
"""

import contextlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from typing_extensions import override

from tests.unit.respond.bench import KEY, Bench, pod, settings
from tests.unit.respond.fakecluster import USER, FakeApi
from tocsin.failpoint import VARIABLE, names
from tocsin.respond.chain import Head, journal_key
from tocsin.respond.cluster import ApiCluster
from tocsin.respond.journal import Journal

ROUNDS = 100 if os.environ.get("TOCSIN_LONG") else int(os.environ.get("TOCSIN_ROUNDS", "2"))
HOST = "127.0.0.1"
_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}
_ENDS = {"done", "verified", "failed", "undone"}
# Action, what it is done to, and whether it is undone by itself afterwards.
CASES = {
    "delete_pod": False,
    "isolate_pod": True,
}


def respond_forever(folder: Path, port: str, action: str) -> None:
    """Respond until killed."""
    undo = {"undo_after_seconds": 0.2} if CASES[action] else {}
    bench = Bench.__new__(Bench)
    client = httpx2.Client(base_url=f"http://{HOST}:{port}", trust_env=False)
    bench.open(folder, settings(actions=[action], rule=undo), ApiCluster("prod", client))
    print("ready", flush=True)
    while True:
        bench.now = time.time()
        if not bench.responder.tick():
            time.sleep(0.02)


@contextlib.contextmanager
def api_server(api: FakeApi) -> Iterator[int]:
    """Serve a fake API server over HTTP; yield its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = msgspec.json.decode(self.rfile.read(length)) if length else None
            path, _, query = self.path.partition("?")
            code, answer = self._decide(path, query, body)
            content = msgspec.json.encode(answer)
            with contextlib.suppress(OSError):
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def _decide(self, path: str, query: str, body: Any) -> tuple[int, dict[str, Any]]:
            if "selfsubject" in path:
                return 201, {"status": {"allowed": True, "userInfo": {"username": USER}}}
            if self.command == "GET":
                found = api.get(path)
                if found is None and path.rpartition("/")[2] in {"networkpolicies", "events"}:
                    return 200, {"items": api.list(path)}
                return (404, {}) if found is None else (200, found)
            dry_run = "dryRun=All" in query or bool(isinstance(body, dict) and body.get("dryRun"))
            audit_id = self.headers["Audit-ID"]
            return api.change(_VERBS[self.command], path, body, audit_id, dry_run=dry_run)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - the library's names

        @override
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def responding(folder: Path, port: int, action: str, failpoint: str = "") -> Iterator[Any]:
    """Run a responder for the body, then kill it."""
    command = [sys.executable, "-m", "tests.robustness.test_respond_kill9", str(folder), str(port)]
    environment = os.environ | ({VARIABLE: failpoint} if failpoint else {})
    with subprocess.Popen(
        [*command, action], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def end_of(folder: Path) -> str:
    """Return the state that the journal ends with, and its text."""
    try:
        lines = (folder / "journal.jsonl").read_bytes().splitlines()
        entries = [msgspec.json.decode(line) for line in lines]
    except (OSError, msgspec.DecodeError):
        return ""
    states = [entry["state"] for entry in entries if entry["state"]]
    return states[-1] if states else ""


def rests(folder: Path) -> bool:
    """Return whether nothing more is written for a moment."""
    size = (folder / "journal.jsonl").stat().st_size
    time.sleep(1)
    return size == (folder / "journal.jsonl").stat().st_size


def wait_for(condition: Any, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


STEPS = [name for name in names() if name.startswith("respond.") or name in {"journal.after_write"}]


@pytest.mark.robustness
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("action", CASES)
@pytest.mark.parametrize("step", STEPS)
def test_a4_killed_at_every_step(tmp_path: Path, step: str, action: str) -> None:
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        one_round(folder, f"{step}:kill:{1 + number}", action)


def one_round(folder: Path, failpoint: str, action: str) -> None:
    """Respond to one alert, killed once on the way; then look at what took effect."""
    api = FakeApi()
    api.add(pod(), metadata={"labels": {"app": "web"}}, spec={"containers": []})
    given = settings(actions=[action])
    bench = Bench(folder, given, api)
    bench.record.show()
    bench.alert()
    bench.close()
    # What cannot be known without a person ends as `unknown`, which is told.
    wanted = {"undone", "unknown"} if CASES[action] else _ENDS
    with api_server(api) as port:
        with responding(folder, port, action, failpoint) as process:
            wait_for(lambda: process.poll() is not None or end_of(folder) in wanted)
        with responding(folder, port, action):
            assert wait_for(lambda: end_of(folder) in wanted and rests(folder)), end_of(folder)
    journal = Journal(folder / "journal.jsonl", journal_key(KEY))
    assert isinstance(journal.head, Head)
    journal.close()
    effective = [(change.verb, change.path, change.uid) for change in api.changes]
    assert len(effective) == len(set(effective)) or CASES[action], effective
    created = [path for verb, path, _ in effective if verb == "create"]
    assert len(created) <= 1
    if action == "delete_pod":
        assert len(effective) == 1
    elif end_of(folder) == "undone":
        labels = api.get(pod().path)
        assert labels is not None
        assert labels["metadata"]["labels"] == {"app": "web"}
        assert not [path for path in api.objects if "networkpolicies" in path]


if __name__ == "__main__":
    respond_forever(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
