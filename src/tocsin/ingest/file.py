"""Read whole files of audit events, plain or compressed, in chunks that end at line ends.

For `tocsin detect`, whose speed is that of its reading: no line is looked at on its own here.
"""

import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import zstandard

from tocsin.ingest.body import MIB
from tocsin.model.errors import TocsinError

STDIN = "-"

_CHUNK_BYTES = MIB
# An EventList of the largest batch an API server may send is one line of 40 MB.
_MAX_LINE_BYTES = 256 * MIB

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Chunk(NamedTuple):
    """Whole lines of one file; `line` is the number of the first, counted from 1."""

    path: str
    line: int
    data: bytes


def read_files(paths: Iterable[str]) -> Iterator[Chunk]:
    """Yield the lines of `paths` in order, about 1 MiB at a time; `-` is standard input.

    Compression (gzip, zstd) is told by the content. A longer line comes as one chunk.
    """
    for path in paths:
        try:
            yield from _read_file(path)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            msg = f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
            raise TocsinError(msg) from error


def _read_file(path: str) -> Iterator[Chunk]:
    with os.fdopen(0, "rb", closefd=False) if path == STDIN else Path(path).open("rb") as file:
        yield from _split(path, _reader(file))


def _reader(file: io.BufferedReader) -> Callable[[int], bytes]:
    """Return the function that reads the next bytes, expanded."""
    magic = file.peek(4)[:4]
    if magic.startswith(_GZIP_MAGIC):
        return gzip.GzipFile(fileobj=file).read
    if magic == _ZSTD_MAGIC:
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read
    # Of a pipe, take what is there instead of waiting for a full chunk.
    return file.read1


def _split(path: str, read: Callable[[int], bytes]) -> Iterator[Chunk]:
    line = 1
    partial: list[bytes] = []
    while data := read(_CHUNK_BYTES):
        end = data.rfind(b"\n") + 1
        if end:
            chunk = b"".join([*partial, data[:end]])
            partial = []
            yield Chunk(path, line, chunk)
            line += chunk.count(b"\n")
        partial.append(data[end:])
        if sum(map(len, partial)) > _MAX_LINE_BYTES:
            msg = f"{path}:{line}: this line is longer than {_MAX_LINE_BYTES // MIB} MiB"
            raise TocsinError(msg)
    rest = b"".join(partial)
    if rest:
        yield Chunk(path, line, rest)
