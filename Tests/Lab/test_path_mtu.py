"""A path that is narrower than both of its ends: the router's "fragmentation needed" must be heeded, for every packet of ours has DF."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.network import FILES_ADDRESS, server_address

NEEDS = ["file_servers"]
URL = f"http://{FILES_ADDRESS}"
ROUTED_MTU = 1400


def configure(transmit: str = "auto") -> Configuration:
    servers = [f"{server_address(number)}:80" for number in (1, 2)]
    return configuration([service("files", f"{FILES_ADDRESS}:80", "files")], [pool("files", servers)], transmit=transmit)


def run(host: str, *words: str) -> bytes:
    done = subprocess.run(["ip", "netns", "exec", f"sluice-{host}", *words], capture_output=True, timeout=30)
    assert done.returncode == 0, f"{words} in {host}: {done.stderr.decode()}"
    return done.stdout


@pytest.fixture
def wide_client(lab: None) -> Iterator[None]:
    """client2 does not know of the narrow link before it, and offers an MSS of 1460."""
    run("client2", "ip", "link", "set", "eth0", "mtu", "1500")
    yield
    run("client2", "ip", "link", "set", "eth0", "mtu", str(ROUTED_MTU))


def too_big() -> int:
    """How many packets the router could not pass on."""
    lines = [line.split() for line in run("router", "cat", "/proc/net/snmp").decode().splitlines() if line.startswith("Ip:")]
    return int(lines[1][lines[0].index("FragFails")])


@pytest.mark.parametrize("transmit", ["packet", "raw"])
def test_a_client_behind_a_narrow_link(
    wide_client: None, file_servers: list[str], files: dict[str, bytes], workspace: Path, transmit: str
) -> None:
    process = Dispatcher(workspace / f"path-mtu-{transmit}", configure(transmit))
    try:
        before, started = too_big(), time.monotonic()
        assert run("client2", "curl", "--silent", "--fail", "--max-time", "20", f"{URL}/1MiB") == files["1MiB"]
        first, took = too_big(), time.monotonic() - started
        assert first > before, "the router had something to say"
        assert took < 5, f"the file took {took:.1f} s"
        for _ in range(3):
            assert run("client2", "curl", "--silent", "--fail", "--max-time", "20", f"{URL}/1MiB") == files["1MiB"]
        assert too_big() == first, "the next connections begin with what was learned"
        assert run("client1", "curl", "--silent", "--fail", "--max-time", "20", f"{URL}/1MiB") == files["1MiB"]
    finally:
        running, code = process.running, process.stop()
    assert running and code == 0, f"the dispatcher ended with {code}:\n{process.log_end()}"
