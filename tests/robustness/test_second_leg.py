"""Bar R14 and the second leg: a followed log, the webhook beside it, and logs sent afterwards."""

import gzip
import json
import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.robustness.harness import CLUSTER, EXECUTABLE, Tocsin, environment, running
from tests.robustness.traffic import History, Oracle, Traffic, check, event_list

ROUNDS = 30
LOG_PREFIX = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",'


class Log:
    """An audit log as an API server writes and rotates it; `history` has all that is in it."""

    def __init__(self, folder: Path, traffic: Traffic, history: History) -> None:
        folder.mkdir()
        self.path = folder / "audit.log"
        self._traffic = traffic
        self._history = history
        self._rotations = 0

    def write(self, count: int) -> list[bytes]:
        """Append events, the last one in two halves; return them as items of a list."""
        items = [self._traffic.event(marked=number % 7 == 0) for number in range(count)]
        lines = b"".join(LOG_PREFIX + item[1:] + b"\n" for item in items)
        with self.path.open("ab", buffering=0) as file:
            file.write(lines[:-300])
            time.sleep(0.02)
            file.write(lines[-300:])
        self._history.answer(self._history.send(lines), 200)
        return items

    def rotate(self, *, compress: bool) -> Path:
        """Rotate as lumberjack does."""
        self._rotations += 1
        rotated = self.path.with_name(f"audit-2026-01-01T00-00-00.{self._rotations:03}.log")
        self.path.rename(rotated)
        self.path.touch()
        if not compress:
            return rotated
        packed = rotated.with_name(f"{rotated.name}.gz")
        packed.write_bytes(gzip.compress(rotated.read_bytes()))
        rotated.unlink()
        return packed


def caught_up(tocsin: Tocsin, history: History) -> bool:
    """Whether the follower has reached the end of the log."""
    try:
        offset = json.loads((tocsin.folder / "position").read_bytes())["offset"]
    except FileNotFoundError:
        return False
    path = tocsin.folder / "log" / "audit.log"
    return bool(offset == path.stat().st_size and history.sent)


def stored(tocsin: Tocsin) -> set[str]:
    """Return the ids of the alerts on events."""
    return {alert.id for alert in tocsin.alerts() if alert.source == "audit"}


@pytest.mark.robustness
@pytest.mark.timeout(180)
def test_r14_file_source_beside_the_webhook(tmp_path: Path) -> None:
    """Rotated, compressed and killed at random: no line lost, no alert twice, no gap."""
    chance, history = random.Random(14), History()
    folder = tmp_path / "tocsin"
    follow = {
        "path": str(folder / "log" / "audit.log"),
        "checkpoint": str(folder / "position"),
        "cluster": CLUSTER,
        "poll_seconds": 0.05,
    }
    with running(folder, {"files": [follow]}) as tocsin:
        log = Log(folder / "log", Traffic("leg", 14), history)
        for number in range(ROUNDS):
            items = log.write(chance.randint(1, 300))
            if chance.random() < 0.3:
                log.rotate(compress=chance.random() < 0.5)
            match chance.choice(["kill", "post", "post", "nothing"]):
                case "kill" if number % 5 == 0:
                    tocsin.kill(tocsin.child("receiver"))
                    tocsin.wait_ready()
                case "post":
                    assert tocsin.post(event_list(items)) == 200
                case _:
                    time.sleep(chance.random() / 10)
        log.write(10)
        tocsin.wait_for(lambda: caught_up(tocsin, history), "the log is not read to its end")
        tocsin.drain()
        gaps = tocsin.metrics().get(f'tocsin_ingest_file_gaps_total{{cluster="{CLUSTER}"}}', 0)
        assert gaps == 0
        assert tocsin.stop()[0] == 0
        assert len(check(tocsin, history, Oracle(tocsin.rules))) > ROUNDS


@pytest.mark.robustness
@pytest.mark.timeout(180)
def test_r6_backfill_after_an_outage(tmp_path: Path) -> None:
    """What the log holds is there afterwards, although the receiver is killed meanwhile."""
    history = History()
    with running(tmp_path / "tocsin") as tocsin:
        log = Log(tmp_path / "log", Traffic("outage", 6), history)
        assert tocsin.post(event_list(log.write(200))) == 200
        assert tocsin.stop()[0] == 0
        files: list[Path] = []
        for _ in range(10):
            log.write(2_000)
            files.append(log.rotate(compress=len(files) % 2 == 0))
        log.write(1_000)
        tocsin.start()
        options = ("--cluster", CLUSTER, "--json", "-c", tocsin.config, "--data", tocsin.data)
        command = [*map(str, (EXECUTABLE, "backfill", log.path, *files, *options))]
        backfill = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)
        )
        before = tocsin.committed
        tocsin.wait_for(lambda: tocsin.committed > before + 5, "backfill sends nothing")
        tocsin.kill(tocsin.child("receiver"))
        out, errors = backfill.communicate(timeout=90)
        assert (backfill.returncode, errors) == (0, b"")
        summary = json.loads(out)
        assert (summary["events"], summary["rejected"], summary["evaluated"]) == (21_200, 0, True)
        found = stored(tocsin)

        again = subprocess.run(command, capture_output=True, check=True, env=environment(tmp_path))
        assert json.loads(again.stdout)["new_alerts"] == {}
        assert stored(tocsin) == found
        assert tocsin.stop()[0] == 0
        check(tocsin, history, Oracle(tocsin.rules))
        assert 1_000 < sum(summary["new_alerts"].values()) < len(found)
