"""Two packet threads: the kernel shares out the frames, and together they keep limit and order, answer for the addresses, and reload."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets

from backend import Backend, Exchange
from conftest import started
from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service, yaml
from sluicelab.namespaces import HostThread
from sluicelab.network import FILES_ADDRESS, server_address
from test_l43 import curl, l43, route_through_dispatcher
from test_loading import Crowd, ask

WEB, FILES, SOCKETS, KEPT = 80, 81, 82, 83
SHARDS = 2
LIMIT = 3


def configure(limit: int = LIMIT) -> Configuration:
    servers = [f"{server_address(number)}:8000" for number in (1, 2)]
    files = [f"{server_address(number)}:80" for number in (1, 2)]
    names = {"web": WEB, "files": FILES, "sockets": SOCKETS}
    return configuration(
        [service(name, f"{FILES_ADDRESS}:{port}", name) for name, port in names.items()],
        [
            pool("web", servers, connections=limit, queue={"wait": "30s"}),
            pool("files", files, connections=32),
            pool("sockets", [f"{server_address(1)}:8001"], connections=32),
        ],
        shards=SHARDS,
        log={"level": "info", "access": "none"},
    )


def running(folder: Path, config: Configuration) -> Iterator[Dispatcher]:
    """For a fixture: a dispatcher of one test, which must end well."""
    process = Dispatcher(folder, config)
    started.append(process)
    yield process
    assert process.running and process.stop() == 0, process.log_end()
    started.remove(process)


@pytest.fixture
def dispatcher(lab: None, folder: Path, file_servers: list[str]) -> Iterator[Dispatcher]:
    yield from running(folder, configure())


def threads(dispatcher: Dispatcher) -> list[str]:
    """Names of the process' threads."""
    return sorted(path.read_text().strip() for path in Path(f"/proc/{dispatcher.pid}/task").glob("*/comm"))


class Slow:
    """Answers that take a moment, on every server; how many there were at once, and from which ports they were asked."""

    def __init__(self, backends: list[Backend]) -> None:
        self.most = [0] * len(backends)
        self.ports: set[int] = set()
        self.asked = 0
        self._now = [0] * len(backends)
        for number, backend in enumerate(backends):
            backend.on("/slow", lambda exchange, number=number: self._answer(exchange, number))  # type: ignore[misc]

    async def _answer(self, exchange: Exchange, number: int) -> None:
        self.asked += 1
        self._now[number] += 1
        self.most[number] = max(self.most[number], self._now[number])
        self.ports.add(exchange.writer.get_extra_info("peername")[1])
        try:
            await exchange.pause(0.01)
        finally:
            self._now[number] -= 1
        await exchange.ok(b"done")


def limits(dispatcher: Dispatcher) -> list[int]:
    return [row["limit"] for row in dispatcher.status["services"][0]["pools"][0]["servers"]]


def test_k08_two_packet_threads_keep_one_limit(dispatcher: Dispatcher, backends: list[Backend]) -> None:
    """Forty kernel clients at two servers with three permissible connections each: never more at once, none unused, both threads work."""
    assert [name for name in threads(dispatcher) if name.startswith("sluice-shard")] == ["sluice-shard-0", "sluice-shard-1"]
    slow = Slow(backends)
    crowd = Crowd(WEB, 40, "/slow")
    dispatcher.until_true(lambda: len(crowd.statuses) > 200, lambda: f"{len(crowd.statuses)} answers", 30)
    statuses = crowd.end()
    assert set(statuses) == {200}
    assert slow.most == [LIMIT, LIMIT]
    assert {port % SHARDS for port in slow.ports} == {0, 1}, "connections to the servers come from the ports of both"
    rows = dispatcher.status["services"][0]["pools"][0]["servers"]
    assert [row["active"] for row in rows] == [0, 0] and sum(row["requests"] for row in rows) >= len(statuses)
    assert dispatcher.metrics.total("over_limit_total") == 0


