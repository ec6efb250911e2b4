"""Mode l4/3: kernels talk to each other through the dispatcher, which forwards their packets, queues their SYNs, and looks into nothing."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend import Backend, Exchange
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.impairment import BadCable
from sluicelab.namespaces import HostThread, run_in
from sluicelab.network import (
    CLIENT1,
    FILES_ADDRESS,
    SERVICE_ADDRESS_V6,
    SOURCE_ADDRESS,
    SOURCE_ADDRESS_V6,
    server_address,
    server_address_v6,
)

NEEDS = ("file_servers",)
FILES, OTHER_FAMILY, NARROW, COOKIE, KEPT, TLS, MORTAL = 80, 81, 82, 83, 84, 85, 86
TLS_PORT, MORTAL_PORT = 8443, 8300
SIX = f"[{SERVICE_ADDRESS_V6}]"
KEPT_PORT = 8000  # the test's own server in server2


def l43(name: str, listen: str, there: str) -> Configuration:
    return {**service(name, listen, there), "mode": "l4/3"}


def configure(**others: object) -> Configuration:
    v4 = [f"{server_address(number)}:80" for number in (1, 2)]
    v6 = [f"[{server_address_v6(number)}]:80" for number in (1, 2)]
    made = configuration(
        [
            l43("four", f"{FILES_ADDRESS}:{FILES}", "four"),
            l43("six", f"{SIX}:{FILES}", "six"),
            l43("six-from-four", f"{FILES_ADDRESS}:{OTHER_FAMILY}", "six"),
            l43("four-from-six", f"{SIX}:{OTHER_FAMILY}", "four"),
            l43("narrow", f"{FILES_ADDRESS}:{NARROW}", "narrow"),
            l43("cookie", f"{FILES_ADDRESS}:{COOKIE}", "cookie"),
            l43("kept", f"{FILES_ADDRESS}:{KEPT}", "kept"),
            l43("tls", f"{FILES_ADDRESS}:{TLS}", "tls"),
            l43("mortal", f"{FILES_ADDRESS}:{MORTAL}", "mortal"),
        ],
        [
            pool("four", v4, connections=64),
            pool("six", v6, connections=64),
            pool("narrow", [f"{server_address(1)}:8000"], connections=2),
            pool("cookie", v4, connections=64, l4={"cookie": True}),
            pool("kept", [f"{server_address(2)}:{KEPT_PORT}"], connections=64, l4={"source": "keep"}),
            pool("tls", [f"{server_address(1)}:{TLS_PORT}"]),
            pool("mortal", [f"{server_address(number)}:{MORTAL_PORT}" for number in (1, 2)]),
        ],
        log={"level": "info", "access": "stdout"},
        **others,
    )
    made["server-side"]["source-addresses"] = [SOURCE_ADDRESS, SOURCE_ADDRESS_V6]
    return made


@pytest.fixture(autouse=True)
def back_to_rest(dispatcher: Dispatcher) -> Iterator[None]:
    """Every test leaves the gauges where it found them, and no server ever had more than its limit."""
    before = dispatcher.gauges_at_rest()
    yield
    dispatcher.until_gauges(before)
    assert dispatcher.status["overLimit"] == 0


def curl(*words: str | Path, host: str = "client1") -> bytes:
    command = ["ip", "netns", "exec", f"sluice-{host}", "curl", "--silent", "--show-error", "--fail", "--max-time", "40"]
    done = subprocess.run([*command, *map(str, words)], capture_output=True, timeout=50)
    assert done.returncode == 0, f"curl {words}: {done.stderr.decode()}"
    return done.stdout


PLACES = [
    f"{FILES_ADDRESS}:{FILES}",
    f"{SIX}:{FILES}",
    f"{FILES_ADDRESS}:{OTHER_FAMILY}",
    f"{SIX}:{OTHER_FAMILY}",
    f"{FILES_ADDRESS}:{COOKIE}",
]


@pytest.mark.parametrize("place", PLACES)
def test_files_arrive_byte_for_byte(place: str, files: dict[str, bytes]) -> None:
    for name in ("empty", "1B", "small", "64KiB", "1MiB", "8MiB"):
        assert curl(f"http://{place}/{name}") == files[name], name


@pytest.mark.parametrize("place", PLACES)
def test_a_connection_is_kept_for_many_requests(place: str, files: dict[str, bytes], dispatcher: Dispatcher) -> None:
    def connections() -> int:
        return sum(row["connectionsTotal"] for row in dispatcher.status["services"])

    before = connections()
    names = ["small", "1MiB"] * 10
    assert curl(*(f"http://{place}/{name}" for name in names)) == b"".join(files[name] for name in names)
    assert connections() == before + 1


def test_through_a_router_with_a_narrow_link(files: dict[str, bytes]) -> None:
    assert curl(f"http://{FILES_ADDRESS}:{FILES}/1MiB", host="client2") == files["1MiB"]


def test_round_robin_over_both_servers(dispatcher: Dispatcher) -> None:
    def connects() -> list[int]:
        pools = {row["name"]: row for service in dispatcher.status["services"] for row in service["pools"]}
        return [server["connects"] for server in pools["four"]["servers"]]

    before = connects()
    for _ in range(6):
        curl(f"http://{FILES_ADDRESS}:{FILES}/small")
    assert [after - first for after, first in zip(connects(), before)] == [3, 3]


def test_a_limit_of_two_serves_six_clients_in_order(dispatcher: Dispatcher, backend: Backend) -> None:
    served: list[str] = []
    present, most = 0, 0

    async def slow(exchange: Exchange) -> None:
        nonlocal present, most
        present += 1
        most = max(most, present)
        served.append(exchange.request.target)
        await exchange.pause(0.3)
        present -= 1
        await exchange.ok(b"done", "Connection: close")

    def ask(number: int) -> bytes:
        with socket.create_connection((FILES_ADDRESS, NARROW), timeout=20) as connection:
            connection.sendall(f"GET /slow?{number} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while more := connection.recv(1000):
                answer += more
            return answer

    backend.on("/slow", slow)
    threads = []
    for number in range(6):
        threads.append(HostThread("client1", lambda number=number: ask(number)))  # type: ignore[misc]
        time.sleep(0.03)
    narrow = next(row for service in dispatcher.status["services"] for row in service["pools"] if row["name"] == "narrow")
    assert narrow["queueLength"] == 4 and narrow["servers"][0]["active"] == 2
    for thread in threads:
        assert thread.result(20).endswith(b"done")
    assert served == [f"/slow?{number}" for number in range(6)]
    assert most == 2


@contextmanager
def route_through_dispatcher(server: str) -> Iterator[None]:
    """The server's way to the clients leads through the dispatcher."""
    words = ["ip", "-n", f"sluice-{server}", "route"]
    subprocess.run([*words, "replace", "10.77.1.0/24", "via", SOURCE_ADDRESS], check=True)
    try:
        yield
    finally:
        subprocess.run([*words, "delete", "10.77.1.0/24", "via", SOURCE_ADDRESS], check=True)


