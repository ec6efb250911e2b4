"""The dispatcher dies without a word (kill -9), and another one starts in its place."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from signal import SIGKILL

from ..conversation import Conversation
from ..dispatcher import Configuration, Dispatcher, command
from ..network import SOURCE_ADDRESS
from ..processes import Process
from .figures import Figures


def _held(server: int) -> int:
    """Connections from the dispatcher's source address that the server's kernel believes in."""
    words = ["ip", "netns", "exec", f"sluice-server{server}", "ss", "-Htn", "state", "established", "dst", SOURCE_ADDRESS]
    return len(subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines())


def _answers(address: str, port: int) -> bool:
    try:
        with Conversation(address, port, timeout=0.25) as client:
            client.request("/")
            return client.answer().status == 200
    except (OSError, EOFError, ValueError):
        return False


def _first_answer(address: str, port: int, begin: float, patience: float) -> float:
    while time.monotonic() < begin + patience:
        if _answers(address, port):
            return time.monotonic() - begin
        time.sleep(0.02)
    return patience


def _is_reset(client: Conversation) -> bool:
    """What comes of the next segment of a client that was connected to the dispatcher that died."""
    client.socket.settimeout(2)
    try:
        client.request("/")
        client.socket.recv(1)
    except ConnectionResetError:
        return True
    except (socket.timeout, BrokenPipeError):
        return False
    return False


def run(
    config: Configuration,
    address: str,
    folder: Path,
    figures: Figures,
    times: int = 5,
    clients: int = 32,
    port: int = 80,
    within: float = 2.0,
    silent: int = 0,
) -> None:
    """Starts and ends dispatchers of its own; `config` has a service at that address with nginx in server1 and server2 behind it.

    `silent`: old clients that may be left without an answer.
    """
    slowest, held_least, not_reset, asked = 0.0, 1 << 30, 0, 0
    first = Dispatcher(folder / "restart", config)
    process: Process = first
    path = first.config_file
    try:
        for number in range(times):
            old = [Conversation(address, port, host="client1" if place % 2 == 0 else "client2", timeout=4) for place in range(clients)]
            for client in old:
                client.request("/1MiB")  # so that many connections to the servers are in use at the same time
            for client in old:
                assert client.answer().status == 200
            process.signal(SIGKILL)
            process.wait(5)
            held = sum(_held(server) for server in (1, 2))
            held_least = min(held_least, held)
            begin = time.monotonic()
            process = Process("dispatcher", command(path), folder / "restart" / f"again-{number}.log")
            took = _first_answer(address, port, begin, 15)
            slowest = max(slowest, took)
            figures.note(
                f"restart {number + 1}: connections that the servers still held, and seconds to the first 200", f"{held}, {took:.2f}"
            )
            for client in old:
                asked += 1
                not_reset += 0 if _is_reset(client) else 1
                client.close()
            figures.true(f"restart {number + 1}: 64 further requests are answered", all(_answers_soon(address, port) for _ in range(64)))
            if not process.running:
                raise AssertionError(f"the dispatcher ended with {process.exit_code}: {process.log_end()}")
    finally:
        process.stop()
    figures.at_most("slowest first 200 after the start of the process, s", slowest, within, "s")
    figures.at_least("connections that the servers still held, at least", held_least, 1)
    figures.at_most(f"old clients that got no RST on their next segment, of {asked}", not_reset, silent)


def _answers_soon(address: str, port: int) -> bool:
    """Patiently: a reused port may need a second SYN."""
    try:
        with Conversation(address, port, timeout=4) as client:
            client.request("/")
            return client.answer().status == 200
    except (OSError, EOFError, ValueError):
        return False
