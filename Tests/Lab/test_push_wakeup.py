"""A device in a mobile operator's network sleeps, is woken by a packet from the NS-WakeUp inside that network, and gets what is pending.

The device is plain python3-websockets and sockets in the host device1; NS-WakeUp runs in operator1; no worker can reach the device."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket as sockets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.legacy.client import WebSocketClientProtocol

from conftest import started
from sluicelab.dispatcher import Configuration, Dispatcher
from sluicelab.namespaces import inside, run_in
from sluicelab.network import DEVICE1, DEVICE1_V6, OPERATOR1_ORDERS, PUSH_ADDRESS, SOURCE_ADDRESS, server_address
from sluicelab.paths import binary
from sluicelab.processes import Process
from test_push import Event, Key, acknowledge, connection, fetch, hear, notify, say
from test_push import configure as configure_push

NEEDS = ["push"]
URL = f"http://{PUSH_ADDRESS}"
ORDERS = f"http://{OPERATOR1_ORDERS}:8090"
OPERATORS = f"""
operators:
  - {{ name: datagrams, mcc: "214", mnc: "07", networks: [10.77.4.0/24, "fd77:4::/64"], wakeup: ["{ORDERS}"] }}
  - {{ name: connections, mcc: "214", mnc: "08", networks: [10.77.4.0/24], wakeup: ["{ORDERS}"], packet: tcp }}
"""


def configure() -> Configuration:
    return configure_push()


def serving(host: str, url: str) -> bool:
    return fetch(url, host)[0] == 200


@pytest.fixture(scope="module")
def push(lab: None, workspace: Path) -> Iterator[list[Process]]:
    """Each role in a process of its own: fronts at server1, monitor and NS-UA-UDP at server2, NS-WakeUp at operator1; server2 has a second
    front, so that the dispatcher's pools have two servers."""
    table = workspace / "operators.yaml"
    table.write_text(OPERATORS)
    data = ["--data", workspace / "push", "--public-url", URL, "--operators", table]
    fronts = ["--ua-port", "8080", "--as-port", "8081", "--trusted-proxy", f"{SOURCE_ADDRESS}/32", "--token-rate", "0"]
    commands: dict[str, tuple[str, list[Any], str]] = {
        "fronts1": ("server1", [*data, *fronts, "--roles", "ua-ws,as", "--listen", server_address(1)], f"http://{server_address(1)}:8080"),
        "fronts2": ("server2", [*data, *fronts, "--roles", "ua-ws,as", "--listen", server_address(2)], f"http://{server_address(2)}:8080"),
        "monitor": ("server1", [*data, "--roles", "monitor"], ""),
        "ua-udp": ("server2", [*data, "--roles", "ua-udp"], ""),
        "wakeup": (
            "operator1",
            ["--roles", "wakeup", "--listen", OPERATOR1_ORDERS, "--wakeup-network", "10.77.4.0/24", "--wakeup-network", "fd77:4::/64"],
            ORDERS,
        ),
    }
    running: list[Process] = []
    for name, (host, arguments, url) in commands.items():
        process = Process(host, [binary("sluice-worker"), *arguments], workspace / f"{name}.log")
        running.append(process)
        started.append(process)
        if url:
            process.until(lambda: serving(host, f"{url}/status"), f"{name} that answers /status", 15)
        else:
            process.until(lambda: "serving" in process.log_end(), f"{name} that says that it serves", 15)
    yield running
    for process in running:
        process.stop()
        started.remove(process)


@pytest.fixture(scope="module")
def key(workspace: Path) -> Key:
    return Key.make(workspace / "wake-up-key")


