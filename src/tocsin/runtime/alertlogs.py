"""The alert logs that the detector keeps: our own, and one in Wazuh's shape if it is wanted."""

import platform
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tocsin.dialects.wazuh.alertjson import Scribe, alert_id, to_line
from tocsin.model.alert import Alert
from tocsin.model.ports import AlertSource, StoredAlert
from tocsin.normalize.redactjson import redact_document, redact_json
from tocsin.runtime.config import Config
from tocsin.runtime.wazuhnode import WazuhHit
from tocsin.store import AlertLog, LineForm, SqliteStore


def wazuh_scribe() -> Scribe:
    """Return what writes alerts in Wazuh's shape, under the name of this machine."""
    return Scribe(platform.node() or "tocsin", redact_json, redact_document)


def wazuh_lines(hits: Sequence[WazuhHit], scribe: Scribe) -> dict[str, bytes]:
    """Return the lines of hits in Wazuh's shape by alert id; of several stages, the first."""
    lines: dict[str, bytes] = {}
    for hit in hits:
        if hit.alert.id not in lines:
            lines[hit.alert.id] = to_line(scribe.hit(hit.result, hit.alert, hit.log))
    return lines


class WazuhLines:
    """Alerts as lines in Wazuh's shape, where the hits of its rules are at hand."""

    def __init__(self) -> None:
        self._scribe = wazuh_scribe()
        self._hits: dict[str, bytes] = {}

    def note(self, hits: Sequence[WazuhHit]) -> None:
        """Take note of hits whose alerts will be asked for."""
        self._hits = wazuh_lines(hits, self._scribe) | self._hits

    def line(self, alert: Alert) -> bytes:
        """Return the line of an alert."""
        return self._hits.pop(alert.id, None) or to_line(self._scribe.mapped(alert))


class AlertLogs:
    """All alert logs of a store, written one after the other.

    `forms` are lines, by alert id, that the store has to keep with the next alerts, so that a
    log can be written from the store alone.
    """

    def __init__(self, config: Config, store: SqliteStore) -> None:
        """Open the logs.

        Raises:
            OSError: one cannot be written.
        """
        self.forms: dict[str, bytes] = {}
        self._scribe = wazuh_scribe() if config.alerts.wazuh_json else None
        keep = config.alerts.log_bytes, config.alerts.log_files
        with ExitStack() as opened:
            self._logs = [opened.enter_context(AlertLog(config.alert_log_path, *keep))]
            if self._scribe is not None:
                path = Path(config.alerts.wazuh_json)
                form = LineForm(_wazuh_line(self._scribe, store), alert_id)
                self._logs.append(opened.enter_context(AlertLog(path, *keep, form)))
            self._close = opened.pop_all().close

    def note(self, hits: Sequence[WazuhHit]) -> None:
        """Add to `forms` what a log says of hits that the store does not have yet."""
        if self._scribe is not None:
            self.forms.update(wazuh_lines(hits, self._scribe))

    def catch_up(self, source: AlertSource) -> None:
        """Append to each log what the store has and the log has not; forget the `forms`.

        Raises:
            OSError: a log cannot be written.
            StoreUnavailable: the store cannot be read now.
        """
        self.forms = {}
        for log in self._logs:
            log.catch_up(source)

    def close(self) -> None:
        """Close all files."""
        self._close()


def _wazuh_line(scribe: Scribe, store: SqliteStore) -> Callable[[StoredAlert], bytes]:
    def line(stored: StoredAlert) -> bytes:
        return store.forms.of(stored.seq) or to_line(scribe.mapped(stored.alert))

    return line
