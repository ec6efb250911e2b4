"""Push messages through the dispatcher and two workers; device and application server are plain python3-websockets, urllib and openssl."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any

import pytest
from websockets.legacy.client import Connect, WebSocketClientProtocol
from websockets.typing import Subprotocol

from conftest import started
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.namespaces import inside, run_in
from sluicelab.network import PUSH_ADDRESS, SOURCE_ADDRESS, server_address
from sluicelab.paths import binary
from sluicelab.processes import Process

NEEDS = ["workers"]
URL = f"http://{PUSH_ADDRESS}"
Event = dict[str, Any]


def configure() -> Configuration:
    push = service("push", f"{PUSH_ADDRESS}:80", "ua")
    push["routes"] = [{"path-prefix": "/notify/", "pool": "as"}, {"pool": "ua"}]
    fronts, applications = ([f"{server_address(number)}:{port}" for number in (1, 2)] for port in (8080, 8081))
    return configuration(
        [push], [pool("ua", fronts, tunnels={"initial": 1000, "maximum": 1000, "control": "fixed"}), pool("as", applications)]
    )


@pytest.fixture(scope="module")
def workers(lab: None, workspace: Path) -> Iterator[list[Process]]:
    """One worker in each server; they share a data directory."""
    running: list[Process] = []
    for number in (1, 2):
        command: list[str | Path] = [
            binary("sluice-worker"),
            "--data",
            workspace / "push",
            "--listen",
            server_address(number),
            "--ua-port",
            "8080",
            "--as-port",
            "8081",
            "--public-url",
            URL,
            "--trusted-proxy",
            f"{SOURCE_ADDRESS}/32",
            "--token-rate",
            "0",
        ]
        worker = Process(f"server{number}", command, workspace / f"worker{number}.log")
        running.append(worker)
        started.append(worker)
        worker.until(
            lambda: fetch(f"http://{server_address(number)}:8080/status", f"server{number}")[0] == 200, "a worker that answers /status", 15
        )
    yield running
    for worker in running:
        worker.signal(Signals.SIGTERM)  # all drain at once
    for worker in running:
        worker.stop()
        started.remove(worker)


def fetch(url: str, host: str = "client1", data: bytes | None = None) -> tuple[int, str]:
    """Status and body; status 0 when nothing answers."""
    with inside(host):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=8) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""


@dataclass(frozen=True)
class Key:
    """An application server's RSA key, made by openssl."""

    private: Path

    @classmethod
    def make(cls, path: Path) -> Key:
        subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
        return cls(path)

    @property
    def public(self) -> str:
        """pbkbase64: the base64 of the PEM text."""
        pem = subprocess.run(["openssl", "rsa", "-in", self.private, "-pubout"], check=True, capture_output=True).stdout
        return base64.b64encode(pem).decode()

    def sign(self, message: str) -> str:
        return subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.private], input=message.encode(), check=True, capture_output=True
        ).stdout.hex()


@pytest.fixture(scope="module")
def key(workspace: Path) -> Key:
    return Key.make(workspace / "key")


def notify(url: str, key: Key, message: str, **members: Any) -> tuple[int, Event]:
    """POSTs a signed message from client1 through the dispatcher."""
    content = {"messageType": "notification", "id": "1", "message": message, "signature": key.sign(message), **members}
    status, text = fetch(url, data=json.dumps(content).encode())
    return status, json.loads(text)


def connection() -> Connect:
    return Connect(f"ws://{PUSH_ADDRESS}/", subprotocols=[Subprotocol("push-notification")], compression=None, open_timeout=5)


class Device:
    """A device; each `connected` is one stay on the network."""

    def __init__(self, key: Key, watoken: str | None = None) -> None:
        status, self.token = fetch(f"{URL}/token")
        assert status == 200
        self.key, self.watoken, self.url = key, watoken or secrets.token_hex(16), ""

    def connected(self, stay: Callable[[WebSocketClientProtocol], Awaitable[None]], register: bool = True) -> None:
        async def main() -> None:
            async with connection() as socket:
                assert socket.subprotocol == "push-notification"
                await say(socket, "registerUA", uatoken=self.token)
                answer = await hear(socket)
                assert (answer["messageType"], answer["status"], answer["statusCode"]) == ("registerUA", "REGISTERED", 200)
                if register:
                    await say(socket, "registerWA", uatoken=self.token, watoken=self.watoken, pbkbase64=self.key.public)
                    answer = await hear(socket)
                    assert (answer["status"], answer["statusCode"]) == ("REGISTERED", 200)
                    self.url = answer["url"]
                await stay(socket)

        run_in("client1", lambda: asyncio.run(main()), timeout=40)

    def register(self) -> str:
        """A stay of no length; the URL for application servers."""

        async def leave(_: WebSocketClientProtocol) -> None:
            pass

        self.connected(leave)
        return self.url


async def say(socket: WebSocketClientProtocol, kind: str, **data: Any) -> None:
    await socket.send(json.dumps({"messageType": kind, "data": data}))


async def hear(socket: WebSocketClientProtocol, timeout: float = 5) -> Event:
    event: Event = json.loads(await asyncio.wait_for(socket.recv(), timeout))
    return event


async def acknowledge(socket: WebSocketClientProtocol, notification: Event) -> None:
    await socket.send(json.dumps({"messageType": "ack", "messageId": notification["messageId"]}))


