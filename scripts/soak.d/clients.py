"""The kinds of clients of the soak. Each behaviour is one visit: it opens its connections itself, and must close them."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

ADDRESS, PORT = "10.77.1.101", 80
PATIENCE = 30  # seconds that any step may take


class Wrong(Exception):
    """An answer that is not what it should be."""


@dataclass
class Visit:
    """What a behaviour works with."""

    files: dict[str, bytes]
    chance: random.Random

    def name(self, big: bool = False) -> str:
        return "1MiB" if big else self.chance.choice(["twelve", "1KiB", "1KiB", "64KiB", "chunked/1KiB", "chunked/64KiB"])

    def content(self, name: str) -> bytes:
        return b"hello world\n" if name == "twelve" else self.files[name.removeprefix("chunked/")]


Behaviour = Callable[[Visit], Awaitable[None]]


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, receive_buffer: int | None = None) -> Client:
        plain = socket.socket()
        plain.setblocking(False)
        if receive_buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(plain, (ADDRESS, PORT)), PATIENCE)
        except BaseException:
            plain.close()
            raise
        return cls(*await asyncio.open_connection(sock=plain, limit=1 << 16))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), PATIENCE)

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        """By RST."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def read(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE)

    async def line(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n"), PATIENCE)

    async def answer(self) -> bytes:
        """The body of a 200."""
        status = await self.line()
        if not status.startswith(b"HTTP/1.1 200"):
            raise Wrong(f"status line {status!r}")
        length, chunked = 0, False
        while (line := (await self.line()).lower()) != b"\r\n":
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            chunked = chunked or line.startswith(b"transfer-encoding: chunked")
        if not chunked:
            return await self.read(length)
        body = b""
        while size := int((await self.line()).split(b";")[0], 16):
            body += (await self.read(size + 2))[:-2]
        await self.line()
        return body


def request(name: str, *fields: str) -> bytes:
    path = "/" if name == "twelve" else f"/{name}"
    return ("\r\n".join([f"GET {path} HTTP/1.1", "Host: soak", *fields]) + "\r\n\r\n").encode()


def expect(got: bytes, wanted: bytes, what: str) -> None:
    if got != wanted:
        raise Wrong(f"{what}: {len(got)} bytes that differ from the {len(wanted)} expected")


# MARK: Behaviours


async def keep_alive(visit: Visit) -> None:
    client = await Client.open()
    try:
        for _ in range(visit.chance.randrange(1, 50)):
            name = visit.name()
            await client.send(request(name))
            expect(await client.answer(), visit.content(name), name)
    finally:
        client.close()


async def pipelined(visit: Visit) -> None:
    names = [visit.name() for _ in range(visit.chance.randrange(2, 8))]
    client = await Client.open()
    try:
        await client.send(b"".join(request(name) for name in names))
        for name in names:
            expect(await client.answer(), visit.content(name), name)
    finally:
        client.close()


async def closed(visit: Visit) -> None:
    client, name = await Client.open(), visit.name()
    try:
        await client.send(request(name, "Connection: close"))
        expect(await client.answer(), visit.content(name), name)
        if await asyncio.wait_for(client.reader.read(1), PATIENCE):
            raise Wrong("bytes after the answer to Connection: close")
    finally:
        client.close()


async def half_closed(visit: Visit) -> None:
    client, name = await Client.open(), visit.name(big=True)
    try:
        await client.send(request(name))
        client.writer.write_eof()
        expect(await client.answer(), visit.content(name), name)
    finally:
        client.close()


async def aborted_in_the_request(visit: Visit) -> None:
    client = await Client.open()
    whole = (
        request("twelve", "X-Long: " + "x" * 3000)
        if visit.chance.random() < 0.5
        else b"POST / HTTP/1.1\r\nHost: soak\r\nContent-Length: 9000\r\n\r\n" + b"x" * 5000
    )
    await client.send(whole[: visit.chance.randrange(0, len(whole) - 4)])
    await asyncio.sleep(visit.chance.random() * 0.2)
    client.abort() if visit.chance.random() < 0.5 else client.close()


async def aborted_in_the_answer(visit: Visit) -> None:
    client = await Client.open()
    await client.send(request("1MiB"))
    await client.read(visit.chance.randrange(1, 200_000))
    client.abort() if visit.chance.random() < 0.5 else client.close()


async def gone_at_once(visit: Visit) -> None:
    client = await Client.open()
    await client.send(request(visit.name()))
    client.abort() if visit.chance.random() < 0.5 else client.close()


async def slow_reader(visit: Visit) -> None:
    client, body = await Client.open(receive_buffer=8192), b""
    try:
        await client.send(request("64KiB"))
        while not body.endswith(visit.content("64KiB")[-64:]):
            piece = await asyncio.wait_for(client.reader.read(4096), PATIENCE)
            if not piece:
                raise Wrong("the answer to a slow reader was cut short")
            body += piece
            await asyncio.sleep(0.05)
        expect(body.split(b"\r\n\r\n", 1)[1], visit.content("64KiB"), "64KiB, read slowly")
    finally:
        client.close()


async def slow_writer(visit: Visit) -> None:
    client = await Client.open()
    whole = b"POST / HTTP/1.1\r\nHost: soak\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000
    try:
        for at in range(0, len(whole), 100):
            await client.send(whole[at : at + 100])
            await asyncio.sleep(0.05)
        expect(await client.answer(), b"hello world\n", "the answer to a slow writer")
    finally:
        client.close()


BEHAVIOURS: dict[Behaviour, int] = {  # how often, relative to the others
    keep_alive: 6,
    pipelined: 3,
    closed: 6,
    half_closed: 2,
    aborted_in_the_request: 4,
    aborted_in_the_answer: 3,
    gone_at_once: 3,
    slow_reader: 2,
    slow_writer: 2,
}
