"""The C programs of `sluicelab/programs` as processes in hosts of the lab."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from .network import CLIENT1, CLIENT2
from .processes import Process
from .programs import compiled

Numbers = dict[str, Any]
HARDWARE_ADDRESS = "02:00:0a:4d:01:01"  # of the dispatcher's fe0 (docs/lab.md)
# Nobody has these; the first half of client1's network is the lab's own.
FIRST_SPOOFED, SPOOFED = "10.77.1.120", 120
MORE_SOURCES = [f"10.77.1.{number}" for number in range(31, 39)]


class Running(Process):
    """A program that ends with one line of JSON."""

    def numbers(self, timeout: float) -> Numbers:
        code = self.wait(timeout)
        if code != 0:
            raise RuntimeError(f"{self.command[0]} ended with {code}: {self.log_end()}")
        found: Numbers = json.loads(self.log.read_text().splitlines()[-1])
        return found

    def ended(self, timeout: float = 10) -> Numbers:
        """Stopped now, by SIGTERM."""
        if self.running:
            self._child.terminate()
        return self.numbers(timeout)


def _start(folder: Path, host: str, name: str, *words: object, libraries: tuple[str, ...] = ()) -> Running:
    folder.mkdir(parents=True, exist_ok=True)
    program = compiled(name, folder, *libraries)
    log = folder / f"{name}-{len(list(folder.glob(f'{name}-*.log')))}.log"
    return Running(host, [program, *map(str, words)], log)


def load(
    folder: Path,
    address: str,
    path: str,
    connections: int,
    seconds: float,
    rate: float = 0,
    fresh: bool = False,
    within_ms: float = 100,
    host: str = "client1",
    port: int = 80,
) -> Running:
    """An open loop, or with rate 0 a closed one; `fresh`: a connection for each request."""
    return _start(folder, host, "load", address, port, path, connections, seconds, rate, "new" if fresh else "keep", within_ms)


def players(folder: Path, address: str, path: str, file: Path, options: dict[str, float], host: str = "client1", port: int = 80) -> Running:
    """Video players, with options of programs/players.c; `file` is what they should get."""
    words = [f"{name}={value:.12g}" for name, value in options.items()]
    return _start(folder, host, "players", address, port, path, file, *words, libraries=("-lm",))


def churn(folder: Path, address: str, seconds: float, rate: float, seed: int, host: str = "client1", port: int = 80) -> Running:
    """Clients that come and go, for one visit each; their tunnels are below /tunnel."""
    return _start(folder, host, "churn", address, port, f"{seconds:g}", f"{rate:g}", seed, "/tunnel")


def syn_flood(folder: Path, address: str, rate: float, seconds: float, port: int = 80) -> Running:
    """From client1, from addresses on its network that nobody has; what answers them comes back to client1 and ends there."""
    return _start(folder, "client1", "synflood", "eth0", HARDWARE_ADDRESS, address, port, FIRST_SPOOFED, SPOOFED, rate, seconds)


def more_sources() -> list[str]:
    """Further addresses of client1, until `fewer_sources` or the end of the lab."""
    for address in MORE_SOURCES:
        subprocess.run(["ip", "-n", "sluice-client1", "address", "replace", f"{address}/24", "dev", "eth0"], check=True)
    return [CLIENT1, *MORE_SOURCES]


def fewer_sources() -> None:
    """Takes the further addresses away again, where they are."""
    for address in MORE_SOURCES:
        subprocess.run(["ip", "-n", "sluice-client1", "address", "del", f"{address}/24", "dev", "eth0"], capture_output=True)


def slow_writers(
    folder: Path, address: str, connections: int, seconds: float, every_ms: float, host: str = "client1", port: int = 80
) -> Running:
    """Request heads that never end, a byte at a time."""
    sources = more_sources() if host == "client1" else [CLIENT2]
    return _start(folder, host, "slow", "writers", address, port, connections, seconds, every_ms, ",".join(sources))


def slow_readers(
    folder: Path,
    address: str,
    path: str,
    connections: int,
    seconds: float,
    every_ms: float,
    piece: int,
    host: str = "client1",
    port: int = 80,
) -> Running:
    """Answers that are taken a piece at a time, with small receive buffers."""
    sources = more_sources() if host == "client1" else [CLIENT2]
    return _start(folder, host, "slow", "readers", address, port, connections, seconds, every_ms, ",".join(sources), path, piece)


def until_open(slow: Running, timeout: float = 40) -> int:
    """Waits until the slow clients' connections stand; how many do."""
    slow.until(lambda: "open " in slow.log.read_text(), "the slow clients to be connected", timeout)
    return int(slow.log.read_text().split("open ", 1)[1].split()[0])
