"""Push workers are killed at random moments while devices come and go: every message that was accepted is delivered.

Devices and application servers are Python's `websockets` and `cryptography`, in client1, through the dispatcher."""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from websockets.exceptions import WebSocketException
from websockets.legacy.client import WebSocketClientProtocol, connect

from ..dispatcher import Configuration, Dispatcher, configuration, pool, service
from ..namespaces import HostThread
from ..network import PUSH_ADDRESS, SOURCE_ADDRESS, server_address
from ..paths import binary
from ..processes import Process
from .figures import Figures

WORKERS = 3
SENDERS = 4
ALIVE_SECONDS = (0.5, 3.0)  # between one kill and the next
STAY_SECONDS = 6.0  # of a device on the network, on average
SETTLE_SECONDS = 150.0  # for what is left when the killing is over: an unacknowledged message comes again after 60 s
FAULTS_SHOWN = 10


def configure(workers: int = WORKERS) -> Configuration:
    push = service("push", f"{PUSH_ADDRESS}:80", "ua")
    push["routes"] = [{"path-prefix": "/notify/", "pool": "as"}, {"pool": "ua"}]
    fronts, posts = ([f"{server_address(number)}:{port}" for number in range(1, workers + 1)] for port in (8080, 8081))
    health = {"path": "/status", "every": "200ms", "timeout": "150ms", "rise": 1, "fall": 1}
    tunnels = {"initial": 1000, "maximum": 1000, "control": "fixed"}
    return configuration([push], [pool("ua", fronts, tunnels=tunnels, health=health), pool("as", posts, health=health)])


@dataclass
class Key:
    """An application server's."""

    private: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    @property
    def public(self) -> str:
        pem = self.private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(pem).decode()

    def body(self, message: str) -> bytes:
        signature = self.private.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256()).hex()
        return json.dumps({"messageType": "notification", "id": "1", "message": message, "signature": signature}).encode()


@dataclass
class Seen:
    """What one device has got."""

    order: list[str] = field(default_factory=list)  # texts, each when it came first
    ids: dict[str, str] = field(default_factory=dict)  # messageId by text
    copies: collections.Counter[str] = field(default_factory=collections.Counter)
    faults: list[str] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        text, identifier = event["message"], event["messageId"]
        self.copies[text] += 1
        if self.ids.setdefault(text, identifier) != identifier:
            self.faults.append(f"{text} came as {identifier} and as {self.ids[text]}")
        if self.copies[text] == 1:
            self.order.append(text)


