"""The ways that packets leave: frames with next hops of our own, raw packets, devices that do not segment, neighbours that are slow or gone."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from frames import PACKET_ARP, ethernet, hardware_address
from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.namespaces import inside
from sluicelab.network import CLIENT1, FILES_ADDRESS, SOURCE_ADDRESS, server_address

NEEDS = ["file_servers"]
URL = f"http://{FILES_ADDRESS}"
ROUTER = "10.77.1.254"


def make(transmit: str, **client_side: Any) -> Configuration:
    servers = [f"{server_address(number)}:80" for number in (1, 2)]
    made = configuration([service("files", f"{FILES_ADDRESS}:80", "files")], [pool("files", servers)], transmit=transmit)
    made["client-side"].update(client_side)
    return made


def run(host: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ip", "netns", "exec", f"sluice-{host}", *words], capture_output=True, timeout=30)


def fetch(name: str, host: str = "client1") -> bytes:
    done = run(host, "curl", "--silent", "--show-error", "--fail", "--max-time", "20", f"{URL}/{name}")
    assert done.returncode == 0, f"curl {name} in {host}: {done.stderr.decode()}"
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


@contextmanager
def switched_off(feature: str, *devices: tuple[str, str]) -> Iterator[None]:
    """A feature of devices (host, interface) that is off until the block ends."""
    try:
        for host, device in devices:
            assert run(host, "ethtool", "-K", device, feature, "off").returncode == 0
        yield
    finally:
        for host, device in devices:
            run(host, "ethtool", "-K", device, feature, "on")


@pytest.mark.parametrize("transmit", ["packet", "raw", "auto"])
@pytest.mark.parametrize("host", ["client1", "client2"])
def test_a_file_is_byte_equal(
    lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path, transmit: str, host: str
) -> None:
    """client2 is behind a router and a link with a smaller MTU."""
    with dispatching(workspace / f"transmit-{transmit}-{host}", make(transmit)) as dispatcher:
        before = dispatcher.status["sides"]["client"]["packetsSent"]
        for name in ("small", "1MiB", "empty", "1MiB"):
            assert fetch(name, host) == files[name], name
        side = dispatcher.status["sides"]["client"]
        assert side["transmit"] == ("raw" if transmit == "raw" else "packet")
        assert side["egressErrors"] == {}
        packets = side["packetsSent"] - before
        # Two files of 1 MiB are 1,440 segments of the MTU and more.
        assert packets >= 1440 if transmit == "raw" else packets < 1000, f"{packets} packets"


def test_a_device_that_does_not_segment(lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path) -> None:
    """The kernel segments then, and the queueing discipline is not passed by: with both, large segments would be lost silently."""

    def bypasses(dispatcher: Dispatcher) -> list[bool]:
        return [dispatcher.status["sides"][side]["nextHops"]["bypassesQueue"] for side in ("client", "server")]

    with dispatching(workspace / "transmit-tso", make("packet")) as dispatcher:
        assert bypasses(dispatcher) == [True, True]
        assert fetch("1MiB") == files["1MiB"]
        with switched_off("tso", ("dispatcher", "fe0"), ("dispatcher", "be0")):
            dispatcher.until_true(lambda: bypasses(dispatcher) == [False, False], lambda: "the change of the device noticed", 2)
            started = time.monotonic()
            assert fetch("1MiB") == files["1MiB"]
            assert fetch("1MiB", "client2") == files["1MiB"]
            assert time.monotonic() - started < 5, "without waiting for retransmissions"
        dispatcher.until_true(lambda: bypasses(dispatcher) == [True, True], lambda: "the change back noticed", 2)
        with switched_off("tx", ("dispatcher", "fe0")):  # no checksums from the device either
            assert fetch("1MiB") == files["1MiB"]
            assert fetch("1MiB", "client2") == files["1MiB"]


def test_a_device_that_never_segmented(lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path) -> None:
    with switched_off("tso", ("dispatcher", "fe0"), ("dispatcher", "be0")):
        with dispatching(workspace / "transmit-no-tso", make("packet")) as dispatcher:
            assert not dispatcher.status["sides"]["client"]["nextHops"]["bypassesQueue"]
            assert fetch("1MiB") == files["1MiB"]


def test_a_device_that_segments_only_small_frames(lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path) -> None:
    """What is larger than it takes would be lost silently, too."""
    try:
        assert run("dispatcher", "ip", "link", "set", "fe0", "gso_max_size", "9000").returncode == 0
        with dispatching(workspace / "transmit-limit", make("packet")) as dispatcher:
            started = time.monotonic()
            assert fetch("8MiB") == files["8MiB"]
            assert fetch("1MiB", "client2") == files["1MiB"]
            assert time.monotonic() - started < 5, "without waiting for retransmissions"
            assert dispatcher.status["sides"]["client"]["nextHops"]["bypassesQueue"]
    finally:
        run("dispatcher", "ip", "link", "set", "fe0", "gso_max_size", "65536")


class SlowNeighbour:
    """client1 answers ARP only by this: late, or not at all (a negative delay). Its kernel's own answers are off."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.asked = 0
        self._over = threading.Event()
        with inside("client1"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(PACKET_ARP))
        self._socket.bind(("eth0", PACKET_ARP))
        self._socket.settimeout(0.05)
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def __enter__(self) -> SlowNeighbour:
        run("client1", "sysctl", "-w", "net.ipv4.conf.eth0.arp_ignore=8")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()
        run("client1", "sysctl", "-w", "net.ipv4.conf.eth0.arp_ignore=0")

    def _answer(self) -> None:
        while not self._over.is_set():
            try:
                frame = self._socket.recv(2048)
            except TimeoutError:
                continue
            if frame[20:22] != b"\0\1" or frame[38:42] != socket.inet_aton(CLIENT1) or frame[28:32] != socket.inet_aton(FILES_ADDRESS):
                continue
            self.asked += 1
            if self.delay < 0:
                continue
            time.sleep(self.delay)
            body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + hardware_address(CLIENT1) + frame[38:42] + frame[22:28] + frame[28:32]
            self._socket.send(frame[6:12] + ethernet(CLIENT1, CLIENT1, body, PACKET_ARP)[6:])


