import json
from pathlib import Path

import pytest

from tests.unit.cli.commandline import Commands
from tests.unit.store.samples import make_alert
from tocsin.store import own_store, read_store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with own_store(tmp_path / "data" / "tocsin.db", {}, 1.0) as store:
        store.record([make_alert()], {"detector": 7}, 1.0)
    return tmp_path / "data"


def test_there_and_back(tocsin: Commands, data: Path, tmp_path: Path) -> None:
    config = tmp_path / "tocsin.yaml"
    config.write_text(f"data: {data}\nspool_key: /elsewhere/spool.key\n")
    ran = tocsin("backup", "a.tar.zst", "--config", config)
    assert (ran.code, ran.out) == (0, "")
    assert "a.tar.zst: " in ran.err
    assert "without stored events" in ran.err
    assert "! the key of stored events is not in it, as it is kept apart" in ran.err
    ran = tocsin("restore", "a.tar.zst", "--data", "other")
    assert ran.code == 0
    assert "tocsin serve --config other/tocsin.yaml --data other" in ran.err
    assert "what was taken away" in ran.err
    with read_store(tmp_path / "other" / "tocsin.db") as store:
        assert store.count() == 1


def test_as_data(tocsin: Commands, data: Path) -> None:
    saved = json.loads(tocsin("backup", "a", "--data", data, "--json").out)
    assert (saved["position"], saved["events"], saved["behind"]) == (7, False, 0)
    assert saved["bytes"] == Path("a").stat().st_size
    found = json.loads(tocsin("restore", "a", "--data", data, "--force", "--json").out)
    assert (found["config"], found["position"]) == (None, 7)
    assert Path(found["aside"], "tocsin.db").exists()


def test_what_is_wrong_is_one_sentence(tocsin: Commands, data: Path, tmp_path: Path) -> None:
    tocsin("backup", "a", "--data", data)
    for arguments, said in (
        (("backup", "a", "--data", data), "a exists already"),
        (("backup", "b", "--data", tmp_path / "none"), "there is no data folder"),
        (("restore", "a", "--data", data), "holds data already"),
        (("restore", "none", "--data", "other"), "cannot be restored"),
    ):
        ran = tocsin(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err
        assert ran.err.count("\n") == 1