def test_the_server_sees_its_client_where_the_source_is_kept(backends: list[Backend], files: dict[str, bytes]) -> None:
    seen: list[str] = []

    async def who(exchange: Exchange) -> None:
        seen.append(exchange.writer.get_extra_info("peername")[0])
        await exchange.ok(files["1MiB"])

    backends[1].on("/who", who)
    with route_through_dispatcher("server2"):
        for _ in range(3):
            assert curl(f"http://{FILES_ADDRESS}:{KEPT}/who") == files["1MiB"]
    assert seen == [CLIENT1] * 3


@pytest.fixture
def certificate(folder: Path) -> Path:
    path = folder / "server.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sluice.example"]
    subprocess.run(
        [*words, "-addext", "subjectAltName=DNS:sluice.example", "-keyout", path, "-out", folder / "cert.pem"],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + (folder / "cert.pem").read_bytes())
    return path


def test_tls_passes_untouched(certificate: Path, files: dict[str, bytes]) -> None:
    """The server's certificate is what the client sees; the dispatcher has no key."""
    ready, done = threading.Event(), threading.Event()

    def serve() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with socket.create_server((server_address(1), TLS_PORT)) as listener, context.wrap_socket(listener, server_side=True) as secure:
            ready.set()
            connection, _ = secure.accept()
            with connection:
                assert connection.recv(5) == b"hello"
                connection.sendall(files["1MiB"])
                done.wait(20)

    def ask() -> bytes:
        context = ssl.create_default_context(cafile=str(certificate))
        with socket.create_connection((FILES_ADDRESS, TLS), timeout=20) as plain:
            with context.wrap_socket(plain, server_hostname="sluice.example") as connection:
                connection.sendall(b"hello")
                answer = b""
                while len(answer) < len(files["1MiB"]):
                    more = connection.recv(65536)
                    assert more
                    answer += more
                return answer

    server = HostThread("server1", serve)
    assert ready.wait(5)
    try:
        assert run_in("client1", ask) == files["1MiB"]
    finally:
        done.set()
    server.result(10)


def named_server(number: int) -> Backend:
    server = Backend(f"server{number}", server_address(number), MORTAL_PORT)
    server.says("/name", f"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nserver{number}".encode())
    return server


