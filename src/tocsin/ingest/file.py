"""Read whole files of audit events, plain or compressed, in chunks that end at line ends.

For `tocsin detect`, whose speed is that of its reading: no line is looked at on its own here.
"""

import gzip
import io
import os
import zlib
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import zstandard

from tocsin.model.errors import TocsinError

STDIN = "-"

_MIB = 1024 * 1024
_CHUNK_BYTES = _MIB
# An EventList of the largest batch an API server may send is one line of 40 MB.
_MAX_LINE_BYTES = 256 * _MIB

# Expands to half a gigabyte at the very worst.
_ZSTD_INPUT_BYTES = 16 * 1024

# The first line of a document that is written over many lines.
_OPENINGS = (b"{", b"[")

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Chunk(NamedTuple):
    """Whole lines of one file; `line` is the number of the first, counted from 1."""

    path: str
    line: int
    data: bytes


def read_files(paths: Iterable[str]) -> Generator[Chunk, None, None]:
    """Yield the lines of `paths` in order, about 1 MiB at a time; `-` is standard input.

    Compression (gzip, zstd) is told by the content. A longer line comes as one chunk.
    """
    for path in paths:
        try:
            yield from _read_file(path)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            msg = f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
            raise TocsinError(msg) from error


def documents(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Yield the chunks of a file; one document written over many lines as a whole."""
    for chunk in chunks:
        if is_laid_out(chunk):
            rest = b"".join(more.data for more in chunks)
            yield chunk._replace(data=chunk.data + rest)
        else:
            yield chunk


def is_laid_out(chunk: Chunk) -> bool:
    """Return whether a file begins, with this chunk, as one document written over many lines."""
    return chunk.line == 1 and chunk.data.split(b"\n", 1)[0].strip() in _OPENINGS


def check_file(path: str) -> None:
    """Find a mistyped name before any work; pipes are welcome, as of `<(zcat ...)`.

    Raises:
        TocsinError: there is no such file, or it is a folder.
    """
    if path == STDIN:
        return
    if Path(path).is_dir():
        message = f"{path}: is a folder; name its files"
        raise TocsinError(message)
    if not Path(path).exists():
        message = f"{path}: no such file"
        raise TocsinError(message)


def _read_file(path: str) -> Iterator[Chunk]:
    with os.fdopen(0, "rb", closefd=False) if path == STDIN else Path(path).open("rb") as file:
        yield from _split(path, _pieces(file))


def _pieces(file: io.BufferedReader) -> Iterator[bytes]:
    """Return the expanded content, piece by piece."""
    magic = file.peek(4)[:4]
    if magic.startswith(_GZIP_MAGIC):
        expanded = gzip.GzipFile(fileobj=file)
        return iter(lambda: expanded.read(_CHUNK_BYTES), b"")
    if magic == _ZSTD_MAGIC:
        return _unzstd(file)
    # Of a pipe, take what is there instead of waiting for a full chunk.
    return iter(lambda: file.read1(_CHUNK_BYTES), b"")


def _unzstd(file: io.BufferedReader) -> Iterator[bytes]:
    """Yield what zstd frames hold; the library's stream reader takes a cut file for a whole one."""
    frame = None
    while data := file.read(_ZSTD_INPUT_BYTES):
        while data:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(data)
            data = frame.unused_data
            if frame.eof:
                frame = None
    if frame is not None:
        msg = "the compressed data ends too early"
        raise EOFError(msg)


def _split(path: str, pieces: Iterable[bytes]) -> Iterator[Chunk]:
    line = 1
    partial: list[bytes] = []
    for data in pieces:
        end = data.rfind(b"\n") + 1
        if end:
            chunk = b"".join([*partial, data[:end]])
            partial = []
            yield Chunk(path, line, chunk)
            line += chunk.count(b"\n")
        partial.append(data[end:])
        if sum(map(len, partial)) > _MAX_LINE_BYTES:
            msg = f"{path}:{line}: this line is longer than {_MAX_LINE_BYTES // _MIB} MiB"
            raise TocsinError(msg)
    rest = b"".join(partial)
    if rest:
        yield Chunk(path, line, rest)
