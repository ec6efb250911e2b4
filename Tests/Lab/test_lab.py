"""The lab itself: what docs/lab.md promises, and that `up` mends what is broken. No dispatcher runs here."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

import pytest

from sluicelab import network
from sluicelab.namespaces import HostThread, inside
from sluicelab.paths import SCRIPTS
from sluicelab.scrape import Metrics


def ip(host: str, *words: str) -> Any:
    done = subprocess.run(["ip", "-n", f"sluice-{host}", "-json", *words], check=True, capture_output=True, text=True)
    return json.loads(done.stdout or "[]")


def status() -> int:
    return subprocess.run([SCRIPTS / "lab", "status"], capture_output=True).returncode


def addresses(host: str) -> set[str]:
    return {entry["local"] for link in ip(host, "address", "show") for entry in link["addr_info"] if entry["scope"] == "global"}


def reach(client: str, server: str, address: str, port: int = 7000) -> int:
    """Connects from one host to another; the largest segment that the server may send."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(server):
        listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with listener:
        listener.bind((address, port))
        listener.listen()
        listener.settimeout(5)
        thread = HostThread(client, lambda: socket.create_connection((address, port), timeout=5).close())
        peer, _ = listener.accept()
        with peer:
            thread.result(5)
            return peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


def test_addresses_are_as_promised(lab: None) -> None:
    assert addresses("client1") == {"10.77.1.11", "fd77:1::11"}
    assert addresses("dispatcher") == {"10.77.1.1", "fd77:1::1", "10.77.2.1", "fd77:2::1"}
    assert addresses("server2") == {"10.77.2.12", "fd77:2::12"}
    assert addresses("router") == {"10.77.1.254", "fd77:1::254", "10.77.3.1", "fd77:3::1"}
    assert addresses("client2") == {"10.77.3.11", "fd77:3::11"}
    assert addresses("operator1") == {"10.77.1.31", "fd77:1::31", "10.77.2.31", "fd77:2::31", "10.77.4.1", "fd77:4::1"}
    assert addresses("device1") == {"10.77.4.11", "fd77:4::11"}
    assert addresses("lan") == set()


@pytest.mark.parametrize(
    ("client", "server", "address", "mtu"),
    [
        ("client1", "dispatcher", "10.77.1.1", 1500),
        ("client2", "dispatcher", "10.77.1.1", 1400),
        ("client2", "dispatcher", "fd77:1::1", 1400),
        ("dispatcher", "server1", "10.77.2.11", 1500),
        ("dispatcher", "server2", "fd77:2::12", 1500),
    ],
)
def test_hosts_reach_each_other(lab: None, client: str, server: str, address: str, mtu: int) -> None:
    headers = 60 if ":" in address else 40
    assert reach(client, server, address) == mtu - headers - 12, "timestamps take 12 bytes of each segment"


def test_forwarding_is_off_at_the_dispatcher_and_on_at_the_router(lab: None) -> None:
    for host, expected in (("dispatcher", "0"), ("router", "1")):
        for setting in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            done = subprocess.run(["ip", "netns", "exec", f"sluice-{host}", "cat", f"/proc/sys/{setting}"], capture_output=True, text=True)
            assert done.stdout.strip() == expected


def test_up_mends_a_broken_lab(lab: None) -> None:
    assert status() == 0
    subprocess.run(["ip", "-n", "sluice-client2", "address", "flush", "dev", "eth0"], check=True)
    subprocess.run(["ip", "-n", "sluice-router", "link", "delete", "eth0"], check=True)
    assert status() == 1
    network.up(servers=2)
    assert status() == 0
    assert reach("client2", "dispatcher", "10.77.1.1")


def test_exec_runs_in_the_host(lab: None) -> None:
    done = subprocess.run(
        [SCRIPTS / "lab", "exec", "server1", "--", "ip", "-brief", "address", "show", "eth0"], capture_output=True, text=True
    )
    assert "10.77.2.11/24" in done.stdout and done.returncode == 0
    assert subprocess.run([SCRIPTS / "lab", "exec", "server1", "--", "sh", "-c", "exit 7"]).returncode == 7


@pytest.mark.parametrize(
    "words", [["up", "--servers", "17"], ["up", "--servers", "0"], ["exec", "elsewhere", "--", "true"], ["sideways"], []]
)
def test_wrong_usage_is_exit_code_2(lab: None, words: list[str]) -> None:
    assert subprocess.run([SCRIPTS / "lab", *words], capture_output=True).returncode == 2


def test_a_scrape_is_read() -> None:
    text = (
        '# HELP sluice_x y\nsluice_x{a="b",c="d \\"e\\""} 3\nsluice_x{a="f"} 4.5\nsluice_y 1e3\nsluice_z_bucket{le="+Inf"} 2 1700000000\n'
    )
    metrics = Metrics.parse(text)
    assert metrics.total("x") == 7.5 and metrics.total("x", a="b") == 3 and metrics.total("y") == 1000 and metrics.total("absent") == 0
    assert metrics.by("x", "a") == {("b",): 3, ("f",): 4.5} and metrics.has("z_bucket") and not metrics.has("z")
