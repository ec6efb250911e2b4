"""IPv6 on both sides and mixed with IPv4, neighbour discovery as the peers' kernels see it, and addresses that somebody else has."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import websockets
from websockets.legacy.client import WebSocketClientProtocol

from sluicelab.dispatcher import Configuration, Dispatcher, command, configuration, pool, service, yaml
from sluicelab.namespaces import run_in
from sluicelab.network import (
    CLIENT1_V6,
    FILES_ADDRESS,
    SERVICE_ADDRESS_V6,
    SOURCE_ADDRESS,
    SOURCE_ADDRESS_V6,
    server_address,
    server_address_v6,
)
from sluicelab.processes import Process

SERVICE = f"[{SERVICE_ADDRESS_V6}]"
ROUTER = "fd77:1::254"
# Hardware addresses of the dispatcher's two legs, and of another host on the client side.
OURS, OURS_AT_SERVERS, ROUTERS = "02:00:0a:4d:01:01", "02:00:0a:4d:02:01", "02:00:0a:4d:01:fe"
NOBODYS = "02:00:00:00:00:99"
V4_POOL, V6_POOL, TUNNELS = 80, 81, 82
ROUTED_MTU, WIDE_MTU = 1400, 1500


def make(transmit: str = "auto", **others: object) -> Configuration:
    """Port 80: servers of IPv6; 81: servers of IPv4; 82: a server of each for tunnels. All at addresses of both families."""
    v6 = [f"[{server_address_v6(number)}]:80" for number in (1, 2)]
    v4 = [f"{server_address(number)}:80" for number in (1, 2)]
    echo = [f"[{server_address_v6(1)}]:8001", f"{server_address(1)}:8001"]
    made = configuration(
        [
            service("six", f"{SERVICE}:{V4_POOL}", "six"),
            service("four", f"{SERVICE}:{V6_POOL}", "four"),
            service("six-from-four", f"{FILES_ADDRESS}:{V4_POOL}", "six"),
            service("tunnels", f"{SERVICE}:{TUNNELS}", "tunnels"),
        ],
        [pool("six", v6), pool("four", v4), pool("tunnels", echo)],
        transmit=transmit,
    )
    made["server-side"]["source-addresses"] = [SOURCE_ADDRESS, SOURCE_ADDRESS_V6]
    made["client-side"].update(others)
    return made


def run(host: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ip", "netns", "exec", f"sluice-{host}", *words], capture_output=True, timeout=40)


def must(host: str, *words: str) -> str:
    done = run(host, *words)
    assert done.returncode == 0, f"{words} in {host}: {done.stderr.decode()}"
    return done.stdout.decode()


def fetch(name: str, host: str = "client1", at: str = f"{SERVICE}:{V4_POOL}") -> bytes:
    done = run(host, "curl", "--silent", "--show-error", "--fail", "--max-time", "20", f"http://{at}/{name}")
    assert done.returncode == 0, f"curl {at}/{name} in {host}: {done.stderr.decode()}"
    return done.stdout


@contextmanager
def dispatching(folder: Path, config: Configuration) -> Iterator[Dispatcher]:
    """A dispatcher of this test alone; it must end well."""
    process = Dispatcher(folder, config)
    try:
        yield process
    finally:
        running, code = process.running, process.stop()
    assert running and code == 0, f"the dispatcher ended with {code}:\n{process.log_end()}"


@pytest.mark.parametrize("transmit", ["packet", "raw"])
@pytest.mark.parametrize("host", ["client1", "client2"])
def test_a_file_is_byte_equal(
    lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path, transmit: str, host: str
) -> None:
    """Over IPv6 alone, and with a server of IPv4 behind it. client2 is behind a router and a link with a smaller MTU."""
    with dispatching(workspace / f"ipv6-{transmit}-{host}", make(transmit)) as dispatcher:
        for port in (V4_POOL, V6_POOL):
            for name in ("small", "1MiB", "empty", "1MiB", "chunked/1MiB"):
                assert fetch(name, host, f"{SERVICE}:{port}") == files[name.removeprefix("chunked/")], (port, name)
        sides = dispatcher.status["sides"]
        assert [sides[side]["transmit"] for side in ("client", "server")] == ["raw" if transmit == "raw" else "packet"] * 2
        assert [sides[side]["egressErrors"] for side in ("client", "server")] == [{}, {}]
        assert sides["client"]["ndpMalformed"] == sides["server"]["ndpMalformed"] == 0


@pytest.mark.parametrize("transmit", ["packet", "raw"])
@pytest.mark.parametrize("host", ["client1", "client2"])
def test_a_client_of_ipv4_and_servers_of_ipv6(
    lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path, transmit: str, host: str
) -> None:
    """What fills a packet of IPv4 does not fit one of IPv6, and the other way round."""
    with dispatching(workspace / f"ipv6-mixed-{transmit}-{host}", make(transmit)) as dispatcher:
        for name in ("small", "1MiB", "chunked/64KiB", "8MiB"):
            assert fetch(name, host, f"{FILES_ADDRESS}:{V4_POOL}") == files[name.removeprefix("chunked/")], name
        assert dispatcher.status["sides"]["server"]["egressErrors"] == {}


@pytest.mark.parametrize("host", ["client1", "client2"])
def test_a_tunnel(echo_server: None, workspace: Path, host: str) -> None:
    """To a server of either family in turn."""
    chance = random.Random(7)
    messages = [chance.randbytes(size) for size in (0, 1, 125, 126, 1400, 1440, 65535, 65536, 1_000_000)]

    async def talk(socket: WebSocketClientProtocol) -> None:
        for message in messages:
            await socket.send(message)
            assert await socket.recv() == message

    async def main() -> None:
        for _ in range(2):
            url = f"ws://{SERVICE}:{TUNNELS}/"
            async with websockets.connect(url, max_size=None, compression=None, open_timeout=5) as socket:  # type: ignore[attr-defined]
                await asyncio.wait_for(talk(socket), 20)

    with dispatching(workspace / f"ipv6-tunnel-{host}", make()):
        run_in(host, lambda: asyncio.run(main()), timeout=45)


# MARK: The path's MTU


@pytest.fixture
def wide_client(lab: None) -> Iterator[None]:
    """client2 does not know of the narrow link before it, and offers an MSS of 1440."""
    must("client2", "ip", "link", "set", "eth0", "mtu", str(WIDE_MTU))
    yield
    must("client2", "ip", "link", "set", "eth0", "mtu", str(ROUTED_MTU))


def too_big() -> int:
    """How often the router said "packet too big"."""
    found = re.search(r"^Icmp6OutPktTooBigs\s+(\d+)", must("router", "cat", "/proc/net/snmp6"), re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("transmit", ["packet", "raw"])
def test_a_client_behind_a_narrow_link(
    wide_client: None, file_servers: list[str], files: dict[str, bytes], workspace: Path, transmit: str
) -> None:
    with dispatching(workspace / f"ipv6-mtu-{transmit}", make(transmit)):
        before, started = too_big(), time.monotonic()
        assert fetch("1MiB", "client2") == files["1MiB"]
        first, took = too_big(), time.monotonic() - started
        assert first > before, "the router had something to say"
        assert took < 5, f"the file took {took:.1f} s"
        for _ in range(3):
            assert fetch("1MiB", "client2") == files["1MiB"]
        assert too_big() == first, "the next connections begin with what was learned"
        assert fetch("1MiB") == files["1MiB"]


# MARK: Neighbours


def known(host: str, address: str) -> str:
    """What a host's kernel knows of a neighbour."""
    return must(host, "ip", "-6", "neighbour", "show", address, "dev", "eth0")