@pytest.fixture
def knowing_client(lab: None) -> Iterator[None]:
    """client1 knows the service's hardware address without asking: who asks is learned of."""
    run("client1", "ip", "neigh", "replace", FILES_ADDRESS, "lladdr", "02:00:0a:4d:01:01", "dev", "eth0", "nud", "permanent")
    yield
    run("client1", "ip", "neigh", "del", FILES_ADDRESS, "dev", "eth0")


def test_a_client_whose_arp_is_slow(knowing_client: None, file_servers: list[str], files: dict[str, bytes], workspace: Path) -> None:
    with dispatching(workspace / "transmit-slow", make("packet", **{"reply-to": "route"})) as dispatcher:
        with SlowNeighbour(0.3) as neighbour:
            started = time.monotonic()
            assert fetch("1MiB") == files["1MiB"]
            assert time.monotonic() - started < 3, "the first answer waits for the neighbour, and nothing is asked again"
            assert neighbour.asked == 1
        hops = dispatcher.status["sides"]["client"]["nextHops"]
        assert hops["dropped"] == {} and hops["failures"] == 0 and hops["neighbours"] >= 1


def test_a_client_that_does_not_answer_arp(knowing_client: None, file_servers: list[str], files: dict[str, bytes], workspace: Path) -> None:
    with dispatching(workspace / "transmit-silent", make("packet", **{"reply-to": "route"})) as dispatcher:
        with SlowNeighbour(-1) as neighbour:
            done = run("client1", "curl", "--silent", "--connect-timeout", "4", f"{URL}/small")
            assert done.returncode == 28, "no answer reached it"
            assert 3 <= neighbour.asked <= 5
        metrics = dispatcher.metrics
        assert metrics.total("next_hop_drops_total", side="client", reason="unresolved") >= 1
        assert metrics.total("neighbour_failures_total", side="client") >= 1
        assert fetch("1MiB") == files["1MiB"], "it answers now"


def test_answers_to_the_sender_need_no_arp(knowing_client: None, file_servers: list[str], files: dict[str, bytes], workspace: Path) -> None:
    with dispatching(workspace / "transmit-sender", make("packet")) as dispatcher:
        with SlowNeighbour(-1) as neighbour:
            assert fetch("1MiB") == files["1MiB"]
            assert neighbour.asked == 0
        assert dispatcher.status["sides"]["client"]["nextHops"]["asked"] == 0


