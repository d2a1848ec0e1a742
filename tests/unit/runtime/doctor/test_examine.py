import threading
import time
from pathlib import Path

import pytest

from tests.unit.runtime.doctor.webhook import write_webhook
from tocsin.connect.apiserver import NodePaths, audit_flags, host_mounts
from tocsin.connect.manifest import patch_manifest
from tocsin.model.errors import TocsinError
from tocsin.runtime.config import load_config
from tocsin.runtime.doctor import examine as module
from tocsin.runtime.doctor import processes
from tocsin.runtime.doctor.examine import CHECKS, Plan, examine
from tocsin.runtime.doctor.finding import Finding
from tocsin.runtime.doctor.limits import call_within, gather
from tocsin.runtime.rules import content_folder

PLAIN = Path(__file__).parents[2] / "connect" / "kube-apiserver.yaml"


def states(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.check, finding.state) for finding in found]


def test_calls_are_made_at_once_and_in_order() -> None:
    both = threading.Barrier(2, timeout=5)

    def meet(name: str) -> str:
        both.wait()
        return name

    assert gather([lambda: meet("a"), lambda: meet("b")], 5) == ["a", "b"]


def test_what_hangs_is_left_behind() -> None:
    hanging = threading.Event()
    began = time.monotonic()
    hung, done = gather([hanging.wait, lambda: True], 0.1)
    assert time.monotonic() - began < 2
    assert isinstance(hung, TimeoutError)
    assert done is True
    with pytest.raises(TimeoutError, match="no result within"):
        call_within(0.1, hanging.wait)
    hanging.set()


def test_an_error_is_raised_where_one_waits() -> None:
    with pytest.raises(ZeroDivisionError):
        call_within(1, lambda: 1 // 0)
    assert call_within(1, lambda: 7) == 7


def test_a_node_with_a_manifest(tmp_path: Path) -> None:
    paths = NodePaths(str(tmp_path / "tocsin"), str(tmp_path / "log"))
    text = patch_manifest(PLAIN.read_text(), audit_flags(paths), host_mounts(paths), name="m")
    manifest = tmp_path / "kube-apiserver.yaml"
    manifest.write_text(text)
    (tmp_path / "log").mkdir()
    (tmp_path / "tocsin").mkdir()
    found = examine(Plan(manifest=manifest))
    assert states(found)[:3] == [("flags", "fault"), ("flags", "fault"), ("policy", "fault")]
    assert found[2].what == f"there is no file {paths.policy}"
    assert found[3].check == "disk"

    write_webhook(tmp_path / "tocsin", "https://127.0.0.1:1/")
    shipped = content_folder() / "policies" / "audit-policy.yaml"
    Path(paths.policy).write_bytes(shipped.read_bytes())
    found = examine(Plan(manifest=manifest, only=frozenset({"flags", "policy"})))
    assert states(found) == [("flags", "ok"), ("policy", "ok")]


def test_the_policy_beside_the_kubeconfig(tmp_path: Path) -> None:
    webhook = write_webhook(tmp_path, "https://127.0.0.1:1/")
    assert states(examine(Plan(webhook=webhook, only=frozenset({"policy"})))) == [
        ("policy", "skipped")
    ]
    (tmp_path / "policy.yaml").write_text("kind: Policy\n")
    [found] = examine(Plan(webhook=webhook, only=frozenset({"policy"})))
    assert (found.state, str(tmp_path) in found.what) == ("fault", True)


def test_another_machine_before_the_first_start(tmp_path: Path) -> None:
    config = load_config(None, {"TOCSIN__HEALTH__PORT": "1"}, tmp_path)
    found = examine(Plan(config=config))
    assert {finding.check for finding in found} <= set(CHECKS)
    by_check = {finding.check: finding for finding in found}
    assert by_check["processes"].state == "fault"
    assert by_check["spool"].state == by_check["sources"].state == "skipped"
    assert "has not run" in by_check["spool"].what
    assert by_check["certificates"].state == "fault"
    assert by_check["rules"].state == by_check["disk"].state == "ok"


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (TocsinError("no such thing"), "fault", "no such thing"),
        (TimeoutError("no result within 15 s"), "fault", "no result within 15 s"),
        (PermissionError(13, "Permission denied"), "skipped", "not checked"),
        (KeyError("x"), "fault", "the check itself failed: KeyError"),
    ],
)
def test_a_check_that_fails_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str, said: str
) -> None:
    def fail(_: object) -> list[Finding]:
        raise error

    monkeypatch.setattr(processes, "examine", fail)
    config = load_config(None, {}, tmp_path)
    found = examine(Plan(config=config, only=frozenset({"processes", "disk"})))
    assert states(found) == [("disk", "ok"), ("processes", state)]
    assert said in found[1].what


def test_it_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()
    monkeypatch.setattr(module, "LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(processes, "examine", lambda _: hanging.wait())
    config = load_config(None, {}, tmp_path)
    found = examine(Plan(config=config, only=frozenset({"processes", "disk"})))
    hanging.set()
    assert states(found) == [("disk", "ok"), ("processes", "fault")]
    assert "no result within 0.2 s" in found[1].what
