"""Addresses that the kernel owns as well: an nftables table keeps it away from what the dispatcher serves, for as long as there is a dispatcher."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import frames
from backend import Backend, Exchange
from conftest import BACKEND_PORT, started
from oracle import RST, read
from sluicelab import dispatcher as lab_dispatcher
from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service, yaml
from sluicelab.namespaces import inside
from sluicelab.network import CLIENT1, FILES_ADDRESS, SOURCE_ADDRESS, server_address, server_address_v6
from sluicelab.processes import Process

CLIENT_SIDE, SERVER_SIDE = "10.77.1.1", "10.77.2.1"  # the dispatcher's host's own addresses
CLIENT_SIDE_V6, SERVER_SIDE_V6 = "fd77:1::1", "fd77:2::1"
PORT = 88
SERVERS = [f"{server_address(number)}:{BACKEND_PORT}" for number in (1, 2)]


def endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def owned(servers: list[str] = SERVERS, address: str = CLIENT_SIDE, **others: object) -> Configuration:
    """A service at an address of the kernel; servers asked from one."""
    listen = endpoint(address, PORT)
    config = configuration([service("own", listen, "own", **{"owned-by-kernel": True})], [pool("own", servers)], **others)
    config["server-side"].update({"source-addresses": [SERVER_SIDE], "kernel-addresses": True})
    return config


def over_loopback(source: str, servers: list[str]) -> Configuration:
    config = owned(servers)
    config["server-side"].update({"interface": "lo", "source-addresses": [source]})
    return config


@contextmanager
def running(workspace: Path, config: Configuration) -> Iterator[Dispatcher]:
    process = Dispatcher(workspace / "owned", config)
    started.append(process)
    try:
        yield process
    finally:
        process.stop()
        started.remove(process)


def run(host: str, *words: str) -> str:
    done = subprocess.run(["ip", "netns", "exec", f"sluice-{host}", *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{words} in {host}: {done.stderr}"
    return done.stdout


def ruleset() -> str:
    return run("dispatcher", "nft", "list", "ruleset")


def until(condition: Callable[[], bool], what: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"expected within {timeout} s: {what}"
        time.sleep(0.02)


def get(path: str = "/", address: str = CLIENT_SIDE, host: str = "client1", port: int = PORT) -> bytes:
    with Conversation(address, port, host=host) as client:
        client.request(path)
        answer = client.answer()
        assert answer.status == 200
        return answer.body


def child_of(process: Dispatcher) -> int:
    found = subprocess.run(["pgrep", "-P", str(process.pid), "-x", "nft"], capture_output=True, text=True, timeout=5)
    return int(found.stdout)


def has_ended(pid: int) -> bool:
    """Gone, or waiting for whoever inherited it to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def ping(address: str) -> int:
    """How many answers one echo request has."""
    with inside("client1"):
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    with sender:
        message = struct.pack("!BBHHH", 8, 0, 0, 77, 1)
        sender.sendto(message[:2] + struct.pack("!H", frames.checksum(message)) + message[4:], (address, 0))
        sender.settimeout(0.5)
        answers = 0
        try:
            while True:
                packet = sender.recv(2000)
                answers += packet[20] == 0 and packet[24:26] == message[4:6]
        except TimeoutError:
            return answers


class Seen:
    """What a host's network card saw during a block."""

    def __init__(self, host: str, folder: Path) -> None:
        self.file = folder / f"owned-{host}.pcap"
        log = folder / f"owned-{host}.log"
        log.unlink(missing_ok=True)
        self.dump = Process(host, ["tcpdump", "--immediate-mode", "-i", "eth0", "-n", "-s", "0", "-Z", "root", "-w", self.file, "tcp"], log)
        self.dump.until(lambda: "listening on" in log.read_text(), "tcpdump to listen", 5)

    def resets_from(self, address: str) -> list[str]:
        if self.dump.running:
            time.sleep(0.3)
            self.dump.signal(signal.SIGINT)
            self.dump.wait(5)
        segments = read(self.file)
        assert any(segment.flow[0] == address for segment in segments), f"nothing came from {address}"
        return [str(segment) for segment in segments if segment.flow[0] == address and segment.flags & RST]


