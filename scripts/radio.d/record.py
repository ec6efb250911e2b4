"""Records the exchanges of which days are made, from real workers and a device on loopback, each into a capture of its own.

One worker has all roles but `wakeup`, the other only that, as NS-WakeUp is in an operator's network. The device is python3-websockets
and a datagram socket at 127.0.0.2, so that its packets can be told from the servers'.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from websockets.legacy.client import Connect, WebSocketClientProtocol
from websockets.typing import Subprotocol

import captures
from exchanges import DEVICE, NAMES, RECORDED, SERVER
from sluicelab.paths import binary

OTHER = "127.0.0.3"  # where the device turns up a second time
PUBLIC_URL = "https://push.example.org"
PING_SECONDS = 2  # of the worker; the days stretch it
IDLE_SECONDS = 10  # after which the worker closes the WebSocket of a device that can be woken
ASLEEP = 4774  # with this code
NETWORK = {"mcc": "214", "mnc": "07"}  # of the device that can be woken
QUIET = 0.4  # seconds in which an exchange is surely over: delayed acknowledgements take 40 ms
MESSAGE = "A goal! 2:1 in the 83rd minute; the scorer is number 9."


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((SERVER, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str | Path], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def wait_for(what: str, process: subprocess.Popen[bytes], log: Path, ready: Any) -> None:
    deadline = time.monotonic() + 15
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not start within 15 s:\n{log.read_text(errors='replace')}")
        time.sleep(0.05)


def operators(wake_up_port: int) -> str:
    """The table of the one operator, in whose network the device is, with its NS-WakeUp."""
    codes = f'mcc: "{NETWORK["mcc"]}", mnc: "{NETWORK["mnc"]}"'
    return f'operators:\n  - {{ {codes}, networks: [{DEVICE}], wakeup: ["http://{SERVER}:{wake_up_port}"] }}\n'


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Recorder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.devices, self.applications = free_port(), free_port()
        self.marks: list[tuple[str, float, float]] = []  # name, begin, end, in seconds since 1970
        self.url = ""

    # MARK: What runs

    def record(self) -> None:
        subprocess.run([binary("sluice"), "keys", "new", "--out", self.folder / "key"], check=True, capture_output=True)
        whole = self.folder / "whole.pcap"
        with ExitStack() as stack:
            self.start_workers(stack)
            with urllib.request.urlopen(f"http://{SERVER}:{self.devices}/token") as answer:
                self.token = answer.read().decode()
            asyncio.run(self.register_application())
            log = self.folder / "tcpdump.log"
            dump: list[str | Path] = ["tcpdump", "-i", "lo", "--immediate-mode", "-U", "-s", "0", "-Z", "root", "-w", whole]
            dump.append(f"host {DEVICE}")
            capture = stack.enter_context(running(dump, log))
            wait_for("tcpdump", capture, log, lambda: "listening on" in log.read_text(errors="replace"))
            asyncio.run(self.exchanges())
            time.sleep(QUIET)
        self.cut(captures.read(whole))

    def start_workers(self, stack: ExitStack) -> None:
        wake_ups = free_port()
        table = self.folder / "operators.yaml"
        table.write_text(operators(wake_ups))
        worker: list[str | Path] = ["--data", self.folder / "data", "--ua-port", str(self.devices), "--as-port", str(self.applications)]
        worker += ["--public-url", PUBLIC_URL, "--ping", str(PING_SECONDS), "--operators", table]
        wake_up: list[str | Path] = ["--roles", "wakeup", "--wakeup-port", str(wake_ups), "--wakeup-network", DEVICE, "--wakeup-loopback"]
        for name, arguments, port in (("worker", worker, self.devices), ("wakeup", wake_up, wake_ups)):
            log = self.folder / f"{name}.log"
            process = stack.enter_context(running([binary("sluice-worker"), "--listen", SERVER, *arguments], log))
            status = f"http://{SERVER}:{port}/status"
            wait_for(f"sluice-worker ({name})", process, log, lambda: answers(status))

    def cut(self, packets: list[captures.Packet]) -> None:
        RECORDED.mkdir(exist_ok=True)
        for name, begin, end in self.marks:
            part = [packet for packet in packets if begin * 1e6 <= packet.at < end * 1e6]
            if not part:
                raise RuntimeError(f"nothing was captured of {name}")
            captures.write(RECORDED / f"{name}.pcap", (captures.Packet(packet.at - part[0].at, packet.frame) for packet in part))
        missing = set(NAMES) - {name for name, _, _ in self.marks}
        if missing:
            raise RuntimeError(f"not recorded: {', '.join(sorted(missing))}")

    # MARK: The device

    def connection(self, address: str) -> Connect:
        return Connect(
            f"ws://{SERVER}:{self.devices}/",
            subprotocols=[Subprotocol("push-notification")],
            compression=None,
            ping_interval=None,
            local_addr=(address, 0),
        )

    async def register(self, web_socket: WebSocketClientProtocol, wake_up_port: int | None = None) -> None:
        """With the port of the socket for wake-ups, as a device that can be woken."""
        data: dict[str, Any] = {"uatoken": self.token}
        if wake_up_port is not None:
            data |= {"interface": {"ip": DEVICE, "port": str(wake_up_port)}, "mobilenetwork": NETWORK}
        await self.say(web_socket, {"messageType": "registerUA", "data": data})
        answer = await self.hear(web_socket)
        assert (answer["statusCode"], answer["pushMode"]) == (200, "ws" if wake_up_port is None else "udp")

    async def register_application(self) -> None:
        pem = (self.folder / "key.pub").read_bytes()
        async with self.connection(OTHER) as web_socket:
            await self.register(web_socket)
            data = {"uatoken": self.token, "watoken": "scores", "pbkbase64": base64.b64encode(pem).decode()}
            await self.say(web_socket, {"messageType": "registerWA", "data": data})
            url = (await self.hear(web_socket))["url"]
        self.url = url.replace(PUBLIC_URL, f"http://{SERVER}:{self.applications}")

    @staticmethod
    async def say(web_socket: WebSocketClientProtocol, command: dict[str, Any]) -> None:
        await web_socket.send(json.dumps(command, separators=(",", ":")))

    @staticmethod
    async def hear(web_socket: WebSocketClientProtocol) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(await asyncio.wait_for(web_socket.recv(), 10))
        return event

    async def push(self) -> None:
        command: list[str | Path] = [binary("sluice"), "push", "--url", self.url, "--key", self.folder / "key"]
        command += ["--id", "1", "--message", MESSAGE]
        await asyncio.to_thread(lambda: subprocess.run(command, check=True, capture_output=True))

    async def take(self, web_socket: WebSocketClientProtocol) -> None:
        got = await self.hear(web_socket)
        assert (got["messageType"], got["message"]) == ("notification", MESSAGE)
        await self.say(web_socket, {"messageType": "ack", "messageId": got["messageId"]})

    @contextmanager
    def marked(self, name: str) -> Iterator[None]:
        begin = time.time()
        yield
        self.marks.append((name, begin, time.time()))

    async def exchanges(self) -> None:
        with self.marked("connect"):
            device = await self.connection(DEVICE)
            await self.register(device)
            await asyncio.sleep(QUIET)
        with self.marked("message"):
            await self.push()
            await self.take(device)
            await asyncio.sleep(QUIET)
        with self.marked("ping"):
            await asyncio.sleep(PING_SECONDS)
        await device.close()
        with socket.socket(type=socket.SOCK_DGRAM) as wake_ups:
            wake_ups.bind((DEVICE, 0))
            wake_ups.settimeout(5)
            await self.sleeping_exchanges(wake_ups)

    async def sleeping_exchanges(self, wake_ups: socket.socket) -> None:
        """Those of a device that can be woken; wake_ups is where datagrams come."""
        port = wake_ups.getsockname()[1]
        with self.marked("register"):
            device = await self.connection(DEVICE)
            await self.register(device, port)
            registered = time.monotonic()
            await asyncio.sleep(QUIET)
        with self.marked("close"):
            await asyncio.wait_for(device.wait_closed(), 2 * IDLE_SECONDS)
            after = time.monotonic() - registered
            await asyncio.sleep(QUIET)
        assert device.close_code == ASLEEP and abs(after - IDLE_SECONDS) < 2, f"closed with {device.close_code} after {after:.1f} s"
        with self.marked("wake"):
            await self.push()
            packet = await asyncio.to_thread(wake_ups.recv, 2048)
            await asyncio.sleep(QUIET)
        assert packet.decode() == f'NOTIFY {{"ip":"{DEVICE}","port":"{port}","proto":"udp"}}'
        with self.marked("fetch"):
            device = await self.connection(DEVICE)
            await self.register(device, port)
            await self.take(device)
            await asyncio.sleep(QUIET)
        await device.close()


def record() -> None:
    with tempfile.TemporaryDirectory(prefix="sluice-radio-") as folder:
        Recorder(Path(folder)).record()
