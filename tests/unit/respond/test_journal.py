"""A14: no line of the journal can be changed, taken out or moved without being noticed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin import failpoint
from tocsin.failpoint import VARIABLE
from tocsin.model.response import Entry
from tocsin.respond.journal import Fault, Head, Journal, JournalError, journal_key, read, verify

KEY = journal_key(b"k" * 32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses" / "journal.jsonl"


def write(path: Path, count: int = 5) -> list[Entry]:
    with Journal(path, KEY) as journal:
        return [
            journal.append(f"{number:032}", "planned", f"step {number}", now=float(number))
            for number in range(1, count + 1)
        ]


def kinds(faults: list[Fault]) -> list[tuple[str, int]]:
    return [(fault.kind, fault.line) for fault in faults]


def rewrite(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(b"".join(lines))


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_what_was_written_is_read(path: Path) -> None:
    data = {"plan": {"name": "\u202ex\n\0", "big": 2**70, "float": 0.1}, "none": None}
    with Journal(path, KEY) as journal:
        assert journal.head == Head()
        first = journal.append("a", "planned", "first", now=1.5, who="alice", data=data)
        second = journal.append("a", None, "second", now=2.0)
        assert journal.head == Head(2, second.code)
        assert list(journal.entries()) == [first, second]
    assert first.data == data
    assert (first.seq, first.previous, second.previous) == (1, "", first.code)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.read_bytes().count(b"\n") == 2
    assert verify(path, KEY) == []


def test_a_restart_goes_on(path: Path) -> None:
    entries = write(path, 3)
    with Journal(path, KEY, Head(3, entries[-1].code)) as journal:
        assert journal.append("b", "planned", "", now=9.0).seq == 4
    assert verify(path, KEY) == []


def test_no_journal_is_an_empty_one(path: Path) -> None:
    assert verify(path, KEY) == []
    assert kinds(verify(path, KEY, (2, "x"))) == [("truncated", 1)]


def test_two_writers_are_refused(path: Path) -> None:
    with Journal(path, KEY), pytest.raises(JournalError, match="another responder"):
        Journal(path, KEY)
    Journal(path, KEY).close()


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([0, 1, 2, 4], [("removed", 4)]),
        ([1, 2, 3, 4], [("removed", 1)]),
        ([0, 4], [("removed", 2)]),
        ([0, 1, 3, 2, 4], [("reordered", 4)]),
        ([0, 1, 3, 4, 2], [("reordered", 5)]),
        ([0, 1, 1, 2, 3, 4], [("reordered", 3)]),
        ([0, 1, 2, 3], [("truncated", 5)]),
        ([], [("truncated", 1)]),
    ],
)
def test_a14_moved_and_missing_lines(
    path: Path, order: list[int], expected: list[tuple[str, int]]
) -> None:
    entries = write(path)
    known = lines_of(path)
    rewrite(path, [known[number] for number in order])
    head = Head(5, entries[-1].code)
    faults = verify(path, KEY, head)
    assert kinds(faults) == expected
    assert all(str(fault).startswith("line ") for fault in faults)
    with pytest.raises(JournalError, match="respond verify"):
        Journal(path, KEY, head)
    rewrite(path, known)
    Journal(path, KEY, head).close()


def test_a14_every_flipped_bit_is_noticed(path: Path) -> None:
    write(path, 2)
    whole = path.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert verify(path, KEY, (2, lines_code(whole))), place


def lines_code(whole: bytes) -> str:
    return whole.splitlines()[-1][-34:-2].decode()


def test_a14_an_edited_line_is_one_fault(path: Path) -> None:
    write(path)
    known = lines_of(path)
    known[2] = known[2].replace(b"step 3", b"step 4")
    rewrite(path, known)
    assert kinds(verify(path, KEY)) == [("edited", 3)]
    with pytest.raises(JournalError, match="line 3"):
        Journal(path, KEY)
    with pytest.raises(JournalError, match="line 3"):
        list(read(path, KEY))


def test_a14_a_line_put_in_is_one_fault(path: Path) -> None:
    write(path)
    known = lines_of(path)
    rewrite(path, [*known[:2], b"{}\n", *known[2:]])
    assert kinds(verify(path, KEY)) == [("edited", 3)]


def test_a14_another_history_with_the_same_key(path: Path, tmp_path: Path) -> None:
    entries = write(path, 3)
    other = tmp_path / "other.jsonl"
    with Journal(other, KEY) as journal:
        for number in range(4):
            journal.append("x", "planned", f"other {number}", now=1.0)
    rewrite(path, [*lines_of(path)[:2], lines_of(other)[2], lines_of(other)[3]])
    assert kinds(verify(path, KEY)) == [("replaced", 3)]
    head = Head(3, entries[2].code)
    assert kinds(verify(other, KEY, head)) == [("replaced", 3)]
    with pytest.raises(JournalError):
        Journal(other, KEY, head)


def test_a_wrong_key_is_told_without_end(path: Path) -> None:
    write(path, 150)
    faults = verify(path, journal_key(b"x" * 32))
    assert len(faults) == 100
    assert {fault.kind for fault in faults} == {"edited"}


def test_killed_at_every_byte_of_the_last_line(path: Path) -> None:
    """A4: what a crash cut short was never acted on; the rest stands, and it goes on."""
    entries = write(path, 3)
    known = lines_of(path)
    last = known[2]
    for length in range(1, len(last)):
        rewrite(path, [*known[:2], last[:length]])
        assert kinds(verify(path, KEY)) == [("torn", 3)]
        assert [entry.seq for entry in read(path, KEY)] == [1, 2]
        assert kinds(verify(path, KEY, (3, entries[2].code))) == [("truncated", 3)]
        with pytest.raises(JournalError, match="missing"):
            Journal(path, KEY, Head(3, entries[2].code))
        with Journal(path, KEY) as journal:
            aside = path.with_name("journal.jsonl.torn-3")
            assert aside.read_bytes() == last[:length]
            again = journal.append("c", "planned", "again", now=4.0)
            assert (again.seq, again.data) == (3, {"torn": aside.name})
            assert journal.append("c", None, "more", now=5.0).data == {}
        assert verify(path, KEY) == []


def test_zeros_that_a_power_cut_left_are_a_torn_line(path: Path) -> None:
    write(path, 2)
    known = lines_of(path)
    rewrite(path, [known[0], known[1][:20] + b"\0" * 40 + b"\n"])
    assert kinds(verify(path, KEY)) == [("torn", 2)]
    Journal(path, KEY).close()
    assert verify(path, KEY) == []


CHILD = """
import sys
from pathlib import Path
from tocsin.respond.journal import Journal, journal_key
journal = Journal(Path(sys.argv[1]), journal_key(b"k" * 32))
for number in range(3):
    journal.append("a", "planned", str(number), now=1.0)
    print(number, flush=True)