def test_the_kernels_around_know_us(lab: None, file_servers: list[str], workspace: Path) -> None:
    with dispatching(workspace / "ipv6-known", make()) as dispatcher:
        for host, address in (("client1", SERVICE_ADDRESS_V6), ("server1", SOURCE_ADDRESS_V6), ("server2", SOURCE_ADDRESS_V6)):
            run(host, "ip", "-6", "neighbour", "del", address, "dev", "eth0")
        fetch("small")
        assert f"lladdr {OURS} " in known("client1", SERVICE_ADDRESS_V6)
        assert f"lladdr {OURS_AT_SERVERS} " in known("server1", SOURCE_ADDRESS_V6) + known("server2", SOURCE_ADDRESS_V6)
        groups = must("dispatcher", "ip", "-6", "maddress", "show")
        assert "ff02::1:ff00:100" in groups and "ff02::1:ff00:200" in groups, "the kernel tells switches (MLD) of our groups"
        groups = must("dispatcher", "ip", "maddress", "show", "dev", "fe0")
        assert "33:33:ff:00:01:00" in groups, "and the device takes them in"
        sides = dispatcher.status["sides"]
        assert sides["client"]["ndpAnswered"] >= 1, "the client had to ask"
        assert sides["server"]["nextHops"]["failures"] == 0 and sides["server"]["nextHops"]["dropped"] == {}


def test_what_a_neighbour_remembered_is_put_right_at_the_start(lab: None, file_servers: list[str], workspace: Path) -> None:
    must("client1", "ip", "-6", "neighbour", "replace", SERVICE_ADDRESS_V6, "lladdr", NOBODYS, "dev", "eth0", "nud", "reachable")
    with dispatching(workspace / "ipv6-announced", make()) as dispatcher:
        dispatcher.until_true(lambda: OURS in known("client1", SERVICE_ADDRESS_V6), lambda: "our advertisement was heeded", 2)
        started = time.monotonic()
        fetch("small")
        assert time.monotonic() - started < 1


