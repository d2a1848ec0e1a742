"""What the dashboard shows that is not in the store: rules, processes, disk, quarantine."""

import http.client
import shutil
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from tocsin.rules.ir import Rule
from tocsin.runtime.config import Config
from tocsin.runtime.rules import InForce, content_folder, rules_in_force
from tocsin.runtime.watch import FileWatch
from tocsin.web.site import Disk, ProcessState, SourceFault, State

ASK_SECONDS = 1.0
_DAY_SECONDS = 86400.0


class Rules:
    """The rules in force, loaded again when their files change; shared between threads."""

    def __init__(self, config: Config) -> None:
        self._config = config
        wazuh = [path for files in config.wazuh for path in files.paths]
        self._watch = FileWatch([content_folder() / "sigma", *config.rule_paths, *wazuh])
        self._turn = threading.Lock()
        self._loaded: InForce | None = None

    def rules(self) -> Sequence[Rule]:
        """Return the rules."""
        return self.in_force().rules

    def faults(self) -> Sequence[SourceFault]:
        """Return what is wrong in the files, errors first."""
        loaded = self.in_force()
        return [
            *(SourceFault(str(one.location), one.message) for one in loaded.faults),
            *(SourceFault(str(one.location), one.message, "warning") for one in loaded.warnings),
        ]

    def in_force(self) -> InForce:
        """Return the rules of all dialects, with what is wrong in their files."""
        with self._turn:
            if self._watch.changed() or self._loaded is None:
                self._loaded = rules_in_force(self._config)
            return self._loaded


class Quarantines:
    """Counts what is in quarantine; a file that did not grow is not read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, tuple[int, int]] = {}

    def count(self) -> int:
        """Return how many records there are."""
        found: dict[Path, tuple[int, int]] = {}
        for path in self._folder.glob("*.jsonl"):
            size, count = self._known.get(path, (0, 0))
            with path.open("rb") as file:
                file.seek(size)
                while chunk := file.read(1 << 20):
                    size += len(chunk)
                    count += chunk.count(b"\n")
            found[path] = (size, count)
        self._known = found
        return sum(count for _, count in found.values())


class _Ready(msgspec.Struct):
    processes: dict[str, ProcessState]


def processes_at(url: str) -> State:
    """Return what the supervisor says at this address; nothing if it does not answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=ASK_SECONDS)
    try:
        ready = msgspec.json.decode(_get(connection, "/readyz"), type=_Ready)
        samples = _samples(_get(connection, "/metrics").decode())
    except (OSError, http.client.HTTPException, msgspec.DecodeError, ValueError):
        return State()
    finally:
        connection.close()
    return State(ready.processes, samples)


def disk_of(folder: Path, spool: Path, now: float) -> Disk:
    """Return the state of the disk that holds the data.

    How long it lasts is told from the pace at which the spool grew, once it is a day old.
    """
    usage = shutil.disk_usage(folder)
    sizes = [path.stat() for path in spool.glob("*") if path.is_file()]
    age = now - min((stat.st_mtime for stat in sizes), default=now)
    size = sum(stat.st_size for stat in sizes)
    days = usage.free / (size / (age / _DAY_SECONDS)) if size and age > _DAY_SECONDS else None
    return Disk(usage.free, usage.total, days)


def _get(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()


def _samples(text: str) -> dict[str, float]:
    """Return the sum of each metric over its labels, without the steps of distributions."""
    sums: Counter[str] = Counter()
    lines = (line for line in text.splitlines() if "_bucket{" not in line)
    for family in text_string_to_metric_families("\n".join(lines)):
        for sample in family.samples:
            sums[sample.name] += sample.value  # type: ignore[assignment]
    return dict(sums)
