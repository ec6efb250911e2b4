"""What the lab tests share: the lab raised once, servers in it, a dispatcher for each file of tests, and what is shown when one fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.legacy.server import WebSocketServerProtocol

from backend import Backend
from sluicelab import network
from sluicelab.dispatcher import Configuration, Dispatcher
from sluicelab.namespaces import HostThread
from sluicelab.network import server_address, server_address_v6
from sluicelab.nginx import make_files, start_nginx
from sluicelab.paths import binary
from sluicelab.processes import Process
from sluicelab.robustness.figures import Figures

BACKEND_PORT = 8000
started: list[Process] = []  # whose logs a failing test shows


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    if os.geteuid() != 0:
        pytest.exit("the lab tests need root: they make network namespaces", returncode=3)
    try:
        binary("sluice-dispatcher")
    except FileNotFoundError as error:
        pytest.exit(str(error), returncode=1)


@pytest.hookimpl(hookwrapper=True)  # type: ignore[misc]
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        for process in started:
            if process.running or process.exit_code:
                state = "running" if process.running else f"ended with {process.exit_code}"
                report.sections.append((f"the end of {process.log} ({state})", process.log_end()))


@pytest.fixture(autouse=True)
def deadline(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test hangs."""
    marker = request.node.get_closest_marker("deadline")
    seconds = marker.args[0] if marker else 60

    def over(*_: object) -> None:
        raise TimeoutError(f"the test took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def lab() -> Iterator[None]:
    network.hold("the lab tests")
    network.down()
    network.up(servers=2)
    yield
    network.down()


@pytest.fixture(scope="session")
def workspace() -> Iterator[Path]:
    """A folder that other users can enter: the dispatcher gives up its privileges."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-lab-tests-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def files(workspace: Path) -> dict[str, bytes]:
    """The files that both nginx serve: what is in them by name."""
    return make_files(workspace / "files", {"empty": 0, "1B": 1, "small": 1000, "64KiB": 1 << 16, "1MiB": 1 << 20, "8MiB": 8 << 20})


@pytest.fixture(scope="session")
def file_servers(lab: None, workspace: Path, files: dict[str, bytes]) -> Iterator[list[str]]:
    """nginx in server1 and server2; their addresses."""
    servers = [start_nginx(f"server{number}", workspace / f"nginx{number}", workspace / "files") for number in (1, 2)]
    started.extend(servers)
    yield [f"{server_address(number)}:80" for number in (1, 2)]
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def _backends(lab: None) -> Iterator[list[Backend]]:
    servers = [Backend(f"server{number}", server_address(number), BACKEND_PORT) for number in (1, 2)]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def backends(_backends: list[Backend]) -> Iterator[list[Backend]]:
    """Servers that answer as a test says, one in server1 and one in server2, forgetful between tests."""
    for server in _backends:
        server.forget()
    yield _backends
    for server in _backends:
        server.forget()


@pytest.fixture
def backend(backends: list[Backend]) -> Backend:
    """The one in server1, for services with a single server."""
    return backends[0]


@pytest.fixture(scope="module")
def echo_server(lab: None) -> Iterator[None]:
    """Says back what it hears; closes with code 4002 when it hears `close`."""
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # clients that vanish are what these tests are about
    ready = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def echo(socket: WebSocketServerProtocol) -> None:
        async for message in socket:
            if message == "close":
                await socket.close(4002, "as you wish")
                return
            await socket.send(message)

    async def serve() -> None:
        stopped = asyncio.Event()
        addresses = [server_address(1), server_address_v6(1)]
        server = await websockets.serve(  # type: ignore[attr-defined]
            echo, addresses, 8001, max_size=None, compression=None, close_timeout=0.5
        )
        loops.append((asyncio.get_running_loop(), stopped))
        ready.set()
        await stopped.wait()
        server.close()
        # After a bad cable the last word may have been lost, and nobody is there to answer: what is left is cancelled with the loop.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 5)

    thread = HostThread("server1", lambda: asyncio.run(serve()))
    assert ready.wait(5)
    yield
    loop, stopped = loops[0]
    loop.call_soon_threadsafe(stopped.set)
    thread.result(20)


@pytest.fixture(scope="module")
def dispatcher(lab: None, workspace: Path, request: pytest.FixtureRequest) -> Iterator[Dispatcher]:
    """The dispatcher of a file of tests, configured by the file's `configure()`. It must be alive at the end, and end well."""
    config: Configuration = request.module.configure()
    for need in getattr(request.module, "NEEDS", ()):
        request.getfixturevalue(need)
    process = Dispatcher(workspace / request.module.__name__, config)
    started.append(process)
    yield process
    alive = process.running
    code = process.stop()
    started.remove(process)
    assert alive, f"the dispatcher ended with {code} during the tests:\n{process.log_end()}"
    assert code == 0, f"the dispatcher ended with {code} after SIGTERM:\n{process.log_end()}"


@pytest.fixture
def figures() -> Iterator[Figures]:
    """What the scenario measures; all that it wants must be reached."""
    found = Figures()
    yield found
    assert found.all and not found.missed, found.missed


@pytest.fixture
def folder(workspace: Path, request: pytest.FixtureRequest) -> Path:
    path: Path = workspace / request.node.name
    path.mkdir()
    path.chmod(0o755)
    return path
