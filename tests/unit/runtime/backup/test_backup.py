"""Saving and restoring a data folder, and what is refused."""

import fcntl
import io
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import zstandard

from tests.unit.store.samples import make_alert
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import Lost, PostMeta, SpoolReader, SpoolWriter
from tocsin.model.errors import TocsinError
from tocsin.model.people import User
from tocsin.runtime.backup import Manifest, Restored, Saved, manifest, restore, save, stage
from tocsin.runtime.config import Config, load_config
from tocsin.store import own_store, read_store

META = PostMeta("prod", None, None, "webhook", 1_000_000)


def ignore(_: int) -> None: ...


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Return the configuration of a folder with two alerts of three posts, and a user."""
    found = load_config(None, {}, tmp_path_factory.mktemp("original") / "data")
    with closing(writer(found)) as spool:
        for number in range(3):
            spool.append(META, b"post %d" % number).result()
    with own_store(found.store_path, {}, 1.0) as store:
        store.record([make_alert("a1"), make_alert("a2")], {"detector": 2}, 1.0)
        store.people.add_user(User(name="root", role="admin", password="hash", created=1.0))
        store.people.open_session("digest", "root", 1.0, 1e10, 1e10)
    (found.folder / "clusters.yaml").write_text("prod: {}\n")
    (found.folder / "pki").mkdir()
    (found.folder / "pki" / "ca.key").write_text("secret")
    (found.folder / "alerts.jsonl.1").write_text("old")
    return found


@pytest.fixture
def config(original: Config, tmp_path: Path) -> Config:
    """Return the configuration of a copy of that folder."""
    shutil.copytree(original.folder, tmp_path / "data")
    return load_config(None, {}, tmp_path / "data")


def writer(config: Config) -> SpoolWriter:
    return SpoolWriter(config.spool_folder, Sealer(load_or_create_key(config.key_path)))


def saved(config: Config, target: Path, *, events: bool = False) -> Saved:
    return save(config, None, target, events=events, started=ignore, advance=ignore)


def restored(source: Path, folder: Path, *, force: bool = False) -> Restored:
    return restore(source, folder, force=force, started=ignore, advance=ignore)


@pytest.fixture(scope="module")
def archive(original: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("archive") / "a.tar.zst"
    saved(original, target, events=True)
    return target


def posts(config: Config) -> list[int | Lost]:
    """Return what a detector goes on with: numbers of posts, and losses."""
    with read_store(config.store_path) as store:
        position = store.cursor("detector")
    sealer = Sealer(load_or_create_key(config.key_path))
    reader = SpoolReader(config.spool_folder, sealer, "detector")
    return [
        item if isinstance(item, Lost) else item.seq for item in reader.read(position, limit=100)
    ]


def test_all_comes_back(config: Config, archive: Path, tmp_path: Path) -> None:
    other = load_config(None, {}, tmp_path / "other")
    found = restored(archive, other.folder)
    assert (found.config, found.aside, found.manifest.position) == (None, None, 2)
    with read_store(other.store_path) as store:
        assert [row.alert.id for row in store.follow(0, 10)] == ["a1", "a2"]
        assert [user.name for user in store.people.users()] == ["root"]
        assert store.people.session("digest", 2.0) is None
    for name in ("clusters.yaml", "pki/ca.key", "keys/spool.key"):
        assert (other.folder / name).read_bytes() == (config.folder / name).read_bytes()
        assert (other.folder / name).stat().st_mode & 0o777 == 0o600
    assert not (other.folder / "alerts.jsonl.1").exists()
    assert posts(other) == [3]


@pytest.mark.parametrize("events", [True, False])
def test_new_posts_get_new_numbers_and_none_is_skipped(
    config: Config, tmp_path: Path, *, events: bool
) -> None:
    assert saved(config, tmp_path / "a.tar.zst", events=events).behind == 1
    other = load_config(None, {}, tmp_path / "other")
    restored(tmp_path / "a.tar.zst", other.folder)
    with closing(writer(other)) as spool:
        number = spool.append(META, b"after").result()
    assert posts(other) == ([3, number] if events else [number])
    assert number > 2


def test_a_backup_while_the_spool_is_written_to(config: Config, tmp_path: Path) -> None:
    with closing(writer(config)) as spool:
        last = spool.append(META, b"while it runs").result()
        saved(config, tmp_path / "a.tar.zst", events=True)
    other = load_config(None, {}, tmp_path / "other")
    restored(tmp_path / "a.tar.zst", other.folder)
    assert posts(other) == [3, last]


def test_progress_and_mode(config: Config, tmp_path: Path) -> None:
    totals: list[int] = []
    steps: list[int] = []
    target = tmp_path / "a.tar.zst"
    save(config, None, target, events=False, started=totals.append, advance=steps.append)
    assert target.stat().st_mode & 0o777 == 0o600
    assert [sum(steps)] == totals
    steps.clear()
    restore(target, tmp_path / "o", force=False, started=totals.append, advance=steps.append)
    assert sum(steps) == totals[1] == 2 * totals[0]
    assert not list(config.folder.glob(".backup*"))
    assert not list((tmp_path / "o").glob(".restore*"))


def test_what_a_killed_backup_left_is_removed(config: Config, tmp_path: Path) -> None:
    left = config.folder / f"{stage.WORK}-{2**22 + 1}"
    left.mkdir()
    saved(config, tmp_path / "a.tar.zst")
    assert not left.exists()


def test_a_file_is_not_overwritten(config: Config, archive: Path) -> None:
    with pytest.raises(TocsinError, match="exists already"):
        saved(config, archive)


def test_without_a_store_there_is_nothing_to_save(tmp_path: Path) -> None:
    with pytest.raises(TocsinError, match="no data folder"):
        saved(load_config(None, {}, tmp_path / "none"), tmp_path / "a")
    (tmp_path / "none").mkdir()
    with pytest.raises(TocsinError, match="no store"):
        saved(load_config(None, {}, tmp_path / "none"), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_damaged_store_is_not_saved(config: Config, tmp_path: Path) -> None:
    with closing(sqlite3.connect(config.store_path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'alert_time'")
        connection.commit()
    with pytest.raises(TocsinError, match="damaged"):
        saved(config, tmp_path / "a")


def test_a_folder_with_data_needs_force_and_loses_nothing(config: Config, archive: Path) -> None:
    with pytest.raises(TocsinError, match=r"holds data already \(.*--force"):
        restored(archive, config.folder)
    with own_store(config.store_path, {}, 1.0) as store:
        store.record([make_alert("later")], {}, 2.0)
    aside = restored(archive, config.folder, force=True).aside
    assert aside
    for folder, count in ((config.folder, 2), (aside, 3)):
        with read_store(folder / "tocsin.db") as store:
            assert store.count() == count


def test_a_folder_in_use_is_left_alone(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TocsinError, match="another Tocsin is running"):
            restored(archive, folder, force=True)
    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_every_damage_is_seen_before_anything_is_touched(archive: Path, tmp_path: Path) -> None:
    data = archive.read_bytes()
    broken = tmp_path / "broken"
    for at in range(20, len(data), len(data) // 20):
        broken.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        # Some bits of compressed data mean nothing.
        if unpacked(broken) != unpacked(archive):
            with pytest.raises(TocsinError):
                restored(broken, tmp_path / "other")
        broken.write_bytes(data[:at])
        with pytest.raises(TocsinError):
            restored(broken, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def unpacked(archive: Path) -> bytes | None:
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(archive.read_bytes())
    except zstandard.ZstdError:
        return None


def forged(archive: Path, target: Path, change: Callable[[Manifest], Manifest]) -> Path:
    """Write the archive with another manifest."""
    with zstandard.open(archive) as file:
        plain = file.read()
    paths: list[str] = []
    with tarfile.open(fileobj=io.BytesIO(plain)) as old, io.BytesIO() as packed:
        with tarfile.open(fileobj=packed, mode="w") as new:
            for info in old:
                member = old.extractfile(info)
                assert member
                content = member.read()
                if info.name == manifest.NAME:
                    known = msgspec.json.decode(content, type=Manifest)
                    content = msgspec.json.encode(change(known))
                    paths = [entry.path for entry in change(known).files]
                else:
                    info.name = paths.pop(0)
                info.size = len(content)
                new.addfile(info, io.BytesIO(content))
        target.write_bytes(zstandard.compress(packed.getvalue()))
    return target


def renamed(path: str) -> Callable[[Manifest], Manifest]:
    def change(known: Manifest) -> Manifest:
        first = msgspec.structs.replace(known.files[0], path=path)
        return msgspec.structs.replace(known, files=(first, *known.files[1:]))

    return change


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "data/../../x", "data/./x", "data", "x", "data//x", ""]
)
def test_no_name_leads_out_of_the_folder(archive: Path, tmp_path: Path, path: str) -> None:
    with pytest.raises(TocsinError, match="no proper backup"):
        restored(forged(archive, tmp_path / "f", renamed(path)), tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("field", ["format", "schema"])
def test_a_newer_backup_is_refused(archive: Path, tmp_path: Path, field: str) -> None:
    newer = forged(archive, tmp_path / "f", lambda m: msgspec.structs.replace(m, **{field: 999}))
    with pytest.raises(TocsinError, match="newer Tocsin"):
        restored(newer, tmp_path / "other")


def test_other_files_are_no_backups(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    with pytest.raises(TocsinError, match="cannot be restored"):
        restored(tmp_path / "x", tmp_path / "other")
    (tmp_path / "y").write_bytes(zstandard.compress(b""))
    with pytest.raises(TocsinError, match=r"no backup|cannot be restored"):
        restored(tmp_path / "y", tmp_path / "other")
    with pytest.raises(TocsinError, match="cannot be restored"):
        restored(tmp_path / "none", tmp_path / "other")