def test_a_client_by_way_of_a_link_local_gateway(lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path) -> None:
    """Answers go by routes, not to where the question came from, and the router is named by its address on the link."""
    found = re.search(r"inet6 (fe80::[0-9a-f:]+)/", must("router", "ip", "-6", "address", "show", "dev", "eth0"))
    assert found is not None
    config = make("packet", **{"reply-to": "route", "gateway": [found[1], "10.77.1.254"]})
    with dispatching(workspace / "ipv6-gateway", config) as dispatcher:
        assert fetch("1MiB", "client2") == files["1MiB"]
        assert fetch("1MiB") == files["1MiB"]
        assert fetch("1MiB", "client2", f"{FILES_ADDRESS}:{V4_POOL}") == files["1MiB"]
        hops = dispatcher.status["sides"]["client"]["nextHops"]
        assert hops["neighbours"] >= 2 and hops["asked"] >= 1 and hops["dropped"] == {}


def test_a_server_that_is_not_there(lab: None, workspace: Path) -> None:
    config = make("packet")
    config["pools"][0]["servers"] = [{"address": "[fd77:2::99]:80"}]
    with dispatching(workspace / "ipv6-gone", config) as dispatcher:
        done = run("client1", "curl", "--silent", "--max-time", "10", f"http://{SERVICE}:{V4_POOL}/small")
        assert done.returncode != 0 or done.stdout != b""
        dispatcher.until_true(
            lambda: dispatcher.metrics.total("neighbour_failures_total") >= 1, lambda: "the neighbour given up and counted", 6
        )
        assert dispatcher.status["sides"]["server"]["nextHops"]["asked"] >= 3


# MARK: Duplicate addresses


@contextmanager
def taken(host: str, interface: str, address: str) -> Iterator[None]:
    must(host, "ip", "-6", "address", "add", f"{address}/64", "dev", interface, "nodad")
    try:
        yield
    finally:
        must(host, "ip", "-6", "address", "del", f"{address}/64", "dev", interface)


@pytest.mark.parametrize(
    "host, address, hardware", [("router", SERVICE_ADDRESS_V6, ROUTERS), ("server2", SOURCE_ADDRESS_V6, "02:00:0a:4d:02:0c")]
)
def test_an_address_that_another_host_has_is_refused(lab: None, workspace: Path, host: str, address: str, hardware: str) -> None:
    folder = workspace / f"ipv6-taken-{host}"
    folder.mkdir()
    config = folder / "dispatcher.yaml"
    config.write_text(yaml(make()))
    with taken(host, "eth0", address):
        process = Process("dispatcher", command(config), folder / "dispatcher.log")
        try:
            code = process.wait(10)
        finally:
            process.stop(timeout=1)
    said = process.log_end()
    assert code == 1, said
    assert f"another host has our address {address}: {hardware}" in said, said


def test_a_restart_is_no_duplicate(lab: None, file_servers: list[str], workspace: Path) -> None:
    """Clients that ask for the address while nobody has it do not hinder the start, and are answered at its end."""
    asking = ["curl", "--silent", "--fail", "--retry", "8", "--retry-delay", "0", "--retry-all-errors", "--max-time", "10"]
    client = subprocess.Popen(
        ["ip", "netns", "exec", "sluice-client1", *asking, f"http://{SERVICE}:{V4_POOL}/small"], stdout=subprocess.DEVNULL
    )
    with dispatching(workspace / "ipv6-restart", make()):
        assert client.wait(15) == 0
        assert fetch("small") != b""


def test_start_without_ipv6_does_not_wait(lab: None, workspace: Path) -> None:
    config = configuration([service("files", f"{FILES_ADDRESS}:80", "files")], [pool("files", [f"{server_address(1)}:80"])])
    took = []
    for number in range(3):  # the least of them: the machine may be busy
        started = time.monotonic()
        with dispatching(workspace / f"ipv6-none-{number}", config):
            took.append(time.monotonic() - started)
    assert min(took) < 1, f"the start took {min(took):.2f} s"


def test_a_client_that_is_about_to_take_our_address_is_stopped(lab: None, workspace: Path) -> None:
    """Its kernel's own duplicate address detection finds us."""
    with dispatching(workspace / "ipv6-defended", make()):
        must("client1", "sysctl", "-q", "-w", "net.ipv6.conf.eth0.accept_dad=1", "net.ipv6.conf.all.accept_dad=1")
        try:
            must("client1", "ip", "-6", "address", "add", f"{SERVICE_ADDRESS_V6}/64", "dev", "eth0")
            deadline = time.monotonic() + 5
            while "tentative" in (state := must("client1", "ip", "-6", "address", "show", "dev", "eth0", "to", SERVICE_ADDRESS_V6)):
                if "dadfailed" in state:
                    break
                assert time.monotonic() < deadline, state
                time.sleep(0.1)
            assert "dadfailed" in state, state
        finally:
            run("client1", "ip", "-6", "address", "del", f"{SERVICE_ADDRESS_V6}/64", "dev", "eth0")
            must("client1", "sysctl", "-q", "-w", "net.ipv6.conf.eth0.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
    assert CLIENT1_V6 in must("client1", "ip", "-6", "address", "show", "dev", "eth0")
