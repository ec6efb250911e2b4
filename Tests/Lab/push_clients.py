"""Clients of the push service that are not ours: http.client, python3-websockets and python3-cryptography, in a host of the lab.

Whatever they get is held against docs/openapi.yaml and docs/asyncapi.yaml.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import secrets
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import websockets
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.exceptions import ConnectionClosed
from websockets.legacy.client import WebSocketClientProtocol
from websockets.legacy.framing import Frame
from websockets.typing import Subprotocol

from push_descriptions import ASYNC_API, OPEN_API
from sluicelab.namespaces import HostThread, inside
from sluicelab.network import PUSH_ADDRESS

Event = dict[str, Any]
Result = TypeVar("Result")
SUBPROTOCOL = "push-notification"
TEXT, PING = 1, 9  # kinds of frames


# MARK: HTTP


@dataclass(frozen=True)
class Answer:
    status: int
    fields: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    method: str, path: str, body: bytes | None = None, port: int = 80, host: str = "client1", fields: dict[str, str] | None = None
) -> Answer:
    """One request through the dispatcher, and its answer, which is as docs/openapi.yaml says. `path` may be a public URL."""
    if path.startswith("http://"):
        parts = urlsplit(path)
        path, port = parts.path, parts.port or 80
    with inside(host):
        connection = http.client.HTTPConnection(PUSH_ADDRESS, port, timeout=10)
        try:
            connection.request(method, path, body, fields or {})
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
    OPEN_API.check(method, path, answer.status, answer.fields, answer.body)
    return answer


def new_token(port: int = 80, host: str = "client1") -> str:
    answer = ask("GET", "/token", port=port, host=host)
    assert answer.status == 200, answer
    return answer.text


# MARK: Application servers


class Signer:
    """An application server's key."""

    def __init__(self, bits: int = 2048) -> None:
        self.private = rsa.generate_private_key(65537, bits)

    def _public(self, encoding: Encoding, form: PublicFormat) -> bytes:
        return self.private.public_key().public_bytes(encoding, form)

    @property
    def pem(self) -> bytes:
        return self._public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def der(self) -> bytes:
        return self._public(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def pkcs1(self) -> bytes:
        return self._public(Encoding.PEM, PublicFormat.PKCS1)

    @property
    def pbk(self) -> str:
        return text64(self.pem)

    def sign(self, message: str) -> bytes:
        return self.private.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())

    def body(self, message: str, **members: Any) -> Event:
        """A good notification, but for what `members` says; a member that is `...` is left out."""
        content = {"messageType": "notification", "id": "1", "message": message, "signature": self.sign(message).hex(), **members}
        return {name: value for name, value in content.items() if value is not ...}

    def post(self, url: str, message: str, **members: Any) -> Answer:
        return ask("POST", url, json.dumps(self.body(message, **members)).encode(), fields={"Content-Type": "application/json"})

    def send(self, url: str, message: str, **members: Any) -> str:
        """Posts what must be accepted; the messageId."""
        answer = self.post(url, message, **members)
        assert (answer.status, answer.json["status"]) == (200, "ACCEPTED"), answer
        identifier: str = answer.json["messageId"]
        return identifier


def text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# MARK: Devices


class HostLoop:
    """An event loop in a host of the lab, so that tests read from top to bottom while sockets stay open."""

    def __init__(self, host: str) -> None:
        self.sockets: list[Socket] = []  # that were opened and not hung up
        self._loop = asyncio.new_event_loop()
        self._thread = HostThread(host, self._loop.run_forever, name=f"event loop in {host}")

    def do(self, work: Coroutine[Any, Any, Result], timeout: float = 15) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def hang_up(self, keep: int = 0) -> None:
        """Closes all sockets but the first so many."""

        async def close(sockets: list[Socket]) -> None:
            await asyncio.gather(*(socket.protocol.close() for socket in sockets))

        self.do(close(self.sockets[keep:]))
        del self.sockets[keep:]

    def stop(self) -> None:
        self.hang_up()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.result(5)
        self._loop.close()


