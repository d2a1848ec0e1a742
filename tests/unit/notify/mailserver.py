"""A mail server on loopback that speaks SMTP: with STARTTLS or TLS, a login, and bad moods."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Mood:
    """How the server behaves.

    Attributes:
        starttls: whether STARTTLS is offered.
        refused: recipients that are refused.
        silent_at: the command that is never answered.
        chatty_at: the command whose answer never ends.
        password: what a login must give.
        answers: answers instead of the usual ones, by command.
    """

    starttls: bool = True
    refused: tuple[str, ...] = ()
    silent_at: str = ""
    chatty_at: str = ""
    password: str = ""
    answers: dict[str, str] = field(default_factory=dict)


@dataclass
class Taken:
    """A mail as it arrived."""

    sender: str
    recipients: list[str]
    content: bytes
    encrypted: bool
    login: str | None


@dataclass
class MailServer:
    """A running server: where it listens, and what it got."""

    port: int
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


class _Session:
    def __init__(
        self,
        server: MailServer,
        mood: Mood,
        tls: ssl.SSLContext | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.server, self.mood, self.tls = server, mood, tls
        self.reader, self.writer = reader, writer
        self.sender = ""
        self.recipients: list[str] = []
        self.login: str | None = None

    async def say(self, text: str) -> None:
        self.writer.write(text.encode() + b"\r\n")
        await self.writer.drain()

    async def serve(self) -> None:
        await self.say("220 mail.example ESMTP")
        while line := (await self.reader.readline()).decode().strip():
            command, _, argument = line.partition(" ")
            self.server.commands.append(command.upper())
            if command.upper() == self.mood.silent_at:
                await asyncio.sleep(60)
            while command.upper() == self.mood.chatty_at:
                await self.say("250-and another thing")
                await asyncio.sleep(0)
            if command.upper() in self.mood.answers:
                await self.say(self.mood.answers[command.upper()])
            elif not await self.answer(command.upper(), argument):
                return

    async def answer(self, command: str, argument: str) -> bool:
        encrypted = self.writer.get_extra_info("ssl_object") is not None
        match command:
            case "EHLO":
                offers = ["mail.example", "AUTH PLAIN"]
                offers += ["STARTTLS"] if self.mood.starttls and not encrypted else []
                lines = [f"250-{offer}" for offer in offers]
                await self.say("\r\n".join([*lines, "250 8BITMIME"]))
            case "STARTTLS":
                await self.say("220 go on")
                assert self.tls is not None
                await self.writer.start_tls(self.tls)
            case "AUTH":
                given = base64.b64decode(argument.split()[1]).decode().split("\0")
                self.login = given[1]
                good = given[2] == self.mood.password
                await self.say("235 welcome" if good else "535 5.7.8 who are you?\x1b[2J")
            case "MAIL":
                self.sender = argument.split("<")[1].split(">", maxsplit=1)[0]
                await self.say("250 ok")
            case "RCPT":
                name = argument.split("<")[1].split(">", maxsplit=1)[0]
                if name in self.mood.refused:
                    await self.say("550 no such person")
                else:
                    self.recipients.append(name)
                    await self.say("250 ok")
            case "DATA":
                await self.say("354 go on")
                content = await self.reader.readuntil(b"\r\n.\r\n")
                self.server.taken.append(
                    Taken(self.sender, self.recipients, content, encrypted, self.login)
                )
                await self.say("250 taken")
            case "QUIT":
                await self.say("221 bye")
                return False
            case _:
                await self.say("250 ok")
        return True


@asynccontextmanager
async def mail_server(
    mood: Mood, tls: ssl.SSLContext | None = None, *, implicit: bool = False
) -> AsyncIterator[MailServer]:
    """Run a server for the body of the `async with`."""
    tasks: set[asyncio.Task[None]] = set()
    running = MailServer(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await _Session(running, mood, tls, reader, writer).serve()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls if implicit else None)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        await server.wait_closed()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
