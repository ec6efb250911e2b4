"""Answers that show whose they are: a server whose every body is made of its request's own target, and clients that compare each byte.

As a program, it is that server: `tagged.py ADDRESS PORT`. SIGUSR1 resets all of its connections.
"""

from __future__ import annotations

import asyncio
import collections
import random
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

PATIENCE = 20.0  # seconds that a client waits for an answer: longer than any time-out of the dispatcher in these scenarios
PIECE = 32 << 10


def body(target: str) -> bytes:
    """`/TAG/SIZE`: the target itself, again and again."""
    size = int(target.rsplit("/", 1)[1])
    line = target.encode() + b"\n"
    return (line * (size // len(line) + 1))[:size]


# MARK: The server


def _abort(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def serve(address: str, port: int) -> None:
    writers: set[asyncio.StreamWriter] = set()
    chance = random.Random()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                answer = body(head.split(" ")[1])
                if chance.random() < 0.3:
                    await asyncio.sleep(chance.random() * 0.03)  # so that there is always something under way
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n".encode())
                for at in range(0, len(answer), PIECE):
                    writer.write(answer[at : at + PIECE])
                    await writer.drain()
                    await asyncio.sleep(0)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writers.discard(writer)
            writer.close()

    def reset_all() -> None:
        for writer in list(writers):
            _abort(writer)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, reset_all)
    server = await asyncio.start_server(connection, address, port, backlog=1024, reuse_address=True)
    async with server:
        await server.serve_forever()


# MARK: The clients


@dataclass
class Outcomes:
    """What became of requests. `wrong` must stay empty."""

    right: int = 0
    refused: collections.Counter[str] = field(default_factory=collections.Counter)  # 502, 503, 504, reset, closed, no answer
    wrong: list[str] = field(default_factory=list)
    last_failure: float = 0.0  # on the monotonic clock

    def fail(self, how: str) -> None:
        self.refused[how] += 1
        self.last_failure = time.monotonic()

    @property
    def failures(self) -> int:
        return sum(self.refused.values())


class _Wrong(Exception):
    pass


async def _answer(reader: asyncio.StreamReader, target: str) -> str:
    """`200` when the body is what it must be; else the status of a refusal."""
    line = await reader.readuntil(b"\r\n")
    if not line.startswith(b"HTTP/1.1 ") or not line[9:12].isdigit():
        raise _Wrong(f"{target}: status line {line[:80]!r}")
    status, length = line[9:12].decode(), 0
    while (name := (await reader.readuntil(b"\r\n")).lower()) != b"\r\n":
        if name.startswith(b"content-length:"):
            length = int(name.split(b":")[1])
    if status != "200":
        await reader.readexactly(length)
        return status
    wanted, at = body(target), 0
    if length != len(wanted):
        raise _Wrong(f"{target}: Content-Length {length}, wanted {len(wanted)}")
    while at < length:
        piece = await reader.read(min(length - at, 1 << 16))
        if not piece:
            raise ConnectionAbortedError("closed inside the body")
        if piece != wanted[at : at + len(piece)]:
            raise _Wrong(f"{target}: bytes {at} to {at + len(piece)} are not its own: {piece[:60]!r}")
        at += len(piece)
    return status


async def _client(address: str, port: int, name: str, sizes: list[int], until: float, chance: random.Random, outcomes: Outcomes) -> None:
    count = 0
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while time.monotonic() < until:
        count += 1
        target = f"/{name}-{count}/{chance.choice(sizes)}"
        try:
            if connection is None:
                connection = await asyncio.wait_for(asyncio.open_connection(address, port), PATIENCE)
            reader, writer = connection
            writer.write(f"GET {target} HTTP/1.1\r\nHost: tagged\r\n\r\n".encode())
            status = await asyncio.wait_for(_answer(reader, target), PATIENCE)
            if status == "200":
                outcomes.right += 1
                if chance.random() < 0.95:
                    await asyncio.sleep(chance.random() * 0.02)
                    continue
            else:
                outcomes.fail(status)
        except _Wrong as wrong:
            outcomes.wrong.append(str(wrong))
        except ConnectionResetError:
            outcomes.fail("reset")
        except (ConnectionError, asyncio.IncompleteReadError):
            outcomes.fail("closed")
        except asyncio.TimeoutError:
            outcomes.fail("no answer")
        if connection is not None:
            connection[1].close()
        connection = None
        await asyncio.sleep(0.02)
    if connection is not None:
        connection[1].close()


async def _clients(address: str, port: int, name: str, count: int, sizes: list[int], seconds: float, seed: int) -> Outcomes:
    outcomes, until = Outcomes(), time.monotonic() + seconds
    await asyncio.gather(
        *(_client(address, port, f"{name}{number}", sizes, until, random.Random(seed * 1000 + number), outcomes) for number in range(count))
    )
    await asyncio.sleep(0.2)
    return outcomes


def ask(address: str, port: int, name: str, count: int, sizes: list[int], seconds: float, seed: int = 1) -> Outcomes:
    """So many clients for so long, in the host of the calling thread; names must differ between calls."""
    return asyncio.run(_clients(address, port, name, count, sizes, seconds, seed))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