"""


@pytest.mark.parametrize(
    ("place", "survive"),
    [("journal.after_write:kill:2", {1, 2}), ("journal.after_sync:kill:2", {2})],
)
def test_killed_while_writing(path: Path, place: str, survive: set[int]) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)],
        env=os.environ | {VARIABLE: place},
        capture_output=True,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert child.stdout == b"0\n"
    with Journal(path, KEY) as journal:
        assert journal.head.seq in survive


def test_killed_while_putting_a_torn_line_aside(path: Path) -> None:
    write(path, 2)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)],
        env=os.environ | {VARIABLE: "journal.after_aside:kill"},
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert path.read_bytes() == whole[:-1]
    with Journal(path, KEY) as journal:
        assert journal.head.seq == 1


@pytest.mark.parametrize("place", ["journal.after_write", "journal.after_sync"])
def test_what_could_not_be_written_does_not_count(
    path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with Journal(path, KEY) as journal:
        journal.append("a", "planned", "1", now=1.0)
        monkeypatch.setenv(VARIABLE, f"{place}:raise:1")
        failpoints_begin_anew(place)
        with pytest.raises(JournalError, match="cannot be used"):
            journal.append("a", "started", "2", now=2.0)
        monkeypatch.delenv(VARIABLE)
        assert journal.append("a", "failed", "2", now=3.0).seq == 2
        assert [entry.state for entry in journal.entries()] == ["planned", "failed"]
    assert verify(path, KEY) == []


def failpoints_begin_anew(name: str) -> None:
    failpoint._registered[name]._visits = 0


def test_a14_nobody_else_may_write(path: Path) -> None:
    with Journal(path, KEY) as journal:
        journal.append("a", "planned", "1", now=1.0)
        with path.open("ab") as file:
            file.write(b"x")
        with pytest.raises(JournalError, match="another program"):
            journal.append("a", "started", "2", now=2.0)


def test_a14_a_replaced_file_is_noticed(path: Path) -> None:
    with Journal(path, KEY) as journal:
        journal.append("a", "planned", "1", now=1.0)
        path.rename(path.with_suffix(".old"))
        with pytest.raises(JournalError, match="cannot be used"):
            journal.append("a", "started", "2", now=2.0)
        path.write_bytes(b"")
        with pytest.raises(JournalError, match="replaced"):
            journal.append("a", "started", "2", now=2.0)


def test_a_journal_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(tmp_path / "folder", KEY)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(tmp_path / "link", KEY)
    with pytest.raises(JournalError, match="cannot be used"):
        list(read(tmp_path / "none", KEY))


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(6)), st.integers(0, 6))
def test_a14_any_other_order_is_a_fault(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], count: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    entries = write(path, 6)
    known = lines_of(path)
    taken = order[:count]
    rewrite(path, [known[number] for number in taken])
    faults = verify(path, KEY, (6, entries[-1].code))
    assert bool(faults) == (taken != list(range(6)))
