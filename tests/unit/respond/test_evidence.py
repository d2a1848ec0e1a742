"""Evidence: what is kept before something is destroyed, and that no secret is in it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from tests.unit.respond.actions.objects import Objects, manifest, plan
from tocsin.model.response import ObjectRef
from tocsin.normalize.shown import shown_event
from tocsin.respond import evidence
from tocsin.respond.actions.base import Prepared
from tocsin.respond.actions.registry import ACTIONS
from tocsin.respond.means import EvidenceError

POD = ObjectRef(resource="pods", namespace="shop", name="web-1", uid="u-pod")


def ready(cluster: Objects) -> Prepared:
    found = ACTIONS["delete_pod"].prepare(plan("delete_pod", POD), cluster)
    assert isinstance(found, Prepared)
    return found


def live() -> Objects:
    container: dict[str, Any] = {
        "name": "main",
        "env": [{"name": "DB_PASSWORD", "value": "s3cret"}],
    }
    status = {"containerStatuses": [{"name": "main", "restartCount": 1}]}
    spec = {"containers": [container]}
    return Objects((POD.words, manifest("web-1", "u-pod", spec=spec, status=status)))


def test_what_is_kept_has_no_secrets(tmp_path: Path) -> None:
    cluster, folder = live(), tmp_path / "responses" / "evidence"
    kept = evidence.keep("c" * 32, ready(cluster), cluster, folder, shown_event, 0.0)
    file = folder / f"{'c' * 32}.json.zst"
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    content = zstandard.decompress(file.read_bytes())
    document = msgspec.json.decode(content)
    assert b"s3cret" not in content
    assert b"hunter2" not in content
    assert document["manifest"]["metadata"]["uid"] == "u-pod"
    assert document["logs"]["main"].keys() == {"current"}
    assert document["missing"] == ["previous log of container main: there was no run before"]
    assert kept["missing"] == document["missing"]
    assert kept["bytes"] == len(content)


def test_without_the_object_there_is_no_evidence(tmp_path: Path) -> None:
    prepared = ready(live())
    for cluster in (Objects(), Objects((POD.words, manifest("web-1", "u-other")))):
        with pytest.raises(EvidenceError):
            evidence.keep("c" * 32, prepared, cluster, tmp_path, shown_event, 0.0)


def test_a_file_that_cannot_be_written_is_no_evidence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cluster = live()
    with pytest.raises(EvidenceError):
        evidence.keep("c" * 32, ready(cluster), cluster, tmp_path / "file", shown_event, 0.0)
