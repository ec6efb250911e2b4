"""Every row of docs/push-protocol.md, through the dispatcher, by clients that are not ours (push_clients.py).

The rows are in push_rows_commands.py, push_rows_delivery.py and push_rows_http.py; those that take their time run here, beside the others.
Whatever comes over the wire is held against docs/openapi.yaml and docs/asyncapi.yaml as well.
"""

from __future__ import annotations

import secrets
import socket as sockets
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from push_clients import TEXT, HostLoop, Phone, Signer, Socket, text64
from push_descriptions import ASYNC_API, OPEN_API
from push_workers import NEEDS, STRICT, configure, devices, extra_workers, faulty, hang_up, phone, signer, workers
from sluicelab.dispatcher import Dispatcher
from sluicelab.namespaces import HostThread
from sluicelab.network import PUSH_ADDRESS

pytest.register_assert_rewrite("push_rows_commands", "push_rows_delivery", "push_rows_http")
from push_rows_commands import *  # noqa: E402
from push_rows_delivery import *  # noqa: E402
from push_rows_http import *  # noqa: E402

__all__ = ["NEEDS", "configure", "devices", "extra_workers", "faulty", "hang_up", "phone", "signer", "workers"]
pytestmark = pytest.mark.usefixtures("dispatcher")


@dataclass
class SlowRows:
    unacknowledged: Socket
    message_id: str
    silent: HostThread[tuple[bytes, float]]


def stay_silent() -> tuple[bytes, float]:
    """A device that answers nothing: what comes after the handshake, and how long after the ping the end came."""
    with sockets.create_connection((PUSH_ADDRESS, STRICT), timeout=60) as connection:
        fields = ["Host: push", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        fields.append(f"Sec-WebSocket-Key: {text64(secrets.token_bytes(16))}")
        connection.sendall("\r\n".join(["GET / HTTP/1.1", *fields, "", ""]).encode())
        came, pinged = b"", 0.0
        while data := connection.recv(4096):
            came += data
            if b"\r\n\r\n\x89" in came and not pinged:
                pinged = time.monotonic()
        return came.partition(b"\r\n\r\n")[2], time.monotonic() - pinged


@pytest.fixture(scope="module", autouse=True)
def slow_rows(dispatcher: Dispatcher, devices: HostLoop, signer: Signer) -> Iterator[SlowRows]:
    socket, url = Phone(devices, signer).registered()
    message_id = signer.send(url, "again after 60 s")
    assert socket.notification()["messageId"] == message_id
    yield SlowRows(socket, message_id, HostThread("client1", stay_silent))


def test_a_silent_socket_is_closed(slow_rows: SlowRows) -> None:
    """30 s after the ping."""
    frames, seconds = slow_rows.silent.result(50)
    assert frames == b"\x89\x00", "one ping, and no word more"
    assert 29.5 < seconds < 36


@pytest.mark.deadline(90)
def test_unacknowledged_comes_again_after_60_s(slow_rows: SlowRows) -> None:
    socket = slow_rows.unacknowledged
    again = socket.notification(timeout=70)
    assert again["messageId"] == slow_rows.message_id
    first, second = socket.arrivals(TEXT)[-2:]
    assert 59 < second - first < 66
    socket.acknowledge(again)
    socket.expect_open()


def test_everything_described_was_seen(request: pytest.FixtureRequest) -> None:
    """Each path, method and status of docs/openapi.yaml, and each message of docs/asyncapi.yaml, came over the wire in these tests."""
    option = request.config.option
    if option.keyword or option.markexpr or any("::" in argument for argument in request.config.args):
        pytest.skip("only some of these tests run")
    assert OPEN_API.described() - OPEN_API.seen == set()
    assert ASYNC_API.seen == ASYNC_API.from_device | ASYNC_API.from_service
