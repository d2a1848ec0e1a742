"""What an alert quotes of its event: who asked, for what, and in which event.

Each text goes through `quote`, which cuts it or takes secrets out of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tocsin.detect.times import utc
from tocsin.model.alert import Actor, EventRef, Target
from tocsin.model.event import (
    NO_META,
    NO_OBJECT,
    NO_STATUS,
    NO_USER,
    AuditEvent,
    metadata_of,
)

Quote = Callable[[str], str]
# Returns the text at a field path of the event, if there is one.
Read = Callable[[str], str | None]

# Groups or addresses; further ones are still in the event.
MAX_VALUES = 50

_CREDENTIAL_ID = "user.extra.authentication.kubernetes.io/credential-id"


class _Texts(NamedTuple):
    """The single texts that an alert quotes, in one row, to be quoted in one go."""

    user: str | None
    impersonated: str | None
    credential: str | None
    user_agent: str | None
    verb: str | None
    api_group: str | None
    resource: str | None
    subresource: str | None
    namespace: str | None
    name: str | None
    uid: str | None
    audit_id: str | None
    request_uri: str | None


@dataclass(frozen=True, slots=True)
class Quotes:
    """The texts of an event that alerts of every rule quote."""

    single: _Texts
    groups: tuple[str, ...]
    source_ips: tuple[str, ...]

    def texts(self) -> list[str]:
        """Return every text that was quoted."""
        return [*filter(None, self.single), *self.groups, *self.source_ips]

    def actor(self) -> Actor:
        """Return who asked."""
        text = self.single
        return Actor(
            user=text.user,
            groups=self.groups,
            impersonated=text.impersonated,
            credential=text.credential,
            source_ips=self.source_ips,
            user_agent=text.user_agent,
        )

    def target(self, event: AuditEvent) -> Target:
        """Return what was asked for."""
        text = self.single
        return Target(
            verb=text.verb,
            api_group=text.api_group if event.object_ref is None else text.api_group or "",
            resource=text.resource,
            subresource=text.subresource,
            namespace=text.namespace,
            name=text.name,
            uid=text.uid,
        )

    def event(self, event: AuditEvent) -> EventRef:
        """Return which event it was."""
        return EventRef(
            audit_id=self.single.audit_id or "",
            stage=event.stage,
            level=event.level,
            request_uri=self.single.request_uri,
            code=(event.response_status or NO_STATUS).code,
            received=utc(event.request_received_timestamp),
        )


def quotes(event: AuditEvent, read: Read, quote: Quote) -> Quotes:
    """Return what an alert quotes of its event, each text as `quote` returns it."""
    single = [text and quote(text) for text in _texts(event, read)]
    groups = (event.user or NO_USER).groups
    return Quotes(_Texts._make(single), _several(groups, quote), _several(event.source_ips, quote))


def _texts(event: AuditEvent, read: Read) -> _Texts:
    user, ref = event.user or NO_USER, event.object_ref or NO_OBJECT
    # Of an object that goes nobody needs the uid any more, and the answer may be large.
    gone = event.verb in ("delete", "deletecollection")
    known = event.object_ref is None or (ref.name and (ref.uid or gone))
    answer = NO_META if known else metadata_of(event.response_object)
    return _Texts(
        user=user.username,
        impersonated=(event.impersonated_user or NO_USER).username,
        credential=read(_CREDENTIAL_ID) if user.extra else None,
        user_agent=event.user_agent,
        verb=event.verb,
        api_group=ref.api_group,
        resource=ref.resource,
        subresource=ref.subresource,
        namespace=ref.namespace,
        # A name that the API server generates stands in the answer only.
        name=ref.name or _text(answer.name),
        uid=ref.uid or (None if gone else _text(answer.uid)),
        audit_id=event.audit_id,
        request_uri=event.request_uri,
    )


def _several(texts: Sequence[str] | None, quote: Quote) -> tuple[str, ...]:
    return tuple(map(quote, texts[:MAX_VALUES])) if texts else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
