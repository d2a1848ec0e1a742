"""Receivers on loopback that behave, misbehave, or do not answer at all."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Reply = Callable[["Sink", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Received:
    """One request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Sink:
    """A running receiver: its address, and what it got."""

    url: str = ""
    received: list[Received] = field(default_factory=list)


def answer(status: str, body: str = "", **headers: str) -> Reply:
    """Return a reply that answers at once."""

    async def reply(_: Sink, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", body]).encode())
        await writer.drain()

    return reply


def in_turn(*replies: Reply) -> Reply:
    """Return a reply that behaves differently from one request to the next, then as the last."""

    async def reply(sink: Sink, writer: asyncio.StreamWriter) -> None:
        await replies[min(len(sink.received), len(replies)) - 1](sink, writer)

    return reply


async def never(_: Sink, writer: asyncio.StreamWriter) -> None:
    """Accept the request and never answer."""
    del writer
    await asyncio.sleep(60)


def trickle(status: str) -> Reply:
    """Return a reply that sends its headers, then a byte at a time without end."""

    async def reply(_: Sink, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 100000\r\n\r\n".encode())
        await trickle_on(writer)

    return reply


async def trickled_headers(_: Sink, writer: asyncio.StreamWriter) -> None:
    """Send an answer's first line a byte at a time, without end."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    await trickle_on(writer)


async def trickle_on(writer: asyncio.StreamWriter) -> None:
    """Send a byte at a time without end."""
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


def reset(after: bytes) -> Reply:
    """Return a reply that sends something and cuts the connection."""

    async def reply(_: Sink, writer: asyncio.StreamWriter) -> None:
        writer.write(after)
        await writer.drain()
        writer.transport.abort()

    return reply


async def flood(_: Sink, writer: asyncio.StreamWriter) -> None:
    """Answer 500 with a body without end, as fast as it is taken."""
    writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 100000000000\r\n\r\n")
    while True:
        writer.write(b"<html>\x1b[31m" * 10_000)
        await writer.drain()


@asynccontextmanager
async def sink(
    reply: Reply, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Sink]:
    """Run a receiver for the body of the `async with`."""
    running = Sink()
    open_tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_tasks.add(task)
        try:
            running.received.append(await _read(reader))
            await reply(running, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            open_tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    running.url = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield running
    finally:
        server.close()
        await server.wait_closed()
        for task in open_tasks:
            task.cancel()
        await asyncio.gather(*open_tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.rstrip("\r\n").split("\r\n")
    headers = dict(header.split(": ", 1) for header in rest)
    body = await reader.readexactly(int(headers.get("Content-Length", "0")))
    return Received(line, headers, body)
