"""A back-end server that dies, vanishes and resets at random moments under load; another that does not."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGUSR1

from .. import tagged
from ..dispatcher import Configuration, Dispatcher, configuration, pool, service
from ..namespaces import HostThread
from ..network import FILES_ADDRESS, server_address
from ..processes import Process
from .figures import Figures

PORT = 8100  # of the tagged servers
SHARED, SAFE = 8101, 8102  # of the services: one with both servers, one with that alone which nothing happens to
SIZES = [10, 300, 3_000, 20_000, 70_000, 300_000]
ALLOWED = {"502", "503", "504", "reset", "closed"}


def configure() -> Configuration:
    first, second = (f"{server_address(number)}:{PORT}" for number in (1, 2))
    timeouts = {"connect": "1s", "response": "3s"}
    return configuration(
        [service("shared", f"{FILES_ADDRESS}:{SHARED}", "shared"), service("safe", f"{FILES_ADDRESS}:{SAFE}", "safe")],
        [
            pool("shared", [first, second], connections=16, timeouts=timeouts),
            pool("safe", [second], connections=16, timeouts=timeouts),
        ],
    )


def start_server(number: int, folder: Path) -> Process:
    folder.mkdir(parents=True, exist_ok=True)
    address = server_address(number)
    process = Process(f"server{number}", [sys.executable, tagged.__file__, address, str(PORT)], folder / f"tagged{number}.log")

    def listens() -> bool:
        command = ["ip", "netns", "exec", f"sluice-server{number}", "ss", "-Hltn", f"sport = :{PORT}"]
        return bool(subprocess.run(command, capture_output=True, text=True).stdout.strip())

    process.until(listens, f"the tagged server of server{number} to listen", 10)
    return process


def _cable(up: bool) -> None:
    subprocess.run(["ip", "-n", "sluice-lan", "link", "set", "server1", "up" if up else "down"], check=True)


def _asking(name: str, host: str, port: int, count: int, seconds: float, seed: int) -> HostThread[tagged.Outcomes]:
    return HostThread(host, lambda: tagged.ask(FILES_ADDRESS, port, name, count, SIZES, seconds, seed))


def run(dispatcher: Dispatcher, folder: Path, figures: Figures, seconds: float = 60, clients: int = 24, seed: int = 1) -> None:
    """The dispatcher must run `configure()`. Both servers are started and ended here."""
    chance = random.Random(seed)
    baseline = dispatcher.gauges()
    servers = {number: start_server(number, folder) for number in (1, 2)}
    done: Counter[str] = Counter()
    try:
        askers = [
            ("shared-a", "client1", SHARED),
            ("shared-b", "client2", SHARED),
            ("safe-a", "client1", SAFE),
            ("safe-b", "client2", SAFE),
        ]
        threads = {name: _asking(name, host, port, clients // 2, seconds, seed + place) for place, (name, host, port) in enumerate(askers)}
        end = time.monotonic() + seconds
        accidents = ["kill", "reset", "resets", "stop", "network"]
        while time.monotonic() < end - min(5.0, seconds / 3):
            time.sleep(0.3 + chance.random() * min(2.0, seconds / 8))
            accident = accidents[sum(done.values()) % len(accidents)] if sum(done.values()) < len(accidents) else chance.choice(accidents)
            done[accident] += 1
            if accident == "kill":
                servers[1].signal(SIGKILL)
                servers[1].wait(5)
                time.sleep(chance.random() * 0.5)
                servers[1] = start_server(1, folder)
            elif accident == "reset":
                servers[1].signal(SIGUSR1)
            elif accident == "resets":
                for _ in range(20):
                    servers[1].signal(SIGUSR1)
                    time.sleep(0.02)
            elif accident == "stop":
                servers[1].signal(SIGSTOP)
                time.sleep(chance.random() * 1.5)
                servers[1].signal(SIGCONT)
            else:
                _cable(up=False)
                time.sleep(0.2 + chance.random() * 1.5)
                _cable(up=True)
        outcomes = {name: thread.result(seconds + 60) for name, thread in threads.items()}
    finally:
        _cable(up=True)
        for server in servers.values():
            server.stop(3)
    figures.note("accidents of the first server", ", ".join(f"{name} {count}" for name, count in sorted(done.items())))
    refused: Counter[str] = Counter()
    for name, outcome in outcomes.items():
        if name.startswith("shared"):
            refused.update(outcome.refused)
    shared = [outcome for name, outcome in outcomes.items() if name.startswith("shared")]
    safe = [outcome for name, outcome in outcomes.items() if name.startswith("safe")]
    wrong = [text for outcome in outcomes.values() for text in outcome.wrong]
    figures.note("right answers, shared / safe", f"{sum(o.right for o in shared)} / {sum(o.right for o in safe)}")
    figures.note("refused, shared", ", ".join(f"{how} {count}" for how, count in sorted(refused.items())) or "none")
    figures.at_most("answers with wrong bytes", len(wrong), 0)
    for text in wrong[:5]:
        figures.note("wrong", text)
    strange = sum(count for how, count in refused.items() if how not in ALLOWED)
    figures.at_most("requests that got neither an answer nor 502, 503, 504 or an end", strange, 0)
    noticed = safe[0].refused + safe[1].refused
    figures.at_most("failures of those who have nothing to do with the first server", sum(noticed.values()), 0)
    if noticed:
        figures.note("which", str(dict(noticed)))
    figures.true("right answers through the shared pool", all(o.right > 10 for o in shared))
    try:
        dispatcher.until_gauges(baseline, timeout=20)
        figures.true("all slots came back", True)
    except AssertionError as error:
        figures.true("all slots came back", False, str(error))