@pytest.mark.parametrize("transmit", ["packet", "raw"])
def test_k02_a_service_at_the_hosts_own_address(backends: list[Backend], workspace: Path, transmit: str) -> None:
    body = bytes(range(256)) * 4096

    async def big(exchange: Exchange) -> None:
        await exchange.ok(body)

    for backend in backends:
        backend.on("/big", big)
    config = owned(transmit=transmit)
    # Ports that no dispatcher of another test had: a server that still knows their connections is told so by a reset, which is ours.
    config["server-side"]["first-port"] = {"packet": 20_000, "raw": 30_000}[transmit]
    with running(workspace, config):
        client, server = Seen("client1", workspace), Seen("server1", workspace)
        for number in range(20):
            assert get(f"/{number}") == f"/{number}".encode()
        words = ["curl", "--silent", "--fail", "--max-time", "20", f"http://{CLIENT_SIDE}:{PORT}/big"]
        done = subprocess.run(["ip", "netns", "exec", "sluice-client1", *words], capture_output=True, timeout=30)
        assert done.returncode == 0 and done.stdout == body
        resets = client.resets_from(CLIENT_SIDE) + server.resets_from(SERVER_SIDE)
        assert not resets, "\n".join(resets)
        assert 'comment "sluice 0 client"' in ruleset()
        assert all(count > 0 for count in drops()), ruleset()


@pytest.mark.parametrize("transmit", ["packet", "raw"])
def test_k02_a_service_at_the_hosts_own_ipv6_address(lab: None, workspace: Path, transmit: str) -> None:
    body = bytes(range(256)) * 4096

    async def big(exchange: Exchange) -> None:
        await exchange.ok(body)

    servers = [Backend(f"server{number}", server_address_v6(number), BACKEND_PORT) for number in (1, 2)]
    config = owned([endpoint(one.address, one.port) for one in servers], CLIENT_SIDE_V6, transmit=transmit)
    config["server-side"].update({"source-addresses": [SERVER_SIDE_V6], "first-port": {"packet": 20_000, "raw": 30_000}[transmit]})
    for one in servers:
        one.on("/big", big)
    try:
        with running(workspace, config) as process:
            client, server = Seen("client1", workspace), Seen("server1", workspace)
            for number in range(20):
                assert get(f"/{number}", CLIENT_SIDE_V6) == f"/{number}".encode()
            assert get("/big", CLIENT_SIDE_V6) == body
            assert all(one.requests for one in servers), "both were asked"
            resets = client.resets_from(CLIENT_SIDE_V6) + server.resets_from(SERVER_SIDE_V6)
            assert not resets, "\n".join(resets)
            rules = ruleset()
            assert CLIENT_SIDE_V6 in rules and SERVER_SIDE_V6 in rules
            assert any(drops()), rules
            # The kernel answers for its address: neighbours that have forgotten it find it again.
            run("client1", "ip", "neighbour", "flush", "dev", "eth0")
            assert get("/again", CLIENT_SIDE_V6) == b"/again"
            process.signal(signal.SIGKILL)
            process.wait(5)
            until(lambda: ruleset() == "", "no table any more", 1)
            with pytest.raises(ConnectionRefusedError):
                Conversation(CLIENT_SIDE_V6, PORT).close()
    finally:
        for one in servers:
            one.stop()


def drops() -> list[int]:
    """Packets that each rule has kept from the kernel."""
    lines = [line.split() for line in ruleset().splitlines() if " drop " in line]
    return [int(words[words.index("packets") + 1]) for words in lines]


