"""Event text for people: control and direction characters made visible, length bounded.

The text is chosen by attackers. Nothing is dropped from it and nothing in it is interpreted.
"""

import unicodedata
from collections.abc import Callable

from tocsin.model.alert import Alert

# Control, format (bidi, zero width), surrogate, private use, unassigned; line and paragraph ends.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_ELLIPSIS = "…"


def visible(text: str) -> str:
    """Return the text on one line, with unprintable characters as backslash escapes."""
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in _INVISIBLE
        else char
        for char in text
    )


def fit(text: str, limit: int, escape: Callable[[str], str] = str) -> str:
    """Return the visible, escaped text in at most `limit` characters, never cut in an escape."""
    pieces: list[str] = []
    length = 0
    for char in text:
        piece = escape(visible(char))
        if length + len(piece) > limit - len(_ELLIPSIS):
            return "".join(pieces) + _ELLIPSIS
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces)


def facts(alert: Alert) -> dict[str, str]:
    """Return what a person asks first about an alert, by label, without what is unknown."""
    actor, target = alert.actor, alert.target
    user = actor.user
    if user and actor.impersonated:
        user = f"{user} as {actor.impersonated}"
    resource = "/".join(part for part in (target.resource, target.subresource) if part)
    known = {
        "User": user,
        "Action": " ".join(part for part in (target.verb, resource) if part),
        "Namespace": target.namespace,
        "Name": target.name,
        "Cluster": alert.cluster,
        "Source": ", ".join(actor.source_ips),
        "Client": actor.user_agent,
        "Time": alert.time,
    }
    return {label: value for label, value in known.items() if value}
