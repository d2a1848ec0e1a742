"""One request to receivers of every kind, and the words for what came of it."""

import asyncio
import contextlib
import logging
import re
import socket
import ssl
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from tests.unit.notify.sinks import (
    Reply,
    Sink,
    answer,
    flood,
    never,
    reset,
    sink,
    trickle,
    trickled_headers,
)
from tocsin.model.errors import TocsinError
from tocsin.notify import AnyNotifier, Outcome, WebhookSettings, deliver_test, make_notifier
from tocsin.notify.webhook import sign

SECRET = "0123456789abcdef"
NOW = 1795000000.0


def webhook(url: str, **changes: Any) -> AnyNotifier:
    values = {"type": "webhook", "url": url, "secret": SECRET, "timeout": 8, **changes}
    return make_notifier("soar", msgspec.convert(values, WebhookSettings))


def deliver(reply: Reply, path: str = "/in", **changes: Any) -> tuple[Outcome, Sink, float]:
    """Send the test alert to a receiver, and return what came of it and how long it took."""

    async def run() -> tuple[Outcome, Sink, float]:
        async with sink(reply) as running:
            start = time.monotonic()
            outcome = await deliver_test(webhook(running.url + path, **changes), NOW)
            return outcome, running, time.monotonic() - start

    return asyncio.run(run())


def test_a_test_alert_arrives_signed_and_marked() -> None:
    outcome, receiver, _ = deliver(answer("200 OK"), "/in?k=v")
    assert outcome.ok
    assert outcome.detail.startswith("HTTP 200 (after ")
    (request,) = receiver.received
    assert request.line == "POST /in?k=v HTTP/1.1"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Host"] == receiver.url.removeprefix("http://")
    assert request.headers["User-Agent"].startswith("tocsin/")
    assert request.headers["X-Tocsin-Delivery"] == "soar-tocsin-test-1795000000"
    signature = sign(SECRET, int(NOW), request.body)
    assert request.headers["X-Tocsin-Signature"] == f"t=1795000000,v1={signature}"
    sent = msgspec.json.decode(request.body)
    assert (sent["reason"], sent["incident"]) == ("test", None)
    [alert] = sent["alerts"]
    assert alert["rule"]["title"] == "Tocsin test notification"