def test_files_are_whole(dispatcher: Dispatcher, files: dict[str, bytes]) -> None:
    """From both sides of a router with a smaller MTU, over many connections: what routers say reaches the thread that it concerns."""
    wanted = hashlib.sha256(files["8MiB"]).hexdigest()
    for host in ("client1", "client2"):
        script = f"for n in 1 2 3 4 5 6; do curl -s --max-time 20 http://{FILES_ADDRESS}:{FILES}/8MiB | sha256sum; done"
        said = subprocess.run(["ip", "netns", "exec", f"sluice-{host}", "sh", "-c", script], capture_output=True, text=True, timeout=60)
        assert [line.split()[0] for line in said.stdout.splitlines()] == [wanted] * 6, host


def test_the_addresses_answer(dispatcher: Dispatcher) -> None:
    """One answer to each echo request, and to each question for the address."""

    def echo() -> list[tuple[int, int]]:
        answers: list[tuple[int, int]] = []
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            raw.settimeout(0.5)
            for number in range(5):
                head = struct.pack("!BBHHH", 8, 0, 0, 77, number)
                total = sum(struct.unpack("!4H", head))
                raw.sendto(head[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[4:], (FILES_ADDRESS, 0))
            with contextlib.suppress(TimeoutError):
                while True:
                    packet = raw.recv(200)
                    kind, _, _, name, number = struct.unpack("!BBHHH", packet[20:28])
                    if (kind, name) == (0, 77):
                        answers.append((kind, number))
        return answers

    assert sorted(HostThread("client1", echo).result(20)) == [(0, number) for number in range(5)]
    subprocess.run(["ip", "netns", "exec", "sluice-client1", "ip", "neigh", "flush", "all"], timeout=20, check=True)
    assert ask(FILES, "/1B").status == 200


def test_websockets_cross(dispatcher: Dispatcher, echo_server: None) -> None:
    async def talk() -> None:
        sockets = [
            await websockets.connect(f"ws://{FILES_ADDRESS}:{SOCKETS}/", compression=None) for _ in range(12)  # type: ignore[attr-defined]
        ]
        for number, one in enumerate(sockets):
            await one.send(f"hello {number}")
        for number, one in enumerate(sockets):
            assert await one.recv() == f"hello {number}"
        tunnels = [row for found in dispatcher.status["services"] for row in found["pools"][0]["servers"]]
        assert sum(row["tunnels"] for row in tunnels) == 12
        for one in sockets:
            await one.close()

    HostThread("client1", lambda: asyncio.run(talk())).result(20)


def test_a_reload_reaches_both(dispatcher: Dispatcher, backends: list[Backend]) -> None:
    slow = Slow(backends)
    crowd = Crowd(WEB, 40, "/slow")
    time.sleep(0.5)
    dispatcher.config_file.write_text(yaml(configure(limit=1)))
    dispatcher.signal(signal.SIGHUP)
    dispatcher.until_true(lambda: limits(dispatcher) == [1, 1], lambda: f"limits {limits(dispatcher)}", 5)
    time.sleep(0.5)
    slow.most = [0, 0]
    time.sleep(1)
    assert slow.most == [1, 1]
    other = configure(limit=1)
    other["shards"] = 3
    dispatcher.config_file.write_text(yaml(other))
    dispatcher.signal(signal.SIGHUP)
    dispatcher.until_true(lambda: "only a restart changes shards" in dispatcher.log.read_text(), lambda: "no word of the refusal", 5)
    assert set(crowd.end()) == {200}


def test_what_is_at_work_ends_well(lab: None, folder: Path, backends: list[Backend]) -> None:
    """SIGTERM while both threads have requests: they are answered, then the process ends."""
    process = Dispatcher(folder, configure())
    started.append(process)
    try:
        slow = Slow(backends)
        statuses: list[int] = []

        def visit() -> None:
            """Asks over one connection until it is closed between two answers."""
            with Conversation(FILES_ADDRESS, WEB) as client:
                while True:
                    client.request("/slow")
                    try:
                        statuses.append(client.answer().status)
                    except (EOFError, ConnectionError):
                        return

        visitors = [threading.Thread(target=visit, daemon=True) for _ in range(6)]
        for visitor in visitors:
            visitor.start()
        time.sleep(0.5)
        process.signal(signal.SIGTERM)
        assert process.wait(15) == 0
        for visitor in visitors:
            visitor.join(10)
        # What the servers were asked was answered; a request behind the last answer of its connection reached none.
        assert set(statuses) == {200} and len(statuses) == slow.asked
    finally:
        process.stop()
        started.remove(process)


def configure_forwarding() -> Configuration:
    """The same servers in mode l4/3; one pool's server sees its clients' own addresses."""
    both = [f"{server_address(number)}:8000" for number in (1, 2)]
    names = {"web": WEB, "files": FILES, "kept": KEPT}
    return configuration(
        [l43(name, f"{FILES_ADDRESS}:{port}", name) for name, port in names.items()],
        [
            pool("web", both, connections=LIMIT, queue={"wait": "30s"}),
            pool("files", [f"{server_address(1)}:80"], connections=32),
            pool("kept", [f"{server_address(2)}:80"], connections=32, l4={"source": "keep"}),
        ],
        shards=SHARDS,
        log={"level": "info", "access": "none"},
    )


@pytest.fixture
def forwarder(lab: None, folder: Path, file_servers: list[str]) -> Iterator[Dispatcher]:
    yield from running(folder, configure_forwarding())


def test_two_packet_threads_forward_connections_under_one_limit(forwarder: Dispatcher, backends: list[Backend]) -> None:
    """Twelve kernel clients, each with one connection after the other, at two servers that may have three each."""
    assert [name for name in threads(forwarder) if name.startswith("sluice-shard")] == ["sluice-shard-0", "sluice-shard-1"]
    slow = Slow(backends)
    statuses: list[int] = []
    ends = time.monotonic() + 4

    def visit() -> None:
        while time.monotonic() < ends:
            with Conversation(FILES_ADDRESS, WEB, timeout=20) as client:
                client.request("/slow", fields={"Connection": "close"})
                statuses.append(client.answer().status)

    visitors = [threading.Thread(target=visit, daemon=True) for _ in range(12)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(30)
        assert not visitor.is_alive()
    assert len(statuses) > 200 and set(statuses) == {200}
    assert slow.most == [LIMIT, LIMIT]
    assert {port % SHARDS for port in slow.ports} == {0, 1}, "connections to the servers come from the ports of both"
    forwarder.until_true(
        lambda: [row["active"] for row in forwarder.status["services"][0]["pools"][0]["servers"]] == [0, 0],
        lambda: "connections are left",
        5,
    )
    assert forwarder.metrics.total("over_limit_total") == 0


def test_forwarded_files_are_whole(forwarder: Dispatcher, files: dict[str, bytes]) -> None:
    """From both sides of a router with a smaller MTU, over many connections: what routers say reaches the thread that it concerns."""
    for host in ("client1", "client2"):
        for _ in range(6):
            assert curl(f"http://{FILES_ADDRESS}:{FILES}/8MiB", host=host) == files["8MiB"], host


def test_both_threads_have_clients_that_their_server_sees(forwarder: Dispatcher, backends: list[Backend], files: dict[str, bytes]) -> None:
    """`l4.source: keep`: the kernel gives what the server sends to the thread that has the client."""
    with route_through_dispatcher("server2"):
        for _ in range(12):
            assert curl(f"http://{FILES_ADDRESS}:{KEPT}/1MiB") == files["1MiB"]
    row = next(one for one in forwarder.status["services"] if one["name"] == "kept")
    assert row["connectionsTotal"] == 12