def test_a_killed_server_is_left_out(dispatcher: Dispatcher) -> None:
    first, second = named_server(1), named_server(2)
    try:
        names = [curl(f"http://{FILES_ADDRESS}:{MORTAL}/name").decode() for _ in range(4)]
        assert sorted(names) == ["server1", "server1", "server2", "server2"]
        first.stop()
        # Its host refuses: each SYN is offered to the other one.
        assert {curl(f"http://{FILES_ADDRESS}:{MORTAL}/name") for _ in range(6)} == {b"server2"}
        mortal = next(row for service in dispatcher.status["services"] for row in service["pools"] if row["name"] == "mortal")
        assert [server["up"] for server in mortal["servers"]] == [False, True]
        assert mortal["servers"][0]["connectFailures"] > 0
    finally:
        second.stop()


def test_a_service_without_server_refuses(dispatcher: Dispatcher) -> None:
    def refused() -> bool:
        try:
            socket.create_connection((FILES_ADDRESS, MORTAL), timeout=5).close()
            return False
        except ConnectionRefusedError:
            return True

    assert run_in("client1", refused)


def test_syns_without_end_store_nothing_where_they_are_answered(dispatcher: Dispatcher) -> None:
    """Half-open connections by hand: SYNs from a raw socket, of addresses that nobody has."""

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for number in range(300):
                raw.sendto(syn(f"10.77.1.{150 + number % 50}", 20_000 + number), (FILES_ADDRESS, 0))

    before = dispatcher.status
    run_in("client1", flood)
    time.sleep(0.3)
    after = dispatcher.status
    assert after["sides"]["client"]["emitted"].get("handshake", 0) >= before["sides"]["client"]["emitted"].get("handshake", 0) + 290
    assert after["timers"] <= before["timers"]
    assert [row["connectionsTotal"] for row in after["services"]] == [row["connectionsTotal"] for row in before["services"]]


def syn(source: str, port: int) -> bytes:
    """An IPv4 packet with a SYN to the service that answers by cookie."""

    def checksum(data: bytes) -> int:
        total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return ~total & 0xFFFF

    ends = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(FILES_ADDRESS).packed
    tcp = port.to_bytes(2, "big") + COOKIE.to_bytes(2, "big") + (7).to_bytes(4, "big") + bytes(4) + b"\x60\x02\xff\xff" + bytes(4)
    tcp += b"\x02\x04\x05\xb4"
    total = checksum(ends + b"\x00\x06" + len(tcp).to_bytes(2, "big") + tcp)
    tcp = tcp[:16] + total.to_bytes(2, "big") + tcp[18:]
    head = b"\x45\x00" + (20 + len(tcp)).to_bytes(2, "big") + b"\x00\x00\x40\x00\x40\x06\x00\x00" + ends
    return head + tcp


@pytest.mark.parametrize("place", [f"{FILES_ADDRESS}:{FILES}", f"{FILES_ADDRESS}:{COOKIE}"])
def test_bad_cables_lose_no_byte(place: str, files: dict[str, bytes], folder: Path) -> None:
    faults: dict[str, float | str] = {"loss": 2, "duplicate": 2, "reorder": 2}
    with BadCable("client1", folder / "client1.events", seed=1, **faults), BadCable("server1", folder / "server1.events", seed=2, loss=1):
        for name in ("small", "64KiB", "1MiB"):
            assert curl(f"http://{place}/{name}") == files[name], name


def test_pings_and_udp_are_answered_as_ever() -> None:
    request = b"\x08\x00" + (~(0x0800 + 0x1234 + 1) & 0xFFFF).to_bytes(2, "big") + b"\x12\x34\x00\x01"

    def echoed() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            raw.settimeout(3)
            raw.connect((FILES_ADDRESS, 0))
            raw.send(request)
            return raw.recv(100)[20:21] == b"\x00"

    assert run_in("client1", echoed)

    def unreachable() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            datagram.settimeout(3)
            datagram.connect((FILES_ADDRESS, FILES))
            datagram.send(b"x")
            try:
                datagram.recv(10)
            except ConnectionRefusedError:
                return True
            return False

    assert run_in("client1", unreachable)


def test_the_log_has_a_line_for_each_connection(dispatcher: Dispatcher, files: dict[str, bytes]) -> None:
    assert curl(f"http://{FILES_ADDRESS}:{FILES}/64KiB") == files["64KiB"]

    def lines() -> list[str]:
        return [line for line in dispatcher.log.read_text().splitlines() if " four four/" in line]

    condition: Callable[[], bool] = lambda: any(int(line.split(" four four/")[1].split()[2]) > 1 << 16 for line in lines())
    dispatcher.until_true(condition, lambda: f"a line with the file's bytes, there are {lines()[-3:]}", 5)
    last = lines()[-1].split(" four four/")[1].split()
    assert last[1].count("/") == 2 and last[3] == "--" and last[4].count("/") == 4
