from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.connect.distributions.bundles import connection
from tocsin.connect.apply import Application, apply, plan_application, plan_edit
from tocsin.connect.connection import Sources
from tocsin.connect.prepare import prepare
from tocsin.model.errors import TocsinError

NOW = datetime(2026, 11, 23, 16, 30, 5, tzinfo=UTC)


def planned(folder: Path) -> Application:
    root = folder / "node"
    (root / "etc/rancher/k3s").mkdir(parents=True, exist_ok=True)
    made = connection("k3s", "cp-1")
    edit = plan_edit(made, root)
    prepared = prepare(made, Sources(data=folder / "data", out=folder / "out"))
    return plan_application(prepared, edit, root, NOW)


def test_planning_writes_nothing_on_the_node(tmp_path: Path) -> None:
    application = planned(tmp_path)
    assert len(application.changes) == 6
    assert not [path for path in (tmp_path / "node").rglob("*") if path.is_file()]


def test_the_distribution_s_own_file_comes_last(tmp_path: Path) -> None:
    application = planned(tmp_path)
    assert application.changes[-1].path == application.target
    assert application.edits_target


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    shown = "".join(change.difference for change in planned(tmp_path).changes)
    assert "client.key: a secret, not shown" in shown
    assert "PRIVATE KEY" not in shown


def test_backups_have_the_time_in_their_names(tmp_path: Path) -> None:
    policy = tmp_path / "node/etc/rancher/k3s/tocsin/policy.yaml"
    policy.parent.mkdir(parents=True)
    policy.write_text("mine")
    apply(planned(tmp_path))
    backup = tmp_path / "node/etc/rancher/k3s/tocsin-backup/policy.yaml.20261123T163005Z"
    assert backup.read_text() == "mine"
    assert policy.read_text() != "mine"


def test_a_file_that_changed_meanwhile_stops_it_before_anything_is_written(
    tmp_path: Path,
) -> None:
    application = planned(tmp_path)
    application.target.parent.mkdir()
    application.target.write_text("somebody else")
    with pytest.raises(TocsinError, match="has just been changed by somebody else"):
        apply(application)
    files = [path for path in (tmp_path / "node").rglob("*") if path.is_file()]
    assert files == [application.target]