class SleepingDevice:
    """Its socket for wake-ups is open all the time; its WebSocket only when it is awake."""

    def __init__(self, key: Key, address: str, mnc: str) -> None:
        self.key, self.address, self.mnc = key, address, mnc
        self.watoken, self.url = secrets.token_hex(16), ""
        self.token = fetch(f"{URL}/token", "device1")[1]
        family = sockets.AF_INET6 if ":" in address else sockets.AF_INET
        with inside("device1"):
            self.socket = sockets.socket(family, sockets.SOCK_STREAM if mnc == "08" else sockets.SOCK_DGRAM)
        self.socket.bind((address, 0))
        if mnc == "08":
            self.socket.listen()
        self.port = self.socket.getsockname()[1]

    async def register(self, socket: WebSocketClientProtocol) -> Event:
        interface = {"ip": self.address, "port": str(self.port)}
        await say(socket, "registerUA", uatoken=self.token, interface=interface, mobilenetwork={"mcc": "214", "mnc": self.mnc})
        return await hear(socket)

    def woken(self, timeout: float) -> str:
        """What the packet said; raises when none comes."""
        self.socket.settimeout(timeout)
        if self.mnc != "08":
            return self.socket.recv(2048).decode()
        peer, _ = self.socket.accept()
        with peer:
            peer.settimeout(2)
            text = b""
            while part := peer.recv(2048):
                text += part
            return text.decode()

    async def fall_asleep(self) -> float:
        """Registers all, and waits until the server ends the connection; how long that took."""
        async with connection() as socket:
            answer = await self.register(socket)
            assert (answer["statusCode"], answer["pushMode"]) == (200, "udp")
            await say(socket, "registerWA", uatoken=self.token, watoken=self.watoken, pbkbase64=self.key.public)
            self.url = (await hear(socket))["url"]
            begin = time.monotonic()
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 20)
            assert socket.close_code == 4774
            return time.monotonic() - begin

    async def wake_up(self) -> list[str]:
        """Connects, registers, and acknowledges what comes within half a second."""
        texts: list[str] = []
        async with connection() as socket:
            await self.register(socket)
            while True:
                try:
                    got = await hear(socket, 0.5)
                except asyncio.TimeoutError:
                    return texts
                texts.append(got["message"])
                await acknowledge(socket, got)


def test_sleep_and_wake_up_end_to_end(dispatcher: Dispatcher, key: Key) -> None:
    devices = [SleepingDevice(key, DEVICE1, "07"), SleepingDevice(key, DEVICE1_V6, "07"), SleepingDevice(key, DEVICE1, "08")]
    with inside("server2"), pytest.raises(TimeoutError):
        sockets.create_connection((DEVICE1, devices[2].port), timeout=0.5)

    async def sleep() -> list[float]:
        return await asyncio.gather(*(device.fall_asleep() for device in devices))

    for seconds in run_in("device1", lambda: asyncio.run(sleep()), timeout=40):
        assert 9.5 < seconds < 12, "ten seconds without traffic"
    for device in devices:
        with pytest.raises(TimeoutError):
            device.woken(0.3)
        assert notify(device.url, key, f"for {device.port}")[0] == 200
        accepted = time.monotonic()
        proto = "tcp" if device.mnc == "08" else "udp"
        assert device.woken(3) == f'NOTIFY {{"ip":"{device.address}","port":"{device.port}","proto":"{proto}"}}'
        assert time.monotonic() - accepted < 2
        assert notify(device.url, key, "and another")[0] == 200
        with pytest.raises(TimeoutError):
            device.woken(0.5)
        assert run_in("device1", lambda: asyncio.run(device.wake_up())) == [f"for {device.port}", "and another"]


def test_a_woken_device_may_just_poll(dispatcher: Dispatcher, key: Key) -> None:
    device = SleepingDevice(key, DEVICE1, "07")
    run_in("device1", lambda: asyncio.run(device.fall_asleep()), timeout=30)
    assert notify(device.url, key, "poll me")[0] == 200
    device.woken(3)

    async def poll() -> None:
        async with connection() as socket:
            await say(socket, "getAllMessages", uatoken=device.token)
            answer = await hear(socket)
            assert [message["message"] for message in answer["messages"]] == ["poll me"]
            await acknowledge(socket, answer["messages"][0])
            await socket.close()
        async with connection() as socket:
            await say(socket, "getAllMessages", uatoken=device.token)
            assert (await hear(socket))["messages"] == []

    run_in("device1", lambda: asyncio.run(poll()))


def test_a_device_that_another_operator_has_stays_connected(dispatcher: Dispatcher, key: Key) -> None:
    device = SleepingDevice(key, DEVICE1, "99")

    async def stay() -> None:
        async with connection() as socket:
            assert (await device.register(socket))["pushMode"] == "ws"

    run_in("device1", lambda: asyncio.run(stay()))


def test_ns_wakeup_sends_into_its_networks_only(dispatcher: Dispatcher) -> None:
    for query in ("ip=10.77.1.11&port=9&proto=udp", "ip=127.0.0.1&port=9&proto=udp", "ip=10.77.4.11&port=0&proto=udp", "ip=device1&port=9"):
        status, text = fetch(f"{ORDERS}/?{query}", "server2")
        assert status == 400 and json.loads(text)["status"] == "ERROR" and json.loads(text)["reason"], query
    # The network's own broadcast address: the kernel does not let it out.
    assert fetch(f"{ORDERS}/?ip=10.77.4.255&port=9&proto=udp", "server2")[0] == 400
    assert fetch(f"{ORDERS}/?ip=10.77.4.11&port=9&proto=udp", "server2") == (200, '{"status":"OK"}')
