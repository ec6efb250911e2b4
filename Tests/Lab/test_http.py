"""HTTP on the way through: what reaches the server, and what comes back, with servers that a test programs."""

from __future__ import annotations

import threading

import pytest

from backend import Backend, Exchange
from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.network import CLIENT1, FILES_ADDRESS, server_address

BOTH, ONE, ROUTED = 81, 82, 83
DOWN_PORT = 9  # where nothing listens


def configure() -> Configuration:
    servers = [f"{server_address(number)}:8000" for number in (1, 2)]
    routed = service("routed", f"{FILES_ADDRESS}:{ROUTED}", "one")
    routed["routes"] = [{"path-prefix": "/second/", "pool": "two"}, {"pool": "one"}]
    services = [service("both", f"{FILES_ADDRESS}:{BOTH}", "both"), service("one", f"{FILES_ADDRESS}:{ONE}", "one"), routed]
    return configuration(services, [pool("both", servers), pool("one", servers[:1]), pool("two", servers[1:])])


def test_the_servers_take_turns(dispatcher: Dispatcher, backends: list[Backend]) -> None:
    with Conversation(FILES_ADDRESS, BOTH) as client:
        for number in range(20):
            client.request(f"/{number}")
            assert client.answer().body == f"/{number}".encode()
    assert [len(backend.requests) for backend in backends] == [10, 10]


def test_routes_choose_the_pool(dispatcher: Dispatcher, backends: list[Backend]) -> None:
    with Conversation(FILES_ADDRESS, ROUTED) as client:
        for target in ("/", "/second/a", "/other", "/second/b?c=d"):
            client.request(target)
            assert client.answer().body == target.encode()
    assert [[request.target for request in backend.requests] for backend in backends] == [["/", "/other"], ["/second/a", "/second/b?c=d"]]


def test_the_server_learns_who_asks(dispatcher: Dispatcher, backend: Backend) -> None:
    with Conversation(FILES_ADDRESS, ONE) as client:
        client.request("/a", fields={"X-Forwarded-For": "192.0.2.7", "X-Own": "kept", "Connection": "X-Gone", "X-Gone": "hop"})
        assert client.answer().status == 200
    (request,) = backend.requests
    assert ", ".join(request.values("X-Forwarded-For")).replace(" ", "").split(",") == ["192.0.2.7", CLIENT1]
    assert request.values("X-Forwarded-Proto") == ["http"]
    assert any(value.split() == ["1.1", "sluice"] for value in request.values("Via"))
    assert request.values("X-Own") == ["kept"]
    assert request.values("X-Gone") == [], "what Connection names goes no further"
    assert request.values("Host") == ["lab"]


@pytest.mark.parametrize("size", [1, 1460, 5000, 60000])
def test_a_body_arrives_whole(dispatcher: Dispatcher, backend: Backend, size: int) -> None:
    body = bytes(index * 7 % 251 for index in range(size))
    with Conversation(FILES_ADDRESS, ONE) as client:
        client.request("/upload", method="POST", body=body)
        assert client.answer().status == 200
    assert [request.body for request in backend.requests] == [body]


def test_a_chunked_body_arrives_whole(dispatcher: Dispatcher, backend: Backend) -> None:
    with Conversation(FILES_ADDRESS, ONE) as client:
        client.send("POST /upload HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        client.send("7;ext=1\r\n, world\r\n0\r\n\r\n")
        assert client.answer().status == 200
        client.request("/after")
        assert client.answer().body == b"/after"
    assert backend.requests[0].body == b"hello, world"


def test_a_request_in_single_bytes(dispatcher: Dispatcher, backend: Backend) -> None:
    with Conversation(FILES_ADDRESS, ONE) as client:
        for byte in b"POST /slow HTTP/1.1\r\nHost: lab\r\nContent-Length: 3\r\n\r\nabc":
            client.send(bytes([byte]))
        assert client.answer().body == b"/slow"
    assert [request.body for request in backend.requests] == [b"abc"]


def test_expect_100_continue(dispatcher: Dispatcher, backend: Backend) -> None:
    with Conversation(FILES_ADDRESS, ONE) as client:
        client.request("/upload", method="PUT", fields={"Expect": "100-continue", "Content-Length": "4"})
        assert client.answer(interim=True).status == 100
        client.send("body")
        assert client.answer().status == 200
    (request,) = backend.requests
    assert (request.body, request.values("Expect")) == (b"body", [])


ANSWERS: dict[str, tuple[str, bytes, int, bytes]] = {
    "no content": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "not modified, with a length": ("GET", b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 100\r\n\r\n', 304, b""),
    "HEAD with a length": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 200, b""),
    "early hints first": (
        "GET",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
    ),
    "chunk extensions and a trailer": (
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n",
        200,
        b"abcde",
    ),
    "an error of the server's own": ("GET", b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops", 500, b"oops"),
    "no reason phrase": ("GET", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 200, b""),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_pass_and_the_connection_goes_on(dispatcher: Dispatcher, backend: Backend, name: str) -> None:
    method, data, status, body = ANSWERS[name]
    backend.says("/x", data)
    with Conversation(FILES_ADDRESS, ONE) as client:
        client.request("/x", method=method)
        answer = client.answer(method)
        assert (answer.status, answer.body) == (status, body)
        client.request("/after")
        assert client.answer().body == b"/after"


def test_an_answer_in_single_bytes(dispatcher: Dispatcher, backend: Backend) -> None:
    async def dribble(exchange: Exchange) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n":
            await exchange.send(bytes([byte]))
            await exchange.pause(0.002)

    backend.on("/x", dribble)
    with Conversation(FILES_ADDRESS, ONE) as client:
        client.request("/x")
        assert client.answer().body == b"hi"
        client.request("/after")
        assert client.answer().body == b"/after"


def test_an_answer_that_ends_with_the_connection(dispatcher: Dispatcher, backend: Backend) -> None:
    backend.says("/x", b"HTTP/1.1 200 OK\r\n\r\n" + b"until the end" * 5000, then_close=True)
    with Conversation(FILES_ADDRESS, ONE) as client:
        client.request("/x")
        assert client.answer().body == b"until the end" * 5000
        assert client.is_closed()


def test_a_server_that_closes_after_each_answer_is_opened_again(dispatcher: Dispatcher, backend: Backend) -> None:
    backend.says("/x", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", then_close=True)
    for _ in range(20):
        with Conversation(FILES_ADDRESS, ONE) as client:
            client.request("/x")
            assert client.answer().body == b"ok"


def test_many_clients_at_once_each_get_their_own_answer(dispatcher: Dispatcher, backends: list[Backend]) -> None:
    wrong: list[str] = []

    def one(number: int) -> None:
        with Conversation(FILES_ADDRESS, BOTH) as client:
            for turn in range(25):
                target = f"/{number}/{turn}/" + "x" * (number * 37 % 3000)
                client.request(target)
                if client.answer().body != target.encode():
                    wrong.append(target[:20])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert not wrong and not any(thread.is_alive() for thread in threads)
    assert sum(len(backend.requests) for backend in backends) == 1000
