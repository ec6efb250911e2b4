"""Connections: aborted, half closed, refused, left alone. What they occupied is free again afterwards."""

from __future__ import annotations

import socket
import threading
import time

from backend import Backend, Exchange
from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.network import FILES_ADDRESS, server_address

NEEDS = ["file_servers"]
FILES, PROGRAMMED, NARROW, PATIENT = 80, 81, 82, 83
REFUSE_ABOVE = 4


def configure() -> Configuration:
    nginx = [f"{server_address(number)}:80" for number in (1, 2)]
    programmed = f"{server_address(1)}:8000"
    queue = {"refuse-above": REFUSE_ABOVE, "resume-below": 1, "wait": "10s"}
    return configuration(
        [
            service("files", f"{FILES_ADDRESS}:{FILES}", "files"),
            service("programmed", f"{FILES_ADDRESS}:{PROGRAMMED}", "programmed"),
            service("narrow", f"{FILES_ADDRESS}:{NARROW}", "narrow"),
            service("patient", f"{FILES_ADDRESS}:{PATIENT}", "patient"),
        ],
        [
            pool("files", nginx),
            pool("programmed", [programmed]),
            pool("narrow", [programmed], connections=1, queue=queue),
            pool("patient", [programmed], connections=1, queue={"wait": "1s"}),
        ],
    )


class Gate:
    """An answer that waits until it is opened."""

    def __init__(self, backend: Backend, path: str) -> None:
        self.open = threading.Event()
        backend.on(path, self._answer)

    async def _answer(self, exchange: Exchange) -> None:
        while not self.open.is_set():
            await exchange.pause(0.02)
        await exchange.ok(exchange.request.target.encode())


def test_client_aborts_in_the_middle_of_an_answer(dispatcher: Dispatcher, files: dict[str, bytes]) -> None:
    before = dispatcher.gauges_at_rest()
    for end in (Conversation.abort, Conversation.close):
        for _ in range(20):
            client = Conversation(FILES_ADDRESS, FILES)
            client.request("/8MiB")
            client.read(10_000)
            end(client)
    dispatcher.until_gauges(before)
    with Conversation(FILES_ADDRESS, FILES) as client:
        client.request("/1MiB")
        assert client.answer().body == files["1MiB"]


def test_client_aborts_while_its_request_waits(dispatcher: Dispatcher, backend: Backend) -> None:
    before = dispatcher.gauges_at_rest()
    gate = Gate(backend, "/gate")
    first = Conversation(FILES_ADDRESS, NARROW)
    first.request("/gate")
    dispatcher.until_true(lambda: len(backend.requests) == 1, lambda: "the first request reaches the server", 3)
    others = [Conversation(FILES_ADDRESS, NARROW) for _ in range(3)]
    for number, client in enumerate(others):
        client.request(f"/waiting/{number}")
    dispatcher.until_true(lambda: dispatcher.metrics.total("queue_length") >= 3, lambda: "three requests wait", 3)
    others[0].abort()
    others[1].close()
    gate.open.set()
    assert first.answer().body == b"/gate"
    assert others[2].answer().body == b"/waiting/2"
    assert "/waiting/0" not in [request.target for request in backend.requests], "a client that leaves is removed from the queue"
    first.close()
    others[2].close()
    dispatcher.until_gauges(before)


def test_client_aborts_while_the_server_works(dispatcher: Dispatcher, backend: Backend) -> None:
    before = dispatcher.gauges_at_rest()
    gate = Gate(backend, "/gate")
    for number in range(1, 6):
        client = Conversation(FILES_ADDRESS, PROGRAMMED)
        client.request("/gate")
        dispatcher.until_true(lambda: len(backend.requests) == number, lambda: "the request reaches the server", 3)
        client.abort()
    gate.open.set()
    dispatcher.until_gauges(before)


def test_half_closed_client_gets_its_answer(dispatcher: Dispatcher, files: dict[str, bytes], backend: Backend) -> None:
    with Conversation(FILES_ADDRESS, FILES) as client:
        client.request("/1MiB")
        client.half_close()
        assert client.answer().body == files["1MiB"]
        assert client.is_closed()
    gate = Gate(backend, "/gate")
    with Conversation(FILES_ADDRESS, PROGRAMMED) as client:
        client.request("/gate")
        client.half_close()
        time.sleep(0.3)
        gate.open.set()
        assert client.answer().body == b"/gate"
        assert client.is_closed()


