"""Controlled loading on a real network: limits that move, servers that are checked, drained and left out, and what operators see of it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend import Backend, Exchange
from conftest import started
from sluicelab.conversation import Answer, Conversation
from sluicelab.dispatcher import ADMIN, Configuration, Dispatcher, configuration, pool, service
from sluicelab.namespaces import HostThread
from sluicelab.network import CLIENT1, FILES_ADDRESS, server_address
from sluicelab.paths import binary

PORT = 8000
FIXED, HELD, CHECKED, TOLD, PAGES, FORWARDED = 80, 81, 82, 83, 84, 85
ONE, TWO = (f"{server_address(number)}:{PORT}" for number in (1, 2))
PROXY_PORT, FORWARDED_PORT = 8010, 8030
PAGE = "<h1>closed for today</h1>" * 100


def configure(folder: Path) -> Configuration:
    page = folder / "503.html"
    page.write_text(PAGE)
    page.chmod(0o644)
    held = {"initial": 16, "maximum": 32, "control": {"hold": "average-response-time", "from": "20ms", "to": "60ms"}}
    forwarded = pool("forwarded", [f"{server_address(number)}:{FORWARDED_PORT}" for number in (1, 2)])
    health = {"path": "/health", "every": "200ms", "timeout": "150ms", "rise": 2, "fall": 2, "report-header": "X-Load"}
    made = configuration(
        [
            service("fixed", f"{FILES_ADDRESS}:{FIXED}", "fixed"),
            service("held", f"{FILES_ADDRESS}:{HELD}", "held"),
            service("checked", f"{FILES_ADDRESS}:{CHECKED}", "checked"),
            service("told", f"{FILES_ADDRESS}:{TOLD}", "told"),
            service("pages", f"{FILES_ADDRESS}:{PAGES}", "pages", **{"error-pages": [{"status": 503, "file": str(page)}]}),
            {**service("forwarded", f"{FILES_ADDRESS}:{FORWARDED}", "forwarded"), "mode": "l4/3"},
        ],
        [
            pool("fixed", [ONE, TWO], connections=4),
            {**pool("held", [ONE]), "limit": held, "queue": {"wait": "5s"}},
            {**pool("checked", [ONE, TWO]), "health": health},
            {**pool("told", [f"{server_address(1)}:{PROXY_PORT}"]), "proxy-protocol": "v2"},
            pool("pages", [f"{server_address(1)}:9"]),
            {**forwarded, "health": {key: health[key] for key in health if key != "report-header"}, "balance": "hash: source"},
        ],
        log={"level": "debug", "access": "none"},
    )
    made["server-side"]["servers"] = 16
    return made


@pytest.fixture(scope="module")
def dispatcher(lab: None, workspace: Path) -> Iterator[Dispatcher]:
    folder = workspace / "loading"
    folder.mkdir(parents=True, exist_ok=True)
    process = Dispatcher(folder, configure(folder))
    started.append(process)
    yield process
    process.stop()
    started.remove(process)


def ask(port: int, path: str = "/") -> Answer:
    with Conversation(FILES_ADDRESS, port) as client:
        client.request(path)
        return client.answer()


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    words = ["ip", "netns", "exec", "sluice-dispatcher", str(binary("sluice")), *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=20)


def server(dispatcher: Dispatcher, pool_name: str, address: str) -> dict[str, object]:
    for one in dispatcher.status["services"]:
        for found in one["pools"]:
            if found["name"] == pool_name:
                return next(row for row in found["servers"] if row["address"] == address)
    raise AssertionError(f"there is no pool {pool_name}")


def asked(backend: Backend) -> int:
    """How often a client's request came to it; health checks are not."""
    return sum(1 for request in backend.requests if request.target == "/")


class Crowd:
    """Clients that ask again and again, each over a connection of its own that it keeps."""

    def __init__(self, port: int, count: int, path: str = "/") -> None:
        self.statuses: list[int] = []
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(port, path), daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self, port: int, path: str) -> None:
        with Conversation(FILES_ADDRESS, port, timeout=20) as client:
            while not self._ends.is_set():
                client.request(path)
                self.statuses.append(client.answer().status)

    def end(self) -> list[int]:
        self._ends.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        return self.statuses


