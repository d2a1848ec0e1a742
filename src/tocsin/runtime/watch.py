"""Notice changed files by looking at them: works on every file system and mount."""

import os
from collections.abc import Iterable
from pathlib import Path

Entry = tuple[str, int, int, int]
Stamp = tuple[Entry, ...]


class FileWatch:
    """Tells whether files, or the files below folders, changed since the last look."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self._seen = self._stamp()

    def changed(self) -> bool:
        """Return whether something changed, appeared or went since the last call."""
        stamp = self._stamp()
        changed, self._seen = stamp != self._seen, stamp
        return changed

    def _stamp(self) -> Stamp:
        return tuple(entry for path in self._paths for entry in _entries(path))


def _entries(path: Path) -> Iterable[Entry]:
    if path.is_dir():
        for folder, _, names in os.walk(path):
            for name in sorted(names):
                yield from _entry(Path(folder) / name)
    else:
        yield from _entry(path)


def _entry(path: Path) -> Iterable[Entry]:
    try:
        stat = path.stat()
    except OSError:
        return
    yield str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size
