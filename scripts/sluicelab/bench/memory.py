"""Memory of a process for each connection on which nothing happens."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from ..processes import Process, resident_bytes
from ..traffic import Running
from .judge import Turn

PROGRAM = Path(__file__).with_name("idle.py")
PYTHON = "/usr/bin/python3"
TUNNEL_PORT = 8100
FIRST_SHARE = 10  # a tenth of the connections come before the memory is read: tables and buffers are there then
SETTLE_SECONDS = 1.0
OPEN_SECONDS = 60.0


@contextlib.contextmanager
def tunnel_servers(folder: Path, hosts: tuple[str, ...] = ("server1", "server2")) -> Iterator[None]:
    """Servers that become tunnels when they are asked to, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    servers: list[Process] = []
    try:
        for host in hosts:
            log = folder / f"tunnels-{host}.log"
            log.unlink(missing_ok=True)  # what an earlier one said
            server = Process(host, [PYTHON, PROGRAM, "server", str(TUNNEL_PORT)], log)
            servers.append(server)
            server.until(lambda: "ready" in log.read_text(), f"the tunnel server of {host} to start", 10)
        yield
    finally:
        for server in servers:
            server.stop()


def clients(folder: Path, address: str, count: int, tunnels: bool) -> Running:
    """So many clients that have had an answer, or become tunnels; when this returns they stand."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"idle-{len(list(folder.glob('idle-*.log')))}.log"
    kind = "tunnel" if tunnels else "keep"
    running = Running("client1", [PYTHON, PROGRAM, "clients", address, "80", str(count), kind], log)
    running.until(lambda: "open " in log.read_text(), f"{count} idle clients", OPEN_SECONDS)
    return running


def grow(process: Process, address: str, connections: int, tunnels: bool, folder: Path) -> Turn:
    """Its resident memory before and after most of the connections; they must all have stood to the end."""
    first = connections // FIRST_SHARE
    opened: list[Running] = []
    try:
        opened.append(clients(folder, address, first, tunnels))
        time.sleep(SETTLE_SECONDS)
        before = resident_bytes(process.pid)
        opened.append(clients(folder, address, connections - first, tunnels))
        time.sleep(SETTLE_SECONDS)
        after = resident_bytes(process.pid)
    finally:
        ends = [running.ended() for running in opened]
    return {
        "connections": connections,
        "resident_before": before,
        "resident_after": after,
        "bytes_each": (after - before) / (connections - first),
        "failures": sum(end["lost"] for end in ends) + connections - sum(end["stood"] for end in ends),
    }
