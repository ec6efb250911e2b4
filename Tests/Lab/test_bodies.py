"""Long request bodies: they go to the server while they come. Clients and servers are curl and plain sockets of the kernel."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.namespaces import inside
from sluicelab.network import FILES_ADDRESS, server_address

NORMAL, BIG = 81, 82
SERVER_PORT = 8003
MIB = 1 << 20


def configure() -> Configuration:
    services = [
        service("normal", f"{FILES_ADDRESS}:{NORMAL}", "one"),
        service("big", f"{FILES_ADDRESS}:{BIG}", "one", limits={"body": "64MiB"}),
    ]
    return configuration(services, [pool("one", [f"{server_address(1)}:{SERVER_PORT}"], connections=4, queue={"wait": "30s"})])


class Upload:
    """A request as the server reads it from its socket: the head, then the body as it comes."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._unread = b""
        self.head = ""

    def read_head(self) -> bool:
        while b"\r\n\r\n" not in self._unread:
            if not (data := self.connection.recv(65536)):
                return False
            self._unread += data
        head, self._unread = self._unread.split(b"\r\n\r\n", 1)
        self.head = head.decode("latin-1")
        return True

    def field(self, name: str) -> str | None:
        for line in self.head.split("\r\n")[1:]:
            key, value = line.split(":", 1)
            if key.lower() == name.lower():
                return value.strip()
        return None

    def _some(self, most: int) -> bytes:
        if not self._unread:
            self._unread = self.connection.recv(65536)
            if not self._unread:
                raise EOFError
        data, self._unread = self._unread[:most], self._unread[most:]
        return data

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\r\n"):
            line += self._some(1)
        return line

    def body(self, pause: float = 0) -> Iterator[bytes]:
        """Pieces of the data, with a pause after each."""
        if self.field("Transfer-Encoding") == "chunked":
            while left := int(self._line(), 16):
                while left:
                    yield (data := self._some(left))
                    left -= len(data)
                    time.sleep(pause)
                assert self._line() == b"\r\n"
            assert self._line() == b"\r\n"
            return
        left = int(self.field("Content-Length") or 0)
        while left:
            yield (data := self._some(left))
            left -= len(data)
            time.sleep(pause)

    def answer(self, body: bytes, status: str = "200 OK", *more: str) -> None:
        fields = "".join(f"{line}\r\n" for line in more)
        self.connection.sendall(f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def digest(upload: Upload) -> None:
    """What a server does unless a test says otherwise: it answers with the number of bytes and their SHA-256."""
    count, sha = 0, hashlib.sha256()
    for data in upload.body():
        count += len(data)
        sha.update(data)
    upload.answer(f"{count} {sha.hexdigest()}".encode())


class Server:
    """Hands each request to `handler`; a connection ends when that returns false or raises. Remembers how each request ended."""

    def __init__(self) -> None:
        self.handler: Callable[[Upload], object] = digest
        self.heads: list[str] = []
        self.ends: list[str] = []
        with inside("server1"):
            self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((server_address(1), SERVER_PORT))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(40)
        with connection:
            upload = Upload(connection)
            try:
                while upload.read_head():
                    self.heads.append(upload.head)
                    self.handler(upload)
                    self.ends.append("answered")
            except EOFError:
                self.ends.append("closed")
            except ConnectionError:
                self.ends.append("reset")

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(scope="module")
def _server(dispatcher: Dispatcher) -> Iterator[Server]:
    process = Server()
    yield process
    process.stop()


@pytest.fixture
def server(_server: Server) -> Server:
    """One for all tests, because its connections outlive them; forgetful between them."""
    _server.handler, _server.heads, _server.ends = digest, [], []
    return _server


@pytest.fixture(scope="module")
def content(workspace: Path) -> dict[int, Path]:
    """Files to upload, by size."""
    found = {}
    for size in (MIB, 50 * MIB):
        found[size] = workspace / f"upload-{size}"
        found[size].write_bytes(os.urandom(MIB) * (size // MIB))
    return found


def curl(port: int, file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["ip", "netns", "exec", "sluice-client1", "curl", "--silent", "--show-error", "--max-time", "40", "--upload-file", str(file)]
    done = subprocess.run([*command, *words, f"http://{FILES_ADDRESS}:{port}/upload"], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, f"curl {words}: {done.stderr}"
    return done


def nothing_is_left(dispatcher: Dispatcher) -> None:
    def is_free() -> bool:
        status = dispatcher.status
        one = status["services"][0]["pools"][0]["servers"][0]
        return bool(status["bodyBytes"] == 0 and one["active"] == 0 and one["streamed"] == 0)

    dispatcher.until(is_free, "no place at the server and no memory for bodies to be taken", 5)


@pytest.mark.parametrize("size", [MIB, 50 * MIB])
@pytest.mark.parametrize("chunked", [False, True])
def test_curl_uploads_exactly(dispatcher: Dispatcher, server: Server, content: dict[int, Path], size: int, chunked: bool) -> None:
    before = dispatcher.metrics.total("streamed_requests_total")
    done = curl(BIG, content[size], *(["--header", "Transfer-Encoding: chunked"] if chunked else []))
    assert done.stdout == f"{size} {hashlib.sha256(content[size].read_bytes()).hexdigest()}"
    coding = "transfer-encoding: chunked" if chunked else f"content-length: {size}"
    assert f"\r\n{coding}\r\n" in server.heads[-1].lower() + "\r\n"
    assert "\r\nexpect:" not in server.heads[-1].lower()
    assert dispatcher.metrics.total("streamed_requests_total") == before + 1
    nothing_is_left(dispatcher)


def test_uploads_at_a_time_and_requests_between_them(dispatcher: Dispatcher, server: Server, content: dict[int, Path]) -> None:
    done: list[str] = []
    threads = [threading.Thread(target=lambda: done.append(curl(NORMAL, content[MIB]).stdout)) for _ in range(12)]
    for thread in threads:
        thread.start()
    with Conversation(FILES_ADDRESS, NORMAL, timeout=20) as client:
        for _ in range(20):
            client.request("/between", method="POST", body=b"short")
            assert client.answer().body.startswith(b"5 ")
    for thread in threads:
        thread.join(45)
    assert done == [f"{MIB} {hashlib.sha256(content[MIB].read_bytes()).hexdigest()}"] * 12
    nothing_is_left(dispatcher)


def test_a_continue_comes_at_once(dispatcher: Dispatcher, server: Server, content: dict[int, Path]) -> None:
    begin = time.monotonic()
    curl(NORMAL, content[MIB], "--header", "Expect: 100-continue", "--expect100-timeout", "20")
    assert time.monotonic() - begin < 10


def test_a_slow_reader_slows_its_client_down(dispatcher: Dispatcher, server: Server) -> None:
    body = os.urandom(8 * MIB)
    held: list[int] = []

    def slowly(upload: Upload) -> None:
        sha = hashlib.sha256()
        for number, data in enumerate(upload.body(pause=0.01)):
            sha.update(data)
            if number % 20 == 0:
                held.append(dispatcher.status["bufferBytes"])
        upload.answer(sha.hexdigest().encode())

    server.handler = slowly
    with Conversation(FILES_ADDRESS, BIG, timeout=40) as client:
        client.request("/", method="POST", body=body)
        assert client.answer().body == hashlib.sha256(body).hexdigest().encode()
    assert held and max(held) <= 512 << 10
    nothing_is_left(dispatcher)


def test_an_upload_that_stops_is_given_up(dispatcher: Dispatcher, server: Server) -> None:
    with Conversation(FILES_ADDRESS, NORMAL, timeout=25) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 100_000)
        begin = time.monotonic()
        assert client.answer().status == 408
        assert 9 <= time.monotonic() - begin <= 21
        assert client.is_closed()
    dispatcher.until(lambda: server.ends == ["reset"], "the server's connection to be reset", 3)
    nothing_is_left(dispatcher)


def test_an_early_answer_reaches_its_client(dispatcher: Dispatcher, server: Server) -> None:
    def refuse(upload: Upload) -> None:
        upload.answer(b"too much", "413 Content Too Large")
        for _ in upload.body():
            pass

    server.handler = refuse
    with Conversation(FILES_ADDRESS, BIG) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: 30000000\r\n\r\n" + b"a" * 200_000)
        answer = client.answer()
        assert (answer.status, answer.body) == (413, b"too much")
        assert client.is_closed()
    dispatcher.until(lambda: server.ends == ["reset"], "the server's connection to be reset, never used again", 3)
    nothing_is_left(dispatcher)


def test_an_answer_that_begins_before_the_body_has_ended(dispatcher: Dispatcher, server: Server) -> None:
    def echo(upload: Upload) -> None:
        upload.connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {upload.field('Content-Length')}\r\n\r\n".encode())
        for data in upload.body():
            upload.connection.sendall(data)

    server.handler = echo
    body = os.urandom(3 * MIB)
    with Conversation(FILES_ADDRESS, BIG, timeout=20) as client:
        sender = threading.Thread(target=lambda: client.request("/", method="POST", body=body))
        sender.start()
        assert client.answer().body == body
        sender.join(10)
        assert client.is_closed()
    nothing_is_left(dispatcher)


@pytest.mark.parametrize("how", ["reset", "close", "broken chunk", "too long"])
def test_a_body_that_does_not_end_well_is_never_whole_at_the_server(dispatcher: Dispatcher, server: Server, how: str) -> None:
    chunk = b"2710\r\n" + b"a" * 10000 + b"\r\n"
    with Conversation(FILES_ADDRESS, NORMAL) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 20)
        dispatcher.until(lambda: len(server.heads) == 1, "the request to reach the server", 5)
        if how == "reset":
            client.abort()
        elif how == "close":
            client.half_close()
            assert client.answer().status == 400
        elif how == "broken chunk":
            client.send(b"-1\r\na\r\n0\r\n\r\n")
            assert client.answer().status == 400
        else:
            client.send_as_far_as_possible(chunk * 100)
            assert client.answer().status == 413
    dispatcher.until(lambda: server.ends == ["reset"], "the server's connection to be reset", 3)
    nothing_is_left(dispatcher)


def test_a_server_that_leaves_in_the_body(dispatcher: Dispatcher, server: Server) -> None:
    def leave(upload: Upload) -> None:
        next(upload.body())
        raise EOFError

    server.handler = leave
    with Conversation(FILES_ADDRESS, NORMAL) as client:
        client.send_as_far_as_possible(b"PUT / HTTP/1.1\r\nHost: lab\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 150_000)
        assert client.answer().status == 502
    assert len(server.heads) == 1, "never repeated"
    nothing_is_left(dispatcher)


def test_slow_uploads_leave_room_for_others(dispatcher: Dispatcher, server: Server) -> None:
    """Four connections are permissible: streamed bodies have two of them."""
    slow = [Conversation(FILES_ADDRESS, NORMAL, timeout=20) for _ in range(6)]
    for client in slow:
        client.send(b"POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: 100000\r\n\r\n" + b"a" * 70_000)
    dispatcher.until(lambda: dispatcher.metrics.total("server_streamed") == 2, "two uploads to be on their way", 5)
    with Conversation(FILES_ADDRESS, NORMAL, timeout=2) as client:
        for _ in range(30):
            client.request("/quick", method="POST", body=b"quick")
            assert client.answer().body.startswith(b"5 ")
    metrics = dispatcher.metrics
    assert (metrics.total("server_streamed"), metrics.total("queue_length")) == (2, 4)
    for client in slow:
        client.send(b"a" * 30_000)
    for client in slow:
        assert client.answer().body.startswith(b"100000 ")
        client.close()
    nothing_is_left(dispatcher)
