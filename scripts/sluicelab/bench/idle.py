"""Many connections on which nothing happens, for what they cost in memory; and a server that becomes a tunnel when asked to.

    idle.py clients ADDRESS PORT COUNT keep|tunnel
    idle.py server PORT

keep: each client has had one answer (200). tunnel: each has had 101 Switching Protocols. Prints `open COUNT` when all stand. At SIGTERM
prints a line of JSON: how many stood, and how many of them did not any more.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import resource
import signal
import sys

AT_ONCE = 64  # connections that are being opened
ANSWER_SECONDS = 10.0
KEY = base64.b64encode(b"sluice-idle-test").decode()
KEEP = b"GET / HTTP/1.1\r\nHost: idle\r\n\r\n"
TUNNEL = (
    "GET / HTTP/1.1\r\nHost: idle\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\n\r\n"
).encode()
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class Client(asyncio.Protocol):
    """Asks once, and then only notes whether the connection still stands."""

    def __init__(self, tunnel: bool) -> None:
        self._tunnel = tunnel
        self._got = b""
        self._transport: asyncio.BaseTransport | None = None
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(TUNNEL if self._tunnel else KEEP)

    def data_received(self, data: bytes) -> None:
        if self.answered.done():
            self.lost = True  # nothing was asked for
            return
        self._got += data
        if whole(self._got):
            wanted = b"HTTP/1.1 101 " if self._tunnel else b"HTTP/1.1 200 "
            if self._got.startswith(wanted):
                self.answered.set_result(None)
            else:
                self.answered.set_exception(ConnectionError(f"not {wanted.decode()}: {self._got[:80]!r}"))
            self._got = b""

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if not self.answered.done():
            self.answered.set_exception(error or ConnectionError("closed before the answer"))


def whole(answer: bytes) -> bool:
    """Whether that is a head and as much of a body as its Content-Length says, none without one."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


class Server(asyncio.Protocol):
    """Answers every head: 101 when it asks for a WebSocket, else 200 with nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport, self._got = transport, b""

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, rest = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        self._got = rest
        key = re.search(rb"(?i)\r\nsec-websocket-key: *([^\r ]+)", head)
        if key is None:
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        accept = base64.b64encode(hashlib.sha1(key[1] + GUID.encode()).digest()).decode()
        answer = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        self._transport.write(answer.encode())


def until_told() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def clients(address: str, port: int, count: int, tunnel: bool) -> None:
    loop, stopped, turn = asyncio.get_running_loop(), until_told(), asyncio.Semaphore(AT_ONCE)

    async def one() -> Client:
        async with turn:
            _, client = await loop.create_connection(lambda: Client(tunnel), address, port)
            await asyncio.wait_for(client.answered, ANSWER_SECONDS)
            return client

    standing = await asyncio.gather(*(one() for _ in range(count)))
    print(f"open {count}", flush=True)
    await stopped.wait()
    print(json.dumps({"stood": len(standing), "lost": sum(client.lost for client in standing)}), flush=True)


async def server(port: int) -> None:
    stopped = until_told()
    listener = await asyncio.get_running_loop().create_server(Server, "0.0.0.0", port, backlog=4096)
    print("ready", flush=True)
    await stopped.wait()
    listener.close()


def main(words: list[str]) -> int:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    match words:
        case ["clients", address, port, count, ("keep" | "tunnel") as kind]:
            asyncio.run(clients(address, int(port), int(count), kind == "tunnel"))
        case ["server", port]:
            asyncio.run(server(int(port)))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
