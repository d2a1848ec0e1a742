"""A killed writer: what was acknowledged is read, wherever it died (bars R1 and R3, spool only)."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.robustness.spool_scenario import KEY
from tocsin import failpoint
from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import Lost, SpoolReader, SpoolWriter

ROOT = Path(__file__).parents[2]
ROUNDS = 20
SEED = 20


def start(directory: Path, failpoint_at: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.robustness.spool_child", directory],
        env=os.environ | {failpoint.VARIABLE: failpoint_at},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def acknowledged(child: "subprocess.Popen[str]") -> dict[int, str]:
    """What a killed child managed to print; its last line may be cut off."""
    output, _ = child.communicate(timeout=60)
    return dict(json.loads(line) for line in output.splitlines(keepends=True) if line[-1] == "\n")


def assert_none_lost(directory: Path, acked: dict[int, str]) -> None:
    reader = SpoolReader(directory, Sealer(KEY), "test")
    found: dict[int, str] = {}
    deleted = after = 0
    while items := reader.read(after):
        for item in items:
            if isinstance(item, Lost):
                # What the child's own reader released may be deleted.
                assert item.reason == "expired", item
                deleted = after = item.last
            else:
                found[item.seq] = item.body().decode()[:32]
                after = item.seq
    assert reader.stalled is None
    expected = {seq: body for seq, body in acked.items() if seq > deleted}
    assert {seq: found.get(seq) for seq in expected} == expected


@pytest.mark.robustness
@pytest.mark.timeout(120)
def test_kill_at_any_time(tmp_path: Path) -> None:
    source = random.Random(SEED)
    acked: dict[int, str] = {}
    for _ in range(ROUNDS):
        child = start(tmp_path / "spool")
        assert child.stdout
        first = json.loads(child.stdout.readline())
        time.sleep(source.uniform(0.0, 0.15))
        os.kill(child.pid, signal.SIGKILL)
        new = acknowledged(child) | dict([first])
        assert not set(new) & set(acked), "a number was given twice"
        acked |= new
        assert_none_lost(tmp_path / "spool", acked)
    assert len(acked) > ROUNDS


def spool_failpoints() -> list[str]:
    return [name for name in failpoint.names() if name.startswith("spool.")]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", spool_failpoints())
@pytest.mark.parametrize("visit", [1, pytest.param(3, marks=pytest.mark.robustness)])
def test_kill_at_a_failpoint(tmp_path: Path, name: str, visit: int) -> None:
    child = start(tmp_path / "spool", f"{name}:kill:{visit}")
    acked = acknowledged(child)
    assert child.returncode == -signal.SIGKILL, "the failpoint was not reached"
    assert_none_lost(tmp_path / "spool", acked)
    writer = SpoolWriter(tmp_path / "spool", Sealer(KEY))
    writer.close()
    assert_none_lost(tmp_path / "spool", acked)


@pytest.mark.robustness
@pytest.mark.timeout(60)
def test_failing_at_each_failpoint_goes_on(tmp_path: Path) -> None:
    names = spool_failpoints()
    children = [start(tmp_path / name, f"{name}:raise") for name in names]
    for name, child in zip(names, children, strict=True):
        acked = acknowledged(child)
        assert child.returncode == 0
        assert acked
        assert_none_lost(tmp_path / name, acked)
