"""Syslog: what is in a record, and its way to receivers that really speak it."""

import asyncio
import contextlib
import json
import re
import socket
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.notify.stories import about, about_alert, make_incident
from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert, with_severity
from tocsin import __version__
from tocsin.model.alert import SEVERITIES, Alert
from tocsin.model.text import visible
from tocsin.notify import AnyNotifier, Outcome, SyslogSettings, make_notifier
from tocsin.notify.message import Message

HEADER = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<time>[!-~]+) (?P<host>[!-~]{1,255}) tocsin - alert - "
)
# A key, then a value in which `=` and `\` are escaped.
PAIR = re.compile(r"(?:^| )(\w+)=((?:\\.|[^\\=])*?)(?= \w+=|$)")


def channel(**changes: Any) -> AnyNotifier:
    values = {"type": "syslog", "host": "127.0.0.1", "timeout": 8, **changes}
    return make_notifier("siem", msgspec.convert(values, SyslogSettings))


def record(alert: Alert, **changes: Any) -> bytes:
    [made] = channel(**changes).request(about_alert(alert)).records
    return bytes(made)


def cef_fields(payload: str) -> dict[str, str]:
    """Read CEF as a SIEM does."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", payload, maxsplit=7)
    assert parts[:4] == ["CEF:0", "Tocsin", "Tocsin", __version__]
    found = {key: re.sub(r"\\(.)", r"\1", value) for key, value in PAIR.findall(parts[7])}
    return {"id": parts[4], "title": parts[5], "severity": parts[6], **found}


def test_a_record_in_cef() -> None:
    made = record(make_alert())
    header = HEADER.match(made)
    assert header is not None
    assert (header["pri"], header["time"]) == (b"107", b"2026-11-23T10:45:16.123456Z")
    fields = cef_fields(made[header.end() :].decode())
    assert fields == {
        "id": "5c1b",
        "title": "Privileged pod created",
        "severity": "8",
        "externalId": "a1",
        "end": "1795430716123",
        "msg": "alice created privileged pod web in shop",
        "suser": "alice",
        "src": "203.0.113.9",
        "requestClientApplication": "kubectl/v1.36.3",
        "request": "/api/v1",
        "act": "create",
        "cnt": "1",
        "cs1Label": "cluster",
        "cs1": "prod",
        "cs2Label": "namespace",
        "cs2": "shop",
        "cs3Label": "resource",
        "cs3": "pods",
        "cs4Label": "name",
        "cs4": "web",
        "cs6Label": "techniques",
        "cs6": "T1611",
    }


def test_a_record_in_json() -> None:
    made = record(make_alert(), format="json", facility=4)
    header = HEADER.match(made)
    assert header is not None
    assert header["pri"] == b"35"
    sent = json.loads(made[header.end() :])
    assert sent.pop("incident") is None
    assert msgspec.convert(sent, Alert) == make_alert()


def test_one_record_for_each_alert_with_its_incident() -> None:
    message = about(make_incident(), make_alert("a1"), make_alert("a2"))
    request = channel().request(message)
    assert [b"cs5=i1" in made for made in request.records] == [True, True]
    request = channel(format="json").request(message)
    assert [b'"incident":"i1"' in made for made in request.records] == [True, True]


def test_news_without_an_alert_have_no_record() -> None:
    assert channel().request(about(make_incident(), reason="worse")).records == ()


def test_severities() -> None:
    found = [record(with_severity(make_alert(), one))[:5] for one in SEVERITIES]
    assert found == [b"<110>", b"<109>", b"<108>", b"<107>", b"<106>"]


def check_record(text: str) -> None:
    alert = hostile_alert(text)
    alert = msgspec.structs.replace(alert, time=text or "t", cluster=text)
    rule = msgspec.structs.replace(alert.rule, title=text or "t", id=text or "i")
    for hostile in (alert, msgspec.structs.replace(alert, rule=rule)):
        made = record(hostile)
        header = HEADER.match(made)
        assert header is not None
        payload = made[header.end() :].decode()
        assert payload.isprintable()
        fields = cef_fields(payload)
        assert fields["externalId"] == "a1"
        assert fields["severity"] == "8"
        assert "cs5" not in fields, "it belongs to no incident"
        shown = visible(text)
        assert fields.get("act", "") == shown or shown.startswith(fields["act"][:-1])
        assert {key for key in fields if key.startswith("cs")} <= {
            f"cs{number}{label}" for number in range(1, 7) for label in ("", "Label")
        }
        made = record(hostile, format="json")
        header = HEADER.match(made)
        assert header is not None
        assert made.isascii()
        assert made.decode().isprintable()
        sent = json.loads(made[header.end() :])
        sent.pop("incident")
        assert msgspec.convert(sent, Alert) == hostile


TRICKS = (r"x|CEF:0|Evil|E|1|1|1|1|", r"\| \= \n", "x cs5=i9 act=delete", "a=b|c\\", "\n<0>1 - - -")


@pytest.mark.parametrize("text", [*HOSTILE, *TRICKS])
def test_hostile_text_stays_in_its_place(text: str) -> None:
    check_record(text)


@given(st.text())
@settings(deadline=None, max_examples=15)
def test_any_text_stays_in_its_place(text: str) -> None:
    check_record(text)


async def read_frames(reader: asyncio.StreamReader, frames: list[bytes]) -> None:
    """Read records as RFC 5425 frames them."""
    while True:
        frames.append(await reader.readexactly(int(await reader.readuntil(b" "))))


def deliver(
    message: Message, tls: ssl.SSLContext | None = None, **changes: Any
) -> tuple[Outcome, list[bytes]]:
    """Send a message to a receiver on loopback, and return what came of it and what it got."""
    frames: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await read_frames(reader, frames)
        writer.transport.abort() if tls else writer.close()

    async def run() -> Outcome:
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
            port = server.sockets[0].getsockname()[1]
            notifier = channel(port=port, **changes)
            with notifier.transport() as transport:
                return await transport.post(notifier.request(message), 1.0)

    return asyncio.run(run()), frames


def alerts(count: int) -> Message:
    return about(make_incident(), *(make_alert(f"a{number}") for number in range(count)))


def test_records_arrive_over_tcp() -> None:
    outcome, frames = deliver(alerts(300), protocol="tcp")
    assert (outcome.ok, outcome.detail) == (True, "300 records sent")
    assert [b"externalId=a%d " % number in frame for number, frame in enumerate(frames)] == [
        True
    ] * 300


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_records_arrive_over_tls(authority: trustme.CA, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    outcome, frames = deliver(alerts(3), context, ca_file=str(bundle))
    assert (outcome.ok, len(frames)) == (True, 3), outcome.detail
    outcome, frames = deliver(alerts(3), context)
    assert "TLS problem: unable to get local issuer certificate" in outcome.detail
    assert (outcome.ok, frames) == (False, [])


def test_records_arrive_over_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        notifier = channel(protocol="udp", port=receiver.getsockname()[1], format="json")
        long = make_alert("a2", description="x" * 100_000)
        message = about(make_incident(), make_alert("a1"), long)

        async def run() -> Outcome:
            with notifier.transport() as transport:
                return await transport.post(notifier.request(message), 1.0)

        assert asyncio.run(run()).ok
        first, second = receiver.recv(70_000), receiver.recv(70_000)
    assert b'"id":"a1"' in first
    assert b'"id":"a2"' in second
    assert len(second) == 60_000


def outcome_at(port: int, **changes: Any) -> Outcome:
    notifier = channel(port=port, protocol="tcp", **changes)

    async def run() -> Outcome:
        with notifier.transport() as transport:
            return await transport.post(notifier.request(alerts(1)), 1.0)

    return asyncio.run(run())


def test_a_receiver_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    assert "the connection was refused" in outcome_at(port).detail


def test_a_receiver_that_cuts_the_connection() -> None:
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async def run() -> Outcome:
        async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            notifier = channel(port=port, protocol="tcp")
            with notifier.transport() as transport:
                return await transport.post(notifier.request(alerts(400)), 1.0)

    outcome = asyncio.run(run())
    assert not outcome.ok
    assert "the connection was cut" in outcome.detail or "Broken pipe" in outcome.detail


def test_a_receiver_that_reads_nothing_has_a_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as stuck:
        big = make_alert(description="x" * 1_000_000)
        notifier = channel(port=stuck.getsockname()[1], protocol="tcp", timeout=0.4, format="json")

        async def run() -> Outcome:
            with notifier.transport() as transport:
                message = about(make_incident(), *[big] * 20)
                return await transport.post(notifier.request(message), 1.0)

        assert "no answer from" in asyncio.run(run()).detail


@pytest.mark.parametrize(
    "wrong", [{"protocol": "http"}, {"format": "leef"}, {"facility": 24}, {"port": 0}]
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        channel(**wrong)
