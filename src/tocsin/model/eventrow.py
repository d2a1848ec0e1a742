"""One event in a line, as lists show it: taken from what people may see of it."""

import msgspec

from tocsin.model.events import EventKey, FoundEvent


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a list tells of an event; what it leaves out is None.

    `received` is in seconds since the epoch, `time` what the event itself says. `resource` comes
    with its subresource. `authenticated` is False when its sender proved nothing.
    """

    key: EventKey
    received: float
    time: str | None
    cluster: str
    verb: str | None
    resource: str | None
    namespace: str | None
    name: str | None
    user: str | None
    impersonated: str | None
    code: str | None
    source_ips: tuple[str, ...]
    user_agent: str | None
    request_uri: str | None
    audit_id: str | None
    stage: str | None
    level: str | None
    digest: str
    authenticated: bool

    @property
    def id(self) -> str:
        """The key as a word, as it stands in links."""
        return key_text(self.key)


def event_row(found: FoundEvent) -> EventRow:
    """Return an event in a line."""
    shown = found.shown
    resource = [_text(shown, "objectRef", part) for part in ("resource", "subresource")]
    addresses = shown.get("sourceIPs")
    return EventRow(
        key=found.key,
        received=found.received,
        time=_text(shown, "stageTimestamp") or _text(shown, "requestReceivedTimestamp"),
        cluster=found.cluster,
        verb=_text(shown, "verb"),
        resource="/".join(filter(None, resource)) or None,
        namespace=_text(shown, "objectRef", "namespace"),
        name=_text(shown, "objectRef", "name"),
        user=_text(shown, "user", "username"),
        impersonated=_text(shown, "impersonatedUser", "username"),
        code=_text(shown, "responseStatus", "code"),
        source_ips=tuple(map(str, addresses)) if isinstance(addresses, list) else (),
        user_agent=_text(shown, "userAgent"),
        request_uri=_text(shown, "requestURI"),
        audit_id=_text(shown, "auditID"),
        stage=_text(shown, "stage"),
        level=_text(shown, "level"),
        digest=found.digest,
        authenticated=found.source != "unauthenticated",
    )


def key_text(key: EventKey) -> str:
    """Return a key as a word: `12.3`."""
    return f"{key.post}.{key.place}"


def parse_key(text: str) -> EventKey | None:
    """Return the key that a word means, or None."""
    post, _, place = text.partition(".")
    if not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in (post, place)):  # noqa: PLR2004 - fits 64 bits
        return None
    return EventKey(int(post), int(place))


def _text(document: dict[str, object], *path: str) -> str | None:
    value: object = document
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
