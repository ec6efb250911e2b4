"""A web server in the lab whose answers a test chooses, and which remembers what it was asked."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sluicelab.namespaces import HostThread


@dataclass(frozen=True)
class Request:
    """A request as it reached the server, and on which of its connections."""

    method: str
    target: str
    version: str
    fields: list[tuple[str, str]]
    body: bytes
    connection: int

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]


class Closed(Exception):
    """The peer has gone; an answer may raise it too, to end the connection."""


@dataclass
class Exchange:
    """What an answer works with: the request, and the connection it came on."""

    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    stopped: asyncio.Event = field(repr=False)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ok(self, body: bytes, *more: str) -> None:
        fields = "".join(f"{line}\r\n" for line in more)
        await self.send(f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def pause(self, seconds: float) -> None:
        """Sleeps; cut short by the server's end."""
        try:
            await asyncio.wait_for(self.stopped.wait(), seconds)
        except asyncio.TimeoutError:
            return
        raise Closed

    def reset(self) -> None:
        """Ends the connection by RST."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        raise Closed


Handler = Callable[[Exchange], Awaitable[None]]


async def echo_target(exchange: Exchange) -> None:
    """What a path without a handler of its own answers."""
    await exchange.ok(exchange.request.target.encode())


class Backend:
    """Runs in a thread inside a host. `on` sets the answer of a path; `requests` is what was asked so far."""

    def __init__(self, host: str, address: str, port: int) -> None:
        self.host, self.address, self.port = host, address, port
        self.handlers: dict[str, Handler] = {}
        self._requests: list[Request] = []
        self._connections = 0
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._thread = HostThread(host, lambda: asyncio.run(self._serve()), name=f"backend {address}:{port}")
        if not self._ready.wait(5):
            self._thread.result(1)

    @property
    def requests(self) -> list[Request]:
        with self._lock:
            return list(self._requests)

    @property
    def connections(self) -> int:
        """How many were opened so far."""
        return self._connections

    def on(self, path: str, handler: Handler) -> None:
        self.handlers[path] = handler

    def says(self, path: str, data: bytes, then_close: bool = False) -> None:
        """The path is answered with exactly these bytes."""

        async def handler(exchange: Exchange) -> None:
            await exchange.send(data)
            if then_close:
                raise Closed

        self.on(path, handler)

    def forget(self) -> None:
        """Handlers and what was recorded: a clean slate between tests."""
        with self._lock:
            self.handlers.clear()
            self._requests.clear()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.result(5)

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, self.address, self.port, backlog=1024, reuse_address=True)
        self._ready.set()
        await self._stopped.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        try:
            while (request := await self._read(reader, number)) is not None:
                with self._lock:
                    self._requests.append(request)
                handler = self.handlers.get(request.target.split("?")[0], echo_target)
                await handler(Exchange(request, reader, writer, self._stopped))
                if any(value.lower() == "close" for value in request.values("Connection")):
                    return
        except (Closed, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def _read(reader: asyncio.StreamReader, connection: int) -> Request | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, version = lines[0].split(" ")
        fields = [(name, value.strip()) for name, value in (line.split(":", 1) for line in lines[1:])]
        request = Request(method, target, version, fields, b"", connection)
        body = b""
        if request.values("Transfer-Encoding"):
            while size := int((await reader.readline()).split(b";")[0], 16):
                body += (await reader.readexactly(size + 2))[:-2]
            while (await reader.readline()).strip():
                pass
        elif lengths := request.values("Content-Length"):
            body = await reader.readexactly(int(lengths[0]))
        return Request(method, target, version, fields, body, connection)
