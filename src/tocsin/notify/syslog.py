"""Syslog, RFC 5424: one record for each alert, as CEF or JSON, for a SIEM.

Over TLS or TCP records are told apart by their length (RFC 5425, RFC 6587), so that nothing in
a record can begin another one. Over UDP each is a datagram, cut to what a datagram holds.
"""

import asyncio
import contextlib
import json
import platform
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, ClassVar, Literal

import msgspec
from typing_extensions import override

from tocsin.model.alert import Alert, Severity, to_json_line
from tocsin.notify.base import ChannelSettings, NotifierInfo, Outcome, Pause, PerMinute
from tocsin.notify.cef import cef
from tocsin.notify.message import Message
from tocsin.notify.outlet import Outlet
from tocsin.notify.urls import check_host

_DATAGRAM_BYTES = 60_000
_GOODBYE_SECONDS = 0.5
_SEVERITIES: dict[Severity, int] = {"critical": 2, "high": 3, "medium": 4, "low": 5, "info": 6}
_HEADER_CHARS = 255


class SyslogSettings(ChannelSettings, frozen=True, kw_only=True, tag_field="type", tag="syslog"):
    """Settings of a syslog receiver. A log wants every alert at once, so nothing waits here.

    Attributes:
        host: name or address of the receiver.
        port: its port; 6514 is that of syslog over TLS.
        protocol: how records travel.
        format: what a record carries.
        facility: syslog's number of the kind of program; 13 is audit.
    """

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 6514
    protocol: Literal["tls", "tcp", "udp"] = "tls"
    format: Literal["cef", "json"] = "cef"
    facility: Annotated[int, msgspec.Meta(ge=0, le=23)] = 13
    group_wait: Pause = 0.0
    group_interval: Pause = 0.0
    max_per_minute: PerMinute = 600

    @override
    def __post_init__(self) -> None:
        """Refuse hosts that no notification may go to; msgspec reports the path."""
        super().__post_init__()
        check_host(self.host)

    @property
    @override
    def place(self) -> str:
        """Where messages go, without secrets."""
        return f"{self.protocol}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Records:
    """Records to send, each without its frame."""

    records: tuple[bytes, ...]


class Syslog:
    """Sends records."""

    info: ClassVar = NotifierInfo(
        name="syslog",
        description="Syslog (RFC 5424) with CEF or JSON, over TLS, TCP or UDP",
        settings=SyslogSettings,
        whole=True,
    )

    def __init__(self, name: str, settings: SyslogSettings) -> None:
        self.name = name
        self.settings = settings

    def transport(self) -> "SyslogSender":
        """Return what carries the records."""
        return SyslogSender(self.name, self.settings)

    def request(self, message: Message) -> Records:
        """Return the alerts' records; news without an alert have none."""
        return Records(tuple(self._record(*pair) for pair in message.alerts_with_incidents))

    def _record(self, alert: Alert, incident: str | None) -> bytes:
        priority = self.settings.facility * 8 + _SEVERITIES[alert.rule.severity]
        header = f"<{priority}>1 {_word(alert.time)} {_word(platform.node())} tocsin - alert -"
        if self.settings.format == "json":
            return header.encode() + b" " + _json(alert, incident)
        return f"{header} {cef(alert, incident)}".encode()


class SyslogSender(Outlet):
    """Carries the records of one channel; a message is one connection."""

    def __init__(self, name: str, settings: SyslogSettings) -> None:
        super().__init__(name, settings)
        self._host = settings.host
        self._port = settings.port
        self._protocol = settings.protocol

    async def post(self, request: Records, now: float) -> Outcome:
        """Send the records; whatever goes wrong is in the outcome."""
        del now
        return await self.bounded(f"{self._host}:{self._port}", self._post(request.records))

    async def _post(self, records: tuple[bytes, ...]) -> Outcome:
        *others, last = await self.addresses(self._host)
        if self._protocol == "udp":
            await _send_datagrams(records, last, self._port)
        else:
            await self._stream(records, [*others, last])
        count = len(records)
        return Outcome(ok=True, detail=f"{count} record{'' if count == 1 else 's'} sent")

    async def _stream(self, records: tuple[bytes, ...], addresses: list[str]) -> None:
        reader, writer = await self._connect(addresses)
        try:
            for record in records:
                writer.write(b"%d %s" % (len(record), record))
                await writer.drain()
            await _say_goodbye(reader, writer)
            writer.close()
            await writer.wait_closed()
        except BaseException:
            # Closing politely would wait for a receiver that does not answer.
            writer.transport.abort()
            raise

    async def _connect(
        self, addresses: list[str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        is_tls = self._protocol == "tls"
        tls, name = (self.tls, self._host) if is_tls else (None, None)
        *others, last = addresses
        for address in others:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(self.timeout / len(addresses)):
                    return await asyncio.open_connection(
                        address, self._port, ssl=tls, server_hostname=name
                    )
        return await asyncio.open_connection(last, self._port, ssl=tls, server_hostname=name)


async def _say_goodbye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait a moment for the receiver to close: syslog has no other way to say that it read all.

    Raises:
        ConnectionError: it cut the connection instead.
    """
    if writer.can_write_eof():
        writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await reader.read(1)


async def _send_datagrams(records: tuple[bytes, ...], address: str, port: int) -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(str(ip_address(address)), port)
    )
    try:
        for record in records:
            transport.sendto(record[:_DATAGRAM_BYTES])
    finally:
        transport.close()


def _json(alert: Alert, incident: str | None) -> bytes:
    """Return the alert as one object of ASCII JSON, with its incident's id."""
    line = to_json_line(alert).rstrip(b"\n")
    return line.removesuffix(b"}") + b',"incident":' + json.dumps(incident).encode() + b"}"


def _word(text: str) -> str:
    """Return the text as a word of the header, `-` where nothing is left of it."""
    kept = (char for char in text[:_HEADER_CHARS] if "!" <= char <= "~")
    return "".join(kept) or "-"
