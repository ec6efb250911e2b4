"""Tunnels: a WebSocket client and a WebSocket server that are not ours (python3-websockets), with the dispatcher between them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
import websockets
from websockets.legacy.client import WebSocketClientProtocol

from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.namespaces import run_in
from sluicelab.network import FILES_ADDRESS, server_address

PORT = 81
URL = f"ws://{FILES_ADDRESS}:{PORT}/"
pytestmark = pytest.mark.usefixtures("echo_server")


def configure() -> Configuration:
    echo = pool("echo", [f"{server_address(1)}:8001"], connections=2, tunnels={"initial": 200, "maximum": 200, "control": "fixed"})
    return configuration([service("echo", f"{FILES_ADDRESS}:{PORT}", "echo")], [echo])


def with_socket(talk: Callable[[WebSocketClientProtocol], Awaitable[None]], host: str = "client1") -> None:
    async def main() -> None:
        async with websockets.connect(URL, max_size=None, compression=None, open_timeout=5) as socket:  # type: ignore[attr-defined]
            await asyncio.wait_for(talk(socket), 30)

    run_in(host, lambda: asyncio.run(main()), timeout=45)


@pytest.mark.parametrize("host", ["client1", "client2"])
def test_messages_of_all_sizes(dispatcher: Dispatcher, host: str) -> None:
    chance = random.Random(7)
    messages = [chance.randbytes(size) for size in (0, 1, 125, 126, 1400, 1460, 65535, 65536, 1_000_000)]

    async def talk(socket: WebSocketClientProtocol) -> None:
        for message in messages:
            await socket.send(message)
            assert await socket.recv() == message

    with_socket(talk, host)


def test_both_directions_at_once(dispatcher: Dispatcher) -> None:
    async def talk(socket: WebSocketClientProtocol) -> None:
        async def speak() -> None:
            for number in range(1000):
                await socket.send(f"{number} " + "x" * (number * 13 % 2000))

        speaking = asyncio.create_task(speak())
        for number in range(1000):
            assert str(await socket.recv()).startswith(f"{number} ")
        await speaking

    with_socket(talk)


def test_close_codes_pass(dispatcher: Dispatcher) -> None:
    async def talk(socket: WebSocketClientProtocol) -> None:
        await socket.send("close")
        with pytest.raises(websockets.ConnectionClosed) as closed:  # type: ignore[attr-defined]
            await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4002

    with_socket(talk)


def no_tunnels(dispatcher: Dispatcher) -> None:
    """Waits until the tunnels of earlier tests are gone: one that closed in order is kept for a second."""
    dispatcher.until_true(lambda: dispatcher.metrics.total("tunnels") == 0, lambda: "no tunnel", 5)


def test_tunnels_hold_no_request_slot_and_are_counted(dispatcher: Dispatcher) -> None:
    """The pool's limit is two connections; a hundred tunnels live beside it."""
    no_tunnels(dispatcher)
    before = dispatcher.gauges_at_rest()

    async def main() -> None:
        sockets = [await websockets.connect(URL, compression=None, open_timeout=5) for _ in range(100)]  # type: ignore[attr-defined]
        for number, socket in enumerate(sockets):
            await socket.send(str(number))
        assert [await socket.recv() for socket in sockets] == [str(number) for number in range(100)]
        assert dispatcher_metrics() == before["tunnels"] + 100
        for socket in sockets:
            await socket.close()

    def dispatcher_metrics() -> float:
        return run_in("dispatcher", lambda: dispatcher.metrics.total("tunnels"))

    run_in("client1", lambda: asyncio.run(main()), timeout=45)
    dispatcher.until_gauges(before)


def test_aborted_tunnel_is_gone(dispatcher: Dispatcher) -> None:
    no_tunnels(dispatcher)
    before = dispatcher.gauges_at_rest()
    client = Conversation(FILES_ADDRESS, PORT)
    client.request(
        "/",
        fields={
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "c2x1aWNlIGxhYiB0ZXN0cw==",
        },
    )
    assert client.answer().status == 101
    dispatcher.until_true(lambda: dispatcher.metrics.total("tunnels") == before["tunnels"] + 1, lambda: "one tunnel", 3)
    client.abort()
    dispatcher.until_gauges(before)