def test_the_kernel_keeps_what_is_its_own(backends: list[Backend], workspace: Path) -> None:
    other = Backend("dispatcher", CLIENT_SIDE, PORT + 1)
    listener = Backend("server1", server_address(1), BACKEND_PORT + 1)
    try:
        with running(workspace, owned()) as process:
            assert get("/ours") == b"/ours"
            assert get("/kernels", port=PORT + 1) == b"/kernels", "another port of the address is the kernel's"
            with pytest.raises(ConnectionRefusedError):
                Conversation(CLIENT_SIDE, PORT + 2).close()
            assert ping(CLIENT_SIDE) == 1, "one answer, the kernel's"
            with inside("dispatcher"):  # a connection of the host's own, from a port that the dispatcher has too
                own = socket.create_connection((listener.address, listener.port), timeout=3, source_address=(SERVER_SIDE, 40000))
            own.sendall(b"GET /own HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert b"/own" in own.recv(4096)
            own.close()
            assert process.metrics.total("dropped_frames_total", reason="service-unknown") == 0
    finally:
        other.stop()
        listener.stop()


def test_k02_kill_9_takes_the_table_away(backends: list[Backend], workspace: Path) -> None:
    with running(workspace, owned()) as process:
        assert get() == b"/"
        client = Conversation(CLIENT_SIDE, PORT)
        client.request("/")
        assert client.answer().status == 200
        child = child_of(process)
        process.signal(signal.SIGKILL)
        process.wait(5)
        until(lambda: ruleset() == "", "no table any more", 1)
        until(lambda: has_ended(child), "the child to end", 1)
        with pytest.raises(ConnectionRefusedError):
            Conversation(CLIENT_SIDE, PORT).close()
        with pytest.raises(ConnectionResetError):  # the kernel knows nothing of the old connection
            client.request("/")
            client.answer()
    other = Backend("dispatcher", CLIENT_SIDE, PORT)
    try:
        assert get("/kernels") == b"/kernels"
    finally:
        other.stop()


def test_nft_killed_stops_the_dispatcher(backends: list[Backend], workspace: Path) -> None:
    with running(workspace, owned()) as process:
        assert get() == b"/"
        subprocess.run(["kill", "-9", str(child_of(process))], check=True)
        assert process.wait(5) == 1
        assert "nft, which kept the kernel away from our addresses, was killed by signal 9" in process.log_end()
        assert ruleset() == ""


def test_sigterm_takes_the_table_away_last(backends: list[Backend], workspace: Path) -> None:
    with running(workspace, owned()) as process:
        client, seen = Conversation(CLIENT_SIDE, PORT), Seen("client1", workspace)
        client.request("/")
        assert client.answer().status == 200
        child = child_of(process)
        assert "nobody" in run("dispatcher", "ps", "-o", "user=", "-p", str(child)), "it has given up what it does not need"
        process.signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert client.is_closed()
        assert ruleset() == "" and has_ended(child)
        assert not seen.resets_from(CLIENT_SIDE), "connections were closed well, not by a kernel that knows nothing of them"


@pytest.mark.parametrize("source", ["127.0.0.1", CLIENT_SIDE, "::1", CLIENT_SIDE_V6])
def test_servers_on_the_dispatchers_own_host(lab: None, workspace: Path, source: str) -> None:
    """Claims 25 and 52 of the source: one computer is dispatcher and server."""
    body = bytes(range(251)) * 8192

    async def big(exchange: Exchange) -> None:
        await exchange.ok(body)

    servers = [Backend("dispatcher", source, BACKEND_PORT + number) for number in (0, 1)]
    for server in servers:
        server.on("/big", big)
    try:
        with running(workspace, over_loopback(source, [endpoint(server.address, server.port) for server in servers])) as process:
            for number in range(20):
                assert get(f"/{number}") == f"/{number}".encode()
            assert get("/big") == body
            with Conversation(CLIENT_SIDE, PORT) as client:
                client.request("/post", method="POST", body=b"x" * 50_000)
                assert client.answer().status == 200
            assert all(server.requests for server in servers), "both were asked"
            lost = {reason for (reason,), count in process.metrics.by("dropped_frames_total", "reason").items() if count}
            # The test's own connections to the admin address are there too, and are the kernel's.
            assert not lost & {"bad-source", "own-frame", "wrong-side", "not-our-address", "no-connection", "truncated-frame"}, lost
            assert len(ruleset().splitlines()) > 1
    finally:
        for server in servers:
            server.stop()


def test_clients_on_the_dispatchers_own_host(lab: None, workspace: Path) -> None:
    """Everything on one host: clients, dispatcher and server talk over lo, at one address."""
    server = Backend("dispatcher", "127.0.0.1", BACKEND_PORT)
    config = over_loopback("127.0.0.1", [f"127.0.0.1:{BACKEND_PORT}"])
    config["client-side"]["interface"] = "lo"
    config["services"][0]["listen"] = f"127.0.0.1:{PORT}"
    body = bytes(range(251)) * 8192

    async def big(exchange: Exchange) -> None:
        await exchange.ok(body)

    server.on("/big", big)
    try:
        with running(workspace, config):
            for number in range(10):
                assert get(f"/{number}", "127.0.0.1", "dispatcher") == f"/{number}".encode()
            assert get("/big", "127.0.0.1", "dispatcher") == body
    finally:
        server.stop()


@pytest.mark.parametrize("transmit", ["packet", "raw"])
@pytest.mark.parametrize("is_owned", [False, True])
def test_k10_one_arm(lab: None, workspace: Path, transmit: str, is_owned: bool) -> None:
    """Both sides on one interface; with the kernel's address even at one address."""
    server = Backend("client1", CLIENT1, BACKEND_PORT)
    config = owned([f"{CLIENT1}:{BACKEND_PORT}"], transmit=transmit)
    config["server-side"].update({"interface": "fe0", "source-addresses": [CLIENT_SIDE]})
    if not is_owned:
        config["server-side"].update({"kernel-addresses": False, "source-addresses": ["10.77.1.200"]})
        config["services"][0].update({"owned-by-kernel": False, "listen": f"{FILES_ADDRESS}:{PORT}"})
    address = CLIENT_SIDE if is_owned else FILES_ADDRESS
    body = bytes(range(251)) * 4096

    async def big(exchange: Exchange) -> None:
        await exchange.ok(body)

    server.on("/big", big)
    try:
        with running(workspace, config) as process:
            for number in range(10):
                assert get(f"/{number}", address, "router") == f"/{number}".encode()
            assert get("/big", address, "router") == body
            metrics = process.metrics
            assert metrics.total("dropped_frames_total", reason="wrong-side") == 0
            assert metrics.total("dropped_frames_total", reason="own-frame") == 0
    finally:
        server.stop()


def test_a_host_that_forwards_is_kept_from_it(backends: list[Backend], workspace: Path) -> None:
    config = configuration([service("own", f"{FILES_ADDRESS}:{PORT}", "own")], [pool("own", SERVERS)])
    run("dispatcher", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    try:
        with running(workspace, config):
            assert get("/x", FILES_ADDRESS) == b"/x"
            rules = ruleset()
            assert FILES_ADDRESS in rules and SOURCE_ADDRESS in rules
            assert all(count > 0 for count in drops()), rules
    finally:
        run("dispatcher", "sysctl", "-qw", "net.ipv4.ip_forward=0")
    with running(workspace, config):
        assert ruleset() == "", "a host that does not forward needs no table"


def refused(workspace: Path, config: Configuration) -> str:
    """What a start that fails says."""
    path = workspace / "refused.yaml"
    path.write_text(yaml(config))
    words = [str(word) for word in lab_dispatcher.command(path)]
    done = subprocess.run(["ip", "netns", "exec", "sluice-dispatcher", *words], capture_output=True, text=True, timeout=15)
    assert done.returncode == 1, done.stderr
    assert ruleset() == "", "nothing is left behind"
    return done.stderr


def test_k01_an_address_of_the_kernel_without_the_key_is_refused(lab: None, workspace: Path) -> None:
    config = owned()
    config["services"][0]["owned-by-kernel"] = False
    said = refused(workspace, config)
    assert f"the kernel owns the service address {CLIENT_SIDE} (on fe0)" in said and "owned-by-kernel: true" in said
    config = owned()
    config["server-side"]["kernel-addresses"] = False
    said = refused(workspace, config)
    assert f"the kernel owns the source address {SERVER_SIDE} (on be0)" in said and "server-side.kernel-addresses: true" in said


def test_an_address_that_the_kernel_does_not_own_is_refused_with_the_key(lab: None, workspace: Path) -> None:
    assert f"no interface of this host has the service address {FILES_ADDRESS}" in refused(workspace, owned(address=FILES_ADDRESS))


def test_without_nft_the_start_is_refused(lab: None, workspace: Path) -> None:
    path = workspace / "no-nft.yaml"
    path.write_text(yaml(owned()))
    hide = 'for nft in /usr/sbin/nft /sbin/nft; do mount --bind /dev/null $nft; done; exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", hide, "sh", *map(str, lab_dispatcher.command(path))]
    done = subprocess.run(["ip", "netns", "exec", "sluice-dispatcher", *words], capture_output=True, text=True, timeout=15)
    assert done.returncode == 1 and "apt-get install nftables" in done.stderr


def test_check_needs_neither_nft_nor_the_network(workspace: Path) -> None:
    path = workspace / "owned.yaml"
    path.write_text(yaml(owned()))
    done = subprocess.run([*map(str, lab_dispatcher.command(path, "--check"))], capture_output=True, text=True, timeout=15)
    assert done.returncode == 0, done.stderr
    assert f"dst host {CLIENT_SIDE} and (icmp or tcp dst port {PORT})" in done.stdout
    assert "nftables" in done.stdout and f"{CLIENT_SIDE} . {PORT}" in done.stdout
