"""An alert's stored form: its JSON text, in which nothing is lost."""

import logging

import msgspec

from tocsin.model.alert import Alert

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