@pytest.mark.parametrize(
    ("reply", "ok", "words"),
    [
        (answer("204 No Content"), True, "HTTP 204"),
        (trickle("200 OK"), True, "HTTP 200"),
        (reset(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal"), True, "HTTP 200"),
        (answer("403 Forbidden", "bad token"), False, "HTTP 403: bad token"),
        (answer("500 Oops"), False, "HTTP 500: no explanation"),
        (answer("302 Found", Location="http://127.0.0.1:1/"), False, "redirects are not followed"),
        (answer("308 Permanent", Location="file:///etc/passwd"), False, "not followed"),
        (reset(b""), False, "cut|disconnected"),
        (reset(b"HTTP/1.1 200"), False, "cut|disconnected|incomplete"),
        (reset(b"HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\nhal"), False, "HTTP 500: hal"),
        (reset(b"SSH-2.0-OpenSSH_9\r\n"), False, "illegal|disconnected|cut"),
        (trickle("500 Oops"), False, "no answer|HTTP 500: x+"),
        (flood, False, "HTTP 500: <html>"),
    ],
)
def test_what_came_of_it_is_said_plainly(reply: Reply, *, ok: bool, words: str) -> None:
    outcome, receiver, _ = deliver(reply)
    assert outcome.ok == ok
    assert re.search(words, outcome.detail, re.IGNORECASE), outcome.detail
    assert len(receiver.received) == 1


@pytest.mark.parametrize("reply", [never, trickled_headers])
def test_the_whole_exchange_has_a_time_limit(reply: Reply) -> None:
    outcome, receiver, seconds = deliver(reply, timeout=0.5)
    host = receiver.url.removeprefix("http://")
    assert outcome.detail.startswith(f"no answer from {host} within 0.5 s")
    assert seconds < 3


def test_a_hostile_explanation_is_shown_short_and_harmless() -> None:
    outcome, _, _ = deliver(answer("400 Bad", "\x1b[2J<!channel>\n" + "é" * 5000))
    text = outcome.detail.split(" (after")[0]
    assert text.startswith("HTTP 400: \\x1b[2J<!channel>\\n")
    assert text.isprintable()
    assert len(text) <= 220


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999", 3600.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("²", 0.0),
        ("1e9", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_understood_within_reason(value: str, expected: float) -> None:
    outcome, _, _ = deliver(answer("429 Too Many", Retry_After=value))
    assert outcome.retry_after == expected


def test_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = asyncio.run(deliver_test(webhook(f"http://127.0.0.1:{port}"), NOW))
    assert "the connection was refused" in outcome.detail


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name have these addresses; return the names that were looked up."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def fake(host: str, *args: Any, **options: Any) -> list[Any]:
        if host == "localhost" or host[0].isdigit() or ":" in host:
            return real(host, *args, **options)
        asked.append(host)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    return asked


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch)
    outcome = asyncio.run(deliver_test(webhook("https://soar.example"), NOW))
    assert "soar.example: the name does not resolve (Name or service not known)" in outcome.detail


@pytest.mark.parametrize("name", ["a..b", "x" * 70 + ".example", "-.-"])
def test_a_name_that_is_none(name: str) -> None:
    outcome = asyncio.run(deliver_test(webhook(f"https://{name}"), NOW))
    assert not outcome.ok


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "224.0.0.1"])
def test_a_name_must_not_stand_for_a_metadata_address(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolving(monkeypatch, address)
    outcome = asyncio.run(deliver_test(webhook("https://soar.example"), NOW))
    assert "link-local or metadata address" in outcome.detail


def test_the_judged_address_is_the_connected_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving(monkeypatch, "169.254.169.254", "127.0.0.9", "127.0.0.1")

    async def run() -> tuple[Outcome, Sink]:
        async with sink(answer("200 OK")) as running:
            url = running.url.replace("127.0.0.1", "soar.example")
            return await deliver_test(webhook(url), NOW), running

    outcome, receiver = asyncio.run(run())
    assert outcome.ok
    assert asked == ["soar.example"]
    assert receiver.received[0].headers["Host"].startswith("soar.example:")


def test_an_address_that_swallows_packets_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolving(monkeypatch, "127.0.0.2", "127.0.0.1")

    async def run() -> Outcome:
        async with sink(answer("200 OK")) as running, contextlib.AsyncExitStack() as open_sockets:
            url = running.url.replace("127.0.0.1", "soar.example")
            address = ("127.0.0.2", int(url.rpartition(":")[2]))
            try:
                open_sockets.enter_context(socket.create_server(address, backlog=0))
            except OSError:
                # Another program has this port at that address: take another port.
                return await run()
            for _ in range(4):
                filler = open_sockets.enter_context(socket.socket())
                filler.setblocking(False)  # noqa: FBT003 - the only way to say it
                filler.connect_ex(address)
            return await deliver_test(webhook(url, timeout=2), NOW)

    assert asyncio.run(run()).ok


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_outcome(authority: trustme.CA, host: str, **changes: Any) -> Outcome:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)

    async def run() -> Outcome:
        async with sink(answer("200 OK"), tls=context) as running:
            url = running.url.replace("127.0.0.1", "soar.example")
            return await deliver_test(webhook(url, **changes), NOW)

    return asyncio.run(run())


def test_tls_is_checked_against_the_name(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    resolving(monkeypatch, "127.0.0.1")
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    assert tls_outcome(authority, "soar.example", ca_file=str(bundle)).ok
    untrusted = tls_outcome(authority, "soar.example")
    assert "TLS problem: unable to get local issuer certificate" in untrusted.detail
    other = tls_outcome(authority, "other.example", ca_file=str(bundle))
    assert "TLS problem: Hostname mismatch" in other.detail


def test_tls_towards_a_plain_port() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async def run() -> Outcome:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await deliver_test(webhook(f"https://127.0.0.1:{port}"), NOW)

    assert "TLS problem" in asyncio.run(run()).detail


def test_a_missing_ca_file_is_named() -> None:
    with pytest.raises(TocsinError, match=r"channel soar: cannot use ca_file /no/such.pem"):
        asyncio.run(deliver_test(webhook("https://x.example", ca_file="/no/such.pem"), NOW))


def test_addresses_stay_out_of_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    deliver(answer("200 OK"), "/services/T0/B0/SECRETPATH")
    deliver(answer("404 Not Found", "no_service"), "/services/T0/B0/SECRETPATH")
    assert "SECRETPATH" not in caplog.text


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    outcome, _, _ = deliver(answer("200 OK"))
    assert outcome.ok
