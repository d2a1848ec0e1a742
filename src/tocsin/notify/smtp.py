"""Hands a mail to a server, encrypted by default, and says in plain words what came of it.

The conversation runs in a thread, and is cut when its time is over, whatever it waits for.
"""

import asyncio
import contextlib
import logging
import smtplib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO, Literal

from typing_extensions import override

from tocsin.notify.base import ChannelSettings, Outcome
from tocsin.notify.outlet import Outlet
from tocsin.notify.text import fit

Security = Literal["starttls", "tls", "none"]

_REASON_CHARS = 200
_ANSWER_BYTES = 65536
# As many as a channel sends at once.
_CONVERSATIONS = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A mail server; with a user name, it is logged in to."""

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it travels; addresses are the envelope's."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)


class Mailer(Outlet):
    """Carries the mails of one channel; each is a connection of its own."""

    def __init__(self, name: str, settings: ChannelSettings, server: SmtpServer) -> None:
        super().__init__(name, settings)
        self._name = name
        self._server = server
        self._threads = ThreadPoolExecutor(_CONVERSATIONS, thread_name_prefix=f"mail-{name}")

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        super().__exit__(kind, error, trace)

    async def post(self, request: Mail, now: float) -> Outcome:
        """Send the mail; whatever goes wrong is in the outcome."""
        del now
        return await self.bounded(f"{self._server.host}:{self._server.port}", self._post(request))

    async def _post(self, mail: Mail) -> Outcome:
        addresses = await self.addresses(self._server.host)
        conversation = _Conversation(self._server, addresses, self.tls, self.timeout)
        try:
            refused = await asyncio.get_running_loop().run_in_executor(
                self._threads, conversation.send, mail
            )
        except smtplib.SMTPRecipientsRefused as error:
            return Outcome(ok=False, detail=_refusals(error.recipients))
        except smtplib.SMTPResponseException as error:
            return Outcome(ok=False, detail=_answer(error.smtp_code, error.smtp_error))
        finally:
            conversation.cut()
        if refused:
            _log.warning("mail of channel %s: %s", self._name, _refusals(refused))
            return Outcome(ok=True, detail=f"taken, but {_refusals(refused)}")
        return Outcome(ok=True, detail="the server took the mail")


class _Conversation:
    """One mail's way to the server, which another thread may cut at any moment."""

    def __init__(
        self, server: SmtpServer, addresses: list[str], tls: ssl.SSLContext, timeout: float
    ) -> None:
        self._server = server
        self._addresses = addresses
        self._tls = tls
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._over = False

    def send(self, mail: Mail) -> dict[str, tuple[int, bytes]]:
        """Send the mail and return the recipients that were refused, with the answers.

        Raises:
            OSError: the mail was not taken; smtplib's errors are such.
        """
        server = self._server
        with _Smtp(self, server.host, server.port, self._timeout) as smtp:
            if server.security == "starttls":
                smtp.starttls(context=self._tls)
            if server.username is not None:
                smtp.login(server.username, server.password or "")
            return smtp.sendmail(mail.sender, mail.recipients, mail.content)

    def connect(self, port: int) -> socket.socket:
        """Return a connection to the first of the addresses that accepts one."""
        *others, last = self._addresses
        for address in others:
            with contextlib.suppress(OSError):
                return self._opened(address, port, self._timeout / len(self._addresses))
        return self._opened(last, port, self._timeout)

    def _opened(self, address: str, port: int, timeout: float) -> socket.socket:
        opened = socket.create_connection((address, port), timeout)
        opened.settimeout(self._timeout)
        self._socket = opened
        if self._over:
            opened.close()
            message = "the time is over"
            raise TimeoutError(message)
        if self._server.security == "tls":
            self._socket = self._tls.wrap_socket(opened, server_hostname=self._server.host)
        return self._socket

    def cut(self) -> None:
        """End the conversation; whatever waits in it fails at once."""
        self._over = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class _Smtp(smtplib.SMTP):
    """The standard library's client, connected to an address that was judged.

    It reads answers from `file`, which it makes of the socket, however long they are.
    """

    _answers: "_Answers | None" = None

    def __init__(self, conversation: _Conversation, host: str, port: int, timeout: float) -> None:
        self._conversation = conversation
        # Without a name of its own it would ask the name server for one.
        super().__init__(host, port, local_hostname=socket.gethostname(), timeout=timeout)

    # mypy sees no @override on a property with a setter.
    @property  # type: ignore[explicit-override]
    def file(self) -> "_Answers | None":
        """Where answers come from."""
        return self._answers

    @file.setter
    def file(self, file: BinaryIO | None) -> None:
        self._answers = _Answers(file) if file is not None else None

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Return the connection; the certificate is still checked against the host's name."""
        del host, timeout
        return self._conversation.connect(port)


class _Answers:
    """A server's answers, up to a length that no good server's have."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = _ANSWER_BYTES
        self.close = file.close

    def readline(self, size: int) -> bytes:
        """Return the next line.

        Raises:
            OSError: it was too much.
        """
        line = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            message = "the server's answers have no end"
            raise OSError(message)
        return line


def _refusals(recipients: dict[str, tuple[int, bytes]]) -> str:
    each = (f"{name} was refused: {_answer(*answer)}" for name, answer in recipients.items())
    return "; ".join(each)


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"SMTP {code}: {fit(words, _REASON_CHARS)}"