def test_routes_and_their_changes_are_heeded(lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path) -> None:
    """client2 is reached through the router, by the kernel's route, by a gateway of ours, and not at all when there is neither."""
    route = ("route", "replace", "10.77.3.0/24", "via", ROUTER)
    with dispatching(workspace / "transmit-route", make("packet", **{"reply-to": "route"})) as dispatcher:
        assert fetch("1MiB", "client2") == files["1MiB"]
        try:
            assert run("dispatcher", "ip", "route", "del", "10.77.3.0/24").returncode == 0
            done = run("client2", "curl", "--silent", "--connect-timeout", "2", f"{URL}/small")
            assert done.returncode == 28
            assert dispatcher.metrics.total("next_hop_drops_total", side="client", reason="no-route") >= 1
        finally:
            run("dispatcher", "ip", *route)
        assert fetch("1MiB", "client2") == files["1MiB"]
    try:
        run("dispatcher", "ip", "route", "del", "10.77.3.0/24")
        with dispatching(workspace / "transmit-gateway", make("packet", **{"reply-to": "route", "gateway": ROUTER})):
            assert fetch("1MiB", "client2") == files["1MiB"]
            assert fetch("1MiB") == files["1MiB"]
    finally:
        run("dispatcher", "ip", *route)


@pytest.mark.parametrize("transmit", ["packet", "raw"])
def test_our_addresses_are_announced_at_the_start(lab: None, file_servers: list[str], workspace: Path, transmit: str) -> None:
    """By a request for itself, so that hosts which knew them at another hardware address learn of ours."""
    listeners: dict[str, socket.socket] = {}
    for host in ("client1", "server1"):
        with inside(host):
            listeners[host] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(PACKET_ARP))
        listeners[host].bind(("eth0", PACKET_ARP))
        listeners[host].settimeout(3)
    with dispatching(workspace / f"transmit-announce-{transmit}", make(transmit)):
        for host, address, dispatcher in (("client1", FILES_ADDRESS, "10.77.1.1"), ("server1", SOURCE_ADDRESS, "10.77.2.1")):
            expected = hardware_address(dispatcher) + socket.inet_aton(address) + bytes(6) + socket.inet_aton(address)
            while True:
                frame = listeners[host].recv(2048)
                if frame[20:22] == b"\0\1" and frame[22:42] == expected:
                    break
            assert frame[:6] == b"\xff" * 6
    for listener in listeners.values():
        listener.close()


def test_a_burst_right_after_the_start(lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path) -> None:
    """The servers' hardware addresses are not known yet: all SYNs wait for them, and none has to come again after a second."""
    made = make("packet")
    made["pools"] = [pool("files", [f"{server_address(number)}:80" for number in (1, 2)], connections=32)]
    with dispatching(workspace / "transmit-burst", made) as dispatcher:
        options = ["--silent", "--fail", "--max-time", "20", "--parallel", "--parallel-immediate", "--parallel-max", "40"]
        done = run("client1", "curl", *options, *[f"{URL}/small"] * 40)
        assert done.returncode == 0 and done.stdout == files["small"] * 40
        metrics = dispatcher.metrics
        assert metrics.total("server_connects_total") >= 20
        assert metrics.total("next_hop_drops_total", side="server", reason="waiting-full") == 0


def test_a_conversation_of_many_small_answers(lab: None, file_servers: list[str], workspace: Path) -> None:
    with dispatching(workspace / "transmit-small", make("packet")) as dispatcher:
        with Conversation(FILES_ADDRESS, 80) as client:
            for _ in range(200):
                client.request("/")
                assert client.answer().body == b"hello world\n"
        for side in ("client", "server"):
            assert dispatcher.status["sides"][side]["egressErrors"] == {}
            # A server that still has the connection of an earlier dispatcher takes the second SYN.
            again = {
                kind: count
                for (kind, at), count in dispatcher.metrics.by("retransmitted_segments_total", "kind", "side").items()
                if at == side
            }
            assert not any(count for kind, count in again.items() if kind != "connect"), again
