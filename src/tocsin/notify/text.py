"""Event text for people: control and direction characters made visible, length bounded.

The text is chosen by attackers. Nothing is dropped from it and nothing in it is interpreted.
"""

from collections.abc import Callable

from tocsin.model.alert import Alert
from tocsin.model.text import visible

_ELLIPSIS = "…"


def fit(text: str, limit: int, escape: Callable[[str], str] = str) -> str:
    """Return the visible, escaped text in at most `limit` characters, never cut in an escape."""
    pieces = [escape(visible(char)) for char in text[: limit + 1]]
    if sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    kept = ""
    for piece in pieces:
        if len(kept) + len(piece) > limit - len(_ELLIPSIS):
            break
        kept += piece
    return kept + _ELLIPSIS


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