def test_a_response_time_is_held_in_its_band(dispatcher: Dispatcher, backend: Backend) -> None:
    """A server that takes 5 ms for each request that it has: the limit goes to where the mean is between 20 and 60 ms."""
    at_work = 0

    async def shared(exchange: Exchange) -> None:
        nonlocal at_work
        at_work += 1
        try:
            await asyncio.sleep(0.005 * at_work)
        finally:
            at_work -= 1
        await exchange.ok(b"")

    backend.on("/shared", shared)
    crowd = Crowd(HELD, 40, "/shared")
    try:
        time.sleep(8)
        rows = []
        for _ in range(8):
            time.sleep(0.5)
            rows.append(server(dispatcher, "held", ONE))
    finally:
        statuses = crowd.end()
    limits = [row["limit"] for row in rows]
    assert all(3 <= int(str(limit)) <= 14 for limit in limits), f"limits {limits}\n{dispatcher.log_end()}"
    metrics = dispatcher.metrics
    assert metrics.total("server_band_low", pool="held") == 0.02 and metrics.total("server_band_high", pool="held") == 0.06
    assert metrics.total("over_limit_total") == 0
    assert set(statuses) == {200}
    log = dispatcher.log_end(400)
    assert f"server {ONE} of pool held: limit 16 -> " in log, "each change is logged with its reason"


def test_drain_ready_and_down_lose_no_request(dispatcher: Dispatcher, backends: list[Backend]) -> None:
    crowd = Crowd(FIXED, 12)
    try:
        time.sleep(0.3)
        for order, state in (("drain", "drain"), ("ready", "up"), ("down", "down"), ("ready", "up")):
            done = tool("ctl", order, f"fixed/{TWO}")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["state"] == state
            assert dispatcher.metrics.total("server_state", pool="fixed", server=TWO, state=state) == 1
            dispatcher.until_true(lambda: state == "up" or server(dispatcher, "fixed", TWO)["active"] == 0, lambda: f"{TWO} empties", 3)
            seen = asked(backends[1])
            time.sleep(0.3)
            if state == "up":
                assert asked(backends[1]) > seen, "it has its part again"
            else:
                assert asked(backends[1]) == seen, "it gets nothing new"
            if state == "down":
                assert server(dispatcher, "fixed", TWO)["idle"] == 0
    finally:
        statuses = crowd.end()
    assert set(statuses) == {200} and len(statuses) > 100
    assert f"server {TWO} of pool fixed: up -> drain (order)" in dispatcher.log_end(400)


def test_limits_weights_and_bands_are_changed_while_it_runs(dispatcher: Dispatcher, backends: list[Backend]) -> None:
    assert json.loads(tool("ctl", "limit", f"fixed/{ONE}", "2").stdout)["limit"] == 2
    assert json.loads(tool("ctl", "weight", f"fixed/{ONE}", "3").stdout)["weight"] == 3
    band = json.loads(tool("ctl", "band", f"held/{ONE}", "--from", "5ms", "--to", "1s").stdout)["band"]
    assert band == {"from": 0.005, "to": 1}
    assert json.loads(tool("ctl", "band", f"held/{ONE}", "--from", "20ms", "--to", "60ms").stdout)["band"] == {"from": 0.02, "to": 0.06}
    for wrong, reason in (
        (("ctl", "band", f"fixed/{ONE}", "--to", "1s"), "no metric is held"),
        (("ctl", "limit", f"fixed/{server_address(9)}:1", "2"), "there is no server"),
        (("ctl", "drain", "nothing/x"), "there is no pool named nothing"),
        (("ctl", "band", f"held/{ONE}", "--from", "1s", "--to", "5ms"), "below its high end"),
    ):
        done = tool(*wrong)
        assert done.returncode == 1 and reason in done.stderr, done.stderr
    assert tool("ctl", "drain", "nothing").returncode == 2
    for backend in backends:
        backend.forget()
    for _ in range(8):
        assert ask(FIXED).status == 200
    assert [asked(backend) for backend in backends[:2]] == [6, 2], "three and one of any four"
    assert tool("ctl", "weight", f"fixed/{ONE}", "1").returncode == 0
    assert tool("ctl", "limit", f"fixed/{ONE}", "4").returncode == 0


