"""An alert's stored form: its JSON text, in which nothing is lost."""

import logging
from collections.abc import Iterable

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.ports import StoredAlert

_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(Alert)


def write_alert(alert: Alert) -> str:
    """Return the text to store."""
    return msgspec.json.encode(alert).decode()


def read_alert(body: str) -> Alert | None:
    """Return the stored alert, or None when damage has made its text unreadable.

    SQLite keeps no checksums, so damage within a text shows only here.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError) as error:
        _log.error("a stored alert is damaged and left out: %s", error)
        return None


STORED = "seq, alert.body, authenticated, hidden_by"
"""The columns that `stored_alerts` wants."""


def stored_alerts(rows: Iterable[tuple[int, str, int, str | None]]) -> list[StoredAlert]:
    """Return alerts from rows of the columns `STORED`, without damaged ones."""
    found = (
        (seq, read_alert(body), authenticated, hidden_by)
        for seq, body, authenticated, hidden_by in rows
    )
    return [
        StoredAlert(seq, alert, bool(authenticated), hidden_by)
        for seq, alert, authenticated, hidden_by in found
        if alert is not None
    ]
