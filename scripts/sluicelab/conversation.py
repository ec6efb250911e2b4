"""A client that says exactly what it is told, and reads answers strictly: for what curl would not do."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from .namespaces import inside


@dataclass(frozen=True)
class Answer:
    """One response, whole."""

    version: str
    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key.lower() == name.lower()), None)


class Conversation:
    """One connection from a host of the lab. Every wait is bounded by `timeout` seconds and then raises TimeoutError."""

    def __init__(self, address: str, port: int, host: str = "client1", timeout: float = 8, receive_buffer: int | None = None) -> None:
        with inside(host):
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._unread = b""
        try:
            self.socket.connect((address, port))
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes | str) -> None:
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def send_as_far_as_possible(self, data: bytes) -> None:
        """Like send; but the other side may stop listening meanwhile."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def request(
        self, target: str = "/", method: str = "GET", version: str = "1.1", fields: dict[str, str] | None = None, body: bytes = b""
    ) -> None:
        lines = [f"{method} {target} HTTP/{version}", "Host: lab"]
        lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def abort(self) -> None:
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # Reading

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self._unread += data
        return bool(data)

    def read(self, count: int) -> bytes:
        while len(self._unread) < count:
            if not self._more():
                raise EOFError(f"closed after {len(self._unread)} of {count} bytes")
        data, self._unread = self._unread[:count], self._unread[count:]
        return data

    def read_line(self) -> str:
        while b"\r\n" not in self._unread:
            if not self._more():
                raise EOFError(f"closed inside a line: {self._unread[:200]!r}")
        line, self._unread = self._unread.split(b"\r\n", 1)
        return line.decode("latin-1")

    def read_to_end(self) -> bytes:
        while self._more():
            pass
        data, self._unread = self._unread, b""
        return data

    def is_closed(self) -> bool:
        """Waits for the other side to close, by FIN or by RST; false when it sends something instead."""
        try:
            return not self._unread and not self._more()
        except ConnectionResetError:
            return True

    def answer(self, method: str = "GET", interim: bool = False) -> Answer:
        """The next response; those with a status below 200 are skipped unless `interim`."""
        while True:
            found = self._answer(method)
            if interim or found.status >= 200 or found.status == 101:
                return found

    def _answer(self, method: str) -> Answer:
        version, status, reason = (self.read_line() + "  ").split(" ", 2)
        fields: list[tuple[str, str]] = []
        while line := self.read_line():
            name, value = line.split(":", 1)
            fields.append((name, value.strip()))
        head = Answer(version, int(status), reason.strip(), fields, b"")
        return Answer(version, head.status, head.reason, fields, self._body(head, method))

    def _body(self, head: Answer, method: str) -> bytes:
        if method == "HEAD" or head.status < 200 or head.status in (204, 304):
            return b""
        if (head.field("Transfer-Encoding") or "").lower() == "chunked":
            body = b""
            while size := int(self.read_line().split(";")[0], 16):
                body += self.read(size)
                assert self.read(2) == b"\r\n", "a chunk ends with CRLF"
            while self.read_line():
                pass  # trailers
            return body
        if (length := head.field("Content-Length")) is not None:
            return self.read(int(length))
        return self.read_to_end()
