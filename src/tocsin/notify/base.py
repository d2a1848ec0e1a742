"""What a notification channel is: settings from the configuration, and a builder of requests.

Building is pure, so that a channel is tested without a network; only `http` and `sender` do I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Protocol

import msgspec
from typing_extensions import override

from tocsin.model.alert import Alert, Severity
from tocsin.notify.urls import check_url, shown

# What the configuration, logs, metrics and `tocsin notify test` call a channel.
ChannelName = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=60)]


class ChannelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every channel is told in the configuration.

    Attributes:
        url: where to send; comes from the configuration file only, and may be a secret.
        min_severity: alerts below it are never queued for this channel.
        timeout: seconds for one delivery, from looking up the name to the answer.
        ca_file: certificates to trust instead of the system's.
        dashboard_url: where people reach Tocsin's dashboard, for links to alerts.
    """

    url: str
    min_severity: Severity = "medium"
    timeout: Seconds = 10.0
    ca_file: str | None = None
    dashboard_url: str | None = None

    def __post_init__(self) -> None:
        """Refuse addresses that no notification may go to; msgspec reports the path."""
        check_url(self.url)
        if self.dashboard_url is not None:
            check_url(self.dashboard_url)

    @override
    def __repr__(self) -> str:
        """Return a form without secrets, for logs."""
        return f"{type(self).__name__}(url={shown(self.url)!r})"


@dataclass(frozen=True, slots=True)
class NotifierInfo:
    """What a kind of channel is, for listings and for reading its settings."""

    name: str
    description: str
    settings: type[ChannelSettings]


@dataclass(frozen=True, slots=True)
class Message:
    """An alert to tell; `id` is the same at every retry, so that receivers can drop repeats."""

    id: str
    alert: Alert
    now: float


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A POST of JSON; the address may be a secret and is kept out of its text form."""

    url: str = field(repr=False)
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try, in words for an operator."""

    ok: bool
    detail: str
    retry_after: float = 0.0


class Notifier(Protocol):
    """One channel."""

    info: ClassVar[NotifierInfo]

    @property
    def name(self) -> str:
        """What the configuration calls the channel."""
        ...

    @property
    def settings(self) -> ChannelSettings:
        """What the configuration says about the channel."""
        ...

    def request(self, message: Message) -> HttpRequest:
        """Return the request that tells the channel about the alert."""
        ...