class RecordingProtocol(WebSocketClientProtocol):
    """Remembers the kinds of frames that came, and when."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.frames: list[tuple[int, float]] = []

    async def read_frame(self, max_size: int | None) -> Frame:
        frame = await super().read_frame(max_size)
        self.frames.append((frame.opcode, time.monotonic()))
        return frame


class Socket:
    """A WebSocket to the push service."""

    def __init__(self, loop: HostLoop, port: int = 80, offer: Iterable[str] = (SUBPROTOCOL,), compression: str | None = None) -> None:
        self._loop = loop

        async def connect() -> RecordingProtocol:
            protocol = await websockets.connect(  # type: ignore[attr-defined]
                f"ws://{PUSH_ADDRESS}:{port}/",
                subprotocols=[Subprotocol(name) for name in offer] or None,
                compression=compression,
                open_timeout=8,
                close_timeout=3,
                ping_interval=None,
                create_protocol=RecordingProtocol,
            )
            assert isinstance(protocol, RecordingProtocol)
            return protocol

        self.protocol = loop.do(connect())
        loop.sockets.append(self)

    # Saying

    def send(self, message: str | bytes) -> None:
        self._loop.do(self.protocol.send(message))

    def say(self, kind: str, /, **members: Any) -> None:
        """A command as docs/asyncapi.yaml describes it."""
        text = json.dumps({"messageType": kind, **members})
        ASYNC_API.check_sent(text)
        self.send(text)

    def frame(self, opcode: int, data: bytes, fin: bool = True) -> None:
        self._loop.do(self.protocol.write_frame(fin, opcode, data))

    def ping(self, payload: bytes) -> None:
        """A frame of the type ping, which must be answered."""

        async def exchange() -> None:
            await asyncio.wait_for(await self.protocol.ping(payload), 8)

        self._loop.do(exchange())

    def raw(self, data: bytes) -> None:
        """Bytes past the library, for what it would not send."""

        async def write() -> None:
            self.protocol.transport.write(data)

        self._loop.do(write())

    # Hearing

    def text(self, timeout: float = 8) -> str:
        text = self._loop.do(asyncio.wait_for(self.protocol.recv(), timeout), timeout + 5)
        assert isinstance(text, str), text
        ASYNC_API.check_received(text)
        return text

    def hear(self, timeout: float = 8) -> Event:
        event: Event = json.loads(self.text(timeout))
        return event

    def notification(self, timeout: float = 8) -> Event:
        event = self.hear(timeout)
        assert event["messageType"] == "notification", event
        return event

    def asked(self, kind: str, /, **members: Any) -> Event:
        """The answer to a command."""
        self.say(kind, **members)
        return self.hear()

    def acknowledge(self, notification: Event) -> None:
        self.say("ack", messageId=notification["messageId"])

    def expect_open(self) -> None:
        """Nothing has come, and the service still listens: commands and `PING` are answered in order."""
        ASYNC_API.check_sent("PING")
        self.send("PING")
        assert self.text() == "PONG"

    def expect_quiet(self, seconds: float = 0.4) -> None:
        """Nothing comes for that time."""
        try:
            text = self._loop.do(asyncio.wait_for(self.protocol.recv(), seconds))
        except asyncio.TimeoutError:
            return
        raise AssertionError(f"expected nothing; got: {text!r}")

    def expect_close(self, code: int, timeout: float = 8) -> None:
        """Nothing more comes but the end, with that code."""
        try:
            text = self._loop.do(asyncio.wait_for(self.protocol.recv(), timeout), timeout + 5)
        except ConnectionClosed:
            assert self.protocol.close_code == code, f"expected close code {code}; got {self.protocol.close_code}"
            return
        raise AssertionError(f"expected close code {code}; got: {text!r}")

    def expect_end(self, code: int) -> None:
        """The end comes with that code, whatever comes before."""
        self._loop.do(asyncio.wait_for(self.protocol.wait_closed(), 8))
        assert self.protocol.close_code == code, f"expected close code {code}; got {self.protocol.close_code}"

    def arrivals(self, opcode: int) -> list[float]:
        """When frames of that kind came, in seconds."""
        return [moment for kind, moment in self.protocol.frames if kind == opcode]

    def close(self) -> None:
        self._loop.do(self.protocol.close())


class Phone:
    """A device: a token that lasts, and sockets that come and go."""

    def __init__(self, loop: HostLoop, signer: Signer, port: int = 80, watoken: str | None = None) -> None:
        self.loop, self.signer, self.port = loop, signer, port
        self.token = new_token(port)
        self.watoken = watoken or secrets.token_hex(16)

    def connect(self, **data: Any) -> Socket:
        """A socket on which registerUA is done."""
        socket = Socket(self.loop, self.port)
        answer = socket.asked("registerUA", data={"uatoken": self.token, **data})
        assert answer == {"messageType": "registerUA", "status": "REGISTERED", "statusCode": 200, "pushMode": "ws"}
        return socket

    @property
    def application(self) -> dict[str, str]:
        return {"watoken": self.watoken, "pbkbase64": self.signer.pbk}

    def register(self, socket: Socket) -> str:
        """registerWA; the URL."""
        answer = socket.asked("registerWA", data={"uatoken": self.token, **self.application})
        assert (answer["status"], answer["statusCode"]) == ("REGISTERED", 200), answer
        url: str = answer["url"]
        return url

    def registered(self) -> tuple[Socket, str]:
        socket = self.connect()
        return socket, self.register(socket)

    def absent(self) -> str:
        """Registered, and gone; the URL."""
        socket, url = self.registered()
        socket.close()
        return url
