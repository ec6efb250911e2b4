"""Bad input from clients and from servers: each gets its documented answer and is counted, and the next request works."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import frames
from backend import Backend, Closed, Exchange
from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.network import CLIENT1, FILES_ADDRESS, server_address

PORT, STRICT, DOWN, HALF_DOWN = 81, 82, 83, 84
NOBODY_LISTENS = f"{server_address(1)}:9"
SEED = 20101028


def configure() -> Configuration:
    server, other = (f"{server_address(number)}:8000" for number in (1, 2))
    strict = service("strict", f"{FILES_ADDRESS}:{STRICT}", "impatient", limits={"head-time": "1s", "idle": "2s"})
    return configuration(
        [
            service("plain", f"{FILES_ADDRESS}:{PORT}", "plain"),
            strict,
            service("down", f"{FILES_ADDRESS}:{DOWN}", "down"),
            service("half-down", f"{FILES_ADDRESS}:{HALF_DOWN}", "half-down"),
        ],
        [
            pool("plain", [server]),
            pool("impatient", [server], timeouts={"response": "1s"}),
            pool("down", [NOBODY_LISTENS]),
            pool("half-down", [NOBODY_LISTENS, other]),
        ],
    )


@pytest.fixture(autouse=True)
def afterwards_all_is_well(dispatcher: Dispatcher, backends: list[Backend]) -> Iterator[None]:
    """Whatever a test does, a good request on a new connection works afterwards, and nothing of it stays behind."""
    before = dispatcher.gauges_at_rest()
    yield
    with Conversation(FILES_ADDRESS, PORT) as client:
        client.request("/fine")
        assert client.answer().body == b"/fine"
    dispatcher.until_gauges(before)


def counted(dispatcher: Dispatcher, status: int) -> float:
    """How often the dispatcher gave that answer, as a request or as a refusal."""
    metrics = dispatcher.metrics
    return (
        metrics.total("requests_total", status=str(status))
        + metrics.total("requests_total", status=f"{status // 100}xx")
        + metrics.total("refused_total")
    )


def refused(dispatcher: Dispatcher, status: int, request: bytes, port: int = PORT) -> None:
    """The request is answered with that status, the connection is closed, and a counter has moved."""
    before = counted(dispatcher, status)
    with Conversation(FILES_ADDRESS, port) as client:
        client.send_as_far_as_possible(request)
        answer = client.answer()
        assert answer.status == status
        assert len(answer.body) < 1000, "a short body"
        assert client.is_closed()
    dispatcher.until_true(lambda: counted(dispatcher, status) > before, lambda: f"the answer {status} is counted", 3)


# MARK: From clients

BAD_REQUESTS: dict[str, tuple[int, bytes]] = {
    "not HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is no request\r\n\r\n"),
    "no version": (400, b"GET /\r\n\r\n"),
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "space before the colon": (400, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello"),
    "folded line": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n"),
    "NUL in a value": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\x00c\r\n\r\n"),
    "length and chunked": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    "length with a sign": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello"),
    "length too great": (413, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n"),
    "length too great for a number": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"),
    "chunk size is no number": (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "preface of HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "another expectation": (417, b"POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\na"),
    "CONNECT": (501, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    "head of 100 KiB": (431, b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 100 * 1024 + b"\r\n\r\n"),
    "one line of 100 KiB": (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a" * 100 * 1024),
    "body over the limit, announced": (413, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2097152\r\n\r\n" + b"a" * 1000),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_request(dispatcher: Dispatcher, backend: Backend, name: str) -> None:
    status, request = BAD_REQUESTS[name]
    refused(dispatcher, status, request)
    assert not backend.requests, "it never reaches a server"


def test_chunked_body_over_the_limit(dispatcher: Dispatcher, backend: Backend) -> None:
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    refused(dispatcher, 413, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 20 + b"0\r\n\r\n")


def test_more_fields_than_the_limit(dispatcher: Dispatcher, backend: Backend) -> None:
    fields = b"".join(b"X-%d: a\r\n" % number for number in range(150))
    refused(dispatcher, 431, b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")


def test_slow_head(dispatcher: Dispatcher, backend: Backend) -> None:
    refused(dispatcher, 408, b"GET / HTTP/1.1\r\nHost: a\r\nX-A", port=STRICT)


def test_client_that_says_nothing_is_closed(dispatcher: Dispatcher) -> None:
    """408 or just an end: nothing was asked."""
    with Conversation(FILES_ADDRESS, STRICT) as client:
        data = client.read_to_end()
        assert data == b"" or data.startswith(b"HTTP/1.1 408 ")


def test_head_that_is_never_finished(dispatcher: Dispatcher, backend: Backend) -> None:
    for end in (Conversation.half_close, Conversation.close, Conversation.abort):
        client = Conversation(FILES_ADDRESS, PORT)
        client.send("GET /never HTTP/1.1\r\nHost: a\r\nX-")
        end(client)
        client.close()
    assert not backend.requests


def test_a_good_request_before_a_bad_one_is_answered(dispatcher: Dispatcher, backend: Backend) -> None:
    with Conversation(FILES_ADDRESS, PORT) as client:
        client.send("GET /good HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost : a\r\n\r\n")
        assert client.answer().body == b"/good"
        assert client.answer().status == 400
        assert client.is_closed()
    assert [request.target for request in backend.requests] == ["/good"]


def test_garbage_frames(dispatcher: Dispatcher, backend: Backend) -> None:
    before = dispatcher.metrics.total("dropped_frames_total")
    with Conversation(FILES_ADDRESS, PORT) as client:
        client.request("/before")
        assert client.answer().body == b"/before"
        for turn in range(10):
            frames.send(frames.garbage(CLIENT1, "10.77.1.1", FILES_ADDRESS, PORT, seed=SEED + turn, count=300))
            client.request("/during")
            assert client.answer().body == b"/during"
    dropped = dispatcher.metrics.total("dropped_frames_total") - before
    assert dropped >= 300, f"of 3000 garbage frames (seed {SEED}) only {dropped:.0f} are counted as dropped"


def test_garbage_inside_a_connection(dispatcher: Dispatcher, backend: Backend) -> None:
    """Segments with the addresses and ports of a live connection, but with numbers that a stranger guesses."""
    with Conversation(FILES_ADDRESS, PORT) as client:
        client.request("/before")
        assert client.answer().body == b"/before"
        port = client.socket.getsockname()[1]
        request = b"GET /forged HTTP/1.1\r\nHost: a\r\n\r\n"
        for sequence in range(0, 1 << 32, 1 << 28):
            for flags, payload in ((frames.RST, b""), (frames.SYN, b""), (frames.ACK, request), (frames.FIN | frames.ACK, b"")):
                segment = frames.tcp(CLIENT1, FILES_ADDRESS, port, PORT, flags, sequence, 12345, payload)
                frames.send([frames.ethernet("10.77.1.1", CLIENT1, frames.ipv4(CLIENT1, FILES_ADDRESS, segment))])
        client.request("/after")
        assert client.answer().body == b"/after"
    assert [request.target for request in backend.requests] == ["/before", "/after"]


# MARK: From servers

NONSENSE: dict[str, bytes] = {
    "no HTTP": b"220 mail.example ESMTP\r\n\r\n",
    "another protocol's status line": b"ICY 200 OK\r\n\r\n",
    "status is no number": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "length is no number": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown transfer coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    "a switch that nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    "head of 100 KiB": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100 * 1024 + b"\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_server_answers_nonsense(dispatcher: Dispatcher, backend: Backend, name: str) -> None:
    backend.says("/x", NONSENSE[name])
    before = counted(dispatcher, 502)
    with Conversation(FILES_ADDRESS, PORT) as client:
        client.request("/x")
        assert client.answer().status == 502
    dispatcher.until_true(lambda: counted(dispatcher, 502) > before, lambda: "the answer 502 is counted", 3)


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_server_gives_up_before_it_answers(dispatcher: Dispatcher, backend: Backend, how: str) -> None:
    """A POST is not repeated once the server may have seen it."""

    async def give_up(exchange: Exchange) -> None:
        if how == "resets":
            exchange.reset()
        raise Closed

    backend.on("/x", give_up)
    with Conversation(FILES_ADDRESS, PORT) as client:
        client.request("/x", method="POST", body=b"a")
        assert client.answer().status == 502
    assert len(backend.requests) == 1


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_answer_cut_short_is_not_made_to_look_whole(dispatcher: Dispatcher, backend: Backend, how: str) -> None:
    async def cut_short(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + b"a" * 200000)
        await exchange.pause(0.2)
        if how == "resets":
            exchange.reset()
        raise Closed

    backend.on("/x", cut_short)
    with Conversation(FILES_ADDRESS, PORT) as client:
        client.request("/x")
        with pytest.raises((EOFError, ConnectionResetError)):
            client.answer()


def test_more_bytes_than_announced_reach_nobody_else(dispatcher: Dispatcher, backend: Backend) -> None:
    backend.says("/x", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
    with Conversation(FILES_ADDRESS, PORT) as client:
        for _ in range(5):
            client.request("/x")
            assert client.answer().body == b"ok"
            client.request("/good")
            assert client.answer().body == b"/good"


def test_server_never_answers(dispatcher: Dispatcher, backend: Backend) -> None:
    async def silence(exchange: Exchange) -> None:
        await exchange.pause(5)

    backend.on("/x", silence)
    before = counted(dispatcher, 504)
    with Conversation(FILES_ADDRESS, STRICT) as client:
        client.request("/x")
        assert client.answer().status == 504
    dispatcher.until_true(lambda: counted(dispatcher, 504) > before, lambda: "the answer 504 is counted", 3)


def test_server_is_down(dispatcher: Dispatcher) -> None:
    with Conversation(FILES_ADDRESS, DOWN) as client:
        client.request("/x")
        assert client.answer().status in (502, 503)


def test_one_of_two_servers_is_down(dispatcher: Dispatcher, backends: list[Backend]) -> None:
    """A connection that cannot be opened has done no harm: the request goes to the other server."""
    for _ in range(10):
        with Conversation(FILES_ADDRESS, HALF_DOWN) as client:
            client.request("/x")
            assert client.answer().body == b"/x"