def test_top_shows_what_it_does(dispatcher: Dispatcher, backends: list[Backend]) -> None:
    crowd = Crowd(FIXED, 4)
    try:
        done = tool("top", "--count", "2", "--interval", "1")
    finally:
        crowd.end()
    assert done.returncode == 0, done.stderr
    second = done.stdout[done.stdout.rindex("sluice ") :]
    assert "service fixed" in second and "pool held" in second and "average" not in second
    row = next(line for line in second.splitlines() if line.split()[:2] == [ONE, "up"])
    rate = float(row.split()[-2].removesuffix("/s"))
    assert rate > 10, row
    assert tool("top", "--count", "1", "--admin", f"http://{ADMIN[0]}:9").returncode == 1


def test_health_checks_take_servers_out_and_in(dispatcher: Dispatcher, backends: list[Backend]) -> None:
    bad = threading.Event()
    slow = threading.Event()

    async def health(exchange: Exchange) -> None:
        assert exchange.request.values("User-Agent") == ["sluice"] and exchange.request.values("Host") == [TWO]
        if slow.is_set():
            await exchange.pause(0.5)
        if bad.is_set():
            await exchange.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            await exchange.ok(b"fine", "X-Load: 2.5", "Connection: close")

    def state_is(address: str, state: str) -> None:
        dispatcher.until_true(
            lambda: server(dispatcher, "checked", address)["state"] == state, lambda: f"{address} is {state}\n{dispatcher.log_end()}", 5
        )

    backends[1].on("/health", health)
    state_is(TWO, "up")
    dispatcher.until_true(
        lambda: dispatcher.metrics.total("health_checks_total", pool="checked", server=TWO, result="good") > 2, lambda: "good checks", 5
    )
    for event, result in ((bad, "status"), (slow, "timeout")):
        event.set()
        state_is(TWO, "failed")
        assert dispatcher.metrics.total("health_checks_total", pool="checked", server=TWO, result=result) >= 2
        assert dispatcher.metrics.total("server_up", pool="checked", server=TWO) == 0
        seen = asked(backends[1])
        assert {ask(CHECKED).status for _ in range(4)} == {200}
        assert asked(backends[1]) == seen, "a failed server gets nothing"
        event.clear()
        state_is(TWO, "up")
    # Both out: at once 503, and it says when to come again.
    backends[0].says("/health", b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", then_close=True)
    bad.set()
    state_is(ONE, "failed")
    state_is(TWO, "failed")
    begin = time.monotonic()
    answer = ask(CHECKED)
    assert answer.status == 503 and answer.field("Retry-After") == "1" and time.monotonic() - begin < 0.5
    assert dispatcher.metrics.total("refused_total", reason="no-server") >= 1
    bad.clear()
    backends[0].forget()
    state_is(TWO, "up")
    assert ask(CHECKED).status == 200
    log = dispatcher.log_end(400)
    assert f"server {TWO} of pool checked: up -> failed (health-check)" in log


def test_the_server_is_told_whose_connection_it_is(dispatcher: Dispatcher) -> None:
    """PROXY protocol, version 2: before each request, on a connection of its own."""
    heads: list[bytes] = []
    requests: list[bytes] = []
    ready = threading.Event()

    def serve() -> None:
        with socket.create_server((server_address(1), PROXY_PORT)) as listener:
            listener.settimeout(10)
            ready.set()
            for _ in range(3):
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as stream:
                    heads.append(stream.read(28))
                    lines = b""
                    while not lines.endswith(b"\r\n\r\n"):
                        lines += stream.readline()
                    requests.append(lines)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    assert stream.read() == b"", "nothing else comes on that connection"

    thread = HostThread("server1", serve, name="a server that reads the PROXY protocol")
    assert ready.wait(5)
    with Conversation(FILES_ADDRESS, TOLD) as client:
        port = client.socket.getsockname()[1]
        for number in range(3):
            client.request(f"/{number}")
            assert client.answer().body == b"ok"
    thread.result(10)
    expected = (
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(CLIENT1) + socket.inet_aton(FILES_ADDRESS) + struct.pack("!HH", port, TOLD)
    )
    assert heads == [expected] * 3
    assert [request.split(b" ")[1] for request in requests] == [b"/0", b"/1", b"/2"]


def test_error_pages_come_from_files(dispatcher: Dispatcher) -> None:
    answer = ask(PAGES)
    assert answer.status == 503 and answer.body == PAGE.encode() and answer.field("Content-Type") == "text/html"
    with Conversation(FILES_ADDRESS, PAGES) as client:
        client.request("/", method="HEAD")
        head = client.answer("HEAD")
        assert head.status == 503 and head.body == b"" and head.field("Content-Length") == str(len(PAGE))


def test_forty_clients_at_once_after_a_low_limit(dispatcher: Dispatcher, backend: Backend) -> None:
    """A limit that goes from 1 to 4 while requests wait: they go out at once, and no more than four are at work."""
    at_work, most = 0, 0

    async def slowly(exchange: Exchange) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await exchange.pause(0.02)
        at_work -= 1
        await exchange.ok(b"")

    backend.on("/slowly", slowly)
    assert tool("ctl", "down", f"fixed/{TWO}").returncode == 0
    assert tool("ctl", "limit", f"fixed/{ONE}", "1").returncode == 0
    try:
        with ThreadPoolExecutor(40) as clients:
            answers = [clients.submit(ask, FIXED, "/slowly") for _ in range(40)]
            time.sleep(0.2)
            assert most == 1
            assert tool("ctl", "limit", f"fixed/{ONE}", "4").returncode == 0
            assert {answer.result().status for answer in answers} == {200}
        assert most == 4
    finally:
        assert tool("ctl", "ready", f"fixed/{TWO}").returncode == 0


def test_forwarded_connections_go_by_health_and_hash(dispatcher: Dispatcher) -> None:
    """Mode l4/3: a client has its server as long as that one's checks are good, and no connection is made while none are."""
    servers = [Backend(f"server{number}", server_address(number), FORWARDED_PORT) for number in (1, 2)]
    names = [f"{server_address(number)}:{FORWARDED_PORT}" for number in (1, 2)]
    bad = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def until(place: int, state: str) -> None:
        dispatcher.until_true(
            lambda: server(dispatcher, "forwarded", names[place])["state"] == state,
            lambda: f"{names[place]} is {state}\n{dispatcher.log_end()}",
            5,
        )

    try:
        until(0, "up")
        until(1, "up")
        assert {ask(FORWARDED).status for _ in range(6)} == {200}
        counts = [asked(one) for one in servers]
        assert sorted(counts) == [0, 6], "one client, one server"
        mine = counts.index(6)
        with Conversation(FILES_ADDRESS, FORWARDED) as kept:
            kept.request("/")
            assert kept.answer().status == 200
            servers[mine].says("/health", bad, then_close=True)
            until(mine, "failed")
            kept.request("/")
            assert kept.answer().status == 200, "what is open goes on"
        assert ask(FORWARDED).status == 200
        assert [asked(one) for one in servers] == ([8, 1] if mine == 0 else [1, 8])
        servers[1 - mine].says("/health", bad, then_close=True)
        until(1 - mine, "failed")
        refused = dispatcher.metrics.total("refused_total", reason="no-server")
        with pytest.raises(ConnectionRefusedError):
            ask(FORWARDED)
        assert dispatcher.metrics.total("refused_total", reason="no-server") > refused
        servers[mine].forget()
        until(mine, "up")
        assert ask(FORWARDED).status == 200
    finally:
        for one in servers:
            one.stop()
