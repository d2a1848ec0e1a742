"""E-mail: what is in it, and its way to a server that really speaks SMTP."""

import asyncio
import email
import socket
import ssl
import time
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.notify.mailserver import MailServer, Mood, mail_server
from tests.unit.notify.stories import (
    about,
    about_alert,
    about_many,
    hostile_incident,
    make_incident,
)
from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert
from tocsin.notify import AnyNotifier, EmailSettings, Outcome, deliver_test, make_notifier
from tocsin.notify.message import Message

PASSWORD = "a password"
HEADERS = {"From", "To", "Subject", "Date", "Auto-Submitted", "Message-ID", "MIME-Version"}
THREAD = {"In-Reply-To", "References"}


def channel(**changes: Any) -> AnyNotifier:
    values = {
        "type": "email",
        "host": "mail.example",
        "sender": "tocsin@example.org",
        "to": ["oncall@example.org", "Boss@example.org"],
        "dashboard_url": "https://tocsin.example",
        "timeout": 8,
        **changes,
    }
    return make_notifier("mail", msgspec.convert(values, EmailSettings))


def mail(message: Message, **changes: Any) -> EmailMessage:
    content = channel(**changes).request(message).content
    read = email.message_from_bytes(content, policy=SMTP)
    assert isinstance(read, EmailMessage)
    return read


def body(read: EmailMessage, kind: str) -> str:
    part = read.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_a_mail_about_an_incident() -> None:
    read = mail(about(make_incident(), make_alert(), now=1795430716.0))
    assert set(read.keys()) - {"Content-Type"} == HEADERS
    assert read["From"] == "tocsin@example.org"
    assert read["To"] == "oncall@example.org, Boss@example.org"
    assert read["Subject"] == (
        "[high] alice created a privileged pod and took a token (incident i1)"
    )
    assert read["Date"] == "Mon, 23 Nov 2026 10:45:16 +0000"
    text = body(read, "plain")
    assert "alice created privileged pod web in shop, then took a token from it." in text
    assert "\nWho: alice\n" in text
    assert "\n- 2026-11-23T10:45:16Z [high] alice created privileged pod web in shop\n" in text
    assert text.rstrip().endswith("https://tocsin.example/incidents/i1")
    page = BeautifulSoup(body(read, "html"), "html.parser")
    [link] = page.find_all("a")
    assert link["href"] == "https://tocsin.example/incidents/i1"


def test_one_thread_for_an_incident() -> None:
    first = mail(about(make_incident(), make_alert("a1")))
    more = mail(about(make_incident(), make_alert("a2"), reason="more"))
    assert more["References"] == more["In-Reply-To"] == first["Message-ID"]
    assert more["Message-ID"] != first["Message-ID"]
    again = mail(about(make_incident(), make_alert("a1")))
    assert again["Message-ID"] == first["Message-ID"], "a repeat is recognised"
    other = mail(about(make_incident("i2"), make_alert()))
    assert other["Message-ID"] != first["Message-ID"]


def check_mail(message: Message) -> None:
    content = channel().request(message).content
    read = email.message_from_bytes(content, policy=SMTP)
    assert isinstance(read, EmailMessage)
    assert not read.defects
    assert set(read.keys()) - {"Content-Type"} - THREAD == HEADERS
    assert len(read.keys()) == len(set(read.keys()))
    assert read["To"] == "oncall@example.org, Boss@example.org"
    assert str(read["Subject"]).isprintable()
    assert content.isascii()
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert all(line.isprintable() for line in body(read, "plain").splitlines())
    page = BeautifulSoup(body(read, "html"), "html.parser")
    names = {tag.name for tag in page.find_all(name=lambda name: name != "")}
    assert names <= {"html", "body", "h2", "p", "table", "tr", "th", "td", "ul", "li", "a"}
    assert [tag["href"][:23] for tag in page.find_all("a")] == ["https://tocsin.example/"]


def check_all(text: str) -> None:
    for message in (
        about_alert(hostile_alert(text)),
        about(hostile_incident(text), *(hostile_alert(text, f"a{n}") for n in range(3))),
        about_many(text),
    ):
        check_mail(message)


@pytest.mark.parametrize(
    "text", [*HOSTILE, "x\r\nBcc: evil@example.org\r\n\r\nhello", "=?utf-8?q?=0A?="]
)
def test_hostile_text_adds_no_header_and_no_markup(text: str) -> None:
    check_all(text)


