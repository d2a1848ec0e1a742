"""E-mail: a message in text and in simple HTML, all of one incident in one thread.

Headers are built by the standard library from text without control characters, so nothing in
an alert can add one; the HTML has neither links nor styles but ours.
"""

from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Annotated, ClassVar

import msgspec
from typing_extensions import override

from tocsin.model.digest import digest
from tocsin.notify.base import ChannelSettings, NotifierInfo
from tocsin.notify.brief import Brief, brief
from tocsin.notify.message import Message
from tocsin.notify.smtp import Mail, Mailer, Security, SmtpServer
from tocsin.notify.text import fit
from tocsin.notify.urls import check_host

_SUBJECT_CHARS = 150
_TEXT_CHARS = 4000
_POLICY = SMTP.clone(cte_type="7bit")
_PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}


class EmailSettings(ChannelSettings, frozen=True, kw_only=True, tag_field="type", tag="email"):
    """Settings of a mail server and of those who are written to.

    Attributes:
        host: name or address of the server.
        port: its port; by default that of `security`.
        security: `starttls`, `tls` from the first byte, or `none` for a server nearby.
        username: to log in with, if the server asks for it.
        password: its password; a secret.
        sender: whom mail comes from.
        to: whom it goes to.
    """

    host: str
    sender: str
    to: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    security: Security = "starttls"
    username: str | None = None
    password: str | None = None

    @override
    def __post_init__(self) -> None:
        """Refuse what cannot work, or would give a password away; msgspec reports the path."""
        super().__post_init__()
        check_host(self.host)
        for address in (self.sender, *self.to):
            _check_address(address)
        if self.security == "none" and self.password is not None:
            message = "a password is only sent over TLS: set `security`, or leave it out"
            raise ValueError(message)

    @property
    @override
    def place(self) -> str:
        """Where messages go, without secrets."""
        return f"{self.host}:{self.server.port}"

    @property
    def server(self) -> SmtpServer:
        """The server."""
        port = self.port or _PORTS[self.security]
        return SmtpServer(self.host, port, self.security, self.username, self.password)


class Email:
    """Sends mail."""

    info: ClassVar = NotifierInfo(
        name="email",
        description="E-mail, by SMTP with TLS",
        settings=EmailSettings,
    )

    def __init__(self, name: str, settings: EmailSettings) -> None:
        self.name = name
        self.settings = settings

    def transport(self) -> Mailer:
        """Return what carries the mails."""
        return Mailer(self.name, self.settings, self.settings.server)

    def request(self, message: Message) -> Mail:
        """Return the mail."""
        told = brief(message, self.settings.dashboard_url)
        mail = EmailMessage(policy=_POLICY)
        mail["From"] = self.settings.sender
        mail["To"] = ", ".join(self.settings.to)
        mail["Subject"] = fit(f"{told.headline} ({told.origin})", _SUBJECT_CHARS)
        mail["Date"] = datetime.fromtimestamp(message.now, UTC)
        mail["Auto-Submitted"] = "auto-generated"
        for name, value in self._thread(message).items():
            mail[name] = value
        mail.set_content(_text(told))
        mail.add_alternative(_html(told), subtype="html")
        return Mail(self.settings.sender, self.settings.to, mail.as_bytes())

    def _thread(self, message: Message) -> dict[str, str]:
        """Return the headers by which mail programs put all of one incident together."""
        domain = Address(addr_spec=self.settings.sender).domain
        own = f"<{digest(message.id)}@{domain}>"
        if not message.is_single:
            return {"Message-ID": own}
        first = f"<{digest(self.name, message.subjects[0].key)}@{domain}>"
        if message.reason == "new":
            return {"Message-ID": first}
        return {"Message-ID": own, "In-Reply-To": first, "References": first}


def _text(told: Brief) -> str:
    facts = [f"{label}: {value}" for label, value in told.facts.items()]
    lines = ["", *(f"- {line}" for line in told.lines)] if told.lines else []
    lines += [told.more] if told.more else []
    link = ["", told.link] if told.link else []
    each = [told.headline, "", told.text, "", *facts, *lines, "", told.origin, *link]
    return "\n".join(fit(line, _TEXT_CHARS) for line in each) + "\n"


def _html(told: Brief) -> str:
    facts = "".join(
        f"<tr><th align='left'>{_literal(label)}</th><td>{_literal(value)}</td></tr>"
        for label, value in told.facts.items()
    )
    lines = "".join(f"<li>{_literal(line)}</li>" for line in told.lines)
    more = f"<p>{_literal(told.more)}</p>" if told.more else ""
    link = f'<p><a href="{escape(told.link)}">Open in Tocsin</a></p>' if told.link else ""
    return (
        f"<html><body><h2>{_literal(told.headline)}</h2><p>{_literal(told.text)}</p>"
        f"<table>{facts}</table><ul>{lines}</ul>{more}<p>{_literal(told.origin)}</p>{link}"
        "</body></html>\n"
    )


def _literal(text: str) -> str:
    return fit(text, _TEXT_CHARS, escape)


def _check_address(text: str) -> None:
    try:
        address = Address(addr_spec=text)
    except (MessageError, ValueError, IndexError) as error:
        message = f"{text!r} is no mail address"
        raise ValueError(message) from error
    if not text.isascii() or not text.isprintable() or not address.domain or " " in text:
        message = f"{text!r} is no mail address"
        raise ValueError(message)