class Device:
    def __init__(self, number: int, key: Key, chance: random.Random) -> None:
        self.number, self.key, self.chance = number, key, chance
        self.token = self.url = ""
        self.seen = Seen()
        self.stays = 0
        self.accepted: list[str] = []  # texts, in the order in which they were posted

    @property
    def is_complete(self) -> bool:
        return set(self.accepted) <= set(self.seen.order)

    async def live(self, ends: Callable[[], bool]) -> None:
        while not ends():
            with contextlib.suppress(OSError, WebSocketException, asyncio.TimeoutError, EOFError):
                if not self.token:
                    self.token = await asyncio.to_thread(_get, f"http://{PUSH_ADDRESS}/token")
                async with connect(f"ws://{PUSH_ADDRESS}/", compression=None, open_timeout=5, close_timeout=2) as socket:
                    await self.stay(socket, ends)
            await asyncio.sleep(self.chance.uniform(0.05, 0.5))

    async def stay(self, socket: WebSocketClientProtocol, ends: Callable[[], bool]) -> None:
        await self.ask(socket, "registerUA", uatoken=self.token)
        if not self.url:
            answer = await self.ask(socket, "registerWA", watoken=f"device {self.number}", pbkbase64=self.key.public)
            self.url = answer.get("url", "")
        self.stays += 1
        leaves = time.monotonic() + self.chance.expovariate(1 / STAY_SECONDS)
        while not ends() and (time.monotonic() < leaves or not self.url):
            with contextlib.suppress(asyncio.TimeoutError):
                await self.take(socket, json.loads(await asyncio.wait_for(socket.recv(), 0.5)))
        if self.chance.random() < 0.5:
            socket.transport.abort()  # it is in a tunnel

    async def take(self, socket: WebSocketClientProtocol, event: dict[str, Any]) -> None:
        if event.get("messageType") == "notification":
            self.seen.take(event)
            await socket.send(json.dumps({"messageType": "ack", "messageId": event["messageId"]}))

    async def ask(self, socket: WebSocketClientProtocol, kind: str, **data: Any) -> dict[str, Any]:
        await socket.send(json.dumps({"messageType": kind, "data": data}))
        while True:
            event: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 10))
            if event.get("messageType") == kind:
                if event["statusCode"] != 200:
                    raise OSError(f"{kind} was answered {event}")
                return event
            await self.take(socket, event)


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def _post(url: str, body: bytes) -> int:
    """The status; 0 when there was no answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=15) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class Run:
    def __init__(self, folder: Path, messages: int, devices: int, seed: int) -> None:
        self.folder, self.messages = folder, messages
        self.chance = random.Random(seed)
        key = Key()
        self.key = key
        self.devices = [Device(number, key, random.Random(seed * 1000 + number)) for number in range(devices)]
        self.workers: list[Process] = []
        self.kills = 0
        self.statuses: collections.Counter[int] = collections.Counter()
        self.is_over = self.is_sent = False

    # MARK: Workers

    def start(self, number: int) -> Process:
        address = server_address(number + 1)
        command: list[str | Path] = [binary("sluice-worker"), "--data", self.folder / "data", "--listen", address, "--ua-port", "8080"]
        command += ["--as-port", "8081", "--public-url", f"http://{PUSH_ADDRESS}", "--trusted-proxy", f"{SOURCE_ADDRESS}/32"]
        return Process(f"server{number + 1}", [*command, "--token-rate", "0"], self.folder / f"worker{number}-{self.kills}.log")

    def kill_one(self) -> None:
        number = self.chance.randrange(len(self.workers))
        self.workers[number].signal(SIGKILL)
        self.workers[number].stop(timeout=5)
        self.kills += 1
        self.workers[number] = self.start(number)

    # MARK: Application servers

    async def send(self, devices: list[Device], count: int) -> None:
        sent = 0
        while sent < count:
            for device in devices:
                if sent == count:
                    return
                if not device.url:
                    await asyncio.sleep(0.01)
                    continue
                text = f"{device.number}/{sent}"
                status = await asyncio.to_thread(_post, device.url, self.key.body(text))
                self.statuses[status] += 1
                sent += 1
                if status == 200:
                    device.accepted.append(text)

    async def traffic(self) -> None:
        lives = [asyncio.create_task(device.live(lambda: self.is_over)) for device in self.devices]
        share = self.messages // SENDERS
        await asyncio.gather(*(self.send(self.devices[number::SENDERS], share) for number in range(SENDERS)))
        self.is_sent = True
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until and not all(device.is_complete for device in self.devices):
            await asyncio.sleep(0.2)
        await asyncio.sleep(1)  # duplicates of the last ones
        self.is_over = True
        await asyncio.gather(*lives)


def run(
    dispatcher: Dispatcher, folder: Path, figures: Figures, messages: int, devices: int, seed: int, workers: int = WORKERS
) -> None:
    """The dispatcher must run `configure(workers)`. The workers are started and ended here."""
    (folder / "data").mkdir(parents=True)
    one = Run(folder, messages, devices, seed)
    one.workers = [one.start(number) for number in range(workers)]
    begin = time.monotonic()
    try:
        clients = HostThread("client1", lambda: asyncio.run(one.traffic()))
        while not one.is_sent and clients.running:
            time.sleep(one.chance.uniform(*ALIVE_SECONDS))
            one.kill_one()
        clients.result(SETTLE_SECONDS + 60)
    finally:
        for worker in one.workers:
            worker.stop()
    _judge(one, figures, time.monotonic() - begin)


def _judge(one: Run, figures: Figures, seconds: float) -> None:
    accepted = sum(len(device.accepted) for device in one.devices)
    copies = sum(device.seen.copies.total() for device in one.devices)
    distinct = sum(len(device.seen.order) for device in one.devices)
    lost = [text for device in one.devices for text in device.accepted if text not in device.seen.copies]
    faults = [fault for device in one.devices for fault in device.seen.faults]
    answers = {status or "no answer": count for status, count in sorted(one.statuses.items())}
    figures.note("posts by status", json.dumps(answers))
    figures.note("stays of devices, kills of workers, seconds", f"{sum(device.stays for device in one.devices)}, {one.kills}, {seconds:.0f}")
    figures.note("messages delivered, and how often again", f"{distinct}, {copies - distinct}")
    figures.at_least("accepted messages", accepted, 0.5 * one.messages)
    figures.at_least("kills of workers", one.kills, max(1, one.messages // 1000))
    figures.true("every accepted message was delivered", not lost, f"{len(lost)} of {accepted} lost {lost[:FAULTS_SHOWN] or ''}")
    figures.true("a duplicate has the same messageId", not faults, "; ".join(faults[:FAULTS_SHOWN]))
    # A post without an answer may have been accepted, in its place of the order.
    disordered = [device.number for device in one.devices if not _in_order(device)]
    figures.true("each device got its messages in the order of their acceptance", not disordered, f"devices {disordered[:FAULTS_SHOWN]}")


def _in_order(device: Device) -> bool:
    numbers = [int(text.split("/")[1]) for text in device.seen.order]
    return numbers == sorted(numbers)
