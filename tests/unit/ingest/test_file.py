"""Reading whole files: every byte once, in whole lines, with the right line numbers."""

import gzip
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from typing_extensions import override

from tocsin.ingest.file import Chunk, read_files
from tocsin.model.errors import TocsinError

LINES = b"".join(b'{"auditID":"%d","filler":"%s"}\n' % (n, b"x" * (n % 700)) for n in range(9_000))


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def zstd(data: bytes) -> bytes:
    """Compress into two frames, as logs that were appended to."""
    half = len(data) // 2
    compressor = zstandard.ZstdCompressor()
    return compressor.compress(data[:half]) + compressor.compress(data[half:])


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_yields_every_line_with_its_number(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = write(tmp_path / "audit.log", pack(LINES))

    chunks = list(read_files([path]))

    assert b"".join(chunk.data for chunk in chunks) == LINES
    assert len(chunks) > 2
    assert max(len(chunk.data) for chunk in chunks) <= 2 * 1024 * 1024
    line = 1
    for chunk in chunks:
        assert chunk.path == path
        assert chunk.line == line
        assert chunk.data.endswith(b"\n")
        line += chunk.data.count(b"\n")


def test_a_line_longer_than_a_chunk_comes_whole(tmp_path: Path) -> None:
    giant = b'{"items":[%s]}\n' % (b"x" * 5_000_000)
    path = write(tmp_path / "list.json", b"first\n" + giant + b"last")

    chunks = list(read_files([path]))

    assert b"".join(chunk.data for chunk in chunks) == b"first\n" + giant + b"last"
    assert [chunk.line for chunk in chunks if giant in chunk.data] in ([1], [2])
    assert chunks[-1].data.endswith(b"last")


def test_a_line_without_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.ingest.file._MAX_LINE_BYTES", 2 * 1024 * 1024)
    path = write(tmp_path / "zeros", b"one\n" + bytes(4_000_000))

    with pytest.raises(TocsinError, match=r"zeros:2: this line is longer than 2 MiB"):
        list(read_files([path]))


def test_files_follow_each_other_and_may_be_empty(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "a", b"1\n2\n"),
        write(tmp_path / "b", b""),
        write(tmp_path / "c", b"3"),
    ]

    assert list(read_files(paths)) == [Chunk(paths[0], 1, b"1\n2\n"), Chunk(paths[2], 1, b"3")]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_standard_input(pack: Callable[[bytes], bytes]) -> None:
    program = (
        "import sys; from tocsin.ingest.file import read_files;"
        "[sys.stdout.buffer.write(chunk.data) for chunk in read_files(['-'])]"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=pack(LINES), capture_output=True, check=True
    )
    assert done.stdout == LINES


@pytest.mark.parametrize(
    "damaged",
    [
        gzip.compress(LINES)[:-9],
        gzip.compress(LINES)[:100] + bytes(100),
        b"\x1f\x8b not gzip",
        zstandard.ZstdCompressor().compress(LINES)[:40] + bytes(40),
        b"\x28\xb5\x2f\xfd not zstd at all",
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, damaged: bytes) -> None:
    path = write(tmp_path / "damaged", damaged)

    with pytest.raises(TocsinError, match="damaged: cannot be read: "):
        list(read_files([path]))


def test_a_missing_file_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(TocsinError, match="none: cannot be read: No such file or directory"):
        list(read_files([str(tmp_path / "none")]))


def test_reads_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the file is, no read asks for more than a chunk."""
    sizes: list[int] = []
    read1 = io.BufferedReader.read1

    class Recording(io.BufferedReader):
        @override
        def read1(self, size: int = -1, /) -> bytes:
            sizes.append(size)
            return read1(self, size)

    path = tmp_path / "audit.log"
    path.write_bytes(LINES)
    monkeypatch.setattr(Path, "open", lambda self, _mode: Recording(io.FileIO(self)))
    assert b"".join(chunk.data for chunk in read_files([str(path)])) == LINES
    assert set(sizes) == {1024 * 1024}