@given(st.text())
@settings(deadline=None, max_examples=10)
def test_any_text_adds_no_header_and_no_markup(text: str) -> None:
    check_all(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": []},
        {"to": ["nobody"]},
        {"to": ["a@b\r\nBcc: c@d"]},
        {"sender": "a b@c"},
        {"sender": "Tocsin <t@example.org>"},
        {"security": "none", "username": "t", "password": "p"},
        {"security": "ssl"},
        {"port": 0},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        channel(**wrong)


def test_the_port_follows_the_security() -> None:
    places = [channel(security=kind).settings.place for kind in ("starttls", "tls", "none")]
    assert places == ["mail.example:587", "mail.example:465", "mail.example:25"]
    assert channel(port=2525).settings.place == "mail.example:2525"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def _mail_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the name stand for loopback."""
    real = socket.getaddrinfo

    def fake(host: str, *args: Any, **options: Any) -> list[Any]:
        name = "127.0.0.1" if host == "mail.example" else host
        return list(real(name, *args, **options))

    monkeypatch.setattr(socket, "getaddrinfo", fake)


def deliver(
    mood: Mood, authority: trustme.CA | None, name: str = "mail.example", **changes: Any
) -> tuple[Outcome, MailServer]:
    """Send the test message to a server, whose certificate is for `name`."""
    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)

    async def run() -> tuple[Outcome, MailServer]:
        implicit = changes.get("security") == "tls"
        async with mail_server(mood, context, implicit=implicit) as server:
            notifier = channel(port=server.port, **changes)
            return await deliver_test(notifier, 1795430716.0), server

    return asyncio.run(run())


@pytest.mark.usefixtures("_mail_example")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_arrives_encrypted(authority: trustme.CA, bundle: str, security: str) -> None:
    mood = Mood(password=PASSWORD)
    access = {"username": "tocsin", "password": PASSWORD, "ca_file": bundle}
    outcome, server = deliver(mood, authority, security=security, **access)
    assert outcome.ok, outcome.detail
    [taken] = server.taken
    assert (taken.encrypted, taken.login, taken.sender) == (True, "tocsin", "tocsin@example.org")
    assert taken.recipients == ["oncall@example.org", "Boss@example.org"]
    read = email.message_from_bytes(taken.content, policy=SMTP)
    assert read["Subject"].startswith("[info] Tocsin test notification")


def test_a_server_nearby_may_do_without_tls() -> None:
    outcome, server = deliver(Mood(), None, security="none", host="127.0.0.1")
    assert outcome.ok, outcome.detail
    assert not server.taken[0].encrypted


@pytest.mark.usefixtures("_mail_example")
def test_nothing_is_sent_in_the_clear_by_default(bundle: str) -> None:
    outcome, server = deliver(Mood(starttls=False), None, ca_file=bundle)
    assert "STARTTLS extension not supported" in outcome.detail
    assert not {"MAIL", "AUTH", "DATA"} & set(server.commands)


@pytest.mark.usefixtures("_mail_example")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_certificate_must_be_for_the_name(
    authority: trustme.CA, bundle: str, security: str
) -> None:
    outcome, _ = deliver(Mood(), authority, "other.example", security=security, ca_file=bundle)
    assert "TLS problem: Hostname mismatch" in outcome.detail
    outcome, _ = deliver(Mood(), authority, security=security)
    assert "TLS problem: unable to get local issuer certificate" in outcome.detail


@pytest.mark.parametrize(
    ("mood", "ok", "words"),
    [
        (Mood(answers={"DATA": "451 4.3.0 later\x1b[2J"}), False, r"SMTP 451: 4.3.0 later\x1b[2J"),
        (Mood(answers={"MAIL": "550 not from you"}), False, "SMTP 550: not from you"),
        (
            Mood(refused=("Boss@example.org",)),
            True,
            "taken, but Boss@example.org was refused: SMTP 550: no such person",
        ),
        (
            Mood(refused=("Boss@example.org", "oncall@example.org")),
            False,
            "oncall@example.org was refused: SMTP 550: no such person",
        ),
    ],
)
def test_what_the_server_says_is_told(mood: Mood, *, ok: bool, words: str) -> None:
    outcome, _ = deliver(mood, None, security="none", host="127.0.0.1")
    assert outcome.ok == ok
    assert words in outcome.detail
    assert outcome.detail.isprintable()


@pytest.mark.usefixtures("_mail_example")
def test_a_wrong_password_is_said(authority: trustme.CA, bundle: str) -> None:
    access = {"username": "tocsin", "password": "wrong", "ca_file": bundle}
    outcome, _ = deliver(Mood(password=PASSWORD), authority, **access)
    assert r"SMTP 535: 5.7.8 who are you?\x1b[2J" in outcome.detail
    assert "wrong" not in outcome.detail


@pytest.mark.parametrize("mood", [Mood(silent_at="EHLO"), Mood(silent_at="DATA")])
def test_the_whole_conversation_has_a_time_limit(mood: Mood) -> None:
    start = time.monotonic()
    outcome, _ = deliver(mood, None, security="none", host="127.0.0.1", timeout=0.4)
    assert "no answer from 127.0.0.1" in outcome.detail
    assert time.monotonic() - start < 3


def test_an_answer_without_end_is_not_read() -> None:
    outcome, _ = deliver(Mood(chatty_at="EHLO"), None, security="none", host="127.0.0.1")
    assert "the server's answers have no end" in outcome.detail


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    notifier = channel(host="127.0.0.1", port=port, security="none")
    outcome = asyncio.run(deliver_test(notifier, 1.0))
    assert outcome.detail.startswith(f"127.0.0.1:{port}: the connection was refused")


def test_a_name_must_not_stand_for_a_metadata_address(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    outcome = asyncio.run(deliver_test(channel(), 1.0))
    assert "link-local or metadata address" in outcome.detail
