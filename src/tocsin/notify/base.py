"""What a notification channel is: settings from the configuration, and a builder of requests.

Building is pure, so that a channel is tested without a network; only transports do I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Annotated, ClassVar, Protocol, Self, TypeVar

import msgspec
from typing_extensions import override

from tocsin.model.alert import Severity
from tocsin.notify.message import Message
from tocsin.notify.urls import check_url, shown

# What the configuration, logs, metrics and `tocsin notify test` call a channel.
ChannelName = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=60)]
Pause = Annotated[float, msgspec.Meta(ge=0, le=7 * 86400)]
PerMinute = Annotated[int, msgspec.Meta(ge=1, le=6000)]

_R = TypeVar("_R")
_R_contra = TypeVar("_R_contra", contravariant=True)


class ChannelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every channel is told in the configuration; pauses are in seconds.

    Attributes:
        min_severity: alerts below it are never queued for this channel.
        timeout: seconds for one delivery, from looking up the name to the answer.
        ca_file: certificates to trust instead of the system's.
        dashboard_url: where people reach Tocsin's dashboard, for links.
        group_wait: how long the first message about something waits for more of it; what is
            critical does not wait.
        group_interval: how long further alerts of the same wait. A rise of severity and a new
            technique do not wait.
        repeat_interval: after how long an incident is told again that is still open; 0 is never.
        max_per_minute: messages; what comes beyond is told together in the last of them.
        digest: where not 0, all is told together, so long after the first of it came.
    """

    min_severity: Severity = "medium"
    timeout: Seconds = 10.0
    ca_file: str | None = None
    dashboard_url: str | None = None
    group_wait: Pause = 5.0
    group_interval: Pause = 300.0
    repeat_interval: Pause = 0.0
    max_per_minute: PerMinute = 10
    digest: Pause = 0.0

    def __post_init__(self) -> None:
        """Refuse addresses that no notification may go to; msgspec reports the path."""
        if self.dashboard_url is not None:
            check_url(self.dashboard_url)

    @property
    def place(self) -> str:
        """Where messages go, without secrets."""
        return ""

    @override
    def __repr__(self) -> str:
        """Return a form without secrets, for logs."""
        return f"{type(self).__name__}({self.place!r})"


class HttpSettings(ChannelSettings, frozen=True):
    """What channels are told that are reached over HTTP.

    Attributes:
        url: where to send; comes from the configuration file only, and may be a secret.
    """

    url: str

    @override
    def __post_init__(self) -> None:
        """Refuse addresses that no notification may go to; msgspec reports the path."""
        super().__post_init__()
        check_url(self.url)

    @property
    @override
    def place(self) -> str:
        """Where messages go, without secrets."""
        return shown(self.url)


@dataclass(frozen=True, slots=True)
class NotifierInfo:
    """What a kind of channel is.

    Attributes:
        name: its `type` in the configuration.
        description: for listings.
        settings: what the configuration says about such a channel.
        whole: whether it is given every alert in full; people are given a few, and a number.
        ends: whether it is told that an incident was closed.
        retells: whether it is told of an incident's end, and of its other news, by its alerts.
    """

    name: str
    description: str
    settings: type[ChannelSettings]
    whole: bool = False
    ends: bool = False
    retells: bool = False


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A POST of JSON; address and body may hold secrets and are kept out of its text form."""

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try, in words for an operator."""

    ok: bool
    detail: str
    retry_after: float = 0.0


class Transport(Protocol[_R_contra]):
    """Carries the requests of one channel, which shares nothing with other channels."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def post(self, request: _R_contra, now: float) -> Outcome:
        """Send the request; whatever goes wrong is in the outcome."""
        ...


class Notifier(Protocol[_R]):
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

    def request(self, message: Message) -> _R:
        """Return the request that tells the channel."""
        ...

    def transport(self) -> Transport[_R]:
        """Return what carries such requests.

        Raises:
            TocsinError: the settings name a file that cannot be used.
        """
        ...
