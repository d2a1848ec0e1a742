import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.ingest import seal
from tocsin.ingest.seal import KEY_BYTES, Sealer, SealError, UnknownKeyError, load_or_create_key
from tocsin.model.errors import TocsinError

OLD = bytes(KEY_BYTES)
NEW = bytes(range(KEY_BYTES))


@given(st.binary(), st.binary())
def test_round_trip(plain: bytes, context: bytes) -> None:
    sealer = Sealer(NEW)
    sealed = sealer.seal(plain, context)
    assert sealer.open(sealed, context) == plain
    assert sealed != sealer.seal(plain, context)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_any_flipped_bit_is_seen(plain: bytes, data: st.DataObject) -> None:
    sealer = Sealer(NEW)
    sealed = bytearray(sealer.seal(plain, b"context"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealError):
        sealer.open(bytes(sealed), b"context")


@given(st.binary(max_size=80))
def test_rubbish_is_refused(rubbish: bytes) -> None:
    with pytest.raises(SealError):
        Sealer(NEW).open(rubbish, b"")


def test_another_context_is_refused() -> None:
    sealer = Sealer(NEW)
    with pytest.raises(SealError, match="changed"):
        sealer.open(sealer.seal(b"body", b"row 1"), b"row 2")


def test_a_rotated_key_still_opens_what_the_old_one_sealed() -> None:
    sealed = Sealer(OLD).seal(b"body", b"")
    rotated = Sealer(NEW, OLD)
    assert rotated.open(sealed, b"") == b"body"
    with pytest.raises(UnknownKeyError):
        Sealer(OLD).open(rotated.seal(b"body", b""), b"")


def test_key_is_created_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "spool.key"
    key = load_or_create_key(path)
    assert len(key) == KEY_BYTES
    assert load_or_create_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_create_the_key_together_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool.key"
    together = threading.Barrier(8)
    create = seal._create_key

    def create_together(at: Path) -> None:
        together.wait()
        create(at)

    monkeypatch.setattr(seal, "_create_key", create_together)
    keys: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: keys.append(load_or_create_key(path))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


@pytest.mark.parametrize("content", ["", "00" * 31, "zz" * 32, "\udc80"])
def test_malformed_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "spool.key"
    path.write_text(content, errors="surrogateescape")
    path.chmod(0o600)
    with pytest.raises(TocsinError, match="not a key"):
        load_or_create_key(path)


def test_key_open_to_everybody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spool.key"
    load_or_create_key(path)
    path.chmod(0o604)
    with pytest.raises(TocsinError, match="chmod"):
        load_or_create_key(path)
