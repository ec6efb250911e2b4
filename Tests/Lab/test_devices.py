"""What a device or a clock does to the dispatcher: a ring too small for a burst, an interface that goes down, a wall clock that jumps."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend import Backend
from conftest import BACKEND_PORT, started
from sluicelab import network
from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, command, configuration, pool, service, yaml
from sluicelab.network import FILES_ADDRESS, server_address
from sluicelab.processes import Process

PORT = 89


def config(servers: list[str], **others: object) -> Configuration:
    return configuration([service("one", f"{FILES_ADDRESS}:{PORT}", "one")], [pool("one", servers)], **others)


def get(path: str = "/") -> bytes:
    with Conversation(FILES_ADDRESS, PORT) as client:
        client.request(path)
        answer = client.answer()
        assert answer.status == 200
        return answer.body


def test_k06_a_burst_larger_than_the_ring(backend: Backend, workspace: Path) -> None:
    """128 places, and a dispatcher that is held up while 300 clients ask: frames are lost and counted, and nobody goes without an answer."""
    small = config([f"{server_address(1)}:{BACKEND_PORT}"])
    small["client-side"]["capture-memory"] = "1MiB"
    process = Dispatcher(workspace / "small-ring", small)
    started.append(process)
    try:
        before = process.gauges_at_rest()
        process.signal(signal.SIGSTOP)
        with ThreadPoolExecutor(300) as pool_of_clients:
            answers = [pool_of_clients.submit(get, f"/{number}") for number in range(300)]
            time.sleep(0.5)
            process.signal(signal.SIGCONT)
            assert sorted(answer.result(20) for answer in answers) == sorted(f"/{number}".encode() for number in range(300))
        assert process.metrics.total("capture_drops_total", side="client") > 0
        process.until_gauges({**before, **{name: value for name, value in process.gauges().items() if "idle" in name}})
    finally:
        process.signal(signal.SIGCONT)
        process.stop()
        started.remove(process)


@pytest.fixture
def mended(lab: None) -> Iterator[None]:
    """An interface that went down has lost its IPv6 addresses and routes."""
    yield
    network.up(servers=2)


def processor_seconds(process: Process) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("transmit", ["packet", "raw"])
@pytest.mark.parametrize("interface", ["fe0", "be0"])
def test_k07_an_interface_goes_down_and_comes_back(
    mended: None, file_servers: list[str], files: dict[str, bytes], workspace: Path, interface: str, transmit: str
) -> None:
    process = Dispatcher(workspace / "device", config([f"{server_address(1)}:80"], transmit=transmit))
    started.append(process)
    link = ["ip", "-n", "sluice-dispatcher", "link", "set", interface]
    try:
        assert get("/small") == files["small"]
        url = f"http://{FILES_ADDRESS}:{PORT}/8MiB"
        words = ["ip", "netns", "exec", "sluice-client1", "curl", "--silent", "--fail", "--max-time", "30", "--limit-rate", "4M", url]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as curl:
            time.sleep(0.5)
            used = processor_seconds(process)
            subprocess.run([*link, "down"], check=True)
            time.sleep(2)
            subprocess.run([*link, "up"], check=True)
            assert processor_seconds(process) - used < 1, "it waits; it does not spin"
            assert curl.stdout is not None and curl.stdout.read() == files["8MiB"]
            assert curl.wait(5) == 0
        for _ in range(5):
            assert get("/small") == files["small"]
        assert process.running
    finally:
        process.stop()
        started.remove(process)


def test_k09_the_wall_clock_jumps(backend: Backend, workspace: Path) -> None:
    """Only the log's dates know of it: timers run on a clock that nobody sets."""
    folder = workspace / "clock"
    folder.mkdir()
    folder.chmod(0o755)
    library, offset, logged, file = (folder / name for name in ("clock.so", "offset", "access.log", "dispatcher.yaml"))
    compiler = shutil.which("clang") or "cc"  # the one that Swift brings
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, Path(__file__).with_name("wall_clock.c")], check=True)
    offset.write_text("0")
    logged.touch()
    logged.chmod(0o666)
    file.write_text(yaml(config([f"{server_address(1)}:{BACKEND_PORT}"], log={"level": "info", "access": str(logged)})))
    environment = [f"LD_PRELOAD={library}", f"WALL_CLOCK_OFFSET={offset}"]
    process = Process("dispatcher", ["env", *environment, *command(file)], folder / "dispatcher.log")
    started.append(process)
    try:
        process.until(lambda: "serving" in process.log_end(), "it to serve", 10)
        with Conversation(FILES_ADDRESS, PORT) as client:
            for change in (0, -3600, 3600, -86_400_000):
                offset.write_text(str(change))
                for _ in range(3):
                    begin = time.monotonic()
                    client.request("/x")
                    assert client.answer().status == 200, "the connection outlives the jump"
                    assert time.monotonic() - begin < 1
                    assert get() == b"/"
        time.sleep(0.2)
        dates = {match for match in re.findall(r"\[(\d+/\w+/\d+)", logged.read_text())}
        assert len(dates) > 1, f"the clock that it saw did jump: {logged.read_text()}"
    finally:
        assert process.stop() == 0
        started.remove(process)