def test_counts_return_to_their_baseline(dispatcher: Dispatcher, files: dict[str, bytes]) -> None:
    before = dispatcher.gauges_at_rest()
    clients = [Conversation(FILES_ADDRESS, FILES) for _ in range(50)]
    for client in clients:
        client.request("/small")
    for client in clients:
        assert client.answer().body == files["small"]
    assert dispatcher.metrics.total("front_connections") == before["front_connections"] + 50
    assert dispatcher.gauges() != before
    for client in clients:
        client.close()
    dispatcher.until_gauges(before)


def test_front_end_connections_outlive_their_back_end_connection(dispatcher: Dispatcher, backend: Backend) -> None:
    """The server closes an idle connection; the client does not notice."""
    backend.says("/last", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", then_close=True)
    with Conversation(FILES_ADDRESS, PROGRAMMED) as client:
        for _ in range(5):
            client.request("/last")
            assert client.answer().body == b"ok"
            time.sleep(0.05)
            client.request("/next")
            assert client.answer().body == b"/next"


def test_requests_wait_in_order(dispatcher: Dispatcher, backend: Backend) -> None:
    gate = Gate(backend, "/gate")
    first = Conversation(FILES_ADDRESS, NARROW)
    first.request("/gate")
    dispatcher.until_true(lambda: len(backend.requests) == 1, lambda: "the first request reaches the server", 3)
    clients = [Conversation(FILES_ADDRESS, NARROW) for _ in range(3)]
    for number, client in enumerate(clients):
        client.request(f"/{number}")
        dispatcher.until_true(lambda: dispatcher.metrics.total("queue_length") >= number + 1, lambda: f"{number + 1} requests wait", 3)
    gate.open.set()
    for number, client in enumerate(clients):
        assert client.answer().body == f"/{number}".encode()
        client.close()
    first.answer()
    first.close()
    assert [request.target for request in backend.requests] == ["/gate", "/0", "/1", "/2"]


def test_request_that_waits_too_long_is_answered_503(dispatcher: Dispatcher, backend: Backend) -> None:
    gate = Gate(backend, "/gate")
    with Conversation(FILES_ADDRESS, PATIENT) as first, Conversation(FILES_ADDRESS, PATIENT) as second:
        first.request("/gate")
        dispatcher.until_true(lambda: len(backend.requests) == 1, lambda: "the first request reaches the server", 3)
        begin = time.monotonic()
        second.request("/late")
        assert second.answer().status == 503
        assert 0.8 <= time.monotonic() - begin <= 3, "the queue's wait is 1 s"
        gate.open.set()
        assert first.answer().body == b"/gate"


def test_new_connections_are_refused_above_the_threshold(dispatcher: Dispatcher, backend: Backend) -> None:
    before, refused_before = dispatcher.gauges_at_rest(), dispatcher.metrics.total("refused_total")
    gate = Gate(backend, "/gate")
    clients = [Conversation(FILES_ADDRESS, NARROW) for _ in range(REFUSE_ABOVE + 3)]
    for client in clients:
        client.request("/gate")
    dispatcher.until_true(lambda: dispatcher.metrics.total("queue_length") > REFUSE_ABOVE, lambda: "the queue is above its threshold", 3)
    begin = time.monotonic()
    try:
        Conversation(FILES_ADDRESS, NARROW).close()
        raise AssertionError("a new connection must be refused")
    except ConnectionRefusedError:
        assert time.monotonic() - begin < 1, "by RST: at once"
    assert dispatcher.metrics.total("refused_total") > refused_before
    with Conversation(FILES_ADDRESS, PROGRAMMED) as other:
        other.request("/other")
        assert other.answer().body == b"/other", "another pool is not held up"
    gate.open.set()
    for client in clients:
        assert client.answer().status == 200, "those that were there before are served"
        client.close()
    dispatcher.until_gauges(before)
    with Conversation(FILES_ADDRESS, NARROW) as client:
        client.request("/again")
        assert client.answer().body == b"/again", "below the lower mark it accepts again"


def test_port_without_a_service_is_refused(dispatcher: Dispatcher) -> None:
    try:
        Conversation(FILES_ADDRESS, 7, timeout=3).close()
        raise AssertionError("nothing listens there")
    except ConnectionRefusedError:
        pass


def test_keep_alive_probes_are_answered(dispatcher: Dispatcher) -> None:
    with Conversation(FILES_ADDRESS, FILES) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
        client.request("/")
        assert client.answer().status == 200
        time.sleep(4)
        client.request("/")
        assert client.answer().status == 200