async def nothing_comes(socket: WebSocketClientProtocol, timeout: float = 1) -> None:
    with pytest.raises(asyncio.TimeoutError):
        print("unexpected:", await asyncio.wait_for(socket.recv(), timeout))


def test_tokens_differ_and_are_short(dispatcher: Dispatcher) -> None:
    tokens = [fetch(f"{URL}/token") for _ in range(4)]
    assert all(status == 200 and 0 < len(token) < 128 and token == token.strip() for status, token in tokens)
    assert len({token for _, token in tokens}) == 4


def test_message_reaches_a_connected_device(dispatcher: Dispatcher, key: Key) -> None:
    device = Device(key)

    async def stay(socket: WebSocketClientProtocol) -> None:
        status, answer = await asyncio.to_thread(notify, device.url, key, "grüße, device", id="a1", priority="2")
        assert (status, answer["status"]) == (200, "ACCEPTED")
        got = await hear(socket)
        assert (got["messageType"], got["id"], got["message"], got["priority"], got["url"]) == (
            "notification",
            "a1",
            "grüße, device",
            "2",
            device.url,
        )
        await acknowledge(socket, got)
        await nothing_comes(socket)

    device.connected(stay)


def test_messages_wait_for_an_absent_device_and_come_in_order(dispatcher: Dispatcher, key: Key) -> None:
    device = Device(key)
    url = device.register()
    for number in range(10):
        assert notify(url, key, f"message {number}", id=str(number))[0] == 200

    async def stay(socket: WebSocketClientProtocol) -> None:
        for number in range(10):
            got = await hear(socket)
            assert got["message"] == f"message {number}"
            await acknowledge(socket, got)
        await asyncio.sleep(0.3)

    device.connected(stay, register=False)

    async def again(socket: WebSocketClientProtocol) -> None:
        await nothing_comes(socket)

    device.connected(again, register=False)


def test_what_was_not_acknowledged_comes_again(dispatcher: Dispatcher, key: Key) -> None:
    device = Device(key)
    url = device.register()
    assert notify(url, key, "again and again")[0] == 200
    seen: list[str] = []

    async def hear_and_leave(socket: WebSocketClientProtocol) -> None:
        seen.append((await hear(socket))["messageId"])

    async def acknowledge_at_last(socket: WebSocketClientProtocol) -> None:
        got = await hear(socket)
        seen.append(got["messageId"])
        await acknowledge(socket, got)

    device.connected(hear_and_leave, register=False)
    device.connected(hear_and_leave, register=False)
    device.connected(acknowledge_at_last, register=False)
    assert len(seen) == 3 and len(set(seen)) == 1, "the same messageId marks the duplicate"


def test_get_all_messages(dispatcher: Dispatcher, key: Key) -> None:
    device = Device(key)
    url = device.register()
    for text in ("one", "two"):
        assert notify(url, key, text)[0] == 200

    async def stay(socket: WebSocketClientProtocol) -> None:
        await say(socket, "getAllMessages", uatoken=device.token)
        while (answer := await hear(socket))["messageType"] != "getAllMessages":
            pass  # what was pending comes by itself, too
        assert [message["message"] for message in answer["messages"]] == ["one", "two"]
        for message in answer["messages"]:
            await acknowledge(socket, message)

    device.connected(stay, register=False)


def test_devices_on_both_workers_are_reached_within_a_second(dispatcher: Dispatcher, key: Key) -> None:
    """One URL for devices that share token and key. Tunnels are spread over the workers, and so is what an application server sends."""
    watoken = secrets.token_hex(16)
    devices = [Device(key, watoken) for _ in range(6)]

    async def main() -> None:
        sockets = []
        for device in devices:
            socket = await connection()
            sockets.append(socket)
            await say(socket, "registerUA", uatoken=device.token)
            await hear(socket)
            await say(socket, "registerWA", uatoken=device.token, watoken=watoken, pbkbase64=key.public)
            device.url = (await hear(socket))["url"]
        assert len({device.url for device in devices}) == 1
        for turn in range(4):
            assert (await asyncio.to_thread(notify, devices[0].url, key, f"all {turn}"))[0] == 200
            accepted = time.monotonic()
            for socket in sockets:
                got = await hear(socket)
                assert got["message"] == f"all {turn}"
                await acknowledge(socket, got)
            assert time.monotonic() - accepted < 1
        for socket in sockets:
            await socket.close()

    run_in("client1", lambda: asyncio.run(main()), timeout=40)


def test_refusals(dispatcher: Dispatcher, key: Key, workspace: Path) -> None:
    stranger = Key.make(workspace / "strangers-key")
    url = Device(key).register()
    assert notify(url, stranger, "forged") == (403, {"status": "ERROR", "reason": "Bad signature, dropping notification"})
    assert notify(url, key, "altered", signature=key.sign("another text"))[0] == 403
    assert notify(url, key, "unsigned", signature="")[0] == 401
    assert notify(url[:-1] + ("0" if url[-1] != "0" else "1"), key, "nobody")[0] == 404
    assert fetch(url, data=b"{")[0] == 400
    assert fetch(url)[0] == 405
    assert notify(url, key, "x" * 20000)[0] == 413
    assert notify(url, key, "after all that")[0] == 200
