"""Workers for the tests of the push protocol's tables: the two of test_push.py, one with narrow limits, one whose store can be broken."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import Signals

import pytest

import test_push
from conftest import started
from push_clients import HostLoop, Phone, Signer
from sluicelab.dispatcher import Configuration, pool, service
from sluicelab.network import PUSH_ADDRESS, SOURCE_ADDRESS, server_address
from sluicelab.paths import binary
from sluicelab.processes import Process
from test_push import workers

__all__ = ["configure", "devices", "extra_workers", "faulty", "hang_up", "phone", "signer", "workers"]

NEEDS = ["workers", "extra_workers"]
STRICT, FAULTY, APPLICATIONS = 82, 83, 84  # ports of the service address
TOKEN_LIFETIME = 2  # seconds, of the strict worker's tokens
TOKEN_BURST, NOTIFY_BURST = 4, 3  # its limits for one client address, at one a second
PING_AFTER = 1  # second of silence


def configure() -> Configuration:
    """Port 80 as in test_push.py; the strict and the faulty worker on ports of their own; the front for application servers alone."""
    config = test_push.configure()
    config["server-side"]["servers"] = 16
    for name, number, port, listen in (("strict", 1, 8180, STRICT), ("faulty", 2, 8280, FAULTY)):
        narrow = service(name, f"{PUSH_ADDRESS}:{listen}", f"{name}-ua")
        narrow["routes"] = [{"path-prefix": "/notify/", "pool": f"{name}-as"}, {"pool": f"{name}-ua"}]
        config["services"].append(narrow)
        tunnels = {"initial": 100, "maximum": 100, "control": "fixed"}
        config["pools"] += [
            pool(f"{name}-ua", [f"{server_address(number)}:{port}"], tunnels=tunnels),
            pool(f"{name}-as", [f"{server_address(number)}:{port + 1}"]),
        ]
    config["services"].append(service("applications", f"{PUSH_ADDRESS}:{APPLICATIONS}", "as"))
    return config


def start_worker(name: str, number: int, port: int, listen: int, workspace: Path, *options: str) -> Process:
    """A worker in that server, with a data directory of its own."""
    command: list[str | Path] = [binary("sluice-worker"), "--data", workspace / name, "--listen", server_address(number)]
    command += ["--ua-port", str(port), "--as-port", str(port + 1), "--public-url", f"http://{PUSH_ADDRESS}:{listen}"]
    command += ["--trusted-proxy", f"{SOURCE_ADDRESS}/32", *options]
    worker = Process(f"server{number}", command, workspace / f"{name}.log")
    started.append(worker)
    address = f"http://{server_address(number)}:{port}/status"
    worker.until(lambda: test_push.fetch(address, f"server{number}")[0] == 200, "a worker that answers /status", 15)
    return worker


class FaultyWorker:
    """A worker, and hands on its database."""

    def __init__(self, process: Process, database: Path) -> None:
        self.process, self.database = process, database

    @contextmanager
    def broken(self) -> Iterator[None]:
        """While the block runs the worker does not find its tables: whatever it asks the store fails."""
        self._rename("", "_away")
        try:
            yield
        finally:
            self._rename("_away", "")

    def _rename(self, ending: str, other: str) -> None:
        connection = sqlite3.connect(self.database, timeout=10, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in tables:
                if name.endswith(ending) and not name.startswith("sqlite_"):
                    connection.execute(f'ALTER TABLE "{name}" RENAME TO "{name.removesuffix(ending)}{other}"')
            connection.execute("COMMIT")
        finally:
            connection.close()


@pytest.fixture(scope="module")
def extra_workers(lab: None, workspace: Path) -> Iterator[list[Process]]:
    """A worker with limits that a test reaches, and one whose store a test can break."""
    limits = ["--token-rate", f"1/{TOKEN_BURST}", "--notify-rate", f"1/{NOTIFY_BURST}"]
    times = ["--token-lifetime", f"{TOKEN_LIFETIME}s", "--ping", str(PING_AFTER)]
    running = [
        start_worker("strict", 1, 8180, STRICT, workspace, *limits, *times),
        start_worker("faulty", 2, 8280, FAULTY, workspace, "--token-rate", "0"),
    ]
    yield running
    for worker in running:
        worker.signal(Signals.SIGTERM)  # all drain at once
    for worker in running:
        worker.stop()
        started.remove(worker)


@pytest.fixture(scope="module")
def faulty(extra_workers: list[Process], workspace: Path) -> FaultyWorker:
    return FaultyWorker(extra_workers[1], workspace / "faulty" / "messages.sqlite")


@pytest.fixture(scope="module")
def devices(lab: None) -> Iterator[HostLoop]:
    """Where the devices' sockets live: in client1."""
    loop = HostLoop("client1")
    yield loop
    loop.stop()


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture
def phone(devices: HostLoop, signer: Signer) -> Phone:
    return Phone(devices, signer)


@pytest.fixture(autouse=True)
def hang_up(devices: HostLoop) -> Iterator[None]:
    """No test leaves sockets to the next."""
    before = len(devices.sockets)
    yield
    devices.hang_up(keep=before)
